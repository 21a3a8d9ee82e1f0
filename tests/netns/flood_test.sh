#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 100,000 forged and mutated RSYN, RSYN-ACK, RACK, FAIL, REDIRECT, ICMPv6 errors, segments and datagrams against flows in
# use, by a third host and by the peer's own: nobody notices. (The agent's part alone: tests/unit/agent_flood_test.c.)
# Usage: flood_test.sh SCAFFOLD-BINARY
#
#      h1 client         ctl        h3 server, and forges, too
#        \                |          /
#         [r1] -------- [ sr ] -- [r2]
#        /
#      h2 forges
. "$(dirname "$0")/lib.sh"
need bpftool
lab_up fig6
SRC=$(address flood) WHO=$(address fwho)
serve h3 "$SRC" 9 source --timeout 600
serve h3 "$WHO" 53 who --udp --name h3
registered flood 1 9
registered fwho 1 53 udp
client() { "$SF" lab --name "$LAB" exec h1 -- python3 "$HERE/peer.py" "$@" --until "$TMP/stop" >"$TMP/$1" 2>&1 & pids+=($!); }
client download "$SRC" 9 --timeout 20
tcp=$!
client talk "$WHO" 53 --every 0.05
udp=$!
bound() { holds "$1" agent /v1/flows '[.flows[] | select(.state == "bound")] | length == 2'; }
wait_for "both flows" bound h1

# what a packet on the wire would show of a node's flows: SOCK,PORT,PEER-PORT,PROTO of each
cat >"$TMP/seen.py" <<'PY'
import glob, ipaddress, json, struct, subprocess, sys
place = ipaddress.IPv6Address(sys.argv[2]).packed[:10]
for table in glob.glob(sys.argv[1] + "/host-*/flows"):
    for entry in json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", table])):
        value = bytes(int(b, 16) for b in entry["value"])
        if value[:10] == place and value[36] == 4:
            print("%d,%d,%d,%d" % (int.from_bytes(value[10:16], "big"), *struct.unpack(">HHB", value[96:101])))
PY
mapfile -t at1 < <(python3 "$TMP/seen.py" "$DIR/bpf" "$(locator h1)")
mapfile -t at3 < <(python3 "$TMP/seen.py" "$DIR/bpf" "$(locator h3)")
equal "flows to be disturbed, at both ends" "2 2" "${#at1[@]} ${#at3[@]}"
received() { rest "$1" agent /v1/flows | jq '[.flows[] | select(.state == "bound") | .rx_packets] | add'; }
goes_on() { local n; n=$(received h1); sleep 0.3; (($(received h1) > n + 5)); }
before=$(rest h1 agent /v1/flows | jq -Sc '[.flows[] | {id, own_locator, peer_locator}] | sort')
flood() { # NODE LINK SEED VICTIM PEER FLOW...
	local node=$1 link=$2 seed=$3 victim=$4 peer=$5
	shift 5
	"$SF" lab --name "$LAB" exec "$node" -- env LINK="$link" python3 "$HERE/flood.py" 25000 "$seed" "$(locator "$node")" \
		"$(locator "$victim")" "$(locator "$peer")" "$@" >"$TMP/flood.$seed" 2>&1
}
check "a third host, about the client's end" flood h2 r1 1 h1 h3 "${at1[@]}"
check "the peer's host, which has not the sockets" flood h3 r2 2 h1 h3 "${at1[@]}"
check "a third host, about the server's end" flood h2 r1 3 h3 h1 "${at3[@]}"
check "and both at once" eval 'flood h2 r1 4 h1 h3 "${at1[@]}" & flood h3 r2 5 h1 h3 "${at1[@]}"; other=$?; wait $! && [ $other = 0 ]'
check "the flows go on" tries 5 goes_on
equal "where they were" "$before" "$(rest h1 agent /v1/flows | jq -Sc '[.flows[] | {id, own_locator, peer_locator}] | sort')"
equal "nothing is noted of them" '[null]' "$(rest h1 agent /v1/flows | jq -c '[.flows[].fail] | unique')"
equal "nor begun" 0 "$(rest h1 agent /v1/flows | jq '[.flows[] | select(.move != null and (.move.state != "settled" or .move.peer > 0))] | length')"
equal "nobody is told of a flow" "0 0" "$(for n in h1 h3; do rest $n agent '/v1/events?limit=10000' | jq '[.events[] | select(.kind | startswith("flow-"))] | length'; done | paste -sd' ')"
equal "no refusal was taken" "0 0" "$(for n in h1 h3; do rest $n agent /v1/counters | jq '.traffic["fail-taken"].packets // 0'; done | paste -sd' ')"
for n in h1 h3; do
	reached=$(rest $n agent /v1/counters | jq '[.reasons[].packets] | add')
	((reached > 15000)) && ok "$reached of them reached $n" || bad "only $reached reached $n: the check has no meaning"
done
touch "$TMP/stop"
check "the download has every block" wait $tcp
check "each datagram was answered by the one instance" wait $udp
fails "and none drew an error" grep -q "E[A-Z]*=\|lost" "$TMP/talk"
cat "$TMP/download" "$TMP/talk" | sed -n 's/^ok/    /p'
finish
