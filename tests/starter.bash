# SPDX-License-Identifier: MPL-2.0
# What tests in bats share that start something: it is waited for by its condition, and none of it
# is there any more when the test's directory goes.

# The name is found again in the environment of whatever is started from here, also of what git or
# a daemon has put into the background.
export SPINEL_TEST=$BASHPID-$RANDOM$RANDOM

# not COMMAND...: it says no, which is 1: what could not look, or was not there, says nothing. A
# plain "! command" fails no test: set -e passes over it wherever it is not the last.
not() {
    local said=0
    "$@" || said=$?
    [ $said -eq 1 ] || { echo "ended with $said: $*" >&2; return 1; }
}

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "still not so: $*"; return 1; }
        sleep 0.1
    done
}

# The processes that were started since.
processes() {
    local all=(/proc/[0-9]*/environ) found
    found=$(grep -lszx "SPINEL_TEST=$SPINEL_TEST" "${all[@]}") || return 0
    found=${found//\/proc\//}
    echo ${found//\/environ/}
}

is_alone() { [ -z "$(processes)" ]; }
is_gone() { ! kill -0 "$1"; }

# process_end PID: asked to, and killed if it does not
process_end() {
    kill "$1" 2>/dev/null || return 0
    until_true 60 is_gone "$1" || kill -9 "$1"
    wait "$1" 2>/dev/null || true
}

# For a teardown: the test's own jobs are ended, what they began ends by itself, or the test has
# failed.
processes_end() {
    local left job
    for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
    until_true 60 is_alone && return 0
    left=$(processes)
    echo 'still there:'
    ps -o pid,args -p "${left// /,}"
    kill -9 $left 2>/dev/null || true
    until_true 60 is_alone
    return 1
}
