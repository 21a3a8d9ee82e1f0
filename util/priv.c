// SPDX-License-Identifier: Apache-2.0
/* priv.c - giving up privileges in named stages, and descriptors that a careless parent left open
 * (capabilities(7)). */
#include "util/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* capset() has two 32-bit halves of each set since capability version 3. */
static int caps_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static uint64_t caps_join(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

static int bounding_drop(uint64_t keep)
{
	for (int cap = 0; cap <= 63; cap++) {
		int have = prctl(PR_CAPBSET_READ, cap);

		if (have < 0) /* above the kernel's last one */
			return 0;
		if (have && !(keep & SF_CAP(cap)) && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -errno;
	}
	return 0;
}

int sf_priv_enter(const struct sf_priv_stage *stage)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t keep = stage->caps | stage->held;
	int r;

	r = caps_get(data);
	if (r)
		return r;
	if (keep & ~caps_join(data[0].permitted, data[1].permitted))
		return -EPERM;
	r = bounding_drop(keep);
	if (r && r != -EPERM)
		return r;
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(stage->caps >> 32 * i);

		data[i] = (struct __user_cap_data_struct){
			.effective = half,
			.permitted = (uint32_t)(keep >> 32 * i),
			.inheritable = stage->inheritable ? half : 0,
		};
	}
	/* Ambient ones go by themselves where permitted or inheritable lacks them. */
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	for (int cap = 0; stage->inheritable && cap <= 63; cap++)
		if ((stage->caps & SF_CAP(cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int sf_priv_raise(uint64_t caps, bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int r = caps_get(data);

	if (r)
		return r;
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(caps >> 32 * i);

		data[i].effective = on ? data[i].effective | half : data[i].effective & ~half;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

bool sf_priv_have(uint64_t caps)
{
	struct __user_cap_data_struct data[2];

	return caps_get(data) == 0 && !(caps & ~caps_join(data[0].effective, data[1].effective));
}

void sf_close_stray(void)
{
	int fd;

	/* A closed 0 to 2 would be given to the next open(): then a print goes into a database or a
	 * socket. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	close_range(3, ~0u, 0);
}
