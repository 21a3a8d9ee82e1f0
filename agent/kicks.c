// SPDX-License-Identifier: Apache-2.0
/* kicks.c - which sockets are told when that their segments arrive again; see kicks.h. */
#include "agent/kicks.h"

#include "core/renegotiate.h"
#include "core/sal.h"

/* After the first one. */
static const uint64_t waits[KICKS_AGAIN] = { 10000000, 40000000 };

void kicks_drop(struct kicks *ks, struct kick *k)
{
	struct kick **head;

	if (!k->list)
		return;
	head = &ks->lists[k->list - 1];
	if (k->prev == k) {
		*head = NULL;
	} else {
		k->prev->next = k->next;
		k->next->prev = k->prev;
		if (*head == k)
			*head = k->next;
	}
	k->list = 0;
}

static void wait_in(struct kicks *ks, struct kick *k, int list, uint64_t now)
{
	struct kick **head = &ks->lists[list - 1];

	kicks_drop(ks, k);
	k->list = list;
	k->at = now + (waits[list - 1] > ks->least ? waits[list - 1] : ks->least);
	if (!*head) {
		*head = k->prev = k->next = k;
		return;
	}
	k->next = *head;
	k->prev = (*head)->prev;
	k->prev->next = k;
	k->next->prev = k;
}

static bool tell(struct kicks *ks, const struct kick *k, enum sf_kick_how how)
{
	ks->count++;
	return ks->tell(ks->ctx, &k->tuple, how);
}

/* What was under way when a place went is lost; so are the acknowledgements of what was not, and
 * the peer is to have ours before it sends all anew. */
void kicks_begin(struct kicks *ks, struct kick *k, uint32_t acts, bool held, uint64_t now)
{
	bool lost = acts & SF_MOVE_RESEND;

	if (!ks->tell || k->tuple.proto != SF_NEXTHDR_TCP)
		return;
	if (lost && (acts & (SF_MOVE_PEER | SF_MOVE_ARRIVED)))
		tell(ks, k, SF_KICK_ACK);
	if (!(acts & (SF_MOVE_ARRIVED | SF_MOVE_REACHED))) {
		/* One segment, a round trip before the rest: whoever types waits for no other. */
		if (lost && held)
			tell(ks, k, SF_KICK_RESEND);
		return;
	}
	if (tell(ks, k, lost ? SF_KICK_RESEND : SF_KICK_TIMER))
		wait_in(ks, k, 1, now);
	else
		kicks_drop(ks, k);
}

/* Once more, and perhaps a last time. Not all anew, though: what is under way by now is what was
 * sent anew. */
static void again(struct kicks *ks, struct kick *k, uint64_t now)
{
	int next = k->list + 1;

	if (tell(ks, k, SF_KICK_TIMER) && next <= KICKS_AGAIN)
		wait_in(ks, k, next, now);
	else
		kicks_drop(ks, k);
}

void kicks_run(struct kicks *ks, uint64_t now, size_t max)
{
	for (int i = 0; i < KICKS_AGAIN; i++)
		for (size_t n = 0; n < max && ks->lists[i] && ks->lists[i]->at <= now; n++)
			again(ks, ks->lists[i], now);
}

uint64_t kicks_due(const struct kicks *ks)
{
	uint64_t due = 0;

	for (int i = 0; i < KICKS_AGAIN; i++)
		if (ks->lists[i] && (!due || ks->lists[i]->at < due))
			due = ks->lists[i]->at;
	return due;
}
