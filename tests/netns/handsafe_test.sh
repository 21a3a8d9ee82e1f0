#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hand-over where it fails, or is asked for by who may not: a connection that is not imported is where it was, and nobody
# gets what is not his. Usage: handsafe_test.sh SCAFFOLD-BINARY LIBSCAFFOLD
#
#      h1 client, h2 server B       ctl         h3 server A, h4 server C, h5
#        \ (emulated)  |             |              |   /   /
#         [r1] -------------------- [sr] --------- [r2] ---
. "$(dirname "$0")/lib.sh"
LIBRARY=$(readlink -f "$2")
need bpftool
chmod 777 "$TMP" # its sockets are for users, too, who write there
"$SF" lab topologies fig6 | sed 's/^link h1-r1 h2-r1/link h1-r1 delay=1ms\nlink h2-r1/' >"$TMP/safe.lab"
lab_up "$TMP/safe.lab"
TWO=$(address two)
. "$HERE/handover_lib.sh"
servers h2 h3 h4
registered two 3 7

# once NODE [UID]: import $TMP/state, and be gone; start_once: in the background, $importing
start_once() { (exec "$SF" lab --name "$LAB" exec "$1" -- python3 "$HERE/handover.py" "$LIBRARY" import "$TMP/state") >"$TMP/imported" 2>&1 & importing=$!; pids+=($importing); }
once() { "$SF" lab --name "$LAB" exec "$1" -- python3 "$HERE/handover.py" "$LIBRARY" import "$TMP/state" "${@:2}"; }
unreachable() { lab link h1-r1 loss=100% >/dev/null; }
reachable() { lab link h1-r1 loss=0% >/dev/null; }
dropped_more() { [ "$(counter "$at" handed-over)" -gt "$1" ]; }
failed_imports() { rest "$1" agent /v1/events | grep -o '"import-failed"' | wc -l; }
failed_more() { [ "$(failed_imports "$at")" -gt "$1" ]; }
# still_waits TEXT: what the client sends now meets silence, and another host has it then
still_waits() {
	local had m said
	reachable
	had=$(counter "$at" handed-over)
	tries 20 dropped_more "$had" && ok "$1: what the client sends is not answered" || bad "$1: nothing of the client's is held back"
	grep -q Error "$TMP/talk" && bad "$1: the client hears that it is over: $(cat "$TMP/talk")"
	to=$(others | head -n 1)
	read -r said m _ < <(tell "$to" import "$TMP/state")
	equal "$1: another host imports it" ok "$said"
	tell "$to" sendall "$m" $SIZE >/dev/null
	equal "$1: all that the client sent arrives" ok "$(tell "$to" read "$m" $SIZE)"
	arrives "$1: all arrives at the client"
	tell "$to" close "$m" >/dev/null
	check "$1: and it ends in order" wait "$talk"
	settle
}

# ---- an import at the exporter that fails
begin $SIZE
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
unreachable
had=$(failed_imports "$at")
start_once "$at"
sleep 0.5
end $importing
wait_for "the end of an import" failed_more "$had"
still_waits "abandoned where it came from"

# ---- an agent that is killed while its host imports what it exported
daemons_know
begin $SIZE
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
unreachable
start_once "$at"
sleep 0.5
daemon_kill "$at"
wait $importing
says "who imports it is told that the agent has died" ECONNRESET cat "$TMP/imported"
daemon_start "$at"; daemon_ready "$at"
still_waits "killed where it came from"
registered two 3 7

# ---- two hosts import one state at the same time, and both before the client can answer
begin $SIZE
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
read -r one two < <(others | tr '\n' ' ')
unreachable
tell "$one" import "$TMP/state" >"$TMP/one" & first=$!
tell "$two" import "$TMP/state" >"$TMP/two" & second=$!
pids+=($first $second)
sleep 0.5
reachable
wait $first $second
equal "one of two has it, the other is told" "ECONNRESET ok" "$(cut -d' ' -f1 "$TMP/one" "$TMP/two" | sort | tr '\n' ' ' | sed 's/ $//')"
says "and why" "imported at another host before" cat "$TMP/one" "$TMP/two"
to=$one; grep -q ^ok "$TMP/two" && to=$two
m=$(grep -h ^ok "$TMP/one" "$TMP/two" | cut -d' ' -f2)
tell "$to" sendall "$m" $SIZE >/dev/null
equal "who has it has all that the client sent" ok "$(tell "$to" read "$m" $SIZE)"
arrives "and its client all"
tell "$to" close "$m" >/dev/null
check "and it ends in order, with one of two" wait "$talk"
settle

# ---- who may import what: two servers of user 901, who may have port 7
servers_end
rm "$TMP/state"
SERVE_AS="901 cap"
servers h2 h3
registered two 2 7
begin $SIZE
says "a user exports its connection" ok tell "$at" export "$n" "$TMP/state"
to=$(others)
says "another user's service" "EACCES service of the connection, port 7: user 901 serves it here" once "$to" 902 cap
says "a port that the program could not have" "EACCES port 7 of the connection: expected a program with CAP_NET_BIND_SERVICE" once "$to" 901
says "who has privileges, but may not register" "EACCES" once "$to" 4242 cap
mv "$TMP/state" "$TMP/good"
# forged TEXT EDIT EXPECTED: a state that says something else is refused, also to root
forged() {
	rm -f "$TMP/state"
	python3 "$HERE/handover.py" "$LIBRARY" edit "$TMP/good" "$TMP/state" "$2"
	says "a state of $1" "$3" once "$to"
}
forged "another port of the host" port=22 "EADDRNOTAVAIL service of the connection, port 22"
forged "the host's own address" "local=$(rest "$to" agent /v1/status | jq -r .address)" EADDRNOTAVAIL
forged "a peer outside of the network" shown=2001:db8::1 "EBADMSG state: address of its peer"
forged "a peer that is this machine" shown=::1 "EBADMSG state: address of its peer"
forged "a peer by another's name" "shown=$(address web)" "EBADMSG state: address of its peer"
forged "a peer that is somewhere else" place=2001:db8:0:1:1:: "EBADMSG state: its peer"
forged "a peer that is this host" "place=$(locator "$to")" ELOOP
mv -f "$TMP/good" "$TMP/state"
read -r said m _ < <(tell "$to" import "$TMP/state")
equal "none of that has spent it: its own user imports it" ok "$said"
tell "$to" sendall "$m" $SIZE >/dev/null
equal "all that the client sent arrives" ok "$(tell "$to" read "$m" $SIZE)"
arrives "all arrives at the client"
tell "$to" close "$m" >/dev/null
wait "$talk"; settle
rm "$TMP/state"
begin $SIZE
says "a user exports another one" ok tell "$at" export "$n" "$TMP/state"
to=$(others)
on "$to" sysctl -qw net.ipv4.ip_unprivileged_port_start=7
equal "a port that is everybody's" ok "$(once "$to" 901)"
on "$to" sysctl -qw net.ipv4.ip_unprivileged_port_start=1024
wait "$talk"; settle

# ---- nobody imports it, its client only waits, and all else between the two hosts goes on
servers_end
SERVE_AS=
servers h3
registered two 1 7
begin $SIZE
equal "a client has said all that it has to say" ok "$(tell h3 read "$n" $SIZE)"
says "and its connection is exported" ok tell h3 export "$n" "$TMP/left"
waiting=$talk said_of=$TMP/waiting
mv "$TMP/talk" "$said_of" # the client writes on
on h3 ss -Htn6 state established "sport = :7" | awk '{ print $4 }' | sort >"$TMP/old.h3"
begin $SIZE
other=$n at_byte=0
chatters() { # a little more for the other client; whether the first one is through with waiting
	tell h3 send "$other" 100 $at_byte >/dev/null
	at_byte=$((at_byte + 100))
	grep -q ConnectionResetError "$said_of"
}
chatters
says "three minutes later" aged python3 "$HERE/handover.py" "$LIBRARY" age "$DIR/bpf" 7
tries 60 chatters && ok "it is told that it waits in vain" || bad "it waits on: $(cat "$said_of")"
says "the exporter's events have it" '"export-expired"' rest h3 agent /v1/events
grep -q Error "$TMP/talk" && bad "the other client: $(cat "$TMP/talk")" || ok "the other connection goes on"
end "$(client_pid)" "$talk" "$waiting"

# ---- one user leaves the others their share
on_agent() { lab exec h3 -- python3 "$HERE/handover.py" "$LIBRARY" "$@"; }
on_agent crowd 902 903 >"$TMP/crowd" 2>&1
says "a user's 17th request at a time" "EAGAIN agent: user 902 has 16 hand-overs in hand, expected at most 16" cat "$TMP/crowd"
says "another user's meanwhile" "other: EPROTONOSUPPORT" cat "$TMP/crowd"
says "a state beyond a user's share" "EAGAIN state of 68157440 bytes: user 904 has 0 on their way in, expected at most 67108864 in all" on_agent big 904
says "root may bring so much (if it were one)" "EBADMSG state begins with something else" on_agent big 0
finish
