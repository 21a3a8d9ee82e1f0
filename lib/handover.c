// SPDX-License-Identifier: Apache-2.0
/* handover.c - sf_export(), sf_import(): one question each to the agent (core/handover.h). */
#include "lib/scaffold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/handover.h"

#define RUN_DIR	    "/run/scaffold"
#define SEALS	    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define RIGHTS_ROOM CMSG_SPACE(sizeof(int))
#define ONE_RIGHT   CMSG_LEN(sizeof(int)) /* with its padding there is room for a second one */

static _Thread_local char said[256];

const char *sf_error(void)
{
	return said;
}

/* Return: -1, with errno. */
__attribute__((format(printf, 2, 3))) static int failed(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	errno = error;
	return -1;
}

/* ---- the agent -------------------------------------------------------------------------- */

static int agent_connect(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const char *dir = secure_getenv("SCAFFOLD_RUN");
	int fd, n, error;

	n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/" SF_HANDOVER_SOCKET,
		     dir && *dir ? dir : RUN_DIR);
	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return failed(ENAMETOOLONG, "SCAFFOLD_RUN: expected a shorter path");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed(errno, "socket: %s", strerror(errno));
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	error = errno;
	close(fd);
	return failed(error, "%s: %s: is scaffoldd running?", at.sun_path, strerror(error));
}

static int say(int agent, const struct sf_handover_request *q, int fd)
{
	union {
		char room[RIGHTS_ROOM];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = (void *)q, .iov_len = sizeof(*q) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do
		n = sendmsg(agent, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*q) ? 0 : -1;
}

/* @fd: receives the answer's descriptor, -1 without one. */
static int hear(int agent, struct sf_handover_answer *a, int *fd)
{
	union {
		char room[RIGHTS_ROOM];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = a, .iov_len = sizeof(*a) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = ONE_RIGHT };
	struct cmsghdr *c;
	bool reset = false;
	ssize_t n;

	*fd = -1;
	/* An agent that refuses before it has read the request resets; its answer comes after that.
	 */
	do {
		n = recvmsg(agent, &m, MSG_CMSG_CLOEXEC);
		if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			break;
		reset |= errno == ECONNRESET;
	} while (true);
	if (n < 0)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if ((size_t)n == sizeof(*a) && a->version == SF_HANDOVER_VERSION) {
		a->text[sizeof(a->text) - 1] = '\0';
		return 0;
	}
	if (*fd >= 0)
		close(*fd);
	errno = n ? EPROTO : ECONNRESET;
	return -1;
}

/* Return: the answer's descriptor, or -1 with errno; @a->error is 0 where the agent said nothing.
 */
static int ask(uint32_t kind, uint64_t room, int fd, struct sf_handover_answer *a)
{
	const struct sf_handover_request q = { .version = SF_HANDOVER_VERSION,
					       .kind = kind,
					       .room = room };
	int agent, got = -1, error;

	memset(a, 0, sizeof(*a));
	agent = agent_connect();
	if (agent < 0)
		return -1;
	if ((say(agent, &q, fd) && errno != EPIPE) || hear(agent, a, &got)) {
		error = errno;
		close(agent);
		return failed(error == EPIPE ? ECONNRESET : error, "agent: it has not answered: %s",
			      strerror(error));
	}
	close(agent);
	if (!a->error && got >= 0)
		return got;
	if (got >= 0)
		close(got);
	return failed(a->error ? (int)a->error : EPROTO, "%s",
		      a->error ? a->text : "agent: it answers without a descriptor");
}

/* ---- states ----------------------------------------------------------------------------- */

static int read_all(int fd, uint8_t *to, size_t len)
{
	size_t done = 0;

	/* Where the agent stopped writing is the file's position. */
	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done, (off_t)done);

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n <= 0)
			return -1;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int sf_export(int fd, void *state, size_t *len)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sf_handover_answer a;
	int got = ask(SF_HANDOVER_EXPORT, state ? *len : 0, fd, &a);

	if (got < 0) {
		if (a.error == ENOBUFS)
			*len = (size_t)a.len;
		return -1;
	}
	/* The agent does so too; if it has ended since, here it is done without a word as well. */
	(void)connect(fd, &none, sizeof(none));
	if (a.len > *len || read_all(got, state, (size_t)a.len)) {
		close(got);
		return failed(EPROTO, "agent: its state cannot be read");
	}
	close(got);
	*len = (size_t)a.len;
	return 0;
}

int sf_import(const void *state, size_t len)
{
	int file = memfd_create("scaffold connection", MFD_CLOEXEC | MFD_ALLOW_SEALING), got, error;
	struct sf_handover_answer a;

	if (file < 0)
		return failed(errno, "state: %s", strerror(errno));
	if (write_all(file, state, len) || fcntl(file, F_ADD_SEALS, SEALS)) {
		error = errno;
		close(file);
		return failed(error, "state: %s", strerror(error));
	}
	got = ask(SF_HANDOVER_IMPORT, 0, file, &a);
	error = errno;
	close(file);
	errno = error;
	return got;
}
