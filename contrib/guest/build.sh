#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# Builds a small Linux guest for tests and demonstrations, from packages of the
# distribution and the files beside this script:
#
#   build.sh OUTDIR     OUTDIR/kernel, OUTDIR/initrd.img, OUTDIR/sha256
#
# The kernel is the cloud kernel, unpacked and not installed; user space is one
# static busybox. It boots directly (-kernel, -initrd), takes its address by DHCP,
# prints "spinel-guest ready: <hostname> <address>" on ttyS0, and answers ping and
# HTTP on ports 80 and 8080 (/cgi-bin/facts says what it sees). A root shell waits on
# ttyS0. Two to three seconds to ready under emulation. Give it 192 MiB or more.
# KERNEL_DEB=FILE takes a kernel package that is already there. Needs: apt-get, dpkg-deb,
# cpio, busybox-static, and lz4, xz or zstd as the kernel asks.
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
mkdir -p "$root/bin" "$root/sbin" "$root/usr/bin" "$root/usr/sbin" "$root/etc" "$root/www/cgi-bin"
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

# Here it costs nothing; in the guest, a second of emulation.
"$busybox" --list-full | while read -r applet; do
    [ -e "$root/$applet" ] || ln -s /bin/busybox "$root/$applet"
done

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

# A number of the boot header, https://docs.kernel.org/arch/x86/boot.html. $1: offset, $2: size.
header() { od -An -j "$(($1))" -N "$2" -t "u$2" "$work/kernel/boot/vmlinuz-$release" | tr -d ' '; }

# What the kernel is packed in. Unpacked it starts by PVH, and its own decompressor, which
# takes more than a second of emulation, has nothing to do.
payload() {
    from=$((($(header 0x1f1 1) + 1) * 512 + $(header 0x248 4)))
    tail -c +$((from + 1)) "$work/kernel/boot/vmlinuz-$release" | head -c "$(header 0x24c 4)"
}
unpacker() {
    case $(payload | od -An -N 4 -t x1 | tr -d ' ') in
    02214c18) echo lz4 ;;
    fd377a58) echo xz ;;
    28b52ffd) echo zstd ;;
    1f8b*) echo gzip ;;
    esac
}
unpack=$(unpacker)
payload | "${unpack:-false}" -dc >"$out/kernel" 2>/dev/null || : # ends in its size, which no tool knows
size=$(payload | tail -c 4 | od -An -t u4 | tr -d ' ')
if [ "$(wc -c <"$out/kernel")" -ne "$size" ]; then
    echo "$0: the kernel stays packed (no ${unpack:-tool for it}); it boots a second later" >&2
    cp "$work/kernel/boot/vmlinuz-$release" "$out/kernel"
fi
chmod 644 "$out/kernel" "$out/initrd.img"
(cd "$out" && sha256sum kernel initrd.img >sha256)
cat "$out/sha256"
