#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scaffold-controller as a program: routers played over sockets, REST, kill -9, TLS.

program_test.py PROGRAM [unittest arguments]
"""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.dont_write_bytecode = True  # leave nothing beside the sources
import wire  # noqa: E402
from wire import Closed, Router, host, identity, item, locator, message, registration, service

PROGRAM = os.path.abspath(sys.argv.pop(1))


def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Controller:
    def __init__(self, settings="", **popen):
        self.dir = tempfile.mkdtemp(prefix="controller-")
        self.port = free_port()
        self.settings = settings
        self.popen = popen
        self.process = None
        if "user" in popen:
            os.chown(self.dir, popen["user"], popen["group"])

    def arguments(self, *more):
        config = os.path.join(self.dir, "controller.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"[controller]\nlisten = [::1]:{self.port}\n{self.settings or 'plain = yes'}\n")
        return [PROGRAM, "--config", config, "--run", self.dir + "/run", "--state", self.dir + "/state", "--log",
                "warn", *more]

    def start(self, *more):
        self.process = subprocess.Popen(self.arguments(*more), **self.popen)
        while True:
            try:
                self.get("/v1/status")
                return self
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(f"the controller ended with {self.process.returncode}") from None
                time.sleep(0.02)

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(20)

    def clean(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir)

    def ask(self, method, path, body=None, raw=None, connection=None, headers=None):
        connection = connection or UnixConnection(self.dir + "/run/controller.sock")
        data = raw if raw is not None else json.dumps(body) if body is not None else None
        connection.request(method, path, data, headers or {})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, json.loads(text) if reply.headers["Content-Type"].startswith("application/json") else text

    def get(self, path):
        status, body = self.ask("GET", path)
        assert status == 200, (path, status, body)
        return body

    def router(self, number, roles, name, **more):
        return Router(self.port, number, roles, name, **more)


class Test(unittest.TestCase):
    settings = "plain = yes"

    def setUp(self):
        self.routers = []
        self.c = Controller(self.settings).start()
        self.addCleanup(self.c.clean)

    def tearDown(self):
        for router in self.routers:
            router.close()
        if self.c.process.poll() is None:
            self.assertEqual(self.c.stop(), 0)

    def router(self, *args, **more):
        router = self.c.router(*args, **more)
        self.routers.append(router)
        return router

    def three(self):
        r1, r2 = self.router(1, wire.ACCESS, "r1"), self.router(2, wire.ACCESS, "r2")
        sr = self.router(3, wire.SERVICE_ROLE, "sr")
        self.assertEqual((r1.up(1), r2.up(2), sr.up()), (1, 2, 0))
        return r1, r2, sr


class Protocol(Test):
    def test_sync_and_deltas(self):
        r1, r2, sr = self.three()
        key = (service(7), 6, 80)
        r1.send(message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")),
                message("HOST_REGISTERED", host(1, 3, 3), registration(service(7), 80)))
        r2.send(message("HOST_JOINED", host(2, 4, 4), item(wire.NAME, b"h4")),
                message("HOST_REGISTERED", host(2, 4, 4), registration(service(7), 80, 30)))
        sr.until(lambda r: len(r.rules.get(key, {})) == 2)
        self.assertEqual(sr.rules[key], {locator(1, 3): 100, locator(2, 4): 30})
        self.assertEqual(sr.rules[(identity(3), 0, 0)], {locator(1, 3): 100})
        # Routes: sr leads to services, r1 and r2 to their blocks.
        r1.until(lambda r: len(r.routes) == 3)
        self.assertEqual(r1.routes, {("fd5c:0:1:2::", 64, r2.underlay), ("fd5e::", 32, sr.underlay),
                                     ("fd5c:0:1::", 64, sr.underlay)})
        self.assertEqual(r1.rules, {})
        # Policy by REST reaches the router.
        path = "/v1/services/00000001:0000000000000007"
        self.assertEqual(self.c.ask("PUT", path + "/instances/h3/weight", {"weight": 1})[0], 200)
        sr.until(lambda r: r.rules[key][locator(1, 3)] == 1)
        self.assertEqual(self.c.ask("POST", path + "/instances/h4/drain")[0], 200)
        sr.until(lambda r: list(r.rules[key]) == [locator(1, 3)])
        self.assertEqual(self.c.ask("PATCH", path + "/policy", {"enabled": False})[0], 200)
        sr.until(lambda r: r.rules[key] == {})
        states = [(i["state"], i["weight"], i["share"]) for i in self.c.get(path)["endpoints"][0]["instances"]]
        self.assertEqual(states, [("disabled", 1, 0.0), ("disabled", 30, 0.0)])
        self.assertEqual(self.c.ask("DELETE", path + "/policy")[0], 200)
        sr.until(lambda r: len(r.rules[key]) == 2)
        # Leaving.
        r1.send(message("HOST_UNREGISTERED", host(1, 3, 3), registration(service(7), 80)))
        r2.send(message("HOST_LEFT", host(2, 4, 4), item(wire.REASON, bytes([110, 0, 0, 0]))))
        sr.until(lambda r: key not in r.rules and (identity(4), 0, 0) not in r.rules)
        kinds = [e["kind"] for e in self.c.get("/v1/events?limit=1000")["events"]]
        for kind in ("started", "router-connected", "router-synced", "host-joined", "registered", "policy", "unregistered",
                     "host-left"):
            self.assertIn(kind, kinds)

    def test_shed(self):
        r1, r2, sr = self.three()
        key = (service(7), 6, 80)
        path = "/v1/services/00000001:0000000000000007/instances/"
        r1.send(message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")),
                message("HOST_REGISTERED", host(1, 3, 3), registration(service(7), 80)))
        r2.send(message("HOST_JOINED", host(2, 4, 4), item(wire.NAME, b"h4")),
                message("HOST_REGISTERED", host(2, 4, 4), registration(service(7), 80)))
        sr.until(lambda r: len(r.rules.get(key, {})) == 2)
        for bad in ({"proto": "tcp"}, {"proto": "any", "port": 0}, {"proto": "tcp", "port": 65536}, {"x": 1}):
            self.assertEqual(self.c.ask("POST", path + "h3/shed", bad)[0], 400)
        # Nothing is changed by what cannot be done.
        self.assertEqual(self.c.ask("POST", path + "h3/shed", {"proto": "tcp", "port": 81})[0], 404)
        self.assertEqual(self.c.ask("POST", "/v1/services/00000001:0000000000000008/instances/h3/shed")[0], 404)
        self.assertEqual(self.c.get("/v1/policies"), {"policies": []})
        status, reply = self.c.ask("POST", path + "h3/shed")
        self.assertEqual((status, reply["host_name"], reply["instances"], reply["open"]), (200, "h3", 1, 0))
        told = r1.wait("SHED")
        self.assertEqual(told.find(wire.HOST)[16:28], identity(3))
        self.assertEqual(told.find(wire.SHED), service(7) + struct.pack("!BBHI", 0, 0, 0, 0))
        sr.until(lambda r: list(r.rules[key]) == [locator(2, 4)])
        self.assertEqual(self.c.ask("POST", path + "h3/shed", {"proto": "tcp", "port": 80})[0], 200)
        self.assertEqual(r1.wait("SHED").find(wire.SHED), service(7) + struct.pack("!BBHI", 6, 0, 80, 0))
        # A router that is away cannot be told.
        r2.close()
        for _ in range(100):
            if self.c.ask("POST", path + "h4/shed")[0] == 503:
                break
            time.sleep(0.05)
        self.assertEqual(self.c.ask("POST", path + "h4/shed")[0], 503)
        self.assertIn("shed", [e["kind"] for e in self.c.get("/v1/events?limit=1000")["events"]])

    def test_shed_comes_after_its_rules(self):
        """Who loses its flow asks again at once: the instance is no choice any more then."""
        r = self.router(1, wire.ACCESS | wire.SERVICE_ROLE, "r1")
        self.assertEqual(r.up(1), 1)
        key = (service(7), 6, 80)
        path = "/v1/services/00000001:0000000000000007/instances/"
        for number in (3, 4):
            r.send(message("HOST_JOINED", host(1, number, number), item(wire.NAME, b"h%d" % number)),
                   message("HOST_REGISTERED", host(1, number, number), registration(service(7), 80)))
        r.until(lambda r: len(r.rules.get(key, {})) == 2)
        self.assertEqual(self.c.ask("POST", path + "h3/shed")[0], 200)
        r.wait("SHED")
        self.assertEqual(r.rules[key], {locator(1, 4): 100})

    def test_denied(self):
        r1, _, _ = self.three()
        self.c.ask("PUT", "/v1/services/web/policy", {"allow": ["80000000:0000000000000009"]})
        web = bytes.fromhex(self.c.get("/v1/names")["names"][0]["id"].replace(":", ""))
        r1.send(message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")),
                message("HOST_REGISTERED", host(1, 3, 3), registration(web, 80), seq=77))
        verdicts = r1.wait("VERDICTS")
        self.assertEqual(verdicts.seq, 77)
        self.assertEqual(verdicts.find(wire.RESULT)[:16], web + struct.pack("!BBH", 6, wire.DENIED_POLICY, 80))
        self.assertIn('scaffold_controller_denials_total{reason="denied-policy"} 1', self.c.get("/metrics"))
        denied = [e for e in self.c.get("/v1/events")["events"] if e["kind"] == "denied"][0]
        self.assertEqual((denied["service_name"], denied["host_name"], denied["reason"], denied["port"]),
                         ("web", "h3", "denied-policy", 80))

    def test_address_clash(self):
        r1, _, _ = self.three()
        r1.send(message("HOST_JOINED", host(1, 3, 3)), message("HOST_JOINED", host(1, 3, 4)))
        alarm = r1.wait("ALARM")
        self.assertEqual(alarm.reason(), wire.ADDRESS_CLASH)
        self.assertEqual(alarm.find(wire.HOST)[16:28], identity(4))
        self.assertEqual([h["id"] for h in self.c.get("/v1/hosts")["hosts"]], ["80000000:0000000000000003"])

    def test_lower_term(self):
        r1 = self.router(1, wire.ACCESS, "r1")
        r1.hello(version=(99, 5))
        rejected = r1.wait("REJECTED")
        self.assertEqual(rejected.reason(), wire.LOWER_TERM)
        self.assertIn(b"--term 100", rejected.find(wire.TEXT))
        with self.assertRaises(Closed):
            r1.receive()
        self.c.stop()
        self.c.start("--term", "100")
        r1 = self.router(1, wire.ACCESS, "r1")
        r1.hello(version=(99, 5))
        self.assertEqual(r1.wait("WELCOME").version()[0], 100)

    def test_malformed_frames(self):
        r1, _, sr = self.three()
        bad = [b"x", b"\0" * 16, b"SF" + bytes([9]) + bytes(13), message("PING")[:-1],
               message("HOST_JOINED") + struct.pack("!HH", wire.HOST, 36) + bytes(35),
               message("HELLO", item(wire.ROUTER, bytes(32))), message("HOST_LEFT"), message("HELLO")]
        for body in bad:
            router = self.router(9, wire.ACCESS, "bad")
            router.send(body)
            self.assertIn(router.wait("REJECTED").reason(), (wire.BAD_MESSAGE, wire.NO_SESSION), body)
            with self.assertRaises(Closed):
                router.receive()
        for raw in (struct.pack("!I", 65537), b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 1000):
            router = self.router(9, wire.ACCESS, "bad")
            router.sock.sendall(raw)
            with self.assertRaises(Closed):
                router.receive()
        half = self.router(9, wire.ACCESS, "half")
        half.sock.sendall(struct.pack("!I", 100) + b"SF")
        half.close()
        # Nobody else noticed.
        r1.send(message("HOST_JOINED", host(1, 3, 3)))
        sr.until(lambda r: (identity(3), 0, 0) in r.rules)

    def test_twenty_thousand_registrations(self):
        r1, _, sr = self.three()
        total, batch = 20000, 400
        r1.send(message("HOST_JOINED", host(1, 3, 3)))
        r1.send(*[message("HOST_REGISTERED", host(1, 3, 3),
                          *[registration(service(n), 80) for n in range(at, at + batch)])
                  for at in range(0, total, batch)])
        # serviceID 1:0 is as good as any other.
        sr.until(lambda r: len(r.rules) == total + 1)
        status = self.c.get("/v1/status")
        self.assertEqual((status["instances"], status["registrations_total"]), (total + 1, total + 1))
        self.assertLess(len([m for m in sr.seen if m.name == "RULES"]), 1000)  # coalesced
        page = self.c.get("/v1/services?limit=15000")
        rest = self.c.get("/v1/services?limit=15000&after=" + page["next"])
        self.assertEqual((len(page["services"]), len(rest["services"]), rest["next"]), (15000, 5000, None))
        r1.send(message("HOST_LEFT", host(1, 3, 3)))
        sr.until(lambda r: not r.rules)

    def test_reconnect(self):
        r1, _, sr = self.three()
        state = [message("HOST_JOINED", host(1, 3, 3)),
                 message("HOST_REGISTERED", host(1, 3, 3), registration(service(7), 80))]
        r1.send(*state)
        sr.until(lambda r: (service(7), 6, 80) in r.rules)
        before = len(sr.seen)
        r1.close()
        again = self.router(1, wire.ACCESS, "r1")
        self.assertEqual(again.up(1, *state), 1)
        # A service that went in the meantime.
        last = self.router(1, wire.ACCESS, "r1")
        last.up(1, state[0])
        sr.until(lambda r: (service(7), 6, 80) not in r.rules)
        self.assertEqual([m.name for m in sr.seen[before:] if m.name != "PING"], ["RULES_GONE"])

    def test_killed(self):
        r1, _, sr = self.three()
        block = self.router(4, wire.ACCESS, "r4").up()
        state = [message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")),
                 message("HOST_REGISTERED", host(1, 3, 3), registration(service(7), 80))]
        path = "/v1/services/00000001:0000000000000007/instances/h3/weight"
        self.c.ask("POST", "/v1/names", {"name": "web"})
        r1.send(*state)
        sr.until(lambda r: r.rules.get((service(7), 6, 80)))
        self.assertEqual(self.c.ask("PUT", path, {"weight": 5})[0], 200)
        term = sr.term
        self.c.stop(signal.SIGKILL)
        self.c.start()
        # The service router is back first; it is told nothing before r1 has spoken.
        sr2 = self.router(3, wire.SERVICE_ROLE, "sr")
        sr2.hello()
        self.assertEqual(sr2.wait("WELCOME").version()[0], term + 1)
        sr2.send(message("UP_SYNCED"), message("PING", seq=5))
        while sr2.receive().name != "PONG":
            pass
        self.assertNotIn("SYNC_BEGIN", [m.name for m in sr2.seen])
        self.assertEqual(self.c.get("/v1/status")["settled"], False)
        r4 = self.router(4, wire.ACCESS, "r4")
        r4.hello()
        self.assertEqual(struct.unpack("!HH", r4.wait("WELCOME").find(wire.BLOCK))[0], block)
        r4.send(message("UP_SYNCED"))
        for number in (2, 1):
            router = self.router(number, wire.ACCESS, f"r{number}")
            router.hello(number)
            router.wait("WELCOME")
            router.send(*(state if number == 1 else []), message("UP_SYNCED"))
        sr2.wait("SYNC_END")
        self.assertEqual(sr2.rules[(service(7), 6, 80)], {locator(1, 3): 5})
        self.assertEqual([n["name"] for n in self.c.get("/v1/names")["names"]], ["web"])


class Rest(Test):
    def test_bad_input(self):
        web = "/v1/services/web"
        for method, path, body, status in [
                ("GET", "/v1/services/-", None, 400), ("GET", "/v1/services/nobody", None, 404),
                ("GET", "/v1/services/00000001:xyz", None, 400), ("GET", "/v1/services/a..b/policy", None, 400),
                ("GET", web + "/policy", None, 404), ("DELETE", web + "/policy", None, 404),
                ("PUT", web + "/policy", "", 400), ("PUT", web + "/policy", "{", 400),
                ("PUT", web + "/policy", "[]", 400), ("PUT", web + "/policy", '{"enabled": "no"}', 400),
                ("PUT", web + "/policy", '{"weight": 1e3}', 400), ("PUT", web + "/policy", '{"x": 1}', 400),
                ("PATCH", web + "/policy", '{"instances": {"80000000:0000000000000003": {"weight": 1001}}}', 400),
                ("PUT", web + "/instances/80000000:0000000000000003/weight", "{}", 400),
                ("PUT", web + "/instances/80000000:0000000000000003/weight", "7", 400),
                ("PUT", web + "/instances/80000000:0000000000000003/weight", '{"weight": -1}', 400),
                ("PUT", web + "/instances/80000000:0000000000000003/weight", '{"weight": true}', 400),
                ("PUT", web + "/instances/h3/weight", '{"weight": 1}', 404),
                ("POST", web + "/instances/fd5c:0:1:1:3::/drain", None, 404),
                ("POST", web + "/instances/h3/shed", None, 404), ("GET", web + "/instances/h3/shed", None, 405),
                ("POST", web + "/instances/80000000:0000000000000003/shed", None, 404),
                ("PUT", web + "/instances/a%20b/weight", '{"weight": 1}', 400),
                ("POST", web + "/instances//drain", None, 404), ("GET", web + "/instances/h3/drain", None, 405),
                ("POST", "/v1/names", '{"name": "-"}', 400), ("POST", "/v1/names", '{"name": "1:2"}', 400),
                ("POST", "/v1/names", "{}", 400), ("GET", "/v1/events?since=-1", None, 400),
                ("GET", "/v1/events?limit=99999999", None, 400), ("GET", "/v1/events?follow=yes", None, 400),
                ("GET", "/v1/hosts?after=fd5c::1", None, 409), ("GET", "/v1/hosts?after=x", None, 409),
                ("GET", "/v1/hosts/h3", None, 404), ("GET", "/v1/services?after=web", None, 409),
                ("DELETE", "/v1/routers/r9", None, 404), ("POST", "/v1/backup", '{"file": "../x"}', 400),
                ("POST", "/v1/backup", '{"file": ".x"}', 400), ("POST", "/v1/backup", '{"file": 7}', 400),
                ("POST", "/v1/backup", '{"path": "x"}', 400), ("GET", "/v1/nothing", None, 404)]:
            got, reply = self.c.ask(method, path, raw=body)
            self.assertEqual(got, status, (method, path, body, reply))
            self.assertTrue(reply["error"]["what"], reply)
        self.assertEqual(self.c.get("/v1/policies"), {"policies": []})

    def test_policy(self):
        web = "/v1/services/web"
        h3 = "80000000:0000000000000003"
        full = {"enabled": True, "sticky": True, "weight": None, "move_grace_ms": 1000, "allow": [h3],
                "instances": {h3: {"name": "h3", "weight": 3, "draining": False}}}
        by_name = {"sticky": True, "move_grace_ms": 1000, "allow": ["h3"], "instances": {"h3": {"weight": 3}}}
        status, reply = self.c.ask("PUT", web + "/policy", by_name)
        self.assertEqual((status, reply["error"]["where"]), (409, "allow: h3"))  # nobody is called so
        r1, _, sr = self.three()
        r1.send(message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")))
        sr.until(lambda r: r.rules)
        self.assertEqual(self.c.ask("PUT", web + "/policy", by_name), (200, full))
        r1.send(message("HOST_JOINED", host(1, 4, 4), item(wire.NAME, b"h3")))
        sr.until(lambda r: len(r.rules) == 2)
        self.assertEqual(self.c.ask("PUT", web + "/policy", by_name)[0], 409)  # now two are
        self.assertEqual(self.c.ask("POST", web + "/instances/h3/drain")[0], 409)
        self.assertEqual(self.c.get("/v1/status")["shared_names"], [{"name": "h3", "hosts": 2}])
        self.assertEqual([h["name_shared"] for h in self.c.get("/v1/hosts")["hosts"]], [True, True])
        r1.send(message("HOST_LEFT", host(1, 4, 4)))
        sr.until(lambda r: len(r.rules) == 1)
        self.assertEqual(self.c.ask("PUT", web + "/policy", full), (200, full))  # what we say we take
        full["weight"] = 9
        self.assertEqual(self.c.ask("PATCH", web + "/policy", {"weight": 9}), (200, full))
        full["instances"][h3]["draining"] = True
        self.assertEqual(self.c.ask("POST", web + "/instances/h3/drain"), (200, full))
        self.assertEqual(self.c.ask("PUT", web + "/instances/h3/weight", {"weight": None})[1]["instances"],
                         {h3: {"name": "h3", "weight": None, "draining": True}})
        self.assertEqual(self.c.ask("POST", web + "/instances/h3/undrain")[1]["instances"], {})
        sid = self.c.get(web)["id"]
        self.assertEqual(self.c.get("/v1/policies")["policies"][0]["name"], "web")
        self.assertEqual(self.c.get(f"/v1/services/{urllib.parse.quote(sid)}/policy")["weight"], 9)
        self.c.stop(signal.SIGKILL)
        self.c.start()
        self.assertEqual(self.c.get(web + "/policy")["weight"], 9)

    def test_instance_by_both_names(self):
        r1, _, sr = self.three()
        r1.send(message("HOST_JOINED", host(1, 3, 3), item(wire.NAME, b"h3")))
        sr.until(lambda r: r.rules)
        path = "/v1/services/web/instances/"
        self.c.ask("PUT", path + "h3/weight", {"weight": 4})
        # The same host by identity, then by locator: one entry, never two that disagree.
        reply = self.c.ask("POST", path + "80000000:0000000000000003/drain")[1]
        self.assertEqual(reply["instances"], {"80000000:0000000000000003": {"name": "h3", "weight": 4, "draining": True}})
        reply = self.c.ask("POST", path + "fd5c:0:1:1:3::/undrain")[1]
        self.assertEqual(reply["instances"], {"80000000:0000000000000003": {"name": "h3", "weight": 4, "draining": False}})

    def test_follow(self):
        connection = UnixConnection(self.c.dir + "/run/controller.sock")
        connection.request("GET", "/v1/events?follow=1")
        stream = connection.getresponse()
        self.assertEqual(json.loads(stream.readline())["kind"], "started")
        self.c.ask("PUT", "/v1/services/web/policy", {})
        event = json.loads(stream.readline())
        self.assertEqual((event["kind"], event["service_name"]), ("policy", "web"))
        connection.close()
        for _ in range(3):
            self.c.ask("PUT", "/v1/services/web/policy", {})
        self.assertEqual(self.c.get(f"/v1/events?since={event['id']}")["last"], event["id"] + 3)

    def test_backup_and_restore(self):
        self.c.ask("PUT", "/v1/services/web/policy", {"weight": 9})
        status, backup = self.c.ask("POST", "/v1/backup", {"file": "monday.db"})
        self.assertEqual(status, 201)
        self.assertEqual((backup["running"], backup["pages_left"], backup["error"]), (False, 0, None))
        self.assertEqual(backup["bytes"], os.stat(backup["file"]).st_size)
        self.assertEqual(self.c.get("/v1/backup"), backup)
        self.assertEqual(self.c.ask("POST", "/v1/backup", {"file": "monday.db"})[0], 409)
        self.assertEqual(self.c.ask("POST", "/v1/backup")[0], 201)
        self.c.ask("DELETE", "/v1/services/web/policy")
        restore = self.c.arguments("--restore", backup["file"])
        busy = subprocess.run(restore, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(busy.returncode, 1)
        self.assertIn("another controller uses this state directory", busy.stderr)
        term = self.c.get("/v1/status")["term"]
        self.c.stop()
        subprocess.run(restore, check=True)
        self.c.start()
        self.assertEqual(self.c.get("/v1/services/web/policy")["weight"], 9)
        self.assertGreater(self.c.get("/v1/status")["term"], term + 1000)

    def test_metrics(self):
        text = self.c.get("/metrics")
        names = [line.split()[0].split("{")[0] for line in text.splitlines() if not line.startswith("#")]
        self.assertIn("scaffold_controller_hosts", names)
        for name in set(names):
            self.assertIn(f"# TYPE {name} ", text)


class Life(Test):
    def refused(self, arguments, text):
        ended = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, check=False, timeout=20)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(text, ended.stderr)

    def test_second_instance(self):
        other = Controller("plain = yes")
        self.addCleanup(shutil.rmtree, other.dir)
        same_state = other.arguments()
        same_state[same_state.index("--state") + 1] = self.c.dir + "/state"
        self.refused(same_state, "another controller uses this state directory")
        other.port = self.c.port
        self.refused(other.arguments(), f"[::1]:{self.c.port}")
        self.refused(self.c.arguments(), "scaffold-controller.pid")

    def test_bad_settings(self):
        other = Controller()
        self.addCleanup(shutil.rmtree, other.dir)
        for settings, text in [("plain = maybe", "plain"), ("as = x\nplain = yes", "as"), ("tls_cert = /x", "tls_key"),
                               ("plain = yes\nblock_first = 9\nblock_last = 3", "block_last"),
                               ("plain = yes\nrest_listen = [::1]:1", "rest_token_file"),
                               ("plain = yes\nlisten = here", "listen"), ("colour = red", "colour")]:
            other.settings = settings
            self.refused(other.arguments(), text)
        self.refused([PROGRAM, "--log", "loud"], "--log")
        self.refused([PROGRAM, "extra"], "extra")
        self.refused([PROGRAM, "--run", other.dir, "--state", other.dir], "listen is not set")

    def test_no_privileges(self):
        with open(f"/proc/{self.c.process.pid}/status", encoding="utf-8") as status:
            fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(int(fields["CapEff"], 16), 0)
        self.assertEqual(int(fields["CapPrm"], 16), 0)
        self.assertEqual(fields["NoNewPrivs"].strip(), "1")

    @unittest.skipUnless(os.geteuid() == 0, "only root can start it as somebody else")
    def test_any_user(self):
        other = Controller(user=65534, group=65534, extra_groups=[])
        self.addCleanup(other.clean)
        other.start()
        other.router(1, wire.ACCESS, "r1").up()
        self.assertEqual(other.stop(), 0)

    def test_corrupt_store(self):
        self.c.stop()
        with open(self.c.dir + "/state/controller.db", "r+b") as store:
            store.write(b"not a database at all")
        self.refused(self.c.arguments(), "--restore FILE")


def make_certificates(directory):
    """A CA, and certificates for controller, r1, r2; and a CA that nobody trusts."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=directory, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-keyout", ca + ".key", "-out", ca + ".crt", "-subj", "/CN=" + ca, "-days", "2")
    for name, ca in (("controller", "ca"), ("r1", "ca"), ("r2", "ca"), ("evil", "stranger")):
        openssl("req", *key, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        with open(os.path.join(directory, name + ".ext"), "w", encoding="utf-8") as out:
            out.write(f"subjectAltName=DNS:{name}\n")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial",
                "-out", name + ".crt", "-days", "2", "-extfile", name + ".ext")


@unittest.skipUnless(shutil.which("openssl"), "openssl(1) makes the certificates")
class Tls(Test):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="controller-pki-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        make_certificates(cls.dir)
        with open(cls.dir + "/token", "w", encoding="utf-8") as out:
            out.write("0123456789abcdef0123456789abcdef\n")
        os.chmod(cls.dir + "/token", 0o600)
        cls.rest_port = free_port()
        cls.settings = (f"tls_cert = {cls.dir}/controller.crt\ntls_key = {cls.dir}/controller.key\n"
                        f"tls_ca = {cls.dir}/ca.crt\nrest_listen = [::1]:{cls.rest_port}\n"
                        f"rest_token_file = {cls.dir}/token")

    def tls(self, name=None):
        context = ssl.create_default_context(cafile=self.dir + "/ca.crt")
        if name:
            context.load_cert_chain(f"{self.dir}/{name}.crt", f"{self.dir}/{name}.key")
        return context

    def refused(self, **more):
        with self.assertRaises((Closed, ConnectionError, ssl.SSLError)):
            router = self.router(1, wire.ACCESS, "r1", **more)
            router.hello()
            router.wait("WELCOME")

    def test_mutual(self):
        r1 = self.router(1, wire.ACCESS, "r1", tls=self.tls("r1"))
        self.assertNotEqual(r1.up(), 0)
        self.assertEqual(self.c.get("/v1/routers")["routers"][0]["certificate"], "r1")
        self.refused(tls=self.tls())
        self.refused(tls=self.tls("evil"))
        self.refused()
        # One router cannot speak for another, though the CA knows both.
        thief = self.router(1, wire.ACCESS, "r1", tls=self.tls("r2"))
        thief.hello()
        rejected = thief.wait("REJECTED")
        self.assertEqual(rejected.reason(), wire.DENIED_POLICY)
        self.assertEqual(self.c.get("/v1/status")["routers"]["connected"], 1)

    def test_old_tls(self):
        context = self.tls("r1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.refused(tls=context)

    def test_rest(self):
        def ask(**headers):
            connection = http.client.HTTPSConnection("::1", self.rest_port, timeout=20, context=self.tls())
            connection._context.check_hostname = False
            return self.c.ask("GET", "/v1/status", connection=connection, headers=headers)

        self.assertEqual(ask()[0], 401)
        self.assertEqual(ask(Authorization="Bearer wrong-token-wrong-token")[0], 401)
        self.assertEqual(ask(Authorization="Bearer 0123456789abcdef0123456789abcdef")[0], 200)


if __name__ == "__main__":
    program = unittest.main(exit=False, warnings="ignore")
    if program.result.skipped:
        for test, why in program.result.skipped:
            print(f"SKIPPED {test}: {why}", file=sys.stderr)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if program.result.skipped else 0)
