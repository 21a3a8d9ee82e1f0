#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts meson's testlog.json (one JSON object a line) for tests/run: summary.py LOG MESON_STATUS."""
import json
import os
import sys


def main():
    log, status = sys.argv[1], int(sys.argv[2])
    passed, failed, skipped, partly = 0, [], [], []
    try:
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                test = json.loads(line)
                if test["result"] in ("OK", "EXPECTEDFAIL"):
                    passed += 1
                    # A program of many cases says so where it left one out.
                    output = test.get("stdout", "") + test.get("stderr", "")
                    partly += [f"{test['name']}: {said}" for said in output.splitlines()
                               if said.startswith("SKIPPED ")]
                elif test["result"] == "SKIP":
                    skipped.append(test)
                else:
                    failed.append(test)
    except OSError as e:
        print(f"{log}: {e.strerror}: no test ran", file=sys.stderr)
        status = status or 1

    here = os.path.dirname(os.path.abspath(__file__))
    allowed = set()
    if os.path.exists(os.path.join(here, "skips-allowed")):
        with open(os.path.join(here, "skips-allowed"), encoding="utf-8") as lines:
            allowed = {line.split("#")[0].strip() for line in lines} - {""}

    print()
    unexpected = False
    for test in skipped:
        name = test["name"].split(" / ")[-1]
        said = (test.get("stderr") or test.get("stdout") or "").strip().splitlines()
        unexpected |= name not in allowed
        print(f"SKIPPED {name}: {said[-1] if said else 'it did not say why'}")
    for said in partly:
        print(f"IN PART {said}")
    for test in failed:
        print(f"FAILED {test['name']}: {test['result']}")
    if passed + len(failed) + len(skipped) == 0:
        print("no test ran", file=sys.stderr)
        status = status or 1
    sys.stderr.flush()
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    if status or failed:
        return 1
    return 2 if unexpected and os.environ.get("SF_STRICT") == "1" else 0


sys.exit(main())
