#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A connected UDP socket that only listens learns that its instance is gone: shed, killed, silent. What it sends then
# goes to another one.
# Usage: udpfail_test.sh SCAFFOLD-BINARY
#
#      h1 client         ctl        h3 instance
#        \                |          /
#         [r1] -------- [ sr ] -- [r2] -- h4 instance
. "$(dirname "$0")/lib.sh"
lab_up --emulate fig6
# What the controller says of the service counts more than what a host says of all.
printf 'probe_after = 1s\nmove_grace = 10m\n' >>"$DIR/h1/scaffoldd.conf"
lab restart h1 >"$TMP/said" || said
wait_for "h1 is ready again" is_ready h1

# listen.py ADDRESS PORT: asks until somebody answers, says who, and waits for what its socket is told; and again
cat >"$TMP/listen.py" <<'PY'
import errno, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
while True:
    try:
        s.settimeout(1)
        s.send(b"who")
        print("up", s.recv(1000).decode().split()[0], flush=True)
        s.settimeout(None)
        s.recv(1000)
        print("data", flush=True)
    except TimeoutError:
        pass  # as datagrams may be, it was lost
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
PY
last() { tail -n 1 "$TMP/listener"; }
serves() { [ "$(last)" = "up $1" ] && rest h1 agent /v1/flows | jq -e '[.flows[] | select(.proto == "udp" and .state == "bound")] | length == 1'; }
told() { on "$1" "$SF" --json events | jq -e --arg k "$2" --arg r "$3" 'any(.[]; .kind == $k and .reason == $r)' >/dev/null; }
# leads_to NODE SECONDS WHAT: the socket was told, and what it sent then was answered there
leads_to() {
	tries "$2" serves "$1" && ok "$3: its next datagram goes to the other" || { bad "$3: the socket does not come to $1"; cat "$TMP/listener"; }
	equal "$3: its socket was told" "ECONNREFUSED up" "$(sed -n "$seen,\$p" "$TMP/listener" | cut -d' ' -f1 | sort -u | paste -sd' ')"
	seen=$(($(wc -l <"$TMP/listener") + 1))
}
S=$(address u)
for n in h3 h4; do serve $n "$S" 53 who --udp --name $n; declare "$n=$!"; done
registered u 2 53 udp
rest ctl controller /v1/services/u/policy -X PATCH -d '{"move_grace_ms": 2000}' | jq -e '[.. | .move_grace_ms? // empty] == [2000]' >"$TMP/said" ||
	{ bad "the policy is not taken"; said; }
"$SF" lab --name "$LAB" exec h1 -- python3 "$TMP/listen.py" "$S" 53 >"$TMP/listener" 2>&1 &
pids+=($!)
one=h3 other=h4
tries 10 serves h3 || one=h4 other=h3
check "a socket that listens to $one" serves $one
seen=2

# Until the service router has heard of it, it may be given the same one again, which ends it again.
says "shed" "u on $one: shed" on ctl "$SF" shed u --host $one
leads_to $other 10 "shed"

on ctl "$SF" undrain u --host $one >"$TMP/said" 2>&1 || said
registered u 2 53 udp
end "${!other}"
leads_to $one 10 "its process is killed"
wait_for "events of h1: flow-failed, no-such-socket" told h1 flow-failed no-such-socket && ok "events of h1: flow-failed, no-such-socket"

serve $other "$S" 53 who --udp --name $other
registered u 2 53 udp
lab link "$one-r2" loss=100% >"$TMP/said" 2>&1 || said
leads_to $other 20 "its host is silent"
wait_for "events of h1: flow-failed, host-unreachable" told h1 flow-failed host-unreachable && ok "events of h1: flow-failed, host-unreachable"
finish
