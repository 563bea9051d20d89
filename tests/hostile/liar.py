#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A driver that keeps its objects in a file, and lies as the file `lie` in its state directory says:
a word, and perhaps a uid."""
import json
import os
import subprocess
import sys
import time

UID = "f" * 32
EVIL = "\x1b]0;owned\x07\x1b[2J\r\nfake: converged\u202e\u200b\u009b31m"
state, world, own_epochs = "", {}, {}


def lie():
    try:
        return open(os.path.join(state, "lie")).read().split() + [""]
    except OSError:
        return [""]


def send(message):
    sys.stdout.write(json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n")
    sys.stdout.flush()


def raw(data):
    os.write(1, data)


def place():
    return os.path.join(state, "liar.json")


def load():
    try:
        world.update(json.load(open(place())))
    except OSError:
        pass


def keep():
    with open(place() + ".new", "w") as out:
        json.dump(world, out)
    os.rename(place() + ".new", place())


def listed():
    return [[uid, o["epoch"], json.dumps(o["spec"], sort_keys=True)[-40:] + lie()[0]] for uid, o in world.items() if o["there"]]


def list_answer(word, uid):
    rows = listed()
    answer = {"list": rows, "unmanaged": [], "trash": [], "complete": True}
    if word in ("empty", "gone"):
        answer["list"] = []
    elif word == "partial":
        answer.update(list=[], complete=False)
    elif word == "epoch-max":
        answer["list"] = [[u, (1 << 63) - 1, "x"] for u, _, _ in rows]
    elif word == "epoch-negative":
        answer["list"] = [[u, -1, "x"] for u, _, _ in rows]
    elif word == "etag":
        answer["list"] = [[u, e, "x" * (4 << 20)] for u, e, t in rows]
    elif word == "steal":
        answer["list"] = rows + [[uid, 1 << 40, "mine"]]
    elif word == "names":
        answer["list"] = rows + [["", 1, "e"], ["../../../etc", 2, "e"], ["g" * 32, 3, EVIL], [UID, 4, EVIL]]
    elif word == "many":
        answer["list"] = rows + [["%032x" % n, 1, "e"] for n in range(200000)]
    elif word == "escape":
        answer["unmanaged"] = [{"kind": EVIL, "native": EVIL, "why": EVIL}]
        answer["trash"] = [{"kind": EVIL, "uid": UID, "native": EVIL, "bytes": -5, "deletedAt": -1, "until": 1 << 62}]
        answer["list"] = [[u, e, t + EVIL] for u, e, t in rows] + [[UID, 3, EVIL]]
    elif word == "shapes":
        answer["list"] = {"a": 1}
        answer["unmanaged"] = "x"
    return answer


def deep(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


def object_answer(uid, word, victim):
    o = world.get(uid)
    if word == "steal" and uid == victim:
        return {"uid": uid, "absent": True, "epoch": 1 << 40}
    if not o or not o["there"]:
        if word in ("names", "escape"):
            return {"uid": uid, "kind": EVIL if word == "escape" else "Volume", "project": EVIL, "name": EVIL, "epoch": 5,
                    "spec": {EVIL: EVIL}}
        return {"uid": uid, "absent": True, "epoch": o["epoch"] if o else 0}
    answer = {"uid": uid, "kind": o["kind"], "project": o["project"], "name": o["name"], "epoch": o["epoch"], "released": o["released"],
              "spec": o["spec"], "status": {"state": "there"}}
    if word == "epoch-max":
        answer["epoch"] = (1 << 63) - 1
    elif word == "epoch-negative":
        answer["epoch"] = -1
    elif word == "kind":
        answer.update(kind="Instance", name="other", project="elsewhere")
    elif word in ("absent", "gone"):
        answer = {"uid": uid, "absent": True, "epoch": o["epoch"]}
    elif word == "absent-text":
        answer["absent"] = "true"
    elif word == "damages":
        answer["damage"] = [{"path": "status.x%d" % n, "desired": "a", "observed": "b"} for n in range(30000)]
    elif word == "deep":
        answer["spec"] = dict(o["spec"], size=deep(59))
        answer["status"] = {"state": deep(59)}
    elif word == "escape":
        answer["spec"] = dict(o["spec"], pool=EVIL, format=EVIL)
        answer["status"] = {"state": EVIL, "problem": EVIL, "path": EVIL, "since": EVIL, EVIL: EVIL, "addresses": [EVIL]}
        answer["damage"] = [{"path": EVIL, "desired": EVIL, "observed": EVIL}]
    elif word == "shapes":
        answer.update(spec=[1], booted="x", status=7, damage={"a": 1}, released="yes", epoch="5")
    return answer


def frame_lies(word, uid):
    """What is no answer at all; True if nothing else is to be said."""
    if word == "flood-line":
        chunk = b"x" * (1 << 20)
        for _ in range(80):
            raw(chunk)
        time.sleep(60)
    elif word == "garbage":
        raw(b"\xff\xfe{]\n\0\0\n" + b"[" * 100000 + b"\n" + b'{"jsonrpc":"2.0","id":1e99}\n"text"\n5\n[]\n{}\n')
    elif word == "strangers":
        for number in (-1, 0, 1, 999999, 1 << 62):
            send({"id": number, "result": {"list": [], "complete": True}})
            send({"id": number, "error": {"code": -32000, "message": "x"}})
    elif word == "crash":
        os.abort()
    elif word == "hang":
        time.sleep(3600)
    elif word == "balloon":
        raw(b'{"jsonrpc":"2.0","id":0,"result":{"list":[' + b'["",0,""],' * 2000000 + b'["",0,""]]}}\n')
    elif word == "notices":
        for n in range(20000):
            send({"method": "changed", "params": {"uid": "%032x" % n, "why": EVIL}})
        send({"method": "progress", "params": {"op": "x", "percent": 1 << 62, "what": EVIL}})
        send({"method": "log", "params": {"level": "info", "message": EVIL}})
    elif word == "leave":
        subprocess.Popen(["yes", "left behind"], start_new_session=True, stderr=1 if uid == "out" else 2, stdout=1 if uid == "out" else 2)
        time.sleep(0.5)
        os._exit(1)
    elif word == "chatter":
        for n in range(20000):
            send({"method": "log", "params": {"level": "info", "message": "chatter %d" % n}})
            send({"id": 1 << 40, "result": {}})
        os.write(2, b"chatter\n" * 200000)
    elif word == "babble":
        for _ in range(100000):
            raw(b"babble\n")
        time.sleep(60)
    elif word == "stderr":
        os.write(2, (EVIL + "\n").encode() + b"\xff\xfe\n")


def apply(params):
    word = lie()[0]
    if word == "progress":
        for n in range(20000):
            send({"method": "progress", "params": {"op": params["op"], "percent": (n - 50) << 40, "what": "\u00e9" * (n % 7 + 1) + "w" * 2000}})
    if word == "quick":
        for percent in (40, 70, 100, 100, 99, 100):
            send({"method": "progress", "params": {"op": params["op"], "percent": percent, "what": "copying"}})
    if word == "refuse":
        return {"error": {"code": -32000, "message": EVIL, "data": {"kind": EVIL, "hint": EVIL}}}
    if word == "idle":
        return {"result": {"epoch": params["epoch"]}}
    world[params["uid"]] = {"epoch": params["epoch"], "spec": params.get("spec") or {}, "kind": params["kind"], "project": params.get("project"),
                            "name": params["name"], "there": params["verb"] != "delete", "released": params["verb"] == "release"}
    keep()
    return {"result": {"epoch": params["epoch"]}}


def answer(method, params):
    global state
    if method == "initialize":
        state = params["stateDir"]
        load()
        return {"result": {"name": "liar", "version": "1", "kinds": ["Volume", "Pool"], "notices": True, "capabilities": {}}}
    word, uid = (lie() + [""])[:2]
    frame_lies(word, uid)
    if method == "observe" and "uids" in params:
        return {"result": {"objects": [object_answer(u, word, uid) for u in params["uids"]], "complete": True}}
    if method == "observe":
        return {"result": list_answer(word, uid)}
    return apply(params) if method == "apply" else {"result": {}}


for line in sys.stdin:
    message = json.loads(line)
    send(dict({"id": message["id"]}, **answer(message["method"], message.get("params") or {})))
