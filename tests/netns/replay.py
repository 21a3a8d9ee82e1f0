#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages of renegotiations, overheard and said again, for replay_test.sh:

    replay.py hear FILE SECONDS LINK...            those that leave and come by these links, a line of JSON each, until FILE.stop
    replay.py ends LINK SECONDS                    the locators between which flows are now
    replay.py say FILE HOW SOURCE DESTINATIONS     on $LINK, those whose flow is of a host among DESTINATIONS, which are
        locators with socketIDs as the ends of flows have them now (comma): to where it was, and to each of these
        HOW: same      as they were, whoever their source was
             stranger  from SOURCE, a locator of the host that says them
             flipped   the same, a bit of each byte changed in turn, the checksum as it was
             made      the same, and the checksum made right: of those from before the last names, nothing may come
             cut       the same, cut at each place
             refusals  FAIL of each reason, and REDIRECT to SOURCE, that quote them
Prints how many packets it sent.
"""
import json
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import raw  # noqa: E402

RSYN, RSYN_ACK, RACK, FAIL, REDIRECT = 5, 6, 7, 8, 9
OUTGOING = 4


def hear(path, seconds, *links):
    sockets = []
    for link in links:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        s.bind((link, 0x0003))
        sockets.append(s)
    print("up", flush=True)
    end = time.monotonic() + float(seconds)
    with open(path, "w", encoding="ascii") as out:
        while time.monotonic() < end and not os.path.exists(path + ".stop"):
            for s in select.select(sockets, [], [], 0.1)[0]:
                f, at = s.recvfrom(65536)
                p = f[14:]
                if f[12:14] == b"\x86\xdd" and p[6] == raw.DSTOPTS and len(p) >= 72 and p[42] == 0x1e and \
                        p[44] & 15 in (RSYN, RSYN_ACK, RACK, FAIL, REDIRECT):
                    out.write(json.dumps({"kind": p[44] & 15, "out": at[2] == OUTGOING, "packet": p.hex()}) + "\n")
                    out.flush()


def ends(link, seconds):
    """The locators, with socketIDs, between which TCP and UDP passes now, as one line."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    s.bind((link, 0x0003))
    s.settimeout(0.1)
    found, end = set(), time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            p = s.recv(65536)[14:]
        except TimeoutError:
            continue
        if p[6] in (raw.TCP, raw.UDP) and p[8:10] == b"\xfd\x5c" and p[18:22] != bytes(4):
            found |= {p[8:24], p[24:40]}
    print(",".join(socket.inet_ntop(socket.AF_INET6, a) for a in sorted(found)))


def summed(p):
    """The packet with its checksum right."""
    p = p[:46] + b"\0\0" + p[48:]
    c = 0xffff ^ raw.total(raw.pseudo(p[8:24], p[24:40], len(p) - 40, raw.DSTOPTS) + p[40:])
    return p[:46] + struct.pack(">H", c) + p[48:]


def between(p, src, dst):
    return summed(p[:8] + src + dst + p[40:])


def refusals(src, dst, quote):
    zero = bytes(12)
    if len(quote) > 256:
        quote = quote[:144]
    for reason in list(range(1, 7)) + [16, 17]:
        yield raw.alone(src, dst, FAIL, zero, zero, struct.pack(">BBBBHH", 1, 6, reason, quote[44] & 15, len(quote), 0), quote)
    yield raw.alone(src, dst, REDIRECT, zero, zero, b"\x08\x10" + src + bytes(6), quote)


def say(path, how, source, destinations):
    link = raw.Link(os.environ["LINK"])
    with open(path, encoding="ascii") as lines:
        heard = [bytes.fromhex(json.loads(line)["packet"]) for line in lines]
    ends = [raw.packed(d) for d in destinations.split(",")]
    mine = raw.sock(source, 0x123456789abc)
    n = 0

    def send(p):
        nonlocal n
        link.send(p)
        n += 1
        if n % 100 == 0:
            time.sleep(0.02)  # the agent is to hear all of it
    if how in ("flipped", "made", "cut"):  # the first of each kind: from before the last moves
        heard = [next(p for p in heard if p[44] & 15 == kind) for kind in {p[44] & 15 for p in heard}]
    for p in heard:
        to = {p[24:40]} | {e for e in ends if e[:10] == p[24:34] or how != "same"}
        for dst in to:
            if how == "same":
                send(between(p, p[8:24], dst))
            elif how == "stranger":
                send(between(p, mine, dst))
            elif how in ("flipped", "made"):
                q = between(p, mine, dst)
                for at in range(41, min(len(q), 150)):  # what follows is padding
                    if at in (42, 43, 46, 47):
                        continue
                    r = q[:at] + bytes([q[at] ^ 1 << at % 8]) + q[at + 1:]
                    send(summed(r) if how == "made" else r)
            elif how == "cut":
                q = between(p, mine, dst)
                for length in range(41, min(len(q), 150)):
                    send(q[:4] + struct.pack(">H", length - 40) + q[6:length])
                    send(q[:length])  # whose length says more
            else:  # a message of the end itself, as if it had come back to it
                if p[44] & 15 in (RSYN, RSYN_ACK, RACK):
                    for f in refusals(mine, dst, between(p, dst, p[24:40])):
                        send(f)
    print(n)


globals()[sys.argv[1]](*sys.argv[2:])
