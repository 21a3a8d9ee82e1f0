// SPDX-License-Identifier: Apache-2.0
/* daemon.h - the life that all SCAFFOLD daemons share: one event loop, signals, run directory with
 * lock, sd_notify, privileges.
 *
 * A daemon does: sf_daemon_open(), its own setup, sf_priv_enter() of its last stage,
 * sf_daemon_run(), its own clean-up, sf_daemon_close(). It never forks into the background; service
 * managers do that better.
 */
#ifndef SF_UTIL_DAEMON_H
#define SF_UTIL_DAEMON_H

#include <event2/event.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sf_daemon_options {
	const char *name;	   /* "scaffoldd": of the lock file <run_dir>/<name>.pid */
	const char *run_dir;	   /* "/run/scaffold"; made where missing */
	mode_t run_dir_mode;	   /* 0: 0755 */
	void (*stop)(void *ctx);   /* SIGTERM, SIGINT; may be NULL */
	uint32_t stop_grace;	   /* ms the loop goes on after @stop, at most; 0: ends at once */
	void (*reload)(void *ctx); /* SIGHUP; NULL: ignored */
	void *ctx;
};

struct sf_daemon {
	struct event_base *base; /* for the daemon's own events */
	struct sf_daemon_options options;
	struct event *on_term, *on_int, *on_hup, *on_grace;
	int lock_fd;
	char lock_path[256];
	bool stopping; /* a stop was asked for */
	bool quit;     /* the loop shall end */
};

/**
 * sf_daemon_open - event base, signals (SIGPIPE is ignored), run directory, lock.
 * @d: written whole; strings of @options are kept by pointer
 * @err: one line that names what failed and what to do, for example
 *	"/run/scaffold/scaffoldd.pid: already running (pid 17); stop it first"
 * Returns 0, -EBUSY where another instance holds the lock, or negative errno; on failure nothing
 * stays open.
 */
int sf_daemon_open(struct sf_daemon *d, const struct sf_daemon_options *options, char *err,
		   size_t err_len);

/**
 * sf_daemon_run - say READY=1 and loop until a stop.
 * Returns 0, or -EIO where the event loop failed.
 */
int sf_daemon_run(struct sf_daemon *d);

/**
 * sf_daemon_stop - what SIGTERM does: STOPPING=1, the stop function, then the end of the
 * loop after the grace time. A second call (or signal) ends it at once.
 */
void sf_daemon_stop(struct sf_daemon *d);

/** sf_daemon_close - free all, remove the lock file. Safe on a zeroed struct and after a failed
 * open. */
void sf_daemon_close(struct sf_daemon *d);

/**
 * sf_notify - tell the service manager (NOTIFY_SOCKET), without libsystemd.
 * @state: "READY=1", "STATUS=joined as fd5c::1", "WATCHDOG=1"; several separated by newlines
 * Returns 1 when told, 0 where nobody listens, or negative errno.
 */
int sf_notify(const char *state);

/* Capabilities as bits: SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_BPF). */
#define SF_CAP(cap) (1ull << (cap))

/* A stage of a daemon's life, and all that it may still do. Stages can only take away. */
struct sf_priv_stage {
	const char *name; /* "setup", "serve": for the program's messages */
	uint64_t caps;	  /* kept; all others are dropped from bounding, ambient, permitted and
			     inheritable sets */
	uint64_t held;	  /* permitted but not effective: for sf_priv_raise() */
	bool inheritable; /* programs that we execute keep @caps (ambient) */
};

/**
 * sf_priv_enter - keep only the stage's capabilities and set no_new_privs, for the calling thread.
 * Call it before making threads. @caps that the process does not hold: -EPERM, and nothing is
 * changed. Without CAP_SETPCAP the bounding set stays: no_new_privs has the same effect for what is
 * executed.
 */
int sf_priv_enter(const struct sf_priv_stage *stage);

/**
 * sf_priv_raise - make held capabilities effective for a few calls, or (@on false) lay them down.
 * Returns 0, or -EPERM where the stage does not hold them.
 */
int sf_priv_raise(uint64_t caps, bool on);

/** sf_priv_have - whether all of @caps are effective now. */
bool sf_priv_have(uint64_t caps);

/**
 * sf_close_stray - close every inherited descriptor above 2, and open /dev/null in place of closed
 * 0 to 2. Call it first in main().
 */
void sf_close_stray(void);

#endif
