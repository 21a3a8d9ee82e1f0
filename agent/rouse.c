// SPDX-License-Identifier: Apache-2.0
/* rouse.c - see rouse.h. */
#include "agent/rouse.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "core/sal.h"
#include "util/clock.h"
#include "util/log.h"

#define SLICE	128 /* sockets in one turn of the loop */
#define TURN_MS 4

/* Between rounds: a socket may be locked by its user, and the first segments may wait for the
 * router's neighbour entry. */
static const unsigned int waits_ms[] = { 20, 100, 500 };
#define ROUNDS (sizeof(waits_ms) / sizeof(waits_ms[0]))

/** struct rouse_job - @n sockets, told up to @at in this @round. @place: NULL: those of peers. */
struct rouse_job {
	struct rouse_job *next;
	struct host *host;
	struct event *timer;
	const struct sf_addr *place;
	struct sf_tuple *tuples;
	size_t n, room, at, kept;
	unsigned int round;
};

static void job_free(struct rouse_job *j)
{
	if (j->timer)
		event_free(j->timer);
	free(j->tuples);
	free(j);
}

static void job_end(struct rouse_job *j)
{
	struct rouse_job **at = &j->host->rouse.jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	j->host->rouse.n--;
	job_free(j);
}

static int choose(const void *key, const void *value, void *ctx)
{
	struct rouse_job *j = ctx;
	const struct silence_pair *p;
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	if (f.tuple.proto != SF_NEXTHDR_TCP || !mover_takes(&f))
		return 0;
	if (j->place && !sf_locator_same_host(&f.own, j->place))
		return 0;
	if (!j->place) {
		p = silence_find(&j->host->probes.silence, &f.own, &f.peer);
		if (!p || !p->back)
			return 0;
	}
	if (j->n == j->room) {
		size_t room = j->room ? 4 * j->room : 64;
		struct sf_tuple *more = reallocarray(j->tuples, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		j->tuples = more;
		j->room = room;
	}
	j->tuples[j->n++] = f.tuple;
	return 0;
}

/* Those of which nothing waits are left alone from now on. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct rouse_job *j = arg;
	unsigned int ms = TURN_MS;
	struct timeval wait;

	for (int i = 0; i < SLICE && j->at < j->n; i++) {
		const struct sf_tuple t = j->tuples[j->at++];

		if (datapath_kick(j->host, &t, SF_KICK_TIMER) != -ENOENT)
			j->tuples[j->kept++] = t;
	}
	if (j->at == j->n) {
		j->n = j->kept;
		j->at = j->kept = 0;
		if (!j->n || j->round == ROUNDS) {
			job_end(j);
			return;
		}
		ms = waits_ms[j->round++];
	}
	wait = sf_ms_timeval(ms);
	event_add(j->timer, &wait);
}

static void begin(struct host *h, const struct sf_addr *place)
{
	struct rouse_job *j;
	int ret = -ENOMEM;

	if (h->rouse.n == ROUSE_JOBS)
		return;
	j = calloc(1, sizeof(*j));
	if (j) {
		j->host = h;
		j->place = place;
		j->timer = evtimer_new(h->daemon.base, on_timer, j);
		ret = j->timer ? sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t),
						 sizeof(struct sf_flow), choose, j)
			       : -ENOMEM;
		j->place = NULL; /* the caller's */
	}
	if (ret)
		sf_warn("sockets that can go on are not told: %s", strerror(-ret));
	if (ret || !j->n) {
		if (j)
			job_free(j);
		return;
	}
	j->next = h->rouse.jobs;
	h->rouse.jobs = j;
	h->rouse.n++;
	event_active(j->timer, EV_TIMEOUT, 0);
}

void rouse_place(struct host *h, const struct sf_addr *place)
{
	begin(h, place);
}

void rouse_peers(struct host *h)
{
	begin(h, NULL);
}

void rouse_close(struct host *h)
{
	struct rouse_job *j;

	while ((j = h->rouse.jobs)) {
		h->rouse.jobs = j->next;
		job_free(j);
	}
	h->rouse.n = 0;
}
