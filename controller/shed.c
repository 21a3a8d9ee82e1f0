// SPDX-License-Identifier: Apache-2.0
/* shed.c - SHED to routers (docs/protocol.md section 5.2). */
#include "controller/shed.h"

#include <string.h>
#include <utlist.h>

#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/routers.h"
#include "controller/rules.h"
#include "controller/services.h"
#include "core/ctrl.h"

static bool concerns(const struct shed *what, const struct instance *in)
{
	const struct sf_service_key *key = &in->key.endpoint->key;

	return (!what->key.proto ||
		(key->proto == what->key.proto && key->port == what->key.port)) &&
	       !strcmp(in->key.host->identity->text, what->identity);
}

struct shed_found shed_look(const struct controller *c, const struct shed *what)
{
	const struct service *s = service_find(c, &what->key.sid);
	struct shed_found found = { 0 };
	struct endpoint *ep = NULL;
	struct instance *in;

	if (!s)
		return found;
	DL_FOREACH2(s->endpoints, ep, service_next)
	{
		DL_FOREACH(ep->instances, in)
		{
			if (!concerns(what, in))
				continue;
			found.instances++;
			found.away += !in->key.host->router->session;
			found.open += in->open;
		}
	}
	return found;
}

static void tell_router(struct controller *c, const struct host *h, const struct shed *what)
{
	struct session *s = h->router->session;
	struct sf_item_host host = { .locator = h->locator,
				     .identity = h->identity->sid,
				     .boot = sf_be64(h->boot) };
	struct sf_item_shed item = { .sid = what->key.sid,
				     .proto = what->key.proto,
				     .port = what->key.port };
	struct sf_ctrl_out o;
	uint8_t buf[128];
	int len;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_SHED, 0, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST, &host, sizeof(host));
	sf_ctrl_put(&o, SF_ITEM_SHED, &item, sizeof(item));
	len = sf_ctrl_end(&o);
	if (len > 0 && s && !s->broken && s->ops->send(s->io, o.start, (size_t)len))
		s->broken = "cannot send";
	controller_wake(c);
}

void shed_tell(struct controller *c, const struct shed *what, const char *who)
{
	struct host *h, *tmp;

	/* Who loses its flow may open another at once: that must not lead here again. */
	rules_flush(c);
	/* A host has one message, however many ports it serves; a moving one may be known twice. */
	HASH_ITER (hh, c->hosts, h, tmp) {
		struct event_entry e;

		if (strcmp(h->identity->text, what->identity) != 0)
			continue;
		e = event_of_host(EVENT_SHED, h);
		e.reason = SF_SHED;
		e.service = what->key.sid;
		e.has_port = what->key.proto != 0;
		e.proto = what->key.proto;
		e.port = what->key.port;
		events_add(c, &e, "its flows are to end (by %s)", who);
		tell_router(c, h, what);
	}
}
