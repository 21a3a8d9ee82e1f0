# SPDX-License-Identifier: Apache-2.0
"""Make C strings of the built-in topologies: embed.py OUTPUT FILE..."""
import pathlib
import sys

lines = ['// Generated from lab/topologies by lab/embed.py.', '#include "lab/topology.h"', '',
         'const struct sf_builtin sf_builtins[] = {']
for name in sys.argv[2:]:
    path = pathlib.Path(name)
    text = path.read_text(encoding='ascii')
    lines.append('\t{ "%s",' % path.stem)
    for line in text.splitlines():
        lines.append('\t  "%s\\n"' % line.replace('\\', '\\\\').replace('"', '\\"'))
    lines.append('\t},')
lines += ['\t{ NULL, NULL }', '};', '']
pathlib.Path(sys.argv[1]).write_text('\n'.join(lines), encoding='ascii')
