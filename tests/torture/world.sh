#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# world.sh: what the drivers of the site in the current directory made of the world, without what
# differs from run to run. Sizes and states are written in letters, for digits are masked.
set -eu
export LC_ALL=C
masked() { sed -E 's/([0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f]{12,}/#/g; s/(packets|bytes) [0-9]+/\1/g' | sort; }
"$BUILD/drivers/sim" --world lab/state/drivers/sim/world list 2>&1 | awk '{$1 = ""; print}' | sort
cd lab/state
for dir in images pools seeds instances drivers/exec; do
    # A tag is in the attribute of a volume or an image, or, where none can be set, beside it.
    [ ! -d $dir ] || find $dir \( -name '*.log' -o -name ledger -o -name key -o -name '*.raw.tag' -o -name '*.qcow2.tag' -o -name '*.img.tag' \) -prune -o -printf '%P %y %s %m\n' |
        awk '{ size = $2 == "d" || $1 ~ /json$/ ? "" : $3 $4; for (i = 0; i < 10; i++) gsub(i, substr("ghijklmnop", i + 1, 1), size)
               print $1, $2, size }' | masked
done
# What volumes begin with: those made from an image have its bytes.
for volume in pools/default/*.raw; do
    [ ! -f "$volume" ] || head -c 1048576 "$volume" | sha256sum | cut -c1-64 | tr 0-9a-f g-v
done | sort
[ -n "${TORTURE_HOST:-}" ] || exit 0

network() { # network COMMAND...: in which to look
    "$@" ip -br link | awk '{ sub("@.*", "", $1); print $1, $2 }' | masked
    "$@" ip -4 -br addr | awk '{ sub("@.*", "", $1); $2 = ""; print }' | masked
    "$@" ip -4 route | masked
    "$@" nft list ruleset | masked
}
# A DHCP server writes its pid file once it serves.
children() { cat "/proc/$TORTURE_HOST/task/$TORTURE_HOST/children"; }
serve() {
    for pid in $(children); do
        dir=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n 's|^--conf-file=\(.*\)/config$|\1|p')
        [ -z "$dir" ] || [ -s "$dir/pid" ] || return 1
    done
}
turn=0
until serve || [ $turn -eq 50 ]; do sleep 0.1; turn=$((turn + 1)); done

echo host
network env
for netns in /run/netns/*; do
    [ ! -e "$netns" ] || { echo netns; network nsenter --net="$netns"; }
done
[ ! -d /run/spinel ] || find /run/spinel -printf '%P %y %m\n' | masked
# Processes that outlived those that made them; a launcher that could not give itself its name is one all the same.
for pid in $(children); do
    [ ! -r "/proc/$pid/stat" ] || awk -v self=$$ '$1 != self && $3 != "Z" { print "process", $2 }' "/proc/$pid/stat" 2>/dev/null || :
done | sed 's/(spinel-launcher)/(qemu)/' | sort
