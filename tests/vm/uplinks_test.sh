#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: uplinks that are VLANs and bonds, whose modules not every kernel has. Usage: uplinks_test.sh SCAFFOLD-BINARY
#
#      v: eth0.10 ---VLAN 10 of a trunk---.
#                                         |
#      b: bond0 ==two links, [switch]== [ r ] ==two links, 802.3ad== bond0 :a
#                                         |
#                                         '---- eth0 :s   serves
. "$(dirname "$0")/lib.sh"
BUILD=$(dirname "$(dirname "$SF")")
for module in 8021q bonding bridge veth; do modprobe $module 2>/dev/null || skip "no module $module"; done

NODES=(v b a s r switch)
declare -A RUN=() PID=()
for n in "${NODES[@]}"; do
	ip netns add "$n"
	ip -n "$n" link set lo up
	mkdir -p "$TMP/$n"
	RUN[$n]=$TMP/$n
done
# Not `ip netns exec`, whose own /sys has neither the control groups nor the bpffs.
in_ns() { local n=$1; shift; nsenter --net="/run/netns/$n" "$@"; }
# wire NODE DEVICE NODE DEVICE
wire() {
	ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}
# start NODE DAEMON OPTION...
start() {
	local n=$1 d=$2
	shift 2
	nsenter --net="/run/netns/$n" "$BUILD/$d" --run "${RUN[$n]}" --state "${RUN[$n]}/state" --bpffs /sys/fs/bpf/uplinks "$@" >>"${RUN[$n]}/log" 2>&1 &
	PID[$n]=$!
	pids+=($!)
}
ask() { local n=$1 which=agent; [ "$n" = r ] && which=router; shift; curl -sS -m 10 --unix-socket "${RUN[$n]}/$which.sock" "http://x$1"; }
joined() { [ "$(ask "$1" /v1/status 2>/dev/null | jq .joined)" = true ]; }
gone() { ! joined "$1"; }
uplink() { ask "$1" /v1/status | jq -r '.uplink.name? // .uplink'; }
locator_of() { ask "$1" /v1/status | jq -r .locator; }
client() { local n=$1; shift; in_ns "$n" python3 "$HERE/peer.py" "$@"; }

# ---- the links
wire v eth0 r v0
for n in v:eth0 r:v0; do
	ip -n "${n%:*}" link add link "${n#*:}" name "${n#*:}.10" type vlan id 10
	ip -n "${n%:*}" link set "${n#*:}.10" up
done
# An active-backup bond to a switch, as a host has that is wired to be safe.
ip -n switch link add br0 type bridge
ip -n switch link set br0 up
wire switch p2 r b0
ip -n switch link set p2 master br0
# bond NODE NAME OPTION...: without ports
bond() { local n=$1 name=$2; shift 2; ip -n "$n" link add "$name" type bond "$@"; }
port() { ip -n "$1" link set "$3" down; ip -n "$1" link set "$3" master "$2"; ip -n "$1" link set "$3" up; }
bond b bond0 mode active-backup miimon 20
for i in 0 1; do
	wire b m$i switch p$i
	ip -n switch link set p$i master br0
	port b bond0 m$i
done
ip -n b link set bond0 up
# Two bonds face to face: each flow has one of the links, until there is but one.
bond a bond0 mode 802.3ad miimon 20 lacp_rate fast xmit_hash_policy layer3+4
bond r a0 mode 802.3ad miimon 20 lacp_rate fast xmit_hash_policy layer3+4
for i in 0 1; do
	wire a m$i r a0m$i
	port a bond0 m$i
	port r a0 a0m$i
done
ip -n a link set bond0 up
ip -n r link set a0 up
wire s eth0 r s0
in_ns r sysctl -qw net.ipv6.conf.all.forwarding=1

# ---- daemons: no controller; the router takes hosts on the VLAN, not on the trunk below it
cat >"$TMP/r.conf" <<'CONF'
[router]
as = 1
block = 1
[link v0.10]
access = yes
[link b0]
access = yes
[link a0]
access = yes
[link s0]
access = yes
CONF
start r router/scaffold-router --config "$TMP/r.conf"
start v agent/scaffoldd  # finds its uplink by asking on each
echo $'[host]\nuplink = bond0' >"$TMP/b.conf"
start b agent/scaffoldd --config "$TMP/b.conf"
start a agent/scaffoldd
start s agent/scaffoldd
for n in v b a s; do
	wait_for "$n joins" joined $n && ok "$n has joined" || { tail -n 5 "${RUN[$n]}/log" "${RUN[r]}/log"; }
done
((failed)) && exit 1 # all else would fail for want of it
equal "the VLAN is the uplink, not the link that carries it" eth0.10 "$(uplink v)"
equal "the bond is the uplink, as told" bond0 "$(uplink b)"
equal "the bond is the uplink, not one of its ports" bond0 "$(uplink a)"

# ---- traffic by service address
SUM=$(address sum) ECHO=$(address echo)
serve_in() { local n=$1; shift; nsenter --net="/run/netns/$n" python3 "$HERE/peer.py" serve "$@" 2>>"$TMP/serve" & pids+=($!); }
serve_in s "$SUM" 7 sum
serve_in s "$ECHO" 7 echo --timeout 600
live() { DIR=$TMP has_instances r "$1" 1; }
for name in sum echo; do wait_for "$name is registered" live $name; done
for n in v b a; do
	says "$n fetches and sends" "ok 4194304" client $n exchange "$SUM" 7 --bytes 4194304 --timeout 60
	says "$n is refused at once what nobody serves" ECONNREFUSED client $n connect "$(address nobody)" 7 --timeout 10
done
# And they serve: a program on the VLAN, and behind each bond.
for n in v b a; do serve_in $n "$(address "on-$n")" 7 sum; done
for n in v b a; do
	wait_for "on-$n is registered" live "on-$n"
	says "s fetches from $n" "ok 1048576" client s exchange "$(address "on-$n")" 7 --bytes 1048576 --timeout 60
done

# On the wire of the trunk all of it is tagged.
in_ns r timeout 20 tcpdump -i v0 -c 5 -w "$TMP/trunk" ip6 dst net fd5c::/16 or vlan >/dev/null 2>&1 & dump=$!
sleep 1
client v exchange "$SUM" 7 --bytes 65536 >/dev/null
wait $dump
untagged=$(tcpdump -r "$TMP/trunk" -nn -e 2>/dev/null | grep -cv 'vlan 10')
tagged=$(tcpdump -r "$TMP/trunk" -nn -e 2>/dev/null | grep -c 'vlan 10')
[ "$tagged" -gt 0 ] && [ "$untagged" = 0 ] && ok "$tagged packets on the trunk are tagged" || bad "on the trunk $tagged packets are tagged, $untagged are not"

# ---- failover of a bond under flows
# cut NODE PORT: the far end's carrier goes away
active() { ip netns exec b cat /sys/class/net/bond0/bonding/active_slave; }
is_active() { [ "$(active)" = "$1" ]; }
before=$(locator_of b)
client b keep "$ECHO" 7 --until "$TMP/stop" --every 0.02 --timeout 60 >"$TMP/keep-b" 2>&1 & kept_b=$!
client s keep "$(address on-b)" 7 --until "$TMP/never" --every 0.02 --timeout 60 >/dev/null 2>&1 & pids+=($!)
client a keep "$ECHO" 7 --until "$TMP/stop" --every 0.02 --timeout 60 >"$TMP/keep-a" 2>&1 & kept_a=$!
pids+=($kept_b $kept_a)
wait_for "a flow over the bond" grep -q up "$TMP/keep-b"
wait_for "a flow over the aggregate" grep -q up "$TMP/keep-a"
for from in 0 1 0; do
	to=$((1 - from))
	wait_for "m$from is the active port" is_active m$from || ip netns exec b bash -c "echo m$from >/sys/class/net/bond0/bonding/active_slave"
	ip -n switch link set p$from down
	wait_for "m$to takes over" is_active m$to && ok "the bond fails over from m$from to m$to"
	says "a new connection over m$to" "ok 262144" client b exchange "$SUM" 7 --bytes 262144 --timeout 30
	says "and one to it" "ok 262144" client s exchange "$(address on-b)" 7 --bytes 262144 --timeout 30
	ip -n switch link set p$from up
done
ip -n r link set a0m0 down
says "the aggregate with one link" "ok 262144" client a exchange "$SUM" 7 --bytes 262144 --timeout 30
ip -n r link set a0m0 up
touch "$TMP/stop"
wait $kept_b && ok "the flow over the bond went on: $(tail -n 1 "$TMP/keep-b")" || bad "the flow over the bond: $(cat "$TMP/keep-b")"
wait $kept_a && ok "the flow over the aggregate went on: $(tail -n 1 "$TMP/keep-a")" || bad "the flow over the aggregate: $(cat "$TMP/keep-a")"
equal "the host behind the bond is where it was" "$before" "$(locator_of b)"

# Both ports without carrier: the bond is down, and that is told; then it is back, and so is the host.
client b keep "$ECHO" 7 --until "$TMP/stop2" --every 0.02 --timeout 60 >"$TMP/keep-b" 2>&1 & kept_b=$!
pids+=($kept_b)
wait_for "a flow over the bond" grep -q up "$TMP/keep-b"
ip -n switch link set p0 down; ip -n switch link set p1 down
wait_for "the agent knows that its uplink is down" gone b && ok "with both ports dead the host has left"
ip -n switch link set p0 up
wait_for "it joins again" joined b && ok "with one back it has joined again"
touch "$TMP/stop2"
wait $kept_b && ok "and its flow went on" || bad "its flow: $(cat "$TMP/keep-b")"

# ---- the end of an uplink: what was on it is gone, and a stop leaves nothing
# Of each namespace, by which the pins of its host are called.
declare -A COOKIE=()
for n in v b a s; do COOKIE[$n]=$(in_ns $n python3 -c 'import socket; print("%016x" % int.from_bytes(socket.socket().getsockopt(1, 71, 8), "little"))'); done
for n in v b a s; do [ -d "/sys/fs/bpf/uplinks/host-${COOKIE[$n]}" ] || bad "no pins of $n: what is looked for below has no meaning"; done
end_gone() { ! kill -0 "${PID[$1]}" 2>/dev/null; }
for n in v b a s; do
	kill -TERM "${PID[$n]}"
	wait_for "$n stops" end_gone $n
	left=$(in_ns $n ip -6 rule | grep 213; in_ns $n ip -6 route show table all | grep 'proto 213'; for d in $(ip netns exec $n ls /sys/class/net); do in_ns $n tc filter show dev $d egress; in_ns $n tc filter show dev $d ingress; done 2>/dev/null; find /sys/fs/bpf/uplinks -name "host-${COOKIE[$n]}" 2>/dev/null)
	equal "$n leaves nothing" "" "$left"
done
finish
