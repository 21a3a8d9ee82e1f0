#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A flood of forged and mutated packets against one flow, for flood_test.sh: flood.py N SEED OWN VICTIM PEER FLOW...

LINK names the uplink. OWN is where it is sent from, VICTIM and PEER are the places of the flow's ends, and each FLOW is
"SOCK,PORT,PEER-PORT,PROTO", of which SOCK is the victim's socketID: the other end's is not known. Written from the
protocol's text.
"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import raw  # noqa: E402

RSYN, RSYN_ACK, RACK, FAIL, REDIRECT = 5, 6, 7, 8, 9
TLV_REASON, TLV_MOVE, TLV_PLACE = 1, 5, 8
ICMPV6 = 58


def main():
    n, own, victim, peer = int(sys.argv[1]), *sys.argv[3:6]
    rnd, link = random.Random(int(sys.argv[2])), raw.Link(os.environ["LINK"])
    flows = [[int(x) for x in flow.split(",")] for flow in sys.argv[6:]]
    zero = bytes(12)
    bits = rnd.getrandbits

    def near(sock):
        """The socketID, one of another time, or any."""
        return rnd.choice((sock, sock, sock ^ bits(8), bits(48) | 1 << 20))

    def sid():
        return rnd.choice((zero, bits(96).to_bytes(12, "big")))

    def tlv_move(sock):
        return struct.pack(">BBHI", TLV_MOVE, 70, bits(2), rnd.choice((2, 3, bits(32)))) + \
            struct.pack(">HHI", sock >> 32, 0, sock & 0xffffffff) + \
            b"".join(rnd.choice((0, bits(64))).to_bytes(8, "big") for _ in range(7))

    def message(src, dst, sock, kind=None):
        return raw.alone(src, dst, kind or rnd.choice((RSYN, RSYN_ACK, RACK)), sid(), sid(), tlv_move(sock))

    def quoted(e, sock, sport, dport, proto):
        """A packet of the victim's as somebody might imagine it."""
        p = raw.sock(peer, bits(48))
        if rnd.random() < 0.3:
            return message(e, p, bits(48))
        if proto == raw.TCP:
            return raw.ip6(e, p, raw.TCP, raw.tcp(e, p, sport, dport, bits(32), bits(32), flags=0x10))
        return raw.ip6(e, p, raw.UDP, raw.udp(e, p, sport, dport, b"who"))

    def error(src, dst, about):
        kind, code, data = rnd.choice(((1, rnd.randrange(7), 0), (2, 0, rnd.choice((0, 68, 1280, 1400, bits(32)))),
                                       (3, 0, 0), (4, 1, bits(32))))
        i = struct.pack(">BBHI", kind, code, 0, data) + about
        c = 0xffff ^ raw.total(raw.pseudo(src, dst, len(i), ICMPV6) + i)
        return raw.ip6(src, dst, ICMPV6, i[:2] + struct.pack(">H", c) + i[4:])

    for _ in range(n):
        sock, sport, dport, proto = rnd.choice(flows)
        mine, e = raw.sock(own, bits(48) | 1 << 20), raw.sock(victim, near(sock))
        what = rnd.randrange(10)
        if what < 4:
            p = message(mine, e, sock)
        elif what < 6:
            q = quoted(e, sock, sport, dport, proto)
            tlv = struct.pack(">BBBBHH", TLV_REASON, 6, rnd.choice((1, 2, 3, 4, 5, 6, 16, bits(8))), 0, len(q), 0)
            p = raw.alone(mine, e, FAIL, zero, sid(), tlv, q)
        elif what < 7:
            tlv = struct.pack(">BB", TLV_PLACE, 16) + raw.sock(own, 0) + bytes(6)
            p = raw.alone(mine, e, REDIRECT, zero, sid(), tlv, message(e, raw.sock(peer, bits(48)), bits(48), RSYN))
        elif what < 9:
            p = error(rnd.choice((mine, raw.sock(own, 1))), e, quoted(e, sock, sport, dport, proto))
        elif proto == raw.TCP:
            p = raw.ip6(mine, e, raw.TCP, raw.tcp(mine, e, dport, sport, bits(32), bits(32), flags=bits(6)))
        else:
            p = raw.ip6(mine, e, raw.UDP, raw.udp(mine, e, dport, sport, b"stranger"))
        if rnd.random() < 0.2:  # spoilt behind the addresses
            p = bytearray(p)
            for _ in range(1 + bits(2)):
                p[rnd.randrange(40, len(p))] ^= 1 << bits(3)
            if rnd.random() < 0.3:
                del p[rnd.randrange(41, len(p) + 1):]
                struct.pack_into(">H", p, 4, len(p) - 40)
            p = bytes(p)
        link.send(p)
    print(n)


main()
