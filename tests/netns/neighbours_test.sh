#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SCAFFOLD beside others: packet filters, other programs at the same hooks, ordinary traffic; and daemons that cannot
# start, which say why. Usage: neighbours_test.sh SCAFFOLD-BINARY
#
#     client ---- [ r ] ---- server
#                   |
#                  ctl
. "$(dirname "$0")/lib.sh"
need curl nft tc ping iperf3 clang bpftool setpriv unshare tcpdump
ROUTER=r
is_ready() { # of the pair's topology
	case $1 in
	ctl) holds ctl controller /v1/status '.settled and .routers.connected == 1' ;;
	r) holds r router /v1/status .controller.synced ;;
	*) holds "$1" agent /v1/status .joined ;;
	esac
}
lab_up pair
daemons_know
WEB=$(address web) SUM=$(address sum) UECHO=$(address uecho)
serve server "$WEB" 80 web --name server
serve server "$SUM" 7 sum
serve server "$UECHO" 7 echo --udp
registered web 1 80
registered sum 1 7
registered uecho 1 7 udp
works() { # TEXT
	says "$1: TCP" "ok" peer client exchange "$SUM" 7 --bytes 2000000 --timeout 10
	says "$1: connections" "ok" peer client loop "$WEB" 80 --n 20 --timeout 5
	says "$1: datagrams" "ok" peer client ask "$UECHO" 7 --n 20 --timeout 5
}
works "alone"

# ---- packet filters with connection tracking, on both hosts; they see service addresses, and nothing else of it
if on server nft 'add table inet fw; add chain inet fw c { type filter hook input priority 0; }; add rule inet fw c ct state invalid counter' 2>"$TMP/said"; then
	on server nft flush ruleset
	on server nft -f - <<'NFT'
table inet fw {
	chain in {
		type filter hook input priority 0; policy drop;
		iif lo accept
		ct state established,related accept
		ct state invalid counter drop
		meta l4proto 58 accept
		udp sport 24158 accept
		ip6 saddr fd5e::/32 ip6 daddr fd5e::/32 tcp dport { 7, 80 } ct state new counter accept
		ip6 daddr fd5e::/32 udp dport 7 accept
		tcp dport 82 reject
		tcp dport 22 accept
	}
}
NFT
	on client nft -f - <<'NFT'
table inet fw {
	chain in {
		type filter hook input priority 0; policy drop;
		iif lo accept
		ct state established,related accept
		ct state invalid counter drop
		meta l4proto 58 accept
		udp sport 24158 accept
	}
	chain out {
		type filter hook output priority 0; policy accept;
		ct state invalid counter drop
		ip6 daddr fd5c::/16 meta l4proto tcp counter
		ip6 daddr fd5e::/32 meta l4proto tcp counter
	}
}
NFT
	works "with packet filters on both hosts"
	seen() { on "$1" nft -j list ruleset | jq --arg e "$2" '[.nftables[].rule | select(. != null) | select(tostring | contains($e)) | .expr[].counter | select(. != null) | .packets] | add // 0'; }
	[ "$(seen server new)" -gt 20 ] && ok "the server's filter saw $(seen server new) new connections between service addresses" || bad "the server's filter saw $(seen server new) new connections"
	[ "$(seen client fd5e)" -gt 20 ] && ok "the client's filter saw service addresses" || bad "the client's filter saw no service addresses"
	equal "and no locator" 0 "$(seen client fd5c)"
	equal "nothing was invalid to either" "0 0" "$(seen client invalid) $(seen server invalid)"
	serve server "$WEB" 82 web
	registered web 1 82
	says "a filter that rejects is obeyed" ECONNREFUSED peer client connect "$WEB" 82 --timeout 8
	daemon_kill server client; daemon_start server; daemon_start client; daemon_ready server; daemon_ready client
	works "with filters, new agents"
	on server nft flush ruleset
	on client nft flush ruleset
else
	echo "SKIPPED part: no connection tracking in this kernel: $(head -c 200 "$TMP/said")"
fi

# ---- other programs at the same hooks
cat >"$TMP/other.c" <<'C'
/* counts what it sees, and lets everything pass */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
int seen;
SEC("tc") int other_tc(struct __sk_buff *skb) { __sync_fetch_and_add(&seen, 1); return TC_ACT_UNSPEC; }
SEC("cgroup/connect6") int other_connect(struct bpf_sock_addr *ctx) { __sync_fetch_and_add(&seen, 1); return 1; }
SEC("cgroup/post_bind6") int other_bind(struct bpf_sock *ctx) { __sync_fetch_and_add(&seen, 1); return 1; }
SEC("sockops") int other_ops(struct bpf_sock_ops *ctx) { __sync_fetch_and_add(&seen, 1); return 1; }
char _license[] SEC("license") = "GPL";
C
check "a program of others" clang -O2 -g -target bpf -I "/usr/include/$(uname -m)-linux-gnu" -c "$TMP/other.c" -o "$TMP/other.o"
for direction in ingress egress; do
	on client tc qdisc add dev r clsact 2>/dev/null
	for priority in 1 50000; do
		check "their filter at $direction, priority $priority" on client tc filter add dev r $direction prio $priority bpf da obj "$TMP/other.o" sec tc
	done
done
# seen_by PROGRAM-ID: what a program of theirs counted
seen_by() {
	bpftool -j prog show id "$1" | jq -r '.map_ids[]' | while read -r map; do
		bpftool -j map dump id "$map" 2>/dev/null | jq -r '.. | objects | .seen? // empty' 2>/dev/null
	done | head -n 1
}
theirs() { # DIRECTION: their filters there, as IDs
	on client tc -j filter show dev r "$1" | jq -r '.[] | .options.prog? // empty | select(.name == "other_tc") | .id' | sort -u
}
bound() { rest client agent /v1/counters | jq ".traffic[\"$1-bound\"].packets"; }
# every_packet DIRECTION in|out: both filters of theirs see each packet that ours translates
every_packet() {
	local id ours least=
	declare -A were=()
	for id in $(theirs "$1"); do were[$id]=$(seen_by "$id"); done
	ours=$(bound "$2")
	peer client loop "$WEB" 80 --n 50 --timeout 5 >/dev/null || bad "connections"
	ours=$(($(bound "$2") - ours))
	for id in "${!were[@]}"; do
		were[$id]=$(($(seen_by "$id") - were[$id]))
		[ "${were[$id]}" -ge "$ours" ] && [ "$ours" -gt 100 ] && least="$least x"
	done
	equal "$1: both of their filters saw all of our $ours packets (${were[*]})" " x x" "$least"
}
works "with other filters on the uplink"
every_packet ingress in
every_packet egress out
daemon_kill client; daemon_start client; daemon_ready client
works "with other filters, a new agent"
kill -TERM "${DAEMON[client]}"; wait_for "the end of the agent" daemon_gone client
equal "an agent that leaves leaves theirs" 4 "$(on client tc filter show dev r ingress | grep -c other_tc | awk -v e="$(on client tc filter show dev r egress | grep -c other_tc)" '{ print $1 + e }')"
daemon_start client; daemon_ready client
works "and comes back beside them"
on client tc qdisc del dev r clsact
works "and without them"

cgroot=$(awk '$3 == "cgroup2" && $2 ~ "^/sys/" { print $2; exit }' /proc/mounts)
group=$cgroot/$LAB
mkdir "$group"
mkdir -p "$DIR/bpf/other"
others_gone() { rm -rf "$DIR/bpf/other" 2>/dev/null; for ((i = 0; i < 50; i++)); do rmdir "$group" 2>/dev/null && return; [ -d "$group" ] || return; sleep 0.1; done; }
trap 'others_gone; end_of_test' EXIT
bpftool prog loadall "$TMP/other.o" "$DIR/bpf/other" >"$TMP/said" 2>&1 || { bad "loading the programs of others"; said; }
for pair in "other_connect connect6" "other_bind post_bind6" "other_ops sock_ops"; do
	set -- $pair
	check "a program of theirs at $2 of a control group" bpftool cgroup attach "$group" "$2" pinned "$DIR/bpf/other/$1" multi
done
inside() { bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' _ "$group" "$@"; }
bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' _ "$group" "$SF" lab --name "$LAB" exec server -- python3 "$HERE/peer.py" serve "$(address grouped)" 80 web --name grouped & g=$!
pids+=($g)
registered grouped 1 80 && ok "a listener in that group is registered"
check "and served, to a client in such a group" inside "$SF" lab --name "$LAB" exec client -- python3 "$HERE/peer.py" loop "$(address grouped)" 80 --n 5 --timeout 5
seen=$(seen_by "$(bpftool -j prog show pinned "$DIR/bpf/other/other_connect" | jq .id)")
[ "${seen:-0}" -ge 6 ] && ok "their programs ran, too ($seen times)" || bad "their programs ran ${seen:-0} times"
end $g
registered grouped 0 80 && ok "its end unregisters it"
others_gone

# ---- ordinary traffic on the uplink
S=$(lab address server)
# (flows of datagrams whose sockets are gone end by themselves meanwhile)
reasons=$(rest server agent /v1/counters | jq -c '.reasons | del(.["no-such-socket"])')
check "ping" on client ping -q -c 3 -i 0.1 -W 5 "$S"
check "ping in fragments" on client ping -q -c 3 -i 0.1 -W 5 -s 4000 "$S"
check "link-local ping" on client ping -q -c 2 -i 0.1 -W 5 "$(rest client agent /v1/status | jq -r .router.address)%r"
check "all nodes of the link" on client ping -q -c 1 -W 5 ff02::1%r
serve server :: 5001 sum
tries 5 on client nc -z "$S" 5001
says "native TCP" "ok" peer client exchange "$S" 5001 --bytes 8000000 --timeout 20
PLAIN=$(on server ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')
says "TCP to the plain address of a host" "ok" peer client exchange "$PLAIN" 5001 --bytes 8000000 --timeout 20
check "ping of it" on client ping -q -c 1 -W 5 "$PLAIN"
serve server "$S" 5002 sum --udp
sleep 0.3
says "native datagrams" "ok" peer client ask "$S" 5002 --bytes 1000 --timeout 5
says "native fragments" "ok" peer client ask "$S" 5002 --bytes 20000 --timeout 5
options() { # destination options of others: unknown to us, padding, and a type like ours with another shape
	on client python3 - "$S" <<'PY'
import socket, sys
for options in (bytes([0, 0, 1, 4, 0, 0, 0, 0]), bytes([0, 0, 0x1e, 4, 9, 9, 9, 9]), bytes([0, 1, 0x1e, 10] + [0x15] * 10 + [1, 0])):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.setsockopt(socket.IPPROTO_IPV6, 59, options)  # IPV6_DSTOPTS
    s.sendto(b"hello", (sys.argv[1], 5002))
    assert s.recv(100).startswith(b"5 "), options
PY
}
check "destination options of others" options
for pair in "client r 10.9.1.1/24" "r client 10.9.1.2/24" "r server 10.9.2.2/24" "server r 10.9.2.1/24"; do
	set -- $pair
	on "$1" ip addr add "$3" dev "$2"
done
on r sysctl -qw net.ipv4.ip_forward=1
on client ip route add 10.9.2.0/24 via 10.9.1.2
on server ip route add 10.9.1.0/24 via 10.9.2.2
check "IPv4 ping" on client ping -q -c 3 -i 0.1 -W 5 10.9.2.1
check "IPv4 ping in fragments" on client ping -q -c 3 -i 0.1 -W 5 -s 4000 10.9.2.1
background server iperf3 -s -B 10.9.2.1
# Tried itself, not probed before: a connection that says nothing keeps the server busy for a moment.
check "IPv4 iperf3" tries 5 on client iperf3 -c 10.9.2.1 -n 50M
check "IPv4 iperf3, UDP" on client iperf3 -c 10.9.2.1 -u -n 1M -b 100M
equal "nothing of it was counted as anything of ours" "$reasons" "$(rest server agent /v1/counters | jq -c '.reasons | del(.["no-such-socket"])')"

# ---- daemons that cannot start say why, with the place, and with a status
BUILD=$(dirname "$(dirname "$SF")")
declare -A PROGRAM=() SECTION=([scaffoldd]=host [scaffold-router]=router [scaffold-controller]=controller) AT=([scaffoldd]=client [scaffold-router]=r [scaffold-controller]=ctl)
for node in client r ctl; do set -- ${COMMAND[$node]}; PROGRAM[$(basename "$1")]=$1; done
# refuses TEXT STATUS EXPECTED COMMAND...
refuses() {
	local what=$1 status=$2 expected=$3 got
	shift 3
	timeout 20 bash -c '"$@"' _ "$@" >"$TMP/said" 2>&1
	got=$?
	if [ $got = "$status" ] && grep -qF -- "$expected" "$TMP/said"; then ok "$what: $(tail -n 1 "$TMP/said" | sed 's/^.* error: //' | cut -c 1-140)"; else bad "$what: status $got, expected $status and '$expected'"; said; fi
}
for program in scaffoldd scaffold-router scaffold-controller; do
	p=${PROGRAM[$program]} section=${SECTION[$program]} node=${AT[$program]} file=$TMP/bad.conf
	own=(--run "$TMP/other.run" --state "$TMP/other.state" --bpffs "$DIR/bpf/other.$program")
	printf '[%s]\nlog = info\ncolour = blue\n' "$section" >"$file"
	refuses "$program: an unknown key" 2 "$file:3:" "$p" --config "$file" "${own[@]}"
	printf '[%s]\n\nlog = loud\n' "$section" >"$file"
	refuses "$program: a wrong value" 2 "$file:3:" "$p" --config "$file" "${own[@]}"
	refuses "$program: --check tells, too" 2 "$file:3:" "$p" --config "$file" --check
	printf '[%s]\nlog info\n' "$section" >"$file"
	refuses "$program: no '='" 2 "$file:2:" "$p" --config "$file" "${own[@]}"
	printf '[elsewhere]\nlog = info\n' >"$file"
	refuses "$program: an unknown section" 2 "$file:" "$p" --config "$file" "${own[@]}"
	refuses "$program: no such file" 2 "$TMP/none.conf" "$p" --config "$TMP/none.conf" "${own[@]}"
	refuses "$program: an unknown option" 2 "--sideways" "$p" --sideways
	refuses "$program: an argument" 2 "sideways" "$p" sideways
	refuses "$program: a second one in the same run directory" 1 "$DIR/$node" "$SF" lab --name "$LAB" exec "$node" -- ${COMMAND[$node]}
	check "$program: --help" "$p" --help
	check "$program: --version" "$p" --version
	check "$program: --sample" "$p" --sample
	"$p" --sample >"$file"
	sed -i 's/^#* *as *=.*/as = 1/; s/^#* *block *=.*/block = 9/; s/^#* *listen *=.*/listen = [::1]:24159/; s/^#* *plain *=.*/plain = yes/' "$file" # what has no default
	check "$program: its sample is a configuration" "$p" --config "$file" --check
done
printf 'heartbeat = 3 parsecs\n' >"$TMP/bad.conf"
refuses "a key outside of a section" 2 "$TMP/bad.conf:1:" "${PROGRAM[scaffoldd]}" --config "$TMP/bad.conf"
printf '[host]\nheartbeat = 3 parsecs\n' >"$TMP/bad.conf"
refuses "a time with an unknown unit" 2 "$TMP/bad.conf:2:" "${PROGRAM[scaffoldd]}" --config "$TMP/bad.conf"
printf '[host]\nallow_uid = root, nobody-of-that-name\n' >"$TMP/bad.conf"
refuses "a user that there is not" 2 "nobody-of-that-name" "${PROGRAM[scaffoldd]}" --config "$TMP/bad.conf" --check
printf '[router]\nroles = access, bakery\n' >"$TMP/bad.conf"
refuses "a role that there is not" 2 "bakery" "${PROGRAM[scaffold-router]}" --config "$TMP/bad.conf" --check
printf '[controller]\nlisten = nowhere:here\nplain = yes\n' >"$TMP/bad.conf"
refuses "an address that is none" 2 "nowhere:here" "${PROGRAM[scaffold-controller]}" --config "$TMP/bad.conf" --check
printf '[controller]\nlisten = [::1]:24159\ntls_cert = %s/none.pem\ntls_key = %s/none.key\ntls_ca = %s/none.ca\n' "$TMP" "$TMP" "$TMP" >"$TMP/bad.conf"
refuses "a certificate that there is not" 1 "$TMP/none" "${PROGRAM[scaffold-controller]}" --config "$TMP/bad.conf" --run "$TMP/other.run" --state "$TMP/other.state"
refuses "--check opens what is named, and says where" 2 "$TMP/bad.conf:4: tls_key: $TMP/none.key: No such file" "${PROGRAM[scaffold-controller]}" --config "$TMP/bad.conf" --state "$TMP/other.state" --check
printf '[router]\ncontroller = [::1]:24159\ntls_cert = %s\ntls_key = %s\ntls_ca = %s\n' "$DIR"/tls/{r.pem,ctl.key,ca.pem} >"$TMP/bad.conf"
refuses "--check of a router: a key of another certificate" 2 "$TMP/bad.conf:4: tls_key: $DIR/tls/ctl.key: does not belong to certificate $DIR/tls/r.pem" "${PROGRAM[scaffold-router]}" --config "$TMP/bad.conf" --state "$TMP/other.state" --check
sed -i 's/ctl\.key/r.key/' "$TMP/bad.conf"
check "--check of a router that is well" "${PROGRAM[scaffold-router]}" --config "$TMP/bad.conf" --state "$TMP/other.state" --check
printf '[host]\nheartbeat = 1s\nsocket_group = no-such-group\nallow_uid = no-such-user\n' >"$TMP/bad.conf"
refuses "--check of an agent: a user" 2 "$TMP/bad.conf:4: allow_uid: " "${PROGRAM[scaffoldd]}" --config "$TMP/bad.conf" --check
refuses "--check of an agent: and a group, in one go" 2 "$TMP/bad.conf:3: socket_group: got 'no-such-group', expected" "${PROGRAM[scaffoldd]}" --config "$TMP/bad.conf" --check

# Ports in use.
printf '[controller]\nlisten = [%s]:24159\nplain = yes\n' "$(lab address ctl)" >"$TMP/bad.conf"
refuses "the controller's port is in use" 1 ":24159" "$SF" lab --name "$LAB" exec ctl -- "${PROGRAM[scaffold-controller]}" --config "$TMP/bad.conf" --run "$TMP/other.run" --state "$TMP/other.state"
printf '[router]\nas = 1\nblock = 9\n' >"$TMP/bad.conf"
refuses "the router's port is in use" 1 "24158" "$SF" lab --name "$LAB" exec r -- "${PROGRAM[scaffold-router]}" --config "$TMP/bad.conf" --run "$TMP/other.run" --state "$TMP/other.state" --bpffs "$DIR/bpf/other"
equal "that router left nothing" "" "$(ls "$DIR/bpf/other" 2>/dev/null)"

# Privileges, kernels.
chmod 755 "$TMP" "$TMP"/other.* 2>/dev/null
mkdir -p "$TMP/open" && chmod 777 "$TMP/open"
install -m 755 "${PROGRAM[scaffoldd]}" "$TMP/open/scaffoldd"; install -m 755 "${PROGRAM[scaffold-router]}" "$TMP/open/scaffold-router"
printf '[router]\nas = 1\nblock = 9\n' >"$TMP/open/router.conf"; printf '[host]\n' >"$TMP/open/host.conf"
chmod 644 "$TMP"/open/*.conf
mine=(--run "$TMP/open/run" --state "$TMP/open/state" --bpffs "$TMP/open/bpf")
refuses "the agent without privileges" 1 "CAP_NET_ADMIN" setpriv --reuid 1000 --regid 1000 --clear-groups "$TMP/open/scaffoldd" --config "$TMP/open/host.conf" "${mine[@]}"
refuses "the router without privileges" 1 "CAP_NET_ADMIN" setpriv --reuid 1000 --regid 1000 --clear-groups "$TMP/open/scaffold-router" --config "$TMP/open/router.conf" "${mine[@]}"
rm -rf "$TMP/open/run" "$TMP/open/state"
if unshare -Urn true 2>/dev/null; then
	refuses "the agent as root of a user namespace" 1 "CAP_BPF" unshare -Urn "$TMP/open/scaffoldd" --config "$TMP/open/host.conf" "${mine[@]}"
	rm -rf "$TMP/open/run" "$TMP/open/state"
	refuses "the router as root of a user namespace" 1 "not permitted" unshare -Urn "$TMP/open/scaffold-router" --config "$TMP/open/router.conf" "${mine[@]}"
	rm -rf "$TMP/open/run" "$TMP/open/state"
else
	echo "SKIPPED daemons as root of a user namespace: none can be made here (a chroot?)"
fi
bare=(unshare -mn bash -c 'mount --make-rprivate /; eval "$1"; shift; exec "$@"' _)
refuses "a kernel without BTF" 1 "btf" "${bare[@]}" "mkdir -p $TMP/empty; mount --bind $TMP/empty /sys/kernel/btf" "$TMP/open/scaffoldd" --config "$TMP/open/host.conf" "${mine[@]}"
refuses "a system without control groups" 1 "cgroup" "${bare[@]}" "for m in \$(awk '\$3 == \"cgroup2\" { print \$2 }' /proc/mounts | sort -r); do umount -l \$m; done" "$TMP/open/scaffoldd" --config "$TMP/open/host.conf" "${mine[@]}"

# Files that are not what they should be.
mkdir -p "$TMP/key.state" && echo "no key" >"$TMP/key.state/host.key" && chmod 600 "$TMP/key.state/host.key"
refuses "a host key that is none" 1 "host.key" unshare -n "${PROGRAM[scaffoldd]}" --config "$TMP/open/host.conf" --run "$TMP/other.run" --state "$TMP/key.state" --bpffs "$DIR/bpf/other"
head -c 5000 /dev/urandom >"$TMP/key.state/controller.db"
printf '[controller]\nlisten = [::1]:24177\nplain = yes\n' >"$TMP/bad.conf"
refuses "a store that is none" 1 "controller.db" "${PROGRAM[scaffold-controller]}" --config "$TMP/bad.conf" --run "$TMP/other.run" --state "$TMP/key.state"
mkdir -p "$TMP/router.state"; head -c 5000 /dev/urandom >"$TMP/router.state/router.db"
refuses "a router's store that is none" 1 "router.db" unshare -n "${PROGRAM[scaffold-router]}" --config "$TMP/open/router.conf" --run "$TMP/other.run" --state "$TMP/router.state" --bpffs "$DIR/bpf/other"
works "and those that run, run on"
finish
