#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A driver that speaks docs/driver-protocol.md by itself, without libspinel-driver.

Every object is a JSON file in <stateDir>/drivers/directory, and so is what is left of a
deleted one: its epoch, which must be remembered. Start from here in a language that has
no library; in C link libspinel-driver.a, in shell use the exec driver.
"""
import hashlib, json, os, sys

KINDS = "Pool Image Volume VPC Subnet Firewall NIC Seed FloatingIP PortForward Instance".split()
VERBS = "create update restart delete release adopt".split()
LINE_MAX = 64 << 20


class Refused(Exception):
    def __init__(self, code, message, kind="invalid"):
        super().__init__(message)
        self.code, self.kind = code, kind


def path_of(uid):
    return os.path.join(place, uid + ".json")


def read(uid):
    try:
        with open(path_of(uid)) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"uid": uid, "absent": True, "epoch": 0}


def write(record):
    """Whole or not at all, and on disk before it is acknowledged."""
    fresh = path_of(record["uid"]) + ".new"
    with open(fresh, "w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path_of(record["uid"]))
    directory = os.open(place, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def initialize(params):
    global place
    place = os.path.join(params["stateDir"], "drivers", "directory")
    os.makedirs(place, mode=0o700, exist_ok=True)
    return {"name": "directory", "version": "1", "kinds": KINDS, "notices": False,
            "capabilities": {}}


def shown(record):
    return {key: value for key, value in record.items() if key != "op"}


def observe(params):
    if "uids" in params:
        return {"objects": [shown(read(uid)) for uid in params["uids"]], "complete": True}
    rows = []
    for name in sorted(os.listdir(place)):
        if name.endswith(".json"):
            record = read(name[:-5])
            etag = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
            if not record.get("absent"):
                rows.append([record["uid"], record["epoch"], etag])
    return {"list": rows, "unmanaged": [], "complete": True}


def apply(params):
    if params.get("verb") not in VERBS or len(params.get("uid", "")) != 32:
        raise Refused(-32602, "apply: verb or uid is wrong")
    before = read(params["uid"])
    if params["epoch"] < before["epoch"]:
        raise Refused(-32009, f"epoch {params['epoch']} is older than {before['epoch']}", "stale")
    if before.get("op") == params["op"]:
        return {"epoch": params["epoch"]}
    record = {"uid": params["uid"], "epoch": params["epoch"], "op": params["op"]}
    if params["verb"] == "delete":
        record["absent"] = True
    else:
        record.update(kind=params["kind"], project=params["project"], name=params["name"],
                      released=params["verb"] == "release", spec=params["spec"] or before.get("spec"),
                      booted=None, status={"state": "ready"}, damage=[])
    write(record)
    return {"epoch": params["epoch"]}


METHODS = {"initialize": initialize, "observe": observe, "apply": apply,
           "cancel": lambda params: {"killed": False}}


def answer(line):
    request = {}
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or "method" not in request:
            raise Refused(-32600, "not a request")
        if request["method"] not in METHODS:
            raise Refused(-32601, f"no method {request['method']}")
        return {"id": request.get("id"), "result": METHODS[request["method"]](request["params"])}
    except ValueError as reason:
        error = {"code": -32700, "message": str(reason), "data": {"kind": "invalid"}}
    except Refused as reason:
        error = {"code": reason.code, "message": str(reason), "data": {"kind": reason.kind}}
    except (KeyError, TypeError) as reason:
        error = {"code": -32602, "message": f"wrong params: {reason}", "data": {"kind": "invalid"}}
    except OSError as reason:
        error = {"code": -32000, "message": str(reason), "data": {"kind": "system"}}
    return {"id": request.get("id") if isinstance(request, dict) else None, "error": error}


while line := sys.stdin.buffer.readline(LINE_MAX + 1):
    if len(line) > LINE_MAX:
        sys.exit("directory: a message is longer than 64 MiB")
    print(json.dumps({"jsonrpc": "2.0", **answer(line)}), flush=True)
