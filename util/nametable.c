// SPDX-License-Identifier: Apache-2.0
/* nametable.c - see nametable.h. */
#include "util/nametable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/crypto.h"
#include "util/json.h"

static void drop(struct sf_nametable *t, struct sf_named *n)
{
	HASH_DEL(t->first, n);
	free(n);
}

void sf_nametable_free(struct sf_nametable *t)
{
	while (t->first)
		drop(t, t->first);
}

int sf_nametable_add(struct sf_nametable *t, const struct sf_sid *sid, const char *text,
		     struct sf_named **out)
{
	size_t len = strlen(text) + 1;
	struct sf_named *n;

	HASH_FIND(hh, t->first, sid, sizeof(*sid), n);
	if (out)
		*out = n;
	if (n)
		return 0;
	n = calloc(1, sizeof(*n) + len);
	if (!n)
		return -ENOMEM;
	while (t->first && HASH_COUNT(t->first) >= t->max)
		drop(t, t->first);
	n->sid = *sid;
	memcpy(n->text, text, len);
	HASH_ADD(hh, t->first, sid, sizeof(n->sid), n);
	if (out)
		*out = n;
	return 1;
}

int sf_nametable_learn(struct sf_nametable *t, const char *typed, struct sf_named **out)
{
	char text[SF_NAME_TEXT];
	struct sf_name name;
	struct sf_sid sid;
	const char *why;
	int ret;

	if (strchr(typed, ':') || sf_name_parse(typed, &name, &why))
		return -EINVAL;
	ret = sf_name_sid(&name, sf_sha256, &sid);
	return ret ? ret : sf_nametable_add(t, &sid, sf_name_print(&name, text), out);
}

const char *sf_nametable_find(const struct sf_nametable *t, const struct sf_sid *sid)
{
	struct sf_named *n;

	HASH_FIND(hh, t->first, sid, sizeof(*sid), n);
	return n ? n->text : NULL;
}

json_t *sf_nametable_json(const struct sf_nametable *t)
{
	json_t *list = json_array();

	for (const struct sf_named *n = t->first; n; n = n->hh.next)
		json_array_append_new(list, json_pack("{s:o, s:o}", "name", sf_json_text(n->text),
						      "id", sf_json_sid(&n->sid)));
	return list;
}
