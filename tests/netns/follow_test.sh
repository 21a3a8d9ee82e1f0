#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Both ends of a connection move at once, and nobody can ask for the other by its host: the routers that they left send the RSYN
# on to where the host is now. And a client moves before its server knows that it is there. Usage: follow_test.sh SCAFFOLD-BINARY
#
#      m1 ---- [r1] --- [r3] ---- s1     r3 is a service router; the others give addresses alone
#        \             / |  \    /
#         ---- [r2] ---  ctl [r4]        the second link of each is down to begin with
. "$(dirname "$0")/lib.sh"
ROUTER=r3

cat >"$TMP/follow.lab" <<'LAB'
host       m1 s1
router     r1 r2 r4  roles=access
router     r3        roles=access,service
controller ctl
link m1-r1
link m1-r2  state=down
link s1-r3
link s1-r4  state=down
link r1-r3 r2-r3 r4-r3
link r3-ctl
LAB
lab_up "$TMP/follow.lab"
for n in m1 s1; do
	printf 'move_grace = 120s\n' >>"$DIR/$n/scaffoldd.conf"
	"$SF" lab --name "$LAB" restart "$n" >/dev/null
done
ECHO=$(address echo)
daemons_know
serve s1 "$ECHO" 7 echo --timeout 3600
serve s1 "$ECHO" 9 source --timeout 3600
registered echo 1 7
registered echo 1 9
# What goes to a host by its name, from a locator: RSYNs that wait to be resolved.
for n in m1 s1; do
	says "$n: by its host nobody is found" "unreachable" bash -c "'$SF' lab --name $LAB exec $n -- ip -6 rule add from fd5c::/16 to fd5e:0:8000::/48 priority 100 unreachable &&
		'$SF' lab --name $LAB exec $n -- ip -6 route get fd5e:0:8000::1 from $(locator $n)1 2>&1"
done

place() { locator "$1" | sed 's/::$//'; }
is_by() { [ "$(rest "$1" agent /v1/status | jq -r '.uplinks[] | select(.role == "primary").link')" = "$2" ]; }
settled() { holds m1 agent "/v1/flows?limit=10" "[.flows[] | select(.proto == \"tcp\" and .state != \"closing\")] | length == 1 and all(.move.state == \"settled\" and (.peer_locator | startswith(\"$(place s1):\")))"; }
peer m1 keep "$ECHO" 7 --until "$TMP/stop" --every 0.05 --timeout 120 >"$TMP/keep" 2>&1 & keep=$!
pids+=($keep)
wait_for "a connection" grep -q up "$TMP/keep"

# both OLD NEW CLIENT-OLD CLIENT-NEW: s1 from OLD to NEW while its client is away
both() {
	lab link "m1-$3" down >/dev/null
	lab link "s1-$1" down >/dev/null
	lab link "s1-$2" up >/dev/null
	wait_for "the server at $2" is_by s1 "$2"
	registered echo 1 7
	lab link "m1-$4" up >/dev/null
	tries 20 settled && ok "$1 sends the client's RSYN on to $2" || { bad "$1: the client does not find s1 at $2"; rest m1 agent /v1/flows; }
}
both r3 r4 r1 r2
both r4 r3 r2 r1
check "a service router counts what it has sent on" holds r3 router /v1/counters '.traffic.followed.packets >= 1'
check "and one that resolves nothing" holds r4 router /v1/counters '.traffic.followed.packets >= 1 and .traffic.resolved.packets == 0'
touch "$TMP/stop"
check "and every byte arrives" wait $keep

# ---- a client that moves when its server has not heard that it is there: SYN and SYN-ACK passed, nothing of what follows
on r1 ip -6 route add blackhole "$(locator s1)/80" metric 1
for how in keep download; do
	rm -f "$TMP/stop"
	peer m1 $how "$ECHO" $([ $how = keep ] && echo 7 || echo 9) --until "$TMP/stop" --timeout 120 >"$TMP/$how" 2>&1 & keep=$!
	pids+=($keep)
	wait_for "the client is connected" holds m1 agent "/v1/flows?limit=10" '[.flows[] | select(.state == "opening")] | length == 1'
	equal "$how: the server is not" 0 "$(rest s1 agent "/v1/flows?limit=10" | jq '[.flows[] | select(.state == "bound")] | length')"
	lab move m1 --to r2 >/dev/null
	tries 20 settled && ok "$how: the server hears of both at once" || { bad "$how: the flow is lost"; rest m1 agent /v1/flows; rest s1 agent /v1/flows; }
	touch "$TMP/stop"
	check "$how: and every byte arrives" wait $keep
	lab move m1 --to r1 >/dev/null
	wait_for "the client at r1" is_by m1 r1
done
finish
