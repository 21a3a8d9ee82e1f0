#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: the eBPF programs under BPF_PROG_TEST_RUN, as on any kernel. Usage: bpf_test.sh TEST-PROGRAM...
# Here a test that skips itself has failed: this kernel has all that is required.
status=0
for test in "$@"; do
	said=$("$test" 2>&1)
	code=$?
	if [ $code = 0 ]; then
		echo "ok: $(basename "$test"): $(grep -c '^\[  *OK \]' <<<"$said") cases"
	else
		echo "FAILED: $(basename "$test") (status $code)"
		grep -v '^\[  *OK \]\|^\[ RUN' <<<"$said" | tail -n 40
		status=1
	fi
done
exit $status
