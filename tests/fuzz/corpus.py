#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Writes the committed corpora of the fuzzers anew: tests/fuzz/corpus.py [TARGET...].
tests/fuzz/corpus.py --large TARGET FOLDER writes inputs just under 1 MiB instead, which are
committed nowhere.

Seeds that nothing else in the repository has: what drivers, QEMU, browsers, clients and
git objects look like, and what an attacker would make of them.
"""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
seeds = {}


def seed(target, name, data):
    seeds.setdefault(target, {})[name] = data if isinstance(data, bytes) else data.encode()


def lines(*some):
    return "".join(line + "\n" for line in some)


UID = "0123456789abcdef0123456789abcdef"
UID2 = "fedcba9876543210fedcba9876543210"

# ---- manifests
seed("manifests", "flow-depth", "[" * 4000)
seed("manifests", "map-depth", "{a: " * 200)
seed("manifests", "duplicate", "apiVersion: spinel/v1\nkind: Pool\nkind: Pool\nmetadata: {name: a, name: b}\nspec: {}\n")
seed("manifests", "alias-bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
seed("manifests", "merge", "a: &a {<<: *a}\n")
seed("manifests", "tags", "apiVersion: !!str spinel/v1\nkind: !include x\n")
seed("manifests", "bom", "\ufeffkind: Pool\n\ufeffmetadata: {name: \u202ea}\n")
seed("manifests", "utf16", "kind: Pool\n".encode("utf-16"))
seed("manifests", "nul", b"kind: Pool\0x\nmetadata: {name: \"a\\0b\"}\n")
NET = """apiVersion: spinel/v1
kind: Project
metadata: {name: shop}
spec: {}
---
apiVersion: spinel/v1
kind: VPC
metadata: {project: shop, name: net}
spec: {prefixes: [10.0.0.0/16]}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {project: shop, name: apps}
spec: {vpc: net, prefix: 10.0.1.0/24}
---
apiVersion: spinel/v1
kind: Firewall
metadata: {project: shop, name: fw, annotations: {a: b}}
spec:
  vpc: net
  rules: [{name: web, direction: in, action: allow, targets: {role: web}, protocols: [{protocol: tcp, ports: ["80", "443-445"]}]}]
---
apiVersion: spinel/v1
kind: FloatingIP
metadata: {project: shop, name: ip, renamedFrom: old}
spec: {address: 192.0.2.7, instance: web}
---
apiVersion: spinel/v1
kind: PortForward
metadata: {project: shop, name: fwd}
spec: {protocol: tcp, port: 8080, instance: web, targetPort: 80}
---
apiVersion: spinel/v1
kind: Instance
metadata: {project: shop, name: web, labels: {role: web}}
spec: {cpus: 1, maxCpus: 2, memory: 192MiB, maxMemory: 512MiB, disks: [{name: data, volume: db}], nics: [{name: eth0, subnet: apps, address: 10.0.1.9}]}
---
apiVersion: spinel/v1
kind: Volume
metadata: {project: shop, name: db}
spec: {size: 1GiB, pool: fast, onRemove: delete, protect: true}
---
apiVersion: spinel/v1
kind: Pool
metadata: {name: fast}
spec: {}
"""
seed("manifests", "rack", NET)

# ---- site
SITE = """apiVersion: spinel/v1
kind: Site
metadata: {name: lab}
spec:
  repository: {path: ./manifests.git, branch: main, subdir: a/b, owner: root}
  stateDir: ./state
  drivers: {default: sim, instance: qemu}
  driverDirs: [./drivers]
  settings: {sim: {latency: 5}}
  web: {listen: "127.0.0.1:8420", tokenFile: ./token}
"""
seed("site", "small", SITE)
seed("site", "twice", SITE + "---\n" + SITE)
seed("site", "wrong", "kind: Site\nspec: [1]\n")

# ---- texts: a byte that says which grammar, then the text
for index, texts in enumerate([
    ["10.0.0.0/8", "fd00::/64", "0.0.0.0/0", "10.0.0.1/33"], ["10.0.0.1", "::1", "fe80::1%eth0"],
    ["52:54:00:aa:bb:cc"], ["https://example.org/a?b#c", "file:///x", "http://[::1]:8/"],
    ["sha256:" + "a" * 64], ["/a/b/../c", "./x"], ["80", "80-90", "0-65536"], ["web-1", "-a", "a" * 64],
    ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk2 a@b"], ["23:59", "24:00"],
    ["4GiB", "9223372036854775807B", "1h30m", "2026-01-31T23:59:59Z", "app.example.org/name"],
    ['{"a":[1,-1,null,true,"\\u00e9\\ud83d\\ude00"],"b":{"c":9223372036854775807}}', "[" * 100],
    ["a\x1b[31m\u202e\u200b\t\x7f"],
]):
    for n, text in enumerate(texts):
        seed("texts", "%02d-%d" % (index, n), bytes([index]) + text.encode())

# ---- qmp
GREETING = '{"QMP":{"version":{"qemu":{"major":7}},"capabilities":["oob"]}}\r\n'
replies = "".join('{"return":{"status":"running"},"id":%d}\r\n' % i for i in range(1, 7))
DELETED = '{"event":"DEVICE_DELETED","data":{"device":"disk0","path":"/x"},"timestamp":{"seconds":1,"microseconds":2}}\r\n'
seed("qmp", "good", GREETING + replies)
seed("qmp", "events", GREETING + DELETED + '{"return":{},"id":1}\n' + DELETED + replies)
seed("qmp", "refused", GREETING + '{"return":{},"id":1}\n{"error":{"class":"DeviceNotFound","desc":"no"},"id":2}\n{"id":3}\n')
seed("qmp", "depth", GREETING + '{"return":' + "[" * 200 + "\n")

# ---- qcow2 headers
def qcow2(version=3, backing=0, size=1 << 30, crypt=0, incompatible=0, tail=b""):
    return struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, backing, 0, 16, size, crypt, 1, 0x30000, 0x10000, 1,
                       0, 0, incompatible, 0, 0, 4, 104) + tail
seed("qcow2_headers", "good", qcow2())
seed("qcow2_headers", "v2", qcow2(2)[:72])
seed("qcow2_headers", "backing", qcow2(backing=104, tail=b"/etc/shadow"))
seed("qcow2_headers", "huge", qcow2(size=1 << 63))
seed("qcow2_headers", "data-file", qcow2(incompatible=4))

# ---- what programs print: their status, then their words
IMAGE_INFO = {"virtual-size": 1 << 30, "filename": "/dev/fd/7", "cluster-size": 65536, "format": "qcow2", "actual-size": 200704,
              "format-specific": {"type": "qcow2", "data": {"compat": "1.1", "compression-type": "zlib", "lazy-refcounts": False,
                                                            "refcount-bits": 16, "corrupt": False, "extended-l2": False}}, "dirty-flag": False}
for name, more in {"good": {}, "backing": {"backing-filename": "/etc/shadow", "full-backing-filename": "/etc/shadow"},
                   "data-file": {"format-specific": {"data": {"data-file": "/etc/shadow"}}}, "raw": {"format": "raw"}}.items():
    seed("program_outputs", name, b"\0" + json.dumps(dict(IMAGE_INFO, **more), indent=4).encode() + b"\n")
seed("program_outputs", "failed", b"\x01qemu-img: Could not open '/dev/fd/7': Image is corrupt\n\n")
seed("program_outputs", "full", b"\x01qemu-img: x: No space left on device\r\n")
seed("program_outputs", "missing", b"\x7fcannot run qemu-img: No such file or directory\n")
seed("program_outputs", "killed", b"\x89")
seed("program_outputs", "noise", b"\0warning: \x1b[31mlazy refcounts\n{}")

# ---- what a script behind the exec driver prints; a line "====", its messages
VOLUME = {"kind": "Volume", "project": "shop", "name": "db", "epoch": 3, "released": False, "spec": {"size": 5}, "booted": None,
          "status": {"state": "there"}, "damage": [{"path": "status.file", "desired": "present", "observed": "missing"}]}
def script(first, output, messages=""):
    return first + output.encode() + (b"\n====\n" + messages.encode() if messages else b"")
seed("scripts", "object", script(b"\x00", json.dumps(VOLUME), "a warning"))
seed("scripts", "absent", script(b"\x00", '{"absent":true,"epoch":4}'))
seed("scripts", "nothing", script(b"\x00", " \n"))
seed("scripts", "odd-object", script(b"\x00", json.dumps(dict(VOLUME, spec=[1], status="x", damage={}, epoch="3", project=7))))
seed("scripts", "list", script(b"\x20", json.dumps({"list": [[UID, 3, "e"], [UID2, 0, ""]],
                                                    "unmanaged": [{"kind": "Volume", "native": "/x\x1b[2J", "why": 5}, 7]})))
seed("scripts", "odd-list", script(b"\x20", '{"list":[["x",-1,"e"],[1,2,3],{}]}'))
seed("scripts", "applied", script(b"\x10", "done"))
for status in (1, 2, 3, 4, 127 & 0x0f, 0x89):
    seed("scripts", "failed-%02x" % status, script(bytes([0x10 | status]), "x", "first\nno room on /x  \n\n"))

# ---- the run directory of a machine, and what its QEMU says (see instances.c)
MACHINE = {"uid": UID, "title": "shop/web", "type": "pc-q35-7.2", "accel": "auto", "cpuModel": None, "cpus": 1, "maxCpus": 2,
           "memory": 1 << 28, "maxMemory": 1 << 29, "target": 1 << 28, "uefi": False, "serial": True, "kernel": None, "initrd": None,
           "cmdline": "console=ttyS0", "seed": None, "sparePorts": 4, "ports": 8,
           "disks": [{"name": "d", "volume": "db", "uid": UID2, "path": "/p", "format": "raw", "bus": "virtio", "serial": "s",
                      "readOnly": False, "bootOrder": 1, "slot": 0}],
           "nics": [{"name": "n", "uid": UID2, "mac": "52:54:00:aa:bb:cc", "address": "10.0.0.5", "netns": "sp-x", "tap": "t",
                     "connected": True, "slot": 1, "fd": 40}]}
RECORD = {"tag": "", "user": 64001, "accel": {"used": "tcg", "reason": "no KVM"}, "stoppingSince": 0, "machine": MACHINE,
          "booted": {"cpus": 1, "memory": 1 << 28}}
PROCESS = {"pid": 4194304, "launcher": 4194303, "start": 5, "launcherStart": 4, "since": 1700000000, "boot": "0" * 36}
EXIT = {"pid": 4194304, "at": 1700000001, "code": 0, "event": {"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-shutdown"}}}
def said(*answers, events=""):
    return GREETING + '{"return":{},"id":1}\n' + events + "".join(
        json.dumps({"return": answer, "id": n + 2}) + "\n" for n, answer in enumerate(answers))
LOOK = ({"status": "running", "running": True}, [{"cpu-index": 0}], [{"name": "disk0", "type": "child<x>"}, {"name": "nic1", "type": "child<y>"}],
        {"actual": 1 << 28}, 1)
def run_dir(record=RECORD, process=PROCESS, exit=EXIT, log="qemu: last words\n", monitor=said(*LOOK)):
    return "\n====\n".join([*(part if isinstance(part, str) else json.dumps(part) for part in (record, process, exit)), log, monitor])
ENDED = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}\n'
seed("instances", "running", run_dir())
seed("instances", "odd-answers", run_dir(monitor=said("running", {"a": 1}, "disk0", [1], events=DELETED)))
seed("instances", "paused", run_dir(monitor=said({"status": "io-error"}, [], [{"name": 5}, 7], {"actual": "x"})))
seed("instances", "ended", run_dir(monitor=GREETING + ENDED))
seed("instances", "panicked", run_dir(monitor=GREETING + ENDED.replace("SHUTDOWN", "GUEST_PANICKED") + ENDED))
seed("instances", "torn-event", run_dir(monitor=GREETING + '{"event": "SHUTDOWN", "data": {"reason": "x\n'))
seed("instances", "killed", run_dir(exit={"pid": 4194304, "at": -1, "signal": 9}))
seed("instances", "no-accel", run_dir(record={"machine": MACHINE}))
seed("instances", "none", run_dir("", "", "", "", ""))
seed("instances", "odd-record", run_dir(record=dict(RECORD, user="x", accel=[], machine=dict(MACHINE, disks=[MACHINE["disks"][0]] * 32)),
                                       process={"pid": 4294967297, "start": -1, "since": 1 << 62, "boot": "x" * 60}, exit=[]))

# ---- the file driver's places (see pools.c)
def tag(kind, name, uid=UID, **more):
    return json.dumps(dict({"kind": kind, "project": "shop", "name": name, "uid": uid, "epoch": 3, "released": False,
                            "extra": {"pool": "fast", "image": "base", "named": True, "size": 4, "changed": 5, "format": "qcow2",
                                      "digest": "sha256:" + "a" * 64, "content": "x", "spec": {"metaData": "{}"}}}, **more))
seed("pools", "all", lines("n %s {\"path\":\"state/pools/main\",\"device\":5}" % UID2, "u 99999999", "p " + tag("Pool", "fast", UID2),
                           "g p %s.raw %s" % (UID, tag("Volume", "db")), "f p stranger x", "f t %s.1700000000.5 x" % UID2,
                           "g i %s.tag %s" % (UID, tag("Image", "base")), "f i " + "a" * 64 + " x", "g s %s.img %s" % (UID, tag("Seed", "web"))))
seed("pools", "qcow2", lines("g p %s.qcow2 %s" % (UID, tag("Volume", "db", epoch=-1, extra=[]))))
seed("pools", "odd-trash", lines("u 9223372036854775807", "f t %s.-9223372036854775808.-1 x" % UID, "f t a.1.2 x", "f t %s.1.2.tag x" % UID,
                                 "f t %s.9223372036854775807.99999999999999999999 x" % UID2, "f t %s.1.2x x" % UID))
seed("pools", "odd-notes", lines("n %s {\"path\":5}" % UID, "n x []", "n y {\"path\":\"state/pools/main/f/g\"}", "f p f x",
                                 "n z {\"path\":\"%s\"}" % ("d" * 300), "n w {"))
seed("pools", "odd-uptime", lines("u -9223372036854775808", "f t %s.5.5 x" % UID))
seed("pools", "unmounted", lines("n %s {\"path\":\"state/pools/main\",\"device\":-1}" % UID, "g p %s.raw {}" % UID))

# ---- what is given to cloud-init: a byte, then an instance's cloudInit
for name, given in {"all": {"userData": "#cloud-config\npassword: a-secret-that-nobody-guesses-at-all-40\n", "networkConfig": "version: 2\n",
                            "hostname": "db-1", "sshKeys": ["ann"], "instanceIdPolicy": "bump"},
                    "empty": {}, "only-user": {"userData": "#!/bin/sh\n\u0001\ttrue # \u00e9\u2028"}, "nobody": {"sshKeys": ["bob"]},
                    "slip": {"hostname": "a\npublic-keys: [x]", "networkConfig": "\"\\: {}\r\n---\n"}}.items():
    seed("seeds", name, b"\0" + json.dumps(given).encode())
seed("seeds", "long", b"\xff" + json.dumps({"userData": "x" * 60}).encode())

# ---- records of a VPC, a line each
def record(kind, name, spec, chosen={}, uid=UID):
    return json.dumps({"kind": kind, "uid": uid, "project": "shop", "name": name, "epoch": 1, "released": False, "spec": spec, "chosen": chosen})
NETWORK = [
    record("VPC", "net", {"prefixes": ["10.0.0.0/16"], "nat": True, "mtu": 1450}, {"transit": 3, "tag": "t", "inode": 5}),
    record("Subnet", "apps", {"vpc": "net", "cidr": "10.0.1.0/24", "gateway": "10.0.1.1", "dhcp": True,
                              "dns": {"enabled": True, "domain": "internal", "servers": ["192.0.2.53"]}}, uid="1" * 32),
    record("NIC", "web.eth0", {"instance": "web", "interface": "eth0", "subnet": "apps", "address": "10.0.1.5", "mac": "02:00:00:00:00:05",
                               "labels": {"role": "web"}}, uid="2" * 32),
    record("NIC", "db.eth0", {"instance": "db", "interface": "eth0", "subnet": "apps", "address": "10.0.1.6", "mac": "02:00:00:00:00:06"}, uid="3" * 32),
    record("Firewall", "fw", {"vpc": "net", "rules": [
        {"name": "web", "direction": "in", "action": "allow", "targets": [{"label": "role=web"}], "hosts": [{"cidr": "0.0.0.0/0"}],
         "protocols": [{"protocol": "tcp", "ports": ["80", "443-445"]}, {"protocol": "icmp", "icmpTypes": ["echo-request", "3/4"]}], "log": True},
        {"name": "none", "direction": "out", "action": "deny", "priority": 5, "targets": [{"instance": "db"}], "hosts": [{"subnet": "apps"}, {"vpc": "net"}]}]}),
    record("FloatingIP", "ip", {"address": "192.0.2.7", "instance": "web"}),
    record("PortForward", "fwd", {"protocol": "tcp", "port": 8080, "instance": "web", "nic": "eth0", "targetPort": 80, "address": "192.0.2.8"}, {"transitPort": 9})]
seed("networks", "whole", lines(*NETWORK))
seed("networks", "bare", lines(NETWORK[0], record("Subnet", "s", {"cidr": "10.0.9.0/30"}), record("NIC", "n", {"address": "10.0.9.2", "mac": "02:00:00:00:00:09"})))
seed("networks", "closed", lines(*NETWORK[:4], record("Firewall", "fw", {"rules": [{"name": "x", "action": "deny", "priority": -1}]})))
seed("networks", "odd-lists", lines(*NETWORK[:4], record("Subnet", "t", {"cidr": "10.0.2.0/24", "dns": {"enabled": False, "servers": [5, {}]}}),
                                   record("Subnet", "u", {"cidr": "10.0.3.0/24", "dns": {"servers": "x"}}),
                                   record("Firewall", "fw", {"rules": [7, {"protocols": [5, {"protocol": "tcp", "ports": [80, []]}, {"protocol": "icmp", "icmpTypes": [8, {}]}],
                                                                           "targets": [1], "hosts": [{"label": 5}]}]})))
seed("networks", "odd-numbers", lines(record("VPC", "net", {"mtu": 1 << 62}, {"transit": -1}), record("PortForward", "f", {"port": -1, "targetPort": 1 << 40})))

# ---- tags, ledgers
seed("tags", "volume", json.dumps({"rack": "r1", "kind": "Volume", "project": "shop", "name": "db", "uid": UID, "epoch": 3,
                                   "released": False, "extra": {"a": 1}, "mac": "0" * 64}))
seed("tags", "odd", json.dumps({"rack": "r1", "kind": 7, "epoch": -1, "released": "x", "extra": []}))
seed("ledgers", "good", "spinel-ledger 1\nadmit %s 3\ndone %s 3 delete op\ndone %s 4 create o2\n" % (UID, UID, UID2))
seed("ledgers", "torn", "spinel-ledger 1\nadmit %s 18446744073709551615\ndone %s 99999999999999999999 del" % (UID, UID))
seed("ledgers", "bad", "spinel-ledger 2\nadmit x\n")

# ---- records
seed("records", "vpc", b"\0" + json.dumps({"kind": "VPC", "uid": UID, "name": "net", "epoch": 1, "spec": {"prefixes": ["10.0.0.0/16"]},
                                          "chosen": {}}).encode())
seed("records", "escape", b"\0" + json.dumps({"kind": "VPC", "uid": "../../x", "name": "net", "spec": {}}).encode())
seed("records", "machine", b"\1" + json.dumps({
    "uid": UID, "title": "t", "type": "q35", "accel": "tcg", "cpus": 1, "maxCpus": 2, "memory": 1, "maxMemory": 2, "sparePorts": 4,
    "disks": [{"name": "d", "volume": "v", "uid": UID2, "path": "/p", "format": "raw", "bus": "virtio", "serial": "s", "slot": 0}],
    "nics": [{"name": "n", "uid": UID2, "mac": "52:54:00:aa:bb:cc", "netns": "x", "tap": "t", "slot": 1}]}).encode())

# ---- git objects: letter, length, bytes; '@' links (see git_objects.c)
def git_object(letter, data):
    data = data if isinstance(data, bytes) else data.encode()
    return letter.encode() + struct.pack(">H", len(data)) + data
def entry(mode, name, index):
    return mode.encode() + b" " + (name if isinstance(name, bytes) else name.encode()) + b"\0@" + bytes([index]) + b"." * 18
def commit(tree, parents=(), who="Ann <a@b>", message="A change\n"):
    head = "tree @" + chr(tree) + "\n" + "".join("parent @" + chr(p) + "\n" for p in parents)
    return git_object("c", head.encode("latin-1") + ("author %s 1700000000 +0000\ncommitter %s 1700000000 +0000\n\n%s" % (who, who, message)).encode())
POOL = "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n"
blob = git_object("b", POOL)
seed("git_objects", "good", blob + git_object("t", entry("100644", "a.yaml", 0)) + commit(1)
     + git_object("t", entry("100644", "a.yaml", 0) + entry("40000", "b", 1)) + commit(3, (2,)))
for name, entries in {
    "link": entry("120000", "a.yaml", 0), "module": entry("160000", "m", 0), "dots": entry("100644", "..", 0),
    "dotgit": entry("40000", ".GIT", 0), "slash": entry("100644", "a//b.yaml", 0), "back": entry("100644", "a\\b.yaml", 0),
    "escape": entry("100644", "a\x1b[31m.yaml", 0), "unsorted": entry("100644", "b.yaml", 0) + entry("100644", "a.yaml", 0),
    "twice": entry("100644", "a.yaml", 0) * 2, "mode": entry("100777", "a.yaml", 0), "empty": entry("100644", "", 0),
    "utf8": entry("100644", b"a\xff.yaml", 0), "bidi": entry("100644", "\u202eb.yaml", 0), "long": entry("100644", "a" * 5000 + ".yaml", 0),
}.items():
    seed("git_objects", name, blob + git_object("t", entries) + commit(1))
bomb = blob + git_object("t", b"".join(entry("100644", "f%d.yaml" % i, 0) for i in range(10)))
for level in range(9):
    bomb += git_object("t", b"".join(entry("40000", "d%d" % i, level + 1) for i in range(10)))
seed("git_objects", "bomb", bomb + commit(10))
seed("git_objects", "author", blob + git_object("t", entry("100644", "a.yaml", 0)) + commit(1, (), "\x1b]0;x\x07 <\x1b[2J>", "\x1b[31mred\n"))
seed("git_objects", "parents", blob + git_object("t", entry("100644", "a.yaml", 0)) + commit(1) + commit(1, (2,) * 30))

# ---- frames of drivers to the engine (see driver_frames.c)
TRUE = "n\n" * 12
OBJECT = {"uid": UID, "kind": "Volume", "project": "shop", "name": "db", "epoch": 1, "released": False,
          "spec": {"size": 1073741824, "pool": "fast"}, "booted": None, "status": {"state": "there"},
          "damage": [{"path": "status.file", "desired": "present", "observed": "missing"}]}
seed("driver_frames", "true", TRUE * 4)
seed("driver_frames", "change", TRUE * 4 + "c\n" + TRUE * 4)
seed("driver_frames", "stranger", lines("n", "n", 'a {"list":[["%s",7,"e"]],"complete":true}' % UID, "n", "n",
                                        'a {"objects":[%s],"complete":true}' % json.dumps(OBJECT)) + TRUE)
seed("driver_frames", "partial", "n\nn\n" + lines('a {"list":[],"complete":false}', 'a {"list":[]}', "t") * 3 + TRUE)
seed("driver_frames", "empty", TRUE * 4 + lines('e {"method":"changed","params":{"uid":null}}', "t",
                                                'a {"list":[],"complete":true}') + TRUE)
seed("driver_frames", "refused", "n\nn\nn\nn\n" + lines(
    *['r {"code":%d,"message":"no\\u001b[2J","data":{"kind":"%s","hint":"h"}}' % (code, kind) for code, kind in
      ((-32009, "stale"), (-32000, "invalid"), (-32000, "busy"), (-32000, "no-space"))]) + TRUE)
seed("driver_frames", "notices", TRUE + lines(
    'd {"method":"changed","params":{"uid":"%s","why":"x"}}' % UID, 'd {"method":"progress","params":{"op":"x","percent":-1}}',
    'e {"method":"log","params":{"level":"info","message":"m"}}', 'd {"id":999,"result":{}}', 'd {"id":1,"error":5}', "t", "k", "t") + TRUE)
seed("driver_frames", "epochs", "n\nn\n" + lines(
    'a {"list":[["%s",-1,"e"],["%s",9223372036854775807,"f"]],"complete":true}' % (UID, UID2),
    'a {"objects":[{"uid":"%s","epoch":9223372036854775807,"absent":true}],"complete":true}' % UID) + TRUE)
seed("driver_frames", "deep", TRUE * 2 + lines('e {"method":"changed","params":{}}', "t", 'a {"objects":[{"uid":"%s","spec":{"size":%s}}],"complete":true}'
                                               % (UID, "[" * 50 + "]" * 50)) + TRUE)

# ---- a daemon's lines to a driver
def rpc(number, method, params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
apply = {"op": "o1", "uid": UID, "epoch": 1, "verb": "create", "kind": "Volume", "project": "shop", "name": "db", "generation": 1,
         "spec": {"size": 5}, "labels": {}, "changed": [], "refs": {}, "deadline": 30}
seed("driver_requests", "life", lines(rpc(2, "observe", {}), rpc(3, "observe", {"uids": [UID, UID2]}), rpc(4, "apply", apply),
                                      rpc(5, "apply", dict(apply, op="o2", epoch=2, verb="delete", spec=None)),
                                      rpc(6, "apply", dict(apply, op="o2", epoch=2, verb="delete", spec=None)),
                                      rpc(7, "apply", dict(apply, epoch=1)), rpc(8, "cancel", {"op": "o1"})))
seed("driver_requests", "wrong", lines(rpc(2, "observe", {"uids": [1]}), rpc("a", "apply", {}), rpc(4, "nothing", {}), rpc(5, "initialize", {}),
                                       '{"jsonrpc":"2.0","id":1.5,"method":"observe"}', "[" * 300, "{}", "\xff", "",
                                       rpc(9, "apply", dict(apply, epoch=-1)), rpc(9, "apply", dict(apply, deadline=1 << 60)),
                                       rpc(9, "apply", dict(apply, spec={"fail": "\u001b"})), rpc(None, "apply", apply)))

# ---- rows of the store: a line a column, in the order of store_rows.c
seed("store_rows", "deep", lines("[" * 64 + "]" * 64, "{}", "{}", '{"size":"x","pool":["fast"]}', '{"size":1}', '{"state":5}',
                                 '[{"path":"status.x","desired":1}]', "1", "-1", "9223372036854775807"))
seed("store_rows", "kinds", lines("null", "null", "[]", "{}", "{}", "[]", "{}", "2", "5", "1", "Instance", UID2, "other", "x", "-5", "-1", "9", "9",
                                  '{"fields":[{"path":1}]}', "-1", '{"op":[],"ms":"x"}', "plan.made", "-1", '{"steps":[{"fields":{}}]}'))
seed("store_rows", "life", lines("{}", "{}", "{}", "{}", "{}", "{}", "[]", "99", "1", "1", "Nothing"))

seed("store_rows", "numbers", lines("@00" + "9223372036854775807", *["9223372036854775807"] * 5))
seed("store_rows", "times", "".join("@%02x-9223372036854775808\n" % cell for cell in (10, 11, 12, 20, 21, 22, 25, 28, 29, 31, 40, 41)))
seed("store_rows", "nothing", lines(*["\\N"] * 32) + lines("@00", *["\\N"] * 92))
seed("store_rows", "events", lines(
    '@23{"checkedAt":"9999-12-31T23:59:59.999Z","checkMs":9223372036854775807}',
    '{"revision":1,"commit":"c1","ms":-9223372036854775808}', '{"ms":9223372036854775807,"lookMs":-1,"summary":[]}',
    '{"op":"op","verb":5}', '{"op":"op","callMs":9223372036854775807}', "0", "1", "op.started", "revision.accepted", "9223372036854775807", '[{"kind":5}]'))
seed("store_rows", "facts", lines('@2d[5]', '{"a":1}', '[{"uid":5,"count":-1,"last":9223372036854775807,"nextTry":-9223372036854775808},7]', "-9223372036854775808",
                                  "pending"))
seed("store_rows", "instance", lines('@33{"formerly":"x","becomes":"y","address":"10.0.0.1"}', '{"cpus":"x"}', "1", '{"power":5,"disks":[{"name":1}]}'))
seed("store_rows", "intents", lines("@07delete", "claimed", "-1", "1", "0", "9223372036854775807", "1", "0") + "@37" + UID2 + "\nx\n")
seed("store_rows", "life-of-two", lines("@352", "@39other", "p", "Nothing", "@1b\u001b[2J", "5", "-1", "sleep", "253402300800", "0" * 32, "../x", ""))

# ---- clients of the control socket
seed("control", "reports", lines(*[rpc(n, m, p) for n, (m, p) in enumerate([
    ("status", {}), ("plan", {"commit": None, "cached": True}), ("plan", {"commit": None}), ("drift", {}), ("drift", {"since": 1}),
    ("observe", {}), ("follow", {"seq": 0}), ("follow", {"seq": None}), ("pushed", {"commit": "x", "who": "bob"}), ("apply", {"saved": None})])]))
seed("control", "decisions", lines(*[rpc(n, m, p) for n, (m, p) in enumerate([
    ("freeze", {"what": "changes", "who": "\u001b[2J", "why": "w\n", "until": -1}), ("lift", {"what": "changes"}), ("approve", {"hold": "x"}),
    ("purge", {"uid": UID, "who": "a"}), ("freeze", {"what": "sleep"}), ("stop", {})])]))
seed("control", "check", lines(rpc(1, "check", {"commit": "c" * 40, "base": None, "ref": "refs/heads/main", "forced": False, "changes": [
    {"path": "a.yaml", "blob": None, "data": POOL}, {"path": "../x.yaml", "blob": "zz", "data": None}, {"path": "b.yaml", "blob": "a" * 40}]}),
    rpc(2, "check", {"commit": "d" * 40, "changes": [{"path": "n.yaml", "data": NET}]}),
    rpc(3, "check", {"base": "zz", "changes": 5}), rpc(4, "plan", {"commit": "../../x"}), rpc(5, "plan", {"commit": "a" * 4000})))
seed("control", "saved", lines(rpc(1, "apply", {"saved": {"schema": "spinel/saved-plan/v1", "digest": "0", "plan": {}}}), rpc(2, "apply", {"saved": []})))
seed("control", "noise", lines("", "[", "5", "[]", '{"id":"x","method":5}', '{"id":1,"method":"status","params":5}', "\xff"))

# ---- requests to the viewer
def http(method, path, headers=(), body="", version="1.1"):
    head = ["%s %s HTTP/%s" % (method, path, version), "Host: localhost:8420"] + list(headers)
    return "\r\n".join(head) + "\r\n\r\n" + body
for n, path in enumerate(["/", "/app.js", "/api/v1/status", "/api/v1/resources?kind=Volume&offset=0&limit=5&q=d", "/api/v1/resources/" + UID,
                          "/api/v1/network", "/api/v1/plan", "/api/v1/drift?since=1", "/api/v1/events?after=-1&limit=1", "/api/v1/revisions",
                          "/api/v1/operations", "/api/v1/trace?rev=1", "/api/v1/trace/1", "/metrics", "/api/v1/openapi.json", "/api/v1/stream", "/x"]):
    seed("http", "get-%02d" % n, http("GET", path))
TOKEN = "Authorization: Bearer a-token-that-nobody-guesses"
JSON = "Content-Type: application/json"
for n, (path, body) in enumerate([("approve", {"hold": "x"}), ("freeze", {"what": "changes", "why": "w", "until": "1h"}), ("lift", {"what": "changes"}),
                                  ("nothing", {})]):
    body = json.dumps(body)
    seed("http", "post-%d" % n, http("POST", "/api/v1/" + path, [TOKEN, JSON, "Content-Length: %d" % len(body)], body))
seed("http", "smuggle", http("POST", "/api/v1/lift", [JSON, "Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
seed("http", "chunks", http("POST", "/api/v1/lift", [TOKEN, JSON, "Transfer-Encoding: chunked"], "2\r\n{}\r\nffffffffffffffff\r\nx"))
seed("http", "rebind", http("GET", "/", ["Host: evil.example"]) + "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
seed("http", "traverse", http("GET", "/../../../../etc/passwd%00") + http("GET", "/api/v1/resources/%2e%2e/x?limit=99999999999999999999"))
seed("http", "old", "GET /metrics HTTP/1.0\n\n")
seed("http", "pipeline", http("HEAD", "/api/v1/status", ["If-None-Match: \"x\""]) * 3 + http("DELETE", "/"))
seed("http", "resume", http("GET", "/api/v1/stream", ["Last-Event-ID: 0", "Accept: text/event-stream"]))

# ---- what a core says to the supervisor (see core_messages.c): verbs and drivers are numbers
START, KILL, ANSWERS, READY, REFUSED = range(5)
def told(verb, driver=0):
    return b"m" + bytes([verb, driver])
seed("core_messages", "life", told(ANSWERS) + told(READY) + told(START) + b"a" + told(START, 1) + b"ad\0\1a" + told(KILL, 1) + b"a"
     + told(START) + b"aw" + b"t\x0a")
seed("core_messages", "falls", told(READY) + told(START) + told(START, 1) + b"c\1" + b"t\x0a" + told(READY) + told(START) + b"ac\0")
seed("core_messages", "unkillable", told(READY) + told(START) + b"x" + told(KILL) + b"c\1x" + told(START) + b"ag" + told(START) + b"a")
seed("core_messages", "refuses", told(REFUSED) + b"c\3")
seed("core_messages", "descriptors", b"".join(b"f" + bytes([verb, 0, count]) for verb in (READY, START, 77) for count in range(8)))
seed("core_messages", "odd", told(200, 200) + told(START, 255) + told(KILL, 3) + b"b\0x" + b"b\1x" + b"b\x83\0" + b"b\xffx")
seed("core_messages", "no-driver", told(READY) + b"l" + told(START) * 3 + b"a")

# ---- what a call's process says to the driver (see call_frames.c)
def frame(letter, data):
    return struct.pack("<II", len(data), ord(letter)) + data
def child(status, *frames):
    data = b"".join(frames)
    return bytes([status]) + struct.pack(">H", len(data)) + data
def failure(code, message=b"", hint=b""):
    return struct.pack("<ii", code, 0) + message.ljust(768, b"\0") + hint.ljust(256, b"\0")
def looked(*numbers):
    return [frame("o", b'{"uid":"%032d"}' % n) for n in numbers]
def outcome(member, error):
    return frame("u", struct.pack("<I", member) + error)
LIST, LOOK_AT, APPLY, GROUP = (bytes([n]) for n in range(4))
seed("call_frames", "list", LIST + child(0, frame("r", b'{"list":[],"complete":true}')))
seed("call_frames", "look", LOOK_AT + child(0, *looked(1, 2, 3, 4)))
seed("call_frames", "look-at-once", LOOK_AT + child(0, frame("r", b"{},{},{},{}")))
seed("call_frames", "look-crashes", LOOK_AT + child(0x8b, *looked(1)) + child(0x8b, *looked(3)) + child(0))
seed("call_frames", "apply", APPLY + child(0, frame("n", b'{"method":"progress"}\n'), frame("r", b'{"epoch":3}')))
seed("call_frames", "apply-fails", b"\x12" + child(1, frame("e", failure(-4, b"busy", b"wait"))))
seed("call_frames", "ledger-full", b"\x22" + child(0, frame("r", b'{"epoch":13}')))
seed("call_frames", "torn", APPLY + child(0x89, frame("r", b'{"epoch":3}')[:-3]))
seed("call_frames", "huge", APPLY + child(0x89, struct.pack("<II", 0xffffffff, ord("r")) + b"x"))
seed("call_frames", "group", GROUP + child(0, outcome(0, failure(0)), outcome(1, failure(-2, b"no")), outcome(2, failure(0))))
seed("call_frames", "group-crashes", GROUP + child(0x8b, outcome(1, failure(0))))
seed("call_frames", "odd", APPLY + child(0, frame("?", b"x")))

# ---- what a daemon tells a command that follows it: a byte, then lines
def event(type, text, **data):
    return json.dumps({"method": "event", "params": {"seq": 1, "at": "2026-01-01T00:00:00Z", "type": type, "text": text, "data": data}}) + "\n"
FOLLOWED = '{"jsonrpc":"2.0","id":1,"result":{}}\n'
told_events = FOLLOWED + event("op.started", "create Volume shop/db", step=1, of=2) + event("op.progress", "half \u6587 \u001b[2J way") + event(
    "op.failed", "it did\nnot work " + "word " * 40, hint="Look there. " * 12) + event("drift.found", "x") + event(
    "converged", "of another", revision=6) + event("converged", "all is well", revision=7)
for name, first in {"plain": 0x0f, "terminal": 0x1f, "pieces": 0x13, "narrow": 0x2f, "revision": 0x5f, "all": 0x8f}.items():
    seed("follow_frames", name, bytes([first]) + told_events.encode())
seed("follow_frames", "early", b"\x1f" + (event("op.confirmed", "done") * 3 + FOLLOWED + event("revision.refused", "not valid")).encode())
seed("follow_frames", "refused", b"\x0f" + json.dumps({"id": 1, "error": {"code": -32000, "message": "no\u001b[2J", "data": {
    "kind": "busy", "hint": "h"}}}).encode() + b"\n")
seed("follow_frames", "odd", b"\x1f" + (FOLLOWED + lines('{"method":"event"}', '{"method":"event","params":5}', '{"method":5}')
                                       + event("op.started", 5, step="x", of=[]) + "[\n").encode())

# ---- what a driver says to the conformance suite: how it ends, twice; then the answers, each process's behind a line "===="
class Conversation:
    def __init__(self):
        self.number, self.said = 0, ""
    def result(self, result):
        self.number += 1
        self.said += json.dumps({"jsonrpc": "2.0", "id": self.number, "result": result}) + "\n"
        return self
    def error(self, code, is_ours=True):
        self.number += is_ours
        self.said += json.dumps({"jsonrpc": "2.0", "id": self.number if is_ours else None, "error": {"code": code, "message": "no"}}) + "\n"
        return self
    def again(self):
        self.said += "====\n"
        return self.result(WHO)
WHO = {"name": "x", "version": "1", "kinds": ["Volume"]}
SUBJECT, NOBODY = "0c0f0c0f0c0f0c0f0c0f0c0f0c0f0c0f", "0dead0dead0dead0dead0dead0dead00"
def shown(epoch, released=False):
    return {"objects": [{"uid": SUBJECT, "epoch": epoch, "kind": "Volume", "project": "conformance", "name": "sample",
                         "spec": {"size": 1048576}, "released": released}], "complete": True}
def gone(uid, epoch):
    return {"objects": [{"uid": uid, "absent": True, "epoch": epoch}], "complete": True}
def listed(token, *rows):
    return {"list": list(rows), "complete": True, "token": token}
ROW = [SUBJECT, 5, "e"]
good = Conversation().result(WHO).error(-32601).error(-32700, False).result(listed("a")).error(-32600, False).result(listed("a"))
good.result(gone(NOBODY, 0)).result(listed("a")).result({"unchanged": "a", "complete": True}).error(-32602).result({"epoch": 5})
good.result(shown(5)).result(listed("b", ROW)).result(listed("b", ROW)).result(shown(5)).result({"epoch": 5}).result(shown(5))
good.error(-32009).result(shown(5)).result({"epoch": 6}).result(shown(6, True)).result({"epoch": 7}).result(shown(7))
good.again().result(shown(7)).error(-32009).result({"epoch": 8}).result({"killed": True}).result(listed("b", ROW))
good.result({"epoch": 9}).result(gone(SUBJECT, 9)).result(listed("a")).result({"epoch": 9}).result({"epoch": 3}).result(gone(NOBODY, 3))
good.again().result(gone(SUBJECT, 9)).error(-32009).result(gone(SUBJECT, 9)).again()
seed("driver_suite", "conforms", b"\0\1" + good.said.encode())
seed("driver_suite", "dies", b"\x8b\x8b" + good.said.encode())
seed("driver_suite", "refuses", b"\1\1" + b'{"id":1,"error":{"code":-32000,"message":"no\\u001b[2J"}}\n')
seed("driver_suite", "no-kind", b"\1\1" + Conversation().result(dict(WHO, kinds=[5, "Nothing"])).said.encode())
seed("driver_suite", "says-nothing", b"\1\1")
seed("driver_suite", "odd", b"\1\1" + (Conversation().result(WHO).said + lines(
    "[]", "5", '{"id":"1"}', '{"id":[2],"result":{}}', '{"id":2,"result":5}', '{"id":3,"result":{"list":[[1],{}],"complete":"x"}}')).encode())

# ---- a driver's three streams (see driver_streams.c)
def piece(letter, data):
    return letter.encode() + bytes([len(data)]) + data
seed("driver_streams", "lines", piece("o", b'{"id":1}\n{"id"') + piece("o", b":2}\n") + piece("e", b"noise\nmore") + piece("e", b" of it\n")
     + b"s\x09r\xff" + piece("o", b"x\n") + piece("o", b"torn"))
seed("driver_streams", "waits", b"s\x09s\xffS\xffr\x05r\xffr\xff" + piece("o", b"a\n"))
seed("driver_streams", "ends", piece("o", b"a\nb") + b"c\1" + piece("o", b"x"))
seed("driver_streams", "errors-end", piece("e", b"a\n") + b"c\2" + piece("o", b"x\n"))
seed("driver_streams", "deaf", b"c\0s\x09s\x09" + piece("o", b"x\n"))
seed("driver_streams", "given-up", b"g\0" + piece("o", b"a\nb\nc\n") + piece("o", b"d\n"))
seed("driver_streams", "long", (b"O\xff" + b"x" * 16320) * 2 + piece("o", b"\n") + b"E\xff" + b"y" * 16320 + piece("e", b"\nz\n"))
seed("driver_streams", "empty-lines", piece("o", b"\n" * 200) + piece("e", b"\n\n\0\n"))

# ---- who the rack is: a byte that says whether there is a file (1) and a row (2)
RACK_ID, RACK_SEED = UID.encode(), b"fedcba9876543210" * 4
RACK = RACK_ID + b" " + RACK_SEED + b"\n"
def rack_row(id=RACK_ID, raw=b"s" * 32):
    return b"====\n" + id + b"\n" + raw
for name, data in {"none": b"\0", "file": b"\1" + RACK, "row": b"\2\n" + rack_row(), "both": b"\3" + RACK + rack_row(),
                   "two-racks": b"\3" + RACK + rack_row(UID2.encode(), b"t" * 32), "torn": b"\1" + RACK[:60], "empty": b"\1",
                   "goes-on": b"\1" + RACK + b"x\n", "damaged-beside": b"\3x\n" + rack_row(), "row-short": b"\2\n" + rack_row(raw=b"s" * 31),
                   "row-of-other-bytes": b"\3" + RACK + rack_row(RACK_ID[:31] + b"\0"), "capitals": b"\1" + RACK.upper()}.items():
    seed("rack_identities", name, data)

# ---- just under 1 MiB, or as much as a target takes at once: each reaches what is read, and goes on and on there
LARGE = (1 << 20) - 64
def numbered(unit, number):
    return unit.replace(b"%d", b"%d" % number).replace(b"%u", b"%032d" % number)
def many(unit, first=b"", last=b"", most=LARGE):
    """`unit` again and again; a %d in it counts, and a %u does in 32 digits."""
    out, left, number = [first], most - len(first) - len(last), 0
    while (left := left - len(numbered(unit, number))) >= 0:
        out.append(numbered(unit, number))
        number += 1
    return b"".join(out) + last
def at_place(value):
    """What json.dumps() makes of `value`, before and behind "PLACE"."""
    return value if isinstance(value, tuple) else json.dumps(value).encode().split(b'"PLACE"')
def listed_many(value, unit, before=b"", behind=b"", most=LARGE):
    first, last = at_place(value)
    return many(unit + b",", before + first + b"[", numbered(unit, 0) + b"]" + last + behind, most)
def dense(value=(b"", b""), before=b"", behind=b"", most=LARGE):
    """What takes far more memory than bytes, or time by the square of its length, where "PLACE" stands."""
    first, last = at_place(value)
    first, last, chain = before + first, last + behind, b'{"":' * 40 + b"0" + b"}" * 40 + b","
    return [many(b"{},", first + b"[", b'"\\u0041"]' + last, most),  # and not plain: the slow path builds two trees
            many(chain, first + b"[", b'"\\u0041"]' + last, min(most, 1600 * len(chain))),  # nearly as many values as there may be
            many(b'"k%d":0,', first + b"{", b'"":0}' + last, min(most, 1000000)), many(b"\\u001b", first + b'"', b'"' + last, most)]

PLACE, MOST_SAID = "PLACE", (64 << 10) - 64
SHOP = b"apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
VOLUME_YAML = b"apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%d}\nspec: {size: 1GiB, pool: none}\n---\n"
def request(method, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
def vpc_with(kind, spec):
    return dict(json.loads(record(kind, "large", {}, uid="9" * 32)), spec=spec)
def declared(kind, name, spec, project=b",project: p"):
    return b"{apiVersion: spinel/v1,kind: %s,metadata: {name: %s%s},spec: {%s}}\n---\n" % (kind, name, project, spec)
def declares_large():
    network = declared(b"Project", b"p", b"", b"") + declared(b"VPC", b"v", b"prefixes: [10.0.0.0/8]") + declared(b"Subnet", b"s", b"vpc: v,cidr: 10.0.0.0/8")
    nics = b",".join(b"{name: e%d,subnet: s}" % i for i in range(8))
    return [many(declared(b"Instance", b"a%d", b"cpus: 1,memory: 64MiB,nics: [" + nics + b"]"), network),
            many(declared(b"Volume", b"v%d", b"size: 1MiB"), network), many(declared(b"Pool", b"p%d", b"", b""))]
DIRECTIVES = b"%TAG !%d! !\n"
def git_large():
    volumes = git_object("b", many(VOLUME_YAML, SHOP, most=65000))
    names = git_object("t", b"".join(entry("100644", "a%05d.yaml" % n, 0) for n in range(1600)))
    folders = git_object("t", b"".join(entry("40000", "d%02d" % n, 15) for n in range(20)))
    return [volumes + git_object("t", entry("100644", "a.yaml", 0)) + commit(1),
            volumes * 15 + git_object("t", b"".join(entry("100644", "a%02d.yaml" % n, n) for n in range(15))) + commit(15),
            blob * 15 + names + folders + commit(16), blob + git_object("t", entry("100644", "a.yaml", 0)) + commit(1, (), message="x\n" * 30000),
            blob + git_object("t", entry("100644", "a.yaml", 0)) + commit(1) + commit(1, (2,) * 1300)]
def http_large():
    most = 100 << 10
    post = http("POST", "/api/v1/freeze", [TOKEN, JSON, "Content-Length: %d" % (60 << 10)]).encode()
    chunks = http("POST", "/api/v1/freeze", [TOKEN, JSON, "Transfer-Encoding: chunked"]).encode()
    return [many(b"X-%d: y\r\n", b"GET / HTTP/1.1\r\nHost: localhost:8420\r\n", b"\r\n", size) for size in (30 << 10, most)] + [
        many(b"q=%d&", b"GET /api/v1/resources?", b" HTTP/1.1\r\nHost: localhost:8420\r\n\r\n", size) for size in (30 << 10, most)] + [
        many(http("GET", "/api/v1/status").encode(), most=most), many(b"1\r\n \r\n", chunks, b"0\r\n\r\n", most)] + dense(before=post, most=len(post) + (60 << 10))
def events_large(first, *, most=LARGE):
    return [many(event("op.progress", "x", n=PLACE).replace('"PLACE"', "%d").encode(), first + FOLLOWED.encode(), most=most),
            many(b"\\u001b[2J\\n", first + FOLLOWED.encode() + event("op.failed", PLACE).encode().split(b"PLACE")[0], b'"}}\n', most),
            *dense(json.loads(event("converged", "x", of=PLACE)), first + FOLLOWED.encode(), b"\n", most)]
def suite_large(result):
    said = Conversation().result(WHO).error(-32601).error(-32700, False).said.encode()
    return dense({"jsonrpc": "2.0", "id": 3, "result": result}, b"\1\1" + said, b"\n")
def netlink_large():
    kinds = []
    for name in ("links", "addresses", "routes", "neighbours", "connections", "events", "commit"):
        with open(os.path.join(HERE, "corpus", "netlink", name), "rb") as file:
            told = file.read()
        kinds.append(many(told[1:] + b"\0" * (-len(told[1:]) % 4), told[:1]))
    return kinds + [many(b"1700000000 02:00:00:00:00:05 10.0.1.5 web *\n", b"\x08"), many(b"1700000000 02:00:00:00:00:05 10.0.1.5 w%d 01:02\n", b"\x08"), many(b"x", b"\x08")]
def nft_large():
    rule = b"\t\tip saddr 10.0.1.5 tcp dport %d accept comment \"rule/%d\"\n"
    chain, end = b"table inet spinel {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n", b"\t}\n}\n"
    half = many(rule, chain, end, LARGE // 2 - 8)
    elements = many(b"10.0.1.5 . tcp . %d, ", b"table inet spinel {\n\tset s {\n\t\ttype ipv4_addr . inet_proto . inet_service\n\t\telements = { ", b"10.0.1.5 . tcp . 0 }\n\t}\n}\n", LARGE // 2 - 8)
    return [half + b"====\n" + half.replace(b"accept", b"drop  "), half + b"====\n" + b"".join(reversed(half.splitlines(True))), elements + b"====\n" + elements.replace(b"tcp", b"udp"),
            chain + b"====\n" + many(rule.replace(b"%d", b"80"), chain, end, LARGE - 200), b"====\n" + many(b"\t\tset s%d {\n\t\t}\n", b"table inet spinel {\n", b"}\n", LARGE - 8), many(b"{ ")]
STEP = {"id": 1, "action": "update", "kind": "Volume", "project": "shop", "name": "db", "uid": UID, "disposition": "run", "cause": "drift", "reason": "r", "after": [],
        "fields": [{"path": "spec.size", "from": 1, "to": 2, "change": "live", "cause": "drift", "disposition": "run"}]}
FIELD = json.dumps(STEP["fields"][0]).encode()
def plan_with(**more):
    return dict({"schema": "spinel/plan/v1", "commit": "c" * 40, "hash": "h", "world": "w", "resources": 1, "steps": [], "holds": [], "summary": {"run": 1}}, **more)
LINKED = {"uid": "%u", "epoch": 1, "kind": "Volume", "project": "shop", "name": "db", "spec": {"size": 1}, "status": {"state": "there"}, "damage": []}
ASKED = b"n\nn\n"  # what each driver is, and then its list is due
TWO_ASKED = ASKED + b'a {"list":[["' + UID.encode() + b'",7,"e"]],"complete":true}\nn\nn\n'
def frames_large():
    looked = {"objects": [dict(OBJECT, status=PLACE)], "complete": True}
    damaged = {"objects": [dict(OBJECT, damage=PLACE)], "complete": True}
    spec = {"objects": [dict(OBJECT, spec={"disks": PLACE})], "complete": True}
    same = b'["' + UID.encode() + b'",7,"e"]'
    return [listed_many({"list": PLACE, "complete": True}, same, ASKED + b"a ", b"\n"), listed_many({"list": PLACE, "complete": True}, b"[]", ASKED + b"a ", b"\n"),
            listed_many({"list": [], "unmanaged": PLACE, "complete": True}, b'{"kind":"Volume","native":"/x%d","why":"y"}', ASKED + b"a ", b"\n"),
            listed_many(damaged, b'{"path":"status.f%d","desired":1,"observed":2}', TWO_ASKED + b"a ", b"\n"),
            listed_many({"objects": PLACE, "complete": True}, json.dumps(OBJECT).encode(), TWO_ASKED + b"a ", b"\n"),
            *dense(looked, TWO_ASKED + b"a ", b"\n"), dense(spec, TWO_ASKED + b"a ", b"\n")[2], *dense({"code": -32000, "message": PLACE}, ASKED + b"r ", b"\n")[2:],
            *dense({"method": "changed", "params": {"why": PLACE}}, TRUE.encode() + b"d ", b"\n"),
            many(b'd {"method":"changed","params":{"uid":"%u"}}\n', TRUE.encode())] + frames_of_many_uids()
def frames_of_many_uids():
    return [listed_many({"list": PLACE, "complete": True}, b'["%u",7,"e"]', ASKED + b"a ", b"\n"),
            listed_many({"objects": PLACE, "complete": True}, json.dumps(LINKED).encode(), TWO_ASKED + b"a ", b"\n")]
def calls_large():
    most = 65500
    def part(letter, unit, first=b"", last=b"", status=0):
        return child(status, frame(letter, many(unit, first, last, most)))
    tiny = (65535 // 9)
    return [LIST + part("r", b'["%u",1,"e"],', b'{"list":[', b'["%u",1,"e"]],"complete":true}'), LOOK_AT + part("o", b'"k%d":0,', b'{"uid":"%032d",' % 1, b'"":0}', 0x8b) * 4,
            LOOK_AT + child(0x8b, *[frame("o", b"x")] * tiny) * 4, APPLY + child(0, *[frame("n", b"\n")] * tiny), APPLY + child(0, *[frame("r", b"5")] * tiny),
            GROUP + child(0, *[outcome(n % 3, failure(-2, b"no")) for n in range(60)]) * 2, APPLY + part("r", b"{},", b'{"x":[', b"{}]}"), APPLY + part("n", b"x", b"", b"\n")]
def streams_large():
    return [many(piece("o", b"a" * 254 + b"\n")), many(b"O\xff" + b"x" * 16320, b"", piece("o", b"\n")), many(piece("o", b"\n" * 255)), many(piece("e", b"\n" * 255)),
            many(b"E\xff" + b"y" * 16320), many(b"s\xff", most=24 << 10), many(piece("o", b"x")), many(piece("e", b"x"), most=LARGE // 2)]
def machines_large():
    parts = {"record": dict(RECORD, accel=PLACE), "process": dict(PROCESS, boot=PLACE), "exit": dict(EXIT, event=PLACE)}
    out = []
    for name, value in parts.items():
        first, last = run_dir(**{name: json.dumps(value)}).encode().split(b'"PLACE"')
        out += dense((first, last))
    for disks in ({"disks": PLACE}, {"nics": PLACE}):
        first, last = run_dir(json.dumps(dict(RECORD, machine=dict(MACHINE, **disks)))).encode().split(b'"PLACE"')
        member = MACHINE["disks" if "disks" in disks else "nics"][0]
        out.append(listed_many((first, last), json.dumps(member).encode()))
    for unit in (b"x", b"a line\n", b"\n", b"\x1b[2J"):
        first, last = run_dir(log=PLACE).encode().split(b"PLACE")
        out.append(many(unit, first, last))
    monitor = run_dir(monitor="").encode()
    return out + [monitor + said for said in qmp_large()]
def qmp_large():
    first = GREETING.encode() + b'{"return":{},"id":1}\n'
    return [many(DELETED.encode(), first, most=MOST_SAID), many(b'{"return":{},"id":%d}\n', first, most=MOST_SAID), many(b"\n", first, most=MOST_SAID), many(b"x", first, most=MOST_SAID),
            *dense({"return": PLACE, "id": 2}, first, b"\n", MOST_SAID), *dense({"event": "SHUTDOWN", "data": PLACE}, first, b"\n", MOST_SAID)]
def rows_large():
    cell = (256 << 10) - 8
    deep = [one + b"\n" for one in dense(most=cell)]
    steps = listed_many({"steps": PLACE}, json.dumps(STEP).encode(), most=cell) + b"\n"
    contests = many(b'{"uid":"%u","path":"p","count":1,"last":1,"nextTry":2},', b"[", b"7]\n", cell)
    formerly = many(b'"n%d",', b'{"formerly":[', b'"a"]}\n', cell)
    return [(one * 4)[:LARGE] for one in deep] + [b"@18" + steps + b"@2f" + contests + b"@33" + formerly, many(b"@23x\n"), formerly * 3,
            many(b'{"path":"status.f%d","desired":1},', b'{}\n{}\n{}\n{"size":1}\n{}\n{}\n[', b'{}]\n', cell), b"@2d" + deep[0] + b"@2e" + deep[0] + b"@30" + deep[0]]
def vpcs_large():
    shop = lines(*NETWORK[:4]).encode()
    rule = {"name": "r", "direction": "in", "action": "allow", "targets": [{"instance": "web"}], "hosts": [{"cidr": "10.0.0.0/8"}], "protocols": [{"protocol": "tcp", "ports": ["80"]}]}
    def ruled(**more):
        return vpc_with("Firewall", {"vpc": "net", "rules": [dict(rule, **more)]})
    whole = lines(*NETWORK).encode()
    return [listed_many(vpc_with("Firewall", {"vpc": "net", "rules": PLACE}), json.dumps(dict(rule, name="r%d")).encode(), shop, b"\n"),
            listed_many(ruled(hosts=PLACE), b'{"cidr":"10.0.%d.0/24"}', shop, b"\n"), listed_many(ruled(targets=PLACE), b'{"label":"role=w%d"}', shop, b"\n"),
            listed_many(ruled(protocols=PLACE), b'{"protocol":"tcp","ports":["%d"]}', shop, b"\n"), listed_many(ruled(protocols=[{"protocol": "tcp", "ports": PLACE}]), b'"%d"', shop, b"\n"),
            listed_many(vpc_with("Subnet", {"vpc": "net", "cidr": "10.0.8.0/24", "dns": {"servers": PLACE}}), b'"192.0.2.1"', shop, b"\n"),
            listed_many(vpc_with("VPC", {"prefixes": PLACE}), b'"10.%d.0.0/16"', b"", b"\n"), *dense(vpc_with("NIC", {"subnet": "apps", "address": "10.0.1.7", "mac": "02:00:00:00:00:07", "labels": PLACE}), whole, b"\n"),
            *dense(vpc_with("FloatingIP", {"address": PLACE}), whole, b"\n")[3:]]
def scripts_large():
    same = b'["' + UID.encode() + b'",3,"e"]'
    return [listed_many({"list": PLACE}, same, b"\x20"), listed_many({"list": PLACE}, b'["%u",3,"e"]', b"\x20"), listed_many({"list": [], "unmanaged": PLACE}, b'{"kind":"Volume","native":"/x%d","why":"w"}', b"\x20"),
            *dense(dict(VOLUME, status=PLACE), b"\0"), *dense(dict(VOLUME, spec={"a": PLACE}), b"\0")[:2], listed_many(dict(VOLUME, damage=PLACE), b'{"path":"status.f%d","desired":1,"observed":2}', b"\0"),
            many(b"no room\n", b"\x11x\n====\n"), many(b"x", b"\x11x\n====\n"), many(b"\x1b", b"\0x\n====\n"), *dense(before=b"\x10")[:1]]
def pools_large():
    held, note = json.loads(tag("Volume", "db")), {"path": "state/pools/main", "x": PLACE}
    texts = dense(dict(held, extra=PLACE), b"g p %s.raw " % UID.encode(), b"\n", LARGE // 2) + dense(note, b"n %s " % UID2.encode(), b"\n")
    own = dense(dict(held, kind="Pool", extra=PLACE), b"p ", b"\n", LARGE // 2)
    own.pop(2)  # it is read for each thing that is asked of the pool, which costs the same for each
    return texts + own + [many(b"9", b"u ", b"\n"), b"".join(b"g p %032d.raw " % n + many(b'"k%d":0,', b'{"kind":"Volume","extra":{', b'"":0}}\n', 26000) for n in range(39))]
def seeds_large():
    given = {"userData": "#cloud-config\n", "networkConfig": "version: 2\n", "hostname": "db-1", "sshKeys": ["ann"], "instanceIdPolicy": "bump"}
    texts = [many(unit, *at, most=size) for size in (60 << 10, LARGE) for unit in (b"x", b"\\n", b"\\u0001", b"\\u00e9")
             for at in [[b"\0" + half if not n else half for n, half in enumerate(at_place(dict(given, **{key: PLACE})))] for key in ("userData", "networkConfig")]]
    return texts + [listed_many(dict(given, sshKeys=PLACE), b'"ann"', b"\0"), listed_many(dict(given, sshKeys=PLACE), b'"n%d"', b"\0"), *dense(dict(given, hostname=PLACE), b"\0")]
def plans_large():
    return [listed_many(plan_with(steps=PLACE), json.dumps(STEP).encode()), listed_many({"plan": plan_with(steps=PLACE)}, json.dumps(STEP).encode()),
            listed_many(plan_with(steps=[dict(STEP, fields=PLACE)]), FIELD), listed_many(plan_with(holds=PLACE), b'{"id":"h%d","rule":"budget","reason":"r","steps":1,"approvable":true}'),
            listed_many(plan_with(steps=[dict(STEP, after=PLACE)]), b"%d"), *dense(plan_with(steps=[dict(STEP, fields=[{"path": "spec.a", "from": PLACE, "to": 1}])])),
            *dense(plan_with(steps=[dict(STEP, reason=PLACE)]))[3:], *dense()]
def control_large():
    def change(**more):
        return request("check", commit="c" * 40, base=None, ref="refs/heads/main", forced=False, changes=[dict({"path": "a.yaml", "blob": None}, **more)])
    volumes = many(VOLUME_YAML.replace(b"\n", b"\\n"), SHOP.replace(b"\n", b"\\n"), most=LARGE - 400)
    first, last = at_place(change(data=PLACE))
    changes = request("check", commit="c" * 40, base=None, ref="refs/heads/main", forced=False, changes=PLACE)
    return [first + b'"' + volumes + b'"' + last + b"\n", listed_many(changes, b'{"path":"a%d.yaml","blob":null,"data":""}', b"", b"\n"),
            listed_many(changes, b'{"path":"a%d.yaml","blob":null,"data":"apiVersion: spinel/v1\\nkind: Pool\\nmetadata: {name: p%d}\\nspec: {}\\n"}', b"", b"\n"),
            *dense(request("apply", saved=PLACE), b"", b"\n"), *dense(request("freeze", what="changes", who="a", why=PLACE), b"", b"\n")[3:], many(b"\n"), *dense()]
def requests_large():
    applied = dict(apply, spec={"a": PLACE})
    return [many(b"\n"), many(json.dumps(request("observe")).encode() + b"\n"), listed_many(request("observe", uids=PLACE), b'"%u"', b"", b"\n"),
            listed_many(request("observe", uids=PLACE), b'"' + UID.encode() + b'"', b"", b"\n"), many(b'{"jsonrpc":"2.0","id":%d,"method":"cancel","params":{"op":"o%d"}}\n'),
            many(json.dumps(request("apply", **dict(apply, uid="%u"))).encode() + b"\n"), *dense(request("apply", **applied), b"", b"\n"),
            *dense(request("apply", **dict(apply, refs=PLACE)), b"", b"\n")[:3], *dense(request("apply", **dict(apply, spec={"fail": PLACE})), b"", b"\n")[2:], *dense()]
def records_large():
    vpc = {"kind": "VPC", "uid": UID, "name": "net", "epoch": 1, "spec": PLACE, "chosen": {}}
    members = {"disks": MACHINE["disks"][0], "nics": MACHINE["nics"][0]}
    return dense(vpc, b"\0") + dense(dict(vpc, spec={}, chosen=PLACE), b"\0")[2:] + dense(dict(MACHINE, cmdline=PLACE), b"\1") + [
        listed_many(dict(MACHINE, **{key: PLACE}), json.dumps(member).encode(), b"\1") for key, member in members.items()]
def texts_large():
    long = [many(unit, bytes([index])) for index, unit in ((0, b"1"), (1, b":"), (2, b"aa:"), (3, b"a/"), (4, b"a"), (5, b"a/"), (5, b"../"), (6, b"80-"), (7, b"a"), (8, b"ssh-ed25519 "),
                                                          (9, b"1"), (10, b"1"), (10, b"a/"), (12, b"\x1b"), (12, b"x"), (12, "\u202e".encode()), (12, b"\xff"), (12, "\u6587".encode()))]
    return long + dense(before=b"\x0b") + [many(b"-1,", b"\x0b[", b"1]"), many(b"[", b"\x0b")]
def identities_large():
    return [many(b"\n", b"\1" + RACK), many(b"x", b"\1" + RACK), many(b"0", b"\1"), many(b"s", b"\2\n====\n" + RACK_ID + b"\n"), many(b"\n", b"\3" + RACK, b"\n" + rack_row()), many(b"0", b"\2\n====\n")]
def ledgers_large():
    head, of_one = b"spinel-ledger 1\n", UID.encode()
    return [many(b"admit " + of_one + b" 1%d\n", head), many(b"done " + of_one + b" 1%d delete o\n", head), many(b"o", head + b"done " + of_one + b" 3 create ", b"\n"),
            many(b"\n", head), many(b"admit x\n", head)] + [many(b"admit %u 3\n", head), many(b"done %u 3 create o%d\n", head)]
def pushes_large():
    push = b"0" * 40 + b" " + b"a" * 40 + b" "
    return [many(push + b"refs/tags/x%d\n"), many(push + b"refs/heads/main\n"), many(b"x", push + b"refs/heads/", b"\n"), many(b"\n"), many(b"a")]
def outputs_large():
    most = (64 << 10) - 8  # no more is kept of what a program prints
    return dense(dict(IMAGE_INFO, more=PLACE), b"\0", b"\n", most) + [many(b"qemu-img: no\n", b"\1"), many(b"x", b"\1"), many(b"\n", b"\1", most=most), many(b"\x1b[2J", b"\1", most=most), *dense(before=b"\0")]

# The targets whose inputs are short by nature, or that look at no more than a header, have none.
large = {
    "manifests": lambda: [many(b"[1],", b"a: [", b'"\\x41"]\n'), many(b"- a:\n", b"a:\n"), many(DIRECTIVES)] + declares_large(),
    "yaml_paths": lambda: [many(DIRECTIVES), many(b"[1],", b"a: [", b'"\\x41"]\n'), many(b" a\n", b"a: |\n")],
    "kinds": lambda: [many(b"{a: 1},", b"a: [", b'"\\x41"]\n')],
    "site": lambda: [many(DIRECTIVES), many(b"{a: 1},", b"a: [", b'"\\x41"]\n')],
    "texts": texts_large,
    "pushes": pushes_large,
    "git_objects": git_large,
    "driver_frames": frames_large,
    "driver_streams": streams_large,
    "driver_suite": lambda: suite_large(PLACE) + suite_large({"list": PLACE, "complete": True, "token": "a"}) + [
        listed_many({"jsonrpc": "2.0", "id": 4, "result": listed("a", PLACE)}, b'["%u",5,"e"]', b"\1\1" + Conversation().result(WHO).error(-32601).error(-32700, False).said.encode(), b"\n"),
        many(b"\n", b"\1\1"), many(b"x", b"\1\1")],
    "driver_requests": requests_large,
    "call_frames": calls_large,
    "ledgers": ledgers_large,
    "tags": lambda: [one for member in ("extra", "name", "kind") for one in dense({"rack": "r1", "kind": "Volume", "name": "db", "epoch": 3, "released": False, "mac": "0" * 64, member: PLACE})],
    "qmp": qmp_large,
    "program_outputs": outputs_large,
    "scripts": scripts_large,
    "instances": machines_large,
    "pools": pools_large,
    "seeds": seeds_large,
    "nft_texts": nft_large,
    "netlink": netlink_large,
    "networks": vpcs_large,
    "records": records_large,
    "saved_plans": plans_large,
    "rack_identities": identities_large,
    "store_rows": rows_large,
    "control": control_large,
    "follow_frames": lambda: [one for first in (b"\0", b"\x0f", b"\x1f", b"\x8f") for one in events_large(first)],
    "http": http_large,
    "qcow2_headers": lambda: [],  # nothing behind the header is read
    "core_messages": lambda: [],  # each byte is turns of a made-up clock; no message is large
}


def large_write(target, folder):
    for number, data in enumerate(large[target]()):
        with open(os.path.join(folder, "large-%d" % number), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--large"]:
        large_write(sys.argv[2], sys.argv[3])
        sys.exit()
    for target, files in seeds.items():
        if len(sys.argv) > 1 and target not in sys.argv[1:]:
            continue
        folder = os.path.join(HERE, "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
