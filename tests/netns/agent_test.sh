#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The host agent among others that are not its friends, and in places that go away.
# Usage: agent_test.sh SCAFFOLD-BINARY
#
#      h1              ctl              h3
#        \              |              /
#         [r1] ----- [ sr ] ----- [r2]
#        /  \_____________________/  \
#      h2                              h4, h5
. "$(dirname "$0")/lib.sh"
need setpriv curl nsenter
lab_up fig6
daemons_know
status() { rest "$1" agent /v1/status | jq -r "$2"; }
# configured NODE LINE...: its agent starts again, with these lines in its configuration
cp "$DIR/h1/scaffoldd.conf" "$TMP/h1.conf"
configured() {
	local node=$1
	shift
	daemon_kill "$node"
	{ cat "$TMP/$node.conf"; printf '%s\n' "$@"; } >"$DIR/$node/scaffoldd.conf"
	: >"$(daemon_log "$node")"
	daemon_start "$node"
}
logged() { grep -qF -- "$1" "$(daemon_log "${2:-h1}")"; }
# tells WHAT TEXT [NODE]: the agent's log will have the text
tells() { tries 10 logged "$2" "${3:-h1}" && ok "$1" || { bad "$1: expected '$2' in its log"; tail -n 5 "$(daemon_log "${3:-h1}")"; }; }

# logged_event NODE REASON: its event log has one of this reason
logged_event() { rest "$1" agent "/v1/events?limit=1000" | jq -e --arg r "$2" '[.events[] | select(.kind == "failures" and .reason == $r)] | length > 0'; }

# ---- which router is believed
KEY=$(status h1 .router.key)
OTHER=${KEY//[0-9]/a}
[ ${#KEY} = 64 ] && ok "the router's key is shown" || bad "the router's key: $KEY"
configured h1 "router_key = $OTHER"
tells "a router with another key is refused, and both keys are named" "its key is $KEY, router_key= names $OTHER"
equal "it is not joined" joining "$(status h1 .state)"
# The log has what the event log has, but id and time.
as_told() { rest h1 agent "/v1/events?limit=1000" | jq -cS --arg k "$1" '[.events[] | select(.kind == $k)][-1] | del(.id, .time)'; }
as_logged() { sed -n 's/.* event {/{/p' "$(daemon_log h1)" | jq -cS --arg k "$1" 'select(.kind == $k)' | tail -n 1; }
same() { [ "$(as_told "$1")" = "$(as_logged "$1")" ] && [ "$(as_told "$1" | jq -r .host_name)" = h1 ]; }
says "the event log tells of it" "router_key= names" on h1 "$SF" events
configured h1 "router_key = $OTHER, $KEY"
daemon_ready h1 && ok "the router that is pinned is joined"
tries 5 same host-joined && ok "the log has the event: $(as_logged host-joined)" || bad "told: $(as_told host-joined), logged: $(as_logged host-joined)"
equal "the pin is shown" true "$(status h1 .router.pinned)"
configured h1 "prefixes = fd5c:0:7::/48, fd5e::/32"
tells "a network of other locators is refused" "locators fd5c:0:1::/48 lie outside of prefixes="
equal "it is not joined" joining "$(status h1 .state)"
logged "neither uplink= nor router_key=" && bad "a warning although uplink= is set" || ok "no warning where uplink= is set"
grep -v '^uplink' "$TMP/h1.conf" >"$TMP/blind.conf"
cp "$TMP/h1.conf" "$TMP/named.conf"; cp "$TMP/blind.conf" "$TMP/h1.conf"
configured h1
tells "without uplink= and router_key= there is a warning" "neither uplink= nor router_key= is set"
daemon_ready h1
configured h1 "router_key = $KEY"
daemon_ready h1
logged "neither uplink= nor router_key=" && bad "a warning although router_key= is set" || ok "no warning where router_key= is set"
cp "$TMP/named.conf" "$TMP/h1.conf"

# ---- router=, with an address that is not link-local
H1_LINK=$(status h1 .uplink)
on r1 ip addr add 2001:db8:7::1/64 dev h1 nodad
on h1 ip addr add 2001:db8:7::2/64 dev "$H1_LINK" nodad
configured h1 "router = 2001:db8:7::9"
sleep 2
equal "nobody answers at another address" joining "$(status h1 .state)"
configured h1 "router = 2001:db8:7::1"
daemon_ready h1 && ok "the router is found at its global address"
printf 'router = ff02::1\n' | cat "$TMP/h1.conf" - >"$TMP/bad.conf"
says "one that is none is refused, with file and line" "bad.conf:$(wc -l <"$TMP/bad.conf"): router: got 'ff02::1', expected" "$(dirname "$SF")/../agent/scaffoldd" --config "$TMP/bad.conf" --check
configured h1
daemon_ready h1

# ---- a second agent of one host
cp "$DIR/h2/scaffoldd.conf" "$TMP/h2.conf"
second() { on h2 timeout 5 "$AGENT" --config "$TMP/h2.conf" --run "$TMP/other" --state "$TMP/other" --bpffs "$BPFFS" "$@"; }
AGENT=$(readlink -f "$(dirname "$SF")/../agent/scaffoldd")
BPFFS=/sys/fs/bpf/$LAB-other
attached() { on h2 sh -c "command -v bpftool >/dev/null && bpftool -j net show" | jq '[.. | .prog_id? // empty] | length'; }
before=$(attached)
says "a second agent with other directories is refused, by the lock and its holder" "pid ${DAEMON[h2]} holds the abstract Unix socket @scaffoldd" second
for try in second third; do
	says "so it is the $try time" "pid ${DAEMON[h2]} holds the abstract Unix socket @scaffoldd" second
done
# Who connects and stays must not hide it, not even while it cannot let him go.
kill -STOP "${DAEMON[h2]}"
on h2 setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 -c 'import socket, time
held = []
try:
    while True:
        s = socket.socket(socket.AF_UNIX); s.setblocking(False); held.append(s); s.connect("\0scaffoldd")
except BlockingIOError: print("full", flush=True)
time.sleep(600)' >"$TMP/filler" 2>&1 & filler=$!; pids+=($filler)
wait_for "somebody fills the queue of the lock" grep -q full "$TMP/filler"
says "the second one is refused still" "root holds the abstract Unix socket @scaffoldd" second
kill -CONT "${DAEMON[h2]}"
names_it() { second >"$TMP/said" 2>&1; grep -qF "pid ${DAEMON[h2]} holds the abstract Unix socket @scaffoldd" "$TMP/said"; }
tries 10 names_it && ok "the first one empties its queue" || { bad "the queue stays full"; cat "$TMP/said"; }
end $filler
equal "no program more is attached" "$before" "$(attached)"
check "the first one is unharmed" is_ready h2
daemon_kill h2
says "and the second is told where" "take it over with --bpffs" second
fails "and does not start" second
[ -e "$BPFFS" ] && bad "it left $BPFFS" || ok "it left nothing"
daemon_start h2
daemon_ready h2 && ok "with its own directories it starts"
# Anybody may bind the name of the lock: that is no agent.
daemon_kill h2
on h2 setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("\0scaffoldd"); s.listen(0); s.setblocking(False); print("up", flush=True)
held = []
try:
    while True:
        c = socket.socket(socket.AF_UNIX); c.setblocking(False); held.append(c); c.connect("\0scaffoldd")
except BlockingIOError: print("full", flush=True)
time.sleep(600)' >"$TMP/squat" 2>&1 & squatter=$!; pids+=($squatter)
wait_for "somebody who binds its name" grep -q full "$TMP/squat"
: >"$(daemon_log h2)"
daemon_start h2
daemon_ready h2 && ok "a user who binds the lock's name does not keep the agent away"
tells "but is told of" "held by no agent" h2
end $squatter

# ---- more socket events than the ring holds
WEB=$(address web)
cat >"$TMP/many.py" <<'PY'
import os, resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
def listen(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((sys.argv[1], port)); s.listen()
    return s
first = listen(80)
gone = listen(81)
print("up", flush=True)
while not os.path.exists(sys.argv[2]): time.sleep(0.02)
more = [listen(20000 + i) for i in range(4000)]  # what the ring holds, and more
first.close()
gone.close()
again = listen(80)  # another one, of which no event tells
print("full", flush=True)
for s in more: s.close()
print("done", flush=True)
while True: again.accept()
PY
cp "$DIR/h3/scaffoldd.conf" "$TMP/h3.conf"
configured h3
daemon_ready h3
on h3 python3 "$TMP/many.py" "$WEB" "$TMP/stopped" >"$TMP/many" 2>&1 & many=$!; pids+=($many)
registered web 1 80
registered web 1 81
kill -STOP "${DAEMON[h3]}"
touch "$TMP/stopped"
tries 60 grep -q done "$TMP/many" || bad "sockets come and go: $(cat "$TMP/many")"
says "while the agent does not judge, a new listener is not delivered to" ECONNREFUSED peer h1 connect "$WEB" 80 --timeout 5
kill -CONT "${DAEMON[h3]}"
serves() { peer h1 connect "$WEB" 80 --timeout 2; }
tries 5 serves && ok "a listener whose event was lost is found, and judged" || bad "the listener is lost: $(on h3 "$SF" --json services | jq -c .)"
registered web 1 80
registered web 0 81 && ok "one that went is gone"
[ "$(counter h3 events-lost)" -gt 0 ] && ok "$(counter h3 events-lost) lost events are counted" || bad "lost events are not counted"
tells "and told" '"reason":"events-lost"' h3
end $many

# ---- what a user may have, and whose name he may use
cp "$DIR/h5/scaffoldd.conf" "$TMP/h5.conf"
configured h5 "allow_uid = 0-999, 1001" "runs_max = 2"
daemon_ready h5
chmod 755 "$TMP"
as() { on h5 setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
run_of() { as "$1" curl -sS -m 10 --unix-socket "$DIR/h5/agent.sock" -H 'Content-Type: application/json' -d '{"service": "web"}' http://localhost/v1/runs; }
says "a user has a run" '"group"' run_of 1001
says "and another one" '"group"' run_of 1001
says "but not more than runs_max" "too-many-runs: uid 1001 has 2 runs" run_of 1001
says "root may" '"group"' run_of 0
serve h5 "$WEB" 80 web --name h5
registered web 1 80
cat >"$TMP/speak.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM)
if sys.argv[2] != "-": s.bind((sys.argv[2], 0))
try:
    if sys.argv[1] == "udp": s.sendto(b"x", (sys.argv[3], 9))
    else: s.settimeout(3); s.connect((sys.argv[3], 9))
    print("sent")
except OSError as e: print(e.strerror)
PY
chmod 644 "$TMP/speak.py"
OTHER_SERVICE=$(address other)
says "a user who may not register may not connect in a service's name" "Operation not permitted" as 1000 /usr/bin/python3 "$TMP/speak.py" tcp "$WEB" "$OTHER_SERVICE"
says "nor send" "Operation not permitted" as 1000 /usr/bin/python3 "$TMP/speak.py" udp "$WEB" "$OTHER_SERVICE"
says "in his own he connects" "Connection refused" as 1000 /usr/bin/python3 "$TMP/speak.py" tcp - "$OTHER_SERVICE"
says "and sends" sent as 1000 /usr/bin/python3 "$TMP/speak.py" udp - "$OTHER_SERVICE"
says "who may register may do it" "Connection refused" as 1001 /usr/bin/python3 "$TMP/speak.py" tcp "$WEB" "$OTHER_SERVICE"
[ "$(counter h5 denied-uid)" -ge 2 ] && ok "denials are counted" || bad "$(counter h5 denied-uid) denials are counted"
tries 5 logged_event h5 denied-uid && ok "and told: $(rest h5 agent /v1/events | jq -r '[.events[] | select(.reason == "denied-uid")][-1].text')" || bad "the event log: $(rest h5 agent /v1/events | jq -c '.events[-3:]')"
tries 5 logged_event h5 too-many-runs && ok "so are refused runs" || bad "the event log does not have refused runs"

# ---- drops are explained
on h4 env HERE="$HERE" python3 -c "
import os, sys
sys.path.insert(0, os.environ['HERE'])
import raw
raw.Link('r2').send(raw.syn(raw.sock('$(locator h4)', 0x123456789abc), '$WEB', 4000, 4242, dst='$(locator h5)'))"
tries 5 logged_event h5 not-registered && ok "the event log tells of a refused SYN: $(rest h5 agent /v1/events | jq -r '[.events[] | select(.reason == "not-registered")][-1].text')" || bad "the event log: $(rest h5 agent /v1/events | jq -c '.events[-3:]')"

says "a connect to what nobody serves is refused" ECONNREFUSED peer h1 connect "$(address nobody)" 80 --timeout 5
tries 5 logged_event h1 no-such-service && ok "the client's event log tells of the FAIL" || bad "the event log: $(rest h1 agent /v1/events | jq -c '.events[-3:]')"

# ---- who connects, and dies: his number becomes another's of the same user, and somebody asks by his connection.
cat >"$TMP/heir.py" <<'PY'
import os, signal, socket, sys, time
s = socket.socket(socket.AF_UNIX)
def child(work):
    pid = os.fork()
    if not pid:
        os.setgroups([]); os.setgid(1003); os.setuid(1003)
        work()
        os._exit(0)
    return pid
gone = child(lambda: s.connect(sys.argv[1]))
os.waitpid(gone, 0)
heir = 0
for _ in range(1000):
    open("/proc/sys/kernel/ns_last_pid", "w").write(str(gone - 1))
    heir = child(lambda: time.sleep(60))
    if heir == gone: break
    os.kill(heir, signal.SIGKILL); os.waitpid(heir, 0)
body = b'{"service": "web", "move": true}'
s.settimeout(10)
s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
print(s.recv(65536).decode(), heir == gone, open("/proc/%d/cgroup" % heir).read())
os.kill(heir, signal.SIGKILL)
PY
configured h5 "allow_uid = 0-999, 1001, 1003" "runs_max = 2"
daemon_ready h5
says "for one that died nobody is moved" "the process that connected is gone" on h5 python3 "$TMP/heir.py" "$DIR/h5/agent.sock"
grep -q True "$TMP/said" && ! grep -q "/run-" "$TMP/said" && ok "his number's next bearer stays where he was" || { bad "the number's next bearer:"; cat "$TMP/said"; }

# ---- another router at the place of one that is not lost: it has forgotten the session, and that is a hint alone
cp "$DIR/h1/scaffoldd.conf" "$TMP/h1.conf"
configured h1
daemon_ready h1
daemon_kill r1
KEYFILE=$(echo "$DIR"/r1/state/router.key)
mv "$KEYFILE" "$TMP/router.key"
daemon_start r1
tells "another key after a mere hint is refused" "that of the router that we joined and did not lose $KEY"
another() { [ "$(status h1 .state)" = joined ] && [ "$(status h1 .router.key)" != "$KEY" ]; }
tries 20 another && ok "when its router is lost, the host joins the other one" || bad "h1: $(rest h1 agent /v1/status | jq -c '.state, .router')"

# ---- a namespace that goes away
ip netns add "$LAB-gone"
mkdir -p "$TMP/gone"
ip -n "$LAB-gone" link add up0 type veth peer name up1
ip -n "$LAB-gone" link set lo up; ip -n "$LAB-gone" link set up0 up; ip -n "$LAB-gone" link set up1 up
nsenter --net="/run/netns/$LAB-gone" "$AGENT" --config /dev/null --run "$TMP/gone" --state "$TMP/gone" --bpffs "/sys/fs/bpf/$LAB-gone" >"$TMP/gone.log" 2>&1 &
gone=$!; pids+=($gone)
wait_for "an agent in a namespace of its own" test -S "$TMP/gone/agent.sock"
cpu() { awk '{ print $14 + $15 }' "/proc/$gone/stat"; }
ip -n "$LAB-gone" link del up0
ip netns del "$LAB-gone"
before=$(cpu)
sleep 3
kill -0 $gone 2>/dev/null && ok "its agent lives on" || bad "its agent is dead: $(tail -n 3 "$TMP/gone.log")"
spent=$(($(cpu) - before))
[ "$spent" -lt 150 ] && ok "it does not spin: $spent ticks" || bad "it spins: $spent ticks in 3 s"
check "it answers" curl -sS -m 5 -o /dev/null --unix-socket "$TMP/gone/agent.sock" http://localhost/v1/status
kill -TERM $gone
wait $gone; equal "and ends when it is told to" 0 $?
[ -e "/sys/fs/bpf/$LAB-gone" ] && bad "it left $(ls /sys/fs/bpf/"$LAB-gone")" || ok "it leaves nothing pinned"

finish
