#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# The daemon on a real file system that fills up. Its blocks are of 1 KiB: SQLite takes 4 KiB for
# granted where it makes its index, and what it leaves out kills whoever writes there later.

load ../starter.bash

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root: a mount"
    command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not installed"
    losetup -f >/dev/null 2>&1 || skip "needs a loop device"
    build=${BUILD:-$BATS_TEST_DIRNAME/../../build}
    spinel=$build/spinel
    rack=$(mktemp -d)
    cd "$rack"
    truncate -s 24M disk
    mkfs.ext4 -q -b 1024 -m 0 disk
    "$spinel" init lab --drivers sim >/dev/null
    mkdir lab/state
    mount -o loop disk lab/state
    rmdir lab/state/lost+found
    export SPINEL_SITE=$rack/lab/spinel.yaml
    rm -f lab/manifests/*.yaml
    git -C lab/manifests config user.email ann@example.org
    git -C lab/manifests config user.name Ann
}

teardown() {
    [ -n "$rack" ] || return 0
    tail -n 40 "$rack/log" | cut -c 1-240
    [ ! -s "$rack/pid" ] || process_end "$(cat "$rack/pid")"
    processes_end
    cd /
    umount "$rack/lab/state"
    rm -rf "$rack"
}

# commit COUNT: a pool and so many volumes
commit() {
    printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n' >lab/manifests/rack.yaml
    printf -- '---\napiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n' >>lab/manifests/rack.yaml
    for i in $(seq "$1"); do
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%s}\nspec: {size: 1GiB, pool: fast, onRemove: delete}\n' "$i"
    done >>lab/manifests/rack.yaml
    git -C lab/manifests add -A
    git -C lab/manifests commit -q -m "$1 volumes"
    git -C lab/manifests push -q origin main
}

converged() {
    [ "$("$spinel" status --json | jq -r '"\(.converged) \(.commit)"')" = \
        "true $(git -C lab/manifests rev-parse HEAD)" ]
}

daemon_answers() { [ "$("$spinel" status --json | jq -r '.daemon != null')" = true ]; }

# disk_fill [KIB]: to the last block, but for so much
disk_fill() {
    local left
    dd if=/dev/zero of=lab/state/filler bs=64k 2>/dev/null || :
    dd if=/dev/zero of=lab/state/filler bs=512 oflag=append conv=notrunc 2>/dev/null || :
    sync lab/state/filler
    [ "$(df --output=avail lab/state | tail -n 1)" -eq 0 ]
    [ $# -eq 0 ] || truncate -s "-$1K" lab/state/filler
    left=$(df --output=avail lab/state | tail -n 1)
    [ "$left" -eq "${1:-0}" ]
}

daemon_start() {
    "$spinel" serve 2>>log 3>&- &
    echo $! >pid
}

daemon_stop() {
    kill "$(cat pid)"
    wait "$(cat pid)" || :
    rm pid
}

@test "a full disk is told as one, kills nobody, and the work goes on once there is room" {
    commit 3
    daemon_start
    until_true 20 converged
    disk_fill
    for count in 20 40 60; do
        commit "$count"
        sleep 0.5
    done
    until_true 30 grep -q 'the disk of .*spinel.db is full' log
    kill -0 "$(cat pid)"
    rm lab/state/filler
    until_true 90 converged
    run grep -E 'signal [0-9]+' log
    echo "$output"
    [ "$status" -eq 1 ]
}

# For each 4 KiB of its index SQLite writes one byte. 12 KiB are enough for these bytes and not for
# the index.
@test "where SQLite's index finds room for its corners only, nobody dies of it" {
    commit 3
    daemon_start
    until_true 20 converged
    kill -9 "$(cat pid)" # as after a loss of power, what is in the log has to be read again
    wait "$(cat pid)" || :
    until_true 10 eval '! daemon_answers 2>/dev/null'
    rm pid lab/state/spinel.db-shm
    disk_fill 12

    run "$spinel" get volumes
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"the disk of"*"spinel.db is full"* ]]

    rm -f lab/state/spinel.db-shm
    run timeout 20 "$spinel" serve
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"the disk of"*"spinel.db is full"* ]]

    rm lab/state/filler
    commit 5
    daemon_start
    until_true 20 converged
    daemon_stop
}

# The daemon is up, and the disk fills while its core is gone.
@test "a core that finds no room for its index is started again until there is" {
    commit 3
    daemon_start
    until_true 20 converged
    core=$(pgrep -P "$(cat pid)" -x spinel)
    kill -STOP "$(cat pid)"
    kill -9 "$core"
    rm lab/state/spinel.db-shm
    disk_fill 12
    kill -CONT "$(cat pid)"
    until_true 20 grep -q 'the disk of .*spinel.db is full' log
    commit 5
    sleep 2
    kill -0 "$(cat pid)"
    rm lab/state/filler
    until_true 90 converged
    run grep -E 'signal [0-9]+' log
    echo "$output"
    [ "$(grep -c 'signal' <<<"$output")" -le 1 ]
    [[ "$output" != *"signal 7"* ]]
}
