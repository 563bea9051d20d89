# SPDX-License-Identifier: MPL-2.0
# What the tests of the command line share: a site on the sim driver in a directory
# of its own, a daemon that ends with the test, and golden files.
# GOLDEN_UPDATE=1 writes them anew; read the difference as prose before committing it.

load ../starter.bash

BUILD=${BUILD:-$BATS_TEST_DIRNAME/../../build}
PATH=$BUILD:$PATH
golden=$BATS_TEST_DIRNAME/golden

setup_alone() {
    cd "$BATS_TEST_TMPDIR" || return 1
    unset SPINEL_SITE NO_COLOR
    export HOME=$BATS_TEST_TMPDIR GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
    export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
    export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
    daemon=
}

# A site with the first example pushed, no daemon.
setup_site() {
    setup_alone
    spinel init lab --drivers=sim --example="$BATS_TEST_DIRNAME/../../examples/starter" >/dev/null
    export SPINEL_SITE=$BATS_TEST_TMPDIR/lab/spinel.yaml
    git -C lab/manifests push -q 2>/dev/null
}

commit() { git -C lab/manifests commit -qam "$1"; }

daemon_start() {
    spinel serve >serve.log 2>&1 3>&- &
    daemon=$!
    for _ in $(seq 200); do
        spinel status --json 2>/dev/null | jq -e '.daemon != null' >/dev/null && return 0
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.05
    done
    cat serve.log
    return 1
}

daemon_stop() {
    [ -z "$daemon" ] || process_end "$daemon"
    daemon=
}

# For a teardown.
site_leave() {
    daemon_stop
    processes_end
}

is_converged() { spinel status --json | jq -e '.daemon != null and .converged'; }

# Types in place of values: what a script may rely on.
shape() {
    jq -S 'def shape: if type == "object" then map_values(shape) elif type == "array" then (map(shape) | unique) else type end; shape'
}

# A plan's from and to have the types of their fields, which are the kinds' to say.
without_values() { jq 'del(.steps[].fields[] | .from, .to)'; }

# is_golden NAME: standard input is what the golden file says.
is_golden() {
    cat >"actual-$1"
    [ -z "${GOLDEN_UPDATE:-}" ] || cp "actual-$1" "$golden/$1"
    diff -u "$golden/$1" "actual-$1"
}

# Sets `python` to an interpreter that has the module: Debian's, where another comes first.
need_python() {
    for python in python3 /usr/bin/python3; do
        $python -c "import $1" 2>/dev/null && return 0
    done
    skip "the Python module $1 is not installed"
}
