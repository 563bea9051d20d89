#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# The demonstration is the largest test: it proves each of its claims itself.

setup() {
    BUILD=${BUILD:-build}
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
}

@test "the demonstration tells its whole story and leaves the host as it was" {
    [ "$(id -u)" -eq 0 ] || skip "needs root: network namespaces, taps and nftables"
    [ -c /dev/net/tun ] || skip "needs /dev/net/tun"
    command -v qemu-system-x86_64 >/dev/null || skip "needs qemu-system-x86_64"
    # As on a machine that was just installed: nothing has made a network namespace before.
    run unshare --mount sh -c 'mount -t tmpfs none /run && exec "$@"' fresh \
        env NO_COLOR=1 KEEP= BUILD="$BUILD" sh "$root/contrib/demo.sh"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"The whole story took"* ]]
    [[ "$output" == *'unknown field `memroy`'* ]]
}
