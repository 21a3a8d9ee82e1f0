// SPDX-License-Identifier: Apache-2.0
/* grace.c - see grace.h. */
#include "agent/grace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/host.h"
#include "core/sal.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/log.h"

#define FRESH_MS 60000 /* then it is asked for again */
#define AGAIN_MS 1000  /* without an answer */

/* @set: there is a policy that says @ms. @next_ms: before that it is not asked for again. Of the
 * configuration's word @ms alone counts. */
struct grace_policy {
	struct sf_sid sid;
	bool set;
	uint32_t ms;
	uint64_t next_ms;
	UT_hash_handle hh;
};

/* ---- tables ----------------------------------------------------------------------------- */

static struct grace_policy *find(struct grace_policy *table, const struct sf_sid *sid)
{
	struct grace_policy *p;

	HASH_FIND(hh, table, sid, sizeof(*sid), p);
	return p;
}

static struct grace_policy *add(struct grace_policy **table, const struct sf_sid *sid)
{
	struct grace_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->sid = *sid;
	HASH_ADD(hh, *table, sid, sizeof(p->sid), p);
	return p;
}

static void forget(struct grace_policy **table)
{
	struct grace_policy *p, *tmp;

	HASH_ITER (hh, *table, p, tmp) {
		HASH_DEL(*table, p);
		free(p);
	}
}

/* ---- what this host's configuration says ------------------------------------------------ */

/* "web=2s": which service, how long. */
static int parse_grace(const struct sf_net *net, const char *text, struct sf_sid *sid, uint32_t *ms)
{
	char name[SF_NAME_TEXT + SF_ADDR_STRLEN];
	const char *equals = strrchr(text, '=');
	const char *why;

	if (!equals || (size_t)(equals - text) >= sizeof(name))
		return -EINVAL;
	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	if (sf_sid_parse(net, name, sf_sha256, sid, &why) || sf_duration_parse(equals + 1, ms))
		return -EINVAL;
	return 0;
}

bool grace_is_text(const char *text)
{
	struct sf_net net = sf_net_default(0);
	struct sf_sid sid;
	uint32_t ms;

	return !parse_grace(&net, text, &sid, &ms);
}

int graces_open(struct host *h)
{
	const struct sf_conf_list *list = &h->config.service_move_grace;
	struct grace_policy *p;
	struct sf_sid sid;
	uint32_t ms;

	forget(&h->graces.own);
	for (size_t i = 0; i < list->count; i++) {
		if (parse_grace(&h->net, list->items[i], &sid, &ms)) {
			sf_warn("service_move_grace: '%s' is no service of this network",
				list->items[i]);
			continue;
		}
		if (find(h->graces.own, &sid))
			continue; /* what is said first counts */
		p = add(&h->graces.own, &sid);
		if (!p)
			return -ENOMEM;
		p->ms = ms;
	}
	return 0;
}

/* ---- what the controller's policy says -------------------------------------------------- */

static struct grace_policy *policy_new(struct host *h, const struct sf_sid *sid)
{
	/* Those that are waited for come again with the next walk. */
	if (HASH_COUNT(h->graces.policies) >= GRACE_POLICIES)
		forget(&h->graces.policies);
	return add(&h->graces.policies, sid);
}

static void on_answer(void *ctx, const struct sf_ctrl_in *request, const struct sf_ctrl_in *answer)
{
	const struct sf_item_registration *asked =
		sf_ctrl_find(request, SF_ITEM_REGISTRATION, NULL);
	const struct sf_item_timers *t = sf_ctrl_find(answer, SF_ITEM_TIMERS, NULL);
	struct grace_policy *p = NULL;

	if (asked && answer->type == SF_CTRL_FOUND)
		p = find(((struct attachment *)ctx)->host->graces.policies, &asked->sid);
	if (!p)
		return;
	p->next_ms = sf_now_ms() + FRESH_MS;
	/* A router that does not know the policy says nothing of it: what we heard before counts.
	 */
	if (!t)
		return;
	p->ms = sf_be32(t->move_grace_ms);
	p->set = p->ms != SF_GRACE_UNSET;
}

static struct sf_addr service_of(const struct sf_flow *f)
{
	return f->flags & SF_FLOW_INBOUND ? f->tuple.local : f->tuple.peer;
}

void grace_ask(struct host *h, const struct sf_flow *f)
{
	struct attachment *router = attachment_primary(h);
	struct sf_addr service = service_of(f);
	struct sf_item_registration item = { .sid = sf_addr_sid_or_none(&h->net, &service) };
	struct grace_policy *p;
	struct session_request *q;

	if (sf_sid_is_zero(&item.sid) || item.sid.w[0] == sf_be32(SF_SSID_HOSTS))
		return; /* policies are for services */
	p = find(h->graces.policies, &item.sid);
	if (!p)
		p = policy_new(h, &item.sid);
	if (!p || !router || sf_now_ms() < p->next_ms)
		return;
	q = session_request(&router->session, SF_CTRL_LOOKUP);
	if (!q)
		return;
	p->next_ms = sf_now_ms() + SESSION_LOST_MS + AGAIN_MS;
	sf_ctrl_put(&q->out, SF_ITEM_REGISTRATION, &item, sizeof(item));
	session_send(q, on_answer);
}

uint32_t grace_of(const struct host *h, const struct sf_flow *f)
{
	const struct attachment *primary = attachment_primary(h);
	struct sf_addr service = service_of(f);
	struct sf_sid sid = sf_addr_sid_or_none(&h->net, &service);
	const struct grace_policy *p = find(h->graces.own, &sid);

	if (p)
		return p->ms;
	p = find(h->graces.policies, &sid);
	if (p && p->set)
		return p->ms;
	if (h->config.move_grace_ms || !primary)
		return h->config.move_grace_ms;
	return primary->join.move_grace_ms;
}

void graces_close(struct host *h)
{
	forget(&h->graces.own);
	forget(&h->graces.policies);
}
