# SPDX-License-Identifier: MPL-2.0
"""A rack of any size, the same from the same seed: a project, then volumes, one manifest a
file, a thousand files a folder; its bare repository, packed; and a site on the simulated driver."""
import os, random, shutil, sqlite3, subprocess

from measure import write


def manifest(draw, i, size, formats):
    return ("# Made by the benchmark; the same from the same seed.\n"
            "apiVersion: spinel/v1\nkind: Volume\nmetadata:\n  name: v%07d\n  project: bench\n"
            "  labels:\n    tier: t%d\n    owner: team-%d\n"
            "  annotations:\n    example.org/ticket: OPS-%06d\nspec:\n  size: %dMiB\n  format: %s\n"
            "  onRemove: %s\n" % (i, draw.randrange(3), draw.randrange(17), draw.randrange(10 ** 6), size,
                                 draw.choice(formats), draw.choice(("release", "delete"))))


def git(folder, *args):
    subprocess.run(["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@example.org",
                    "-c", "gc.auto=0", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Rack:
    def __init__(self, base, count, seed, driver="sim", formats=("raw", "qcow2")):
        self.formats = formats
        self.count = count
        self.work = os.path.join(base, "work%d" % count)
        self.dir = os.path.join(base, "site%d" % count)
        self.site = os.path.join(self.dir, "spinel.yaml")
        self.repository = os.path.join(self.dir, "manifests.git")
        self.draw = random.Random(seed)
        os.makedirs(self.dir)
        self.write_manifests()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.repository], check=True)
        git(self.work, "init", "-q", "-b", "main")
        self.push("bench")
        git(self.repository, "gc", "-q")
        write(self.site, "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: bench}\nspec:\n"
                         "  repository: {path: ./manifests.git}\n  stateDir: ./state\n  drivers: {default: %s}\n" % driver)

    def path(self, i):
        return os.path.join(self.work, "%04d" % (i // 1000), "v%07d.yaml" % i)

    def write_manifests(self):
        os.makedirs(self.work)
        with open(os.path.join(self.work, "project.yaml"), "w") as out:
            out.write("apiVersion: spinel/v1\nkind: Project\nmetadata: {name: bench}\n")
        for i in range(self.count - 1):
            os.makedirs(os.path.dirname(self.path(i)), exist_ok=True)
            with open(self.path(i), "w") as out:
                out.write(manifest(self.draw, i, 64 + self.draw.randrange(7) * 64, self.formats))

    def push(self, message):
        git(self.work, "add", "-A")
        git(self.work, "commit", "-qm", message)
        git(self.work, "push", "-q", self.repository, "main")

    def change_one(self, push=True):
        """A larger size for one volume in the middle, as a new commit."""
        middle = self.path(self.count // 2)
        with open(middle) as file:
            text = file.read()
        size = int(text.split("size: ")[1].split("MiB")[0])
        with open(middle, "w") as out:
            out.write(text.replace("size: %dMiB" % size, "size: %dMiB" % (size + 64)))
        git(self.work, "commit", "-qam", "one change")
        if push:
            git(self.work, "push", "-q", self.repository, "main")

    def apply(self, spinel):
        subprocess.run([spinel, "--site", self.site, "apply", "--yes", "--wait=1h"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def forget(self):
        """As if nothing had ever been applied."""
        shutil.rmtree(os.path.join(self.dir, "state"), ignore_errors=True)

    def remove(self):
        for path in (self.work, self.dir):
            shutil.rmtree(path, ignore_errors=True)

    def hooks(self, spinel):
        """Ours, as `spinel init` puts them into a repository."""
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../contrib/hooks")
        for name in os.listdir(here):
            with open(os.path.join(here, name)) as file:
                text = file.read()
            path = os.path.join(self.repository, "hooks", name)
            write(path, text.replace("@SPINEL@", spinel).replace("@SITE@", self.site))
            os.chmod(path, 0o755)

    def head(self):
        return subprocess.run(["git", "-C", self.work, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()

    def empty_cache(self):
        """What plan --cached and parses go by is taken from the store."""
        db = sqlite3.connect(os.path.join(self.dir, "state", "spinel.db"))
        db.execute("DELETE FROM parse")
        db.execute("DELETE FROM fact WHERE key = 'settled'")
        db.commit()
        db.close()
