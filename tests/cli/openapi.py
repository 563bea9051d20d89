# SPDX-License-Identifier: MPL-2.0
"""Asks a viewer for all that its OpenAPI document describes, in every way that it describes.

    openapi.py SOCKET

Each document has to be as its schema says, with no member that the schema does not name; each
parameter has to be refused beyond its bounds. Prints what is not so, and exits 1.
"""
import http.client
import json
import socket
import sys
from urllib.parse import urlencode

from jsonschema import Draft202012Validator

faults = []


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(sys.argv[1])


connection = Connection("localhost")


def ask(path, query=None, headers=None):
    connection.request("GET", path + ("?" + urlencode(query) if query else ""), headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def expanded(schema):
    """The schema without references, its objects with no members but those that it names."""
    if isinstance(schema, list):
        return [expanded(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return expanded(schemas[schema["$ref"].rsplit("/", 1)[1]])
    made = {key: expanded(value) for key, value in schema.items() if key != "allOf"}
    for part in map(expanded, schema.get("allOf", [])):
        made.setdefault("properties", {}).update(part["properties"])
        made["required"] = made.get("required", []) + part["required"]
    if isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


description = json.loads(ask("/api/v1/openapi.json")[2])
schemas = description["components"]["schemas"]


def is_as(what, schema, body):
    for error in Draft202012Validator(expanded(schema)).iter_errors(json.loads(body)):
        faults.append(f"{what}: {'/'.join(map(str, error.path))}: {error.message[:200]}")


def beyond(schema):
    if schema.get("type") == "integer":
        yield from ("abc", "", "1.5", "9" * 30)
        if "minimum" in schema:
            yield schema["minimum"] - 1
        if "maximum" in schema:
            yield schema["maximum"] + 1
    if "enum" in schema:
        yield "no such word"


def within(schema):
    yield from schema.get("enum", [])
    yield from (schema[k] for k in ("minimum", "maximum", "default") if k in schema)


asked = 0
uid = json.loads(ask("/api/v1/resources")[2])["items"][-1]["uid"]
for path, methods in description["paths"].items():
    if "get" not in methods or path.endswith("/stream"):
        continue
    responses, at = methods["get"]["responses"], path.replace("{uid}", uid)
    status, headers, body = ask(at)
    asked += 1
    if status != 200:
        faults.append(f"{path}: {status}")
        continue
    kind, content = next(iter(responses["200"]["content"].items()))
    if headers["Content-Type"].split(";")[0] != kind:
        faults.append(f"{path}: {headers['Content-Type']}")
    if kind != "application/json":
        continue
    is_as(path, content["schema"], body)
    if "304" in responses and ask(at, headers={"If-None-Match": headers["ETag"]})[0] not in (200, 304):
        faults.append(f"{path}: its own ETag is not taken")
    problem = {"$ref": "#/components/schemas/Problem"}
    for parameter in methods["get"].get("parameters", []):
        if parameter["in"] != "query":
            continue
        name = parameter["name"]
        for value in within(parameter["schema"]):
            status, headers, body = ask(at, {name: value})
            asked += 1
            if status != 200:
                faults.append(f"{path}?{name}={value}: {status}")
            else:
                is_as(f"{path}?{name}={value}", content["schema"], body)
        for value in beyond(parameter["schema"]):
            status, headers, body = ask(at, {name: value})
            asked += 1
            if status != 400 or headers["Content-Type"] != "application/problem+json":
                faults.append(f"{path}?{name}={value}: {status}, not 400")
            else:
                is_as(f"{path}?{name}={value}", problem, body)
    if "404" in responses and "{uid}" in path:
        status, headers, body = ask(path.replace("{uid}", "f" * 32))
        is_as(path, problem, body)
        if status != 404:
            faults.append(f"{path}: {status} for what is not there")
print(f"{asked} requests")
for fault in faults:
    print(fault)
sys.exit(bool(faults))
