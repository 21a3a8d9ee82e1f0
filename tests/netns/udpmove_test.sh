#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A connected UDP socket's flow while its host changes networks: it stays with its instance, and its program hears nothing of it.
# Usage: udpmove_test.sh SCAFFOLD-BINARY
#
#     m1 --- [r1] ---.
#       '    :       [r3] --- s1
#        '-- [r2] ---'|  '--- s2      both serve; m1 is at r1 to begin with
#                     ctl
. "$(dirname "$0")/lib.sh"
ROUTER=r3
lab_up twohome
WHO=$(address uwho)
for node in s1 s2; do serve $node "$WHO" 53 who --udp --name $node; done
registered uwho 2 53 udp
flow() { rest "$1" agent "/v1/flows?limit=1000" | jq -r ".flows[] | select(.proto == \"udp\" and .direction == \"$2\") | $3"; }
traffic() { rest m1 agent /v1/counters | jq ".traffic[\"$1\"].packets // 0"; }
at() { [[ $(flow m1 out .own_locator) == "$(locator m1 | sed 's/::$//')":* ]]; }
goes_on() { local n; n=$(flow m1 out .rx_packets); sleep 0.2; (($(flow m1 out .rx_packets) > n + 2)); }

peer m1 talk "$WHO" 53 --every 0.02 --until "$TMP/stop" >"$TMP/talk" 2>&1 & talker=$!
wait_for "an answer" grep -q "^up s" "$TMP/talk"
instance=$(sed -n 's/^up //p' "$TMP/talk")
wait_for "the flow is bound" goes_on && ok "a stream of datagrams with $instance"
syns=$(traffic out-syn) data=$(traffic out-data)
for to in r2 r1 r2; do
	lab move m1 --to $to >"$TMP/said" 2>&1 || bad "the lab does not move m1 to $to"
	wait_for "m1's flow is where m1 is" at && ok "the flow is at $to, too"
	check "and goes on" tries 5 goes_on
done
equal "it moved three times" 3 "$(flow m1 out .move.own)"
equal "nothing was resolved again" "$syns $data" "$(traffic out-syn) $(traffic out-data)"
touch "$TMP/stop"
wait $talker
says "one instance answered, and no error was heard" "ok " cat "$TMP/talk"
fails "no other did" grep -q "$([ "$instance" = s1 ] && echo s2 || echo s1)=\|E[A-Z]*=" "$TMP/talk"
sed -n 's/^ok/    /p' "$TMP/talk"
finish
