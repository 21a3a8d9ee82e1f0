# SPDX-License-Identifier: Apache-2.0
"""Raw packets by hand: IPv6, SCAFFOLD header (docs/protocol.md section 2), TCP, UDP; sent as frames on an uplink.

Written from the protocol's text, not from the project's code, so that it also checks that both agree.
"""
import ipaddress
import json
import os
import socket
import struct
import subprocess

SYN, SYN_ACK, ACK, DATA, RSYN, FAIL, PROBE = 1, 2, 3, 4, 5, 8, 10
TCP, UDP, DSTOPTS, NONE = 6, 17, 60, 59


def packed(address):
    return ipaddress.IPv6Address(address).packed if isinstance(address, str) else address


def total(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def pseudo(src, dst, length, nexthdr):
    return packed(src) + packed(dst) + struct.pack(">II", length, nexthdr)


def ip6(src, dst, nexthdr, payload, hops=64):
    return struct.pack(">IHBB", 6 << 28, len(payload), nexthdr, hops) + packed(src) + packed(dst) + payload


def header(nexthdr, kind, dst_sid, src_sid, flags=0, aux=0, tlvs=b"", version=1):
    """The SCAFFOLD header; serviceIDs are 12 bytes."""
    assert (32 + len(tlvs)) % 8 == 0
    units = (32 + len(tlvs)) // 8 - 1
    return struct.pack(">BBBBBBH", nexthdr, units, 0x1e, 8 * units + 4, version << 4 | kind, flags, aux) + \
        dst_sid + src_sid + tlvs


def sid(address):
    """The serviceID in a service address."""
    return packed(address)[4:]


def tcp(src, dst, sport, dport, seq=0, ack=0, flags=2, payload=b"", csum=True):
    """A segment; its checksum covers the given addresses, as seen on the wire."""
    t = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65000, 0, 0) + payload
    if csum:
        c = 0xffff ^ total(pseudo(src, dst, len(t), TCP) + t)
        t = t[:16] + struct.pack(">H", c) + t[18:]
    return t


def udp(src, dst, sport, dport, payload=b""):
    u = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    c = 0xffff ^ total(pseudo(src, dst, len(u), UDP) + u)
    return u[:6] + struct.pack(">H", c or 0xffff) + u[8:]


def alone(src, dst, kind, dst_sid, src_sid, tlvs=b"", contents=b"", flags=0):
    """A stand-alone kind, with its own checksum in aux."""
    h = header(NONE, kind, dst_sid, src_sid, flags, 0, tlvs)
    c = 0xffff ^ total(pseudo(src, dst, len(h) + len(contents), DSTOPTS) + h + contents)
    return ip6(src, dst, DSTOPTS, h[:6] + struct.pack(">H", c) + h[8:] + contents)


def syn(src, service, sport, dport, dst=None, src_sid=bytes(12), seq=1, attempt=0, version=1, kind=SYN):
    """A first packet from locator @src to a service (or to where it is resolved to)."""
    dst = packed(dst or service)
    return ip6(src, dst, DSTOPTS, header(TCP, kind, sid(service), src_sid, aux=attempt, version=version) +
               tcp(src, dst, sport, dport, seq=seq))


def sock(locator, socket_id):
    """A locator with a socketID."""
    return packed(locator)[:10] + socket_id.to_bytes(6, "big")


class Link:
    """Frames on an interface of this namespace."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
        self.socket.bind((name, 0x86dd))
        self.socket.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS: past the host's own datapath
        self.own = self.socket.getsockname()[4]
        neighbours = json.loads(subprocess.run(["ip", "-6", "-j", "neigh", "show", "dev", name], check=True,
                                               capture_output=True, text=True).stdout)
        self.router = next((bytes.fromhex(n["lladdr"].replace(":", "")) for n in neighbours if "lladdr" in n), None)
        if self.router is None:
            raise SystemExit(f"{name}: the router's address is not known")

    def send(self, packet):
        self.socket.send(self.router + self.own + b"\x86\xdd" + packet)


def env(name):
    return os.environ[name]
