#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Datagrams by service address, unbound and in flows: requests and answers of several habits, sizes, refusals, instances that die.
# Usage: udp_test.sh SCAFFOLD-BINARY
#
#      h1 clients         ctl              h3 servers
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 second instance
#        /  \________mtu 1400___________/  \
#      h2 clients                          h5
. "$(dirname "$0")/lib.sh"
need in.tftpd tftp dig nc iperf3
lab_up fig6
for name in uecho usum uwho uother utwo tftp lonely uown uperf; do declare "${name^^}=$(address "$name")"; done
serve h3 "$UECHO" 7 echo --udp
serve h3 "$USUM" 7 sum --udp
serve h3 "$UWHO" 53 who --udp --name h3
serve h3 "$UOTHER" 69 otherport --udp
for name in uecho usum; do registered $name 1 7 udp; done
registered uwho 1 53 udp
registered uother 1 69 udp
plain1=$(on h1 ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')
plain2=$(on h2 ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')
self1=$(rest h1 agent /v1/status | jq -r .address)

# flows NODE EXPRESSION: of datagrams, counted by jq
flows() { SCAFFOLD_RUN=$DIR/$1 "$SF" --json flows | jq "[.[] | select(.proto == \"udp\")] | $2"; }
no_flows() { [ "$(flows "$1" '[.[] | select(.direction == "out")] | length')" = 0 ]; }
traffic() { rest "$1" agent /v1/counters | jq ".traffic[\"$2\"].packets // 0"; }

# ---- requests and answers
says "a connected socket" "ok $UECHO 7 hello" peer h1 ask "$UECHO" 7 --timeout 5
says "an unconnected socket" "ok $UECHO 7 hello" peer h1 ask "$UECHO" 7 --unconnected --timeout 5
says "100 of them" "ok $UECHO 7 hello" peer h1 ask "$UECHO" 7 --n 100 --timeout 5
says "the server sees the host's service address" "h3 $self1" peer h1 ask "$UWHO" 53 --timeout 5
says "a client bound to a port" "h3 $self1 5353" peer h1 ask "$UWHO" 53 --bind-port 5353 --timeout 5
says "a client bound to its plain address is its locator" "h3 fd5c" peer h1 ask "$UWHO" 53 --bind "$plain1" --timeout 5
for node in h1 h2; do
	declare "p=plain${node#h}"
	peer $node ask "$UWHO" 53 --bind "${!p}" --bind-port 5454 --n 50 --timeout 5 >"$TMP/$node.anon" 2>&1 & declare "$node=$!"
done
wait "$h1"; first=$?; wait "$h2"; second=$?
equal "two anonymous clients with one port" "0 0" "$first $second"
says "an answer from another port, and a second round with it (TFTP's habit)" "again: second" peer h1 ask "$UOTHER" 69 --unconnected --again --timeout 5
dig_answered() { on h1 dig +time=2 +tries=1 -p 53 "@$UWHO" example.org | grep -q "expected\|ANSWER\|malformed\|Got bad packet\|parse"; }
check "dig sends, and takes the answer (no DNS, but to its query)" dig_answered

# ---- TFTP itself
mkdir "$TMP/tftp"
head -c 300000 /dev/urandom >"$TMP/tftp/file"
chmod 755 "$TMP" "$TMP/tftp"; chmod 644 "$TMP/tftp/file"
background h3 in.tftpd -L -6 -u root -a "[$TFTP]:69" -s "$TMP/tftp"
registered tftp 1 69 udp
(cd "$TMP" && mkdir got && cd got && on h1 tftp -6 -m binary "$TFTP" -c get file) >"$TMP/tftp.said" 2>&1
cmp -s "$TMP/tftp/file" "$TMP/got/file" && ok "a file by TFTP, 300,000 bytes" || { bad "TFTP: $(ls -l "$TMP/got")"; cat "$TMP/tftp.said"; }

# ---- sizes
says "the largest datagram that fits with its header" "ok" peer h1 ask "$UECHO" 7 --bytes 1420 --nofrag --timeout 5
says "one byte too many: the sender is told" EMSGSIZE peer h1 ask "$UECHO" 7 --bytes 1421 --nofrag --timeout 5 --n 3
says "larger than the link" EMSGSIZE peer h1 ask "$UECHO" 7 --bytes 3000 --nofrag --timeout 5 --n 3
# The first one teaches the kernel the path's MTU, in either direction, and is lost, as on any path that turns out narrow.
says "fragments, both ways" "ok" peer h1 ask "$UECHO" 7 --bytes 5000 --n 20 --timeout 1 --tries 3
says "from then on none is lost" "ok" peer h1 ask "$UECHO" 7 --bytes 5000 --n 20 --timeout 5
says "the largest datagram that there is" "ok" peer h1 ask "$USUM" 7 --bytes 65000 --n 5 --timeout 1 --tries 3
says "a datagram that fits only without its header is fragmented" "ok" peer h2 ask "$UECHO" 7 --bytes 1440 --n 5 --timeout 1 --tries 3
says "fragments, unconnected" "ok" peer h1 ask "$USUM" 7 --bytes 9000 --unconnected --n 20 --timeout 5
says "an empty one" "ok $UECHO 7" peer h1 ask "$UECHO" 7 --text "" --timeout 5
on r1 ip link set r2 mtu 1400; on r2 ip link set r1 mtu 1400
check "a narrow link on the way" tries 5 peer h1 ask "$UECHO" 7 --bytes 1420 --timeout 1
says "and whoever forbids fragments is told" EMSGSIZE peer h1 ask "$UECHO" 7 --bytes 1420 --nofrag --timeout 1 --n 3
on r1 ip link set r2 mtu 1500; on r2 ip link set r1 mtu 1500
# What they have learned of the path would hold for ten minutes.
for node in h1 h3; do on $node ip -6 route flush cache; done

# ---- nobody there
says "an unknown service" ECONNREFUSED peer h1 ask "$(address unobody)" 7 --timeout 5
says "a port that nobody registered" ECONNREFUSED peer h1 ask "$UECHO" 8 --timeout 5
says "TCP of a service that has only UDP" ECONNREFUSED peer h1 connect "$UECHO" 7 --timeout 5
says "an unconnected socket hears nothing, and does not hang" TIMEOUT peer h1 ask "$(address unobody)" 7 --unconnected --timeout 0.5
serve h3 "$LONELY" 7 echo --udp; lonely=$!
registered lonely 1 7 udp
says "a service that is there" "ok" peer h1 ask "$LONELY" 7 --timeout 5
kill -STOP "$(daemon_pid h3)"
end $lonely
says "dead, and the network does not know" ECONNREFUSED peer h2 ask "$LONELY" 7 --timeout 5
kill -CONT "$(daemon_pid h3)"
registered lonely 0 7 udp && ok "then it does"

# ---- flows
tries 30 no_flows h1 && ok "flows of closed sockets are freed" || bad "flows of closed sockets stay: $(flows h1 .)"
peer h1 talk "$UWHO" 53 --every 0.05 --until "$TMP/enough" --bind-port 6000 >"$TMP/talk" 2>&1 & talker=$!
peer h2 talk "$UWHO" 53 --every 0.05 --until "$TMP/enough" --bind-port 6000 >"$TMP/talk2" 2>&1 & talker2=$!
bound() { [ "$(flows "$1" "[.[] | select(.peer_port == $4 and .local_port == $5 and .state == \"bound\" and .direction == \"$2\" and .rx_packets > 5)] | length")" = "$3" ]; }
wait_for "the client's flow is listed as bound" bound h1 out 1 53 6000 && ok "a connected socket's datagrams are a flow"
wait_for "the other client's" bound h2 out 1 53 6000 && ok "so are those of another host's, with the same port"
wait_for "the server's two" bound h3 in 2 6000 53 && ok "and both at the server, whose socket is not connected"
before=$(traffic h1 out-syn) data=$(traffic h1 out-data)
sleep 0.3
equal "bound datagrams carry no header" "$before $data" "$(traffic h1 out-syn) $(traffic h1 out-data)"
touch "$TMP/enough"; wait $talker $talker2
says "all were answered" "ok h3=" cat "$TMP/talk"
fails "none was lost" grep -q "lost\|ECONN" "$TMP/talk" "$TMP/talk2"
serve h3 "$UOWN" 7 connect --udp
registered uown 1 7 udp
says "a server that connects its socket to its client" "ok $UOWN 7 server" peer h1 ask "$UOWN" 7 --n 20 --timeout 5
out=$(traffic h1 out-data)
says "an unconnected client's datagrams have no flow" "ok $UECHO 7 hello" peer h1 ask "$UECHO" 7 --unconnected --n 10 --timeout 5
equal "each carries DATA" $((out + 10)) "$(traffic h1 out-data)"
background h3 iperf3 -s -B "$UPERF"
# Its socket for datagrams comes with each test, and its client does not wait until it is registered.
serve h3 "$UPERF" 5201 hold --udp
registered uperf 1 5201 udp
fragmented() { for node in h1 h3; do on $node awk '/Ip6FragCreates/ { print $2 }' /proc/net/snmp6; done | paste -sd' '; }
frags=$(fragmented)
for way in "" -R; do
	syns=$(($(traffic h1 out-syn) + $(traffic h1 in-syn))) bare=$(($(traffic h1 out-bound) + $(traffic h1 in-bound)))
	on h1 iperf3 -c "$UPERF" -u -b 20M -l 1452 -t 1 $way --json >"$TMP/iperf" 2>"$TMP/iperf.said"
	lost=$(jq '.end.sum | .packets > 1000 and .lost_percent < 5' "$TMP/iperf")
	equal "iperf3 -u $way" true "$lost"
	syns=$(($(traffic h1 out-syn) + $(traffic h1 in-syn) - syns)) bare=$(($(traffic h1 out-bound) + $(traffic h1 in-bound) - bare))
	((bare > 1000 && syns < 200)) && ok "$bare of its packets without header, $syns with" || bad "$bare packets without header, $syns with"
done
equal "datagrams of the whole MTU are not fragmented" "$frags" "$(fragmented)"

# ---- one host
says "client and server on one host" "ok $UECHO 7 hello" peer h3 ask "$UECHO" 7 --timeout 5
says "unconnected" "ok $UECHO 7 hello" peer h3 ask "$UECHO" 7 --unconnected --timeout 5
says "with fragments" "ok" peer h3 ask "$UECHO" 7 --bytes 20000 --timeout 5

# ---- two instances: whoever dies is left behind
serve h3 "$UTWO" 7 who --udp --name h3; three=$!
serve h4 "$UTWO" 7 who --udp --name h4; four=$!
registered utwo 2 7 udp
who() { peer "$1" ask "$UTWO" 7 --timeout 2 2>&1 | awk '{ print $4 }'; }
answered=$(who h1)
case $answered in h3 | h4) ok "one of two answers: $answered" ;; *) bad "neither of two instances answers: '$answered'" ;; esac
equal "and goes on answering the same socket" 1 "$(peer h1 ask "$UTWO" 7 --n 30 --timeout 2 | tr ' ' '\n' | grep -cx 'h[34]')"
peer h1 talk "$UTWO" 7 --every 0.1 --until "$TMP/after" >"$TMP/talk3" 2>&1 & talker=$!
wait_for "a socket that is served" grep -q "^up h" "$TMP/talk3"
answered=$(sed -n 's/^up //p' "$TMP/talk3")
if [ "$answered" = h3 ]; then end $three; other=h4; else end $four; other=h3; fi
answers() { [ "$(who h1)" = "$1" ]; }
check "it dies: the other answers" tries 5 answers $other
sleep 0.5; touch "$TMP/after"; wait $talker
says "the same socket, too" "$other=" cat "$TMP/talk3"
fails "and hears of no error" grep ECONN "$TMP/talk3"
spread() { # a flow each from many ports of both clients: an instance that fell silent is asked no more
	for i in 1 2 3 4 5 6; do who h2; done | sort | uniq -c | awk '{ printf "%s=%s ", $2, $1 }'
}
equal "all go there" "$other=6 " "$(spread)"
finish
