// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * ctrl.c - the codec of control messages: one loop that checks, one that reads, one writer.
 */
#include <errno.h>

#include "core/ctrl.h"

#define PADDED(len) (((size_t)(len) + 3) & ~(size_t)3)

const char *sf_ctrl_name(unsigned int type)
{
	switch (type) {
#define X(n, sym, name) \
	case n:         \
		return name;
		SF_CTRL_TYPES(X)
#undef X
	}
	return "?";
}

__u16 sf_item_min(__u16 type)
{
	static const __u16 least[] = {
#define X(n, sym, min) [n] = min,
		SF_ITEMS(X)
#undef X
	};

	return type < sizeof(least) / sizeof(least[0]) ? least[type] : 0;
}

void sf_ctrl_begin(struct sf_ctrl_out *o, void *buf, size_t room, __u8 type, __u32 seq,
		   __u64 session)
{
	struct sf_ctrl_hdr hdr = {
		.magic = { 'S', 'F' },
		.version = SF_CTRL_VERS,
		.type = type,
		.seq = sf_be32(seq),
		.session = sf_be64(session),
	};

	o->start = buf;
	o->at = o->start;
	o->end = o->start + (room < SF_CTRL_MAX ? room : SF_CTRL_MAX);
	o->overflow = room < sizeof(hdr);
	if (o->overflow)
		return;
	memcpy(o->at, &hdr, sizeof(hdr));
	o->at += sizeof(hdr);
}

size_t sf_ctrl_room(const struct sf_ctrl_out *o)
{
	return o->overflow ? 0 : (size_t)(o->end - o->at);
}

void *sf_ctrl_put(struct sf_ctrl_out *o, __u16 type, const void *value, size_t len)
{
	struct sf_item head = { .type = sf_be16(type), .len = sf_be16(len) };
	__u8 *at = o->at;

	if (len > 0xffff || sf_ctrl_room(o) < sizeof(head) + PADDED(len)) {
		o->overflow = true;
		return NULL;
	}
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	memset(at, 0, PADDED(len));
	if (value && len)
		memcpy(at, value, len);
	o->at = at + PADDED(len);
	return at;
}

int sf_ctrl_end(const struct sf_ctrl_out *o)
{
	return o->overflow ? -EMSGSIZE : (int)(o->at - o->start);
}

/* Read the head of the item at @at, which is whole. */
static void item_read(const __u8 *at, struct sf_ctrl_item *it)
{
	struct sf_item head;

	memcpy(&head, at, sizeof(head));
	it->type = sf_be16(head.type);
	it->len = sf_be16(head.len);
	it->value = at + sizeof(head);
	it->at = at;
}

static bool is_zero(const __u8 *p, size_t len)
{
	while (len)
		if (p[--len])
			return false;
	return true;
}

/* Check the item at @at of @room bytes. Return: what is wrong, or NULL and *@it. */
static const char *item_check(const __u8 *at, size_t room, struct sf_ctrl_item *it)
{
	if (room < sizeof(struct sf_item))
		return "the message ends inside an item's head";
	item_read(at, it);
	if (room - sizeof(struct sf_item) < PADDED(it->len))
		return "an item is longer than the message";
	if (it->len < sf_item_min(it->type))
		return "an item is shorter than its type demands";
	if (!is_zero((const __u8 *)it->value + it->len, PADDED(it->len) - it->len))
		return "an item's padding is not zero";
	return NULL;
}

/*
 * What follows a signature or a MAC is not covered by it: nothing may follow but, after a
 * signature, the MAC.
 */
static const char *order_check(__u16 proof, __u16 type)
{
	if (proof == SF_ITEM_MAC)
		return "an item follows the MAC";
	if (proof == SF_ITEM_SIGNATURE && type != SF_ITEM_MAC)
		return "an item follows the signature";
	return NULL;
}

static int bad(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

int sf_ctrl_open(const void *data, size_t len, struct sf_ctrl_in *in, const char **why)
{
	const __u8 *start = data, *end = start + len, *at;
	struct sf_ctrl_item it;
	struct sf_ctrl_hdr hdr;
	const char *wrong;
	__u16 proof = 0;

	if (len < sizeof(hdr))
		return bad(why, "shorter than a message's head");
	if (len > SF_CTRL_MAX)
		return bad(why, "longer than any message");
	memcpy(&hdr, start, sizeof(hdr));
	if (hdr.magic[0] != 'S' || hdr.magic[1] != 'F')
		return bad(why, "does not begin with \"SF\"");
	if (hdr.version != SF_CTRL_VERS) {
		*why = "unknown version of the control protocol, expected 1";
		return -EPROTONOSUPPORT;
	}
	for (at = start + sizeof(hdr); at < end; at += sizeof(struct sf_item) + PADDED(it.len)) {
		wrong = item_check(at, (size_t)(end - at), &it);
		if (!wrong)
			wrong = order_check(proof, it.type);
		if (wrong)
			return bad(why, wrong);
		if (it.type == SF_ITEM_MAC || it.type == SF_ITEM_SIGNATURE)
			proof = it.type;
	}
	in->type = hdr.type;
	in->seq = sf_be32(hdr.seq);
	in->session = sf_be64(hdr.session);
	in->start = start;
	in->items = start + sizeof(hdr);
	in->end = end;
	*why = NULL;
	return 0;
}

bool sf_ctrl_next(const struct sf_ctrl_in *in, struct sf_ctrl_item *it)
{
	const __u8 *at = in->items;

	if (it->at)
		at = it->at + sizeof(struct sf_item) + PADDED(it->len);
	if (at >= in->end)
		return false;
	item_read(at, it);
	return true;
}

const void *sf_ctrl_find(const struct sf_ctrl_in *in, __u16 type, __u16 *len)
{
	sf_ctrl_foreach (in, it) {
		if (it.type != type)
			continue;
		if (len)
			*len = it.len;
		return it.value;
	}
	return NULL;
}

int sf_ctrl_get(const struct sf_ctrl_in *in, __u16 type, void *out, size_t size)
{
	const void *value;
	__u16 len;

	value = sf_ctrl_find(in, type, &len);
	if (!value)
		return -ENOENT;
	if (len < size)
		return -EBADMSG;
	memcpy(out, value, size);
	return 0;
}
