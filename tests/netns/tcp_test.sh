#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# TCP by service address, as ordinary programs use it: transfers, ends of all kinds, path MTU, anonymous clients, refusals,
# a flood. Usage: tcp_test.sh SCAFFOLD-BINARY
#
#      h1 clients         ctl              h3 servers
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 second instance
#        /  \________mtu 1400___________/  \
#      h2 clients, flood                   h5
. "$(dirname "$0")/lib.sh"
need iperf3 nft curl

fig6_with "daemon host halfopen_max=1024" >"$TMP/tcp.lab"
lab_up "$TMP/tcp.lab"
for name in echo sum who web report rst slow; do declare "${name^^}=$(address "$name")"; done
serve h3 "$ECHO" 7 echo --timeout 600
serve h3 "$SUM" 7 sum
serve h3 "$WHO" 7 who
serve h3 "$WEB" 80 web --name h3
serve h3 "$RST" 7 reset
lab exec h3 -- python3 "$HERE/peer.py" serve "$REPORT" 7 report >"$TMP/report" & pids+=($!)
for name in echo sum who rst report; do registered $name 1 7; done
registered web 1 80

# ---- a flow that says nothing for the whole of this test
peer h1 keep "$ECHO" 7 --until "$TMP/idle.stop" --every 600 >"$TMP/idle" 2>&1 & idle=$!; pids+=($idle)

# ---- transfers
says "both directions, half close, checksums" "ok 67108864" peer h1 exchange "$SUM" 7 --bytes 67108864
says "both directions at once" "ok 33554432" peer h1 both "$ECHO" 7 --bytes 33554432
says "one byte" "ok 1" peer h1 exchange "$SUM" 7 --bytes 1
says "nothing at all" "ok 0" peer h1 exchange "$SUM" 7 --bytes 0
says "200 connections at once, each with its own bytes" "ok 200" peer h1 many "$ECHO" 7 --n 200 --bytes 20000
background h3 iperf3 -s -B "$(address iperf)"
registered iperf 1 5201
says "iperf3" '"sum_received"' on h1 iperf3 -c "$(address iperf)" -n 100M -J
says "iperf3 -R" '"sum_received"' on h1 iperf3 -c "$(address iperf)" -n 100M -R -J
says "iperf3 -P 8 --bidir" '"sum_received_bidir_reverse"' on h1 iperf3 -c "$(address iperf)" -n 20M -P 8 --bidir -J

# ---- ends
says "reset by the client" "ok" peer h1 reset "$REPORT" 7
wait_for "the server's report" grep -q . "$TMP/report"
equal "the server is told of the reset" ECONNRESET "$(tail -n 1 "$TMP/report")"
says "reset by the server" ECONNRESET peer h1 taken "$RST" 7

# Simultaneous close: neither side hears the other's FIN at first, then both hear it in FIN-WAIT-1.
deaf() { on "$1" nft "add table inet deaf; add chain inet deaf input { type filter hook input priority 0; }; add rule inet deaf input tcp dport $2 tcp flags & fin == fin drop; add rule inet deaf input tcp sport $2 tcp flags & fin == fin drop"; }
lab exec h3 -- python3 "$HERE/peer.py" serve "$SLOW" 9 hang --until "$TMP/close" >"$TMP/slow" 2>&1 & pids+=($!)
registered slow 1 9
peer h1 closing "$SLOW" 9 --until "$TMP/close" >"$TMP/closing" 2>&1 & pids+=($!)
wait_for "a connection to be closed" grep -q up "$TMP/closing"
deaf h1 9; deaf h3 9
touch "$TMP/close"
in_state() { on "$1" ss -Htn6 state "$2" "( sport = :9 or dport = :9 )" | grep -q .; }
both_in() { in_state h1 "$1" && in_state h3 "$1"; }
wait_for "both ends in FIN-WAIT-1" both_in fin-wait-1
on h1 nft delete table inet deaf
on h3 nft delete table inet deaf
wait_for "simultaneous close: both ends in TIME-WAIT" both_in time-wait && ok "simultaneous close: TIME-WAIT at both ends"

# A port again: against the server's TIME-WAIT, and against one's own.
says "a fixed port" "ok" peer h1 connect "$WHO" 7 --read --bind-port 4000
in_time_wait() { on h3 ss -Htn6 state time-wait | grep -q ':4000'; }
wait_for "TIME-WAIT at the server" in_time_wait
says "the port is used again, against TIME-WAIT at the server" "ok" peer h1 connect "$WHO" 7 --read --bind-port 4000
says "and again" "ok" peer h1 connect "$WHO" 7 --read --bind-port 4000
on h1 sysctl -qw net.ipv4.tcp_tw_reuse=1 # a second of age is what the kernel asks for
says "a port that the client closes first" "ok" peer h1 loop "$WEB" 80 --n 1 --bind-port 4001
sleep 1.2
says "used again, against TIME-WAIT at the client" "ok" peer h1 loop "$WEB" 80 --n 1 --bind-port 4001

# ---- path MTU: the link on the way of bound flows is narrow, the way of first packets is not
narrow() { on r1 ip link set r2 mtu "$1" && on r2 ip link set r1 mtu "$1"; }
narrow 1400
before=$(on r1 nstat -az Icmp6OutPktTooBigs | awk '/TooBigs/ { print $2 }')
says "a narrow link on the way" "ok 8388608" peer h1 exchange "$SUM" 7 --bytes 8388608
after=$(on r1 nstat -az Icmp6OutPktTooBigs | awk '/TooBigs/ { print $2 }')
[ "$after" -gt "$before" ] && ok "$((after - before)) Packet Too Big told the sender" || bad "r1 sent no Packet Too Big: the check has no meaning"
check "the sender has learnt the path's MTU" bash -c "'$SF' lab --name $LAB exec h1 -- ip -6 route get $SUM | grep -q 'mtu 1400'"
peer h1 keep "$ECHO" 7 --until "$TMP/narrower" --every 0.1 >"$TMP/keep" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow" grep -q up "$TMP/keep"
narrow 1280
says "narrower still" "ok 8388608" peer h2 both "$ECHO" 7 --bytes 8388608
touch "$TMP/narrower"
check "a flow from before goes on" wait $kept
narrow 1500

# ---- who speaks
plain1=$(on h1 ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')
plain2=$(on h2 ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')
self1=$(rest h1 agent /v1/status | jq -r .address)
seen() { peer "$@" | awk '{ print $4 }'; }
equal "by default a client is its host's service address" "$self1" "$(seen h1 connect "$WHO" 7 --read)"
anon=$(seen h1 connect "$WHO" 7 --read --bind "$plain1")
case $anon in fd5c:*) ok "a client bound to its plain address appears as a locator, $anon" ;; *) bad "an anonymous client appears as '$anon'" ;; esac
says "and transfers" "ok 4194304" peer h1 exchange "$SUM" 7 --bytes 4194304 --bind "$plain1"
peer h1 keep "$ECHO" 7 --bind "$plain1" --bind-port 5555 --until "$TMP/anon" --every 0.05 >"$TMP/anon1" 2>&1 & a=$!
peer h2 keep "$ECHO" 7 --bind "$plain2" --bind-port 5555 --until "$TMP/anon" --every 0.05 >"$TMP/anon2" 2>&1 & b=$!
pids+=($a $b)
wait_for "an anonymous flow" grep -q up "$TMP/anon1"
wait_for "another one with the same port" grep -q up "$TMP/anon2"
touch "$TMP/anon"
wait $a; first=$?; wait $b; second=$?
equal "two anonymous clients with one port do not disturb each other" "0 0" "$first $second"

# ---- refusals are answers, at once; 5 s is far below the kernel's own patience
says "an unknown service" ECONNREFUSED peer h1 connect "$(address nobody)" 80 --timeout 5
says "a port that nobody registered" ECONNREFUSED peer h1 connect "$WEB" 81 --timeout 5
# The program is dead and the agent is not there to say so: the network still leads to its host, which knows better.
serve h3 "$(address dead)" 80 web; dead=$!
registered dead 1 80
kill -STOP "$(daemon_pid h3)"
end $dead
says "a listener that is dead, of which the network does not know" ECONNREFUSED peer h1 connect "$(address dead)" 80 --timeout 5
equal "the network led there" 1 "$(instances sr dead 80)"
[ "$(rest h1 agent /v1/counters | jq '.traffic.retried.packets')" -gt 0 ] && ok "it was tried several times" || bad "no retry was counted"
kill -CONT "$(daemon_pid h3)"
registered dead 0 80 && ok "then the network knows"
says "an unknown service, from an anonymous client" ECONNREFUSED peer h1 connect "$(address nobody)" 80 --timeout 5 --bind "$plain1"
equal "refused flows leave no entry" 0 "$(on h1 "$SF" --json flows | jq '[.[] | select(.state == "connecting")] | length')"

# ---- one host
says "client and instance on one host" "ok 8388608" peer h3 exchange "$SUM" 7 --bytes 8388608
out() { rest h3 agent /v1/counters | jq '.traffic["out-syn"].packets'; }
n=$(out)
says "again" "ok" peer h3 connect "$WHO" 7 --read
equal "it crosses lo, and no SYN left the host" "$n" "$(out)"
says "a service elsewhere, from the same host" ECONNREFUSED peer h3 connect "$(address nobody)" 7 --timeout 5

# ---- a flood of SYNs, from locators of its own host that nobody answers
peer h1 download "$(address src)" 9 --until /dev/null >/dev/null 2>&1 && bad "a download from nowhere"
serve h3 "$(address src)" 9 source --timeout 600
registered src 1 9
peer h1 download "$(address src)" 9 --until "$TMP/flooded" >"$TMP/download" 2>&1 & down=$!
peer h1 keep "$ECHO" 7 --until "$TMP/flooded" --every 0.01 >"$TMP/keep2" 2>&1 & kept=$!
pids+=($down $kept)
wait_for "a download" grep -q up "$TMP/download"
wait_for "an established flow" grep -q up "$TMP/keep2"
on h2 ping -c 1 -W 5 "$(lab address r1)" >/dev/null # the neighbour is known
on h2 env LINK=r1 LOCATOR="$plain2" SERVICE="$WEB" HERE="$HERE" python3 - >"$TMP/flood" <<'PY'
import os, sys
sys.path.insert(0, os.environ["HERE"])
import raw
link = raw.Link(raw.env("LINK"))
one = raw.syn(raw.sock(raw.env("LOCATOR"), 1 << 40), raw.env("SERVICE"), 1, 80)
n = 40000
for i in range(n):
    # the SYN's checksum is right for the first socketID; each other one is balanced by the source port
    words = [0x8000 + (i >> 16), i & 0xffff]
    change = sum(words) - 0x0100
    packet = bytearray(one)
    packet[18:20] = words[0].to_bytes(2, "big")
    packet[20:22] = words[1].to_bytes(2, "big")
    port = (1 - change) % 0xffff or 0xffff
    packet[72:74] = port.to_bytes(2, "big")
    link.send(bytes(packet))
print(n)
PY
equal "a flood of SYNs" 40000 "$(cat "$TMP/flood")"
halfopen=$(rest h3 agent /v1/counters | jq '.traffic["in-syn"].packets')
[ "$halfopen" -gt 20000 ] && ok "$halfopen SYNs reached the server, whose table holds 1024" || bad "only $halfopen SYNs reached the server: the flood has no meaning"
says "a new connection after the flood" "ok" peer h1 loop "$WEB" 80 --n 20
says "and to the flooded port from another host" "ok" peer h5 loop "$WEB" 80 --n 20
touch "$TMP/flooded"
wait $down && ok "the download went on: $(tail -n 1 "$TMP/download") blocks" || bad "the download: $(cat "$TMP/download")"
wait $kept && ok "the established flow went on" || bad "the established flow: $(cat "$TMP/keep2")"
equal "nothing of it is a flow" 0 "$(on h3 "$SF" --json flows --state bound | jq '[.[] | select(.peer | test("^.?fd5c"))] | length')"

# ---- and the idle one
touch "$TMP/idle.stop"
wait $idle && ok "a flow that was idle since the beginning still works" || bad "the idle flow: $(cat "$TMP/idle")"
finish
