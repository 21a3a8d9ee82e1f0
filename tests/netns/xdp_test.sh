#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Routers that resolve in the driver (xdp = yes), here that of veth: streams, datagrams, and the access filter.
# Usage: xdp_test.sh SCAFFOLD-BINARY
#
#      h1 client        ctl           h3 server
#        \                |           /
#         [r1] -------- [ sr ] ---- [r2]
#        /
#      h2 attacker
. "$(dirname "$0")/lib.sh"
need curl
lab_up fig6
WEB=$(address web) SUM=$(address sum) UECHO=$(address uecho)
serve h3 "$WEB" 80 web --name h3
serve h3 "$SUM" 7 sum
serve h3 "$UECHO" 7 echo --udp
registered web 1 80
registered sum 1 7
registered uecho 1 7 udp
links() { rest "$1" router /v1/status | jq -r "[.links[] | select(.attached != \"none\") | $2] | length"; }
same() { [ "$(links "$1" .)" -gt 0 ] && [ "$(links "$1" .)" = "$(links "$1" 'select(.xdp)')" ]; }
for r in r1 sr r2; do
	equal "$r: tc by default" 0 "$(links $r 'select(.xdp)')"
	sed -i 's/^\[link .*/&\nxdp = yes/' "$DIR/$r/scaffold-router.conf"
	grep -q '^xdp = yes' "$DIR/$r/scaffold-router.conf" || printf '\n[link *]\nxdp = yes\n' >>"$DIR/$r/scaffold-router.conf"
	kill -HUP "$(daemon_pid $r)"
	wait_for "$r: XDP on each link" same $r && ok "$r: XDP on each link"
	says "$r says so" ", xdp)" cat "$DIR/$r/scaffold-router.log"
	[ "$(on $r ip -j -d link | jq '[.[] | select(.xdp.mode == 1)] | length')" = "$(links $r .)" ] && ok "$r: native, says the kernel" || bad "$r: the kernel has another opinion: $(on $r ip link | grep -c xdp)"
done
resolved() { rest sr router /v1/counters | jq '.traffic.resolved.packets'; }
before=$(resolved)
says "streams" "ok" peer h1 exchange "$SUM" 7 --bytes 4000000 --timeout 20
says "connections" "ok" peer h1 loop "$WEB" 80 --n 50 --timeout 5
says "datagrams" "ok" peer h1 ask "$UECHO" 7 --n 20 --timeout 5
n=$(($(resolved) - before))
[ $n -ge 50 ] && ok "$n resolutions are counted" || bad "$n resolutions are counted"

L1=$(locator h1) L3=$(locator h3)
on h2 ping -q -c 1 -W 5 "$(lab address r1)" >/dev/null
syns() { rest h3 agent /v1/counters | jq '.traffic["in-syn"].packets'; }
before=$(counter r1 spoofed-locator) seen=$(syns)
on h2 env LINK=r1 python3 "$HERE/attack.py" spoofed_locator "$WEB" "$L1,$L3" 80 >"$TMP/said" 2>&1 || { bad "the attack"; said; }
dropped() { [ $(($(counter r1 spoofed-locator) - before)) -ge 7 ]; }
tries 3 dropped && ok "others' locators as source are dropped" || bad "$(($(counter r1 spoofed-locator) - before)) packets with others' locators are dropped"
equal "none of them reached the server" "$seen" "$(syns)"
sed -i '/^xdp = yes$/d' "$DIR/r1/scaffold-router.conf"
kill -HUP "$(daemon_pid r1)"
off() { [ "$(links r1 'select(.xdp)')" = 0 ]; }
wait_for "r1: back to tc" off && ok "r1: back to tc"
says "which resolves, too" "ok" peer h1 loop "$WEB" 80 --n 5 --timeout 5
finish
