#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The host agent among others that are not its friends, and in places that go away.
# Usage: agent_test.sh SCAFFOLD-BINARY
#
#      h1              ctl              h3
#        \              |              /
#         [r1] ----- [ sr ] ----- [r2]
#        /  \_____________________/  \
#      h2                              h4, h5
. "$(dirname "$0")/lib.sh"
need setpriv
lab_up fig6
daemons_know
status() { rest "$1" agent /v1/status | jq -r "$2"; }
# configured NODE LINE...: its agent starts again, with these lines in its configuration
cp "$DIR/h1/scaffoldd.conf" "$TMP/h1.conf"
configured() {
	local node=$1
	shift
	daemon_kill "$node"
	{ cat "$TMP/$node.conf"; printf '%s\n' "$@"; } >"$DIR/$node/scaffoldd.conf"
	: >"$(daemon_log "$node")"
	daemon_start "$node"
}
logged() { grep -qF -- "$1" "$(daemon_log "${2:-h1}")"; }
# tells WHAT TEXT [NODE]: the agent's log will have the text
tells() { tries 10 logged "$2" "${3:-h1}" && ok "$1" || { bad "$1: expected '$2' in its log"; tail -n 5 "$(daemon_log "${3:-h1}")"; }; }

# ---- which router is believed
KEY=$(status h1 .router.key)
OTHER=${KEY//[0-9]/a}
[ ${#KEY} = 64 ] && ok "the router's key is shown" || bad "the router's key: $KEY"
configured h1 "router_key = $OTHER"
tells "a router with another key is refused, and both keys are named" "its key is $KEY, router_key= names $OTHER"
equal "it is not joined" joining "$(status h1 .state)"
says "the event log tells of it" "router_key= names" on h1 "$SF" events
configured h1 "router_key = $OTHER, $KEY"
daemon_ready h1 && ok "the router that is pinned is joined"
equal "the pin is shown" true "$(status h1 .router.pinned)"
configured h1 "prefixes = fd5c:0:7::/48, fd5e::/32"
tells "a network of other locators is refused" "locators fd5c:0:1::/48 lie outside of prefixes="
equal "it is not joined" joining "$(status h1 .state)"
logged "neither uplink= nor router_key=" && bad "a warning although uplink= is set" || ok "no warning where uplink= is set"
grep -v '^uplink' "$TMP/h1.conf" >"$TMP/blind.conf"
cp "$TMP/h1.conf" "$TMP/named.conf"; cp "$TMP/blind.conf" "$TMP/h1.conf"
configured h1
tells "without uplink= and router_key= there is a warning" "neither uplink= nor router_key= is set"
daemon_ready h1
configured h1 "router_key = $KEY"
daemon_ready h1
logged "neither uplink= nor router_key=" && bad "a warning although router_key= is set" || ok "no warning where router_key= is set"
cp "$TMP/named.conf" "$TMP/h1.conf"

# ---- router=, with an address that is not link-local
H1_LINK=$(status h1 .uplink)
on r1 ip addr add 2001:db8:7::1/64 dev h1 nodad
on h1 ip addr add 2001:db8:7::2/64 dev "$H1_LINK" nodad
configured h1 "router = 2001:db8:7::9"
sleep 2
equal "nobody answers at another address" joining "$(status h1 .state)"
configured h1 "router = 2001:db8:7::1"
daemon_ready h1 && ok "the router is found at its global address"
printf 'router = ff02::1\n' | cat "$TMP/h1.conf" - >"$TMP/bad.conf"
says "one that is none is refused, with file and line" "bad.conf:$(wc -l <"$TMP/bad.conf"): router: got 'ff02::1', expected" "$(dirname "$SF")/../agent/scaffoldd" --config "$TMP/bad.conf" --check
configured h1
daemon_ready h1

# ---- a second agent of one host
cp "$DIR/h2/scaffoldd.conf" "$TMP/h2.conf"
second() { on h2 timeout 5 "$AGENT" --config "$TMP/h2.conf" --run "$TMP/other" --state "$TMP/other" --bpffs "$BPFFS" "$@"; }
AGENT=$(readlink -f "/proc/${DAEMON[h2]}/exe")
BPFFS=/sys/fs/bpf/$LAB-other
attached() { on h2 sh -c "command -v bpftool >/dev/null && bpftool -j net show" | jq '[.. | .prog_id? // empty] | length'; }
before=$(attached)
says "a second agent with other directories is refused, by the lock and its holder" "pid ${DAEMON[h2]} holds the abstract Unix socket @scaffoldd" second
fails "and does not start" second
equal "no program more is attached" "$before" "$(attached)"
check "the first one is unharmed" is_ready h2
daemon_kill h2
says "and the second is told where" "take it over with --bpffs" second
fails "and does not start" second
[ -e "$BPFFS" ] && bad "it left $BPFFS" || ok "it left nothing"
daemon_start h2
daemon_ready h2 && ok "with its own directories it starts"
# Anybody may bind the name of the lock: that is no agent.
daemon_kill h2
on h2 setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("\0scaffoldd"); s.listen(); print("up", flush=True); time.sleep(600)' >"$TMP/squat" 2>&1 & squatter=$!; pids+=($squatter)
wait_for "somebody who binds its name" grep -q up "$TMP/squat"
: >"$(daemon_log h2)"
daemon_start h2
daemon_ready h2 && ok "a user who binds the lock's name does not keep the agent away"
tells "but is told of" "held by no agent" h2
end $squatter

finish
