// SPDX-License-Identifier: Apache-2.0
/* ctl.c - the controller as a whole: opening, closing, the turn of the event loop, time. */
#include "controller/ctl.h"

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

static int load(struct ctl *c, char *err, size_t errlen)
{
	const struct ctl_config *cfg = c->config;
	int ret = ctl_store_hashkey(c->store, &c->hashkey);

	if (!ret)
		ret = ctl_blocks_new(c->store, cfg->block_first, cfg->block_last, &c->blocks);
	if (!ret)
		ret = ctl_events_new(c->store, cfg->events_memory, cfg->events_store, &c->events);
	if (!ret)
		ret = ctl_rules_new(&c->rules);
	if (!ret && !(c->scratch = malloc(SF_CTRL_MAX)))
		ret = -ENOMEM;
	/* Last of all that can fail for a reason in the store: a term is not to be wasted. */
	if (!ret)
		ret = ctl_store_term_next(c->store, cfg->term, &c->term);
	if (ret) {
		snprintf(err, errlen, "%s: cannot load: %s (%s)", ctl_store_path(c->store),
			 strerror(-ret), ctl_store_error(c->store));
		return ret;
	}
	ret = ctl_policies_load(c, err, errlen);
	return ret ? ret : ctl_routers_load(c, err, errlen);
}

int ctl_open(struct ctl *c, const struct ctl_config *config, char *err, size_t errlen)
{
	int ret;

	c->config = config;
	if (!c->clock)
		c->clock = sf_now_ms;
	c->started = c->clock();
	c->started_wall = sf_wall_ms();
	ret = ctl_store_open(config->state, &c->store, err, errlen);
	if (!ret)
		ret = load(c, err, errlen);
	if (ret)
		return ret;
	c->settled = c->awaited == 0;
	ctl_event_add(c, &(struct ctl_event){ .kind = CTL_EVENT_STARTED },
		      "version %s, term %u, %u routers awaited", SF_VERSION, c->term, c->awaited);
	return 0;
}

void ctl_close(struct ctl *c)
{
	c->wake = NULL;
	c->stopping = true;
	if (c->events) {
		ctl_event_add(c, &(struct ctl_event){ .kind = CTL_EVENT_STOPPED }, NULL);
		while (ctl_events_store(c, 10000) > 0)
			;
		while (ctl_names_store(c, 10000) > 0)
			;
		ctl_routers_free(c);
		ctl_rules_flush(c); /* frees endpoints without instances */
	}
	ctl_policies_free(c);
	ctl_rules_free(c->rules);
	free(c->scratch);
	ctl_blocks_free(c->blocks);
	ctl_events_free(c->events);
	ctl_store_close(c->store);
}

void ctl_flush(struct ctl *c)
{
	struct ctl_session *s, *tmp;

	ctl_rules_flush(c);
	DL_FOREACH_SAFE(c->sessions, s, tmp)
	{
		if (s->broken && !s->linger)
			s->ops->close(s->io, s->broken);
	}
}

void ctl_tick(struct ctl *c)
{
	ctl_sessions_reap(c);
	ctl_routers_tick(c);
}
