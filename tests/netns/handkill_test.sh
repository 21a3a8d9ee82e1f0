#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons are killed at random moments of a hand-over: whoever asks again gets the connection, once, and all its bytes arrive.
# One moment is too late: when the importer's agent dies between the peer's answer and the program, both ends hear that it is over.
# Usage: handkill_test.sh SCAFFOLD-BINARY LIBSCAFFOLD; ROUNDS=N for more of them, SEED=N for the same choices again
#
#      h1 client, h2 server B       ctl         h3 server A, h4 server C, h5
#        \ (emulated)  |             |              |   /   /
#         [r1] -------------------- [sr] --------- [r2] ---
. "$(dirname "$0")/lib.sh"
LIBRARY=$(readlink -f "$2")
RANDOM=${SEED:=$$}
echo "SEED=$SEED"
"$SF" lab topologies fig6 | sed 's/^link h1-r1 h2-r1/link h1-r1 delay=1ms\nlink h2-r1/' >"$TMP/kill.lab"
lab_up "$TMP/kill.lab"
TWO=$(address two)
. "$HERE/handover_lib.sh"
servers h2 h3 h4
registered two 3 7
daemons_know

pick() { # VARIABLE WORD...; no subshell, whose randomness would be its own
	local -n chosen=$1
	local words=("${@:2}")
	chosen=${words[RANDOM % ${#words[@]}]}
}
# killing MS VICTIM,...: that much later, and back at once; the agents that are asked are ready again
killing() {
	local v
	sleep "$(printf '0.%03d' "$1")"
	for v in ${2//,/ }; do daemon_kill "$v"; done
	for v in ${2//,/ }; do daemon_start "$v"; done
	for v in ${2//,/ }; do daemon_ready "$v"; done
}
# while_killing MS VICTIMS NODE COMMAND...: what is answered, in $said
while_killing() {
	tell "${@:3}" >"$TMP/answer" & local asked=$!
	killing "$1" "$2"
	wait $asked
	said=$(cat "$TMP/answer")
}
one_round() {
	local to third whom killed ms victims said m got=$((RANDOM * 30)) tries=0 text done
	begin $SIZE || return 1
	to=$(others | head -n 1) third=$(others | tail -n 1)
	[ "$(tell "$at" read "$n" $got)" = ok ] || bad "$got bytes at $at"
	read -r _ done < <(tell "$at" send "$n" 500000) # some of it is sent, some unacknowledged, some not sent
	pick victims "$at" "$at" "$to" "$to" "$to" "$to" h1 "$at,$to" "$at,$to,h1" r1 r2 sr ctl
	pick whom export import import import
	ms=$((RANDOM % 7))
	killed=$to
	text="$i: $whom from $at to $to, after $ms ms kill $victims"
	if [ $whom = export ]; then while_killing $ms "$victims" "$at" export "$n" "$TMP/state"; else said=$(tell "$at" export "$n" "$TMP/state"); fi
	text="$text: $said"
	while [ "${said% *}" != ok ] && ((++tries < 5)); do
		sleep 0.2
		said=$(tell "$at" export "$n" "$TMP/state")
		text="$text; $said"
	done
	if [ $whom = import ]; then while_killing $ms "$victims" "$to" import "$TMP/state"; else said=$(tell "$to" import "$TMP/state"); fi
	text="$text / $said"
	while [ "${said%% *}" != ok ] && ((++tries < 5)); do
		sleep 0.2
		m=$to to=$third third=$m # the other one
		said=$(tell "$to" import "$TMP/state")
		text="$text; $to: $said"
	done
	echo "    $text" | tee -a "$TMP/rounds"
	read -r said m _ <<<"$said"
	if [ "$said" != ok ]; then
		# The socket had begun to speak for the peer, and died with the agent that was about to give it away.
		[[ $whom = import && ,$victims, == *,$killed,* ]] || { bad "$text"; tell "$at" close "$n" >/dev/null; }
		tries 20 talk_over || { bad "$text: the client hangs"; kill -9 "$(client_pid)"; }
		settle
		lost=$((lost + 1))
		return
	fi
	tell "$to" sendall "$m" $((SIZE - done)) "$done" >/dev/null
	said=$(tell "$to" read "$m" $((SIZE - got)) $got)
	if [ "$said" != ok ]; then
		bad "$text: read: $said"
		kill -9 "$(client_pid)"
		settle
		return 1
	fi
	tries 60 grep -q "ok $SIZE" "$TMP/talk" || { bad "$text: the client: $(cat "$TMP/talk")"; }
	tell "$to" close "$m" >/dev/null
	wait "$talk" || bad "$text: the client: $(cat "$TMP/talk")"
	settle
	registered two 3 7
}
talk_over() { ! kill -0 "$talk"; }
good=0 lost=0
for ((i = 1; i <= ${ROUNDS:-6}; i++)); do one_round && good=$((good + 1)); done
equal "rounds in which the connection was handed over whole, or its client was told that it is over" "${ROUNDS:-6}" $good
echo "    ($lost ended with the agent that was about to give them to the importer)"
finish
