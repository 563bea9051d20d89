#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Garbage, slow clients, half-open and very many connections at the viewer, while the engine converges.

web-load.py PORT CONNECTIONS: exits 0 if the viewer answers throughout; prints what it did."""
import os, random, resource, socket, sys, threading, time

port, wanted = int(sys.argv[1]), int(sys.argv[2])
random.seed(1)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 200), hard))


def connect():
    s = socket.socket()
    s.settimeout(10)

    s.connect(("127.0.0.1", port))
    return s


def ask(path="/api/v1/status"):
    s = connect()
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    got = b""
    while chunk := s.recv(65536):
        got += chunk
    s.close()
    return got


def garbage(n):
    seeds = [b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /api/v1/approve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{}",
             b"GET /api/v1/resources?offset=99999999999999999999&limit=-1&kind=%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /api/v1/resources/%2e%2e%2fetc HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: " + b"\"" * 500 + b"\r\n\r\n",
             b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: -9999999999999999999999\r\n\r\n",
             b"GET /api/v1/trace?revision=%27%22%3b HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01" + os.urandom(200)]
    for _ in range(n):
        data = bytearray(random.choice(seeds))
        for _ in range(random.randrange(0, 8)):
            data[random.randrange(len(data))] = random.randrange(256)
        if random.random() < .2:
            data = data[: random.randrange(1, len(data))]
        try:
            s = connect()
            s.sendall(bytes(data))
            if random.random() < .5:
                s.settimeout(.02)
                try:
                    s.recv(4096)
                except OSError:
                    pass
            s.close()
        except OSError:
            pass


def header_limit():
    s = connect()
    try:
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 200000 + b"\r\n\r\n")
        got = s.recv(4096)
    except OSError:
        got = b""
    return got == b"" or b" 431 " in got[:20] or b" 414 " in got[:20] or b" 413 " in got[:20], got[:40]


def main():
    threads = [threading.Thread(target=garbage, args=(1500,)) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert b" 200 " in ask()[:20]
    print("# 3,000 malformed requests: it answers")
    is_limited, got = header_limit()
    assert is_limited, got
    held = []
    for i in range(wanted):
        try:
            s = connect()
            if i % 3 == 0:
                s.sendall(b"GET /api/v1/status HT")  # slow, half a line
            elif i % 3 == 1:
                s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")  # no end of the header
            held.append(s)
        except OSError:
            break
    print(f"# {len(held)} connections were made")
    # Those over the limit are closed at once; those within it that stay silent after a while.
    end, answered = time.time() + 90, False
    while time.time() < end and not answered:
        try:
            answered = b" 200 " in ask()[:20]
        except OSError:
            time.sleep(.5)
        if not answered:
            time.sleep(.5)
    took = 90 - (end - time.time())
    for s in held:
        s.close()
    assert answered, "it did not answer within 90 s under silent connections"
    print(f"# under them a new client was answered after {took:.1f} s")
    end = time.time() + 20
    while time.time() < end:
        try:
            if b" 200 " in ask()[:20]:
                return
        except OSError:
            time.sleep(.2)
    raise SystemExit("it did not recover")


main()
