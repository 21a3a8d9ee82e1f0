#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons of one version meet the pinned maps of another: they refuse by name what they cannot take over, touch nothing,
# and flows go on. (That a migration is run and kept is tested where it is made: tests/unit/bpf_adopt_test.c.)
# Usage: layout_test.sh SCAFFOLD-BINARY
. "$(dirname "$0")/lib.sh"
need bpftool
lab_up fig6
daemons_know
ECHO=$(address echo)
serve h3 "$ECHO" 7 echo --timeout 600
registered echo 1 7
peer h1 keep "$ECHO" 7 --every 0.05 --until "$TMP/stop" >"$TMP/keep" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow" grep -q up "$TMP/keep"

# pins NODE KIND: the directory of a node's daemon
pins() {
	local cookie
	cookie=$(on "$1" python3 -c 'import socket; print("%016x" % int.from_bytes(socket.socket(socket.AF_INET6).getsockopt(socket.SOL_SOCKET, 71, 8), "little"))')
	echo "$(sed -n 's/.*--bpffs[ =]\([^ ]*\).*/\1/p' <<<"${COMMAND[$1]} ")/$2-$cookie"
}
# layout DIRECTORY MAP [NUMBER]: what is recorded, or record another
layout() {
	local key value
	key=$(python3 -c 'import sys; print(*sys.argv[1].encode().ljust(32, b"\0"))' "$2")
	if [ -z "${3:-}" ]; then
		bpftool -j map lookup pinned "$1/meta" key $key | jq -r '.value[0]' | python3 -c 'print(int(input(), 16))'
	else
		value=$(python3 -c 'import sys; print(*int(sys.argv[1]).to_bytes(8, "little"))' "$3")
		bpftool map update pinned "$1/meta" key $key value $value
	fi
}
# refuses NODE: its daemon does not start; what it said is in $TMP/refusal
refuses() {
	# shellcheck disable=SC2086 # a command line of words without spaces
	timeout 20 "$SF" lab --name "$LAB" exec "$1" -- ${COMMAND[$1]} >"$TMP/refusal" 2>&1
	local status=$?
	[ $status != 0 ] && [ $status != 124 ]
}

# name NODE KIND MAP: one version is met by another, older and newer
for which in "h1 host flows" "h3 host config" "sr router rules"; do
	set -- $which
	node=$1 map=$3
	dir=$(pins $node $2)
	ours=$(layout "$dir" $map)
	[ "$ours" -gt 0 ] && ok "$node: the layout of $map is $ours" || bad "$node: no layout of $map in $dir: $ours"
	daemon_kill $node
	for theirs in $((ours + 1)) $((ours + 200)); do
		layout "$dir" $map $theirs
		before=$(ls "$dir")
		check "$node: layout $theirs of $map is refused" refuses $node
		says "$node: by name" "pinned map $map: found layout $theirs, expected layout $ours" cat "$TMP/refusal"
		equal "$node: what is pinned stays pinned" "$before" "$(ls "$dir")"
		equal "$node: as it was" $theirs "$(layout "$dir" $map)"
	done
	layout "$dir" $map 0
	check "$node: $map without a layout is refused" refuses $node
	says "$node: by name" "pinned map $map: found no layout version, expected layout $ours" cat "$TMP/refusal"
	layout "$dir" $map $ours
	check "$node: the flow goes on" kill -0 $kept
	daemon_start $node
	daemon_ready $node && ok "$node: the version that made it takes it over"
done
touch "$TMP/stop"
wait $kept && ok "the flow went on through all of it: $(tail -n 1 "$TMP/keep") rounds" || bad "the flow: $(cat "$TMP/keep")"

# ---- what the refusal advises, works
dir=$(pins h1 host)
ours=$(layout "$dir" flows)
daemon_kill h1
layout "$dir" flows $((ours + 1))
check "h1 is refused again" refuses h1
says "and told what to do" "--discard" cat "$TMP/refusal"
daemon_start h1 --discard
daemon_ready h1 && ok "with --discard it starts"
equal "its maps are of its own layout" "$ours" "$(layout "$(pins h1 host)" flows)"
check "and it makes flows" peer h1 connect "$ECHO" 7 --timeout 5
finish
