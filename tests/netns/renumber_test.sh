#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The address changes and the link stays: a host's router is replaced by one that has another block, and then the other end's.
# Every byte of a download arrives once and in order, datagrams stay with their instance, and what is new is found as well.
# Usage: renumber_test.sh SCAFFOLD-BINARY
#
#      h1 client         ctl        h3 server
#        \                |          /
#         [r1] -------- [ sr ] -- [r2]
. "$(dirname "$0")/lib.sh"
lab_up fig6
SRC=$(address nsrc) DST=$(address ndst) WHO=$(address nwho)
# What is slow here is the machine: nobody is given up for being away.
for n in h1 h3; do
	printf 'move_grace = 120s\n' >>"$DIR/$n/scaffoldd.conf"
	lab restart $n >"$TMP/said" || said
	wait_for "$n is ready again" is_ready $n
done
serve h3 "$SRC" 9 source --timeout 600
serve h3 "$DST" 9 sink --timeout 600
serve h3 "$WHO" 53 who --udp --name h3
for s in nsrc ndst; do registered $s 1 9; done
registered nwho 1 53 udp
declare -A running
client() { # NAME ARGS...
	"$SF" lab --name "$LAB" exec h1 -- python3 "$HERE/peer.py" "${@:2}" --until "$TMP/stop" >"$TMP/$1" 2>&1 &
	running[$1]=$!
	pids+=($!)
	wait_for "$1" grep -q up "$TMP/$1"
}
client download download "$SRC" 9 --timeout 100
client upload upload "$DST" 9 --timeout 100
client talk talk "$WHO" 53 --every 0.05
bound() { rest h1 agent /v1/flows | jq -c '[.flows[] | select(.state == "bound") | .local_port]'; }
has_three() { PORTS=$(bound); [ "$(jq length <<<"$PORTS")" = 3 ]; }
wait_for "three flows" has_three
# those, at either end: others come and go
FLOWS="[.flows[] | select(([.local_port, .peer_port] - $PORTS) != [.local_port, .peer_port])]"
place() { locator "$1" | sed 's/::$//'; }
is_at() { holds "$1" agent /v1/flows "$FLOWS | length == 3 and all(.own_locator | startswith(\"$(place "$1"):\"))"; }
knows() { holds "$1" agent /v1/flows "$FLOWS | length == 3 and all(.peer_locator | startswith(\"$(place "$2"):\"))"; }
together() { is_at h1 && is_at h3 && knows h1 h3 && knows h3 h1; }
carried() { rest h1 agent /v1/flows | jq -c "$FLOWS | map({key: .id, value: (.rx_packets)}) | from_entries"; }
have_grown() { jq -en --argjson a "$1" --argjson b "$(carried)" '$a | to_entries | length == 3 and all(.value + 3 < $b[.key])' >/dev/null; }
renumbered() { [ "$(rest "$1" agent /v1/status | jq -r 'select(.joined).locator')" != "$2" ] && is_ready "$1"; }
# replace ROUTER HOST: another router on the same links, with another key, so with another block
replace() {
	local was before
	was=$(locator "$2")
	lab stop "$1" >"$TMP/said" 2>&1 || { bad "$1 does not stop"; said; }
	rm -rf "$DIR/$1/state"
	lab start "$1" >"$TMP/said" 2>&1 || { bad "$1 does not start"; said; }
	tries 40 renumbered "$2" "$was" && ok "$2 has another locator: $was, then $(locator "$2")" || bad "$2 has the locator $(locator "$2")"
	tries 40 together && ok "both ends know it" || { bad "the ends do not know each other"; for n in h1 h3; do on $n "$SF" flows; done; }
	before=$(carried)
	tries 40 have_grown "$before" && ok "all flows go on" || { bad "flows stand still: $before, $(carried)"; }
	for s in nsrc ndst; do tries 20 has_instances sr $s 1 9 || bad "$s is not registered"; done
	check "and a new one is opened" tries 20 peer h1 ask "$WHO" 53 --timeout 2
}
wait_for "three flows at both ends" together
link=$(on h1 ip -o link show up | grep -c '@')
replace r1 h1
replace r2 h3
equal "no link was touched" "$link" "$(on h1 ip -o link show up | grep -c '@')"
touch "$TMP/stop"
for name in download upload talk; do
	if wait "${running[$name]}"; then ok "$name: $(tail -n 1 "$TMP/$name")"; else bad "$name: $(tail -n 2 "$TMP/$name")"; fi
done
fails "no error was heard" grep -q "E[A-Z]*=" "$TMP/talk"
equal "no flow failed" 0 "$(rest h1 agent '/v1/events?limit=10000' | jq '[.events[] | select(.kind == "flow-failed" or .kind == "flow-over")] | length')"
finish
