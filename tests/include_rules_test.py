#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: ARCHITECTURE.md's table of rooms against every #include "..." in the tree.

include_rules_test.py ROOT. A room may include itself and what its row names; whoever loads eBPF
programs may include their generated skeletons (NAME.skel.h). Besides, core/ knows but in compat.h
for what it is compiled.
"""
import os
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ROW = re.compile(r"^\| `(\w+)/` \|.*\| ([^|]*) \|$")


def rooms_read(root):
    """The table: room -> set of rooms it may include ("all": every one)."""
    rooms = {}
    with open(os.path.join(root, "ARCHITECTURE.md"), encoding="utf-8") as text:
        for line in text:
            row = ROW.match(line)
            if row:
                rooms[row[1]] = set(re.findall(r"\w+", row[2].replace("nothing of ours", "")))
    for room, may in rooms.items():
        if "all" in may:
            rooms[room] = set(rooms)
        for other in rooms[room] - set(rooms):
            raise SystemExit(f"ARCHITECTURE.md: {room} may include {other}, which is no room")
    return rooms


def sources(root):
    for top in sorted(os.listdir(root)):
        # Hidden directories are tools', and a build directory has meson's notes in it.
        path = os.path.join(root, top)
        if top.startswith(".") or not os.path.isdir(path) or os.path.exists(os.path.join(path, "meson-info")):
            continue
        for here, _, files in os.walk(path):
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield top, os.path.relpath(os.path.join(here, name), root)


def target_room(root, rooms, path, included):
    """Room of an included file, or None for what is not ours."""
    first = included.split("/")[0]
    if first in rooms and "/" in included:
        # <bpf/bpf_helpers.h> is libbpf's: ours exist, or are generated.
        if included.endswith(".skel.h") or os.path.exists(os.path.join(root, included)):
            return first
        return None
    beside = os.path.normpath(os.path.join(os.path.dirname(path), included))
    if os.path.exists(os.path.join(root, beside)):
        return beside.split("/")[0]
    return "bpf" if included.endswith(".skel.h") else None


def check(root):
    """Every breach as a line of text, and how many includes between rooms were looked at."""
    rooms, wrong, seen = rooms_read(root), [], 0
    if len(rooms) < 2:
        wrong.append("ARCHITECTURE.md: no table of rooms found")
    for room, path in sources(root):
        if room not in rooms:
            wrong.append(f"{path}: {room}/ is not in ARCHITECTURE.md's table of rooms")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as text:
            for number, line in enumerate(text, 1):
                if room == "core" and "__bpf__" in line and path != "core/compat.h":
                    wrong.append(f"{path}:{number}: only core/compat.h may ask for __bpf__")
                match = INCLUDE.match(line)
                other = match and target_room(root, rooms, path, match[1])
                if not other or other == room:
                    continue
                seen += 1
                skeleton = match[1].endswith(".skel.h") and room not in ("core", "util", "bpf")
                if other not in rooms[room] and not skeleton:
                    may = ", ".join(sorted(rooms[room])) or "nothing of ours"
                    wrong.append(f"{path}:{number}: {room} includes {match[1]}, but may include {may}")
    return wrong, seen


def check_the_check():
    """A small tree with one breach of each kind: all must be seen, and nothing else."""
    files = {
        "ARCHITECTURE.md": "| room | what | may include |\n|---|---|---|\n"
                           "| `core/` | | nothing of ours |\n| `bpf/` | | core |\n| `util/` | | core |\n"
                           "| `agent/` | | core, util |\n| `router/` | | core, util |\n| `tests/` | | all |\n",
        "core/a.h": "#include <bpf/bpf_helpers.h>\n",
        "core/bad.h": '#include "util/u.h"\n#ifdef __bpf__\n',
        "core/compat.h": "#ifdef __bpf__\n",
        "bpf/p.bpf.c": '#include "core/a.h"\n #  include "util/u.h"\n',
        "util/u.h": '#include "core/a.h"\n',
        "util/bad.c": '#include "bpf/p.skel.h"\n',
        "agent/ok.c": '#include "u.h"\n#include "util/u.h"\n#include "bpf/p.skel.h"\n#include "o.h"\n',
        "agent/o.h": '#include "../router/r.h"\n',
        "agent/bad.c": "#include <router/r.h>\n",
        "router/r.h": "",
        "tests/t.c": '#include "agent/o.h"\n',
        "stray/s.c": "",
    }
    expect = ["agent/bad.c:1", "agent/o.h:1", "bpf/p.bpf.c:2", "core/bad.h:1", "core/bad.h:2", "stray/s.c", "util/bad.c:1"]
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as out:
                out.write(text)
        found = sorted(line.split(": ")[0] for line in check(root)[0])
    if found != expect:
        raise SystemExit(f"the check itself is broken: found {found}, expected {expect}")


def main():
    check_the_check()
    wrong, seen = check(sys.argv[1])
    for line in wrong:
        print(line)
    if not seen:
        print("no include between rooms was found: the tree is elsewhere?")
        return 1
    print(f"{seen} includes between rooms, {len(wrong)} against the rules")
    return 1 if wrong else 0


sys.exit(main())
