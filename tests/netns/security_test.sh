#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What others may not do: spoof, disturb flows, replay, take another host's key or name; what is malformed is counted and
# kills nothing. Usage: security_test.sh SCAFFOLD-BINARY
#
#      h1 client          ctl              h3 server
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 attacker beside the server, clone
#        /  \___________________________/  \
#      h2 attacker beside the client       h5 who may register what
. "$(dirname "$0")/lib.sh"
need curl setpriv
lab_up fig6
daemons_know
WEB=$(address web) ECHO=$(address echo)
serve h3 "$WEB" 80 web --name h3
serve h3 "$ECHO" 7 echo --timeout 600
registered web 1 80
registered echo 1 7
L1=$(locator h1) L2=$(locator h2) L3=$(locator h3) L4=$(locator h4)
attack() { local node=$1 link=$2; shift 2; on "$node" env LINK="$link" python3 "$HERE/attack.py" "$@"; }
for n in h1 h2; do on $n ping -q -c 1 -W 5 "$(lab address r1)" >/dev/null; done
for n in h3 h4; do on $n ping -q -c 1 -W 5 "$(lab address r2)" >/dev/null; done
# counted TEXT NODE REASON LEAST COMMAND...: the command makes NODE count at least LEAST packets under REASON
counted() {
	local what=$1 node=$2 reason=$3 least=$4 before after
	shift 4
	before=$(counter "$node" "$reason")
	"$@" >"$TMP/said" 2>&1 || { bad "$what: $*"; said; return; }
	grows() { after=$(counter "$node" "$reason"); [ $((after - before)) -ge "$least" ]; }
	tries 3 grows && ok "$what: $((after - before)) counted as $reason at $node" || { bad "$what: $((after - before)) of $least counted as $reason at $node: $(rest "$node" "$([ -S "$DIR/$node/agent.sock" ] && echo agent || echo router)" /v1/counters | jq -c '.reasons | map_values(.packets)')"; said; }
}
alive() { local n; for n in "${!DAEMON[@]}"; do kill -0 "${DAEMON[$n]}" 2>/dev/null || { echo "$n is dead"; return 1; }; done; }
syns() { rest h3 agent /v1/counters | jq '.traffic["in-syn"].packets'; }

# ---- a flow that goes on through all of this
peer h1 keep "$ECHO" 7 --every 0.02 --until "$TMP/stop" >"$TMP/keep" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow" grep -q up "$TMP/keep"

# ---- spoofed sources
before=$(syns)
counted "others' locators as source" r1 spoofed-locator 7 attack h2 r1 spoofed_locator "$WEB" "$L1,$L3" 80
counted "others' serviceIDs as source" r1 spoofed-service 2 attack h2 r1 spoofed_service "$L2" "$WEB" 80
equal "none of it reached the server" "$before" "$(syns)"
on h2 env LINK=r1 HERE="$HERE" python3 - "$L2" "$WEB" <<'PY'
import os, sys
sys.path.insert(0, os.environ["HERE"])
import raw
raw.Link("r1").send(raw.syn(raw.sock(sys.argv[1], 0x123456789abc), sys.argv[2], 4000, 80))
PY
reached() { [ "$(syns)" -gt "$before" ]; }
tries 3 reached && ok "its own locator does reach it" || bad "a SYN by hand does not reach the server: the checks before have no meaning"

# ---- a flow of others
serve h3 "$(address quiet)" 9 echo --timeout 600
registered quiet 1 9
attack r2 h3 watch 9 >"$TMP/flow" 2>&1 & watcher=$!; pids+=($watcher)
wait_for "a watcher" grep -q up "$TMP/flow"
peer h1 keep "$(address quiet)" 9 --every 600 --until "$TMP/quiet.stop" >"$TMP/quiet" 2>&1 & quiet=$!; pids+=($quiet)
wait $watcher
grep -q '"ack"' "$TMP/flow" || bad "no packet of the flow was seen: $(cat "$TMP/flow")"
for pair in "h2 r1 $L2" "h4 r2 $L4"; do
	set -- $pair
	wrong=$(($(counter h1 wrong-peer) + $(counter h3 wrong-peer)))
	check "$1 attacks the flow at both ends" attack "$1" "$2" flow "$3" "$TMP/flow"
	wrong=$(($(counter h1 wrong-peer) + $(counter h3 wrong-peer) - wrong))
	[ "$wrong" -gt 50 ] && ok "$wrong packets from a wrong peer were counted" || bad "only $wrong packets from a wrong peer: $(rest h1 agent /v1/counters | jq -c '.reasons | map_values(.packets)') $(rest h3 agent /v1/counters | jq -c '.reasons | map_values(.packets)')"
	sleep 0.3
	kill -0 $quiet && ok "the flow goes on" || bad "the flow is dead: $(cat "$TMP/quiet")"
done
check "its connection is there at both ends" eval 'on h1 ss -Htn6 state established "dport = :9" | grep -q . && on h3 ss -Htn6 state established "sport = :9" | grep -q .'

# ---- malformed headers
counted "versions that are unknown" sr bad-version 3 attack h2 r1 malformed "$L2" "$WEB" "$WEB" 80
counted "kinds that are unknown" sr bad-kind 3 attack h2 r1 malformed "$L2" "$WEB" "$WEB" 80
counted "lengths that do not fit" sr bad-header 2 attack h2 r1 malformed "$L2" "$WEB" "$WEB" 80
for reason in bad-version bad-kind bad-header bad-checksum truncated; do
	counted "malformed, to a host's locator" h3 $reason 1 attack h4 r2 malformed "$L4" "$L3" "$WEB" 80
done
check "20000 mutated packets to a service" attack h2 r1 mutated "$L2" "$WEB" "$WEB" 80 20000 1
check "20000 mutated packets to a host" attack h4 r2 mutated "$L4" "$L3" "$WEB" 80 20000 2
check "20000 mutated packets to another's socketID" attack h4 r2 mutated "$L4" "$(tail -n 1 "$TMP/flow" | jq -r .dst)" "$(address quiet)" 9 20000 3
check "the daemons are alive" alive
check "services are served" peer h1 loop "$WEB" 80 --n 10 --timeout 5

# ---- what nobody registered is not reached, whoever listens
on h3 python3 -c '
import socket, time
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 2222)); s.listen(); print("up", flush=True); s.settimeout(600)
while True: s.accept(); print("accepted", flush=True)' >"$TMP/wild" 2>&1 & pids+=($!)
wait_for "a wildcard listener" grep -q up "$TMP/wild"
says "a wildcard listener by a service that it does not serve" ECONNREFUSED peer h1 connect "$WEB" 2222 --timeout 5
counted "nor by a SYN straight to its host" h3 not-registered 1 on h4 env HERE="$HERE" python3 -c "
import os, sys
sys.path.insert(0, os.environ['HERE'])
import raw
raw.Link('r2').send(raw.syn(raw.sock('$L4', 0x123456789abc), '$WEB', 4000, 2222, dst='$L3'))"
grep -q accepted "$TMP/wild" && bad "the wildcard listener was reached" || ok "it accepted nobody"

# ---- control messages
# what the daemon refused, and what was too much for it to hear at all
refused() { rest "$1" router /v1/counters | jq '([.control.refused | .. | numbers] | add // 0) + (.reasons.policed.packets // 0)'; }
n=$(refused r1)
check "20000 times nonsense to the access router" attack h2 r1 control ff02::5caf 10000 1
check "and straight to it" attack h2 r1 control "$(rest h2 agent /v1/status | jq -r .router.address)" 10000 2
check "and to a host" attack r1 h1 control fe80::1 5000 3
more() { [ "$(refused r1)" -gt $((n + 10000)) ]; }
tries 3 more && ok "$(($(refused r1) - n)) refusals are counted" || bad "refusals: $n, then $(refused r1): $(rest r1 router /v1/counters | jq -c .control.refused)"
check "the daemons are alive" alive
tries 5 is_ready h2 && ok "hosts are joined" || bad "h2 is not joined any more"

# A registration is captured, taken back, and played again.
attack h2 r1 sniff "$TMP/register" 600 5 >"$TMP/sniff" 2>&1 & sniffer=$!; pids+=($sniffer)
wait_for "a sniffer" grep -q up "$TMP/sniff"
serve h2 "$(address replayed)" 80 web; s=$!
registered replayed 1 80
wait_for "the captured REGISTER" grep -q . "$TMP/register"
end $s
registered replayed 0 80
n=$(refused r1)
check "REGISTER is played again" attack h2 r1 replay "$TMP/register"
check "and by its neighbour" attack h1 r1 replay "$TMP/register"
check "with each byte changed" attack h2 r1 replay "$TMP/register" 1
sleep 0.5
equal "it registers nothing" 0 "$(instances sr replayed 80)"
more() { [ "$(refused r1)" -gt $((n + 20)) ]; }
tries 3 more && ok "refusals are counted: $(rest r1 router /v1/counters | jq -c .control.refused)" || bad "refusals: $n, then $(refused r1): $(rest r1 router /v1/counters | jq -c .control.refused)"
tries 5 is_ready h2 && ok "its host is joined" || bad "h2 is not joined any more"
# A JOIN of the past.
attack h2 r1 sniff "$TMP/join" 600 1 >"$TMP/sniff" 2>&1 & pids+=($!)
wait_for "a sniffer" grep -q up "$TMP/sniff"
daemon_kill h2; daemon_start h2; daemon_ready h2
wait_for "the captured JOIN" grep -q . "$TMP/join"
daemon_kill h2; daemon_start h2; daemon_ready h2
serve h2 "$(address after)" 80 web --name after
registered after 1 80
check "JOIN is played again" attack h2 r1 replay "$TMP/join"
check "by its neighbour" attack h1 r1 replay "$TMP/join"
check "with each byte changed" attack h2 r1 replay "$TMP/join" 1
sleep 1
equal "the host is where it was" "$L2" "$(locator h2)"
equal "so is what it registered" 1 "$(instances sr after 80)"
check "and it is reached" peer h1 loop "$(address after)" 80 --n 5 --timeout 5
check "the neighbour is untouched" peer h1 loop "$WEB" 80 --n 5 --timeout 5

# ---- a host key that is used twice
clone() { # ORIGINAL CLONE: the clone's agent starts again, with the original's key
	kill -TERM "${DAEMON[$2]}"
	wait_for "the end of the agent" daemon_gone "$2"
	cp "$DIR/$1/state/host.key" "$DIR/$2/state/host.key"
	daemon_start "$2"
	daemon_ready "$2"
}
alarms() { rest ctl controller "/v1/events?limit=1000" | jq '[.events[] | select(.kind == "alarm" and .reason == "cloned")] | length'; }
clone h1 h2
equal "a clone at the same router: the original stays where it is" "$L1" "$(locator h1)"
[ "$(locator h2)" != "$L1" ] && ok "the clone gets a place of its own: $(locator h2)" || bad "the clone got the original's place"
alarmed() { [ "$(alarms)" -ge 1 ]; }
wait_for "an alarm" alarmed && ok "the controller's log has an alarm"
n=$(alarms)
clone h1 h4
equal "a clone at another router: the original stays where it is" "$L1" "$(locator h1)"
[ "$(locator h4)" != "$L1" ] && ok "the clone gets a place of its own: $(locator h4)" || bad "the clone got the original's place"
alarmed() { [ "$(alarms)" -gt "$n" ]; }
wait_for "an alarm" alarmed && ok "the controller's log has another alarm"
check "the original makes new flows" peer h1 loop "$WEB" 80 --n 10 --timeout 5
check "so does the clone" peer h4 loop "$WEB" 80 --n 10 --timeout 5

# ---- who may register
OTHER=$(address other)
cp "$HERE/peer.py" "$TMP/peer.py" # where everybody may read it
chmod 755 "$TMP"; chmod 644 "$TMP/peer.py"
PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3
as_user() { "$SF" lab --name "$LAB" exec h5 -- setpriv --reuid "$1" --regid "$1" --clear-groups $PYTHON "$TMP/peer.py" serve "$OTHER" 8080 web --name "uid$1" 2>>"$TMP/user" & user=$!; pids+=($user); }
as_user 1000
denied() { [ "$(SCAFFOLD_RUN=$DIR/h5 "$SF" --json services --all | jq -r --arg s "$(sid other)" '.[] | select(.sid == $s) | "\(.state) \(.reason)"')" = "$1" ]; }
wait_for "the agent's refusal" denied "denied denied-uid" && ok "uid 1000 may not register, and 'scaffold services' says why"
says "so does 'scaffold events'" "this user may not register" on h5 "$SF" events
says "nobody reaches it" ECONNREFUSED peer h1 connect "$OTHER" 8080 --timeout 5
counted "not even straight at its host" h5 not-registered 1 on h4 env HERE="$HERE" python3 -c "
import os, sys
sys.path.insert(0, os.environ['HERE'])
import raw
raw.Link('r2').send(raw.syn(raw.sock('$(locator h4)', 0x123456789abc), '$OTHER', 4000, 8080, dst='$(locator h5)'))"
end $user
printf 'allow_uid = 0, 1000\n' >>"$DIR/h5/scaffoldd.conf"
daemon_kill h5; daemon_start h5; daemon_ready h5
as_user 1000
registered other 1 8080 && ok "with allow_uid it may"
check "and serves" peer h1 loop "$OTHER" 8080 --n 3 --timeout 5
end $user
registered other 0 8080
policy() { rest ctl controller /v1/services/other/policy -X PUT -H 'Content-Type: application/json' -d "$1" >/dev/null; }
policy '{"allow": ["h3"]}'
as_user 0
wait_for "the controller's refusal" denied "denied denied-policy" && ok "a host that the policy does not allow is denied, and its agent knows why"
says "the controller's log explains it" "policy does not let this host register" on ctl "$SF" events
equal "it is in no rule" 0 "$(instances sr other 8080)"
policy '{"allow": ["h3", "h5"]}'
registered other 1 8080 && ok "it is allowed: registered, with no restart"
policy '{"allow": []}'
registered other 0 8080 && ok "nobody is: no more"
says "and connects are refused" ECONNREFUSED peer h1 connect "$OTHER" 8080 --timeout 5

check "the daemons are alive" alive
touch "$TMP/stop" "$TMP/quiet.stop"
wait $quiet && ok "the attacked flow carries what it should" || bad "the attacked flow: $(cat "$TMP/quiet")"
wait $kept && ok "the flow went on through all of it: $(tail -n 1 "$TMP/keep") rounds" || bad "the flow: $(cat "$TMP/keep")"
finish
