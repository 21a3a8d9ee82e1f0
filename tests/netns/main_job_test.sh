#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, as lab/demo shows it, in small; and that it leaves nothing behind. Usage: main_job_test.sh SCAFFOLD-BINARY
#
#      h1 curl            ctl              h3 nginx
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 nginx, `scaffold run`
#        /  \____________________________/  \
#      h2 wget                               h5
. "$(dirname "$0")/lib.sh"
need nginx curl wget iperf3 openssl bpftool nft

# What there is outside of the demo's own namespaces. Other labs on this machine come and go: theirs is not looked at.
cgroots=$(awk '$3 == "cgroup2" && $2 ~ "^/sys/" { print $2 }' /proc/mounts)
traces() {
	ip netns list 2>/dev/null | grep "^$LAB"
	ip -o link | sed 's/^[0-9]*: \([^:]*\).*/link \1/' | grep -- "$LAB\|sf-absent\|link sf"
	ip -6 rule
	ip -4 rule
	ip -6 route show table all
	ip -4 route show table all
	ip -o addr show | sed 's/ valid_lft.*//'
	tc qdisc show
	nft list ruleset
	sysctl -a 2>/dev/null | grep 'ip_nonlocal_bind\|ipv6.conf.*.forwarding\|ipv6.conf.*.accept_ra '
	awk -v t="$TMP" 'index($0, t)' /proc/mounts
	pgrep -af -- "$TMP/run" | grep -v pgrep
	# Control groups are named by the cookies of the demo's namespaces; `hosts` gathers these while it runs.
	for root in $cgroots; do
		sort -u "$TMP/cookies" | while read -r cookie; do find "$root/scaffold/$cookie" -maxdepth 0 2>/dev/null; done
	done
	find "$TMP" /run/netns /var/run/scaffold /run/scaffold /sys/fs/bpf/scaffold /tmp/scaffold-demo.* -maxdepth 0 2>/dev/null
	ls -A "$TMP"
}
mkdir "$TMP/tmp"
hosts() {
	while sleep 0.5; do
		find "$TMP/tmp" -maxdepth 6 -path '*/bpf/host-*' 2>/dev/null | sed 's/.*host-//'
	done
}
touch "$TMP/cookies" "$TMP/said" "$TMP/demo" "$TMP/before" "$TMP/after"
traces >"$TMP/before"
hosts >"$TMP/cookies" & pids+=($!)

NAME=$LAB TMPDIR=$TMP/tmp SCAFFOLD=$SF FETCHES=${FETCHES:-300} MIB=${MIB:-64} SECONDS_IPERF=${SECONDS_IPERF:-1} \
	bash "$HERE/../../lab/demo" >"$TMP/demo" 2>&1
status=$?
grep '^  ok: ' "$TMP/demo"
[ $status = 0 ] && ok "the demo's verdict" || { bad "the demo exits with $status"; cat "$TMP/demo"; }
grep -q 'every step held; nothing is left behind' "$TMP/demo" && ok "it says so" || bad "no verdict of the demo"
equal "its four checks were made" 4 "$(grep -c '^  ok: ' "$TMP/demo")"
grep -q 'FAILED' "$TMP/demo" && bad "the demo names failures: $(grep FAILED "$TMP/demo")"
equal "no temporary file is left" "" "$(ls -A "$TMP/tmp")"
equal "the demo's five hosts were watched" 5 "$(sort -u "$TMP/cookies" | wc -l)"
traces >"$TMP/after"
cmp -s "$TMP/before" "$TMP/after" && ok "nothing is left" || { bad "left behind, or changed:"; diff "$TMP/before" "$TMP/after"; }
finish
