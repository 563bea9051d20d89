# SPDX-License-Identifier: MPL-2.0
# What the hostile tests share: a site on the sim driver, objects that git itself would not
# write, and what must never reach a terminal.
load ../cli/cli.bash

repo=lab/manifests.git
bare() { git --git-dir="$repo" "$@"; }
blob() { bare hash-object -w --stdin; }

# entry MODE NAME HEX-ID: one entry of a tree; the name may hold any byte but NUL (printf's escapes)
entry() { printf '%s %b\0' "$1" "$2" && printf "$(echo "$3" | sed 's/../\\x&/g')"; }

# tree: an object of the bytes on standard input, unchecked
tree() { bare hash-object -w -t tree --literally --stdin; }

# commit_tree TREE [PARENT...]: its id
commit_tree() {
    local tree=$1 parents=
    shift
    for parent in "$@"; do parents="$parents -p $parent"; done
    bare commit-tree "$tree" $parents -m 'A change'
}

# judge COMMIT: what the hook says of a push of it, as git would ask
judge() {
    local old
    old=$(bare rev-parse -q --verify refs/heads/main || echo 0000000000000000000000000000000000000000)
    echo "$old $1 refs/heads/main" | spinel --site lab/spinel.yaml hook pre-receive 2>&1
}

# is_refused COMMIT TEXT: the push is refused with this text, and nothing is changed
is_refused() {
    before=$(bare rev-parse main)
    run judge "$1"
    [ "$status" -eq 1 ] || { echo "not refused: $output"; return 1; }
    [[ $output == *"$2"* ]] || { echo "other words: $output"; return 1; }
    [[ $output == *"push refused, nothing was changed"* ]]
    [ "$(bare rev-parse main)" = "$before" ]
    is_plain <<<"$output"
}

# No control character but newline and tab, no bidirectional control, only UTF-8.
is_plain() {
    python3 -c '
import sys, unicodedata
text = sys.stdin.buffer.read().decode("utf-8")
bad = [hex(ord(c)) for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs")]
sys.exit("not plain: %s in %r" % (bad, text) if bad else 0)'
}

# within MILLISECONDS COMMAND...: of the processes' own time, so that a busy machine is no failure
within() {
    local limit=$1
    shift
    python3 - "$limit" "$@" <<'PY'
import resource, subprocess, sys
def used(): # by those before, too, if python3 is a script that looks for Python
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (children.ru_utime + children.ru_stime)
before = used()
done = subprocess.run(sys.argv[2:])
took = used() - before
if took > float(sys.argv[1]):
    sys.exit("took %d ms of CPU, more than %s" % (took, sys.argv[1]))
sys.exit(done.returncode)
PY
}
