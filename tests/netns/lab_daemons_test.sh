#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scaffold lab with daemons: all of Figure 6 joins, a daemon that does not start is told of with the end of its log, and
# `down` leaves nothing of them, in the kernel either, also after crashes. Usage: lab_daemons_test.sh SCAFFOLD-BINARY
set -u
SF=$(readlink -f "$1")
NAME=t-labd-$$
TMP=$(mktemp -d /tmp/scaffold-labd-test.XXXXXX)
RUN=$TMP/run
failed=0

[ "$(id -u)" = 0 ] || { echo "SKIPPED: needs root, to make network namespaces"; exit 77; }
for tool in ip jq python3 bpftool openssl; do
	command -v $tool >/dev/null || { echo "SKIPPED: no $tool"; exit 77; }
done

good() { echo "ok: $*"; }
bad() { echo "FAILED: $*"; failed=1; }
lab() { "$SF" --run "$RUN" lab --name "$NAME" "$@"; }
status() { "$SF" --run "$RUN" --json lab --name "$NAME" status | jq -r "$1"; }
traces() {
	ip netns list 2>/dev/null | grep -o "^$NAME[^ ]*" | sort
	awk -v t="$TMP" 'index($2, t) { print "mount", $2 }' /proc/mounts
	pgrep -f -- "$TMP/run/" | sed 's/^/process /'
	ls -A "$RUN/lab" 2>/dev/null
}
nothing_left() {
	local now; now=$(traces)
	if [ -z "$now" ]; then good "$1: nothing is left"; else bad "$1 left:"; echo "$now"; fi
}
cleanup() {
	trap - EXIT INT TERM
	[ -d "$RUN/lab/$NAME" ] && lab down >/dev/null 2>&1
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# Programs that are attached by links in the lab's bpffs.
programs_pinned() {
	find "$RUN/lab/$NAME/bpf" -type f | while read -r pin; do
		bpftool -j link show pinned "$pin" 2>/dev/null | jq -r 'if type == "array" then .[].prog_id else .prog_id end'
	done | sort -u | grep -x '[0-9]*'
}
programs_gone() {
	local id i left
	for ((i = 0; i < 50; i++)); do # the kernel frees them in its own time
		left=
		for id in "$@"; do bpftool prog show id "$id" >/dev/null 2>&1 && left="$left $id"; done
		[ -z "$left" ] && return 0
		sleep 0.1
	done
	echo "programs$left are still there"
	return 1
}

# ---- Figure 6
lab up fig6 2>"$TMP/err" || { cat "$TMP/err"; bad "fig6 does not come up"; exit 1; }
[ "$(status '[.nodes[] | select(.ready and .process.running)] | length')" = 9 ] && good "nine nodes are ready" || bad "nodes: $(status '.nodes[] | select(.ready | not)')"
[ "$(status '[.nodes[] | select(.kind == "host").status.locator] | unique | length')" = 5 ] && good "five hosts have joined, each with a locator of its own" || bad "locators"
lab exec h1 -- "$SF" --json status >/dev/null && good "the daemon of h1 answers on h1" || bad "status on h1"
for n in r1 r2 sr ctl; do
	openssl verify -CAfile "$RUN/lab/$NAME/tls/ca.pem" "$RUN/lab/$NAME/tls/$n.pem" >/dev/null || bad "certificate of $n"
	[ "$(stat -c %a "$RUN/lab/$NAME/tls/$n.key")" = 600 ] || bad "mode of $n's key"
done
grep -q plain "$RUN/lab/$NAME/r1/scaffold-router.conf" && bad "routers do without TLS" || good "routers and controller speak TLS"

# ---- one node's daemon: ended, killed, started again
pid_of() { status ".nodes[] | select(.name == \"$1\").process | if .running then .pid else \"none\" end"; }
state_of() { status ".nodes[] | select(.name == \"$1\") | if .process.running then (.ready | tostring) else \"down\" end"; }
# told WHAT STATUS TEXT COMMAND...
told() {
	local what=$1 expected=$2 text=$3
	shift 3
	"$@" >"$TMP/err" 2>&1
	local got=$?
	[ $got = "$expected" ] && grep -qF -- "$text" "$TMP/err" && good "$what" || { bad "$what: status $got, expected $expected and '$text':"; cat "$TMP/err"; }
}
lab exec h1 -- sleep 1000 & sleeper=$!
lab kill h1 && [ "$(state_of h1)" = down ] && [ -f "$RUN/lab/$NAME/h1/setup.json" ] && good "kill: gone, without having undone anything" || bad "kill h1"
kill -0 $sleeper && good "other programs of the node go on" || bad "kill took another program, too"
kill $sleeper; wait $sleeper 2>/dev/null
told "one that is dead is not killed" 1 "scaffoldd on h1 does not run" lab kill h1
lab start h1 && [ "$(state_of h1)" = true ] && good "start: it has joined again" || bad "start h1"
told "one that runs is not started" 1 "scaffoldd on h1 runs already (process $(pid_of h1))" lab start h1

# ---- a run waits for an agent that returns, and for no other
run_on_h1() { lab exec h1 -- "$SF" run --service waiting "$@"; }
told "a run asks an agent that is there" 0 "it ran" run_on_h1 -- echo it ran
lab kill h1
told "an agent that does not return is not waited for forever" 1 "no agent answers in $RUN/lab/$NAME/h1" run_on_h1 --timeout 1 -- echo it ran
grep -q "scaffold run: the agent is down: waiting up to 1 s" "$TMP/err" && good "and the wait is told" || { bad "a wait:"; cat "$TMP/err"; }
run_on_h1 -- echo it ran >"$TMP/run.out" 2>"$TMP/run.err" & waiting=$!
for ((i = 0; i < 100; i++)); do grep -q waiting "$TMP/run.err" && break; sleep 0.05; done
lab start h1 || bad "start h1"
wait $waiting && grep -q "it ran" "$TMP/run.out" && grep -q "waiting up to 10 s" "$TMP/run.err" && good "a run goes on when the agent is back" || { bad "a run that waited:"; cat "$TMP/run.out" "$TMP/run.err"; }
lab stop h1
told "an agent that was stopped is not waited for" 1 "no agent answers" run_on_h1 -- echo it ran
grep -q waiting "$TMP/err" && bad "it waited for an agent that was stopped" || good "it did not wait"
told "seconds that are none" 2 "--timeout: got 'soon', expected seconds, 0 to 3600" run_on_h1 --timeout soon -- echo it ran
lab start h1 || bad "start h1"

lab stop h1 h2 && [ "$(state_of h1) $(state_of h2)" = "down down" ] && [ ! -f "$RUN/lab/$NAME/h1/setup.json" ] && good "stop: two hosts have left and undone their set-up" || bad "stop h1 h2"
echo "name = renamed" >>"$RUN/lab/$NAME/h1/scaffoldd.conf"
sed -i '/^name = h1$/d' "$RUN/lab/$NAME/h1/scaffoldd.conf"
lab start h1 h2 && [ "$(status '.nodes[] | select(.name == "h1").status.name')" = renamed ] && good "start: with the configuration that was edited" || bad "the configuration was written anew"
pid=$(pid_of h2)
lab restart h2 && [ "$(state_of h2)" = true ] && [ "$(pid_of h2)" != "$pid" ] && good "restart: another process, joined" || bad "restart h2"
grep -q "taken over from an earlier agent" <(tail -n 3 "$RUN/lab/$NAME/h2/scaffoldd.log") && good "restart: nothing is undone" || { bad "restart of an agent"; tail -n 5 "$RUN/lab/$NAME/h2/scaffoldd.log"; }
lab kill ctl r1 2>/dev/null
told "a router does not wait for a dead controller" 0 "it waits for ctl, which is down" lab start r1
lab start ctl && [ "$(state_of ctl)" = true ] && good "controller" || bad "start ctl"
lab link h5-r2 down
told "a host that does not get its place goes on trying" 1 "is not ready after 2 s (it has not joined)" lab restart --timeout 2 h5
lab link h5-r2 up
[ "$(pid_of h5)" != none ] && good "and runs" || bad "h5 does not run"
for ((i = 0; i < 100; i++)); do [ "$(status '[.nodes[] | select(.ready)] | length')" = 9 ] && break; sleep 0.1; done
[ "$i" -lt 100 ] && good "all nine are ready again" || bad "nodes: $(status '.nodes[] | select(.ready | not)')"
told "no such node" 1 "lab $NAME has no node 'h9'" lab kill h9
told "no node at all" 2 "expected NODE" lab kill

ids=$(programs_pinned)
[ "$(wc -w <<<"$ids")" -ge 3 ] && good "$(wc -w <<<"$ids") programs are attached" || bad "no programs are pinned: the test has no meaning"
# A killed agent cannot take away its host's control group, which is called by the namespace's cookie, nor that of a run.
group=$(awk '$3 == "cgroup2" && $2 ~ "^/sys/" { print $2; exit }' /proc/mounts)/scaffold/$(lab exec h2 -- python3 -c 'import socket; print("%016x" % int.from_bytes(socket.socket().getsockopt(1, 71, 8), "little"))')
lab exec h2 -- "$SF" run --service runs -- sleep 1000 &
for ((i = 0; i < 100; i++)); do grep -qs . "$group"/run-*/cgroup.procs && break; sleep 0.05; done
[ "$i" -lt 100 ] && good "the host has a control group, with a run" || bad "no run below $group"
for node in h2 r2; do kill -9 "$(status ".nodes[] | select(.name == \"$node\").process.pid")"; done
sleep 0.2
[ "$(status '[.nodes[] | select(.process.running | not).name] | join(" ")')" = "h2 r2" ] && good "dead daemons are told of" || bad "dead daemons"
lab down || bad "down"
nothing_left "down, with two daemons dead"
[ ! -e "$group" ] && good "nor a control group" || bad "left: $(find "$group" -type d)"
programs_gone $ids && good "no program is left in the kernel" || bad "programs"

# ---- other ways
lab up --plain-control pair 2>"$TMP/err" || { cat "$TMP/err"; bad "pair with --plain-control"; }
[ "$(status '[.nodes[] | select(.ready)] | length')" = 4 ] && good "pair without TLS" || bad "pair"
lab down || bad "down of pair"
printf 'host a b\nrouter r\nlink a-r b-r\n' >"$TMP/alone.lab"
lab up "$TMP/alone.lab" 2>"$TMP/err" && [ "$(status '[.nodes[] | select(.ready)] | length')" = 3 ] && good "a router without a controller" || { cat "$TMP/err"; bad "a router alone"; }
lab down || bad "down of a router alone"

# ---- the controller's certificate is for its address and its name, and for nothing else
named() { # NAME [SECONDS]: a lab whose router expects it
	printf 'host a\nrouter r\ncontroller c\nlink a-r r-c\ndaemon r controller_name=%s\n' "$1" >"$TMP/named.lab"
	lab up --timeout "${2:-3}" "$TMP/named.lab" 2>"$TMP/err"
}
named c 30 && good "a controller by its name in the certificate" || { cat "$TMP/err"; bad "controller_name=c"; }
lab down || bad "down of named"
for wrong in elsewhere fd00:5caf::1; do
	named $wrong && bad "a router believes a controller that is not $wrong" ||
		{ grep -q "the peer's certificate is refused: it is for DNS:c, IP:fd00:5caf::3, expected $wrong" "$TMP/err" && good "a controller that is not $wrong is refused, and who it is is told" || { bad "not told:"; cat "$TMP/err"; }; }
done
nothing_left "labs with wrong names"

# ---- a daemon that does not start
printf 'host a\nrouter r\ncontroller c\nlink a-r r-c\ndaemon host nonsense=1\n' >"$TMP/bad.lab"
lab up "$TMP/bad.lab" 2>"$TMP/err" && bad "a daemon with a wrong configuration" ||
	{ grep -q "scaffoldd on a ended" "$TMP/err" && grep -q "scaffoldd.conf:[0-9]*:.*nonsense" "$TMP/err" && good "a daemon that ends is told of, with its log" || { bad "not told:"; cat "$TMP/err"; }; }
nothing_left "a failed up"
printf 'host a\nrouter r\ncontroller c\nlink a-r loss=100%%\nlink r-c\n' >"$TMP/never.lab"
lab up --timeout 2 "$TMP/never.lab" 2>"$TMP/err" && bad "a host that cannot join" ||
	{ grep -q "scaffoldd on a is not ready after 2 s (it has not joined)" "$TMP/err" && good "a host that does not join is told of" || { bad "not told:"; cat "$TMP/err"; }; }
nothing_left "a host that does not join"

# ---- crashes
for delay in 0.05 0.15 0.4; do
	setsid "$SF" --run "$RUN" lab --name "$NAME" up fig6 >/dev/null 2>&1 &
	up=$!
	sleep $delay
	kill -9 $up 2>/dev/null
	wait $up 2>/dev/null
	n=$(pgrep -fc -- "$TMP/run/")
	if [ -d "$RUN/lab/$NAME" ]; then lab down 2>"$TMP/err" || bad "down after a crash: $(cat "$TMP/err")"; fi
	nothing_left "a crash after $delay s ($n processes)"
done
setsid "$SF" --run "$RUN" lab --name "$NAME" up fig6 >/dev/null 2>"$TMP/err" &
up=$!
sleep 0.2
kill -INT $up
wait $up && bad "an interrupted up succeeds" || good "up is interrupted"
nothing_left "an interrupted up"

((failed)) && echo "lab with daemons: FAILED" || echo "lab with daemons: all well"
exit $failed
