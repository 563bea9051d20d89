#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""faulty.py FAULT DRIVER: a driver that keeps every promise but one.

Passes each message on to a good driver, and spoils one thing in what that answers.
"""
import json
import subprocess
import sys
import threading

fault, program = sys.argv[1:3]
good = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
asked = {}


def objects(answer):
    return (answer.get("result") or {}).get("objects") or []


def spoil(answer, ask):
    method = ask.get("method")
    params = ask.get("params") or {}
    result = answer.get("result")
    if method == "initialize" and result:
        if fault == "no name":
            del result["name"]
        elif fault == "no version":
            result["version"] = 1
        elif fault == "no kinds":
            result["kinds"] = []
        elif fault == "odd kinds":
            result["kinds"] = [1, "Seed"]
        elif fault == "does not start":
            del answer["result"]
            answer["error"] = {"code": -32000, "message": "not today"}
    if method == "apply":
        if fault == "another epoch" and result:
            result["epoch"] += 1
        elif fault == "takes the stale" and "error" in answer:
            del answer["error"]
            answer["result"] = {"epoch": params.get("epoch")}
        elif fault == "no release" and params.get("verb") == "release":
            answer.pop("result", None)
            answer["error"] = {"code": -32000, "message": "never"}
    if method == "observe" and result:
        if fault == "never complete":
            result["complete"] = False
        elif fault == "short rows" and "list" in result:
            result["list"] = [row[:2] for row in result["list"]]
        elif fault == "rows of numbers" and "list" in result:
            result["list"] = [[0, 0, 0] for _ in result["list"]]
        elif fault == "no rows" and "list" in result:
            result["list"] = {}
        elif fault == "always unchanged" and "since" in params:
            answer["result"] = {"unchanged": params["since"], "complete": True}
        elif fault == "unchanged since another" and "unchanged" in result:
            result["unchanged"] += "0"
        elif fault == "no objects" and "objects" in result:
            result["objects"] = []
        for thing in objects(answer):
            if fault == "absent without an epoch":
                thing.pop("epoch", None) if thing.get("absent") else None
            elif fault == "another kind" and not thing.get("absent"):
                thing["kind"] = "Secret"
            elif fault == "another name" and not thing.get("absent"):
                thing["name"] = "other"
            elif fault == "always released":
                thing["released"] = True
            elif fault == "never released":
                thing["released"] = False
            elif fault == "never absent":
                thing.pop("absent", None)
            elif fault == "always absent":
                thing["absent"] = True
    if method == "cancel" and fault == "refuses to cancel":
        answer.pop("result", None)
        answer["error"] = {"code": -32601, "message": "no such method"}
    if not method and fault == "another code for garbage" and "error" in answer:
        answer["error"]["code"] = -32000


def pump():
    for line in good.stdout:
        message = json.loads(line)
        if "method" not in message:
            spoil(message, asked.get(message.get("id"), {}))
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
        if fault == "ends early" and "method" not in message:
            good.kill()
            sys.exit(0)
    if fault == "ends well after a flood":
        sys.exit(0)
    sys.exit(good.wait())


def feed():
    for line in sys.stdin.buffer:
        try:
            message = json.loads(line)
            asked[message.get("id")] = message
        except ValueError:
            pass
        try:
            good.stdin.write(line)
            good.stdin.flush()
        except OSError:
            return
    good.stdin.close()


threading.Thread(target=feed, daemon=True).start()
pump()
