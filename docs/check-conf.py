#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-conf.py PAGE [GUIDE.md] PROGRAM...: scaffold.conf(5) has each key of each daemon, with its default, and no other; the
configurations that the guide shows are ones that the daemons take."""
import re
import subprocess
import sys
import tempfile

OWNERS = {"host": "scaffoldd", "router": "scaffold-router", "link": "scaffold-router", "controller": "scaffold-controller"}


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


def examples(path):
    """[(line, text)] of the configurations in a guide: indented blocks with a [section] in them."""
    found, block, begin = [], [], 0
    for number, line in enumerate(open(path, encoding="utf-8").read().splitlines() + ["."], 1):
        if line.startswith("    ") or not line:
            begin = begin if block else number
            block.append(line.removeprefix("    "))
            continue
        if any(re.match(r"\[[a-z]+( [^]]+)?\]( |$)", text) for text in block):
            found.append((begin, "\n".join(block) + "\n"))
        block = []
    return found


def refused(text, programs):
    """Why the daemon whose sections these are does not take them, or None."""
    section = re.search(r"^\[(\w+)", text, re.M)[1]
    for name in programs:
        if OWNERS.get(section) != name.rsplit("/", 1)[-1]:
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
            conf.write(text)
            conf.flush()
            done = subprocess.run([name, "--check", "--config", conf.name], capture_output=True, text=True)
        return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else None
    return f"no daemon has [{section}]"


def main():
    page = of_page(sys.argv[1])
    guides = [path for path in sys.argv[2:] if path.endswith(".md")]
    daemons = [path for path in sys.argv[2:] if path not in guides]
    programs, wrong, shown = {}, 0, 0
    for path in daemons:
        programs |= of_program(path)
    for path in guides:
        found = examples(path)
        if not found:
            print(f"{path}: shows no configuration")
            wrong += 1
        for line, text in found:
            shown += 1
            if why := refused(text, daemons):
                print(f"{path}: what begins at line {line}: {why}")
                wrong += 1
    for key in sorted(page.keys() | programs.keys()):
        there, real = page.get(key), programs.get(key)
        # A default that depends on the machine is told in words.
        if there == real or (there and not real and (there.startswith("the ") or there.isupper() or "/" in there)):
            continue
        print(f"[{key[0]}] {key[1]}: the page says {there!r}, the program {real!r}")
        wrong += 1
    print(f"{len(programs)} keys of {len(daemons)} programs, {shown} configurations")
    return 1 if wrong or not programs else 0


sys.exit(main())
