// SPDX-License-Identifier: Apache-2.0
/* linkemc.c - start the link emulator and talk to it; see linkemc.h. */
#include "lab/linkemc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/net.h"
#include "lab/process.h"
#include "util/errtext.h"

#define ANSWER_MAX (32u << 20)
#define TIMEOUT_S  5

/* ---- where programs are ----------------------------------------------------------------- */

int sf_lab_program(const char *room, const char *name, char path[PATH_MAX], char *err,
		   size_t err_len)
{
	char self[PATH_MAX], tried[3][PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return sf_errtext(err, err_len, -errno, "/proc/self/exe: %s", strerror(errno));
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	/* PREFIX/bin/scaffold -> PREFIX/sbin; BUILD/cli/scaffold -> BUILD/agent */
	if (snprintf(tried[0], PATH_MAX, "%s/../%s/%s", self, room, name) >= PATH_MAX ||
	    snprintf(tried[1], PATH_MAX, "%s/../sbin/%s", self, name) >= PATH_MAX ||
	    snprintf(tried[2], PATH_MAX, "%s/%s", self, name) >= PATH_MAX)
		return sf_errtext(err, err_len, -ENAMETOOLONG, "%s: path too long", self);
	for (int i = 0; i < 3; i++)
		if (access(tried[i], X_OK) == 0 && realpath(tried[i], path))
			return 0;
	return sf_errtext(err, err_len, -ENOENT, "%s: not found as %s, %s or %s", name, tried[0],
			  tried[1], tried[2]);
}

/* ---- start ------------------------------------------------------------------------------ */

/* "a-b:l0a:l0b:delay=20ms,loss=1%" */
static char *link_argument(const struct sf_lab *lab, unsigned int link)
{
	const struct sf_topology *t = &lab->topology;
	const struct sf_lab_link *l = &t->links[link];
	char a[16], b[16], settings[SF_EMULATION_TEXT], *text;

	sf_emulation_print(&l->emulation, settings);
	for (char *c = settings; *c; c++)
		if (*c == ' ')
			*c = ',';
	if (asprintf(&text, "%s-%s:%s:%s%s%s", t->nodes[l->node[0]].name, t->nodes[l->node[1]].name,
		     sf_net_emulator_ifname(link, 0, a), sf_net_emulator_ifname(link, 1, b),
		     *settings ? ":" : "", settings) < 0)
		return NULL;
	return text;
}

/* Command line; its words from @first on are allocated. */
static char **arguments(const struct sf_lab *lab, char *path, char *socket, char *seed,
			size_t *first)
{
	size_t n_links = lab->topology.n_links, n = 0;
	char **argv = calloc(2 * n_links + 8, sizeof(*argv));

	if (!argv)
		return NULL;
	argv[n++] = path;
	argv[n++] = (char *)"--socket";
	argv[n++] = socket;
	argv[n++] = (char *)"--seed";
	argv[n++] = seed;
	*first = n;
	for (unsigned int i = 0; i < n_links; i++) {
		if (!lab->topology.links[i].emulator)
			continue;
		argv[n++] = strdup("--link");
		argv[n] = link_argument(lab, i);
		if (!argv[n - 1] || !argv[n++]) {
			for (size_t k = *first; k < n; k++)
				free(argv[k]);
			free(argv);
			return NULL;
		}
	}
	return argv;
}

static int wait_served(const struct sf_lab *lab, pid_t pid, const char *log, char *err,
		       size_t err_len)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (int i = 0; i < 1000; i++) {
		char tail[2048];

		if (sf_linkem_call(lab, json_pack("{s:s}", "get", "links"), NULL, NULL, 0) == 0)
			return 0;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return sf_errtext(err, err_len, -ECHILD,
					  "link emulator ended at once; the end of %s:\n%s", log,
					  sf_log_tail(log, 10, "  ", tail, sizeof(tail)));
		nanosleep(&pause, NULL);
	}
	return sf_errtext(err, err_len, -ETIMEDOUT, "link emulator does not answer; see %s", log);
}

int sf_linkem_start(const struct sf_lab *lab, char *err, size_t err_len)
{
	char path[PATH_MAX], socket[PATH_MAX], log[PATH_MAX], record[PATH_MAX], ns[NAME_MAX];
	char seed[32], **argv;
	struct sf_process p = { .path = path, .log = log, .record = record };
	size_t first;
	pid_t pid;
	int r = sf_lab_program("lab", "scaffold-linkem", path, err, err_len);

	if (r)
		return r;
	if (sf_lab_path(lab, socket, "linkem.sock") || sf_lab_path(lab, log, "linkem.log") ||
	    sf_lab_path(lab, record, "scaffold-linkem.proc"))
		return sf_errtext(err, err_len, -ENAMETOOLONG, "%s: path too long", lab->dir);
	snprintf(seed, sizeof(seed), "%" PRIu64, lab->options.seed);
	argv = arguments(lab, path, socket, seed, &first);
	if (!argv)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	p.argv = argv;
	p.ns = sf_lab_namespace(lab, NULL, ns);
	r = sf_process_start(&p, &pid, err, err_len);
	for (size_t i = first; argv[i]; i++)
		free(argv[i]);
	free(argv);
	return r ? r : wait_served(lab, pid, log, err, err_len);
}

/* ---- requests --------------------------------------------------------------------------- */

static int control_connect(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd, r;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	r = errno == ENOENT ? -ECONNREFUSED : -errno;
	close(fd);
	return r;
}

/* Sends a line, reads until the end. */
static int exchange(int fd, const char *text, char **answer, size_t *len)
{
	struct iovec iov[2] = { { (void *)text, strlen(text) }, { (void *)"\n", 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t room = 65536, n = 0;
	char *buf = malloc(room);

	if (!buf)
		return -ENOMEM;
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		goto fail;
	for (;;) {
		ssize_t got = recv(fd, buf + n, room - n, 0);

		if (got < 0)
			goto fail;
		if (!got)
			break;
		n += (size_t)got;
		if (n == room) {
			char *grown = room < ANSWER_MAX ? realloc(buf, 2 * room) : NULL;

			if (!grown) {
				free(buf);
				return -ENOMEM;
			}
			buf = grown;
			room *= 2;
		}
	}
	*answer = buf;
	*len = n;
	return 0;
fail:
	free(buf);
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int sf_linkem_call(const struct sf_lab *lab, json_t *request, json_t **answer, char *err,
		   size_t err_len)
{
	char path[PATH_MAX], *text = json_dumps(request, JSON_COMPACT), *reply = NULL;
	json_t *got = NULL;
	size_t len = 0;
	int fd, r;

	json_decref(request);
	if (!text)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	fd = sf_lab_path(lab, path, "linkem.sock") ? -ENAMETOOLONG : control_connect(path);
	r = fd < 0 ? fd : exchange(fd, text, &reply, &len);
	if (fd >= 0)
		close(fd);
	free(text);
	if (!r) {
		got = json_loadb(reply, len, 0, NULL);
		if (!json_is_object(got))
			r = -EPROTO;
	}
	free(reply);
	if (r) {
		sf_errtext(err, err_len, r, "link emulator (%s): %s", path, strerror(-r));
	} else if (json_object_get(got, "error")) {
		r = sf_errtext(err, err_len, -EINVAL, "%s",
			       json_string_value(json_object_get(got, "error")));
	}
	if (!r && answer)
		*answer = json_incref(got);
	json_decref(got);
	return r;
}
