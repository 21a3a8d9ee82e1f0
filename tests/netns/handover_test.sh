#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Established connections go from a server on one host to one on another, in another subnet, and back, while their clients
# notice nothing; and what must not go does not. Usage: handover_test.sh SCAFFOLD-BINARY LIBSCAFFOLD RELAY-SERVER
#
#      h1 client, h2 server B       ctl         h3 server A, h4 server C, h5
#        \ (emulated)  |             |              |   /   /
#         [r1] -------------------- [sr] --------- [r2] ---
. "$(dirname "$0")/lib.sh"
LIBRARY=$(readlink -f "$2")
RELAY=$(readlink -f "$3")
need curl sha256sum bpftool
chmod 755 "$TMP" # its sockets are for users, too

"$SF" lab topologies fig6 | sed 's/^link h1-r1 h2-r1/link h1-r1 delay=1ms\nlink h2-r1/' >"$TMP/handover.lab"
lab_up "$TMP/handover.lab"
WEB=$(address web) TWO=$(address two)
declare -A NATIVE
for n in h2 h3 h4; do NATIVE[$n]=$(lab address $n); done

# ---- a download, from the example server
relay() { # NODE SUCCESSOR
	"$SF" lab --name "$LAB" exec "$1" -- env LD_LIBRARY_PATH="$(dirname "$LIBRARY")" "$RELAY" --channel "[::]:9000" \
		--successor "[${NATIVE[$2]}]:9000" "[$WEB]:80" 2>>"$TMP/relay.$1" &
	pids+=($!)
}
relay_pid() { on "$1" ss -Htlnp "sport = :9000" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2; }
serves() { on "$1" ss -Htn6 state established "sport = :80" | grep -q .; }
relay h3 h2
registered web 1 80
EXPECTED=$(python3 -c '
import hashlib
block = bytes(ord("!") + i * 7 % 89 for i in range(89)) * 10000
n, h = 400000000, hashlib.sha256()
while n:
    h.update(block[:min(n, len(block))]); n -= min(n, len(block))
print(h.hexdigest())')
lab exec h1 -- curl -sS -m 120 --limit-rate 12M -o "$TMP/file" "http://[$WEB]:80/400000000" 2>"$TMP/curl" & curl=$!
pids+=($curl)
grown() { [ "$(stat -c %s "$TMP/file" 2>/dev/null || echo 0)" -gt "$1" ]; }
# pass_on FROM TO: SIGTERM to FROM's server
pass_on() {
	local had
	wait_for "a connection at $1" serves "$1"
	had=$(stat -c %s "$TMP/file")
	relay "$2" "$1"
	registered web 2 80
	kill -TERM "$(relay_pid "$1")"
	wait_for "the download at $2" serves "$2" && ok "the download went from $1 to $2"
	wait_for "more of it" grown $((had + 2000000))
	registered web 1 80
}
wait_for "a download" grown 1000000
pass_on h3 h2
pass_on h2 h3
check "the download comes to its end" wait $curl
equal "and nothing is missing" "$EXPECTED" "$(sha256sum <"$TMP/file" | cut -d' ' -f1)"
equal "each server passed one connection on" "1 1" "$(grep -c '1 connections passed on, 0 stay' "$TMP/relay.h3") $(grep -c '1 connections passed on, 0 stay' "$TMP/relay.h2")"
says "the exporter tells of it" '"exported"' rest h3 agent /v1/events
says "the importer tells of it" '"imported"' rest h2 agent /v1/events
says "and whose the flow was" "taken over from the host at $(locator h3)" rest h2 agent /v1/events
kill -TERM "$(relay_pid h3)"
registered web 0 80

# ---- servers that do what they are told
. "$HERE/handover_lib.sh"
servers h2 h3 h4
registered two 3 7

# go_over TEXT: with bytes in flight both ways, unread at the server, and unsent
go_over() {
	local to got m done
	begin $SIZE || return 1
	wait_for "bytes that nobody has read" unread
	kill -STOP "$(client_pid)"
	read -r _ done < <(tell "$at" send "$n" $SIZE)
	got=$(tell "$at" pending "$n")
	[ "$(cut -d' ' -f2 <<<"$got")" -gt 0 ] && [ "$(cut -d' ' -f4 <<<"$got")" -gt 0 ] || bad "$1: nothing unread or unsent ($got): the check has no meaning"
	to=$(others | head -n 1)
	says "$1: exported at $at, $got" "ok" tell "$at" export "$n" "$TMP/state"
	says "$1: it is no connection any more" "ENOTCONN" tell "$at" export "$n" "$TMP/again"
	kill -CONT "$(client_pid)"
	read -r said m < <(tell "$to" import "$TMP/state")
	equal "$1: imported at $to ($said $m)" ok "$said"
	m=${m%% *}
	tell "$to" sendall "$m" $((SIZE - done)) "$done" >/dev/null
	equal "$1: all that the client sent arrives" ok "$(tell "$to" read "$m" $SIZE)"
	arrives "$1: all arrives at the client"
	tell "$to" close "$m" >/dev/null
	check "$1: and it ends in order" wait "$talk"
	settle
}
go_over "in flight, unread and unsent"
lab link h1-r1 loss=3% reorder=2% duplicate=1% >/dev/null
go_over "with loss"
go_over "with loss, again"
lab link h1-r1 loss=0% reorder=0% duplicate=0% >/dev/null

# ---- requests that are none, and who asks and is gone
held() { ls "/proc/$(daemon_pid h3)/fd" | wc -l; }
had=$(held)
holds_as_before() { [ "$(held)" = "$had" ]; }
equal "requests that are none" "EPIPE EBADMSG EBADMSG EBADMSG EPROTONOSUPPORT EBADMSG EBADMSG EBADMSG ENOTSOCK" "$(tell h3 junk)"
wait_for "the agent keeps none of their descriptors" holds_as_before
begin $SIZE
tell "$at" vanish "$n" >/dev/null
tell "$at" sendall "$n" $SIZE >/dev/null
equal "an export that nobody took is undone" ok "$(tell "$at" read "$n" $SIZE)"
arrives "and the connection goes on, both ways"
tell "$at" close "$n" >/dev/null
wait "$talk"; settle

# ---- what is no connection of a service
equal "a listener" ENOTCONN "$(tell h3 export "$(tell h3 listening | cut -d' ' -f2)" "$TMP/none" | cut -d' ' -f1)"
equal "a connection of no service" ENOTCONN "$(tell h3 export "$(tell h3 plain | cut -d' ' -f2)" "$TMP/none" | cut -d' ' -f1)"
[ ! -e "$TMP/none" ] && ok "nothing is written of either" || bad "a state of what is none"

# ---- states that are none, and who may not
begin $SIZE
says "a connection for all that is refused" ok tell "$at" export "$n" "$TMP/state"
to=$(others | head -n 1) third=$(others | tail -n 1)
for what in expired:ESTALE version:EPROTONOSUPPORT cut:EBADMSG long:EBADMSG garbage:EBADMSG empty:EBADMSG flipped:EBADMSG elsewhere:EBADMSG; do
	python3 "$HERE/handover.py" "$LIBRARY" edit "$TMP/state" "$TMP/edited" "${what%:*}"
	said=$(tell "$to" import "$TMP/edited")
	equal "a state that is ${what%:*} (${said#* })" "${what#*:}" "${said%% *}"
done
once() { lab exec "$1" -- python3 "$HERE/handover.py" "$LIBRARY" import "$TMP/state" "${@:2}"; }
says "a host where the service is not registered" EADDRNOTAVAIL once h5
says "a user who may not register" EACCES once "$to" 4242
# ---- once, at one place
read -r said m _ < <(tell "$to" import "$TMP/state")
equal "none of that has spent it" ok "$said"
says "not at another host as well" ECONNRESET tell "$third" import "$TMP/state"
says "nor twice at one" EEXIST tell "$to" import "$TMP/state"
tell "$to" sendall "$m" $SIZE >/dev/null
equal "the first has it" ok "$(tell "$to" read "$m" $SIZE)"
arrives "and its client all"
tell "$to" close "$m" >/dev/null
wait "$talk"; settle

# ---- nobody imports it: what its host keeps is made older than it may become
begin $SIZE
tell "$at" sendall "$n" $SIZE >/dev/null
says "exported, and left" ok tell "$at" export "$n" "$TMP/state"
to=$(others | head -n 1)
sleep 1
kill -0 "$(client_pid)" && ok "its client waits"
says "the exporter is told that it has it no more" "exported before" tell "$at" export "$n" "$TMP/again"
says "three minutes later" aged python3 "$HERE/handover.py" "$LIBRARY" age "$DIR/bpf" 7
# Its host asks in its own time, and is told to wait while the exporter has the flow.
tries 150 grep -q ConnectionResetError "$TMP/talk" && ok "its client is reset" || bad "its client waits for ever: $(cat "$TMP/talk")"
# By the peer; or by the clock, where the peer has waited for long.
late=$(tell "$to" import "$TMP/state" 2>&1)
case $late in *ECONNRESET* | *ESTALE*) ok "who imports it then is told that it is over" ;; *) bad "who imports it then: $late" ;; esac
python3 "$HERE/handover.py" "$LIBRARY" edit "$TMP/state" "$TMP/edited" expired
says "or, by the clock, that it is too late" "ESTALE" tell "$to" import "$TMP/edited"
settle

# ---- agents that die
daemons_know
begin $SIZE
tell "$at" sendall "$n" $SIZE >/dev/null
to=$(others | head -n 1)
daemon_kill "$at"
said=$(tell "$at" export "$n" "$TMP/state")
case $said in ECONNREFUSED* | ENOENT*) ok "without an agent: $said" ;; *) bad "without an agent: $said" ;; esac
equal "the connection does not mind" ok "$(tell "$at" read "$n" 1000000)"
daemon_start "$at"; daemon_ready "$at"
registered two 3 7
sleep 0.2
says "exported by the next agent" ok tell "$at" export "$n" "$TMP/state"
daemon_kill "$at"
read -r said m _ < <(tell "$to" import "$TMP/state")
equal "imported while the exporter's agent is dead" ok "$said"
equal "all that the client sent arrives" ok "$(tell "$to" read "$m" $((SIZE - 1000000)) 1000000)"
arrives "all arrives at the client"
daemon_start "$at"; daemon_ready "$at"
tell "$to" close "$m" >/dev/null
wait "$talk"; settle

# ---- the importer's agent dies while the client cannot answer it
begin $SIZE
to=$(others | head -n 1) third=$(others | tail -n 1)
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
lab link h1-r1 loss=100% >/dev/null
tell "$to" import "$TMP/state" >"$TMP/imported" & importing=$!; pids+=($importing)
sleep 0.5
daemon_kill "$to"
wait $importing
says "who waits for an import, and the agent is killed, is told" ECONNRESET cat "$TMP/imported"
lab link h1-r1 loss=0% >/dev/null
read -r said m _ < <(tell "$third" import "$TMP/state")
equal "another host imports it" ok "$said"
daemon_start "$to"; daemon_ready "$to"
tell "$third" sendall "$m" $SIZE >/dev/null
equal "and has it, though the first one's next agent knows of it: all that the client sent arrives" ok "$(tell "$third" read "$m" $SIZE)"
arrives "all arrives at the client"
tell "$third" close "$m" >/dev/null
check "and it ends in order" wait "$talk"
settle
registered two 3 7

# ---- the client's agent is dead while its connection is imported; the importer's dies afterwards
begin $SIZE
to=$(others | head -n 1) third=$(others | tail -n 1)
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
daemon_kill h1
tell "$to" import "$TMP/state" >"$TMP/imported" & importing=$!; pids+=($importing)
sleep 0.5
daemon_start h1; daemon_ready h1
wait $importing
read -r said m _ <"$TMP/imported"
equal "it is imported when the client's agent is back" ok "$said"
daemon_kill "$to"
equal "the connection does not mind that the importer's agent is killed" ok "$(tell "$to" read "$m" 1000000)"
daemon_start "$to"; daemon_ready "$to"
registered two 3 7
sleep 0.2
says "its next agent exports it again" ok tell "$to" export "$m" "$TMP/next"
says "the first state is worth nothing any more" ECONNRESET tell "$at" import "$TMP/state"
read -r said m _ < <(tell "$third" import "$TMP/next")
equal "and a third host imports it" ok "$said"
tell "$third" sendall "$m" $SIZE >/dev/null
equal "all that the client sent arrives" ok "$(tell "$third" read "$m" $((SIZE - 1000000)) 1000000)"
arrives "all arrives at the client"
tell "$third" close "$m" >/dev/null
check "and it ends in order, again" wait "$talk"
settle

# ---- an agent that died while it exported: the flow is stopped, the socket perhaps frozen
for how in stopped frozen; do
	begin $SIZE
	tell "$at" sendall "$n" $SIZE >/dev/null
	wait_for "bytes that nobody has read" unread
	says "$how: the flow" stopped python3 "$HERE/handover.py" "$LIBRARY" stop "$DIR/bpf" 7
	[ $how = stopped ] || tell "$at" freeze "$n" >/dev/null
	daemon_kill "$at"
	daemon_start "$at"; daemon_ready "$at"
	registered two 3 7
	says "$how: exported again" ok tell "$at" export "$n" "$TMP/state"
	to=$(others | head -n 1)
	read -r said m _ < <(tell "$to" import "$TMP/state")
	equal "$how: imported" ok "$said"
	equal "$how: all that the client sent arrives" ok "$(tell "$to" read "$m" $SIZE)"
	tell "$to" close "$m" >/dev/null
	kill -9 "$(client_pid)"; wait "$talk"; settle
done

# ---- clients that move
#
#      m1 client --- [r1] ---.
#        `---------- [r2] -- [r3] -- s1, s2 servers
lab_down
rm -f "$TMP"/*.in "$TMP"/*.out "$TMP"/old.*
lab_up twohome
CLIENT=m1 ROUTER=r3
servers s1 s2
registered two 2 7
# goes_on TEXT: at $to as connection $m, from nothing to the end
goes_on() {
	tell "$to" sendall "$m" $SIZE >/dev/null
	equal "$1: all that the client sent arrives" ok "$(tell "$to" read "$m" $SIZE)"
	arrives "$1: all arrives at the client"
	tell "$to" close "$m" >/dev/null
	check "$1: and it ends in order" wait "$talk"
	settle
}
sent_on() { rest "$1" agent /metrics | awk '$1 ~ /moves_sent_on_total/ { print $2 }'; }
elsewhere() { [ "$(locator m1)" != "$1" ]; }
was=$(locator m1)
begin $SIZE
to=$(others)
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
lab move m1 --to r2 >/dev/null
tries 20 elsewhere "$was" && ok "its client moves while nobody has it" || bad "m1 does not move"
read -r said m _ < <(tell "$to" import "$TMP/state")
equal "imported" ok "$said"
goes_on "moved between export and import"

begin $SIZE
to=$(others)
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
lab link m1-r2 down >/dev/null
asked=$(sent_on "$at")
tell "$to" import "$TMP/state" >"$TMP/imported" & importing=$!; pids+=($importing)
sleep 1
lab link m1-r1 up >/dev/null
wait $importing
read -r said m _ <"$TMP/imported"
equal "its client is without a network, then elsewhere, while it is imported" ok "$said"
[ "$(sent_on "$at")" -gt "$asked" ] && ok "the exporter, asked by the client, said where it has gone" || bad "the exporter sent nobody on"
goes_on "moved while it was imported"

begin $SIZE
to=$(others)
says "a connection is exported" ok tell "$at" export "$n" "$TMP/state"
read -r said m _ < <(tell "$to" import "$TMP/state")
equal "and imported" ok "$said"
was=$(locator m1)
lab move m1 --to r2 >/dev/null
goes_on "moved after the import"
elsewhere "$was" && ok "(it did move)" || bad "m1 did not move: the check has no meaning"

# ---- a server whose host moves while its flow is stopped by an agent that was killed: it is not handed over after all
for n in s1 s2; do kill -9 "$(on $n ss -Htlnp "sport = :7" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2)"; done
registered two 0 7
printf 'move_grace = 60s\n' >>"$DIR/s1/scaffoldd.conf" # its peer says nothing for a while
lab restart s1 >"$TMP/said" || said
joined() { holds "$1" agent /v1/status .joined; }
wait_for "s1 is ready" joined s1
CLIENT=s1
servers m1
registered two 1 7
begin $SIZE
tell m1 sendall "$n" $SIZE >/dev/null
wait_for "bytes that nobody has read" unread
says "the flow is stopped" stopped python3 "$HERE/handover.py" "$LIBRARY" stop "$DIR/bpf" 7
was=$(locator m1)
lab move m1 --to r1 >/dev/null 2>&1 || lab move m1 --to r2 >/dev/null
tries 20 elsewhere "$was" && ok "its host moves meanwhile" || bad "m1 does not move"
tell m1 vanish "$n" >/dev/null
equal "the flow goes on where its host is now: all that the client sent arrives" ok "$(tell m1 read "$n" $SIZE)"
arrives "all arrives at the client"
tell m1 close "$n" >/dev/null
check "and it ends in order" wait "$talk"
finish
