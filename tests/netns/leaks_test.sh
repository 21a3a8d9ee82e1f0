#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A hundred flows that move again and again, at either end, leave nothing behind: no entry, descriptor, route, rule, address,
# program or memory. Usage: leaks_test.sh SCAFFOLD-BINARY; MOVES=N for more of them
#
#      m1 ==== [r1] [r2] --- [r3] [r4] ==== s1         each has links to two, of which one is up
#                           ctl
. "$(dirname "$0")/lib.sh"
need bpftool
ROUTER=r3
cat >"$TMP/leaks.lab" <<'LAB'
host       m1 s1
router     r1 r2 r4  roles=access
router     r3        roles=access,service
controller ctl
link m1-r1 s1-r3
link m1-r2 s1-r4  state=down
link r1-r3 r2-r3 r4-r3
link r3-ctl
LAB
lab_up "$TMP/leaks.lab"
for n in m1 s1; do
	printf 'probe_after = 1s\n' >>"$DIR/$n/scaffoldd.conf"
	lab restart $n >/dev/null 2>&1
done
TCP=$(address ltcp) UDP=$(address ludp)
serve s1 "$TCP" 7 echo --timeout 3600
serve s1 "$UDP" 53 echo --udp
registered ltcp 1 7
registered ludp 1 53 udp

cat >"$TMP/flows.py" <<'PY'
"""Fifty flows of each kind, each of which says a number and hears it, until FILE is there; TCP ends by RST, without TIME_WAIT."""
import os, socket, struct, sys
tcp, udp, until = sys.argv[1:]
streams = [socket.create_connection((tcp, 7), timeout=60) for _ in range(50)]
datagrams = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(50)]
for s in datagrams:
    s.connect((udp, 53))
    s.settimeout(0.05)
rounds = lost = 0
while not os.path.exists(until):
    for s in streams:
        s.sendall(struct.pack(">I", rounds))
    for s in datagrams:
        s.send(struct.pack(">I", rounds))
    for s in streams:
        said = b""
        while len(said) < 4:
            more = s.recv(4 - len(said))
            assert more, "end"
            said += more
        assert said == struct.pack(">I", rounds), "another number"
    for s in datagrams:
        try:
            while s.recv(4) != struct.pack(">I", rounds):
                pass
        except TimeoutError:
            lost += 1
    rounds += 1
    if rounds == 3:
        print("up", flush=True)
for s in streams:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
print("ok", rounds, "rounds,", lost, "datagrams lost")
PY
start() {
	rm -f "$TMP/stop"
	"$SF" lab --name "$LAB" exec m1 -- python3 "$TMP/flows.py" "$TCP" "$UDP" "$TMP/stop" >"$TMP/flows" 2>&1 & talk=$!
	pids+=($talk)
	wait_for "a hundred flows" grep -q up "$TMP/flows" || { cat "$TMP/flows"; ss -s; }
}
stop() {
	local began=$SECONDS
	touch "$TMP/stop"
	wait $talk && ok "the flows: $(tail -n 1 "$TMP/flows")" || bad "the flows: $(tail -n 3 "$TMP/flows")"
	# A server without a connection of its own asks for a client that is silent.
	tries 40 none || bad "not all flows have ended: $(rest s1 agent "/v1/flows?limit=1000" | jq -c '[.flows[] | [.proto, .state]] | group_by(.) | map([.[0], length])')"
	echo "    (after $((SECONDS - began)) s)"
}
entries() { bpftool -j map dump pinned "$(rest "$1" agent /v1/status | jq -r .datapath.dir)/$2" | jq length; }
none() { [ "$(entries m1 flows) $(entries m1 moves) $(entries s1 flows) $(entries s1 moves)" = "0 0 0 0" ]; }
move() { lab move "$1" --to "$2" >"$TMP/said" 2>&1 || bad "lab move $1 --to $2: $(cat "$TMP/said")"; }
settled() { # NODE: all of them, and where it is
	holds "$1" agent "/v1/flows?limit=1000" "[.flows[] | select(.state == \"bound\")] | length == 100 and all(.move.state == \"settled\" and (.own_locator | startswith(\"$(locator "$1" | sed 's/::$//'):\")))"
}
state() {
	local n pid map
	for n in m1 s1; do
		pid=$(daemon_pid $n)
		for map in flows moves uplinks; do echo "$n $map $(entries $n $map)"; done
		echo "$n descriptors $(ls "/proc/$pid/fd" | wc -l), of eBPF $(readlink /proc/$pid/fd/* | grep -c bpf)"
		echo "$n pins $(ls "$(rest $n agent /v1/status | jq -r .datapath.dir)" | wc -l)"
		on $n bash -c "ip -6 rule; ip -6 route show table all | grep -v 'proto kernel\|cache' | sed 's/ metric.*\| expires.*//' | sort; ip -o -6 addr | sed 's/ valid_lft.*//' | sort; bpftool -j net | jq -c '.[].tc[] | [.devname, .kind, .name]' | sort" | sed "s/^/$n /"
	done
}
memory() { local n; for n in m1 s1; do awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid $n)/status"; done | xargs; }
moves() { # HOW MANY, there and back at either end in turn
	local i
	for ((i = 0; i < $1; i += 4)); do
		for to in "m1 r2" "s1 r4" "m1 r1" "s1 r3"; do
			move "${to% *}" "${to#* }"
			tries 40 settled "${to% *}" && tries 40 settled "$([ "${to% *}" = m1 ] && echo s1 || echo m1)" ||
				bad "not all flows are at ${to#* }: $(rest "${to% *}" agent "/v1/flows?limit=1000" | jq -c '[.flows[] | [.state, .move.state]] | group_by(.) | map([.[0], length])')"
		done
	done
}
# Once, for what is made for the first time.
start
moves 4
stop
state >"$TMP/before"
memory_before=$(memory)
[ "$(grep -c . "$TMP/before")" -gt 20 ] || bad "too little state for this test to have a meaning"
start
[ "$(entries m1 flows) $(entries s1 flows)" = "100 100" ] && ok "there are a hundred flows at either end" || bad "flows: $(entries m1 flows), $(entries s1 flows)"
moves "${MOVES:-8}"
equal "what is kept of moves" "100 100" "$(entries m1 moves) $(entries s1 moves)"
stop
as_before() { state >"$TMP/after"; cmp -s "$TMP/before" "$TMP/after"; }
tries 10 as_before && ok "all is as it was, $(wc -l <"$TMP/before") lines of state" || { bad "something is left:"; diff "$TMP/before" "$TMP/after"; }
read -r m s <<<"$memory_before"
read -r m2 s2 <<<"$(memory)"
echo "    resident memory, kB: $m, then $m2; $s, then $s2"
((m2 < m + m / 5 + 400 && s2 < s + s / 5 + 400)) && ok "memory does not grow" || bad "memory grows: $m kB, then $m2; $s, then $s2"
finish
