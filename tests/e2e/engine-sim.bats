#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# The program and its daemon with the simulated driver: crashes for real, by signal 9.

load ../starter.bash

setup() {
    build=${BUILD:-$BATS_TEST_DIRNAME/../../build}
    spinel=$build/spinel
    sim=$build/drivers/sim
    rack=$(mktemp -d)
    world=$rack/state/drivers/sim/world
    cd "$rack"
    site_write '{}'
    git init -q --bare -b main manifests.git
    git clone -q manifests.git work 2>/dev/null
    git -C work config user.email ann@example.org
    git -C work config user.name Ann
    git -C work checkout -q -b main
    base='apiVersion: spinel/v1
kind: Project
metadata: {name: shop}
spec: {}
---
apiVersion: spinel/v1
kind: Pool
metadata: {name: fast}
spec: {}
---
apiVersion: spinel/v1
kind: VPC
metadata: {project: shop, name: net}
spec: {prefixes: [10.0.0.0/16]}'
}

teardown() {
    [ ! -s "$rack/pid" ] || process_end "$(cat "$rack/pid")"
    processes_end
    rm -rf "$rack"
}

site_write() {
    cat >spinel.yaml <<SITE
apiVersion: spinel/v1
kind: Site
metadata: {name: lab}
spec:
  repository: {path: ./manifests.git, branch: main}
  stateDir: ./state
  drivers: {default: sim}
  settings: {sim: $1}
SITE
}

# commit COUNT: the base and so many volumes
commit() {
    echo "$base" >work/rack.yaml
    for i in $(seq "$1"); do
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%s}\nspec: {size: 1GiB, pool: fast, onRemove: delete}\n' "$i"
    done >>work/rack.yaml
    git -C work add -A
    git -C work commit -q -m "$1 volumes"
    git -C work push -q origin main
}

daemon_start() {
    "$spinel" serve 2>>log 3>&- &
    echo $! >pid
    until_true 10 daemon_answers
}

daemon_answers() { [ "$("$spinel" status --json | jq -r '.daemon != null')" = true ]; }
converged() {
    [ "$("$spinel" status --json | jq -r '"\(.converged) \(.commit)"')" = \
        "true $(git -C work rev-parse HEAD)" ]
}
objects() { "$sim" --world "$world" list | wc -l; }
core_pid() { pgrep -P "$(cat pid)" -x spinel; }
driver_pid() { pgrep -P "$(cat pid)" -x sim; }

@test "apply without a daemon makes the rack true, and a plan then exits 0" {
    commit 3
    run "$spinel" plan
    [ "$status" -eq 2 ]
    "$spinel" apply --yes
    run "$spinel" plan
    [ "$status" -eq 0 ]
    [ "$(objects)" -eq 5 ]
}

@test "kill -9 of the core in the middle of a convergence: it finishes, nothing twice" {
    site_write '{latencyMs: 200}'
    commit 8
    daemon_start
    until_true 10 grep -q op.started log
    kill -9 "$(core_pid)"
    until_true 30 converged
    [ "$(objects)" -eq 10 ]
    [ "$("$sim" --world "$world" list | awk '{print $3}' | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "kill -9 of the driver: it is started again and the work goes on" {
    site_write '{latencyMs: 200}'
    commit 8
    daemon_start
    until_true 10 grep -q op.started log
    kill -9 "$(driver_pid)"
    until_true 30 converged
    [ "$(objects)" -eq 10 ]
}

@test "a core that cannot reach its supervisor, or be reached by it, is started again" {
    cat >deaf.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (unlink("deaf") < 0)
        return syscall(SYS_sendmsg, fd, message, flags);
    errno = ENOBUFS;
    return -1;
}
C
    cc -shared -fPIC -o deaf.so deaf.c
    commit 2
    export LD_PRELOAD=$PWD/deaf.so
    daemon_start
    unset LD_PRELOAD
    until_true 10 converged
    core=$(core_pid)
    touch deaf
    kill -9 "$(driver_pid)"
    until_true 30 grep -q core.ended log # whichever of the two wanted to say something first
    commit 3
    until_true 30 converged
    [ "$(core_pid)" != "$core" ]
    grep -q 'lost the supervisor' log
}

@test "kill -9 of the supervisor takes core and drivers with it; the next start goes on" {
    commit 2
    daemon_start
    until_true 10 converged
    core=$(core_pid)
    driver=$(driver_pid)
    kill -9 "$(cat pid)"
    until_true 10 eval "! grep -qs '^State:[[:space:]][RSD]' /proc/$core/status"
    until_true 10 eval "! grep -qs '^State:[[:space:]][RSD]' /proc/$driver/status"
    commit 3
    daemon_start
    until_true 20 converged
}

@test "damage is found by notice, told as drift and healed" {
    commit 1
    daemon_start
    until_true 10 converged
    uid=$("$sim" --world "$world" list | awk '$2 == "VPC" {print $1}')
    "$sim" --world "$world" delete "$uid"
    until_true 10 grep -q drift.healed log
    until_true 10 converged
    "$spinel" drift --json --since=1h | jq -e '.drift[] | select(.kind == "VPC" and .healed != null)'
}

@test "faults of every sort end in convergence" {
    site_write '{seed: 7, faults: {failBefore: 100, failAfter: 100, partialList: 100, crash: 80}}'
    commit 9
    daemon_start
    until_true 90 converged
    [ "$(objects)" -eq 11 ]
}

@test "a collapsing set is held, and goes on once it is approved" {
    commit 9
    daemon_start
    until_true 10 converged
    commit 1
    "$spinel" apply --yes || [ $? -eq 3 ]
    hold=$("$spinel" plan --json | jq -r '.holds[0].id')
    [ "$(objects)" -eq 11 ]
    "$spinel" approve "$hold"
    until_true 20 eval '[ "$(objects)" -eq 3 ]'
}

@test "a second daemon on the state directory is refused and names the first" {
    commit 1
    daemon_start
    run "$spinel" serve
    [ "$status" -ne 0 ]
    [[ $output == *"$(core_pid)"* ]]
}

@test "a driver that cannot be found or dies at start is named with what to do" {
    commit 1
    sed -i 's/default: sim/default: nowhere/' spinel.yaml
    run "$spinel" plan
    [ "$status" -eq 1 ]
    [[ $output == *"driver nowhere"* ]]
    [[ $output == *driverDirs* ]]
    mkdir drivers.d
    printf '#!/bin/sh\necho "broken: the machine lacks a thing" >&2\nexit 1\n' >drivers.d/nowhere
    chmod +x drivers.d/nowhere
    echo '  driverDirs: [./drivers.d]' >>spinel.yaml
    run "$spinel" plan
    [ "$status" -eq 1 ]
    [[ $output == *"the machine lacks a thing"* ]]
}
