// SPDX-License-Identifier: Apache-2.0
/* proc.c - looking up a program's name, groups and control group. */
#include "agent/proc.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cgroup.h"
#include "util/file.h"

void proc_comm(uint32_t pid, char comm[16])
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	if (!pid || sf_file_read(path, 4096, &text, NULL))
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(comm, 16, "%.15s", text);
	free(text);
}

/* "Gid:" and "Groups:" of a status file. */
static size_t parse_groups(const char *text, gid_t *gids, size_t max)
{
	const char *at = strstr(text, "\nGid:");
	size_t n = 0;

	if (at)
		gids[n++] = (gid_t)strtoul(at + 5, NULL, 10);
	at = strstr(text, "\nGroups:");
	for (at = at ? at + 8 : NULL; at && n < max;) {
		char *end;
		unsigned long gid = strtoul(at, &end, 10);

		if (end == at || memchr(at, '\n', (size_t)(end - at)))
			break;
		gids[n++] = (gid_t)gid;
		at = end;
	}
	return n;
}

size_t proc_groups(uint32_t pid, gid_t *gids, size_t max)
{
	char path[64], *text;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	if (!pid || sf_file_read(path, 65536, &text, NULL))
		return 0;
	n = parse_groups(text, gids, max);
	free(text);
	return n;
}

/* A control group's id is the number of its directory's inode. */
static int search(const char *mount, uint64_t id, char *buf, size_t len)
{
	char *roots[] = { (char *)mount, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *e;
	int ret = -ENOENT;

	while (tree && ret == -ENOENT && (e = fts_read(tree))) {
		if (e->fts_info != FTS_D || e->fts_statp->st_ino != id)
			continue;
		snprintf(buf, len, "%s",
			 *(e->fts_path + strlen(mount)) ? e->fts_path + strlen(mount) : "/");
		ret = 0;
	}
	if (tree)
		fts_close(tree);
	return ret;
}

int proc_cgroup(uint64_t cgroup, uint32_t pid, char *buf, size_t len)
{
	char mount[256];
	uint64_t id;

	/* The process may have moved on, or its number be another's: believe it only if it fits. */
	if (pid && !sf_cgroup_of((pid_t)pid, buf, len) &&
	    (!cgroup || (!sf_cgroup_id(buf, &id) && id == cgroup)))
		return 0;
	if (!cgroup || sf_cgroup_mount(mount, sizeof(mount)))
		return -ENOENT;
	return search(mount, cgroup, buf, len);
}
