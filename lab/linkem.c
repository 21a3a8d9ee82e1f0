// SPDX-License-Identifier: Apache-2.0
/*
 * linkem.c - scaffold-linkem, the lab's link emulator: delay, jitter, loss, reordering, duplication
 * and rate on links between network namespaces, in user space.
 *
 * Linux has netem for this, but not every kernel is built with it. We use our own emulator always,
 * also where netem is there: an experiment then means the same on every machine, its randomness is
 * seeded and so repeats, both directions of all links are counted and changed in one place, loss is
 * per packet on the line and not per large packet of segmentation offload, and there is one way to
 * test instead of two. The price is a copy of each packet and some microseconds; links that need
 * nothing of it are plain veth pairs and do not come here.
 *
 * One process serves all links of a lab. It is driven by epoll: packet sockets, one timerfd for the
 * packet that is due next, a signalfd, and a Unix stream socket for control, on which each
 * connection carries one JSON request in one line and its answer:
 *
 *	{"get": "links"}
 *	{"set": "a-b", "from": "a", "settings": {"delay": "20ms", "loss": "1%"}}
 *
 * where "from" limits the change to one direction, "clear": true begins from a perfect link.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "lab/emulator.h"
#include "util/daemon.h"
#include "util/log.h"

#define REQUEST_MAX 65536
#define CLIENTS_MAX 16
#define REPLY_ROOM  (16 << 20)

/* What an epoll event is about: direction N of link M as 2 * M + N, or one of these. */
enum { TAG_TIMER = 1 << 24, TAG_SIGNAL, TAG_CONTROL, TAG_CLIENT };

struct client {
	int fd; /* 0: free */
	size_t len;
	char request[REQUEST_MAX];
};

struct linkem {
	struct sf_emulator em;
	int epoll, timer, signals, control;
	uint64_t armed; /* ns the timer is set to, 0: off */
	const char *socket_path;
	uint64_t seed;
	struct client *clients; /* CLIENTS_MAX */
};

/* ---- control ---------------------------------------------------------------------------- */

static json_t *direction_json(const struct sf_direction *d)
{
	const struct sf_engine_counts *c = &d->engine.counts;
	char text[SF_EMULATION_TEXT];
	json_t *counts = json_object();

#define X(name, help) json_object_set_new(counts, #name, json_integer((json_int_t)c->name));
	SF_ENGINE_COUNTS(X)
#undef X
	return json_pack("{s:s, s:s, s:I, s:o}", "from", d->from, "settings",
			 sf_emulation_print(&d->engine.set, text), "in_flight",
			 (json_int_t)d->flying, "counters", counts);
}

static json_t *links_json(const struct sf_emulator *em)
{
	json_t *links = json_array();

	for (size_t i = 0; i < em->n; i++)
		json_array_append_new(links, json_pack("{s:s, s:[o, o]}", "name", em->links[i].name,
						       "directions",
						       direction_json(&em->links[i].direction[0]),
						       direction_json(&em->links[i].direction[1])));
	return json_pack("{s:o}", "links", links);
}

static json_t *error_json(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static json_t *error_json(const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return json_pack("{s:s}", "error", text);
}

/* All settings are checked before any is taken. */
static json_t *set_json(struct sf_emulator *em, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "set"));
	const char *from = json_string_value(json_object_get(request, "from")), *key;
	json_t *settings = json_object_get(request, "settings"), *value;
	struct sf_emulated *l = name ? sf_emulator_find(em, name) : NULL;
	struct sf_emulation set[2];

	if (!l)
		return error_json("no emulated link '%s'", name ? name : "");
	if (from && strcmp(from, l->direction[0].from) && strcmp(from, l->direction[1].from))
		return error_json("'%s' is no end of link %s", from, l->name);
	for (int i = 0; i < 2; i++) {
		set[i] = l->direction[i].engine.set;
		if (json_is_true(json_object_get(request, "clear")))
			set[i] = (struct sf_emulation){ 0 };
		json_object_foreach (settings, key, value) {
			const char *expected = NULL, *text = json_string_value(value);
			int r = text ? sf_emulation_set(&set[i], key, text, &expected) : -EINVAL;

			if (r == -ENOENT)
				return error_json("'%s' is no setting: expected %s", key,
						  sf_emulation_keys());
			if (r)
				return error_json("%s: got '%s', expected %s", key,
						  text ? text : "(no text)",
						  expected ? expected : "text");
		}
	}
	for (int i = 0; i < 2; i++)
		if (!from || strcmp(from, l->direction[i].from) == 0) {
			char text[SF_EMULATION_TEXT];

			sf_engine_set(&l->direction[i].engine, &set[i]);
			sf_info("link %s from %s: %s", l->name, l->direction[i].from,
				sf_emulation_print(&set[i], text));
		}
	return json_object();
}

static json_t *request_answer(struct linkem *lm, const char *text, size_t len)
{
	json_error_t why;
	json_t *request = json_loadb(text, len, 0, &why), *answer;
	const char *get = json_string_value(json_object_get(request, "get"));

	if (!json_is_object(request))
		answer = error_json("no JSON object: %s", why.text);
	else if (json_object_get(request, "set"))
		answer = set_json(&lm->em, request);
	else if (get && strcmp(get, "links") == 0)
		answer = links_json(&lm->em);
	else
		answer = error_json("expected {\"get\": \"links\"} or {\"set\": LINK, ...}");
	json_decref(request);
	return answer;
}

static void client_close(struct client *c)
{
	close(c->fd);
	c->fd = 0;
}

/* The socket's send buffer holds any answer whole, so that a client that does not read costs
 * nothing. */
static void client_answer(struct linkem *lm, struct client *c)
{
	json_t *answer = request_answer(lm, c->request, c->len);
	char *text = json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	if (!text || send(c->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		sf_warn("control: answer not sent: %s", strerror(errno));
	free(text);
	client_close(c);
}

static void client_read(struct linkem *lm, struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->len, REQUEST_MAX - c->len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->len += (size_t)n;
	if (n > 0 && !memchr(c->request, '\n', c->len) && c->len < REQUEST_MAX)
		return;
	if (n < 0 || !c->len)
		client_close(c);
	else
		client_answer(lm, c);
}

static void client_accept(struct linkem *lm)
{
	int fd = accept4(lm->control, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int room = REPLY_ROOM;

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < CLIENTS_MAX; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = TAG_CLIENT + i };

		if (lm->clients[i].fd)
			continue;
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		lm->clients[i].len = 0;
		if (epoll_ctl(lm->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
			lm->clients[i].fd = fd;
			return;
		}
	}
	close(fd); /* all busy */
}

static int control_open(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, r;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(path, 0600) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* ---- loop ------------------------------------------------------------------------------- */

static int watch(struct linkem *lm, int fd, uint32_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

	if (fd < 0)
		return fd;
	return epoll_ctl(lm->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int loop_open(struct linkem *lm)
{
	sigset_t ending;
	int r;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	lm->epoll = epoll_create1(EPOLL_CLOEXEC);
	lm->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	lm->signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
	if (lm->epoll < 0 || lm->timer < 0 || lm->signals < 0)
		return -errno;
	r = watch(lm, lm->timer, TAG_TIMER);
	if (!r)
		r = watch(lm, lm->signals, TAG_SIGNAL);
	for (uint32_t i = 0; i < 2 * lm->em.n && !r; i++)
		r = watch(lm, lm->em.links[i / 2].direction[i % 2].in, i);
	if (r)
		return r;
	lm->control = control_open(lm->socket_path); /* last: who connects finds us ready */
	return watch(lm, lm->control, TAG_CONTROL);
}

static void timer_arm(struct linkem *lm, uint64_t due)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(due / 1000000000),
					       .tv_nsec = (long)(due % 1000000000) } };

	if (due == lm->armed)
		return;
	(void)timerfd_settime(lm->timer, TFD_TIMER_ABSTIME, &at, NULL); /* 0 turns it off */
	lm->armed = due;
}

static int loop_run(struct linkem *lm)
{
	struct epoll_event events[64];

	for (;;) {
		int n;

		timer_arm(lm, sf_emulator_flush(&lm->em));
		n = epoll_wait(lm->epoll, events, 64, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			uint32_t tag = events[i].data.u32;
			uint64_t expirations;

			if (tag == TAG_SIGNAL)
				return 0;
			if (tag == TAG_TIMER && read(lm->timer, &expirations, 8) == 8)
				lm->armed = 0;
			else if (tag == TAG_CONTROL)
				client_accept(lm);
			else if (tag >= TAG_CLIENT)
				client_read(lm, &lm->clients[tag - TAG_CLIENT]);
			else if (tag < TAG_TIMER)
				sf_emulator_receive(&lm->em,
						    &lm->em.links[tag / 2].direction[tag % 2]);
		}
	}
}

/* ---- options ---------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: scaffold-linkem --socket PATH [--seed N] --link A-B:IFA:IFB[:SETTINGS] ...\n"
	      "\n"
	      "Emulate links between two interfaces each of this network namespace.\n"
	      "SETTINGS is a list such as delay=20ms,loss=1%. See scaffold-lab(1).\n",
	      out);
}

/* "a-b:ifa:ifb:delay=20ms,loss=1%"; cut up in place. */
static int link_option(struct linkem *lm, char *text)
{
	char *save = NULL, *name = strtok_r(text, ":", &save), *save2 = NULL;
	const char *ifname[2] = { strtok_r(NULL, ":", &save), strtok_r(NULL, ":", &save) };
	char *settings = strtok_r(NULL, "", &save), err[512];
	struct sf_emulation set = { 0 };

	if (!name || !ifname[0] || !ifname[1]) {
		sf_error("--link %s: expected A-B:IFA:IFB[:SETTINGS]", text);
		return -EINVAL;
	}
	for (char *word = settings ? strtok_r(settings, ",", &save2) : NULL; word;
	     word = strtok_r(NULL, ",", &save2)) {
		char *value = strchr(word, '=');
		const char *expected = sf_emulation_keys();

		if (value)
			*value++ = 0;
		if (!value || sf_emulation_set(&set, word, value, &expected)) {
			sf_error("--link %s: %s: got '%s', expected %s", name, word,
				 value ? value : "", expected);
			return -EINVAL;
		}
	}
	if (sf_emulator_add(&lm->em, name, ifname, &set, lm->seed, err, sizeof(err))) {
		sf_error("--link %s: %s", name, err);
		return -EIO;
	}
	return 0;
}

static int options_parse(struct linkem *lm, int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' },
						 { "seed", required_argument, NULL, 'r' },
						 { "link", required_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 's') {
			lm->socket_path = optarg;
		} else if (c == 'r') {
			lm->seed = strtoull(optarg, &end, 0);
			if (*end || end == optarg) {
				sf_error("--seed: got '%s', expected a number", optarg);
				return -EINVAL;
			}
		} else if (c == 'l') {
			if (link_option(lm, optarg))
				return -EINVAL;
		} else if (c == 'h') {
			usage(stdout);
			exit(0);
		} else if (c == 'v') {
			puts("scaffold-linkem " SF_VERSION);
			exit(0);
		} else {
			usage(stderr);
			return -EINVAL;
		}
	}
	if (!lm->socket_path || !lm->em.n || optind < argc) {
		usage(stderr);
		return -EINVAL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct sf_priv_stage serving = { .name = "serve" };
	struct linkem lm = { .epoll = -1, .timer = -1, .signals = -1, .control = -1 };
	int r;

	sf_log_open("scaffold-linkem", SF_LOG_INFO);
	sf_close_stray();
	lm.clients = calloc(CLIENTS_MAX, sizeof(*lm.clients));
	if (!lm.clients || sf_emulator_open(&lm.em)) {
		sf_error("out of memory");
		return 1;
	}
	if (options_parse(&lm, argc, argv))
		return 2;
	r = loop_open(&lm);
	if (!r)
		r = sf_priv_enter(&serving); /* all sockets are open: no privilege is needed */
	if (r) {
		sf_error("%s: %s", lm.socket_path, strerror(-r));
		return 1;
	}
	sf_info("%zu links, seed %llu", lm.em.n, (unsigned long long)lm.seed);
	r = loop_run(&lm);
	if (r)
		sf_error("epoll: %s", strerror(-r));
	(void)unlink(lm.socket_path);
	sf_emulator_close(&lm.em);
	free(lm.clients);
	return r ? 1 : 0;
}
