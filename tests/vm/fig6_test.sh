#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: the paper's Figure 6 on the oldest kernel that is promised. Usage: fig6_test.sh SCAFFOLD-BINARY
# What tests/netns checks whole is checked here as far as it meets the kernel: loading, attaching by clsact (there is no tcx before
# 6.6), checksums, socket events, both directions of streams and datagrams, retry, and a daemon's return.
. "$(dirname "$0")/lib.sh"

case $(uname -r) in 6.1.*) ok "this is Linux $(uname -r)" ;; *) bad "this is Linux $(uname -r), not the oldest promised" ;; esac
lab_up --timeout 120 fig6
for node in h1 h3 r1 sr; do
	check "$node finds nothing wrong with this kernel" on "$node" "$SF" status
done
attached() { on "$1" tc filter show dev "$2" "$3"; }
says "without tcx the host's programs are at clsact: egress" sf_host_egress attached h1 r1 egress
says "ingress" sf_host_ingress attached h1 r1 ingress
equal "and the agent knows" false "$(rest h1 agent /v1/status | jq '.features[] | select(.name == "tcx").there')"

for name in sum echo web uecho; do declare "${name^^}=$(address "$name")"; done
serve h3 "$SUM" 7 sum
serve h3 "$ECHO" 7 echo --timeout 600
serve h3 "$UECHO" 7 echo --udp
serve h3 "$WEB" 80 web --name h3; first=$!
serve h4 "$WEB" 80 web --name h4
for name in sum echo; do registered $name 1 7; done
registered uecho 1 7 udp
registered web 2 80

says "a stream, both directions" "ok 2097152" peer h1 exchange "$SUM" 7 --bytes 2097152
says "both at once" "ok 1048576" peer h2 both "$ECHO" 7 --bytes 1048576
says "client and instance on one host" "ok 262144" peer h3 exchange "$SUM" 7 --bytes 262144
says "a connected datagram socket" "ok" peer h1 ask "$UECHO" 7 --bytes 100 --timeout 20
says "an unconnected one" "ok" peer h1 ask "$UECHO" 7 --bytes 100 --timeout 20 --unconnected
says "a datagram in fragments" "ok" peer h1 ask "$UECHO" 7 --bytes 4000 --timeout 20 --tries 3
says "an unknown service is refused at once" ECONNREFUSED peer h1 connect "$(address nobody)" 80 --timeout 20
on r1 ip link set r2 mtu 1400
on r2 ip link set r1 mtu 1400
says "the path's MTU is discovered" "ok 1048576" peer h1 exchange "$SUM" 7 --bytes 1048576
says "and told by a router" "mtu 1400" on h1 ip -6 route get "$SUM"

# Of two instances one is killed under connects.
peer h1 loop "$WEB" 80 --n 200 >"$TMP/loop" 2>&1 & loop=$!; pids+=($loop)
sleep 2
end $first
wait $loop
grep -q "ok" "$TMP/loop" && ! grep -q "connect:" "$TMP/loop" && ok "no connect() failed: $(tail -n 1 "$TMP/loop")" || bad "connects while an instance died: $(cat "$TMP/loop")"
registered web 1 80 && ok "the dead instance is gone"

# Daemons die and return, and swap their programs in where the old ones are.
peer h1 keep "$ECHO" 7 --until "$TMP/stop" --every 0.05 --timeout 120 >"$TMP/keep" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow" grep -q up "$TMP/keep"
daemons_know
daemon_kill h1 r1
says "new connections without agent and access router" "ok 65536" peer h1 exchange "$SUM" 7 --bytes 65536
daemon_start r1; daemon_start h1
daemon_ready r1; daemon_ready h1
says "and with them again" "ok 65536" peer h1 exchange "$SUM" 7 --bytes 65536
equal "each side of the uplink has one program" 1 "$(attached h1 r1 egress | grep -c sf_host_egress)"
touch "$TMP/stop"
wait $kept && ok "the flow went on: $(tail -n 1 "$TMP/keep")" || bad "the flow: $(cat "$TMP/keep")"
equal "no helper of the kernel failed" 0 "$(for h in h1 h3; do counter $h internal; done | awk '{ n += $1 } END { print n }')"

check "the lab goes down" lab_down
equal "no namespace is left" "" "$(ip netns list)"
equal "no program is left attached to a control group" "" "$(bpftool cgroup tree 2>/dev/null | grep sf_)"
finish
