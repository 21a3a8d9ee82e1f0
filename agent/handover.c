// SPDX-License-Identifier: Apache-2.0
/* handover.c - see handover.h. */
#include "agent/handover.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/importer.h"
#include "agent/transfer.h"
#include "core/handover.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/http.h"
#include "util/listen.h"
#include "util/log.h"

#define MIB (1024ull * 1024)
/* Requests at a time, and bytes of states that are on their way in: of one user, of all users but
 * root, of all. So nobody's leave others nothing, and root always has a share. */
#define TALKS_USER  16
#define TALKS_USERS 112
#define TALKS_MAX   128
#define BYTES_USER  (64 * MIB)
#define BYTES_USERS (192 * MIB)
#define BYTES_MAX   (256 * MIB)
#define REQUEST_MS  5000
#define LOOK_MS	    1
#define SPEAK_NS    400000
#define SEALS	    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define RIGHTS_ROOM CMSG_SPACE(sizeof(int))
#define ONE_RIGHT   CMSG_LEN(sizeof(int)) /* with its padding there is room for a second one */

/* A connection to the socket. */
struct talk {
	struct host *h;
	struct event *readable;
	struct sf_http_peer peer;
	struct transfer_in in; /* fd -1: nothing is on its way in */
	size_t bytes;	       /* of its state */
	struct talk *next, **at;
};

static void talk_free(struct talk *t)
{
	if (t->in.fd >= 0)
		transfer_abandon(t->h, &t->in);
	event_free(t->readable);
	close(t->peer.fd);
	t->h->handover.n_talks--;
	t->h->handover.bytes -= t->bytes;
	*t->at = t->next;
	if (t->next)
		t->next->at = t->at;
	free(t);
}

/* ---- shares ----------------------------------------------------------------------------- */

/* What user @uid has in hand, and all users but root. */
struct share {
	unsigned int talks, talks_users;
	uint64_t bytes, bytes_users;
};

static struct share share_of(const struct host *h, uid_t uid)
{
	struct share s = { .talks = 0 };

	for (const struct talk *t = h->handover.talks; t; t = t->next) {
		s.talks += t->peer.uid == uid;
		s.bytes += t->peer.uid == uid ? t->bytes : 0;
		s.talks_users += !!t->peer.uid;
		s.bytes_users += t->peer.uid ? t->bytes : 0;
	}
	return s;
}

/* Whether one request more may come from this user. */
static int check_talks(const struct host *h, uid_t uid, char *err, size_t errlen)
{
	struct share s = share_of(h, uid);

	if (uid && s.talks >= TALKS_USER)
		return sf_errtext(err, errlen, -EAGAIN,
				  "agent: user %u has %u hand-overs in hand, expected at most %u",
				  uid, s.talks, TALKS_USER);
	if ((uid && s.talks_users >= TALKS_USERS) || h->handover.n_talks >= TALKS_MAX)
		return sf_errtext(err, errlen, -EAGAIN,
				  "agent: it has %u hand-overs in hand, expected at most %u",
				  h->handover.n_talks, uid ? TALKS_USERS : TALKS_MAX);
	return 0;
}

/* ---- messages --------------------------------------------------------------------------- */

/* Return: 0 with the request and its descriptor (the caller's), -EAGAIN, or -errno. */
static int receive(int from, struct sf_handover_request *q, int *fd)
{
	union {
		char room[RIGHTS_ROOM];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = q, .iov_len = sizeof(*q) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = ONE_RIGHT };
	ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;

	*fd = -1;
	if (n < 0)
		return -errno;
	/* Further ones the kernel has closed: there was no room. */
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if ((size_t)n == sizeof(*q) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && *fd >= 0)
		return 0;
	if (*fd >= 0)
		close(*fd);
	return n ? -EBADMSG : -EPIPE;
}

/* @fd: to pass along; -1: none */
static int answer(int to, const struct sf_handover_answer *a, int fd)
{
	union {
		char room[RIGHTS_ROOM];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = (void *)a, .iov_len = sizeof(*a) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*a) ? 0 : -errno;
}

static void refuse(struct talk *t, int error, uint64_t len, const char *text)
{
	struct sf_handover_answer a = { .version = SF_HANDOVER_VERSION,
					.error = (uint32_t)-error,
					.len = len };

	snprintf(a.text, sizeof(a.text), "%s", text);
	sf_debug("hand-over for %s: %s", t->peer.address, text);
	answer(t->peer.fd, &a, -1);
	talk_free(t);
}

/* ---- states, in memory that both sides hold --------------------------------------------- */

static int state_share(const uint8_t *state, size_t len)
{
	int fd = memfd_create("scaffold connection", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;
	int ret;

	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, state + done, len - done);

		if (n <= 0) {
			ret = n ? -errno : -EIO;
			close(fd);
			return ret;
		}
		done += (size_t)n;
	}
	fcntl(fd, F_ADD_SEALS, SEALS);
	return fd;
}

/* Whether a state of so many bytes may come in, too. */
static int check_bytes(const struct talk *t, uint64_t bytes, char *err, size_t errlen)
{
	const uid_t uid = t->peer.uid;
	struct share s = share_of(t->h, uid);

	if (uid && s.bytes + bytes > BYTES_USER)
		return sf_errtext(err, errlen, -EAGAIN,
				  "state of %llu bytes: user %u has %llu on their way in, "
				  "expected at most %llu in all",
				  (unsigned long long)bytes, uid, (unsigned long long)s.bytes,
				  BYTES_USER);
	if ((uid && s.bytes_users + bytes > BYTES_USERS) ||
	    t->h->handover.bytes + bytes > BYTES_MAX)
		return sf_errtext(err, errlen, -EAGAIN,
				  "state of %llu bytes: the agent has %llu on their way in, "
				  "expected at most %llu in all",
				  (unsigned long long)bytes,
				  (unsigned long long)t->h->handover.bytes,
				  uid ? BYTES_USERS : BYTES_MAX);
	return 0;
}

/* A file that nobody can change, nor make us wait for. Return: 0 with @state, malloc'ed; -errno. */
static int state_read(int fd, const struct talk *t, uint8_t **state, size_t *len, char *err,
		      size_t errlen)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	size_t done = 0;
	uint8_t *b;
	int ret;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) || st.st_size < 0 ||
	    (uint64_t)st.st_size > EXPORTED_MAX)
		return -EBADMSG;
	ret = check_bytes(t, (uint64_t)st.st_size, err, errlen);
	if (ret)
		return ret;
	b = malloc((size_t)st.st_size + 1);
	if (!b)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, b + done, (size_t)st.st_size - done, (off_t)done);

		if (n <= 0) {
			free(b);
			return -EBADMSG;
		}
		done += (size_t)n;
	}
	*state = b;
	*len = done;
	return 0;
}

/* ---- requests --------------------------------------------------------------------------- */

static void export(struct talk *t, int fd, uint64_t room)
{
	struct sf_handover_answer a = { .version = SF_HANDOVER_VERSION };
	struct transfer_out out;
	char err[240] = "";
	size_t len = 0;
	int state, ret;

	ret = transfer_export(t->h, fd, room > SIZE_MAX ? SIZE_MAX : (size_t)room, &out, &len, err,
			      sizeof(err));
	if (ret) {
		refuse(t, ret, len, err);
		return;
	}
	a.len = out.len;
	state = state_share(out.state, out.len);
	ret = state < 0 ? state : answer(t->peer.fd, &a, state);
	if (state >= 0)
		close(state);
	if (ret) {
		transfer_undo(t->h, &out);
		refuse(t, ret, 0, "the state cannot be passed on");
		return;
	}
	/* It is in the program's hands, whatever becomes of either of us. */
	transfer_done(t->h, &out);
	talk_free(t);
}

/* The RSYN is to be through when what follows it comes to the peer; less than a timer of the loop
 * can wait. */
static void speak_soon(struct host *h)
{
	const struct itimerspec wait = { .it_value.tv_nsec = SPEAK_NS };

	timerfd_settime(h->handover.speak_fd, 0, &wait, NULL);
}

static void look_soon(struct host *h)
{
	struct timeval wait = sf_ms_timeval(LOOK_MS);

	if (!evtimer_pending(h->handover.timer, NULL))
		event_add(h->handover.timer, &wait);
}

static void import(struct talk *t, int fd)
{
	uint8_t *state = NULL;
	char err[240] = "state: expected a sealed memory file";
	size_t len = 0;
	int ret = importer_may(t->h, &t->peer, err, sizeof(err));

	if (!ret)
		ret = state_read(fd, t, &state, &len, err, sizeof(err));
	t->bytes = len;
	t->h->handover.bytes += len;
	if (!ret)
		ret = transfer_import(t->h, &t->peer, state, len, &t->in, err, sizeof(err));
	if (state)
		sf_cleanse(state, len);
	free(state);
	if (ret) {
		refuse(t, ret, 0, err);
		return;
	}
	speak_soon(t->h);
	look_soon(t->h);
}

static bool is_gone(const struct talk *t)
{
	char c;

	return !recv(t->peer.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* One that is on its way in: has it come? @late: its RSYN is some way ahead by now. */
static void look(struct talk *t, bool late)
{
	struct sf_handover_answer a = { .version = SF_HANDOVER_VERSION };
	char err[240] = "connection: it cannot go on here";
	int fd, ret;

	ret = is_gone(t) ? -EPIPE : transfer_state(t->h, &t->in, err, sizeof(err));
	if (ret == -EINPROGRESS) {
		ret = late ? transfer_speak(&t->in) : 0;
		if (!ret)
			return;
	}
	fd = ret ? ret : transfer_finish(t->h, &t->in);
	if (fd < 0) {
		refuse(t, fd, 0, err);
		return;
	}
	ret = answer(t->peer.fd, &a, fd);
	close(fd); /* where nobody takes it, this ends the connection, as for any program */
	if (ret)
		sf_warn("hand-over for %s: the connection cannot be passed on: %s", t->peer.address,
			strerror(-ret));
	talk_free(t);
}

static void look_all(struct host *h, bool late)
{
	for (struct talk *t = h->handover.talks, *next; t; t = next) {
		next = t->next;
		if (t->in.fd >= 0)
			look(t, late);
	}
}

void handover_look(struct host *h)
{
	look_all(h, false);
}

bool handover_brings(const struct host *h, const struct sf_tuple *tuple)
{
	for (const struct talk *t = h->handover.talks; t; t = t->next)
		if (t->in.fd >= 0 && sf_tuple_eq(&t->in.e.tuple, tuple))
			return true;
	return false;
}

static void on_speak(evutil_socket_t fd, short what, void *arg)
{
	uint64_t times;

	if (read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		look_all(arg, true);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	bool any = false;

	look_all(h, true);
	for (struct talk *t = h->handover.talks; t; t = t->next)
		any |= t->in.fd >= 0;
	if (any)
		look_soon(h);
}

static void on_readable(evutil_socket_t from, short what, void *arg)
{
	struct talk *t = arg;
	struct sf_handover_request q;
	int fd, ret;

	if (what & EV_TIMEOUT) {
		talk_free(t);
		return;
	}
	ret = receive(from, &q, &fd);
	if (ret == -EAGAIN) {
		event_add(t->readable, NULL);
		return;
	}
	if (ret) {
		refuse(t, ret, 0, "request: expected one message, with one descriptor");
		return;
	}
	if (q.version != SF_HANDOVER_VERSION)
		refuse(t, -EPROTONOSUPPORT, 0, "request: its version is not the agent's");
	else if (q.kind == SF_HANDOVER_EXPORT)
		export(t, fd, q.room);
	else if (q.kind == SF_HANDOVER_IMPORT)
		import(t, fd);
	else
		refuse(t, -EBADMSG, 0, "request: expected EXPORT or IMPORT");
	close(fd);
}

/* ---- connections ------------------------------------------------------------------------ */

static int who_is(int fd, struct sf_http_peer *peer)
{
	struct timespec now;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    clock_gettime(CLOCK_BOOTTIME, &now))
		return -errno;
	*peer = (struct sf_http_peer){
		.local = true, .uid = cred.uid, .gid = cred.gid, .pid = cred.pid, .fd = fd
	};
	peer->since_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	snprintf(peer->address, sizeof(peer->address), "uid %u pid %d", cred.uid, cred.pid);
	return 0;
}

static int talk_new(struct host *h, int fd, char *err, size_t errlen)
{
	const struct timeval wait = sf_ms_timeval(REQUEST_MS);
	struct sf_http_peer peer = { .uid = (uid_t)-1 };
	struct talk *t;
	int ret = who_is(fd, &peer);

	if (ret)
		return sf_errtext(err, errlen, ret, "agent: who asks: %s", strerror(-ret));
	ret = check_talks(h, peer.uid, err, errlen);
	if (ret)
		return ret;
	t = calloc(1, sizeof(*t));
	if (!t)
		return sf_errtext(err, errlen, -ENOMEM, "agent: no memory");
	t->h = h;
	t->peer = peer;
	t->in.fd = -1;
	t->readable = event_new(h->daemon.base, fd, EV_READ, on_readable, t);
	if (!t->readable || event_add(t->readable, &wait)) {
		if (t->readable)
			event_free(t->readable);
		free(t);
		return sf_errtext(err, errlen, -ENOMEM, "agent: no memory");
	}
	h->handover.n_talks++;
	t->at = &h->handover.talks;
	t->next = h->handover.talks;
	if (t->next)
		t->next->at = &t->next;
	h->handover.talks = t;
	return 0;
}

static void on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *from, int len,
		      void *arg)
{
	struct sf_handover_answer busy = { .version = SF_HANDOVER_VERSION };
	int ret = talk_new(arg, fd, busy.text, sizeof(busy.text));

	if (!ret)
		return;
	busy.error = (uint32_t)-ret;
	answer(fd, &busy, -1);
	close(fd);
}

int handover_open(struct host *h, char *err, size_t errlen)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 64];
	int ret;

	h->handover.timer = evtimer_new(h->daemon.base, on_timer, h);
	h->handover.speak_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	h->handover.speak =
		event_new(h->daemon.base, h->handover.speak_fd, EV_READ | EV_PERSIST, on_speak, h);
	if (!h->handover.timer || h->handover.speak_fd < 0 || !h->handover.speak ||
	    event_add(h->handover.speak, NULL)) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	snprintf(path, sizeof(path), "%.108s/" SF_HANDOVER_SOCKET, h->config.run);
	ret = sf_listener_packets(h->daemon.base, path, 0666, &h->handover.listener, err, errlen);
	if (!ret)
		evconnlistener_set_cb(sf_listener_ev(h->handover.listener), on_accept, h);
	return ret;
}

void handover_close(struct host *h)
{
	while (h->handover.talks)
		talk_free(h->handover.talks);
	sf_listener_free(h->handover.listener);
	if (h->handover.timer)
		event_free(h->handover.timer);
	if (h->handover.speak)
		event_free(h->handover.speak);
	if (h->handover.speak_fd > 0)
		close(h->handover.speak_fd);
	memset(&h->handover, 0, sizeof(h->handover));
}
