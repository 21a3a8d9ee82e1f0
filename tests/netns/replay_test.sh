#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Messages of real renegotiations, said again: from a third host, from the right ones when their time is over, changed, cut,
# and as refusals. No flow minds, and all of it is counted by name. Usage: replay_test.sh SCAFFOLD-BINARY
#
#      m1 ==== [r1] [r2] --- [r3] [r4] ==== s1         each has links to two, of which one is up
#                           ctl  \___ x1, a third host
. "$(dirname "$0")/lib.sh"
ROUTER=r3
cat >"$TMP/replay.lab" <<'LAB'
host       m1 s1 x1
router     r1 r2 r4  roles=access
router     r3        roles=access,service
controller ctl
link m1-r1 s1-r3 x1-r3
link m1-r2 s1-r4  state=down
link r1-r3 r2-r3 r4-r3
link r3-ctl
LAB
lab_up "$TMP/replay.lab"
for name in src echo who; do declare "${name^^}=$(address "r$name")"; done
serve s1 "$SRC" 9 source --timeout 3600
serve s1 "$ECHO" 7 echo --timeout 3600
serve s1 "$WHO" 53 who --udp --name s1
for name in "rsrc 9" "recho 7" "rwho 53 udp"; do registered ${name%% *} 1 ${name#* }; done
declare -A running=()
runs() { # NAME ARGS...
	"$SF" lab --name "$LAB" exec m1 -- python3 "$HERE/peer.py" "${@:2}" --until "$TMP/stop" >"$TMP/$1.out" 2>&1 &
	running[$1]=$!
	pids+=($!)
	wait_for "$1" grep -q up "$TMP/$1.out"
}
runs download download "$SRC" 9 --timeout 60
runs keep keep "$ECHO" 7 --every 0.02 --timeout 60
runs talk talk "$WHO" 53 --every 0.02

# ---- what is overheard
hears() { # NODE LINK...
	"$SF" lab --name "$LAB" exec "$1" -- python3 "$HERE/replay.py" hear "$TMP/$1.heard" 60 "${@:2}" >"$TMP/$1.up" 2>&1 &
	pids+=($!)
	wait_for "ears at $1" grep -q up "$TMP/$1.up"
}
hears m1 r1 r2
hears s1 r3 r4
flows() { rest "$1" agent "/v1/flows?limit=1000" | jq -c "[.flows[] | select(.state == \"bound\") | $2] | sort"; }
settled() { [ "$(flows m1 '.move.state == "settled"')$(flows s1 '.move.state == "settled"')" = "[true,true,true][true,true,true]" ]; }
for to in "m1 r2" "s1 r4" "m1 r1" "s1 r3"; do
	lab move "${to% *}" --to "${to#* }" >"$TMP/said" 2>&1 || bad "move $to: $(cat "$TMP/said")"
	sleep 0.3
	tries 20 settled || bad "the flows do not move: $to"
done
touch "$TMP/m1.heard.stop" "$TMP/s1.heard.stop"
for kind in "5 RSYN" "6 RSYN-ACK" "7 RACK"; do
	[ "$(jq -s "map(select(.kind == ${kind% *})) | length" "$TMP/m1.heard" "$TMP/s1.heard" | jq -s add)" -ge 6 ] && ok "$(jq -s "map(select(.kind == ${kind% *})) | length" "$TMP/m1.heard" "$TMP/s1.heard" | jq -s add) of ${kind#* } are overheard" || bad "too few of ${kind#* }"
done
for n in m1 s1; do jq -c 'select(.kind < 8 and .out == false)' "$TMP/$n.heard" >"$TMP/$n.in"; jq -c 'select(.kind < 8 and .out)' "$TMP/$n.heard" >"$TMP/$n.out"; done
ENDS=$(on s1 python3 "$HERE/replay.py" ends r3 0.5)
[ "$(tr ',' '\n' <<<"$ENDS" | wc -l)" -ge 6 ] || bad "the ends of the flows: $ENDS"
X=$(locator x1)

# ---- and said again
grown() { jq -en --argjson a "$1" --argjson b "$(flows m1 '{key: .id, value: .rx_packets}')" '[$a[], $b[]] | group_by(.key) | length == 3 and all(length == 2 and (map(.value) | max - min) > 5)' >/dev/null; }
places() { flows m1 '[.id, .own_locator, .peer_locator, .move.own, .move.peer]'; flows s1 '[.id, .own_locator, .peer_locator, .move.own, .move.peer]'; }
counts() { for n in m1 s1; do rest $n agent /v1/counters; done | jq -sc 'map(.reasons | to_entries[]) | group_by(.key) | map({key: .[0].key, value: (map(.value.packets) | add)}) | from_entries'; }
were=$(places)
# minds TEXT REASONS NODE LINK FILE HOW: nobody does, and the reasons, one of each pair A|B, count more
minds() {
	local before had now reason one
	before=$(flows m1 '{key: .id, value: .rx_packets}') had=$(counts)
	LINK=$4 on "$3" python3 "$HERE/replay.py" say "$5" "$6" "$X" "$ENDS" >"$TMP/said" 2>&1 || { bad "$1"; said; return; }
	sleep 0.3
	now=$(counts)
	for reason in $2; do
		one=$(jq -n --argjson a "$had" --argjson b "$now" --arg r "$reason" '[$r | split("|")[] | ($b[.] // 0) - ($a[.] // 0)] | add')
		[ "$one" -gt 0 ] && ok "$1: $(cat "$TMP/said") said, $one counted $reason" || bad "$1: $(cat "$TMP/said") said, none counted $reason: $had, then $now"
	done
	tries 5 grown "$before" && ok "$1: the flows go on" || bad "$1: a flow does not go on: $before, $(flows m1 '{key: .id, value: .rx_packets}')"
	equal "$1: and are where they were" "$were" "$(places)"
}
for n in m1 s1; do
	minds "what came to $n, by a third host as its own" "duplicate|superseded" x1 r3 "$TMP/$n.in" stranger
	minds "the same, with bits changed" bad-checksum x1 r3 "$TMP/$n.in" flipped
	minds "the same, cut" truncated x1 r3 "$TMP/$n.in" cut
	minds "changed, with the right checksum" "bad-header duplicate|superseded" x1 r3 "$TMP/$n.in" made
	minds "refusals of what it said" "wrong-state" x1 r3 "$TMP/$n.in" refusals
done
before=$(counter r3 spoofed-locator)
minds "by a third host in its sender's name" "" x1 r3 "$TMP/s1.in" same
[ "$(counter r3 spoofed-locator)" -gt "$before" ] && ok "its router counts spoofed-locator" || bad "its router does not count spoofed-locator"
minds "what m1 said, again by m1" "duplicate|superseded" m1 r1 "$TMP/m1.out" same
minds "what s1 said, again by s1" "duplicate|superseded" s1 r3 "$TMP/s1.out" same

lab move m1 --to r2 >/dev/null
sleep 0.3
tries 20 settled && ok "and flows can move as before" || bad "the flows do not move any more"
touch "$TMP/stop"
for name in "${!running[@]}"; do
	wait "${running[$name]}" && ok "$name: $(tail -n 1 "$TMP/$name.out")" || bad "$name: $(tail -n 2 "$TMP/$name.out")"
done
equal "nothing was superseded" 0 "$(for n in m1 s1; do rest $n agent "/v1/events?limit=10000"; done | jq '[.events[] | select(.kind | test("flow-over|superseded"))] | length' | jq -s add)"
finish
