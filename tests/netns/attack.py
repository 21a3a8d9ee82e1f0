#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an attacker on an access link may try, for security_test.sh: attack.py WHAT [ARG...].

LINK names the uplink. Each prints how many packets it sent.
"""
import json
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import raw  # noqa: E402

LINK = os.environ.get("LINK", "")
PORT = 24158


def sent(packets, repeat=1):
    link = raw.Link(LINK)
    n = 0
    for _ in range(repeat):
        for p in packets:
            link.send(p)
            n += 1
    print(n)


def locator(text, sock=0x123456789abc):
    return raw.sock(text, sock)


def spoofed_locator(service, others, port):
    """First packets and bound ones, from where others are, and from what is no source at all."""
    packets = []
    for other in others.split(","):
        src = locator(other)
        packets += [raw.syn(src, service, 4000, int(port)),
                    raw.ip6(src, locator("fd5c:0:1:2:1::"), raw.TCP, raw.tcp(src, locator("fd5c:0:1:2:1::"), 1, 2))]
    foreign = locator("fd5c:0:7:1:1::")
    packets += [raw.syn(foreign, service, 4000, int(port)), raw.syn(raw.packed(service), service, 4000, int(port)),
                raw.syn(raw.packed("2001:db8::1"), service, 4000, int(port))]
    sent(packets)


def spoofed_service(own, service, port):
    """SYN and DATA with the serviceID of somebody else as their source."""
    src = locator(own)
    sid = raw.sid(service)
    data = raw.ip6(src, raw.packed(service), raw.DSTOPTS, raw.header(raw.UDP, raw.DATA, sid, sid) +
                   raw.udp(src, raw.packed(service), 5, int(port), b"x"))
    sent([raw.syn(src, service, 4000, int(port), src_sid=sid), data])


def flow(own, capture):
    """Packets against both ends of a silent flow, seen on the wire, with the numbers that its ends expect, from another
    host: @own. None may do anything."""
    with open(capture, encoding="ascii") as lines:
        f = json.loads(lines.readlines()[-1])
    src = locator(own)
    packets = []
    for end, peer, eport, pport, seq, own_seq in ((f["src"], f["dst"], f["sport"], f["dport"], f["ack"], f["seq"]),
                                                  (f["dst"], f["src"], f["dport"], f["sport"], f["seq"], f["ack"])):
        e, p = raw.packed(end), raw.packed(peer)
        zero = bytes(12)
        for flags in (4, 0x14, 0x11, 0x10, 0x18, 2, 0x12):  # RST, RST-ACK, FIN, ACK, data, SYN, SYN-ACK
            for s in (seq, seq + 1, 0):
                t = raw.tcp(src, e, pport, eport, seq=s & 0xffffffff, ack=own_seq, flags=flags, payload=b"evil" * 2)
                packets.append(raw.ip6(src, e, raw.TCP, t))
                for kind in (raw.SYN, raw.SYN_ACK, raw.ACK):
                    packets.append(raw.ip6(src, e, raw.DSTOPTS, raw.header(raw.TCP, kind, zero, zero) + t))
        # FAIL, of every reason, quoting a packet of the flow as it was
        quote = raw.ip6(e, p, raw.TCP, raw.tcp(e, p, eport, pport, seq=own_seq, ack=seq, flags=0x10))
        for reason in range(0, 20):
            tlv = struct.pack(">BBBBHH", 1, 6, reason, 0, len(quote), 0)
            packets.append(raw.alone(src, e, raw.FAIL, zero, zero, tlv, quote))
        # ICMPv6 errors are soft
        for kind, code in ((1, 0), (1, 3), (1, 4), (3, 0), (4, 1)):
            body = struct.pack(">BBHI", kind, code, 0, 0) + quote
            c = 0xffff ^ raw.total(raw.pseudo(src, e, len(body), 58) + body)
            packets.append(raw.ip6(src, e, 58, body[:2] + struct.pack(">H", c) + body[4:]))
        # renegotiation, which is to come
        for kind in (5, 6, 7, 9):
            packets.append(raw.alone(src, e, kind, zero, zero, b"", quote))
    sent(packets, 3)


def malformed(own, to, service, port):
    """Headers that are wrong in one way each: to a service (the service router's to refuse) or to a host."""
    src, dst, sid = locator(own), raw.packed(to), raw.sid(service)
    zero = bytes(12)
    t = raw.tcp(src, dst, 4000, int(port))
    good = raw.header(raw.TCP, raw.SYN, sid, zero)
    packets = [raw.ip6(src, dst, raw.DSTOPTS, raw.header(raw.TCP, raw.SYN, sid, zero, version=v) + t) for v in (0, 2, 15)]
    packets += [raw.ip6(src, dst, raw.DSTOPTS, raw.header(raw.TCP, k, sid, zero) + t) for k in (0, 12, 15)]
    for length in (0, 1, 2, 255):  # header length and option length that do not fit
        packets.append(raw.ip6(src, dst, raw.DSTOPTS, good[:1] + bytes([length]) + good[2:] + t))
        packets.append(raw.ip6(src, dst, raw.DSTOPTS, good[:3] + bytes([length]) + good[4:] + t))
    packets.append(raw.ip6(src, dst, raw.DSTOPTS, raw.header(99, raw.SYN, sid, zero) + t))
    packets.append(raw.ip6(src, dst, raw.DSTOPTS, raw.header(raw.TCP, raw.SYN, sid, zero, tlvs=b"\x03\xff" + bytes(6)) + t))
    whole = good + t
    for n in list(range(1, 40)) + [44, 50]:  # truncated anywhere
        packets.append(raw.ip6(src, dst, raw.DSTOPTS, whole[:n]))
    for kind in (raw.FAIL, raw.PROBE, 11, raw.RSYN, 6, 7, 9):  # stand-alone kinds with a wrong checksum, empty, cut
        p = bytearray(raw.alone(src, dst, kind, sid, zero, struct.pack(">BBBBHH", 3, 6, 6, 0, int(port), 7)))
        packets.append(bytes(p))
        p[47] ^= 0x55
        packets.append(bytes(p))
        packets.append(raw.ip6(src, dst, raw.DSTOPTS, raw.header(raw.NONE, kind, sid, zero)))
    link = raw.Link(LINK)
    for p in packets:
        link.send(p)
    print(len(packets))


def mutated(own, to, service, port, n, seed):
    """Random changes of good packets."""
    random.seed(int(seed))
    src, dst, sid = locator(own), raw.packed(to), raw.sid(service)
    zero = bytes(12)
    udp = raw.udp(src, dst, 4000, int(port), b"hello")
    quote = raw.syn(src, service, 4000, int(port))
    seeds = [raw.syn(src, service, 4000, int(port), dst=dst),
             raw.ip6(src, dst, raw.DSTOPTS, raw.header(raw.UDP, raw.DATA, sid, zero) + udp),
             raw.alone(src, dst, raw.PROBE, sid, zero, struct.pack(">BBBBHH", 3, 6, 6, 0, int(port), 7)),
             raw.alone(src, dst, raw.FAIL, sid, zero, struct.pack(">BBBBHH", 1, 6, 2, 1, len(quote), 0), quote)]
    packets = []
    for _ in range(int(n)):
        p = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 6)):  # source and destination stay, or nothing would arrive
            p[random.choice([4, 5, 6] + list(range(40, len(p))))] = random.randrange(256)
        if random.random() < 0.3:
            p = p[:random.randint(41, len(p))]
        packets.append(bytes(p))
    sent(packets)


def control(dst, n, seed):
    """Nonsense to a control socket, from an ordinary one: random, cut, and with heads that look right."""
    random.seed(int(seed))
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    to = (dst, PORT, 0, socket.if_nametoindex(LINK))
    count = 0
    for _ in range(int(n)):
        kind = random.randrange(4)
        if kind == 0:
            m = random.randbytes(random.choice([0, 1, 15, 16, 17, 64, 1232, 1400]))
        else:
            m = b"SF" + bytes([1 if kind < 3 else random.randrange(256), random.choice([1, 3, 5, 7, 9, 11, 12, 2, 200])])
            m += struct.pack(">IQ", random.randrange(1 << 32), random.choice([0, random.randrange(1 << 64)]))
            for _ in range(random.randrange(6)):
                value = random.randbytes(random.choice([0, 4, 8, 12, 16, 20, 32, 48, 64]))
                length = len(value) if kind == 1 else random.randrange(1 << 16)
                m += struct.pack(">HH", random.randrange(1, 28), length) + value
        try:
            s.sendto(m, to)
            count += 1
        except OSError:
            pass
    print(count)


def sniff(path, seconds, kinds):
    """Frames with control messages of these types on LINK, as lines of hexadecimal digits."""
    wanted = {int(k) for k in kinds.split(",")}
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    s.bind((LINK, 0x0003))
    s.settimeout(0.2)
    end = time.monotonic() + float(seconds)
    print("up", flush=True)
    with open(path, "w", encoding="ascii") as out:
        while time.monotonic() < end:
            try:
                f = s.recv(4096)
            except TimeoutError:
                continue
            if f[12:14] == b"\x86\xdd" and f[20] == raw.UDP and f[56:58] == PORT.to_bytes(2, "big") and f[65] in wanted:
                out.write(f.hex() + "\n")
                out.flush()


def replay(path, change="0"):
    """Captured frames again, as they were, or each byte of the message changed in turn."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((LINK, 0x86dd))
    n = 0
    with open(path, encoding="ascii") as lines:
        frames = [bytes.fromhex(line) for line in lines]
    for f in frames:
        if change == "0":
            for _ in range(3):
                s.send(f)
                n += 1
            continue
        for at in range(62, len(f)):
            g = bytearray(f)
            g[at] ^= 0x41
            g[60:62] = b"\0\0"
            src, dst = bytes(g[22:38]), bytes(g[38:54])
            c = 0xffff ^ raw.total(raw.pseudo(src, dst, len(g) - 54, raw.UDP) + bytes(g[54:]))
            g[60:62] = (c or 0xffff).to_bytes(2, "big")
            s.send(bytes(g))
            n += 1
    print(n)


def watch(port):
    """The last TCP packet to PORT between locators on LINK before two seconds of silence: addresses, ports, the numbers
    that come next."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    s.bind((LINK, 0x0003))
    s.settimeout(0.1)
    print("up", flush=True)
    last, until = None, time.monotonic() + 10
    while time.monotonic() < until:  # by the clock: other flows are never silent
        try:
            f = s.recv(65536)
        except TimeoutError:
            continue
        if f[12:14] == b"\x86\xdd" and f[20] == raw.TCP and f[22:24] == b"\xfd\x5c" and f[56:58] == int(port).to_bytes(2, "big"):
            sport, dport, seq, ack = struct.unpack(">HHII", f[54:66])
            seq = (seq + int.from_bytes(f[18:20], "big") - (f[66] >> 4) * 4) & 0xffffffff
            last = {"src": socket.inet_ntop(socket.AF_INET6, f[22:38]), "dst": socket.inet_ntop(socket.AF_INET6, f[38:54]),
                    "sport": sport, "dport": dport, "seq": seq, "ack": ack}
            until = time.monotonic() + 2
    print(json.dumps(last))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
