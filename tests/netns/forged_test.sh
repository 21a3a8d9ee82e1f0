#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Control messages that nobody should have believed: said off the link, by a neighbour, or overheard and said again.
# Usage: forged_test.sh SCAFFOLD-BINARY
#
#      h1 victim         ctl          h3 attacker
#        \                |            /
#         [r1] -------- [ sr ] ---- [r2]
. "$(dirname "$0")/lib.sh"
need curl
lab_up fig6
WEB=$(address fweb)
serve h1 "$WEB" 80 echo
registered fweb 1 80
plain=$(on h1 ip -6 -o addr show scope global | grep -o 'fd5c:[0-9a-f:]*')

# forge NODE FROM TO SECONDS: REFRESH, then DENIED replayed with a TIME near the end of all numbers, for any JOIN
cat >"$TMP/forge.py" <<'EOF'
import socket, struct, sys, time
source, to, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
at = socket.getaddrinfo(to, 24158, socket.AF_INET6)[0][4]
if source:
    s.bind(socket.getaddrinfo(source, 0, socket.AF_INET6)[0][4])
def item(kind, value): return struct.pack(">HH", kind, len(value)) + value
def message(kind, seq, *items): return struct.pack(">2sBBIQ", b"SF", 1, kind, seq, 0) + b"".join(items)
denied = item(11, bytes([102, 0, 0, 0])) + item(26, struct.pack(">Q", 2**63 - 2))
end = time.time() + seconds
while time.time() < end:
    s.sendto(message(11, 0), at)
    until = time.time() + 0.02
    while time.time() < until:
        for seq in range(1, 30):
            s.sendto(message(12, seq, denied), at)
    time.sleep(0.2)
EOF
joins() { grep -c 'event {"kind":"host-joined"' "$DIR/h1/scaffoldd.log"; }
before=$(joins)
on h3 python3 "$TMP/forge.py" "" "$plain" 3
equal "REFRESH and DENIED off the link" "$before" "$(joins)"
link=$(on r1 ip -o link | grep -o ' h1@' | tr -d ' @')
on r1 ip addr add fe80::bad/64 dev "$link" nodad
on r1 python3 "$TMP/forge.py" "fe80::bad%$link" "fe80::1%$link" 3
equal "REFRESH and DENIED of a neighbour that is not the router" "$before" "$(joins)"
on r1 ip addr del fe80::bad/64 dev "$link" # the router would answer from it
on r1 python3 "$TMP/forge.py" "fe80::6%$link" "fe80::1%$link" 2
sleep 0.5
[ "$(joins)" -gt "$before" ] && ok "a REFRESH from the router's address is heeded" || bad "a REFRESH from the router's address is not heeded"

# a program that is denied as fast as it can: the log says so, and does not grow with it
cat >"$TMP/binds.py" <<'EOF'
import os, socket, sys, time
os.setgid(65534)
os.setuid(65534)
end = time.time() + 3
while time.time() < end:
    for port in range(20000, 20100):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind((sys.argv[1], port))
EOF
on h1 python3 "$TMP/binds.py" "$WEB"
sleep 1
lines=$(grep -c 'denied' "$DIR/h1/scaffoldd.log")
[ "$lines" -gt 20 ] && [ "$lines" -lt 200 ] && ok "denials are in the log, $lines lines" || bad "denials made $lines lines of log"

# the mark by which the agent asks for a wide window, for a connection that was handed over: no other program's is heeded
cat >"$TMP/mark.py" <<'EOF'
import socket, struct, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x5f48ffff)
s.connect((sys.argv[1], 80))
print("window", struct.unpack_from("=I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 80)[0])  # tcpi_snd_cwnd
EOF
window=$(on h3 python3 "$TMP/mark.py" "$WEB" | sed -n 's/^window //p')
[ "${window:-65535}" -lt 1000 ] && ok "a forged mark gives no window: $window segments" || bad "a forged mark gives a window of $window segments"

# flows are nobody's to move or end but of those who may
chmod 755 "$TMP"
asks() { on h1 setpriv --reuid "$1" --regid "$1" --clear-groups curl -sS -m 5 -o /dev/null -w '%{http_code}' --unix-socket "$DIR/h1/agent.sock" -X POST -H 'Content-Type: application/json' -d '{"all": true, "to": "r1"}' "http://localhost/v1/$2"; }
for what in migrate services/fweb/tcp/80/shed services/fweb/tcp/80/drain services/fweb/tcp/80/undrain; do
	equal "an ordinary user may not: ${what##*/}" 403 "$(asks 1000 "$what")"
	[ "$(asks 0 "$what")" != 403 ] && ok "root may" || bad "root may not: ${what##*/}"
done

# an overheard JOIN, said again where it was not heard
cat >"$TMP/hear.py" <<'EOF'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.settimeout(20)
print("listening", flush=True)
while True:
    p = s.recv(4096)
    d = p[62:]
    if p[12:14] == b"\x86\xdd" and p[20] == 17 and d[:2] == b"SF" and d[3] == 1:
        open(sys.argv[1], "wb").write(d)
        break
EOF
cat >"$TMP/say.py" <<'EOF'
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(open(sys.argv[1], "rb").read(), ("ff02::5caf", 24158, 0, socket.if_nametoindex(sys.argv[2])))
while s.recv(4096)[3] != 2:
    pass
EOF
"$SF" lab --name "$LAB" exec h1 -- python3 "$TMP/hear.py" "$TMP/join" >"$TMP/heard" 2>&1 & pids+=($!)
tries 5 grep -q listening "$TMP/heard"
on r1 python3 "$TMP/forge.py" "fe80::6%$link" "fe80::1%$link" 3
check "a JOIN is overheard" tries 5 test -s "$TMP/join"
uplink=$(on h3 ip -o link | grep -o ' r2@' | tr -d ' @')
check "and gets an address at another router" on h3 python3 "$TMP/say.py" "$TMP/join" "$uplink"
sleep 0.5
equal "nobody has moved" 0 "$(grep -c host-moved "$DIR/ctl/"*.log)"
says "the service is where it was" "ok " peer h3 connect "$WEB" 80 --timeout 5

# whatever was believed, the host comes back after a restart of its agent
kill -9 "$(daemon_pid h1)"
nsenter --net="/run/netns/$LAB-h1" "$(dirname "$SF")/../agent/scaffoldd" --config "$DIR/h1/scaffoldd.conf" --run "$DIR/h1" \
	--bpffs "$DIR/bpf" --state "$DIR/h1/state" >"$TMP/again" 2>&1 & pids+=($!)
check "a new agent joins with its own clock" tries 10 grep -q 'event {"kind":"host-joined"' "$TMP/again"
finish
