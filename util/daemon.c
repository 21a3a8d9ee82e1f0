// SPDX-License-Identifier: Apache-2.0
/* daemon.c - the life that all daemons share: loop, signals, run directory and lock, sd_notify(3)'s
 * protocol.
 */
#include "util/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/file.h"

static void on_stop(evutil_socket_t sig, short what, void *ctx)
{
	sf_daemon_stop(ctx);
}

static void on_reload(evutil_socket_t sig, short what, void *ctx)
{
	struct sf_daemon *d = ctx;

	if (d->options.reload)
		d->options.reload(d->options.ctx);
}

static void quit(struct sf_daemon *d)
{
	d->quit = true;
	event_base_loopbreak(d->base);
}

static void on_grace_over(evutil_socket_t fd, short what, void *ctx)
{
	quit(ctx);
}

static struct event *add_signal(struct sf_daemon *d, int sig, event_callback_fn fn)
{
	struct event *ev = evsignal_new(d->base, sig, fn, d);

	if (ev && event_add(ev, NULL) < 0) {
		event_free(ev);
		ev = NULL;
	}
	return ev;
}

/*
 * Takes the lock, or tells who has it. A holder that is just stopping may unlink the file between
 * our open() and flock(): then we hold a lock that nobody else can see, and start again.
 */
static int take_lock(struct sf_daemon *d, char *err, size_t err_len)
{
	char text[32] = "";
	struct stat here, there;
	int fd, r;

	for (;;) {
		fd = open(d->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			break;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			r = errno == EWOULDBLOCK ? -EBUSY : -errno;
			if (read(fd, text, sizeof(text) - 1) < 0)
				text[0] = '\0';
			text[strcspn(text, "\n")] = '\0';
			snprintf(err, err_len, "%s: already running (pid %s); stop it first",
				 d->lock_path, text[0] ? text : "unknown");
			close(fd);
			return r;
		}
		if (fstat(fd, &here) == 0 && stat(d->lock_path, &there) == 0 &&
		    here.st_ino == there.st_ino)
			break;
		close(fd);
	}
	if (fd >= 0) {
		snprintf(text, sizeof(text), "%d\n", getpid());
		if (ftruncate(fd, 0) == 0 &&
		    pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text)) {
			d->lock_fd = fd;
			return 0;
		}
	}
	r = -errno;
	snprintf(err, err_len, "%s: %s", d->lock_path, strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}

int sf_daemon_open(struct sf_daemon *d, const struct sf_daemon_options *options, char *err,
		   size_t err_len)
{
	int r;

	*d = (struct sf_daemon){ .options = *options, .lock_fd = -1 };
	if (snprintf(d->lock_path, sizeof(d->lock_path), "%s/%s.pid", options->run_dir,
		     options->name) >= (int)sizeof(d->lock_path)) {
		snprintf(err, err_len, "%s: path above %zu bytes", options->run_dir,
			 sizeof(d->lock_path) - 1);
		return -ENAMETOOLONG;
	}
	r = sf_mkdir_p(options->run_dir, options->run_dir_mode ? options->run_dir_mode : 0755);
	if (r) {
		snprintf(err, err_len, "%s: cannot make the run directory: %s", options->run_dir,
			 strerror(-r));
		return r;
	}
	r = take_lock(d, err, err_len);
	if (r)
		return r;
	signal(SIGPIPE, SIG_IGN);
	d->base = event_base_new();
	if (d->base) {
		d->on_term = add_signal(d, SIGTERM, on_stop);
		d->on_int = add_signal(d, SIGINT, on_stop);
		d->on_hup = add_signal(d, SIGHUP, on_reload);
		d->on_grace = evtimer_new(d->base, on_grace_over, d);
	}
	if (!d->on_term || !d->on_int || !d->on_hup || !d->on_grace) {
		snprintf(err, err_len, "%s: cannot make the event loop", options->name);
		sf_daemon_close(d);
		return -ENOMEM;
	}
	return 0;
}

int sf_daemon_run(struct sf_daemon *d)
{
	int r = 0;

	sf_notify("READY=1");
	/* A quit from before the loop would be lost in it. */
	if (!d->quit && event_base_dispatch(d->base) < 0)
		r = -EIO;
	return r;
}

void sf_daemon_stop(struct sf_daemon *d)
{
	struct timeval grace = sf_ms_timeval(d->options.stop_grace);

	if (d->stopping) {
		quit(d);
		return;
	}
	d->stopping = true;
	sf_notify("STOPPING=1");
	if (d->options.stop)
		d->options.stop(d->options.ctx);
	if (d->options.stop_grace == 0 || event_add(d->on_grace, &grace) < 0)
		quit(d);
}

void sf_daemon_close(struct sf_daemon *d)
{
	struct event *events[] = { d->on_term, d->on_int, d->on_hup, d->on_grace };

	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (events[i])
			event_free(events[i]);
	if (d->base)
		event_base_free(d->base);
	/* On a zeroed struct, descriptor 0 is not ours. */
	if (d->lock_path[0] && d->lock_fd >= 0) {
		unlink(d->lock_path);
		close(d->lock_fd);
	}
	*d = (struct sf_daemon){ .lock_fd = -1 };
}

int sf_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd, r = 1;

	if (len == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(addr.sun_path))
		return -EINVAL;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@') /* abstract */
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (void *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		r = -errno;
	close(fd);
	return r;
}
