# SPDX-License-Identifier: Apache-2.0
"""The control protocol as docs/protocol.md has it, written anew: a test must not share a mistake."""
import ipaddress
import socket
import ssl
import struct
import threading
import time

TYPES = {
    "HELLO": 32, "HOST_JOINED": 33, "HOST_LEFT": 34, "HOST_REGISTERED": 35, "HOST_UNREGISTERED": 36, "LOAD": 37,
    "ALARM": 38, "UP_SYNCED": 39, "PING": 40, "PONG": 41, "WELCOME": 64, "SYNC_BEGIN": 65, "SYNC_END": 66,
    "RULES": 67, "RULES_GONE": 68, "ROUTES": 69, "ROUTES_GONE": 70, "REJECTED": 71, "VERDICTS": 72, "SHED": 15,
}
PATIENCE = 20  # seconds for what takes milliseconds
NAMES = {number: name for name, number in TYPES.items()}
NET, TIMERS, REGISTRATION, RESULT, REASON, TEXT, SERVICE_LOAD = 7, 8, 9, 10, 11, 12, 13
VERSION, ROUTER, BLOCK, SERVICE, INSTANCE, ROUTE, HASHKEY, HOST, NAME, SHED = 16, 17, 18, 19, 20, 21, 22, 23, 24, 29
ACCESS, SERVICE_ROLE = 1, 2
BAD_MESSAGE, NO_SESSION, LOWER_TERM, ADDRESS_CLASH, DENIED_POLICY = 106, 103, 108, 109, 96


def sid(ssid, local):
    return struct.pack("!IQ", ssid, local)


def service(local):
    return sid(1, local)


def identity(local):
    return sid(0x80000000, local)


def locator(block, host, autonomous_system=1):
    return struct.pack("!HIHH", 0xFD5C, autonomous_system, block, host) + bytes(6)


def item(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(name, *items, seq=1):
    return b"SF" + struct.pack("!BBIQ", 1, TYPES[name], seq, 0) + b"".join(items)


def host(block, number, ident, boot=1):
    return item(HOST, locator(block, number) + identity(ident) + struct.pack("!Q", boot))


def registration(sid_, port, weight=0, proto=6):
    return item(REGISTRATION, sid_ + struct.pack("!BBHHH", proto, 0, port, weight, 0))


class Message:
    def __init__(self, body):
        magic, version, kind, self.seq, _ = struct.unpack("!2sBBIQ", body[:16])
        assert magic == b"SF" and version == 1, body[:16]
        self.name = NAMES[kind]
        self.items = []
        at = 16
        while at < len(body):
            number, length = struct.unpack("!HH", body[at:at + 4])
            value = body[at + 4:at + 4 + length]
            assert len(value) == length
            self.items.append((number, value))
            at += 4 + length + -length % 4

    def find(self, kind):
        return next((value for number, value in self.items if number == kind), None)

    def version(self):
        return struct.unpack("!II", self.find(VERSION))

    def reason(self):
        return self.find(REASON)[0]

    def __repr__(self):
        return f"{self.name} {self.items}"


class Closed(Exception):
    pass


class Router:
    """A router's end of the channel, with the rules and routes that it was told."""

    def __init__(self, port, number, roles, name, tls=None):
        raw = socket.create_connection(("::1", port), timeout=20)
        self.sock = tls.wrap_socket(raw, server_hostname="controller") if tls else raw
        self.number, self.roles, self.name = number, roles, name
        self.buffer = b""
        self.rules, self.routes = {}, set()
        self.term = 0
        self.number_seen = 0
        self.in_sync = False
        self.seen = []
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.sock.sendall(bytes(4))  # we speak this protocol
        if not tls:  # an ssl socket is not for two threads; those tests are short
            threading.Thread(target=self.keep_alive, daemon=True).start()

    def keep_alive(self):
        while not self.closed.wait(2):
            try:
                with self.lock:
                    self.sock.sendall(bytes(4))
            except OSError:
                return

    @property
    def underlay(self):
        return ipaddress.IPv6Address(f"2001:db8::{self.number:x}").packed

    def close(self):
        self.closed.set()
        self.sock.close()

    def send(self, *bodies):
        with self.lock:
            self.sock.sendall(b"".join(struct.pack("!I", len(body)) + body for body in bodies))

    def receive(self):
        """The next message; it is applied, too."""
        while True:
            if len(self.buffer) >= 4:
                length = struct.unpack("!I", self.buffer[:4])[0]
                if len(self.buffer) >= 4 + length:
                    body, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
                    if not length:
                        continue
                    got = Message(body)
                    self.apply(got)
                    self.seen.append(got)
                    return got
            try:
                data = self.sock.recv(1 << 16)
            except (ConnectionResetError, ssl.SSLError) as error:
                raise Closed() from error
            if not data:
                raise Closed()
            self.buffer += data

    def apply(self, got):
        if got.name in ("SYNC_BEGIN", "RULES", "RULES_GONE", "ROUTES", "ROUTES_GONE"):
            term, number = got.version()
            assert term >= self.term, "a lower term"
            assert self.in_sync or got.name == "SYNC_BEGIN" or number > self.number_seen, "versions must grow"
            self.term, self.number_seen = term, number
        if got.name == "SYNC_BEGIN":
            self.rules, self.routes, self.in_sync = {}, set(), True
        elif got.name == "SYNC_END":
            self.in_sync = False
        elif got.name == "PING":
            self.send(message("PONG", item(VERSION, struct.pack("!II", self.term, self.number_seen)), seq=got.seq))
        elif got.name in ("RULES", "RULES_GONE"):
            self.apply_rules(got)
        elif got.name in ("ROUTES", "ROUTES_GONE"):
            for kind, value in got.items:
                if kind == ROUTE:
                    route = (str(ipaddress.IPv6Address(value[:16])), value[32], value[16:32])
                    (self.routes.add if got.name == "ROUTES" else self.routes.discard)(route)

    def apply_rules(self, got):
        current = None
        for kind, value in got.items:
            if kind == SERVICE:
                sid_, proto, _, port, count, _ = struct.unpack("!12sBBHHH", value)
                current = (sid_, proto, port)
                if got.name == "RULES":
                    self.rules[current] = {}
                else:
                    self.rules.pop(current, None)
            elif kind == INSTANCE:
                self.rules[current][value[:16]] = struct.unpack("!H", value[16:18])[0]

    def until(self, done):
        """Receive until @done(router) is true."""
        give_up = time.monotonic() + PATIENCE
        while not done(self):
            assert time.monotonic() < give_up, f"{self.name} was not told what it should"
            self.receive()

    def wait(self, name):
        give_up = time.monotonic() + PATIENCE
        while True:
            got = self.receive()
            if got.name == name:
                return got
            assert time.monotonic() < give_up, f"{self.name} got no {name}"

    def hello(self, block=0, version=None):
        items = [item(ROUTER, self.underlay + identity(0x10000 + self.number) + bytes([self.roles, 0, 0, 0]))]
        if self.roles & ACCESS:
            items.append(item(BLOCK, struct.pack("!HH", block, 1)))
        items.append(item(NAME, self.name.encode()))
        if version:
            items.append(item(VERSION, struct.pack("!II", *version)))
        self.send(message("HELLO", *items))

    def up(self, block=0, *bodies):
        """HELLO, the whole state, UP-SYNCED; returns the block after the controller's sync."""
        self.hello(block)
        welcome = self.wait("WELCOME")
        self.send(*bodies, message("UP_SYNCED"))
        self.wait("SYNC_END")
        value = welcome.find(BLOCK)
        return struct.unpack("!HH", value)[0] if value else 0
