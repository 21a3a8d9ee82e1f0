#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cooperating server for the tests of hand-over, which does by commands what relay-server does by itself, and badly what
that does well: libscaffold by ctypes.

    handover.py LIBRARY serve ADDRESS PORT [UID [cap]]
        listen, as a user, who may have privileged ports; and take commands from standard input, each answered by one line:
        accept                 one connection; "ok N", its number here
        send N BYTES           write as much of a pattern as goes without waiting; "ok DONE"
        read N BYTES           read so much; "ok SHA256" of it
        pending N              unread, unacknowledged and unsent bytes: "ok IN OUT NOTSENT"
        export N FILE          "ok LENGTH" or the errno
        import FILE            "ok N" or the errno, with what sf_error() says
        vanish N               ask for an export, and not take it
        freeze N               as an agent does that is killed then
        junk                   requests that are none; what is answered to each
        close N
        plain N                an ordinary connection to itself, of no service; a number
    handover.py LIBRARY import FILE [UID [cap]]  once, without a listener, as a user: "ok" or the errno
    handover.py LIBRARY edit FILE OUT WHAT       another state: expired, cut, garbage, version, long, empty, flipped, elsewhere,
                                                 shown=ADDRESS, place=LOCATOR, local=ADDRESS, port=N
    handover.py LIBRARY crowd UID OTHER          as many idle requests as a user may have; what the next is told, and another user
    handover.py LIBRARY big UID                  a state of 65 MiB: what is said of it
    handover.py LIBRARY stop BPFFS PORT          flows of a local port are exported, as far as their entries say
    handover.py LIBRARY age BPFFS PORT           those that are exported have been so for three minutes
    handover.py LIBRARY talk ADDRESS PORT N SEED client: sends N bytes of the pattern while it reads N; "ok" if all came
"""
import array
import ctypes
import errno
import fcntl
import glob
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

DOMAIN = b"scaffold exported connection v1\0"
TCP_REPAIR = 19
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, CAP_NET_BIND_SERVICE, CAP_VERSION_3 = 4, 8, 10, 0x20080522
STATE_AT, LPORT_AT, MOVED_AT, BOUND, EXPORTED = 36, 96, 188, 4, 7  # of struct sf_flow
SIOCOUTQ, SIOCINQ, SIOCOUTQNSD = 0x5411, 0x541B, 0x894B


def pattern(start, n):
    """Bytes of which each place shows in what is around it."""
    block = bytes((i * 31 + i // 251) & 255 for i in range(251 * 256))
    start %= len(block)
    return (block * ((start + n) // len(block) + 1))[start:start + n]


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path, use_errno=True)
        self.lib.sf_error.restype = ctypes.c_char_p

    def why(self):
        return f"{errno.errorcode.get(ctypes.get_errno(), '?')} {self.lib.sf_error().decode()}"

    def export(self, fd):
        length = ctypes.c_size_t(0)
        self.lib.sf_export(fd, None, ctypes.byref(length))
        if ctypes.get_errno() != errno.ENOBUFS:
            return None
        while True:
            room = ctypes.create_string_buffer(length.value)
            if self.lib.sf_export(fd, room, ctypes.byref(length)) == 0:
                return room.raw[:length.value]
            if ctypes.get_errno() != errno.ENOBUFS:
                return None

    def import_(self, state):
        return self.lib.sf_import(state, ctypes.c_size_t(len(state)))


class Server:
    def __init__(self, lib, address, port):
        self.lib, self.conns, self.sent = lib, {}, {}
        self.listener = socket.socket(socket.AF_INET6)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(16)

    def add(self, s):
        n = len(self.conns)
        self.conns[n] = s
        return f"ok {n}"

    def accept(self):
        self.listener.settimeout(20)
        s, _ = self.listener.accept()
        s.settimeout(30)
        return self.add(s)

    def send(self, n, count, start="0"):
        s, done, count, start = self.conns[int(n)], 0, int(count), int(start)
        s.setblocking(False)
        try:
            while done < count:
                done += s.send(pattern(start + done, min(65536, count - done)))
        except BlockingIOError:
            pass
        s.settimeout(30)
        return f"ok {done}"

    def sendall(self, n, count, start="0"):
        s, start = self.conns[int(n)], int(start)
        threading.Thread(target=lambda: s.sendall(pattern(start, int(count))), daemon=True).start()
        return "ok"

    def read(self, n, count, start="0"):
        s, count, got = self.conns[int(n)], int(count), b""
        while len(got) < count:
            more = s.recv(min(65536, count - len(got)))
            if not more:
                return f"END after {len(got)}"
            got += more
        return "ok" if got == pattern(int(start), count) else "WRONG"

    def pending(self, n):
        s, out = self.conns[int(n)], []
        for what in (SIOCINQ, SIOCOUTQ, SIOCOUTQNSD):
            value = array.array("i", [0])
            fcntl.ioctl(s.fileno(), what, value)
            out.append(value[0])
        return "ok " + " ".join(map(str, out))

    def export(self, n, path):
        state = self.lib.export(self.conns[int(n)].fileno())
        if state is None:
            return self.lib.why()
        with open(path, "wb") as f:
            f.write(state)
        return f"ok {len(state)}"

    def import_(self, path):
        with open(path, "rb") as f:
            state = f.read()
        began = time.monotonic()
        fd = self.lib.import_(state)
        if fd < 0:
            return self.lib.why()
        s = socket.socket(fileno=fd)
        s.settimeout(30)
        return self.add(s) + f" {(time.monotonic() - began) * 1000:.1f} ms"

    def vanish(self, n):
        """Ask for an export, and not be there for the answer."""
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        agent.connect(os.environ["SCAFFOLD_RUN"] + "/handover.sock")
        agent.shutdown(socket.SHUT_RD)
        socket.send_fds(agent, [struct.pack("=IIQ", 1, 1, 1 << 30)], [self.conns[int(n)].fileno()])
        time.sleep(0.3)
        return "ok"

    def freeze(self, n):
        """What an agent does first to a connection's socket."""
        self.conns[int(n)].setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        return "ok"

    def junk(self):
        """Requests that are none. Which of them was answered, by which errno."""
        out = []
        for data, fds in ((b"", []), (b"x", [0]), (b"x" * 16, [0, 0]), (b"x" * 16, [0, 0, 0]), (struct.pack("=IIQ", 9, 1, 0), [0]),
                          (struct.pack("=IIQ", 1, 9, 0), [0]), (struct.pack("=IIQ", 1, 2, 0), [0]),
                          (struct.pack("=IIQ", 1, 1, 0), []), (struct.pack("=IIQ", 1, 1, 0), [0])):
            agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            agent.settimeout(3)
            agent.connect(os.environ["SCAFFOLD_RUN"] + "/handover.sock")
            socket.send_fds(agent, [data], fds)
            said = agent.recv(4096)
            out.append(errno.errorcode[struct.unpack_from("=I", said, 4)[0]] if said else "END")
        return " ".join(out)

    def close(self, n):
        self.conns[int(n)].close()
        return "ok"

    def plain(self):
        at = socket.socket(socket.AF_INET6)
        at.bind(("::1", 0))
        at.listen(1)
        self.plain_client = socket.create_connection(at.getsockname()[:2])
        return self.add(at.accept()[0])

    def listening(self):
        return self.add(self.listener)

    def run(self):
        for line in sys.stdin:
            name, *args = line.split()
            try:
                said = getattr(self, {"import": "import_"}.get(name, name))(*args)
            except OSError as e:
                said = errno.errorcode.get(e.errno, "TIMEOUT")
            print(said, flush=True)


def edit(path, out, what):
    with open(path, "rb") as f:
        b = bytearray(f.read())
    if what == "expired":
        made, until = struct.unpack_from(">QQ", b, 16)
        struct.pack_into(">QQ", b, 16, made - 120000, until - 120000)
    elif what == "version":
        b[5] = 99
    elif what == "cut":
        b = b[:-1]
    elif what == "long":
        b += b"x"
    elif what == "garbage":
        b = bytearray(os.urandom(len(b)))
    elif what == "empty":
        b = bytearray()
    elif what == "flipped":
        b[200] ^= 1
    elif what == "elsewhere":  # its peer is where no host of the network can be
        b[180:182] = b"\x20\x01"
    elif "=" in what:
        name, value = what.split("=")
        if name == "port":
            struct.pack_into(">H", b, 64, int(value))
        else:
            at, n = {"shown": (48, 16), "local": (32, 16), "place": (180, 10)}[name]
            b[at:at + n] = socket.inet_pton(socket.AF_INET6, value)[:n]
    if what in ("expired", "version", "elsewhere") or "=" in what:
        b[-32:] = hashlib.sha256(DOMAIN + bytes(b[:-32])).digest()
    with open(out, "wb") as f:
        f.write(b)


def become(uid, cap=None):
    """A user, without privileges but that for low ports."""
    libc, uid = ctypes.CDLL(None, use_errno=True), int(uid)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    bits = 1 << CAP_NET_BIND_SERVICE if cap else 0
    header, data = struct.pack("=Ii", CAP_VERSION_3, 0), struct.pack("=6I", bits, bits, 0, 0, 0, 0)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def ask(data=b"", fds=()):
    """A connection to the agent, and a request."""
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    agent.settimeout(4)
    agent.connect(os.environ["SCAFFOLD_RUN"] + "/handover.sock")
    if data:
        try:
            socket.send_fds(agent, [data], list(fds))
        except BrokenPipeError:
            pass  # it was answered before it was asked
    return agent


def said(agent):
    b = agent.recv(4096)
    return f"{errno.errorcode[struct.unpack_from('=I', b, 4)[0]]} {b[16:].split(bytes(1))[0].decode()}"


def crowd(uid, other):
    theirs, ours = os.pipe()
    pid = os.fork()
    if not pid:
        become(uid)
        idle = [ask() for _ in range(16)]
        print(said(ask()), flush=True)
        os.write(ours, b"x")
        time.sleep(30)
        os._exit(len(idle))
    os.read(theirs, 1)
    become(other)
    print("other:", said(ask(struct.pack("=IIQ", 9, 1, 0), [0])), flush=True)
    os.kill(pid, 9)


def big(uid):
    become(uid)
    fd = os.memfd_create("big", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 65 << 20)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    print(said(ask(struct.pack("=IIQ", 1, 2, 0), [fd])), flush=True)


def entries(bpffs, port, state, change, said):
    """Change the entries of all flows of a local port in one state."""
    for table in glob.glob(bpffs + "/host-*/flows"):
        for entry in json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", table])):
            value = [int(b, 16) for b in entry["value"]]
            if value[STATE_AT] == state and value[LPORT_AT:LPORT_AT + 2] == [port >> 8, port & 255]:
                change(value)
                subprocess.check_call(["bpftool", "map", "update", "pinned", table, "key", *entry["key"], "value",
                                       *map(str, value), "exist"])
                print(said, flush=True)


def stop(bpffs, port):
    """What an agent does first to a flow: here, to all bound ones of a local port."""
    def change(value):
        value[STATE_AT] = EXPORTED
    entries(bpffs, port, BOUND, change, "stopped")


def age(bpffs, port):
    def change(value):
        moved = struct.unpack("=I", bytes(value[MOVED_AT:MOVED_AT + 4]))[0] - (180 * 10**9 >> 24)
        value[MOVED_AT:MOVED_AT + 4] = list(struct.pack("=I", moved & 0xffffffff))
    entries(bpffs, port, EXPORTED, change, "aged")


def talk(address, port, n):
    print("pid", os.getpid(), flush=True)
    s = socket.create_connection((address, port), timeout=60)
    errors = []

    def send():
        try:
            s.sendall(pattern(0, n))
        except OSError as e:
            errors.append(e)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    got = 0
    while got < n:
        more = s.recv(65536)
        if not more:  # also after an error, which the kernel tells once: to who sends
            sender.join(1)
            raise errors[0] if errors else SystemExit(f"END after {got}")
        if more != pattern(got, len(more)):
            raise SystemExit(f"WRONG near {got}")
        got += len(more)
    sender.join(60)
    print("ok", got, flush=True)
    if s.recv(1):
        raise SystemExit("more than there is")


def main():
    lib, what, *args = Library(sys.argv[1]), *sys.argv[2:]
    if what == "serve":
        if len(args) > 2:
            become(*args[2:])
        Server(lib, args[0], int(args[1])).run()
    elif what == "import":
        with open(args[0], "rb") as f:
            state = f.read()
        if len(args) > 1:
            become(*args[1:])
        fd = lib.import_(state)
        print("ok" if fd >= 0 else lib.why(), flush=True)
    elif what == "edit":
        edit(*args)
    elif what == "crowd":
        crowd(*args)
    elif what == "big":
        big(*args)
    elif what == "stop":
        stop(args[0], int(args[1]))
    elif what == "age":
        age(args[0], int(args[1]))
    elif what == "talk":
        talk(args[0], int(args[1]), int(args[2]))


main()
