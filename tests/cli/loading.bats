#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# What a daemon says and does while it reads what is declared. Its repository stands still for as
# long as there is a file "hold", so that only the order of things is looked at.
load cli.bash

setup() {
    setup_site
    cat >slow.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int git_commit_lookup(void **commit, void *repository, const void *id)
{
    int (*lookup)(void **, void *, const void *) = dlsym(RTLD_NEXT, "git_commit_lookup");
    while (access("hold", F_OK) == 0)
        usleep(1000);
    return lookup(commit, repository, id);
}
C
    cc -shared -fPIC -o slow.so slow.c -ldl
    spinel apply --yes --wait=60s >/dev/null
}
teardown() {
    rm -f hold
    site_leave
}

# The daemon is up, and has not read anything yet.
start_held() {
    touch hold
    LD_PRELOAD=$PWD/slow.so spinel serve >serve.log 2>&1 3>&- &
    daemon=$!
    until_true 20 is_loading
}
is_loading() { spinel status --json | jq -e '.daemon != null and .loading'; }
events_of() { spinel events --json | jq -r --arg type "$1" '[.events[] | select(.type == $type)] | length'; }
drivers() { pgrep -c -P "$daemon" -x sim; }

@test "while it reads what is declared, a daemon tells what the store knows" {
    before=$(spinel status --json)
    [ "$(jq .loading <<<"$before")" = null ]
    start_held
    spinel status --json | jq -e --argjson before "$before" '.commit == $before.commit and
        (.converged | not) and .resources.total == $before.resources.total and
        .resources.true == $before.resources.total and .problems == [] and .daemon.pid > 0'
    spinel status | grep -q '^state  *loading'
    run drivers
    [ "$output" = 0 ]
    rm hold
    until_true 20 is_converged
    spinel status --json | jq -e '.loading == false'
    [ "$(drivers)" = 1 ]
}

@test "what needs what is declared waits, and is answered once it is read" {
    start_held
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    commit grow
    started=$(events_of daemon.started)
    last=$(spinel events --json | jq '[.events[].seq] | max')
    (code=0; spinel plan --json >plan.json || code=$?; echo $code >plan.status) 3>&- &
    (code=0; git -C lab/manifests push >push.out 2>&1 || code=$?; echo $code >push.status) 3>&- &
    spinel events --follow >follow.out 2>&1 3>&- &
    follower=$!
    for _ in $(seq 10); do is_loading >/dev/null; done
    sleep 1
    [ ! -e plan.status ]
    [ ! -e push.status ]
    [ "$(events_of daemon.started)" = "$started" ]
    rm hold
    until_true 30 test -e push.status
    until_true 30 test -e plan.status
    [ "$(cat push.status)" = 0 ] || { cat push.out; false; }
    grep -q converged push.out
    [ "$(cat plan.status)" != 1 ] || { cat plan.json; false; }
    jq -e .commit plan.json
    [ "$(spinel status --json | jq -r .commit)" = "$(git -C lab/manifests rev-parse HEAD)" ]
    [ "$(events_of daemon.started)" = $((started + 1)) ]
    until_true 10 grep -q 'the daemon has started' follow.out
    kill "$follower" 2>/dev/null || :
    # Nothing was begun before the daemon had started.
    spinel events --json | jq -e "[.events[] | select(.seq > $last) | .type] |
        index(\"daemon.started\") < index(\"op.started\")"
}

@test "a daemon that is told to stop while it reads ends at once, and the next one goes on" {
    start_held
    kill -TERM "$daemon"
    status=0
    wait "$daemon" || status=$?
    [ "$status" -eq 0 ] || { cat serve.log; false; }
    [ -e hold ]
    [ ! -e lab/state/control.sock ]
    daemon=
    start_held
    rm hold
    until_true 20 is_converged
}

@test "a daemon that cannot read its repository says why, once, and ends" {
    mv lab/manifests.git lab/gone.git
    run timeout 20 spinel serve
    [ "$status" -eq 1 ]
    [ "$(grep -c 'manifests.git' <<<"$output")" = 1 ] || { echo "$output"; false; }
    [ ! -e lab/state/control.sock ]
    mv lab/gone.git lab/manifests.git
    daemon_start
    until_true 20 is_converged
}

@test "a core that dies while it reads is not taken for one that served" {
    start_held
    kill -9 "$(pgrep -P "$daemon" -x spinel | head -1)"
    status=0
    wait "$daemon" || status=$?
    [ "$status" -eq 1 ]
    daemon=
    grep -q 'before it was ready' serve.log
    start_held
    rm hold
    until_true 20 is_converged
}
