// SPDX-License-Identifier: Apache-2.0
/* absent.c - see absent.h. */
#include "cli/absent.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/bpf.h"
#include "util/json.h"

static const char *const programs[] = { "scaffoldd", "scaffold-router", "scaffold-controller" };
static const char *const dirs[] = { "/usr/sbin", "/usr/local/sbin", "/sbin" };

static bool there(const char *root, const char *dir, const char *name, const char *suffix)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s%s/%s%s", root, dir, name, suffix) < PATH_MAX &&
	       !access(path, F_OK);
}

static bool installed(const char *root, const char *program)
{
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (there(root, dirs[i], program, ""))
			return true;
	return false;
}

/* Which daemon should run here: one with a configuration, else it cannot be known. */
static void look_programs(const char *root, struct sf_findings *f)
{
	unsigned int found = 0, configured = 0;
	char todo[160];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		bool is = installed(root, programs[i]);

		found += is;
		if (!there(root, "/etc/scaffold", programs[i], ".conf"))
			continue;
		configured++;
		snprintf(
			todo, sizeof(todo),
			is ? "systemctl enable --now %s; journalctl -u %s has the reason if it ends"
			   : "install %s ('make install')",
			programs[i], programs[i]);
		sf_doctor_find(f->problems, programs[i], todo,
			       "has a configuration (/etc/scaffold/%s.conf), but %s", programs[i],
			       is ? "does not run" : "is not installed");
	}
	if (!found && !configured)
		sf_doctor_find(f->problems, "installation", "'make install', or the package",
			       "no daemon is in %s, %s or %s", dirs[0], dirs[1], dirs[2]);
	else if (!configured)
		sf_doctor_find(f->problems, "installation",
			       "on a host: systemctl enable --now scaffoldd; on a router or the "
			       "controller, write its configuration in /etc/scaffold first",
			       "daemons are installed, but none runs");
}

/* ---- the kernel ------------------------------------------------------------------------- */

static void look_features(struct sf_findings *f)
{
	struct sf_bpf_feature table[SF_BPF_FEATURES];
	json_t *list;
	size_t n;

	sf_bpf_quiet();
	n = sf_bpf_probe(table, SF_BPF_FEATURES);
	for (size_t i = 0; i < n; i++)
		if (table[i].status == -EPERM || table[i].status == -EACCES) {
			sf_doctor_find(f->notes, "kernel", "ask as root",
				       "was not probed: this user may not load programs");
			return;
		}
	if (!sf_bpf_probe_missing(table, n, NULL, 0))
		sf_doctor_find(f->notes, "kernel", "nothing: daemons can run here",
			       "has all that is required (%s)", table[0].found);
	list = sf_json_features(table, n);
	sf_doctor_features(list, "kernel", f);
	json_decref(list);
}

static void look_mounts(const char *root, struct sf_findings *f)
{
	char path[PATH_MAX];
	struct statfs fs;

	snprintf(path, sizeof(path), "%s/sys/fs/bpf", root);
	if (statfs(path, &fs) || fs.f_type != BPF_FS_MAGIC)
		sf_doctor_find(f->problems, "kernel", "mount -t bpf bpf /sys/fs/bpf",
			       "no bpffs is mounted at /sys/fs/bpf: flows could not outlive a "
			       "daemon");
}

static int first_char(const char *root, const char *path)
{
	char name[PATH_MAX];
	FILE *f;
	int c;

	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name))
		return EOF;
	f = fopen(name, "re");
	if (!f)
		return EOF;
	c = fgetc(f);
	fclose(f);
	return c;
}

static void look_network(const char *root, struct sf_findings *f)
{
	char path[PATH_MAX];
	unsigned int carriers = 0;
	struct dirent *e;
	DIR *d;
	int off = first_char(root, "/proc/sys/net/ipv6/conf/all/disable_ipv6");

	if (off != '0')
		sf_doctor_find(f->problems, "kernel",
			       off == EOF ? "boot without ipv6.disable=1"
					  : "sysctl net.ipv6.conf.all.disable_ipv6=0",
			       "has IPv6 turned off");
	snprintf(path, sizeof(path), "%s/sys/class/net", root);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !strcmp(e->d_name, "lo"))
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", e->d_name);
		carriers += first_char(root, path) == '1';
	}
	if (d)
		closedir(d);
	if (!carriers)
		sf_doctor_find(f->notes, "network", "ip link set dev LINK up, or look at the cable",
			       "no link has carrier: a host would find no access router");
}

void sf_absent_look(const char *root, struct sf_findings *f)
{
	look_programs(root, f);
	look_features(f);
	look_mounts(root, f);
	look_network(root, f);
}
