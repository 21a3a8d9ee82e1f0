# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the tests in the virtual machine share, beside tests/netns/lib.sh, which they use: `. lib.sh`, with
# SCAFFOLD-BINARY as the test's first argument.
[ -n "${SF_VM:-}" ] || { echo "SKIPPED: for the virtual machine only (tests/vm/run)"; exit 77; }
LIB=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../netns")
. "$LIB/lib.sh"
# An emulated machine is slow, and all the slower where it shares its processors.
wait_for() { local what=$1; shift; tries 60 "$@" || { bad "$what did not happen within 60 s"; return 1; }; }
