// SPDX-License-Identifier: Apache-2.0
/* shed.c - SHEDs that wait until their host has done them. */
#include "router/shed.h"

#include <stdlib.h>
#include <string.h>

#include "core/datapath.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/session.h"

struct sheds {
	uint32_t last; /* number given */
	size_t n;
	struct sf_item_shed list[SHEDS_MAX]; /* by number */
};

static void drop(struct sheds *s, size_t at)
{
	s->n--;
	memmove(&s->list[at], &s->list[at + 1], (s->n - at) * sizeof(s->list[0]));
}

/* Wanted again: under a new number, for it must be done again. */
static void add(struct sheds *s, const struct sf_item_shed *item)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct sf_item_shed *old = &s->list[i];

		if (sf_sid_eq(&old->sid, &item->sid) && old->proto == item->proto &&
		    old->port == item->port) {
			drop(s, i);
			break;
		}
	}
	if (s->n == SHEDS_MAX)
		drop(s, 0);
	s->list[s->n] = *item;
	s->list[s->n++].number = sf_be32(++s->last);
}

static void tell_host(struct router *r, struct host *h)
{
	struct reply p;

	if (!h->session.id)
		return; /* with the answer to its first HEARTBEAT */
	reply_begin(&p, h, SF_CTRL_SHED, 0);
	shed_put(h, &p);
	reply_send(r, &p);
}

const char *shed_down(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_host *item = sf_ctrl_find(in, SF_ITEM_HOST, NULL);
	struct host *h;

	if (!item)
		return "SHED without HOST";
	h = host_at(r, &item->locator);
	if (!h || h->state == HOST_ABSENT || !sf_sid_eq(&h->identity, &item->identity))
		return NULL; /* it has left meanwhile, and its flows with it */
	if (!h->sheds)
		h->sheds = calloc(1, sizeof(*h->sheds));
	if (!h->sheds)
		return "out of memory";
	sf_ctrl_foreach (in, it) {
		const struct sf_item_shed *shed = it.value;
		struct sf_service_key key;

		if (it.type != SF_ITEM_SHED)
			continue;
		key = (struct sf_service_key){ .sid = shed->sid,
					       .port = shed->port,
					       .proto = shed->proto };
		add(h->sheds, shed);
		events_add(r, "shed", h, &key, SF_SHED, "its host is told");
	}
	tell_host(r, h);
	return NULL;
}

void shed_put(const struct host *h, struct reply *p)
{
	for (size_t i = 0; h->sheds && i < h->sheds->n; i++)
		if (sf_ctrl_room(&p->out) >= sizeof(struct sf_item) + sizeof(struct sf_item_shed))
			sf_ctrl_put(&p->out, SF_ITEM_SHED, &h->sheds->list[i],
				    sizeof(h->sheds->list[i]));
}

void shed_heard(struct host *h, const struct sf_ctrl_in *in)
{
	const struct sf_item_shed *done = sf_ctrl_find(in, SF_ITEM_SHED, NULL);
	struct sheds *s = h->sheds;

	while (done && s && s->n && sf_be32(s->list[0].number) <= sf_be32(done->number))
		drop(s, 0);
}

void shed_forget(struct host *h)
{
	free(h->sheds);
	h->sheds = NULL;
}
