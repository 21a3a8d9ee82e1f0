#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-conf.py PAGE GUIDE.md [EXAMPLE.conf...] PROGRAM...: scaffold.conf(5) has each key of each daemon, with its default, and no
other; the configurations that the guide shows, and the examples, are ones that the daemons take (--check), with the certificates and
the token that the guide's own commands make."""
import os
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


def blocks(path):
    """[(line, text)] of a guide's indented blocks."""
    found, block, begin = [], [], 0
    for number, line in enumerate(open(path, encoding="utf-8").read().splitlines() + ["."], 1):
        if line.startswith("    ") or not line:
            begin = begin if block else number
            block.append(line.removeprefix("    "))
            continue
        if any(block):
            found.append((begin, "\n".join(block) + "\n"))
        block = []
    return found


def examples(path):
    """Those that are configurations."""
    if path.endswith(".conf"):
        return [(1, open(path, encoding="utf-8").read())]
    return [(line, text) for line, text in blocks(path) if re.search(r"^\[[a-z]+( [^]]+)?\]( |$)", text, re.M)]


def files_make(guide, etc):
    """What configurations name below /etc/scaffold, made in @etc as the guide says."""
    os.mkdir(etc + "/tls")
    certificates = [text for _, text in blocks(guide) if "openssl req" in text]
    token = re.findall(r"`([^`]*openssl rand[^`]*)`", open(guide, encoding="utf-8").read())
    if len(certificates) != 1 or len(token) != 1:
        sys.exit(f"{guide}: {len(certificates)} blocks that make certificates, {len(token)} commands that make a token: expected one each")
    for command, where in (certificates[0], etc + "/tls"), (token[0].replace("/etc/scaffold", etc), etc):
        done = subprocess.run(["sh", "-ec", command], cwd=where, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{guide}: {command}: {done.stderr}")


def refused(text, programs, etc):
    """Why the daemon whose sections these are does not take them, or None."""
    section = re.search(r"^\[(\w+)", text, re.M)[1]
    for name in programs:
        if OWNERS.get(section) != name.rsplit("/", 1)[-1]:
            continue
        with open(etc + "/tried.conf", "w", encoding="utf-8") as conf:
            conf.write(text.replace("/etc/scaffold", etc))
        done = subprocess.run([name, "--check", "--config", conf.name, "--state", etc], capture_output=True, text=True)
        return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else None
    return f"no daemon has [{section}]"


def main():
    page = of_page(sys.argv[1])
    guides = [path for path in sys.argv[2:] if path.endswith((".md", ".conf"))]
    daemons = [path for path in sys.argv[2:] if path not in guides]
    programs, wrong, shown = {}, 0, 0
    for path in daemons:
        programs |= of_program(path)
    with tempfile.TemporaryDirectory() as etc:
        files_make(sys.argv[2], etc)
        for path in guides:
            found = examples(path)
            if not found:
                print(f"{path}: shows no configuration")
                wrong += 1
            for line, text in found:
                shown += 1
                if why := refused(text, daemons, etc):
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
