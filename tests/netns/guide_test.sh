#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guide's network of two routers (docs/operations.md), step by step as it is written there: its certificates, its
# configurations, its addresses and routes, its policy; without scaffold lab. Usage: guide_test.sh SCAFFOLD-BINARY
#
#      one Ethernet:  ctl, r1, r2 on a switch         with a router between:  r1 ---- between ---- r2
#                          |   | \                                            |         |        | \
#                         h1  h3  h4                                          h1        ctl      h3  h4
. "$(dirname "$0")/lib.sh"
need openssl curl
GUIDE=$HERE/../../docs/operations.md
BUILD=$(dirname "$(dirname "$SF")")
NET=t-guid-$$
MACHINES="ctl r1 r2 h1 h3 h4 between"

# block TEXT: the guide's indented block that contains it
block() {
	python3 - "$GUIDE" "$1" <<-'PY'
	import re, sys
	blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", open(sys.argv[1], encoding="utf-8").read(), re.M)
	found = [re.sub(r"^    ", "", b, flags=re.M) for b in blocks if sys.argv[2] in b]
	sys.exit(f"{len(found)} blocks with {sys.argv[2]!r}") if len(found) != 1 else print(found[0].strip("\n"))
	PY
}
# of MACHINE COMMAND...: on a machine of the network
of() { local m=$1; shift; nsenter --net="/run/netns/$NET-$m" env SCAFFOLD_RUN="$TMP/$m/run" PATH="$PATH" "$@"; }
# as_written TEXT: runs each "machine# command" of a block where it belongs
as_written() {
	local machine command
	while IFS='#' read -r machine command; do
		check "as written: $machine#$command" of "$machine" sh -c "$command"
	done < <(block "$1")
}
# daemon MACHINE PROGRAM [OPTION...]
daemon() {
	local m=$1 program=$2
	shift 2
	nsenter --net="/run/netns/$NET-$m" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$m" \
		"$program" --run "$TMP/$m/run" --state "$TMP/$m/state" --bpffs "$TMP/bpf/$m" "$@" >>"$TMP/$m/log" 2>&1 &
	MACHINE_PID[$m]=$!
}
declare -A MACHINE_PID=()
WEB=$(address web)
PROGRAM_OF() { case $1 in ctl) echo "$BUILD/controller/scaffold-controller" ;; r?) echo "$BUILD/router/scaffold-router" ;; h?) echo "$BUILD/agent/scaffoldd" ;; esac; }
wire() { ip link add "$2" netns "$NET-$1" type veth peer name "$4" netns "$NET-$3" && of "$1" ip link set dev "$2" up && of "$3" ip link set dev "$4" up; }

machines_down() {
	local m
	[ ${#pids[@]} = 0 ] || end "${pids[@]}"
	for m in h1 h3 h4 r1 r2 ctl; do [ -n "${MACHINE_PID[$m]:-}" ] && kill "${MACHINE_PID[$m]}" 2>/dev/null; done
	for m in h1 h3 h4 r1 r2 ctl; do [ -n "${MACHINE_PID[$m]:-}" ] && wait "${MACHINE_PID[$m]}" 2>/dev/null; done
	for m in $MACHINES; do ip netns delete "$NET-$m" 2>/dev/null; done
	MACHINE_PID=() pids=()
	umount "$TMP/bpf" 2>/dev/null
	rm -rf "$TMP"/{bpf,ctl,r1,r2,h1,h3,h4,between}
}
trap 'machines_down; end_of_test' EXIT

# Namespaces with their files, certificates and configurations.
machines_up() {
	local m
	mkdir -p "$TMP/bpf" && mount -t bpf bpf "$TMP/bpf"
	for m in $MACHINES; do
		ip netns add "$NET-$m" && of "$m" ip link set lo up && of "$m" sysctl -qw net.ipv6.conf.all.forwarding=0
		mkdir -p "$TMP/$m/etc/tls" "$TMP/$m/run" "$TMP/$m/state"
	done
	wire r1 lan0 h1 eth0
	wire r2 lan0 h3 eth0
	wire r2 lan1 h4 eth0
	for m in ctl r1 r2; do
		cp "$TMP/ca/ca.pem" "$TMP/$m/etc/tls"
		cp "$TMP/ca/$([ $m = ctl ] && echo controller || echo $m)".{pem,key} "$TMP/$m/etc/tls"
	done
	block "register_default = deny" >"$TMP/ctl/etc/conf"
	for m in r1 r2; do block "roles = access, service" | sed "s,tls/r1,tls/$m," >"$TMP/$m/etc/conf"; done
	for m in ctl r1 r2; do sed -i "s,/etc/scaffold,$TMP/$m/etc," "$TMP/$m/etc/conf"; done
	for m in ctl r1 r2; do check "--check on $m" of $m "$(PROGRAM_OF $m)" --check --config "$TMP/$m/etc/conf" --state "$TMP/$m/state"; done
}
status_of() { of "$1" "$SF" --json status | jq -e ".daemons[0].status | $2"; }
daemons_up() {
	local m
	daemon ctl "$(PROGRAM_OF ctl)" --config "$TMP/ctl/etc/conf"
	for m in r1 r2; do # one after the other: the guide's blocks are leased in this order
		daemon $m "$(PROGRAM_OF $m)" --config "$TMP/$m/etc/conf"
		wait_for "$m has its state from the controller" status_of $m .controller.synced && ok "$m is connected" || tail -n 5 "$TMP/$m/log"
	done
	for m in r1 r2; do equal "$m tells its own address, not a link-local one" "$(of $m ip -j -6 address show dev eth0 scope global | jq -r '.[0].addr_info[0].local')" "$(status_of $m .underlay | tr -d '"')"; done
	for m in h1 h3 h4; do daemon $m "$(PROGRAM_OF $m)"; done
	for m in h1 h3 h4; do wait_for "$m joins" status_of $m .joined && ok "$m has joined" || tail -n 5 "$TMP/$m/log"; done
	equal "a router tells the key that its hosts see" "$(status_of r1 .key)" "$(status_of h1 .router.key)"
	equal "all of them at the controller" "h1 h3 h4" "$(of ctl "$SF" --json hosts | jq -r '[.[].host] | sort | join(" ")')"
	says "blocks, as the guide has them" fd5c:0:1:1::/64 of ctl "$SF" routers
	says "and the other's" fd5c:0:1:2::/64 of ctl "$SF" routers
}
serve_on() { nsenter --net="/run/netns/$NET-$1" python3 "$HERE/peer.py" serve "$WEB" 80 web --name "$1" 2>>"$TMP/$1.serve" & pids+=($!); }
states() { of "$1" "$SF" --json services | jq -r 'map(select(.port == 80).state) | sort | join(" ")'; }
states_are() { [ "$(states "$1")" = "$2" ]; }
drained() { of ctl "$SF" --json services web | jq -e 'map(select(.state == "draining").host) == ["h3"]'; }
settled() { ! of "$1" ip -6 address show dev eth0 | grep -q tentative; }
# The guide's "Change things", as it is written: who may register, weights, drains; programs serve, and h1 is served.
served() {
	serve_on h3
	wait_for "a registration without a policy is denied" states_are h3 denied && ok "register_default = deny"
	check "as written: a policy" of ctl sh -c "$(block 'curl --unix-socket /run/scaffold/controller.sock -X PATCH' | sed "s,/run/scaffold,$TMP/ctl/run,; s/curl/curl -fsS/")"
	serve_on h4
	wait_for "both are registered, and r1 knows" states_are r1 "live live" && ok "r1 knows what r2's hosts serve"
	check "h1 is served" timeout 20 nsenter --net="/run/netns/$NET-h1" python3 "$HERE/peer.py" loop "$WEB" 80 --n 20
	check "trace tells the way" of h1 timeout 20 "$SF" trace web/tcp/80
	while read -r command; do
		check "as written: ${command%%  *}" of ctl timeout 20 sh -c "$command"
		[[ $command == *--host* ]] && wait_for "h3 takes no new flows" drained && ok "h3 takes no new flows"
	done < <(block "scaffold weight web h3 100" | grep -E '^scaffold (weight|drain|undrain)')
}

# ---- certificates, once
mkdir -p "$TMP/ca"
(cd "$TMP/ca" && block "openssl req" | sh -e) >"$TMP/said" 2>&1 && (cd "$TMP/ca" && umask 077 && block "openssl req" | sed -n '/CN=r1/,$p' | sed 's/r1/r2/g' | sh -e) >>"$TMP/said" 2>&1 && ok "as written: certificates" || { bad "certificates"; said; }

# ---- on one Ethernet
machines_up
of between ip link add name switch type bridge && of between ip link set dev switch up
for m in ctl r1 r2; do wire $m eth0 between p-$m; of between ip link set dev p-$m master switch; done
of ctl ip -6 address add 2001:db8::1/64 dev eth0
wait_for "the controller's address" settled ctl # the routers' are tentative still when they start, as at boot
as_written "2001:db8::12/64 dev eth0"
daemons_up
served
machines_down

# ---- with another router between them
machines_up
of between sysctl -qw net.ipv6.conf.all.forwarding=1
for m in r1 r2 ctl; do wire $m eth0 between b-$m; done
of ctl ip -6 address add 2001:db8::1/64 dev eth0 && of ctl ip -6 route add default via 2001:db8::ff
of r1 ip -6 address add 2001:db8:1::11/64 dev eth0
of r2 ip -6 address add 2001:db8:2::12/64 dev eth0
wait_for "the controller's address" settled ctl
of between sh -c "ip -6 address add 2001:db8::ff/64 dev b-ctl; ip -6 address add 2001:db8:1::ff/64 dev b-r1; ip -6 address add 2001:db8:2::ff/64 dev b-r2"
as_written "between# ip -6 route add"
# r1's address is tentative as it starts: what is begun then has a link-local source, which goes no further than `between`.
of r1 ip -6 address del 2001:db8:1::11/64 dev eth0 && of r1 ip -6 address add 2001:db8:1::11/64 dev eth0
daemons_up
served
machines_down

finish
