// SPDX-License-Identifier: Apache-2.0
/* names.c - see names.h. */
#include "agent/names.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host.h"
#include "util/crypto.h"
#include "util/file.h"
#include "util/log.h"

#define FILE_MAX ((size_t)16 * NAMES_MAX * SF_NAME_TEXT)

/* Return: how many lines the file had. */
static unsigned int take_file(struct host *h, char *text)
{
	unsigned int lines = 0;
	struct sf_named *n;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (!*line)
			continue;
		lines++;
		/* Told by an earlier agent; with registrations they go again. */
		if (sf_nametable_learn(&h->names.table, line, &n) >= 0)
			n->told = true;
	}
	return lines;
}

/* What was appended over time becomes what is known. */
static int rewrite(const struct host *h, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int ret;

	if (!f)
		return -ENOMEM;
	for (const struct sf_named *n = h->names.table.first; n; n = n->hh.next)
		fprintf(f, "%s\n", n->text);
	ret = fclose(f) ? -ENOMEM : sf_file_write(path, text, len, 0644);
	free(text);
	return ret;
}

void names_open(struct host *h)
{
	char path[512], *text = NULL;
	unsigned int lines = 0;
	int ret;

	h->names.table.max = NAMES_MAX;
	h->names.fd = -1;
	snprintf(path, sizeof(path), "%s/names", h->config.state);
	ret = sf_file_read(path, FILE_MAX, &text, NULL);
	if (!ret)
		lines = take_file(h, text);
	free(text);
	if (!ret && lines > HASH_COUNT(h->names.table.first))
		ret = rewrite(h, path);
	if (!ret || ret == -ENOENT) {
		h->names.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		ret = h->names.fd < 0 ? -errno : 0;
	}
	if (ret)
		sf_warn("%s: %s; names of services will be forgotten", path, strerror(-ret));
}

void names_close(struct host *h)
{
	sf_nametable_free(&h->names.table);
	if (h->names.fd > 0)
		close(h->names.fd);
	h->names.fd = -1;
}

void names_learn(struct host *h, const char *typed)
{
	char line[SF_NAME_TEXT + 1];
	struct sf_named *n;
	int len;

	int ret = typed ? sf_nametable_learn(&h->names.table, typed, &n) : -EINVAL;

	if (ret < 0)
		return;
	/* Also one that is known: when it was used first, its service may not have been there. */
	n->told = false;
	h->names.untold = true;
	event_active(h->flush, EV_TIMEOUT, 0);
	if (!ret)
		return;
	len = snprintf(line, sizeof(line), "%s\n", n->text);
	if (h->names.fd >= 0 && write(h->names.fd, line, (size_t)len) != len) {
		sf_warn("%s/names: %s; names of services will be forgotten", h->config.state,
			strerror(errno));
		close(h->names.fd);
		h->names.fd = -1;
	}
}

void names_take(struct host *h, const void *data, size_t len, const struct sf_sid *sid)
{
	char text[SF_NAME_TEXT];
	struct sf_named *n;
	struct sf_sid named;

	if (!sf_name_take(data, len, sf_sha256, &named, text) && sf_sid_eq(&named, sid) &&
	    sf_nametable_add(&h->names.table, &named, text, &n) == 1)
		n->told = true;
}

const char *names_of(const struct host *h, const struct sf_sid *sid)
{
	return sf_nametable_find(&h->names.table, sid);
}

static size_t item_len(size_t len)
{
	return sizeof(struct sf_item) + ((len + 3) & ~(size_t)3);
}

size_t names_room(const struct host *h, const struct sf_sid *sid)
{
	const char *name = names_of(h, sid);

	return name ? item_len(strlen(name)) : 0;
}

void names_put(struct host *h, struct sf_ctrl_out *out, const struct sf_sid *sid)
{
	struct sf_named *n;

	HASH_FIND(hh, h->names.table.first, sid, sizeof(*sid), n);
	if (!n)
		return;
	sf_ctrl_put(out, SF_ITEM_SERVICE_NAME, n->text, strlen(n->text));
	n->told = true;
}

void names_put_untold(struct host *h, struct sf_ctrl_out *out)
{
	bool left = false;

	for (struct sf_named *n = h->names.table.first; n; n = n->hh.next) {
		size_t len = strlen(n->text);

		if (n->told)
			continue;
		if (item_len(len) > sf_ctrl_room(out)) {
			left = true;
			continue;
		}
		sf_ctrl_put(out, SF_ITEM_SERVICE_NAME, n->text, len);
		n->told = true;
	}
	h->names.untold = left;
}
