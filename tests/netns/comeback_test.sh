#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A link that was down for seconds and is up again, at the same place: nothing moves, and connections need not wait until their
# backed-off timers run out.
# Usage: comeback_test.sh SCAFFOLD-BINARY
#
#      m1 ---- [r1] ---- [r3] ---- s1        r3-s1 goes and comes
#                         ctl
. "$(dirname "$0")/lib.sh"
ROUTER=r3
cat >"$TMP/comeback.lab" <<'LAB'
host       m1 s1
router     r1        roles=access
router     r3        roles=access,service
controller ctl
link m1-r1 s1-r3  delay=1ms
link r1-r3
link r3-ctl
LAB
lab_up "$TMP/comeback.lab"
for n in m1 s1; do
	printf 'move_grace = 120s\n' >>"$DIR/$n/scaffoldd.conf"
	"$SF" lab --name "$LAB" restart "$n" >/dev/null
done
SRC=$(address src) DST=$(address dst)
serve s1 "$SRC" 9 source --timeout 600
serve s1 "$DST" 9 sink --timeout 600
registered src 1 9
registered dst 1 9

declare -A running=()
long() { "$SF" lab --name "$LAB" exec m1 -- python3 "$HERE/peer.py" "$@" --until "$TMP/stop" --timeout 120 >"$TMP/$1.out" 2>&1 & running[$1]=$!; pids+=($!); wait_for "$1" grep -q up "$TMP/$1.out"; }
# waits NODE ADDRESS: milliseconds until the connection's timer runs out, 0 where it has not backed off
waits() {
	on "$1" ss -tniHo state established | grep -A1 -F "[$2]:9" | tr '\n' ' ' | grep backoff: |
		grep -o 'timer:(on,[^,]*' | python3 -c '
import sys
left = sys.stdin.readline().strip().partition(",")[2]
units = {"ms": 1, "sec": 1000, "min": 60000}
unit = next((u for u in ("ms", "sec", "min") if left.endswith(u)), None)
# "2.656ms" of ss are seconds and thousandths
print(0 if unit is None else int(float(left[:-len(unit)]) * (1000 if unit == "ms" and "." in left else units[unit])))'
}
rests() { [ "$(waits "$1" "$2")" -gt 5000 ]; }
bytes() { rest "$1" agent "/v1/flows?limit=1000" | jq "[.flows[] | select((.local == \"$2\" or .peer == \"$2\") and .state == \"bound\")] | map(.tx_bytes + .rx_bytes) | add // 0"; }
grown() { [ "$(bytes m1 "$1")" -gt $(($2 + 1000000)) ]; }
told() { rest "$1" agent "/v1/events?limit=10000" | jq -e --arg k "$2" --arg t "$3" 'any(.events[]; .kind == $k and (.text | contains($t)))' >/dev/null; }
now_ms() { date +%s%3N; }
# comes_back WHAT NODE ADDRESS: the sender there would rest for more than five seconds when the link comes
comes_back() {
	local before left began
	lab link s1-r3 down >/dev/null
	tries 60 rests "$2" "$3" || bad "$1: the sender never backs off"
	before=$(bytes m1 "$3") left=$(waits "$2" "$3") began=$(now_ms)
	lab link s1-r3 up >/dev/null
	tries 60 grown "$3" "$before" || bad "$1: nothing comes any more"
	# With the timer alone it could not be.
	(($(now_ms) - began < left)) && ok "$1: goes on before its timer, $left ms" || bad "$1: goes on when its timer of $left ms has run out"
	# The tables are looked at once a second.
	wait_for "$1: that it goes on is told" told s1 flow-resumes "the place is back"
}
long download "$SRC" 9
comes_back "a download from whose link was down" s1 "$SRC"
touch "$TMP/stop"
check "it is whole" wait "${running[download]}"
rm "$TMP/stop"
long upload "$DST" 9
comes_back "an upload to whose link was down" m1 "$DST"
touch "$TMP/stop"
check "it is whole" wait "${running[upload]}"

check "flows without a place are told" told s1 flow-waits "no place: r3 is not usable"
check "and that the place is back" told s1 flow-resumes "the place is back"
check "flows whose peer is silent are told" told m1 flow-waits "nothing is heard from"
check "and that it is heard again" told m1 flow-resumes "the peer is heard again"
finish
