# SPDX-License-Identifier: Apache-2.0
# Part of bench/run: streams while an end of them moves, is handed over, or dies.
# shellcheck shell=bash
#
#     m1 --- [r1] ---.                m1 moves from r1 to r2 and, with the next measurement, back. Each
#       '    :       [r3] --- s1      of its links, and s1's, has the delay; so a round trip is four of them.
#        '-- [r2] ---'|  '--- s2
#                     ctl
#
# A pause is what the receiver sees between two deliveries, less the outage of the link itself; streammeter sends as much
# every millisecond. MPTCP, the baseline, has native addresses on both links; as its path manager's user does, the address
# of the new link is added at the move, and the old one's deleted.

MOVES=${MOVES:-5}    # measurements of each figure
MOVE_RATE=20         # Mbit/s
MOVE_DELAYS=${MOVE_DELAYS:-1ms 20ms} # of links
MOVE_GAPS=${MOVE_GAPS:-0 20ms 2s}    # outages
METER=7080           # port of streammeter
MPTCP=7081
MOVE_FLOWS=10000     # of move_10k
meter() { local node=$1; shift; on "$node" "$BUILD/bench/streammeter" "$@"; }

# moves_up DELAY [LINE]: the network, with a line more in its description, the servers and MPTCP's addresses; RTT in ms is measured.
# Without a delay no packet passes the link emulator, which is slower than what it would measure.
moves_up() {
	local i delay=$1 file=$TMP/moves-${1:-plain}${2:+-more}.lab
	{ "$SF" lab topologies twohome | sed "s/delay=1ms/${delay:+delay=$delay}/"; echo "${2:-}"; } >"$file"
	lab_up "$file" || return
	((${#pids[@]} == 0)) || return 0
	NATIVE=$("$SF" lab --name "$NAME" address s1)
	SERVICE=$("$SF" id --address bench-stream)
	start s1 "$BUILD/bench/streammeter" serve "$SERVICE" $METER
	start s1 "$BUILD/bench/streammeter" serve "$SERVICE" $METER --udp
	start s1 "$BUILD/bench/streammeter" serve "$NATIVE" $MPTCP --mptcp
	for i in 1 2; do
		on m1 ip addr add fd00:5caf:1::$i/128 dev r$i nodad
		on m1 ip -6 route add default via fe80::$((3 + i)) dev r$i table 10$i
		on m1 ip -6 rule add from fd00:5caf:1::$i lookup 10$i prio 100
		on r$i ip -6 route add fd00:5caf:1::$i/128 via fe80::1 dev m1
		on r3 ip -6 route add fd00:5caf:1::$i/128 via fe80::$((3 + i)) dev r$i
	done
	for i in m1 s1; do on $i ip mptcp limits set subflows 4 add_addr_accepted 4; done
	wait_for "a stream from the service" meter m1 receive --bytes 1000 --seconds 1 "$SERVICE" $METER &&
		wait_for "a stream of MPTCP" mptcp_stream receive --bytes 1000 --seconds 1 || return
	RTT=$(on m1 ping -q -c 10 -i 0.2 "$NATIVE" | sed -n 's|^rtt [^=]*= \([0-9.]*\)/.*|\1|p')
	[ -n "$RTT" ]
}

at() { if [ "$(on m1 cat /sys/class/net/r1/carrier)" = 1 ]; then echo 1; else echo 2; fi; }
joined() { [ "$(on m1 "$SF" --json status | jq '.daemons[0].status.joined')" = true ]; }
mptcp_stream() { local way=$1; shift; meter m1 "$way" --mptcp --from "fd00:5caf:1::$(at)" "$@" "$NATIVE" $MPTCP; }
service_stream() { local way=$1; shift; meter m1 "$way" "$@" "$SERVICE" $METER; }

# pause STREAM MOVE: ms beyond the outage, from the JSON of both; the stream must have gone on to its end
pause() {
	jq -e -n --slurpfile s "$1" --slurpfile m "$2" '
		($m[0] | .made_ns - .broken_ns) as $outage | $s[0] |
		if .wrong == 0 and .silent_ms < 500 then [(.pause_ms - $outage / 1e6), 0] | max else error("no stream after the move") end' 2>>"$TMP/servers"
}

# moved KIND WAY GAP OPTION...: KIND is service or mptcp; prints the pause
moved() {
	local kind=$1 way=$2 gap=$3 from to meter
	shift 3
	from=$(at) to=$((3 - $(at)))
	"${kind}_stream" "$way" --rate $MOVE_RATE --seconds 5 --bucket 1 "$@" >"$TMP/stream" 2>>"$TMP/servers" & meter=$!
	sleep 1
	"$SF" lab --name "$NAME" --json move m1 --to r$to --gap "$gap" >"$TMP/move" || return
	if [ "$kind" = mptcp ]; then
		on m1 sh -c "ip mptcp endpoint add fd00:5caf:1::$to dev r$to subflow; ip mptcp endpoint delete id 0 fd00:5caf:1::$from"
	fi
	wait $meter
	[ "$kind" != mptcp ] || on m1 ip mptcp endpoint flush
	wait_for "m1 joins" joined && pause "$TMP/stream" "$TMP/move"
}

# least FACTOR MORE: FACTOR round trips and MORE ms, as a target
least() { awk -v r="$RTT" -v f="$1" -v m="$2" 'BEGIN { printf "<= %.1f\n", f * r + m }'; }

# moves NAME WAY: for outages and delays, alternated with MPTCP
moves() {
	local name=$1 way=$2 delay gap i
	for delay in $MOVE_DELAYS; do
		moves_up $delay || return
		for gap in $MOVE_GAPS; do
			: >"$TMP/pauses"; : >"$TMP/mptcp"
			for ((i = 0; i < MOVES; i++)); do
				moved service "$way" $gap >>"$TMP/pauses" && moved mptcp "$way" $gap >>"$TMP/mptcp" || return
			done
			values "${name}_${delay}_$gap" ms "$(least 2 20)" <"$TMP/pauses" &&
				values "${name}_${delay}_${gap}_mptcp" ms "" <"$TMP/mptcp" || return
		done
	done
}

do_move_tcp_down() { moves move_tcp_down receive; }
do_move_tcp_up() { moves move_tcp_up send; }

do_move_udp() {
	local delay gap way i
	for delay in $MOVE_DELAYS; do
		moves_up $delay || return
		for way in receive send; do
			for gap in 0 20ms; do
				for ((i = 0; i < MOVES; i++)); do moved service $way $gap --udp || return; done |
					values "move_udp_${way}_${delay}_$gap" ms "$(least 1.5 5)" || return
			done
		done
	done
}

# Very many connections, on each of which a byte is under way while their host has no link.
do_move_10k() {
	local i in out pid n middle last agent before=0 now
	moves_up '' || return
	start s1 "$BUILD/bench/tcpbench" serve "$SERVICE" $TCP $PORTS
	wait_for "a connection" on m1 "$BUILD/bench/tcpbench" pingpong "$SERVICE" $((TCP + PORTS - 1)) 0.01 || return
	coproc ASK { on m1 "$BUILD/bench/tcpbench" ask "$SERVICE" $TCP $PORTS $MOVE_FLOWS 2>&1; }
	in=${ASK[1]} out=${ASK[0]} pid=$ASK_PID
	read -r -t 100 n <&"$out"
	[ "$n" = $MOVE_FLOWS ] || { echo "bench: $MOVE_FLOWS connections: $n" >&2; return 1; }
	agent=$(daemon_pid m1)
	for ((i = 0; i < MOVES; i++)); do
		"$SF" lab --name "$NAME" --json move m1 --to r$((3 - $(at))) --gap 500ms >"$TMP/move" &
		sleep 0.2
		echo >&"$in"
		wait $!
		read -r -t 100 n middle last <&"$out"
		[ "$n" = $MOVE_FLOWS ] || { echo "bench: of $MOVE_FLOWS flows $n resumed" >&2; break; }
		echo "$middle $last" | jq -R --slurpfile m "$TMP/move" 'split(" ") | "\((.[0] | tonumber) / 1e6 - $m[0].made_ns / 1e6) \((.[1] | tonumber) / 1e6 - $m[0].made_ns / 1e6)"' -r >>"$TMP/resumed"
		sleep 3 # grace ends
		now=$(rss "$agent")
		[ $before != 0 ] || before=$now
	done
	eval "exec $in>&-"
	wait "$pid" 2>/dev/null
	[ "$n" = $MOVE_FLOWS ] || return
	cut -d' ' -f2 "$TMP/resumed" | values move_10k ms "<= 1000" &&
		cut -d' ' -f1 "$TMP/resumed" | values move_10k_median ms "" &&
		awk -v a="$now" -v b="$before" 'BEGIN { printf "%.4f\n", a / b }' | values move_10k_memory ratio "<= 1.05"
}

# A client that only receives, and its server dies. What it sees: the end of the connection, or an error.
# died HOW: ms from the death to the client's end
died() {
	local client at victims
	start s2 setsid "$BUILD/bench/streammeter" serve "$(service_of_fail)" $METER
	wait_for "a stream" meter m1 receive --bytes 1000 --seconds 1 "$(service_of_fail)" $METER || return
	meter m1 receive --rate $MOVE_RATE --seconds 60 "$(service_of_fail)" $METER >"$TMP/stream" 2>/dev/null & client=$!
	sleep 1
	victims=$(s2_servers)
	at=$(awk '{ printf "%.0f\n", $1 * 1e9 }' /proc/uptime) # to 10 ms
	"$1"
	wait $client
	jq --argjson at "$at" '(.ended_ns - $at) / 1e6' "$TMP/stream"
}
service_of_fail() { "$SF" id --address bench-fail; }
# The server's processes: the listener, and one for each connection.
s2_servers() { local p; for p in $(on s2 ss -Htlnp "sport = $METER" | sed -n 's/.*pid=\([0-9]*\).*/\1/p'); do echo "$p" $(pgrep -P "$p"); done; }
s2_kill() { kill -9 $victims; }
s2_cut() { "$SF" lab --name "$NAME" link s2-r3 down; }
s2_back() { "$SF" lab --name "$NAME" link s2-r3 up; kill -9 $(s2_servers); sleep 3; }

do_fail_detect() {
	local i
	moves_up 1ms || return
	for ((i = 0; i < MOVES; i++)); do died s2_kill || return; done | values fail_detect_process ms "" || return
	for ((i = 0; i < MOVES; i++)); do died s2_cut && s2_back || return; done | values fail_detect_link ms "" || return
	moves_up 1ms "daemon host move_grace=100ms" || return
	for ((i = 0; i < MOVES; i++)); do died s2_cut && s2_back || return; done | values fail_detect_link_100ms ms "" || return
	lab_down
}

# The example server passes a download, which it paces, on to its successor on another host, again and again.
relay() { start "$1" "$BUILD/lib/examples/relay-server" --rate $MOVE_RATE --channel "[::]:9000" --successor "[$("$SF" lab --name "$NAME" address "$2")]:9000" "[$(service_of_relay)]:80"; }
relay_pid() { on "$1" ss -Htlnp "sport = :9000" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2; }
relays() { [ "$(on r3 "$SF" --json services | jq "[.[] | select(.port == 80 and .state == \"live\")] | length")" = "$1" ]; }
service_of_relay() { "$SF" id --address bench-relay; }

do_handover() {
	local i at from=s1 to=s2 client
	moves_up 1ms || return
	relay s1 s2
	wait_for "the server" relays 1 || return
	: >"$TMP/handover"
	for ((i = 0; i < MOVES; i++)); do
		on m1 curl -gsSN -m 60 "http://[$(service_of_relay)]:80/10000000" 2>>"$TMP/servers" |
			"$BUILD/bench/streammeter" pipe --bucket 1 --out "$TMP/buckets" >"$TMP/got" 2>"$TMP/stream" & client=$!
		sleep 1.5
		relay $to $from
		wait_for "the successor" relays 2 || return
		at=$(awk '{ printf "%.0f\n", $1 * 1e9 }' /proc/uptime) # to 10 ms
		kill -TERM "$(relay_pid $from)"
		wait $client && [ "$(stat -c %s "$TMP/got")" = 10000000 ] || { echo "bench: the download was cut" >&2; return 1; }
		wait_for "the end of the server" relays 1 || return
		# the longest while the hand-over goes on, which is over 50 ms later
		awk -F, -v at="$at" 'NR > 1 && $1 >= at && $1 < at + 2e8 && $4 > max { max = $4 } END { if (max == "") exit 1; print max }' "$TMP/buckets" >>"$TMP/handover" ||
			{ echo "bench: the download was over before the hand-over" >&2; return 1; }
		read -r from to <<<"$to $from"
	done
	values handover ms "<= 5" <"$TMP/handover"
	lab_down
}

# The machine's pause as the client sees it; the paper's took 0.5 to 2.5 s.
do_vm() {
	lab_down
	BUILD=$BUILD NAME=${NAME}vm "$here/lab/experiments/vm-migration/run" --json --rounds "$MOVES" >"$TMP/vm" || return
	jq .pause_ms "$TMP/vm" | values vm ms "<= 500" && jq .downtime_ms "$TMP/vm" | values vm_downtime ms ""
}
