# SPDX-License-Identifier: MPL-2.0
"""A site as `spinel init` makes it, with its daemon, and a clone to push from. However a row
ends, what it made is taken away: by Spinel itself, and by hand what is left after that."""
import json, os, re, shutil, signal, socket, subprocess, time

import by_hand
from measure import family, holders, shell, usage, wait_for, write

EVERYTHING = {"instance": "qemu", "volume": "file", "network": "linux-vpc"}


class Control:
    """The core's socket: one request at a time, one message a line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        home = os.open(".", os.O_RDONLY)
        os.chdir(os.path.dirname(path))  # a socket's path may be longer than the kernel takes
        try:
            self.socket.connect(os.path.basename(path))
        finally:
            os.fchdir(home)
            os.close(home)
        self.lines = self.socket.makefile("r")

    def send(self, method, **params):
        self.socket.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n").encode())

    def ask(self, method, **params):
        self.send(method, **params)
        return self.next(lambda message: message.get("id") == 1)

    def next(self, wanted):
        for line in self.lines:
            message = json.loads(line)
            if "error" in message:
                raise SystemExit("bench: the daemon says: %s" % message["error"].get("message"))
            if wanted(message):
                return message
        raise SystemExit("bench: the daemon closed its socket")

    def close(self):
        self.lines.close()
        self.socket.close()


class Site:
    def __init__(self, args, base, name, drivers=None, example=None):
        self.place = os.path.join(base, name)
        self.manifests = self.place + "/manifests"
        self.spinel, self.daemon = args.spinel, None
        self.env = dict(os.environ, SPINEL_SITE=self.place + "/spinel.yaml", GIT_AUTHOR_NAME="bench",
                        GIT_AUTHOR_EMAIL="bench@example.org", GIT_COMMITTER_NAME="bench",
                        GIT_COMMITTER_EMAIL="bench@example.org", PATH=args.build + ":" + os.environ["PATH"])
        shell([self.spinel, "init", self.place, "--drivers", "host", *(["--example", example] if example else [])], env=self.env)
        self.settle_drivers(dict(EVERYTHING, **(drivers or {})))
        if not example:
            self.git("rm", "-rqf", ".")
        self.log = open(self.place + "/serve.log", "w")
        self.daemon = subprocess.Popen([self.spinel, "serve"], env=self.env, stdout=self.log, stderr=self.log)
        wait_for(lambda: self.call("status", "--json").get("daemon"), 20)

    def settle_drivers(self, drivers):
        path = self.place + "/spinel.yaml"
        with open(path) as file:
            text = file.read()
        words = ", ".join("%s: %s" % pair for pair in drivers.items())
        write(path, re.sub(r"(?m)^  drivers:.*$", "  drivers: {%s}" % words, text) + "  pushWait: 1h\n")

    def call(self, *words):
        done = subprocess.run([self.spinel, *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout or b"{}")

    def git(self, *words):
        return subprocess.run(["git", "-C", self.manifests, *words], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    def commit(self, message, **files):
        for name, text in files.items():
            write("%s/%s.yaml" % (self.manifests, name), text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def push_begin(self):
        return subprocess.Popen(["git", "-C", self.manifests, "push", "-q", "origin", "HEAD:main"], env=self.env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def converge(self, message, **files):
        """Commits and pushes: wall and CPU seconds until it has converged."""
        self.commit(message, **files)
        before, _ = usage(family(self.daemon.pid))
        began = time.monotonic()
        done = self.git("push", "-q", "origin", "HEAD:main")
        if done.returncode:
            raise SystemExit("bench: git push failed:\n" + done.stdout[-2000:])
        approved_at = [0.0]
        wait_for(lambda: self.is_converged(approved_at), 1800)
        wall = time.monotonic() - began
        after, _ = usage(family(self.daemon.pid))
        return {"wall": wall, "cpu": after - before}

    def is_converged(self, approved_at):
        """What is held is let through, at once and then now and then: more may come to be held."""
        if time.monotonic() - approved_at[0] > 5:
            for hold in self.call("plan", "--cached", "--json").get("holds", []):
                subprocess.run([self.spinel, "approve", hold["id"]], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            approved_at[0] = time.monotonic()
        return self.call("status", "--json").get("converged")

    def vpcs(self):
        path = self.place + "/state/drivers/linux-vpc"
        return [name for name in (os.listdir(path) if os.path.isdir(path) else []) if re.fullmatch("[0-9a-f]{32}", name)]

    def netns(self):
        """Of the only VPC: it bears the beginning of its uid."""
        (vpc,) = self.vpcs()
        return "spn" + vpc[:12]

    def close(self):
        try:
            self.git("rm", "-rqf", ".")
            self.converge("Remove everything")
        finally:
            vpcs = self.vpcs()
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait()
            self.log.close()
            self.sweep(vpcs)

    def sweep(self, vpcs):
        """What is left of a run that was broken off."""
        for pid in holders("qemu-system", self.place):
            os.kill(pid, signal.SIGKILL)
        for vpc in vpcs:
            netns, uplink = "spn" + vpc[:12], "spu" + vpc[:12]
            if not os.path.exists("/run/netns/" + netns):
                continue
            by_hand.remove(netns, uplink)
            subprocess.run(["nft", "delete", "table", "inet", "spinel_" + uplink], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            shutil.rmtree("/run/spinel/" + netns, ignore_errors=True)
