#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine, under a systemd that runs: the units as `make install` put them. Usage: units_test.sh SCAFFOLD-BINARY
#
#      first a host:    scaffoldd.service [up0] ---- [ r ] ---- c        then a router:  d ---- [d0] scaffold-router.service [e0] ---- e
#      the machine itself is both; scaffold-controller.service runs on it all the time; r, c, d, e are started by hand
. "$(dirname "$0")/lib.sh"
PATH=${PATH#*:} # lib.sh puts the build first
SF=$(command -v scaffold)
unset SCAFFOLD_RUN # what is asked here is the machine's own daemons
case $SF in "$BUILD"/*) bad "the installed scaffold is not in PATH" ;; esac
units=(scaffold-controller scaffold-router scaffoldd)
in_ns() { local n=$1; shift; nsenter --net="/run/netns/$n" "$@"; }
told() { journalctl -q --no-pager -o cat -u "$1" | tail -n 15 | sed 's/^/    | /'; }
active() { systemctl is-active -q "$1"; }
main_pid() { systemctl show -P MainPID "$1"; }
ask() { curl -sS -m 10 --unix-socket "/run/scaffold/$1.sock" "http://x$2"; }
joined() { [ "$(ask agent /v1/status 2>/dev/null | jq .joined)" = true ]; }

# ---- the machine
modprobe -a veth dummy
ip link set lo up
for n in r c d e; do ip netns add $n; ip -n $n link set lo up; mkdir "$TMP/$n"; done
# wire NODE DEVICE: a link from the machine
wire() { ip link add "$2" type veth peer name eth0 netns "$1"; ip link set "$2" up; ip -n "$1" link set eth0 up; }
wire r up0; wire d d0; wire e e0
ip -n c link add eth0 type veth peer name eth1 netns r
ip -n c link set eth0 up; ip -n r link set eth1 up
ip addr add fd00::1/64 dev up0 nodad; ip -n r addr add fd00::2/64 dev eth0 nodad
in_ns r sysctl -qw net.ipv6.conf.all.forwarding=1
mkdir -p /etc/scaffold
cat >/etc/scaffold/scaffold-controller.conf <<'CONF'
[controller]
as = 1
listen = [fd00::1]:24159
plain = yes
CONF
tee "$TMP/r.conf" >/etc/scaffold/scaffold-router.conf <<'CONF'
[router]
controller = [fd00::1]:24159
plain = yes
CONF
echo 'name = r' >>"$TMP/r.conf"
printf '[link %s]\naccess = yes\n' d0 e0 >>/etc/scaffold/scaffold-router.conf
echo $'[host]\nuplink = up0' >/etc/scaffold/scaffoldd.conf
echo $'[host]\nuplink = eth0' >"$TMP/host.conf"
# by_hand NODE DAEMON OPTION...
by_hand() { local n=$1 d=$2; shift 2; nsenter --net="/run/netns/$n" "$d" --run "$TMP/$n" --state "$TMP/$n/state" --bpffs /sys/fs/bpf/hand "$@" >"$TMP/$n/log" 2>&1 & pids+=($!); }
there() { [ "$(curl -sS -m 10 --unix-socket "$TMP/$1/agent.sock" http://x/v1/status 2>/dev/null | jq .joined)" = true ]; }
nonlocal=$(sysctl -n net.ipv6.ip_nonlocal_bind)
traces() { ip -6 rule; ip -6 route show table all | sed 's/ expires [0-9]*sec//' | grep -v fe80 | sort; ip -o link | sed 's/^[0-9]*: \([^:]*\).*/link \1/'; for d in up0 lo; do tc filter show dev $d egress; tc filter show dev $d ingress; tc qdisc show dev $d; done 2>/dev/null; sysctl net.ipv6.ip_nonlocal_bind net.ipv6.conf.up0.accept_dad net.ipv6.conf.up0.optimistic_dad; find /sys/fs/bpf -path '*/hand' -prune -o -type f -print; }
traces >"$TMP/before"

# ---- as they are installed
systemctl daemon-reload
check "the units are understood whole" systemd-analyze verify --man=no "${units[@]/%/.service}"
equal "and come from the installation" 3 "$(systemctl show -P ExecStart "${units[@]}" | grep -cF "$(dirname "$(dirname "$SF")")/sbin/")"
check "the group is made" systemd-sysusers scaffold.conf
check "and is there" getent group scaffold
# confined UNIT: what is said in the unit holds for the process
confined() {
	local pid view
	pid=$(main_pid $1)
	view=(nsenter --mount="/proc/$pid/ns/mnt")
	equal "$1 gains no privileges, and its system calls are filtered" "1 2" "$(echo $(sed -nE 's/^(NoNewPrivs|Seccomp):\s*//p' "/proc/$pid/status"))"
	# Capability 21.
	equal "$1 cannot get CAP_SYS_ADMIN" 0 $((0x$(sed -n 's/^CapBnd:\s*//p' "/proc/$pid/status") >> 21 & 1))
	fails "$1 cannot write programs" "${view[@]}" touch /usr/touched
	grep -qi "read-only" "$TMP/said" && ok "which are read-only" || said
	equal "$1 sees nobody's home" "" "$("${view[@]}" ls -A /root /home 2>/dev/null | grep -v :)"
	fails "$1 does not see others' temporary files" "${view[@]}" test -e "$TMP"
}
touch /root/secret
owner() { stat -c '%G %a' "/run/scaffold/$1.sock"; }
starts() {
	check "$1 starts, and says that it is ready" systemctl start "$1" && active "$1" && ok "$1 is active" && return
	bad "$1 is $(systemctl is-active "$1")"
	told "$1"
	exit 1 # all else would fail for want of it
}
starts scaffold-controller
confined scaffold-controller
equal "its socket is for the group" "scaffold 660" "$(owner controller)"
by_hand r scaffold-router --config "$TMP/r.conf"
starts scaffoldd
confined scaffoldd
as() { local group=$1; shift; setpriv --reuid=nobody --regid="$group" --clear-groups scaffold "$@"; }
check "who is in the group registers by hand" as scaffold register byhand tcp 99
fails "and nobody else" as nogroup register other tcp 99
check "who is in the group takes it back" as scaffold unregister byhand tcp 99
wait_for "the host joins" joined && ok "the host has joined" || { told scaffoldd; tail -n 5 "$TMP/r/log"; }
check "status finds nothing wrong" scaffold status

# ---- hardened, they still do all their work
by_hand c scaffoldd --config "$TMP/host.conf"
wait_for "the host beside joins" there c || tail -n 5 "$TMP/c/log"
SUM=$(address sum) ECHO=$(address echo) RUNS=$(address runs)
python3 "$HERE/peer.py" serve "$SUM" 7 sum & pids+=($!)
python3 "$HERE/peer.py" serve "$ECHO" 7 echo --timeout 600 & pids+=($!)
scaffold run --service runs -- python3 "$HERE/peer.py" serve :: 8 sum >"$TMP/runs" 2>&1 & pids+=($!)
listed() { ask controller /v1/services 2>/dev/null | grep -q "$(sid "$1")"; }
for name in sum echo runs; do wait_for "$name at the controller" listed $name && ok "$name is registered, and the controller knows" || told scaffoldd; done
client() { in_ns c python3 "$HERE/peer.py" "$@"; }
says "it serves" "ok 262144" client exchange "$SUM" 7 --bytes 262144
says "and what scaffold run started" "ok 65536" client exchange "$RUNS" 8 --bytes 65536
client keep "$ECHO" 7 --until "$TMP/stop" --every 0.05 --timeout 120 >"$TMP/keep" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow" grep -q up "$TMP/keep"

# ---- restarts and crashes: the flow and the services stay
another() { local p; p=$(main_pid "$1"); [ "$p" != 0 ] && [ "$p" != "$was" ] && active "$1"; }
# survives UNIT COMMAND...: the command works after a restart and after a death of the unit
survives() {
	local u=$1
	shift
	was=$(main_pid $u)
	check "$u restarts" systemctl restart $u || told $u
	another $u && ok "$u is another process, and active" || bad "$u: $(systemctl is-active $u), process $was before and $(main_pid $u) now"
	says "traffic after $u's restart" "ok 65536" "$@"
	was=$(main_pid $u)
	kill -9 "$was"
	wait_for "systemd starts $u again" another $u && ok "$u was killed and runs again" || told $u
	says "traffic after $u's death" "ok 65536" "$@"
	equal "$u was started again as often as it was killed" 1 "$(systemctl show -P NRestarts $u)"
}
survives scaffoldd client exchange "$SUM" 7 --bytes 65536
survives scaffold-controller client exchange "$SUM" 7 --bytes 65536
wait_for "the host is joined" joined
for name in sum echo runs; do wait_for "$name at the controller" listed $name && ok "$name is registered still"; done
touch "$TMP/stop"
wait $kept && ok "the flow went on through all of it: $(tail -n 1 "$TMP/keep")" || bad "the flow: $(cat "$TMP/keep")"
refused() {
	local said
	said=$(journalctl -q --no-pager -o cat -u "$1" | grep -iE 'not permitted|denied|read-only file|EPERM|EROFS' | sort -u)
	equal "$1 was refused nothing" "" "$said"
}
# stops UNIT
stops() {
	check "$1 stops" systemctl stop "$1" || told "$1"
	equal "and did not fail" "inactive success" "$(systemctl is-active "$1") $(systemctl show -P Result "$1")"
}
refused scaffoldd
end "${pids[@]}"
pids=()
stops scaffoldd
traces >"$TMP/after"
cmp -s "$TMP/before" "$TMP/after" && ok "the agent's stop leaves nothing" || { bad "left behind, or changed:"; diff "$TMP/before" "$TMP/after"; }
equal "the sysctl is as before" "$nonlocal" "$(sysctl -n net.ipv6.ip_nonlocal_bind)"

# ---- the machine as a router
starts scaffold-router
confined scaffold-router
equal "its socket is for the group" "scaffold 660" "$(owner router)"
by_hand d scaffoldd --config "$TMP/host.conf"; by_hand e scaffoldd --config "$TMP/host.conf"
for n in d e; do wait_for "$n joins" there $n && ok "$n has joined at the unit's router" || { told scaffold-router; tail -n 5 "$TMP/$n/log"; }; done
says "status tells of the router that was killed" "router r is lost" scaffold status
check "which is forgotten, as status says" curl -sSf -m 10 -X DELETE --unix-socket /run/scaffold/controller.sock http://x/v1/routers/r
check "status finds nothing wrong" scaffold status
nsenter --net=/run/netns/d python3 "$HERE/peer.py" serve "$SUM" 7 sum & pids+=($!)
nsenter --net=/run/netns/d python3 "$HERE/peer.py" serve "$ECHO" 7 echo --timeout 600 & pids+=($!)
for name in sum echo; do wait_for "$name at the controller" listed $name; done
beside() { in_ns e python3 "$HERE/peer.py" "$@"; }
reached() { beside exchange "$SUM" 7 --bytes 1024 --timeout 10 | grep -q ok; }
wait_for "traffic through the router" reached && ok "traffic goes through the router"
beside keep "$ECHO" 7 --until "$TMP/stop2" --every 0.05 --timeout 120 >"$TMP/keep2" 2>&1 & kept=$!; pids+=($kept)
wait_for "a flow through the router" grep -q up "$TMP/keep2"
survives scaffold-router beside exchange "$SUM" 7 --bytes 65536
check "a reload is survived" systemctl reload scaffold-router
check "and it is active" active scaffold-router
touch "$TMP/stop2"
wait $kept && ok "the flow went on through all of it: $(tail -n 1 "$TMP/keep2")" || bad "the flow: $(cat "$TMP/keep2")"
refused scaffold-router
refused scaffold-controller
stops scaffold-router
stops scaffold-controller
check "what a router leaves is flushed" scaffold-router --flush
equal "routes and programs are gone with it" "" "$(ip -6 route show table all | grep 'proto 213'; for d in d0 e0; do tc filter show dev $d ingress; done)"
finish
