#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A virtual machine with the stack inside migrates between two machines in different subnets: lab/experiments/vm-migration, there
# and back, under a stream. It hears of it, joins at the other access router, has another locator, and its connection goes on.
# Usage: migration_test.sh BUILD
set -u -o pipefail
BUILD=$(readlink -f "$1")
export BUILD
run=$(readlink -f "$(dirname "$0")/../../lab/experiments/vm-migration/run")
TMP=$(mktemp -d /tmp/scaffold-migration-test.XXXXXX)
trap 'rm -rf "$TMP"' EXIT
failed=0
good() { echo "ok: $*"; }
bad() { echo "FAILED: $*"; failed=1; }

AFTER=15 NAME=t-vm$$ "$run" --rounds 2 --out "$TMP/kept" >"$TMP/said" 2>"$TMP/err"
status=$?
[ $status = 77 ] && { cat "$TMP/err"; exit 77; }
[ $status = 0 ] && good "it migrates, there and back" || { bad "status $status"; cat "$TMP/said" "$TMP/err"; }
sed -n 's/.*now \([0-9a-f:]*\):.*/\1/p' "$TMP/said" >"$TMP/places"
[ "$(sort -u "$TMP/places" | wc -l)" = 2 ] && good "at each machine it has a place: $(xargs <"$TMP/places")" || bad "its places: $(xargs <"$TMP/places")"
whole=$(grep -c 'the stream paused for .* wrong: 0)' "$TMP/said")
[ "$whole" = 2 ] && good "the stream went on, twice: $(sed -n 's/.*stream paused for \([0-9.]* ms\).*/\1/p' "$TMP/said" | xargs)" || bad "streams that went on: $whole"
# The agent is the same process all along, and was told by the announcement.
for n in 1 2; do
	grep -q 'joining again.*: the machine was moved' "$TMP/kept/console.$n" && good "it was announced on machine $n" || bad "no announcement on machine $n"
done
[ "$(cat "$TMP"/kept/console.* | grep -c 'scaffoldd.*host guest is')" = 1 ] && good "one agent all along" || bad "the agent has started $(cat "$TMP"/kept/console.* | grep -c 'host guest is') times"
ip netns list | grep -q "^t-vm$$-" && bad "namespaces are left" || good "nothing is left"
((failed)) && echo "migration: FAILED" || echo "migration: all well"
exit $failed
