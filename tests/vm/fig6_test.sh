#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: the paper's Figure 6 on the oldest kernel that is promised. Usage: fig6_test.sh SCAFFOLD-BINARY
# The main job in small with nginx, curl and wget, and what else of tests/netns meets the kernel: loading, attaching by clsact (there
# is no tcx before 6.6), checksums, socket events, both directions of streams and datagrams, retry, and a daemon's return.
. "$(dirname "$0")/lib.sh"
need nginx curl wget bpftool

# Of all that a lab makes there is nothing in this machine but what this test made.
traces() {
	ip netns list
	ip -o link | sed 's/^[0-9]*: \([^:]*\).*/link \1/'
	ip -6 rule
	ip -6 route show table all | sed 's/ expires [0-9]*sec//'
	find /sys/fs/bpf -mindepth 1
	find /sys/fs/cgroup -mindepth 1 -type d
	grep -F "$TMP" /proc/mounts
	bpftool cgroup tree 2>/dev/null | grep sf_
	bpftool prog list | grep sf_
	pgrep -a scaffold
}
traces >"$TMP/before"
case $(uname -r) in 6.1.*) ok "this is Linux $(uname -r)" ;; *) bad "this is Linux $(uname -r), not the oldest promised" ;; esac
lab_up --timeout 120 fig6
for node in h1 h3 r1 sr; do
	check "$node finds nothing wrong with this kernel" on "$node" "$SF" status
done
attached() { on "$1" tc filter show dev "$2" "$3"; }
says "without tcx the host's programs are at clsact: egress" sf_host_egress attached h1 r1 egress
says "ingress" sf_host_ingress attached h1 r1 ingress
equal "and the agent knows" false "$(rest h1 agent /v1/status | jq '.features[] | select(.name == "tcx").there')"

for name in sum echo uecho; do declare "${name^^}=$(address "$name")"; done
serve h3 "$SUM" 7 sum
serve h3 "$ECHO" 7 echo --timeout 600
serve h3 "$UECHO" 7 echo --udp
for name in sum echo; do registered $name 1 7; done
registered uecho 1 7 udp

says "a stream, both directions" "ok 2097152" peer h1 exchange "$SUM" 7 --bytes 2097152
says "both at once" "ok 1048576" peer h2 both "$ECHO" 7 --bytes 1048576
says "client and instance on one host" "ok 262144" peer h3 exchange "$SUM" 7 --bytes 262144
says "a connected datagram socket" "ok" peer h1 ask "$UECHO" 7 --bytes 100 --timeout 20
says "an unconnected one" "ok" peer h1 ask "$UECHO" 7 --bytes 100 --timeout 20 --unconnected
says "a datagram in fragments" "ok" peer h1 ask "$UECHO" 7 --bytes 4000 --timeout 5 --tries 6
says "an unknown service is refused at once" ECONNREFUSED peer h1 connect "$(address nobody)" 80 --timeout 20
on r1 ip link set r2 mtu 1400
on r2 ip link set r1 mtu 1400
says "the path's MTU is discovered" "ok 1048576" peer h1 exchange "$SUM" 7 --bytes 1048576
says "and told by a router" "mtu 1400" on h1 ip -6 route get "$SUM"

# ---- the main job: two nginx, one bound to the service address and one that knows nothing of it
WEB=$(address web)
# nginx_conf NODE LISTEN
nginx_conf() {
	mkdir "$TMP/$1"
	cat >"$TMP/$1/conf" <<-CONF
	worker_processes 1; daemon off; pid $TMP/$1/pid; error_log $TMP/$1/error.log; user root;
	events { worker_connections 512; }
	http {
		access_log off; client_body_temp_path $TMP/$1/body; proxy_temp_path $TMP/$1/proxy; fastcgi_temp_path $TMP/$1/fastcgi;
		uwsgi_temp_path $TMP/$1/uwsgi; scgi_temp_path $TMP/$1/scgi;
		server { listen $2; location = /who { return 200 "$1\n"; } location / { root $TMP/www; } }
	}
	CONF
}
nginx_conf h3 "[$WEB]:80"
nginx_conf h4 "[::]:80"
background h3 nginx -c "$TMP/h3/conf"
background h4 "$SF" run --service web -- nginx -c "$TMP/h4/conf"
registered web 2 80
mkdir "$TMP/www"
head -c 4M /dev/urandom >"$TMP/www/file"
check "wget fetches a file" on h2 wget -q -T 60 -O "$TMP/got" "http://[$WEB]/file"
check "and it is whole" cmp "$TMP/www/file" "$TMP/got"

check "h4 is to have three times the flows of h3" on ctl "$SF" weight web h4 300
weighted() { SCAFFOLD_RUN=$DIR/sr "$SF" --json services | jq -e '[.[] | select(.service == "web").weight] | sort == [100, 300]'; }
wait_for "the weight at the service router" weighted
on h1 curl -sS -m 60 -H 'Connection: close' "http://[$WEB]/who?[1-200]" >"$TMP/who" 2>&1
n3=$(grep -cx h3 "$TMP/who") n4=$(grep -cx h4 "$TMP/who")
# Four standard deviations of a binomial, and of the slots' rounding.
[ $((n3 + n4)) = 200 ] && [ "$n3" -gt 23 ] && [ "$n3" -lt 77 ] && ok "200 fetches by curl: h3 answered $n3, h4 $n4" || bad "200 fetches, 1:3: $(sort "$TMP/who" | uniq -c | head)"

# One of them is killed under connects. A line of each fetch is the answer, one curl's verdict.
on h1 curl -svN -m 60 -H 'Connection: close' -w '%{exitcode} %{errormsg}\n' "http://[$WEB]/who?[1-300]" >"$TMP/loop" 2>"$TMP/loop.err" & loop=$!; pids+=($loop)
fetched() { [ "$(grep -c '^[0-9]' "$TMP/loop")" -ge "$1" ]; }
wait_for "fetches" fetched 30
master=$(cat "$TMP/h4/pid")
kill -9 "$master" $(pgrep -P "$master") # it first: it would replace the others
at=$(grep -c '^[0-9]' "$TMP/loop")
wait $loop
# What the dead program had accepted is reset, some of it in the moment in which connect() succeeds: that is no failure to connect.
reset=$(grep -c ' failed: Connection reset by peer' "$TMP/loop.err")
refused=$(($(grep -c '^7 ' "$TMP/loop") - reset)) all=$(grep -c '^[0-9]' "$TMP/loop") answered=$(grep -c '^h[34]' "$TMP/loop")
[ "$refused" = 0 ] && [ "$all" = 300 ] && [ "$at" -lt 300 ] && [ "$answered" -gt 200 ] &&
	ok "no connect() failed: of 300 fetches $answered were answered, after $at h4 was killed" ||
	{ bad "of $all fetches $refused failed to connect, $answered were answered; after $at h4 was killed"; grep '^[0-9]' "$TMP/loop" | sort | uniq -c; grep ' failed: ' "$TMP/loop.err" | sort | uniq -c; }
registered web 1 80 && ok "the dead instance is gone"
background h4 "$SF" run --service web -- nginx -c "$TMP/h4/conf"
registered web 2 80 && ok "started again it is back"

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
# What the kernel frees later, it frees soon.
clean() { traces >"$TMP/after"; cmp -s "$TMP/before" "$TMP/after"; }
wait_for "all that the lab made is gone" clean && ok "nothing is left" || diff "$TMP/before" "$TMP/after"
finish
