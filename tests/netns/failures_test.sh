#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A peer is gone: its process, its socket, its host, its link, its routers. Programs that only receive learn of it, too;
# what is only cut off for a while goes on. Flows are shed, drained, and not ended by strangers.
# Usage: failures_test.sh SCAFFOLD-BINARY
#
#      h1 client         ctl -- sr2       h3 instance      (sr2 is linked to r1 and r2, as sr is)
#        \                |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 instance
#        /  \___________________________/  \
#      h2 attacker                         h5 instance
. "$(dirname "$0")/lib.sh"
need curl
fig6_with 'router sr2 roles=service' 'link r1-sr2 r2-sr2' 'link sr2-ctl' >"$TMP/two"
lab_up --emulate "$TMP/two"
GRACE=2
for n in h1 h4; do
	printf 'probe_after = 1s\nmove_grace = %ds\n' $GRACE >>"$DIR/$n/scaffoldd.conf"
	lab restart $n >"$TMP/said" || said
	wait_for "$n is ready again" is_ready $n
done
link() { lab link "$@" >"$TMP/said" 2>&1 || { bad "link $*"; said; }; }

# wait.py ADDRESS PORT: says "up", then how a connection ends on which it only receives
cat >"$TMP/wait.py" <<'PY'
import errno, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.settimeout(40)
print("up", flush=True)
try:
    print("data" if s.recv(1) else "end", flush=True)
except OSError as e:
    print(errno.errorcode.get(e.errno, "TIMEOUT"), flush=True)
PY
# receives NAME ADDRESS: such a client on h1, its output in $TMP/NAME
receives() {
	"$SF" lab --name "$LAB" exec h1 -- python3 "$TMP/wait.py" "$2" 80 >"$TMP/$1" 2>&1 &
	pids+=($!)
	wait_for "the client of $1 is connected" grep -q up "$TMP/$1"
}
ended() { [ "$(wc -l <"$TMP/$1")" -ge 2 ]; }
ends_in() { # NAME SECONDS WORD...
	local name=$1 seconds=$2
	shift 2
	tries "$seconds" ended "$name" || { bad "$name: the client hangs"; return 1; }
	case " $* " in *" $(tail -n 1 "$TMP/$name") "*) ok "$name: the client gets $(tail -n 1 "$TMP/$name")" ;; *) bad "$name: the client gets $(tail -n 1 "$TMP/$name"), not $*" ;; esac
}
lives() { ended "$1" && bad "$1: the client got $(tail -n 1 "$TMP/$1")" || ok "$1: the connection lives"; }
told() { on "$1" "$SF" --json events | jq -e --arg k "$2" --arg r "$3" 'any(.[]; .kind == $k and .reason == $r)' >/dev/null; }
explained() { # NODE REASON
	on "$1" "$SF" flows | grep -q "($2)" && ok "scaffold flows of $1: ($2)" || bad "scaffold flows of $1 does not say ($2)"
	wait_for "the event log of $1 has flow-failed, $2" told "$1" flow-failed "$2" && ok "events of $1: flow-failed, $2"
}
# instance NODE NAME: who accepts and says nothing; $NODE is its process
instance() { serve "$1" "$(address "$2")" 80 hang --until "$TMP/never" --timeout 600; declare -g "$1=$!"; registered "$2" 1 80; }

# ---- the process (Serval's fifth defect: its client stayed connected for ten minutes)
instance h3 a
receives serval-5-killed "$(address a)"
end $h3
ends_in serval-5-killed 5 end ECONNRESET

# ---- the host silently dead
instance h3 b
receives silent "$(address b)"
receives silent-too "$(address b)"
link h3-r2 loss=100%
ends_in silent $((GRACE + 10)) ECONNRESET
ends_in silent-too 5 ECONNRESET
explained h1 host-unreachable
link h3-r2 clear

# ---- it is there again, and has been started anew: it knows nothing of the flow
wait_for "h3 is back" is_ready h3
registered b 1 80
receives rebooted "$(address b)"
daemons_know
lab kill h3 >/dev/null
daemon_start h3 --discard
ends_in rebooted 15 ECONNRESET
explained h1 no-such-socket
end $h3
daemon_ready h3

# ---- its link is cut
instance h3 c
receives cut "$(address c)"
link h3-r2 down
ends_in cut $((GRACE + 10)) ECONNRESET
link h3-r2 up
wait_for "h3 is back" is_ready h3

# ---- cut off for a while: shorter than move_grace, and again as long as one's own link is down
registered c 1 80
on h1 true
receives healed "$(address c)"
link h3-r2 loss=100%
sleep $((GRACE - 1))
link h3-r2 clear
sleep $((GRACE + 1))
lives healed
link h1-r1 down
sleep $((2 * GRACE + 2))
lives healed
link h1-r1 up
wait_for "h1 is back" is_ready h1
sleep 2
lives healed

# ---- its service router: another one takes over, and who is connected does not notice
for at in r1-sr r2-sr sr-ctl; do link $at down; done
check "new connections, with sr gone" peer h2 connect "$(address c)" 80 --timeout 10
says "they go by the other one" "dev sr2" on r1 ip -6 route get "$(address c)"
lives healed
for at in r1-sr r2-sr sr-ctl; do link $at up; done

# ---- its access router: the daemon alone is not missed, the machine is
lab kill r2 >/dev/null
sleep $((GRACE + 3))
lives healed
lab start r2 >"$TMP/said" 2>&1 || said
wait_for "r2 is ready again" is_ready r2
link r1-r2 down
link r2-sr down
link r2-sr2 down
ends_in healed $((GRACE + 15)) ECONNRESET
link r1-r2 up
link r2-sr up
link r2-sr2 up
end $h3

# ---- the host leaves: nobody waits for it
lab restart h5 >"$TMP/said" || said
wait_for "h5 is ready" is_ready h5
instance h5 d
receives left "$(address d)"
lab stop h5 >/dev/null
ends_in left 2 ECONNRESET
lab start h5 >"$TMP/said" || said
end $h5

# ---- shed and drain, in use
wait_for "h3 is ready" is_ready h3
wait_for "h5 is ready" is_ready h5
E=$(address e)
for n in h3 h4; do serve $n "$E" 80 echo --name $n --timeout 600; declare "$n=$!"; done
registered e 2 80
for i in 1 2 3 4 5 6 7 8; do
	"$SF" lab --name "$LAB" exec h1 -- python3 "$HERE/peer.py" keep "$E" 80 --every 0.2 --until "$TMP/enough" >"$TMP/used$i" 2>&1 & pids+=($!)
	wait_for "connection $i" grep -q up "$TMP/used$i"
done
flows_at() { rest "$1" agent /v1/flows | jq --arg a "$E" '[.flows[] | select(.local == $a and .state == "bound")] | length'; }
at3=$(flows_at h3)
says "shed" "e on h3: shed; no flows left" on ctl "$SF" shed e --host h3
equal "no flow is left on h3" 0 "$(flows_at h3)"
equal "as many connections have ended as h3 had" "$at3" "$(grep -lE 'ECONNRESET' "$TMP"/used? | wc -l)"
[ "$at3" -gt 0 ] || echo "note: the hash gave h3 none of them"
equal "h4 keeps its own" $((8 - at3)) "$(flows_at h4)"
equal "new ones go to h4 alone" 1 "$(instances sr e 80)"
told h3 shed shed && ok "the event log of h3 has it" || bad "the event log of h3 has no shed"
left=$(on ctl "$SF" --json drain e --host h4 | jq .flows_left)
[ "$left" -ge 0 ] && ok "drain says how many are left: $left" || bad "drain says $left"
fails "drain does not wait for ever" on ctl "$SF" drain e --host h4 --wait --timeout 2
touch "$TMP/enough"
check "drain waits until the last has ended" on ctl "$SF" drain e --host h4 --wait --timeout 20
says "shed of what nobody has" "no instance" on ctl "$SF" shed nobody
says "shed of a service without an instance there" "no instance of it is on this host" on ctl "$SF" shed e --host h2
says "shed of an unknown host" "none of this name has joined" on ctl "$SF" shed e --host h9
says "shed of what is not here, at the host" "not registered here" on h4 "$SF" shed nobody
check "undrain of all, at the controller" on ctl "$SF" undrain e
wait_for "both take new flows" has_instances sr e 2 80
says "shed, at the host" "e: shed; no flows left" on h4 "$SF" shed e
wait_for "h3 alone takes new flows" has_instances sr e 1 80
says "undrain of another host needs a controller" "need a controller" on h4 "$SF" undrain e --host h3
says "undrain of what is not here, at the host" "not registered here" on h4 "$SF" undrain nobody
says "undrain, at the host" "e: takes new flows" on h4 "$SF" undrain e
wait_for "h4 takes new flows again" has_instances sr e 2 80
end $h3 $h4

# ---- shed before service routers have heard of it: who has lost its flow asks at once, and is led there again
cat >"$TMP/retry.py" <<'PY'
import errno, socket, sys, threading
def tell(line): # print() writes twice
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
def ask():
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    s.settimeout(60)
    s.sendall(b"\n")
    return s, s.recv(100).decode().strip()
def one():
    s, name = ask()
    tell("up " + name)
    while True:
        try:
            s.recv(1)
            return
        except TimeoutError:
            return
        except OSError:
            try:
                s, name = ask()
            except OSError as e:
                tell("again " + errno.errorcode.get(e.errno, "TIMEOUT"))
                return
            tell("again " + name)
for _ in range(int(sys.argv[3])):
    threading.Thread(target=one).start()
PY
counted() { [ "$(grep -c "$2" "$TMP/$1")" = "$3" ]; }
# retries NAME ADDRESS N: so many clients on h1
retries() {
	"$SF" lab --name "$LAB" exec h1 -- python3 "$TMP/retry.py" "$2" 80 "$3" >"$TMP/$1" 2>&1 &
	declare -g retries=$!
	pids+=($!)
	wait_for "$3 connections" counted "$1" up "$3"
}
G=$(address g)
for n in h3 h4; do serve $n "$G" 80 web --name $n --timeout 600; declare "$n=$!"; done
registered g 2 80
ROUTER=sr2 registered g 2 80
retries late "$G" 32
had=$(grep -c "up h3" "$TMP/late")
late="$(daemon_pid sr) $(daemon_pid sr2)"
kill -STOP $late
says "shed, and service routers are late" "g on h3: shed; no flows left" on ctl "$SF" shed g --host h3
wait_for "all $had that were there ask again" counted late again "$had" && ok "$had clients ask again"
equal "and are led on to h4" "$had" "$(grep -c "again h4" "$TMP/late")"
kill -CONT $late
end $retries
check "undrain" on ctl "$SF" undrain g
wait_for "both take new flows" has_instances sr g 2 80
says "shed, at the host" '"draining":true' rest h4 agent /v1/services/g/tcp/80/shed -X POST
says "undrain, at once" '"draining":false' rest h4 agent /v1/services/g/tcp/80/undrain -X POST
wait_for "both take new flows, again" has_instances sr g 2 80
wait_for "by the other service router, too" has_instances sr2 g 2 80
retries kept "$G" 8
sleep 3
counted kept again 0 && ok "whoever comes after the undrain stays" || bad "flows are ended that came after the undrain"
end $retries $h3 $h4

# ---- a host leaves whose router is slow to hear of it: who has lost its flow is not led there again, to nobody
L=$(address l)
serve h5 "$L" 80 web --name h5 --timeout 600; h5=$!
registered l 1 80
ROUTER=sr2 registered l 1 80
retries slow "$L" 8
late=$(daemon_pid r2)
kill -STOP $late
lab stop h5 >/dev/null
wait_for "all ask again" counted slow again 8
equal "and are refused" 8 "$(grep -c "again ECONNREFUSED" "$TMP/slow")"
kill -CONT $late
end $retries $h5
lab start h5 >"$TMP/said" || said

# ---- a host without its uplink ends many flows: each once, and then it ends itself
cat >"$TMP/hold.py" <<'PY'
import socket, sys, time
held = [socket.create_connection((sys.argv[1], 80)) for _ in range(int(sys.argv[2]))]
print("up", flush=True)
time.sleep(600)
PY
M=$(address m)
wait_for "h5 is ready" is_ready h5
serve h5 "$M" 80 echo --timeout 600; h5=$!
registered m 1 80
ROUTER=sr2 registered m 1 80
"$SF" lab --name "$LAB" exec h1 -- python3 "$TMP/hold.py" "$M" 1500 >"$TMP/many" 2>&1 & many=$!
pids+=($many)
tries 60 grep -q up "$TMP/many" || bad "no 1500 connections"
on h5 ip link del r2
equal "none is said to have ended that has not" 0 "$(rest h5 agent /v1/services/m/tcp/80/shed -X POST | jq .ended)"
stopping=$(daemon_pid h5)
kill -TERM "$stopping"
gone() { ! kill -0 "$stopping"; }
tries 20 gone && ok "the host ends" || bad "the host does not end"
end $many $h5

# ---- strangers, and the peer's host with what is not the flow's (Serval's first defect: both ended flows)
instance h4 f
F=$(address f)
receives serval-1-forged "$F"
cat >"$TMP/forge.py" <<'PY'
import os, random, struct, sys
sys.path.insert(0, sys.argv[1])
import raw
own, victim, host, n = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
link, zero, rnd = raw.Link(os.environ["LINK"]), bytes(12), random.Random(7)
for i in range(n):
    e, p = raw.sock(victim, rnd.getrandbits(48)), raw.sock(host, rnd.getrandbits(48))
    src = p if own == host else raw.sock(own, rnd.getrandbits(48))
    quote = raw.ip6(e, p, raw.TCP, raw.tcp(e, p, rnd.getrandbits(16), 80, flags=0x10))
    for reason in (2, 3, 4, 5, 16):
        link.send(raw.alone(src, e, raw.FAIL, zero, zero, struct.pack(">BBBBHH", 1, 6, reason, 0, len(quote), 0), quote))
    socks = b"".join(rnd.getrandbits(48).to_bytes(6, "big") for _ in range(16))
    tlv = struct.pack(">BBBBHH", 3, 6, 0, 0, rnd.getrandbits(16), rnd.getrandbits(16)) + bytes([4, 96]) + socks + bytes(6)
    link.send(raw.alone(raw.sock(own, 1), raw.sock(victim, 1), 11, zero, zero, tlv, b""))
print(n)
PY
forge() { # NODE LINK N
	"$SF" lab --name "$LAB" exec "$1" -- env LINK="$2" python3 "$TMP/forge.py" "$HERE" "$(locator "$1")" "$(locator h1)" "$(locator h4)" "$3"
}
check "forged FAILs and PROBE-ACKs of a third host" forge h2 r1 3000
check "of the peer's host, about other sockets" forge h4 r2 3000
sleep 3
lives serval-1-forged
taken=$(rest h1 agent /v1/counters | jq '[.reasons["unknown-socket"].packets, .reasons["wrong-peer"].packets, .reasons["wrong-ack"].packets] | add')
[ "$taken" -gt 5000 ] && ok "$taken of them reached h1" || bad "only $taken reached h1: the check has no meaning"
end $h4
ends_in serval-1-forged 5 end ECONNRESET
finish
