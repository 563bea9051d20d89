#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# A few rounds of what `make torture-real` does for hours.

@test "a real site ends as if undisturbed after random accidents, and no synced byte is lost" {
    [ "$(id -u)" -eq 0 ] || skip "needs root: network namespaces, taps and mounts"
    [ -c /dev/net/tun ] || skip "needs /dev/net/tun"
    for tool in qemu-system-x86_64 qemu-img mkfs.ext4 python3 dnsmasq nft; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    losetup -f >/dev/null 2>&1 || skip "needs a loop device"
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    run python3 "$root/tests/e2e/torture/torture.py" --build "${BUILD:-$root/build}" --rounds 4 --seed "${SEED:-$RANDOM}"
    echo "$output"
    [ "$status" -eq 0 ]
}
