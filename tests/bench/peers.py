# SPDX-License-Identifier: MPL-2.0
"""The peers that are installed, on as much work. One that is not is named as such; nothing is
ever assumed about it."""
import os, shutil, subprocess


def cfengine(measure, base, count):
    """Its usual work: one small file with fixed content for each resource."""
    agent = shutil.which("cf-agent")
    if not agent:
        return None
    folder = os.path.join(base, "cf%d" % count)
    os.makedirs(folder + "/files")
    policy = folder + "/promises.cf"
    with open(policy, "w") as out:
        out.write('body common control { bundlesequence => { "main" }; }\n'
                  "body edit_defaults whole { empty_file_before_editing => \"true\"; }\n"
                  "bundle edit_line lines(text) { insert_lines: \"$(text)\"; }\n"
                  "bundle agent main\n{\n  files:\n")
        for i in range(count):
            out.write('    "%s/files/v%06d" create => "true", edit_defaults => whole, '
                      'edit_line => lines("size=%d$(const.n)tier=%d$(const.n)owner=%d");\n'
                      % (folder, i, 64 + i % 7 * 64, i % 3, i % 17))
        out.write("}\n")
    os.chmod(policy, 0o600)
    found = {"apply": measure([agent, "-K", "-f", policy], 1, warm=False),
             "plan": measure([agent, "-n", "-K", "-f", policy], 3 if count < 100000 else 1)}
    shutil.rmtree(folder)
    return found


def terraform(measure, base, count):
    program = shutil.which("terraform")
    if not program or count > 1000:
        return None
    folder = os.path.join(base, "tf%d" % count)
    os.makedirs(folder)
    with open(folder + "/main.tf", "w") as out:
        for i in range(count):
            out.write('resource "terraform_data" "v%06d" { input = "size=%d tier=%d" }\n' % (i, 64 + i % 7 * 64, i % 3))
    env = dict(os.environ, CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1")
    for argv in (["init", "-input=false"], ["apply", "-input=false", "-auto-approve"]):
        if subprocess.run([program, *argv], cwd=folder, env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode:
            return None
    found = {"plan": measure([program, "plan", "-input=false"], 3, env=env, cwd=folder)}
    shutil.rmtree(folder)
    return found


def beside(measure, base, count):
    """Of each peer, None if it is not there or not run at this size."""
    return {"CFEngine": cfengine(measure, base, count), "Terraform": terraform(measure, base, count)}


def versions():
    """Of what the figures depend on."""
    found = {}
    for name, argv in (("cfengine", ["cf-agent", "--version"]), ("terraform", ["terraform", "version"]),
                       ("git", ["git", "--version"]), ("cc", ["cc", "--version"])):
        if shutil.which(argv[0]):
            found[name] = subprocess.run(argv, capture_output=True, text=True).stdout.split("\n")[0]
    for library in ("libgit2", "yaml-0.1", "sqlite3", "libsodium"):
        found[library] = subprocess.run(["pkg-config", "--modversion", library], capture_output=True,
                                        text=True).stdout.strip()
    return found
