#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# Builds a small Linux guest for tests and demonstrations, from packages of the
# distribution and the files beside this script:
#
#   build.sh OUTDIR     OUTDIR/vmlinuz, OUTDIR/initrd.img, OUTDIR/sha256
#
# The kernel is the cloud kernel, unpacked and not installed; user space is one
# static busybox. It boots directly (-kernel, -initrd), takes its address by DHCP,
# prints "spinel-guest ready: <hostname> <address>" on ttyS0, and answers ping and
# HTTP on ports 80 and 8080 (/cgi-bin/facts says what it sees). A root shell waits on
# ttyS0. About five seconds to ready under emulation. Give it 192 MiB or more.
# KERNEL_DEB=FILE takes a kernel package that is already there. Needs: apt-get, dpkg-deb,
# cpio, busybox-static.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
busybox=${BUSYBOX:-$(command -v busybox)} || { echo "$0: busybox is missing: install busybox-static" >&2; exit 1; }
for tool in dpkg-deb cpio gzip; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is missing: install $tool" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${KERNEL_DEB:-}" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$package" ] || { echo "$0: no linux-image-cloud-amd64 known to apt: run apt-get update" >&2; exit 1; }
    mkdir "$work/deb"
    chmod 755 "$work" "$work/deb"
    (cd "$work/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    KERNEL_DEB=$(echo "$work/deb/"*.deb)
fi
dpkg-deb -x "$KERNEL_DEB" "$work/kernel"
release=$(ls "$work/kernel/lib/modules")

root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/www/cgi-bin"
cp "$busybox" "$root/bin/busybox"
cp "$here/init" "$root/init"
cp "$here/shutdown-now" "$root/sbin/shutdown-now"
cp "$here/facts" "$root/bin/facts"
ln -s /bin/facts "$root/www/cgi-bin/facts"
for file in rc link-up lease ready hotplug inittab modules; do
    cp "$here/$file" "$root/etc/$file"
done
chmod 755 "$root/init" "$root/sbin/shutdown-now" "$root/bin/facts" \
    "$root/etc/rc" "$root/etc/link-up" "$root/etc/lease" "$root/etc/ready" "$root/etc/hotplug"

# Only the wanted modules and what they need, then an index of just those.
"$busybox" depmod -b "$work/kernel" "$release"
deps=$work/kernel/lib/modules/$release/modules.dep
while read -r module; do
    file=$(echo "$module" | sed 's/[-_]/[-_]/g')
    line=$(grep -E "(^|/)$file\.ko(\.xz)?:" "$deps" || true)
    for path in $(echo "$line" | tr -d ':'); do
        mkdir -p "$root/lib/modules/$release/$(dirname "$path")"
        cp -n "$work/kernel/lib/modules/$release/${path#/lib/modules/"$release"/}" \
            "$root/lib/modules/$release/$path"
    done
done <"$here/modules"
"$busybox" depmod -b "$root" "$release"

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -o -H newc) | gzip -9n >"$out/initrd.img"
cp "$work/kernel/boot/vmlinuz-$release" "$out/vmlinuz"
chmod 644 "$out/vmlinuz" "$out/initrd.img"
(cd "$out" && sha256sum vmlinuz initrd.img >sha256)
cat "$out/sha256"
