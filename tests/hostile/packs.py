# SPDX-License-Identifier: MPL-2.0
"""Packs that git itself would not send.

packs.py push OLD NEW [FLIP]   pkt-lines of a push of NEW to main, then the pack that comes on
                               standard input; with FLIP its trailer's last byte is another one
packs.py bomb BYTES            a pack of two blobs, the second a delta that makes so many bytes
                               of the first; prints the second's id on standard error"""
import hashlib, struct, sys, zlib

OBJ_BLOB, OBJ_REF_DELTA = 3, 7


def size_bytes(size):
    """As a delta says the sizes of what it is of and what it makes."""
    out = bytearray()
    while size > 0x7f:
        out.append(0x80 | size & 0x7f)
        size >>= 7
    return bytes(out) + bytes([size])


def header(kind, size):
    out = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        out[-1] |= 0x80
        out.append(size & 0x7f)
        size >>= 7
    return bytes(out)


def push(old, new, pack):
    command = b"%s %s refs/heads/main\0 report-status\n" % (old.encode(), new.encode())
    return b"%04x%s0000%s" % (len(command) + 4, command, pack)


def bomb(wanted):
    base = b"a" * 65536
    base_id = hashlib.sha1(b"blob %d\0" % len(base) + base)
    copy = bytes([0x80])  # offset 0, size 0: that is 64 KiB
    delta = size_bytes(len(base)) + size_bytes(wanted) + copy * (wanted // len(base))
    made = hashlib.sha1(b"blob %d\0" % wanted)
    for _ in range(wanted // len(base)):
        made.update(base)
    pack = b"PACK" + struct.pack(">II", 2, 2) + header(OBJ_BLOB, len(base)) + zlib.compress(base)
    pack += header(OBJ_REF_DELTA, len(delta)) + base_id.digest() + zlib.compress(delta)
    print(made.hexdigest(), file=sys.stderr)
    return pack + hashlib.sha1(pack).digest()


if sys.argv[1] == "push":
    pack = sys.stdin.buffer.read()
    if len(sys.argv) > 4:
        pack = pack[:-1] + bytes([pack[-1] ^ 1])
    sys.stdout.buffer.write(push(sys.argv[2], sys.argv[3], pack))
else:
    sys.stdout.buffer.write(bomb(int(sys.argv[2])))
