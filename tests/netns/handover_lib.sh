# SPDX-License-Identifier: Apache-2.0
# handover_lib.sh - what the tests of hand-over share: servers that do what they are told (handover.py), and a client.
# `. handover_lib.sh` behind lib.sh, with LIBRARY and TWO, the service's address, set. CLIENT is the client's node.
declare -A IN OUT
CLIENT=h1
server() { # NODE
	mkfifo "$TMP/$1.in" "$TMP/$1.out"
	# shellcheck disable=SC2086 # two words
	lab exec "$1" -- python3 "$HERE/handover.py" "$LIBRARY" serve "$TWO" 7 $SERVE_AS <"$TMP/$1.in" >"$TMP/$1.out" 2>"$TMP/$1.err" & pids+=($!)
	exec {in}>"$TMP/$1.in" {out}<"$TMP/$1.out"
	IN[$1]=$in OUT[$1]=$out
}
# servers_end: all of them; their listeners go
servers_end() {
	local h in out
	for h in $SERVERS; do
		in=${IN[$h]} out=${OUT[$h]}
		exec {in}>&- {out}<&-
		rm -f "$TMP/$h.in" "$TMP/$h.out" "$TMP/old.$h"
	done
	registered two 0 7
}
# tell NODE COMMAND...: its answer
tell() {
	local said
	echo "${*:2}" >&"${IN[$1]}"
	read -r -t 40 said <&"${OUT[$1]}" || said="no answer: $(tail -n 1 "$TMP/$1.err")"
	echo "$said"
}
# servers NODE...: each as "$SERVE_AS", a user and "cap", or as root
SERVE_AS=
servers() { SERVERS=$*; for n in $SERVERS; do server "$n"; done; }
talk() { lab exec $CLIENT -- python3 "$HERE/handover.py" "$LIBRARY" talk "$TWO" 7 "$1" >"$TMP/talk" 2>&1 & talk=$!; pids+=($talk); }
# begin BYTES: a client, at whichever server it comes to: $at, where it is connection $n
begin() {
	local h
	talk "$1"
	wait_for "a connection" begun || return 1
	read -r _ n < <(tell "$at" accept)
}
begun() {
	for at in $SERVERS; do
		on "$at" ss -Htn6 state established "sport = :7" | awk '{ print $4 }' | sort >"$TMP/now.$at"
		[ -n "$(comm -13 <(sort "$TMP/old.$at" 2>/dev/null) "$TMP/now.$at")" ] && return 0
	done
	return 1
}
# what a test leaves is no beginning of the next
settle() { local h; wait "$talk"; for h in $SERVERS; do on "$h" ss -Htn6 state established "sport = :7" | awk '{ print $4 }' | sort >"$TMP/old.$h"; done; }
others() { for h in $SERVERS; do [ "$h" = "$at" ] || echo "$h"; done; }
client_pid() { sed -n 's/^pid //p' "$TMP/talk"; }
unread() { [ "$(tell "$at" pending "$n" | cut -d' ' -f2)" -gt 0 ]; }
arrives() { if tries 60 grep -q "ok $SIZE" "$TMP/talk"; then ok "$1"; else bad "$1: $(cat "$TMP/talk")"; fi; }
SIZE=8000000
