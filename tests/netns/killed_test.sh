#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons are killed at random moments around moves, of either end, by either way: every flow goes on, every byte arrives.
# Usage: killed_test.sh SCAFFOLD-BINARY; ROUNDS=N for more of them, LOSSY=N for those of two ends that move at once, with a
# fifth of all packets lost; SEED=N for the same choices again.
#
#      m1 ==== [r1] [r2] --- [r3] [r4] ==== s1         each has links to two; one or both of them are up
#                           ctl
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:=$$}
echo "SEED=$SEED"
ROUTER=r3
cat >"$TMP/killed.lab" <<'LAB'
host       m1 s1
router     r1 r2 r4  roles=access
router     r3        roles=access,service
controller ctl
link m1-r1  delay=1ms
link m1-r2  delay=1ms state=down
link s1-r3  delay=1ms
link s1-r4  delay=1ms state=down
link r1-r3 r2-r3 r4-r3
link r3-ctl
LAB
lab_up "$TMP/killed.lab"
for n in m1 s1; do # what is slow here is the machine: nobody is given up for being away
	printf 'move_grace = 120s\n' >>"$DIR/$n/scaffoldd.conf"
	lab restart "$n" >/dev/null
done
daemons_know
for name in src dst echo who; do declare "${name^^}=$(address "$name")"; done
serve s1 "$SRC" 9 source --timeout 3600
serve s1 "$DST" 9 sink --timeout 3600
serve s1 "$ECHO" 7 echo --timeout 3600
serve s1 "$WHO" 53 who --udp --name s1
for name in "src 9" "dst 9" "echo 7" "who 53 udp"; do registered ${name%% *} 1 ${name#* }; done

declare -A running=()
runs() { # NAME ARGS...: a client at m1, until $TMP/stop is there
	local name=$1
	shift
	"$SF" lab --name "$LAB" exec m1 -- python3 "$HERE/peer.py" "$@" --until "$TMP/stop" >"$TMP/$name.out" 2>&1 &
	running[$name]=$!
	pids+=($!)
	wait_for "$name" grep -q up "$TMP/$name.out"
}
runs download download "$SRC" 9 --timeout 120
runs upload upload "$DST" 9 --timeout 120
runs keep keep "$ECHO" 7 --every 0.02 --timeout 120
runs talk talk "$WHO" 53 --every 0.02

flows() { rest "$1" agent "/v1/flows?limit=1000" | jq '[.flows[] | select(.state == "bound" and .direction == "'"$2"'")]'; }
settled() { [ "$(flows "$1" "$2" | jq 'length == 4 and all(.move == null or .move.state == "settled")')" = true ]; }
agreed() { settled m1 out && settled s1 in; }
places() { flows "$1" "$2" | jq -c "map([$3]) | sort"; }
same() { [ "$(places m1 out .own_locator,.peer_locator)" = "$(places s1 in .peer_locator,.own_locator)" ]; }
bytes() { flows m1 out | jq -c 'map({key: .id, value: .rx_packets}) | from_entries'; }
grown() { jq -en --argjson a "$1" --argjson b "$(bytes)" '$a | to_entries | length == 4 and all(.value + 5 < $b[.key])'; }
alive() { local p; for p in "${running[@]}"; do kill -0 "$p" || return 1; done; }
joined() { holds "$1" agent /v1/status "[.uplinks[] | select(.role != null)] | length >= $2"; }
synced() { holds "$1" router /v1/status .controller.synced; }

# Which routers a host has links to, and by which it is.
declare -A AT=([m1]=r1 [s1]=r3)
other() { case $1 in r1) echo r2 ;; r2) echo r1 ;; r3) echo r4 ;; r4) echo r3 ;; esac; }
# act HOW NODE, with the links as they have to be for it
prepare() {
	[ "$1" = migrate ] || return 0
	lab link "$2-$(other "${AT[$2]}")" up >/dev/null
	tries 20 joined "$2" 2 || { bad "$2 is not joined by both links, round $i"; }
}
act() {
	local to
	to=$(other "${AT[$2]}")
	if [ "$1" = migrate ]; then
		timeout 30 "$SF" lab --name "$LAB" exec "$2" -- "$SF" migrate --all --to "$to"
	else
		tries 10 lab move "$2" --to "$to" || bad "$2 does not move to $to" # one change of the lab at a time
	fi >>"$TMP/act" 2>&1
}
pause() { sleep "$(printf '0.%03d' "$1")"; }
# go_on TEXT BEFORE: the ends agree, and all flows have moved on since BEFORE
go_on() {
	if tries "$PATIENCE" agreed && tries 10 same && tries "$PATIENCE" grown "$2" && alive; then return 0; fi
	bad "$1"
	for n in m1 s1; do
		echo "-- $n"
		rest $n agent "/v1/flows?limit=1000" | jq -c '.flows[] | [.id, .proto, .state, .direction, .own_locator, .peer_locator, .move]'
	done
	on s1 ss -tino
	tail -n 2 "$TMP"/*.out
	tail -n 8 "$TMP/act"
	return 1
}
pick() { # VARIABLE WORD...; no subshell, whose randomness would be its own
	local -n chosen=$1
	local words=("${@:2}")
	chosen=${words[RANDOM % ${#words[@]}]}
}
one_round() {
	local node how victims before at down doing=() said n v to
	pick how move move migrate
	pick node m1 s1 both
	pick victims m1 s1 m1,s1 r1 r2 r3 r4 ctl m1,r1,r2 s1,r3,r4 m1,m1 s1,s1
	at=$((RANDOM % 400)) down=$((RANDOM % 500))
	case $i in # an agent that had forgotten what its predecessor said could not move any more
	1) how=move node=m1 victims=m1 at=$((at % 40)) ;;
	2) how=move node=both victims=s1 ;;
	3) node=s1 ;;
	esac
	said="$i: $how $node, after $at ms kill $victims for $down ms"
	echo "    $said" >>"$TMP/rounds"
	[ "$node" = both ] && node="m1 s1"
	for n in $node; do prepare $how $n; done
	before=$(bytes)
	for n in $node; do act $how $n & doing+=($!); done
	pause $at
	# shellcheck disable=SC2086 # words
	for v in ${victims//,/ }; do
		daemon_kill $v
		[ $((RANDOM % 2)) = 0 ] && pause $down
		daemon_start $v
	done
	wait "${doing[@]}"
	for n in $node; do
		to=$(other "${AT[$n]}")
		if [ $how = migrate ]; then # what it did not come to, because its agent was killed, the link does
			lab link "$n-${AT[$n]}" down >/dev/null
		fi
		AT[$n]=$to
	done
	PATIENCE=40 go_on "$said" "$before"
}
lossy_round() {
	local before n doing=()
	echo "    $i: both, lossy" >>"$TMP/rounds"
	before=$(bytes)
	for n in m1 s1; do act move $n & doing+=($!); done
	wait "${doing[@]}"
	for n in m1 s1; do AT[$n]=$(other "${AT[$n]}"); done
	PATIENCE=120 go_on "both move, lossy, round $i" "$before"
}
# rounds N TEXT COMMAND...
rounds() {
	local n=$1 text=$2 done=0
	for ((i = 1; i <= n; i++)); do
		"${@:3}" && done=$((done + 1)) || break
	done
	equal "$text" "$n" "$done"
}
wait_for "four flows" agreed
rounds "${ROUNDS:-6}" "rounds in which daemons are killed and all flows go on" one_round
# on both links of the way, so each second round trip or so fails
for link in m1-r1 m1-r2 s1-r3 s1-r4; do lab link $link loss=10% >/dev/null || bad "no loss"; done
rounds "${LOSSY:-3}" "rounds in which both ends move while a fifth is lost, and all flows go on" lossy_round
for link in m1-r1 m1-r2 s1-r3 s1-r4; do lab link $link loss=0% >/dev/null || bad "loss"; done
cat "$TMP/rounds"
equal "nothing was over" 0 "$(for n in m1 s1; do rest $n agent "/v1/events?limit=10000"; done | jq '[.events[] | select(.kind | test("flow-over|superseded|flow-failed"))] | length' | jq -s add)"
touch "$TMP/stop"
for name in "${!running[@]}"; do
	wait "${running[$name]}" && ok "$name: $(tail -n 1 "$TMP/$name.out")" || bad "$name: $(tail -n 2 "$TMP/$name.out")"
done
fails "datagrams met no error" grep -q "E[A-Z]*=" "$TMP/talk.out"
no_flows() { [ "$(rest m1 agent /v1/flows | jq '[.flows[] | select(.proto == "tcp" and (.state == "bound"))] | length')" = 0 ]; }
wait_for "the end of the flows" no_flows
finish
