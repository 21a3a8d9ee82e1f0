#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scaffold lab without daemons: networks come up and carry packets, links do what they are told, and `down` leaves
# nothing behind, also after a crash. Usage: lab_test.sh SCAFFOLD-BINARY
#
#     client ---- [ r ] ---- server        pair, and others; links plain or through scaffold-linkem
set -u
SF=$(readlink -f "$1")
NAME=t-lab-$$
TMP=$(mktemp -d /tmp/scaffold-lab-test.XXXXXX)
RUN=$TMP/run
failed=0

[ "$(id -u)" = 0 ] || { echo "SKIPPED: needs root, to make network namespaces"; exit 77; }
for tool in ip tc ping iperf3 jq; do
	command -v $tool >/dev/null || { echo "SKIPPED: no $tool"; exit 77; }
done

good() { echo "ok: $*"; }
bad() { echo "FAILED: $*"; failed=1; }
lab() { "$SF" --run "$RUN" lab --name "$NAME" "$@"; }
on() { local node=$1; shift; lab exec "$node" -- "$@"; }
counter() { "$SF" --run "$RUN" --json lab --name "$NAME" status |
	jq --arg l "$1" --arg f "$2" --arg c "$3" '.links[] | select(.name == $l).directions[] | select(.from == $f).counters[$c]'; }
# received PINGARGS...: how many answers came
received() { on client ping -q "$@" >"$TMP/ping" 2>&1; sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/ping"; }

# What a lab may not leave: namespaces, links, mounts, processes, files.
traces() {
	# Ours alone: others may come and go on this machine meanwhile.
	ip netns list 2>/dev/null | grep -o "^[tu]-lab-$$[^ ]*" | sort
	ip -o link | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -xE 'client|server|r|ctl|l[0-9]+[ab]' | sort
	awk -v t="$TMP" -v n="-lab-$$-" 'index($2, t) || index($2, n) { print "mount", $2 }' /proc/mounts | sort
	pgrep -f -- "$TMP/run/" | sed 's/^/process /'
	ls -A "$RUN/lab" 2>/dev/null
}
cleanup() {
	trap - EXIT INT TERM
	"$SF" --run "$RUN" lab list 2>/dev/null | while read -r left; do
		"$SF" --run "$RUN" lab --name "$left" down >/dev/null 2>&1
	done
	ip netns delete "$NAME-client" 2>/dev/null
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
before=$(traces)
nothing_left() {
	local now; now=$(traces)
	if [ "$now" = "$before" ]; then good "$1: nothing is left"; else bad "$1 left:"; diff <(echo "$before") <(echo "$now"); fi
}

# ---- plain veths
lab up --no-daemons pair 2>"$TMP/err" && good "pair is up" || { cat "$TMP/err"; bad "pair does not come up"; exit 1; }
SERVER=$(lab address server)
on client ping -q -c 3 -i 0.2 -W 5 "$SERVER" >/dev/null && good "native ping" || bad "native ping"
on ctl ping -q -c 1 -W 5 "$(lab address r)" >/dev/null && good "controller reaches the router" || bad "controller to router"
on server iperf3 -s -1 -D && sleep 0.3
on client iperf3 -c "$SERVER" -n 200M -J >"$TMP/iperf" && good "native iperf3, $(jq '.end.sum_received.bits_per_second / 1e9 * 10 | floor / 10' "$TMP/iperf") Gbit/s" ||
	{ bad "native iperf3"; tail -5 "$TMP/iperf"; }
[ "$(on client sh -c 'ls /sys/class/net | xargs')" = "lo r" ] && good "/sys is the node's" || bad "/sys is not the node's"
[ "$(on client sh -c 'echo $SCAFFOLD_RUN')" = "$RUN/lab/$NAME/client" ] && good "SCAFFOLD_RUN" || bad "SCAFFOLD_RUN"
on client sh -c 'exit 7'; [ $? = 7 ] && good "exit status" || bad "exit status"
on client no-such-command 2>/dev/null; [ $? = 127 ] && good "exit status of an absent command" || bad "status is not 127"
[ "$(on client cat /proc/self/cgroup)" = "$(cat /proc/self/cgroup)" ] && good "cgroup is kept" || bad "cgroup changed"
lab up --no-daemons pair 2>"$TMP/err" && bad "a second up of the same name" || { grep -q "is there already" "$TMP/err" && good "a second up is refused" || bad "$(cat "$TMP/err")"; }
lab link client-r loss=1% 2>"$TMP/err" && bad "loss on a plain link" || { grep -q "plain veth" "$TMP/err" && good "a plain link refuses loss, and says why" || bad "$(cat "$TMP/err")"; }
lab link client-r rate=10mbit && on client tc qdisc show dev r | grep -q "tbf.*rate 10Mbit" && on r tc qdisc show dev client | grep -q tbf &&
	good "a plain link takes a rate" || bad "rate on a plain link"
lab link client-r clear && ! on client tc qdisc show dev r | grep -q tbf && good "and loses it" || bad "clear of a plain link"
lab link client-r down && [ "$(received -c 2 -i 0.2 -W 1 "$SERVER")" != 2 ] && lab link client-r up &&
	[ "$(received -c 2 -i 0.2 -W 5 "$SERVER")" = 2 ] && good "a plain link goes down and up" || bad "a plain link down and up"

# ---- another lab beside it
"$SF" --run "$RUN" lab --name "u-lab-$$" up --no-daemons line:3 2>"$TMP/err" || bad "a second lab: $(cat "$TMP/err")"
[ "$("$SF" --run "$RUN" lab list | wc -l)" = 2 ] && good "two labs side by side" || bad "lab list"
# Without --name, the only lab there is.
nameless() { "$SF" --run "$RUN" lab "$@" 2>&1; }
both=$(nameless status) && bad "two labs, and one was chosen" || { grep -q "2 labs are up: say which by --name: .*[tu]-lab-$$, [tu]-lab-$$" <<<"$both" && good "of two labs none is chosen, and both are named" || bad "$both"; }
lab down || bad "down"
[ "$(nameless exec h2 -- sh -c 'echo $SCAFFOLD_RUN')" = "$RUN/lab/u-lab-$$/h2" ] && [ "$(nameless address h1)" = "$("$SF" --run "$RUN" lab --name "u-lab-$$" address h1)" ] && nameless status | grep -q "u-lab-$$-h1" &&
	good "without --name, the only lab there is" || bad "without --name: $(nameless address h1)"
[ "$("$SF" --run "$RUN" complete lab exec x | tail -n 6 | xargs)" = "h1 h2 r1 r2 r3 ctl" ] && [ "$("$SF" --run "$RUN" complete lab --name x)" = "$(printf -- '--json\n--help\nu-lab-%d' $$)" ] && good "completion knows its nodes, and labs" || bad "completion: $("$SF" --run "$RUN" complete lab exec x | xargs)"
told=$(nameless start h1) && bad "a daemon is started in a lab without" || { grep -q "without daemons" <<<"$told" && good "no daemon is started in a lab without" || bad "$told"; }
"$SF" --run "$RUN" lab --name "u-lab-$$" exec h1 -- ping -q -c 1 -W 5 "$("$SF" --run "$RUN" lab --name "u-lab-$$" address h2)" >/dev/null &&
	good "the other lab goes on" || bad "down of one lab broke another"
"$SF" --run "$RUN" lab --name "u-lab-$$" down || bad "down of the other"
nothing_left "down of two labs"
none=$(nameless status) && bad "a lab that is not there" || { grep -q "no lab is up in $RUN: 'scaffold lab up' makes one" <<<"$none" && good "without a lab it says so" || bad "$none"; }

# ---- emulated
cat >"$TMP/t.lab" <<'LAB'
host client server
router r
controller ctl
link client-r delay=20ms
link server-r r-ctl
LAB
lab up --no-daemons "$TMP/t.lab" 2>"$TMP/err" || { cat "$TMP/err"; bad "emulated lab"; }
SERVER=$(lab address server)
on client ping -q -c 1 -W 5 "$SERVER" >/dev/null # neighbours are known from here on
on client ping -c 5 -i 0.2 -W 5 "$SERVER" >"$TMP/ping"
short=$(sed -n 's/.*time=\([0-9.]*\).*/\1/p' "$TMP/ping" | awk '$1 < 40' | wc -l)
[ "$(grep -c time= "$TMP/ping")" = 5 ] && [ "$short" = 0 ] && good "delay: no answer earlier than 2 x 20 ms" || { bad "delay"; cat "$TMP/ping"; }

lab link client-r clear loss=30% --from client
lost0=$(counter client-r client lost)
got=$(received -c 200 -i 0.005 -W 2 "$SERVER")
lost=$(($(counter client-r client lost) - lost0))
# Neighbour discovery may lose a packet of its own.
[ "$lost" -gt 20 ] && [ "$((got + lost))" -ge 200 ] && [ "$((got + lost))" -le 203 ] &&
	good "loss: 200 sent, $got answered, $lost counted as lost" || bad "loss: 200 sent, $got answered, $lost counted as lost"
[ "$(counter client-r r lost)" = 0 ] && good "loss: one direction only" || bad "loss in the other direction"
lab link client-r clear duplicate=100%
received -c 20 -i 0.02 -W 2 "$SERVER" >/dev/null
dup=$(grep -o "[1-9][0-9]* duplicates" "$TMP/ping")
[ -n "$dup" ] && good "duplicates: 20 sent, $dup" || { bad "duplicates"; cat "$TMP/ping"; }
lab link client-r clear reorder=20% hold=30ms --from client
received -c 200 -i 0.005 -W 2 "$SERVER" >/dev/null
on client ping -c 100 -i 0.005 -W 2 "$SERVER" | sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' >"$TMP/order"
sort -n "$TMP/order" | cmp -s - "$TMP/order" && bad "reordering: all in order" || good "reordering: $(counter client-r client reordered) held back"

# Large packets cross whole, unless each packet has a fate of its own.
lab link client-r clear
on server iperf3 -s -1 -D && sleep 0.3
cut0=$(counter client-r client cut) p0=$(counter client-r client received) b0=$(counter client-r client bytes)
on client iperf3 -c "$SERVER" -n 100M >/dev/null || bad "iperf3 through the emulator"
mean=$((($(counter client-r client bytes) - b0) / ($(counter client-r client received) - p0)))
[ "$mean" -gt 5000 ] && [ "$(counter client-r client cut)" = "$cut0" ] && good "large packets cross whole (mean $mean bytes)" || bad "large packets: mean $mean bytes"
lab link client-r loss=0.2%
on server iperf3 -s -1 -D && sleep 0.3
lost0=$(counter client-r client lost)
on client iperf3 -c "$SERVER" -n 30M >/dev/null && [ "$(counter client-r client cut)" -gt "$cut0" ] && [ "$(counter client-r client lost)" -gt "$lost0" ] &&
	good "with loss they are cut, and TCP gets through" || bad "iperf3 over a lossy link"
lab link client-r clear
lab link client-r down && [ "$(on client cat /sys/class/net/r/carrier)" = 0 ] && [ "$(on r cat /sys/class/net/client/carrier)" = 0 ] &&
	[ "$(received -c 2 -i 0.2 -W 1 "$SERVER")" != 2 ] && lab link client-r up && [ "$(received -c 2 -i 0.2 -W 5 "$SERVER")" = 2 ] &&
	good "an emulated link loses carrier at both ends, and gets it back" || bad "an emulated link down and up"

# A tag arrives beside the packet and is put back into it. Raw frames: not every kernel can make VLAN devices.
if command -v tcpdump >/dev/null && command -v python3 >/dev/null; then
	on r timeout 10 tcpdump -i client -c 1 -e -n 'vlan 7' >"$TMP/vlan" 2>/dev/null &
	dump=$!
	sleep 0.5
	on client python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("r", 0))
s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x81\0" + b"\xe0\7" + b"\x88\xb5" + b"scaffold" * 8)'
	wait $dump
	grep -q "vlan 7, p 7" "$TMP/vlan" && good "VLAN tags cross the emulator" || { bad "VLAN tags"; cat "$TMP/vlan"; }
else
	echo "SKIPPED part: no tcpdump or python3, VLAN tags through the emulator are not tested"
fi

for wrong in 'delay=20' 'dealy=20ms' 'sideways' 'loss=101%'; do
	lab link client-r "$wrong" 2>/dev/null && bad "link takes '$wrong'"
done
lab link client-ctl up 2>/dev/null && bad "a link that is none"
pid=$(lab --json status 2>/dev/null | jq .emulator.pid 2>/dev/null || "$SF" --run "$RUN" --json lab --name "$NAME" status | jq .emulator.pid)
kill -9 "$pid" && sleep 0.2 && lab link client-r delay=1ms 2>"$TMP/err" && bad "a dead emulator takes orders" ||
	{ grep -q "link emulator" "$TMP/err" && good "a dead emulator is told of" || bad "$(cat "$TMP/err")"; }
on client sleep 1000 &
sleep 0.2
lab down || bad "down with a process in a namespace"
wait $! 2>/dev/null # killed
nothing_left "down of an emulated lab"

# ---- a host with two links changes networks
lab up --no-daemons twohome 2>/dev/null || bad "twohome"
carriers() { on m1 sh -c 'cat /sys/class/net/r1/carrier /sys/class/net/r2/carrier' | xargs; }
from_m1() { on m1 ping -q -c 2 -i 0.2 -W 5 "$(lab address s1)" 2>/dev/null | sed -n 's/.* \([0-9]*\) received.*/\1/p'; }
linked() { lab link | awk -v l="$1" '$1 == l { print $3 }' | uniq; }
[ "$(carriers)" = "1 0" ] && [ "$(linked m1-r2)" = down ] && [ "$(from_m1)" = 2 ] && good "a link begins without carrier, another with" || bad "links to begin with: $(carriers)"
gap() { jq '.made_ns - .broken_ns' "$TMP/move"; }
lab --json move m1 --to r2 --gap 50ms >"$TMP/move" && [ "$(carriers)" = "0 1" ] && [ "$(gap)" -ge 50000000 ] && [ "$(from_m1)" = 2 ] && good "break before make, after $(gap) ns" || bad "a move: $(carriers), $(cat "$TMP/move")"
on m1 ip -6 route get "$(lab address s1)" | grep -q "dev r2" && on r3 ip -6 route get "$(lab address m1)" | grep -q "dev r2" && good "routes follow it" || bad "routes do not follow"
lab move m1 --to r1 --overlap >"$TMP/move" && [ "$(carriers)" = "1 1" ] && ! grep -q without "$TMP/move" && good "with --overlap it has both" || bad "overlap: $(carriers)"
lab --json move m1 --to r1 --gap 50ms >"$TMP/move" && [ "$(carriers)" = "1 0" ] && [ "$(gap)" -ge 50000000 ] && good "a gap is one where the link to be up is up already" || bad "a gap with both links up: $(carriers), $(cat "$TMP/move")"
lab move m1 --to r2 --overlap >"$TMP/move"
lab link m1:r2 delay=3ms && lab link | grep -q "m1-r2 .*delay=3ms" && lab link m1:r2 down && [ "$(carriers)" = "1 0" ] && [ "$(from_m1)" = 2 ] && good "a link by node and interface" || bad "node:interface: $(carriers)"
# refused WORDS OPTION...: the move is refused with these words, and nothing is changed
refused() { local words=$1 said; shift; said=$(lab move "$@" 2>&1) && bad "lab move $*" || { grep -q -- "$words" <<<"$said" && [ "$(carriers)" = "1 0" ] && good "refused: $said" || bad "lab move $*: $said"; }; }
refused "m1 is at r1 already" m1 --to r1
refused "m1 has no link to 'r3'" m1 --to r3
refused "no host 'r1'" r1 --to r2
refused "no host 'nobody'" nobody --to r2
refused "got '1', expected a time" m1 --to r2 --gap 1
refused "leaves no --gap" m1 --to r2 --gap 1s --overlap
refused "expected NODE --to ROUTER" m1
[ "$("$SF" --run "$RUN" complete lab move m1 --to x | tail -n +3 | xargs)" = "r1 r2 r3" ] && [ "$("$SF" --run "$RUN" complete lab move x | tail -n 3 | xargs)" = "m1 s1 s2" ] && good "completion of a move" || bad "completion of a move"
for verb in $("$SF" complete lab x | grep -v -- --); do "$SF" lab "$verb" --help | grep -q "^usage: scaffold lab $verb" || bad "lab $verb --help"; done
"$SF" lab move --help | grep -q -- "--gap TIME" && [ "$("$SF" help lab move)" = "$("$SF" lab move -h)" ] && ! "$SF" complete lab down x | grep -q -- --gap && good "each verb of the lab says what it takes" || bad "lab move --help"
lab down || bad "down"
nothing_left "down of twohome"

# ---- the lab plays the routing protocol
lab up --no-daemons --emulate fig6 2>/dev/null || bad "fig6 --emulate"
H3=$(lab address h3)
on h1 ping -c 1 -W 5 "$H3" | grep -q ttl=62 && good "h1 to h3: two routers" || bad "h1 to h3"
lab link r1-r2 down
on h1 ping -c 1 -W 5 "$H3" | grep -q ttl=61 && good "around a link that is down: three" || bad "no way around"
lab link r1-r2 up
on h1 ping -c 1 -W 5 "$H3" | grep -q ttl=62 && good "and back" || bad "not back"
[ "$("$SF" --run "$RUN" --json lab --name "$NAME" status | jq '[.links[] | select(.up and .emulator)] | length')" = 9 ] && good "status" || bad "status"
lab down || bad "down"
nothing_left "down of fig6"

# ---- what is wrong is told with its place, and builds nothing
printf 'host a\nrouter r\nlink a-r delay=fast\n' >"$TMP/bad.lab"
lab up --no-daemons "$TMP/bad.lab" 2>"$TMP/err" && bad "a wrong topology" || { grep -q "bad.lab:3: delay: got 'fast', expected" "$TMP/err" && good "a wrong topology: $(cat "$TMP/err")" || bad "$(cat "$TMP/err")"; }
ip netns add "$NAME-client"
lab up --no-daemons pair 2>"$TMP/err" && bad "a foreign namespace is taken over" || { grep -q "is there already" "$TMP/err" && good "a foreign namespace is left alone" || bad "$(cat "$TMP/err")"; }
ip netns list | grep -q "^$NAME-client" || bad "a foreign namespace was deleted"
ip netns delete "$NAME-client"
nothing_left "refusals"

# ---- crashes: up is killed in the middle, down takes what there is
partial=0
for delay in 0.002 0.004 0.008 0.016 0.03 0.06 0.12; do
	setsid "$SF" --run "$RUN" lab --name "$NAME" up --no-daemons --emulate line:60 >/dev/null 2>&1 &
	up=$!
	sleep $delay
	kill -9 $up 2>/dev/null
	wait $up 2>/dev/null
	n=$(ip netns list 2>/dev/null | grep -c "^$NAME-")
	on h1 true 2>/dev/null && lab link h1-r1 clear 2>/dev/null || partial=$((partial + 1))
	if [ -d "$RUN/lab/$NAME" ]; then lab down 2>"$TMP/err" || bad "down after a crash: $(cat "$TMP/err")"; fi
	nothing_left "a crash after $delay s ($n namespaces)"
done
[ $partial -gt 0 ] && good "$partial of 7 crashes were in the middle" || bad "no crash was in the middle: the test has no meaning"

# A record that is lost: the name alone will do.
lab up --no-daemons pair 2>/dev/null
rm "$RUN/lab/$NAME/lab.json"
lab down 2>/dev/null || bad "down without the record"
nothing_left "a lost record"

((failed)) && echo "lab: FAILED" || echo "lab: all well"
exit $failed
