#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instances come, die, are weighed, drained and disabled; new connections find those that live.
# Usage: failover_test.sh SCAFFOLD-BINARY
#
#      h1 clients         ctl              h3 instance
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 instance
#        /  \___________________________/  \
#      h2 clients                          h5 instance
. "$(dirname "$0")/lib.sh"
need curl
lab_up fig6
WEB=$(address web)
export -f on lab
start() { serve "$1" "$WEB" 80 web --name "$1" --timeout 600; declare -g "$1=$!"; }
# share FETCHES: who answered how often, "h3=10 h4=30"
share() { peer "${2:-h1}" loop "$WEB" 80 --n "$1" | tail -n 2 | sed -n 's/.*| //p'; }
of() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p" | grep . || echo 0; }
start h3
start h4
registered web 2 80

# ---- death under load
for round in 1 2 3; do
	rm -f "$TMP/stop"
	loops=()
	for node in h1 h2; do
		peer $node loop "$WEB" 80 --until "$TMP/stop" >"$TMP/$node.loop" 2>&1 & loops+=($!)
		wait_for "a loop of connects on $node" grep -q up "$TMP/$node.loop"
	done
	pids+=("${loops[@]}")
	sleep 0.2
	end $h4
	registered web 1 80
	sleep 0.2
	start h4
	registered web 2 80
	sleep 0.2
	touch "$TMP/stop"
	i=1
	for l in "${loops[@]}"; do
		wait "$l" && ok "round $round: kill -9 of an instance: no connect of h$i fails: $(tail -n 2 "$TMP/h$i.loop" | head -n 1)" || bad "round $round: h$i: $(cat "$TMP/h$i.loop")"
		i=$((i + 1))
	done
done
s=$(share 60)
[ "$(of h3 "$s")" -gt 0 ] && [ "$(of h4 "$s")" -gt 0 ] && ok "the new one gets its share again: $s" || bad "shares after a restart: $s"
[ "$(rest h4 agent /v1/counters | jq '.traffic["fail-sent"].packets')" -gt 0 ] && ok "its host refused in its place, $(rest h1 agent /v1/counters | jq '.traffic.retried.packets') SYNs of h1 were tried again" ||
	echo "note: no SYN met the dead instance"

# ---- the network does not know: each SYN to the dead one is tried elsewhere, by the datapath alone
kill -STOP "$(daemon_pid h4)"
end $h4
retried=$(rest h1 agent /v1/counters | jq '.traffic.retried.packets')
s=$(share 60)
equal "the network still leads to a dead instance, and each connect succeeds elsewhere" "h3=60" "$s"
equal "it was in the rules meanwhile" 2 "$(instances sr web 80)"
retried=$(($(rest h1 agent /v1/counters | jq '.traffic.retried.packets') - retried))
[ $retried -gt 5 ] && ok "$retried SYNs were turned round" || bad "only $retried SYNs were turned round: the check has no meaning"
kill -CONT "$(daemon_pid h4)"
registered web 1 80

# ---- all die; one returns
end $h3
registered web 0 80
says "no instance lives" ECONNREFUSED peer h1 connect "$WEB" 80 --timeout 5
start h4
registered web 1 80
equal "one returns, and serves" "h4=5" "$(share 5)"
start h3
registered web 2 80

# ---- weights
n=400
weigh() { on ctl "$SF" weight web h3 "$1" >/dev/null && on ctl "$SF" weight web h4 "$2" >/dev/null; }
# what the service router goes by
weighs() { [ "$(SCAFFOLD_RUN=$DIR/sr "$SF" --json services | jq --arg s "$(sid web)" --arg l "$(locator "$1")" '.[] | select(.sid == $s and .locator == $l) | .weight')" = "$2" ]; }
check "weights 1:3" weigh 100 300
wait_for "the weight at the service router" weighs h4 300
s=$(share $n)
# four standard deviations of a binomial with p = 1/4, and of the slots' rounding
awk -v n=$n -v a="$(of h3 "$s")" -v b="$(of h4 "$s")" 'BEGIN { s = 4 * sqrt(n * 3 / 16) + n * 0.01; d = a - n / 4; exit !(a + b == n && d < s && -d < s) }' &&
	ok "$n connections: $s" || bad "not 1:3: $s"
check "weight 0" weigh 100 0
wait_for "one instance left" has_instances sr web 1 80
equal "all go to the other" "h3=40" "$(share 40)"
check "equal weights" weigh 100 100
registered web 2 80

# ---- drain
pin() { # a flow to instance $2 from host $1, until FILE $3
	local i
	for ((i = 0; i < 40; i++)); do
		rm -f "$TMP/pin.stop"
		peer "$1" keep "$WEB" 80 --served --every 0.05 --until "$3" >"$TMP/pin" 2>&1 & pinned=$!
		wait_for "a flow" grep -q up "$TMP/pin"
		[ "$(SCAFFOLD_RUN=$DIR/$2 "$SF" --json flows web | jq '[.[] | select(.state == "bound")] | length')" -gt 0 ] && { pids+=($pinned); return 0; }
		touch "$3"; wait $pinned; rm -f "$3"
	done
	bad "no flow to $2"
}
pin h2 h4 "$TMP/drain.stop"
check "drain" on ctl "$SF" drain web --host h4
wait_for "one instance left" has_instances sr web 1 80
equal "new flows go elsewhere" "h3=40" "$(share 40)"
kill -0 $pinned && ok "the old flow goes on" || bad "the old flow ended: $(cat "$TMP/pin")"
timeout 1 "$SF" lab --name "$LAB" exec ctl -- "$SF" drain web --host h4 --wait >/dev/null 2>&1
[ $? = 124 ] && ok "drain --wait waits for it" || bad "drain --wait does not wait"
"$SF" lab --name "$LAB" exec ctl -- "$SF" drain web --host h4 --wait --timeout 20 >"$TMP/drain" 2>&1 & drain=$!
pids+=($drain)
touch "$TMP/drain.stop"
wait $pinned && ok "and ends by itself" || bad "the drained flow: $(cat "$TMP/pin")"
wait $drain && ok "then drain --wait ends" || bad "drain --wait: $(cat "$TMP/drain")"
check "undrain" on ctl "$SF" undrain web --host h4
registered web 2 80
s=$(share 60)
[ "$(of h4 "$s")" -gt 0 ] && ok "it takes new flows again: $s" || bad "nothing after undrain: $s"
check "drain of all" on ctl "$SF" drain web
registered web 0 80
says "everything is drained" ECONNREFUSED peer h1 connect "$WEB" 80 --timeout 5
check "undrain of all" on ctl "$SF" undrain web
registered web 2 80

# ---- disabled
policy() { rest ctl controller /v1/services/web/policy -X PATCH -H 'Content-Type: application/json' -d "$1"; }
pin h2 h3 "$TMP/disabled.stop"
policy '{"enabled": false}' >/dev/null
registered web 0 80
says "a disabled service" ECONNREFUSED peer h1 connect "$WEB" 80 --timeout 5
touch "$TMP/disabled.stop"
wait $pinned && ok "its old flow goes on" || bad "a flow of a disabled service: $(cat "$TMP/pin")"
policy '{"enabled": true}' >/dev/null
registered web 2 80
check "enabled again" peer h1 loop "$WEB" 80 --n 10

# ---- several sockets of one instance (Serval loses the live one)
PAIR=$(address pair)
serve h5 "$PAIR" 80 web --name first --reuseport; first=$!
registered pair 1 80
serve h5 "$PAIR" 80 web --name second --reuseport; second=$!
both_listen() { [ "$(on h5 ss -Hltn6 "sport = :80" | grep -c "$PAIR")" = 2 ]; }
wait_for "a second listener on the same address" both_listen
equal "two sockets are one instance" 1 "$(instances sr pair 80)"
end $second
for i in 1 2 3 4 5; do peer h1 loop "$PAIR" 80 --n 4; done >"$TMP/said" 2>&1
equal "the second dies: the first serves all" "5 first=4" "$(sed -n 's/.*| //p' "$TMP/said" | sort | uniq -c | sed 's/^ *//')"
equal "and stays registered" 1 "$(instances sr pair 80)"
serve h5 "$PAIR" 80 web --name third --reuseport; third=$!
wait_for "a third listener" both_listen
end $first
check "the first dies: the third serves" peer h1 loop "$PAIR" 80 --n 10
end $third
registered pair 0 80 && ok "the last one dies: the registration goes"

# ---- fork and exec
FORKED=$(address forked)
serve h5 "$FORKED" 80 who --name child --fork fork
registered forked 1 80
gone() { ! kill -0 "${pids[-1]}" 2>/dev/null; }
wait_for "the end of the parent" gone
says "a child that inherited the listener serves" "child" peer h1 connect "$FORKED" 80 --read --timeout 5
equal "and is registered" 1 "$(instances sr forked 80)"
child=$(on h5 ss -Hltnp "sport = :80" | grep "$FORKED" | grep -o 'pid=[0-9]*' | cut -d= -f2)
kill -9 "$child"
registered forked 0 80 && ok "its death unregisters"
EXECED=$(address execed)
serve h5 "$EXECED" 80 who --name execed --fork exec; execed=$!
registered execed 1 80
sleep 0.5
says "another program that inherited the listener serves" "execed" peer h1 connect "$EXECED" 80 --read --timeout 5
equal "it is registered" 1 "$(instances sr execed 80)"
end $execed
registered execed 0 80 && ok "kill -9 of it unregisters"

# ---- a whole host goes: its link, and with it its place
start h5
registered web 3 80
check "the link of h5 is cut" lab link h5-r2 down
check "while it is cut no connect fails" peer h1 loop "$WEB" 80 --n 40 --timeout 20
registered web 2 80 && ok "its registrations are gone"
check "the link is back" lab link h5-r2 up
registered web 3 80 && ok "so are its registrations"
for ((i = 0; i < 20; i++)); do share 10; done >"$TMP/said"
grep -q h5 "$TMP/said" && ok "it serves again" || bad "h5 does not serve: $(tail -n 3 "$TMP/said")"
finish
