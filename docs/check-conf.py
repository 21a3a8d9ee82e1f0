#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-conf.py PAGE PROGRAM...: scaffold.conf(5) has each key of each daemon, with its default, and no other."""
import re
import subprocess
import sys


def of_page(path):
    """{(section, key): default} of the manual page."""
    keys, section = {}, None
    for line in open(path, encoding="utf-8"):
        if m := re.match(r"\.Ss \[([\w ]+)\]", line):
            section = m[1]
        elif line.startswith(".Sh"):
            section = None
        elif section and (m := re.match(r"\.It Cm (\w+) Ns = Ns Ar ([\w ]+?)(?: Pq (.*))?$", line)):
            default = (m[3] or "").replace("Li ", "").replace(" ,", ",")
            keys[section, m[1]] = default
    return keys


def of_program(path):
    """The same of PROGRAM --sample."""
    keys, section = {}, None
    for line in subprocess.run([path, "--sample"], capture_output=True, text=True, check=True).stdout.splitlines():
        if m := re.match(r"#?\[([\w ]+)\]$", line):
            section = m[1]
        elif m := re.match(r"#(\w+) = (.*)$", line):
            keys[section, m[1]] = m[2].strip()
    return keys


def main():
    page, programs = of_page(sys.argv[1]), {}
    for path in sys.argv[2:]:
        programs |= of_program(path)
    wrong = 0
    for key in sorted(page.keys() | programs.keys()):
        there, real = page.get(key), programs.get(key)
        # A default that depends on the machine is told in words.
        if there == real or (there and not real and (there.startswith("the ") or there.isupper() or "/" in there)):
            continue
        print(f"[{key[0]}] {key[1]}: the page says {there!r}, the program {real!r}")
        wrong += 1
    print(f"{len(programs)} keys of {len(sys.argv) - 2} programs")
    return 1 if wrong or not programs else 0


sys.exit(main())
