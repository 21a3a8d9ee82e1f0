#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts where, below DESTDIR and nowhere else, and that `make uninstall` takes it away.
# Usage: install_test.sh BUILD PREFIX
set -eu
build=$1 prefix=$2
to=$(mktemp -d)
log=$build/meson-logs/install-log.txt
[ ! -e "$log" ] || cp "$log" "$to.log" # of the last real installation, for its uninstall
clean() {
	rm -rf "$to" "$to.root"
	[ ! -e "$to.log" ] || mv "$to.log" "$log"
}
trap clean EXIT
failed=0
DESTDIR=$to meson install -C "$build" --no-rebuild >"$to/said" || { cat "$to/said"; exit 1; }
rm "$to/said"
for file in bin/scaffold sbin/scaffoldd sbin/scaffold-router sbin/scaffold-controller sbin/scaffold-linkem \
	include/scaffold.h share/man/man3/libscaffold.3 share/man/man1/scaffold.1 share/man/man1/scaffold-lab.1 share/man/man5/scaffold.conf.5 \
	share/man/man8/scaffoldd.8 share/man/man8/scaffold-router.8 share/man/man8/scaffold-controller.8 \
	lib/sysusers.d/scaffold.conf share/bash-completion/completions/scaffold share/scaffold/topologies/fig6.lab \
	share/doc/scaffold/LICENSE share/doc/scaffold/LICENSES/Apache-2.0.txt share/doc/scaffold/LICENSES/GPL-2.0-only.txt; do
	[ -s "$to$prefix/$file" ] || { echo "FAILED: no $prefix/$file"; failed=1; }
done
# The library, by which name the linker, the loader and pkg-config look for it; where, the system decides.
for file in libscaffold.so libscaffold.so.0 scaffold.pc; do
	find "$to$prefix/lib" -name $file | grep -q . || { echo "FAILED: no $file"; failed=1; }
done
# The text that the LICENSE names for each of its two licences is there.
for text in Apache-2.0 GPL-2.0-only; do
	grep -q "$text" "$to$prefix/share/doc/scaffold/LICENSE" || { echo "FAILED: LICENSE does not name $text"; failed=1; }
done
find "$to" -name '*.service' | grep -q scaffoldd.service || { echo "FAILED: no unit of scaffoldd"; failed=1; }
find "$to" -name '*.conf' ! -path "$to$prefix/lib/sysusers.d/*" | grep . && { echo "FAILED: a configuration that would replace an administrator's"; failed=1; }
# The system's users and groups, by whom systemd makes them; they are the packager's, not an administrator's.
if command -v systemd-sysusers >/dev/null; then
	mkdir -p "$to.root/etc"
	systemd-sysusers --root="$to.root" "$to$prefix/lib/sysusers.d/scaffold.conf" >/dev/null || failed=1
	grep -q '^scaffold:' "$to.root/etc/group" || { echo "FAILED: no group scaffold by sysusers.d"; failed=1; }
fi
# Where it was not asked to, it writes nothing: each path of the log is below DESTDIR.
grep -v '^#' "$log" | grep -v "^$to/" && { echo "FAILED: installed outside of DESTDIR"; failed=1; }
ninja -C "$build" uninstall >/dev/null
find "$to" -type f | grep . && { echo "FAILED: left by uninstall"; failed=1; }
exit $failed
