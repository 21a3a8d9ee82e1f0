#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host with two uplinks, to two access routers: one is primary, the other takes over with what is registered, at once.
# Usage: uplinks_test.sh SCAFFOLD-BINARY
#
#      m1 ---- [r1] ---- [r3] ---- s1
#        \              /  |
#         ---- [r2] ----  ctl
. "$(dirname "$0")/lib.sh"
need curl nginx

cat >"$TMP/uplinks.lab" <<'LAB'
host       m1 s1
router     r1 r2  roles=access
router     r3     roles=access,service
controller ctl
link m1-r1 m1-r2 s1-r3  delay=1ms
link r1-r3 r2-r3
link r3-ctl
LAB
lab_up "$TMP/uplinks.lab"
printf '\n[link more]\naccess = yes\n' >>"$DIR/r1/scaffold-router.conf"
lab restart r1 >/dev/null 2>&1
daemons_know
ROUTER=r3
is_ready() { # lib.sh's has one of names
	case $1 in
	m1 | s1) holds "$1" agent /v1/status .joined ;;
	*) holds "$1" router /v1/status .controller.synced ;;
	esac
}

uplinks() { rest m1 agent /v1/status | jq -r "$1"; }
of() { uplinks ".uplinks[] | select(.link == \"$1\") | .$2"; }
is() { [ "$(of "$1" "$2")" = "$3" ]; } # LINK KEY VALUE
primary() { uplinks .uplink; }
is_primary() { [ "$(primary)" = "$1" ]; }
other() { [ "$1" = r1 ] && echo r2 || echo r1; }
joins() { rest m1 agent /metrics | sed -n 's/^scaffold_host_joins_total //p'; }
told() { rest m1 agent "/v1/events?limit=1000" | jq "[.events[] | select(.kind == \"$1\")] | length"; }
places() { rest ctl controller /v1/hosts | jq -c '[.hosts[] | select(.name == "m1") | {locator, standby, registrations}] | sort_by(.standby)'; }
# at SERVICE LOCATOR: it is registered there, and nowhere else
at() { [ "$(SCAFFOLD_RUN=$DIR/r3 "$SF" --json services | jq -r --arg s "$(sid "$1")" '[.[] | select(.sid == $s and .state == "live") | .locator // .host] | unique | join(" ")')" = "$2" ]; }

for name in web echo; do declare "${name^^}=$(address "$name")"; done
mkdir "$TMP/www"
echo hello >"$TMP/www/hello"
cat >"$TMP/nginx.conf" <<NGINX
daemon off; user root; error_log $TMP/nginx.err; pid $TMP/nginx.pid; events {}
http { access_log off; server { listen [$WEB]:80; root $TMP/www; } }
NGINX
background s1 nginx -c "$TMP/nginx.conf"
serve m1 "$ECHO" 7 echo --timeout 3600
registered web 1 80
registered echo 1 7
fetch() { on m1 curl -fsS -m 8 -o /dev/null "http://[$WEB]/hello"; }
reach() { peer s1 connect "$ECHO" 7 --timeout 8; }

# ---- both are joined
wait_for "the second uplink joins" is r2 state joined
wait_for "and the first" is r1 state joined
first=$(primary)
second=$(other "$first")
equal "one is primary" primary "$(of "$first" role)"
equal "one stands by" standby "$(of "$second" role)"
[ "$(of r1 locator)" != "$(of r2 locator)" ] && ok "each has a place of its own" || bad "both are at $(of r1 locator)"
equal "the host is at the primary's place" "$(of "$first" locator)" "$(locator m1)"
stands_by() { [ "$(places | jq -c '[.[] | .standby, .registrations]')" = '[false,2,true,0]' ]; }
wait_for "the controller knows both places, with what is registered at one" stands_by && ok "the controller: $(places)"
equal "one that looks for the host finds it where it is" "$(locator m1)" "$(rest ctl controller /v1/hosts/m1 | jq -r .locator)"
says "of two lines in the list of hosts one is standby" standby env SCAFFOLD_RUN="$DIR/ctl" "$SF" hosts
says "status shows both" "standby on $second: joined at $(of "$second" locator)" on m1 "$SF" status
check "a page is fetched" fetch
check "the host is reached" reach
# What is sent from a place leaves by its link, whichever is primary.
for link in r1 r2; do
	says "what comes from the place on $link leaves there" "dev $link " on m1 ip -6 route get "$(locator s1)1" from "$(of $link locator)1"
done

# ---- the primary's link goes down; again, in the other direction
# goes LINK: and what is to be seen at once, without waiting
goes() {
	local link=$1 to place before
	to=$(other "$link")
	place=$(of "$to" locator)
	before=$(joins)
	lab link "m1-$link" down
	check "$link goes down: a page is fetched at once" fetch
	check "and the host is reached" reach
	equal "$to is primary" "$to" "$(primary)"
	equal "without a JOIN" "$before" "$(joins)"
	equal "the host is there" "$place" "$(locator m1)"
	wait_for "what is registered is there alone" at echo "$place" && ok "what is registered is there alone"
	equal "$link is down" link-down "$(of "$link" state)"
	says "nothing can be moved to it" "the interface is down" on m1 "$SF" migrate --all --to "$link"
}
# comes LINK: it stands by again; nothing is preferred to what works
comes() {
	lab link "m1-$1" up
	wait_for "$1 joins again" is "$1" role standby && ok "$1 is back, and stands by"
	check "a page is fetched" fetch
	check "and the host is reached" reach
}
changed=$(told place-changed) # a router whose block comes late may have given another one
goes "$first"
comes "$first"
goes "$second"
comes "$second"
equal "all of it is told: links that went" 2 "$(told uplink-down)"
equal "links that came" 2 "$(told uplink-up)"
equal "places" 2 $(($(told place-changed) - changed))

# ---- the agent is killed: its successor knows both places, and changes nothing
before=$(primary) place=$(locator m1)
daemon_kill m1
check "without an agent a page is fetched" fetch
check "and the host is reached" reach
daemon_start m1
daemon_ready m1
equal "the new agent has the same primary" "$before" "$(primary)"
equal "at the same place" "$place" "$(locator m1)"
wait_for "and the other stands by" is "$(other "$before")" role standby
equal "nothing has changed" 0 "$(told place-changed)"
wait_for "registered as before" at echo "$place" && ok "registered as before"
check "a page is fetched" fetch
check "and the host is reached" reach

# ---- killed, and when the next one comes the primary's link is gone
daemon_kill m1
lab link "m1-$before" down
daemon_start m1
daemon_ready m1
equal "a new agent finds the primary's link down: the other is it" "$(other "$before")" "$(primary)"
check "a page is fetched" fetch
wait_for "registered there" at echo "$(locator m1)"
check "and the host is reached" reach
lab link "m1-$before" up
wait_for "$before is back" is "$before" role standby

# ---- a router that is silent: so is its link to all that matters
silent=$(primary)
kill -STOP "${DAEMON[$silent]}"
wait_for "the silent router is left" is_primary "$(other "$silent")" && ok "$silent is silent, and left"
check "a page is fetched" fetch
wait_for "registered there" at echo "$(locator m1)" # its own rules are older until it speaks again
check "the host is reached" reach
kill -CONT "${DAEMON[$silent]}"
wait_for "it speaks again" is "$silent" role standby && ok "when it speaks again the host stands by there"
wait_for "and it has nothing of the host's" stands_by && ok "$(places)"

# ---- both are gone, one is back
lab link m1-r1 down
lab link m1-r2 down
is_lost() { [ "$(uplinks .state)" = lost ]; }
wait_for "both are down" is_lost && ok "with both down the host is not joined"
lab link m1-r1 up
wait_for "the first that is back is primary" is r1 role primary && ok "the first that is back is primary"
check "a page is fetched" fetch
lab link m1-r2 up
wait_for "the other stands by" is r2 role standby

# ---- a second link to one router: it counts when the first is gone, and then it is the same place
ip -n "$LAB-m1" link add more type veth peer name more netns "$LAB-r1"
for n in m1 r1; do ip -n "$LAB-$n" link set more up; ip -n "$LAB-$n" addr add "fe80::$([ $n = m1 ] && echo a || echo b)/64" dev more nodad; done
wait_for "a second link to one router" is more state elsewhere && ok "a second link to one router is of no use"
equal "and disturbs nobody" "primary standby" "$(of r1 role) $(of r2 role)"
says "nothing can be moved to it" "by another interface" on m1 "$SF" migrate --all --to more
place=$(of r1 locator)
lab link m1-r1 down
wait_for "it joins when the first one is gone" is more state joined && ok "it joins when the first one is gone"
equal "at the same place" "$place" "$(of more locator)"
lab link m1-r1 up
ip -n "$LAB-m1" link delete more
wait_for "the first one is back" is r1 state joined && ok "when it is removed the first one is joined again"
check "a page is fetched" fetch

# ---- an order of preference
printf 'uplink = r1 r2\nprefer_after = 1500ms\n' | cat "$DIR/m1/scaffoldd.conf" - >"$TMP/m1.conf"
COMMAND[m1]=${COMMAND[m1]/$DIR\/m1\/scaffoldd.conf/$TMP\/m1.conf}
daemon_kill m1
daemon_start m1
daemon_ready m1
wait_for "the preferred one is primary" is_primary r1 && ok "the preferred one is primary"
wait_for "the other stands by" is r2 role standby
lab link m1-r1 down
wait_for "r2 is primary" is_primary r2
lab link m1-r1 up
wait_for "r1 joins" is r1 state joined
equal "not at once" r2 "$(primary)"
# Make before break: somebody who asks all the time is always answered.
"$SF" lab --name "$LAB" exec s1 -- bash -c "until [ -e '$TMP/stop' ]; do python3 '$HERE/peer.py' connect '$ECHO' 7 --timeout 8 || exit 1; done" >"$TMP/asked" 2>&1 & asks=$!
pids+=($asks)
wait_for "r1 is primary again" is_primary r1 && ok "the preferred one is primary again when it was up for a while"
wait_for "registered there alone" at echo "$(of r1 locator)"
touch "$TMP/stop"
wait $asks && ok "nobody was refused meanwhile: $(grep -c ok "$TMP/asked") connections" || bad "somebody was refused: $(tail -n 2 "$TMP/asked")"
wait_for "the other stands by" stands_by

# ---- the end: it leaves everywhere, and leaves nothing
kill -TERM "${DAEMON[m1]}"
tries 5 daemon_gone m1
gone() { [ "$(places)" = '[]' ]; }
wait_for "it has left both routers" gone && ok "it has left both routers"
left=$(on m1 ip -6 rule | grep -w 'proto 213'; on m1 ip -6 route show table all | grep 'proto 213'; on m1 ip -6 addr | grep fd5c:; for d in r1 r2; do on m1 tc filter show dev $d egress; on m1 tc filter show dev $d ingress; done)
equal "and nothing of it is left" "" "$left"
finish
