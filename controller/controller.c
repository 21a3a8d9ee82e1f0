// SPDX-License-Identifier: Apache-2.0
/* controller.c - the controller as a whole: opening, closing, the turn of the event loop, time. */
#include "controller/controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/rules.h"
#include "util/clock.h"

static int load(struct controller *c, char *err, size_t errlen)
{
	const struct config *cfg = c->config;
	int ret = store_hashkey(c->store, &c->hashkey);

	if (!ret)
		ret = blocks_new(c->store, cfg->block_first, cfg->block_last, &c->blocks);
	if (!ret)
		ret = events_new(c->store, cfg->events_memory, cfg->events_store, &c->events);
	if (!ret)
		ret = rules_new(&c->rules);
	if (!ret && !(c->scratch = malloc(SF_CTRL_MAX)))
		ret = -ENOMEM;
	/* Last of all that can fail for a reason in the store: a term is not to be wasted. */
	if (!ret)
		ret = store_term_next(c->store, cfg->term, &c->term);
	if (ret) {
		snprintf(err, errlen, "%s: cannot load: %s (%s)", store_path(c->store),
			 strerror(-ret), store_error(c->store));
		return ret;
	}
	ret = policies_load(c, err, errlen);
	return ret ? ret : routers_load(c, err, errlen);
}

int controller_open(struct controller *c, const struct config *config, char *err, size_t errlen)
{
	int ret;

	c->config = config;
	if (!c->clock)
		c->clock = sf_now_ms;
	c->started = c->clock();
	c->started_wall = sf_wall_ms();
	ret = store_open(config->state, &c->store, err, errlen);
	if (!ret)
		ret = load(c, err, errlen);
	if (ret)
		return ret;
	c->settled = c->awaited == 0;
	events_add(c, &(struct event_entry){ .kind = EVENT_STARTED },
		   "version %s, term %u, %u routers awaited", SF_VERSION, c->term, c->awaited);
	return 0;
}

void controller_close(struct controller *c)
{
	c->wake = NULL;
	c->stopping = true;
	if (c->events) {
		events_add(c, &(struct event_entry){ .kind = EVENT_STOPPED }, NULL);
		while (events_store(c, 10000) > 0)
			;
		while (names_store(c, 10000) > 0)
			;
		routers_free(c);
		rules_flush(c); /* frees endpoints without instances */
	}
	policies_free(c);
	rules_free(c->rules);
	free(c->scratch);
	blocks_free(c->blocks);
	events_free(c->events);
	store_close(c->store);
}

void controller_flush(struct controller *c)
{
	struct session *s, *tmp;

	rules_flush(c);
	DL_FOREACH_SAFE(c->sessions, s, tmp)
	{
		if (s->broken && !s->linger)
			s->ops->close(s->io, s->broken);
	}
}

void controller_tick(struct controller *c)
{
	sessions_reap(c);
	routers_tick(c);
}
