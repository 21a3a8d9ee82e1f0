#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers and clients for the tests in namespaces: ordinary sockets, that know nothing of SCAFFOLD.

Outcomes are printed in a word or two: "ok ...", or the name of the errno ("ECONNREFUSED"), and end in status 0 or 1.
Everything has a limit of time, so nothing hangs: a timeout is printed as "TIMEOUT".
"""
import argparse
import collections
import errno
import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time

CHUNK = 65536
TIMEOUT = 60


def name_of(e):
    if isinstance(e, (socket.timeout, TimeoutError)) and e.errno is None:
        return "TIMEOUT"
    return errno.errorcode.get(e.errno, str(e)) if isinstance(e, OSError) else repr(e)


def pattern(seed, length):
    """Bytes that differ with seed and place, as blocks."""
    block = hashlib.sha256(seed.encode()).digest() * (CHUNK // 32)
    at = 0
    while at < length:
        n = min(CHUNK - 8, length - at)
        yield struct.pack(">Q", at) + block[:n - 8] if n > 8 else block[:n]
        at += n


def digest(seed, length):
    h = hashlib.sha256()
    for block in pattern(seed, length):
        h.update(block)
    return h.hexdigest()


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError(f"end after {len(data)} of {n} bytes")
        data += more
    return data


def read_line(s):
    line = b""
    while not line.endswith(b"\n"):
        more = s.recv(1)
        if not more:
            raise EOFError("end inside a line")
        line += more
    return line.decode().strip()


def read_all(s):
    """Everything until the peer's end: its length and digest."""
    h, n = hashlib.sha256(), 0
    while True:
        data = s.recv(1 << 20)
        if not data:
            return n, h.hexdigest()
        h.update(data)
        n += len(data)


# ---- servers ----------------------------------------------------------------------------------


def serve_echo(s, _):
    while True:
        data = s.recv(CHUNK)
        if not data:
            return
        s.sendall(data)


def serve_sum(s, _):
    """Read to the end (the client's half close), answer with what came, then with as many bytes."""
    n, sha = read_all(s)
    s.sendall(f"{n} {sha}\n".encode())
    for block in pattern("answer", n):
        s.sendall(block)


def serve_who(s, args):
    """One line, then the server closes first: its end gets TIME_WAIT."""
    peer = s.getpeername()
    s.sendall(f"{args.name} {peer[0]} {peer[1]}\n".encode())


def serve_web(s, args):
    """A line in, a line out; the client closes."""
    while True:
        try:
            read_line(s)
        except EOFError:
            return
        s.sendall(f"{args.name}\n".encode())


def serve_reset(s, _):
    read_exactly(s, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve_report(s, _):
    """Say how the connection ended."""
    try:
        n, _ = read_all(s)
        print(f"end {n}", flush=True)
    except OSError as e:
        print(name_of(e), flush=True)


def serve_hang(s, args):
    """Close when FILE is there."""
    print("accepted", flush=True)
    while not os.path.exists(args.until):
        time.sleep(0.02)
    s.shutdown(socket.SHUT_RDWR)


def serve_source(s, _):
    """Numbered blocks for as long as somebody reads."""
    n = 0
    while True:
        s.sendall(struct.pack(">Q", n) * 512)
        n += 1


def serve_sink(s, _):
    """Numbered blocks, each of which must be the next; answer how many there were."""
    n = 0
    while True:
        try:
            block = read_exactly(s, 4096)
        except EOFError:
            break
        if block != struct.pack(">Q", n) * 512:
            s.sendall(b"block %d is another\n" % n)
            return
        n += 1
    s.sendall(b"ok %d\n" % n)


def serve_tcp(args):
    handle = globals()["serve_" + args.mode]
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if args.reuseport:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((args.address, args.port))
    listener.listen(args.backlog)

    def talk(s):
        with s:
            s.settimeout(args.timeout)
            try:
                handle(s, args)
            except (OSError, EOFError):
                pass

    while True:
        s, _ = listener.accept()
        threading.Thread(target=talk, args=(s,), daemon=True).start()


def serve_udp(args):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    if args.reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if args.mode == "hold":  # the port stays registered, but this socket gets nothing
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((args.address, args.port))
    if args.mode == "hold":
        s.connect((args.address, 9))
        signal.pause()
    while True:
        data, peer = s.recvfrom(65535)
        answer = data if args.mode == "echo" else f"{args.name} {peer[0]} {peer[1]}".encode()
        if args.mode == "otherport":  # as TFTP does: the answer comes from a socket of its own
            other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            other.bind((args.address, 0))
            other.sendto(b"from " + str(other.getsockname()[1]).encode() + b": " + data, peer)
            other.settimeout(10)
            threading.Thread(target=second_round, args=(other,), daemon=True).start()
        elif args.mode == "connect":  # from now on this socket is that client's
            s.connect(peer)
            s.send(answer)
        elif args.mode == "sum":
            s.sendto(f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode(), peer)
        elif args.mode == "large":  # as many bytes as asked for
            s.sendto(b"x" * int(data), peer)
        else:
            s.sendto(answer, peer)


def second_round(s):
    with s:
        try:
            data, peer = s.recvfrom(65535)
            s.sendto(b"again: " + data, peer)
        except OSError:
            pass


def serve(args):
    if args.fork:  # the parent leaves; the child holds the socket
        return serve_fork(args)
    return serve_udp(args) if args.udp else serve_tcp(args)


def serve_fork(args):
    """bind and listen here, serve in a child (fork), or in another program (exec) that inherits the socket."""
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.bind((args.address, args.port))
    listener.listen(args.backlog)
    if args.fork == "exec":
        os.set_inheritable(listener.fileno(), True)
        code = ("import socket\nl = socket.socket(fileno=%d)\nwhile True:\n    s, _ = l.accept()\n"
                "    s.sendall(b'%s x 0\\n')\n    s.close()" % (listener.fileno(), args.name.encode().decode()))
        os.execvp(sys.executable, [sys.executable, "-c", code])
    if os.fork():
        os._exit(0)
    while True:
        s, _ = listener.accept()
        with s:
            serve_who(s, args)


# ---- clients ----------------------------------------------------------------------------------


def opened(args, timeout=None):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if args.udp else socket.SOCK_STREAM)
    if args.bind or args.bind_port:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((args.bind or "::", args.bind_port))
    s.settimeout(timeout or args.timeout)
    s.connect((args.address, args.port))
    return s


def connect(args):
    """Connect, and say what came of it: "ok FIRST-LINE"."""
    with opened(args) as s:
        local = s.getsockname()[0]
        line = read_line(s) if args.read else ""
        if args.read:
            read_all(s)  # the server closes first
        return f"ok {local} {line}"


def exchange(args):
    """Send, half close, receive: serve sum."""
    with opened(args) as s:
        for block in pattern("question", args.bytes):
            s.sendall(block)
        s.shutdown(socket.SHUT_WR)
        n, sha = read_line(s).split()
        if (int(n), sha) != (args.bytes, digest("question", args.bytes)):
            return f"the server received {n} bytes, or others"
        n, sha = read_all(s)
        if (n, sha) != (args.bytes, digest("answer", args.bytes)):
            return f"received {n} bytes of {args.bytes}, or others"
    return f"ok {args.bytes}"


def both(args):
    """Both directions at once: serve echo."""
    with opened(args) as s:
        def send():
            for block in pattern("both", args.bytes):
                s.sendall(block)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        n, sha = read_all(s)
        sender.join()
    return f"ok {n}" if (n, sha) == (args.bytes, digest("both", args.bytes)) else f"{n} bytes, or others"


def many(args):
    """N connections open at once, each echoing its own bytes."""
    results = collections.Counter()
    barrier = threading.Barrier(args.n)
    lock = threading.Lock()

    def one(i):
        try:
            with opened(args) as s:
                barrier.wait(args.timeout)
                mine = b"".join(pattern(str(i), args.bytes))
                s.sendall(mine)
                result = "ok" if read_exactly(s, len(mine)) == mine else "mixed up"
        except (OSError, EOFError, threading.BrokenBarrierError) as e:
            barrier.abort()
            result = name_of(e)
        with lock:
            results[result] += 1

    threads = [threading.Thread(target=one, args=(i,)) for i in range(args.n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return " ".join(f"{k} {v}" for k, v in sorted(results.items()))


def reset(args):
    """Reset the connection after a byte: the server gets ECONNRESET."""
    with opened(args) as s:
        s.sendall(b"x")
        time.sleep(0.2)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return "ok"


def taken(args):
    """Send a byte, and say how reading ends."""
    with opened(args) as s:
        s.sendall(b"x")
        return "ok end" if not s.recv(1) else "data"


def keep(args):
    """A flow that is used for as long as FILE is not there: a line each --every seconds, then a last one."""
    with opened(args) as s:
        rounds = 0
        while True:
            last = os.path.exists(args.until)
            s.sendall(b"%d\n" % rounds)
            if args.served:
                read_line(s)
            elif read_line(s) != str(rounds):
                return "mixed up"
            rounds += 1
            if rounds == 1:
                print("up", flush=True)
            if last:
                return f"ok {rounds}"
            end = time.monotonic() + args.every
            while time.monotonic() < end and not os.path.exists(args.until):
                time.sleep(0.02)


def download(args):
    """Read numbered blocks (serve source) until FILE is there; each must be the next."""
    with opened(args) as s:
        n = 0
        while not os.path.exists(args.until):
            if read_exactly(s, 4096) != struct.pack(">Q", n) * 512:
                return f"block {n} is another"
            n += 1
            if n == 100:
                print("up", flush=True)
    return f"ok {n}"


def upload(args):
    """Send numbered blocks (serve sink) until FILE is there, and hear that all came."""
    with opened(args) as s:
        n = 0
        while not os.path.exists(args.until):
            s.sendall(struct.pack(">Q", n) * 512)
            n += 1
            if n == 100:
                print("up", flush=True)
        s.shutdown(socket.SHUT_WR)
        said = read_line(s)
    return said if said == f"ok {n}" else f"{said}, of {n}"


def loop(args):
    """Connect, ask, close, until FILE is there (or --n times): outcomes by name, "cut" for what was reset in between."""
    results, who = collections.Counter(), collections.Counter()
    n = 0
    while (n < args.n) if args.n else not os.path.exists(args.until):
        n += 1
        try:
            s = opened(args)
        except OSError as e:
            # Reset in the moment in which it succeeded, by the death of who accepted it: no failure to connect.
            results["cut" if e.errno == errno.ECONNRESET else "connect:" + name_of(e)] += 1
            continue
        with s:
            try:
                s.sendall(b"who\n")
                who[read_line(s)] += 1
                results["ok"] += 1
            except (OSError, EOFError) as e:
                results["cut"] += 1
        if n == 1:
            print("up", flush=True)
        if args.every:
            time.sleep(args.every)
    print(" ".join(f"{k}={v}" for k, v in sorted(results.items())), "|",
          " ".join(f"{k}={v}" for k, v in sorted(who.items())), flush=True)
    return "ok" if not any(k.startswith("connect:") for k in results) and results["ok"] else "a connect failed"


def closing(args):
    """Connect, wait until FILE is there, close, and stay until the kernel no longer has the socket."""
    s = opened(args)
    print("up", s.getsockname()[1], flush=True)
    while not os.path.exists(args.until):
        time.sleep(0.02)
    s.shutdown(socket.SHUT_RDWR)
    s.close()
    return "ok"


# ---- datagrams --------------------------------------------------------------------------------


def ask(args):
    """A datagram out, one in: connected, or with --unconnected sendto."""
    data = b"".join(pattern("datagram", args.bytes)) if args.bytes else args.text.encode()
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(args.timeout)
    if args.nofrag:
        s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, IP_PMTUDISC_DO
    if args.bind or args.bind_port:
        s.bind((args.bind or "::", args.bind_port))
    to = (args.address, args.port)
    if not args.unconnected:
        s.connect(to)
    lines = []
    for _ in range(args.n or 1):
        for left in range(args.tries, 0, -1):  # as such clients do: a datagram may be lost, or draw an error once
            try:
                if args.unconnected:
                    s.sendto(data, to)
                else:
                    s.send(data)
                answer, peer = s.recvfrom(65535)
                break
            except OSError:
                if left == 1:
                    raise
        if args.bytes:
            want = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
            lines.append("ok" if answer in (data, want) else f"another answer of {len(answer)} bytes")
        else:
            lines.append(f"ok {peer[0]} {peer[1]} {answer[:200].decode()}")
    if args.again:  # to where the answer came from
        s.sendto(b"second", peer)
        lines.append(s.recvfrom(65535)[0].decode())
    return " ".join(sorted(set(lines)) if args.n else lines)


def talk(args):
    """One connected socket, a datagram each --every seconds until FILE is there: who answered how often, and what failed."""
    results = collections.Counter()
    args.udp = True
    with opened(args, args.every) as s:
        while not os.path.exists(args.until):
            end = time.monotonic() + args.every
            try:
                s.send(b"who")
                results[s.recv(65535).decode().split()[0]] += 1
            except OSError as e:
                results["lost" if name_of(e) == "TIMEOUT" else name_of(e)] += 1
            if sum(results.values()) == 1:
                print("up", *results, flush=True)
            time.sleep(max(0, end - time.monotonic()))
    return "ok " + " ".join(f"{k}={v}" for k, v in sorted(results.items()))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("do", choices=["serve", "connect", "exchange", "both", "many", "reset", "taken", "keep", "download",
                                  "upload", "loop", "closing", "ask", "talk"])
    p.add_argument("address")
    p.add_argument("port", type=int)
    p.add_argument("mode", nargs="?", default="echo")
    p.add_argument("--udp", action="store_true")
    p.add_argument("--name", default="server")
    p.add_argument("--bind")
    p.add_argument("--bind-port", type=int, default=0)
    p.add_argument("--bytes", type=int, default=0)
    p.add_argument("--n", type=int, default=0)
    p.add_argument("--tries", type=int, default=1)
    p.add_argument("--backlog", type=int, default=1024)
    p.add_argument("--every", type=float, default=0)
    p.add_argument("--timeout", type=float, default=TIMEOUT)
    p.add_argument("--until", default="/nonexistent")
    p.add_argument("--text", default="hello")
    p.add_argument("--fork", choices=["fork", "exec"])
    for flag in ("reuseport", "read", "unconnected", "nofrag", "again", "served"):
        p.add_argument("--" + flag, action="store_true")
    args = p.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    threading.stack_size(256 * 1024)
    if args.do == "serve":
        serve(args)
        return 0
    try:
        said = globals()[args.do](args)
    except (OSError, EOFError) as e:
        said = name_of(e)
    print(said, flush=True)
    return 0 if said.startswith("ok") else 1


if __name__ == "__main__":
    sys.exit(main())
