# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the tests in network namespaces share; `. lib.sh`, with SCAFFOLD-BINARY as the test's first argument.
#
# A test brings a lab up, makes its checks, and ends with `finish`:
#   ok TEXT, bad TEXT                    count a check that held, or did not
#   check TEXT COMMAND...                ok if the command succeeds, else bad with the end of what it said
#   fails TEXT COMMAND...                the other way round
#   says TEXT EXPECTED COMMAND...        the command's output contains EXPECTED
#   wait_for TEXT COMMAND...             the command succeeds within ten seconds, else bad
# Everything is taken down and every process ended by a trap, however the test ends.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SF=$(readlink -f "${1:?usage: $(basename "$0") SCAFFOLD-BINARY}")
TITLE=$(basename "$0" _test.sh)
LAB=t-${TITLE:0:4}-$$ # at most 15 characters
TMP=$(mktemp -d "${TMPDIR:-/tmp}/scaffold-$TITLE.XXXXXX")
export SCAFFOLD_RUN=$TMP/run
DIR=$SCAFFOLD_RUN/lab/$LAB # what the lab keeps: DIR/NODE/...
PATH=$(dirname "$SF"):$PATH
passed=0 failed=0 pids=()

ok() { echo "ok: $*"; passed=$((passed + 1)); }
bad() { echo "FAILED: $*"; failed=$((failed + 1)); }
skip() { echo "SKIPPED: $*"; rm -rf "$TMP"; exit 77; }
said() { tail -n 12 "$TMP/said" | sed 's/^/    | /'; }
check() { local what=$1; shift; if "$@" >"$TMP/said" 2>&1; then ok "$what"; else bad "$what (status $?): $*"; said; fi; }
fails() { local what=$1; shift; if "$@" >"$TMP/said" 2>&1; then bad "$what: succeeds: $*"; said; else ok "$what"; fi; }
says() {
	local what=$1 expected=$2
	shift 2
	"$@" >"$TMP/said" 2>&1
	if grep -qF -- "$expected" "$TMP/said"; then ok "$what"; else bad "$what: expected '$expected' from: $*"; said; fi
}
# equal WHAT EXPECTED GOT
equal() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', got '$3'"; fi; }
# tries SECONDS COMMAND...: until it succeeds
tries() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}
wait_for() { local what=$1; shift; tries 10 "$@" || { bad "$what did not happen within 10 s"; return 1; }; }

[ "$(id -u)" = 0 ] || skip "needs root, to make network namespaces"
need() { local tool; for tool in "$@"; do command -v "$tool" >/dev/null || skip "no $tool"; done; }
need ip jq python3 ss

lab() { "$SF" lab --name "$LAB" "$@"; }
on() { local node=$1; shift; lab exec "$node" -- "$@"; }
peer() { local node=$1; shift; lab exec "$node" -- python3 "$HERE/peer.py" "$@"; }
# background NODE COMMAND...: its process is $! and is ended with the test
background() { "$SF" lab --name "$LAB" exec "$1" -- "${@:2}" >/dev/null 2>&1 & pids+=($!); }
# serve NODE ARGS...: peer.py serve, in the background
serve() { local node=$1; shift; "$SF" lab --name "$LAB" exec "$node" -- python3 "$HERE/peer.py" serve "$@" 2>>"$TMP/$node.serve" & pids+=($!); }
# (a function in the background would be a shell of its own, whose death the program does not notice)
# end PID...: SIGKILL, and wait
end() { kill -9 "$@"; wait "$@"; } 2>/dev/null

lab_down() {
	local p
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done
	wait "${pids[@]}" 2>/dev/null
	pids=()
	[ -d "$DIR" ] || return 0
	lab down >"$TMP/down" 2>&1 || { cat "$TMP/down"; return 1; }
}
lab_up() { # [OPTION...] TOPOLOGY
	lab up "$@" >"$TMP/up" 2>&1 || { cat "$TMP/up"; bad "the lab does not come up"; exit 1; }
}
# fig6_with LINE...: Figure 6 and further lines, as a file
fig6_with() { "$SF" lab topologies fig6; printf '%s\n' "$@"; }

end_of_test() {
	local status=$?
	trap - EXIT INT TERM
	if ((failed)) && [ -n "${KEEP:-}" ]; then
		echo "kept: SCAFFOLD_RUN=$SCAFFOLD_RUN scaffold lab --name $LAB ..."
		exit 1
	fi
	lab_down || failed=$((failed + 1))
	rm -rf "$TMP"
	exit $((failed ? 1 : status))
}
trap end_of_test EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
finish() {
	echo "$passed passed, $failed failed"
	exit $((failed > 0))
}

address() { "$SF" id --address "$1"; }
sid() { "$SF" --json id "$1" | jq -r .sid; }
# what a node's daemon says over REST: rest NODE agent|router|controller PATH [CURL ARGS]
rest() { local node=$1 which=$2 path=$3; shift 3; curl -sS -m 10 --unix-socket "$DIR/$node/$which.sock" "$@" "http://localhost$path"; }
# instances NODE SERVICE [PORT] [PROTO]: how many take new flows, as the router NODE sees them
instances() {
	SCAFFOLD_RUN=$DIR/$1 "$SF" --json services |
		jq --arg s "$(sid "$2")" --arg p "${3:-}" --arg t "${4:-}" \
			'[.[] | select(.sid == $s and .state == "live" and ($p == "" or (.port | tostring) == $p) and ($t == "" or .proto == $t))] | length'
}
has_instances() { [ "$(instances "$1" "$2" "${4:-}" "${5:-}")" = "$3" ]; } # NODE SERVICE N [PORT] [PROTO]
# registered SERVICE N [PORT] [PROTO]: at the service router
registered() { wait_for "$2 instances of $1 ${3:-}" has_instances "${ROUTER:-sr}" "$@"; }
# counter NODE REASON: packets counted under it by the datapath of the node's daemon
counter() {
	local which=router
	[ -S "$DIR/$1/agent.sock" ] && which=agent
	rest "$1" $which /v1/counters | jq --arg r "$2" '.reasons[$r].packets // 0'
}
# daemon_pid NODE
daemon_pid() { "$SF" --json lab --name "$LAB" status | jq -r --arg n "$1" '.nodes[] | select(.name == $n).process.pid'; }
locator() { rest "$1" agent /v1/status | jq -r .locator; }

# ---- daemons that die and return
declare -A DAEMON=() COMMAND=()
# daemons_know: remember how each daemon was started
daemons_know() {
	local node pid
	while read -r node pid; do
		DAEMON[$node]=$pid
		COMMAND[$node]=$(tr '\0' ' ' <"/proc/$pid/cmdline")
	done < <("$SF" --json lab --name "$LAB" status | jq -r '.nodes[] | "\(.name) \(.process.pid)"')
}
daemon_log() { echo "$DIR/$1/test.log"; }
daemon_start() { # NODE [OPTION...]
	# shellcheck disable=SC2086 # a command line of words without spaces
	"$SF" lab --name "$LAB" exec "$1" -- ${COMMAND[$1]} "${@:2}" >>"$(daemon_log "$1")" 2>&1 &
	DAEMON[$1]=$!
	pids+=($!)
}
daemon_kill() { # -9, all of them at once
	local n
	for n in "$@"; do kill -9 "${DAEMON[$n]}" 2>/dev/null; done
	for n in "$@"; do wait "${DAEMON[$n]}"; tries 5 daemon_gone "$n"; done
} 2>/dev/null # else the shell tells of each
daemon_gone() { ! kill -0 "${DAEMON[$1]}" 2>/dev/null; }
# holds NODE WHICH PATH EXPRESSION: what a daemon says makes it true (no answer does not)
holds() { [ "$(rest "$1" "$2" "$3" 2>/dev/null | jq "$4")" = true ]; }
is_ready() {
	case $1 in
	h*) holds "$1" agent /v1/status .joined ;;
	ctl) holds ctl controller /v1/status '.settled and .routers.connected == 3' ;;
	*) holds "$1" router /v1/status .controller.synced ;;
	esac
}
daemon_ready() { wait_for "$1 is ready again" is_ready "$1" || { tail -n 5 "$(daemon_log "$1")"; return 1; }; }
