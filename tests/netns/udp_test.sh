#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Datagrams by service address: requests and answers of several habits, sizes, refusals, instances that die.
# Usage: udp_test.sh SCAFFOLD-BINARY
#
#      h1 clients         ctl              h3 servers
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 second instance
#        /  \________mtu 1400___________/  \
#      h2 clients                          h5
. "$(dirname "$0")/lib.sh"
need in.tftpd tftp dig nc
lab_up fig6
for name in uecho usum uwho uother utwo tftp lonely; do declare "${name^^}=$(address "$name")"; done
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
equal "and goes on answering the same host" "$answered" "$(who h1)"
if [ "$answered" = h3 ]; then end $three; other=h4; else end $four; other=h3; fi
answers() { [ "$(who h1)" = "$1" ]; }
check "it dies: the other answers" tries 5 answers $other
spread() { # a flow each from many ports of both clients: an instance that fell silent is asked no more
	for i in 1 2 3 4 5 6; do who h2; done | sort | uniq -c | awk '{ printf "%s=%s ", $2, $1 }'
}
equal "all go there" "$other=6 " "$(spread)"
finish
