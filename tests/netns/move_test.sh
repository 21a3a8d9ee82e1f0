#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Flows whose ends move: every byte arrives once and in order, nothing is reset, and each flow goes on, wherever its ends are.
# Usage: move_test.sh SCAFFOLD-BINARY
#
#      m1 ---- [r1] --- [r3] ---- s1
#        \             / |  \    /
#         ---- [r2] ---  ctl [r4]        the second link of each is down to begin with
. "$(dirname "$0")/lib.sh"
need iperf3 curl nginx socat
ROUTER=r3

cat >"$TMP/move.lab" <<'LAB'
host       m1 s1
router     r1 r2 r4  roles=access
router     r3        roles=access,service
controller ctl
link m1-r1  delay=1ms
link m1-r2  delay=1ms state=down
link s1-r3  delay=1ms
link s1-r4  delay=1ms state=down
link r1-r3 r2-r3 r4-r3
link r3-ctl
LAB
lab_up "$TMP/move.lab"
# What is slow here is the machine: nobody is given up for being away.
for n in m1 s1; do
	printf 'move_grace = 120s\n' >>"$DIR/$n/scaffoldd.conf"
	"$SF" lab --name "$LAB" restart "$n" >/dev/null
done
daemons_know
FLOWS="[.flows[] | select(.proto == \"tcp\" and .state == \"bound\")]"
flows() { rest "$1" agent "/v1/flows?limit=100000" | jq "$FLOWS"; }
place() { locator "$1" | sed 's/::$//'; }

# ---- programs
for name in echo calm src dst web iperf iperfin; do declare "${name^^}=$(address "$name")"; done
serve s1 "$ECHO" 7 echo --timeout 3600
serve s1 "$CALM" 7 echo --timeout 3600
serve s1 "$SRC" 9 source --timeout 3600
serve s1 "$DST" 9 sink --timeout 3600
background s1 iperf3 -s -B "$IPERF"
background s1 iperf3 -s -B "$IPERFIN"
background s1 socat "TCP6-LISTEN:23,bind=[$ECHO],fork,reuseaddr" EXEC:cat
mkdir "$TMP/www"
head -c 40000000 /dev/urandom >"$TMP/www/blob"
sha=$(sha256sum <"$TMP/www/blob")
cat >"$TMP/nginx.conf" <<NGINX
daemon off; user root; error_log $TMP/nginx.err; pid $TMP/nginx.pid; events {}
http { access_log off; server { listen [$WEB]:80; root $TMP/www; limit_rate 4m; } }
NGINX
background s1 nginx -c "$TMP/nginx.conf"
for name in "echo 7" "calm 7" "src 9" "dst 9" "iperf 5201" "iperfin 5201" "web 80"; do registered ${name% *} 1 ${name#* }; done

declare -A running=()
# runs NAME COMMAND...: a client at m1, for as long as $TMP/stop is not there
runs() {
	local name=$1
	shift
	"$SF" lab --name "$LAB" exec m1 -- "$@" >"$TMP/$name.out" 2>&1 &
	running[$name]=$!
	pids+=($!)
}
long() { local name=$1; shift; runs "$name" python3 "$HERE/peer.py" "$@" --until "$TMP/stop" --timeout 120; wait_for "$name" grep -q up "$TMP/$name.out"; }
all_start() {
	rm -f "$TMP/stop"
	long download download "$SRC" 9
	long upload upload "$DST" 9
	long keep keep "$ECHO" 7 --every 0.05
	long idle keep "$CALM" 7 --every 3600 # says nothing until the end
	runs curl curl -fsS -o "$TMP/curl.blob" "http://[$WEB]/blob"
	runs iperf-out iperf3 -c "$IPERF" -t 3600 -b 50M --connect-timeout 5000
	runs iperf-in iperf3 -c "$IPERFIN" -R -t 3600 -b 20M --connect-timeout 5000
}
all_end() {
	local name
	touch "$TMP/stop"
	for name in download upload keep idle curl; do
		if wait "${running[$name]}"; then ok "$name: $(tail -n 1 "$TMP/$name.out")"; else bad "$name: $(tail -n 2 "$TMP/$name.out")"; fi
	done
	equal "the file arrives whole" "$sha" "$(sha256sum <"$TMP/curl.blob")"
	# It has all the time in the world: what matters is that it still runs.
	for name in iperf-out iperf-in; do
		kill -0 "${running[$name]}" 2>/dev/null && ok "$name runs" || bad "$name ended: $(tail -n 2 "$TMP/$name.out")"
		end "${running[$name]}"
	done
	running=()
}

# ---- what is to be seen after each move
is_settled() { holds "$1" agent "/v1/flows?limit=100000" "$FLOWS | length > 0 and all(.move == null or .move.state == \"settled\")"; }
is_at() { # NODE OTHER: both ends' flows are where the hosts are
	local own peer
	own=$(place "$1") peer=$(place "$2")
	flows "$1" | jq -e --arg o "$own:" --arg p "$peer:" 'all((.own_locator | startswith($o)) and (.peer_locator | startswith($p)))' >/dev/null
}
together() { is_settled m1 && is_settled s1 && is_at m1 s1 && is_at s1 m1; }
# Bytes of what runs without end, by client port.
moved_bytes() { flows m1 | jq -c "map(select(.peer == \"$SRC\" or .peer == \"$DST\" or .peer == \"$ECHO\" or (.peer == \"$IPERF\" and .tx_bytes > 10000) or (.peer == \"$IPERFIN\" and .rx_bytes > 10000))) | map({key: .id, value: (.tx_bytes + .rx_bytes)}) | from_entries"; }
have_grown() { jq -en --argjson a "$1" --argjson b "$(moved_bytes)" '$a | to_entries | length > 4 and all(.value + 10000 < $b[.key] or .value + 200 < $b[.key])' >/dev/null; }
both_settled() { is_settled m1 && is_settled s1; }
# go_on TEXT [CONDITION]: ends agree, and data flows
go_on() {
	local before
	wait_long "$1: both ends know each other" "${2:-together}" || { flows m1; flows s1; }
	before=$(moved_bytes)
	wait_long "$1: flows go on" have_grown "$before" && ok "$1"
}
wait_long() { local what=$1; shift; tries 40 "$@" || { bad "$what did not happen within 40 s: $*"; return 1; }; }
moves() { "$SF" lab --name "$LAB" move "$@" >"$TMP/said" 2>&1 || bad "lab move $*: $(cat "$TMP/said")"; }

daemon_back() { wait_for "$1 has joined again" holds "$1" agent /v1/status .joined; }

# ---- moves
all_start
go_on "before anything moves"
moves m1 --to r2
go_on "the client's link goes, another comes"
moves m1 --to r1 --gap 1s
go_on "the same, a second without any"
moves s1 --to r4
go_on "the server's link goes, another comes"
registered web 1 80
moves m1 --to r2
moves s1 --to r3
go_on "both at once: the one before the other is there"
lab link m1-r2 down >/dev/null
lab link s1-r3 down >/dev/null
sleep 5
lab link m1-r1 up >/dev/null
lab link s1-r4 up >/dev/null
go_on "both away for seconds, and back elsewhere"
for i in 1 2 3 4 5; do
	moves m1 --to r2; sleep 0.$((RANDOM % 9 + 1))
	moves m1 --to r1; sleep 0.$((RANDOM % 9 + 1))
done
go_on "ten moves in a row"
all_end
equal "nothing was over" 0 "$(rest m1 agent "/v1/events?limit=10000" | jq '[.events[] | select(.kind == "flow-over" or .kind == "flow-superseded")] | length')"
[ "$(rest m1 agent "/v1/events?limit=10000" | jq '[.events[] | select(.kind == "flow-moved")] | length')" -gt 0 ] && ok "moves are told" || bad "no event of a move"
told() { rest "$1" agent "/v1/events?limit=10000" | jq -e --arg k "$2" --arg t "$3" 'any(.events[]; .kind == $k and (.text | contains($t)))' >/dev/null; }
check "why our end moved" told m1 flow-moved "link lost: r"
check "the other end says that it was not its doing" told s1 flow-moved "the peer's doing"
check "flows that had no place waited" told m1 flow-waits "no place"

# ---- both links up: flows are where they are told to be
place_by() { rest m1 agent /v1/status | jq -r --arg l "$1" '.uplinks[] | select(.link == $l).locator | rtrimstr("::")'; }
both_joined() { holds m1 agent /v1/status '[.uplinks[] | select(.role != null)] | length == 2'; }
count_at() { flows m1 | jq --arg o "$(place_by "$1"):" 'map(select(.own_locator | startswith($o))) | length'; }
has_at() { [ "$(count_at "$1")" = "$2" ]; }
all_start
lab link m1-r2 up >/dev/null
wait_for "joined by both links" both_joined
here=$(rest m1 agent /v1/status | jq -r '.uplinks[] | select(.role == "primary").link')
other=$(rest m1 agent /v1/status | jq -r '.uplinks[] | select(.role == "standby").link')
go_on "two links"
equal "all flows stay where they are" 0 "$(count_at "$other")"
id=$(flows m1 | jq -r --arg s "$SRC" '.[] | select(.peer == $s).id')
says "migrate --flow" "1 flow moved to $other" on m1 "$SF" migrate --flow "$id" --to "$other"
equal "it alone is there" 1 "$(count_at "$other")"
check "an order is told as one" tries 10 told m1 flow-moved "ordered by migrate"
says "migrate --service" "flow" on m1 "$SF" migrate --service iperf --to "$other"
equal "its flows are there" 3 "$(count_at "$other")"
go_on "flows by either link" both_settled
check "migrate --all, as JSON" bash -c "'$SF' lab --name $LAB exec m1 -- '$SF' --json migrate --all --to $other | jq -e '.moving == 0 and .moved > 1 and .there == 3'"
equal "none is left" 0 "$(count_at "$here")"
go_on "all by the other link" both_settled
for to in "$here" "$other" "$here" "$other"; do on m1 "$SF" migrate --all --to "$to" >/dev/null || bad "migrate --all --to $to"; done
go_on "to and fro" both_settled
lab link "m1-$other" down >/dev/null
go_on "that link goes: they are at the primary again"
lab link "m1-$other" up >/dev/null
wait_for "joined by both links" both_joined
lab link "m1-$here" down >/dev/null
go_on "the primary goes: the standby takes over"
all_end

# ---- an interactive echo, by a program that knows nothing
mkfifo "$TMP/in"
"$SF" lab --name "$LAB" exec m1 -- socat -t 30 - "TCP6:[$ECHO]:23" <"$TMP/in" >"$TMP/echo.out" 2>&1 & talk=$!
pids+=($talk)
exec 5>"$TMP/in"
says_back() { echo "$1" >&5; wait_for "the echo of $1" grep -qx "$1" "$TMP/echo.out" && ok "echo: $1"; }
says_back here
moves m1 --to r1
says_back there
moves s1 --to r3
says_back everywhere
exec 5>&-
wait $talk && ok "the echo ends well" || bad "the echo: $(tail -n 2 "$TMP/echo.out")"

# ---- an agent that is killed while flows move: the next one goes on
all_start
go_on "before the agent is killed"
daemon_kill m1
moves m1 --to r2
sleep 0.5
daemon_start m1
daemon_back m1
go_on "moved without an agent: the next one tells"
moves m1 --to r1
daemon_kill m1
daemon_start m1
daemon_kill s1
daemon_start s1
daemon_back m1
daemon_back s1
go_on "both agents are killed in the midst of it"
all_end

# ---- a lost link of which the kernel tells late, for it has just told of another one
on s1 ip link add late0 type veth peer name late1
on s1 ip link set late0 up
on s1 ip link set late1 up
in_order() { rest m1 agent "/v1/events?limit=10000" | jq -r '[.events[].kind | select(. == "uplink-down" or . == "host-joined")][-2:] | join(" ")'; }
for to in r2 r1; do
	sleep 1.5 # it has told of what was before
	on s1 ip link set late1 down
	moves m1 --to $to
	daemon_back m1
	sleep 2
	equal "to $to: the loss is seen as the other link comes, and not a second later" "uplink-down host-joined" "$(in_order)"
	on s1 ip link set late1 up
done

# ---- migrate: what is not possible
fails "no such interface" on m1 "$SF" migrate --all --to nowhere
says "says so" "no such interface" on m1 "$SF" migrate --all --to nowhere
says "an interface that is down" "the interface is down" on m1 "$SF" migrate --all --to r2
says "one that is no uplink" "no router is looked for" on m1 "$SF" migrate --all --to lo
peer m1 keep "$ECHO" 7 --until "$TMP/stop2" --every 0.1 >"$TMP/last" 2>&1 & pids+=($!)
wait_for "a flow" grep -q up "$TMP/last"
says "where it is already" "there already" on m1 "$SF" migrate --all --to r1
says "no such flow" "no such flow" on m1 "$SF" migrate --flow 00000000 --to r1
says "no such service" "no flow of this service" on m1 "$SF" migrate --service nobody --to r1
says "no id" "8 hexadecimal digits" on m1 "$SF" migrate --flow x --to r1
touch "$TMP/stop2"
finish
