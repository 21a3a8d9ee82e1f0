// SPDX-License-Identifier: Apache-2.0
/* metrics.c - see metrics.h. */
#include "util/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/reason.h"
#include "util/http.h"

int sf_metrics_open(struct sf_metrics *m, const char *prefix)
{
	*m = (struct sf_metrics){ .prefix = prefix };
	m->f = open_memstream(&m->text, &m->len);
	return m->f ? 0 : -ENOMEM;
}

void sf_metrics_head(struct sf_metrics *m, const char *name, const char *type, const char *help)
{
	fprintf(m->f, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->prefix, name, help, m->prefix, name,
		type);
}

/* Names come from the network: what would end a label is escaped, a new line becomes a space. */
static void put_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', f);
		fputc(*value == '\n' ? ' ' : *value, f);
	}
	fputc('"', f);
}

void sf_metrics_sample(struct sf_metrics *m, const char *name, uint64_t value, ...)
{
	const char *label, *between = "{";
	va_list ap;

	fprintf(m->f, "%s%s", m->prefix, name);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *))) {
		fputs(between, m->f);
		put_label(m->f, label, va_arg(ap, const char *));
		between = ",";
	}
	va_end(ap);
	fprintf(m->f, "%s %" PRIu64 "\n", *between == ',' ? "}" : "", value);
}

void sf_metrics_one(struct sf_metrics *m, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	sf_metrics_head(m, name, type, help);
	sf_metrics_sample(m, name, value, NULL);
}

void sf_metrics_reasons(struct sf_metrics *m, const char *name, const char *help,
			const uint64_t counts[SF_REASON_MAX])
{
	sf_metrics_head(m, name, "counter", help);
	for (unsigned int i = 0; i < SF_REASON_MAX; i++)
		if (counts[i] ||
		    (i >= SF_DENIED_POLICY && strcmp(sf_reason_text(i), "unknown reason") != 0))
			sf_metrics_sample(m, name, counts[i], "reason", sf_reason_name(i), NULL);
}

char *sf_metrics_close(struct sf_metrics *m, size_t *len)
{
	if (fclose(m->f)) {
		free(m->text);
		return NULL;
	}
	*len = m->len;
	return m->text;
}

int sf_metrics_reply(struct sf_http_req *req, json_t **reply, char *text, size_t len)
{
	if (!text)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	sf_http_reply_text(req, 200, "text/plain; version=0.0.4", text, len);
	free(text);
	return SF_HTTP_LATER;
}

/* ---- the datapath ----------------------------------------------------------------------- */

static void traffic(struct sf_metrics *m, const struct sf_datapath_counts *from, const char *name,
		    bool bytes)
{
	struct sf_count c;

	for (unsigned int i = 0; i < SF_TRAFFIC_MAX; i++)
		if ((from->kinds >> i & 1) && !from->traffic(from->ctx, i, &c))
			sf_metrics_sample(m, name, bytes ? c.bytes : c.packets, "kind",
					  sf_traffic_name(i), NULL);
}

void sf_metrics_datapath(struct sf_metrics *m, const struct sf_datapath_counts *from)
{
	struct sf_count c;

	sf_metrics_head(m, "dropped_packets_total", "counter",
			"Packets dropped or refused, by reason.");
	for (unsigned int i = 1; i < SF_REASON_MAX; i++)
		if (!from->reason(from->ctx, i, &c) && c.packets)
			sf_metrics_sample(m, "dropped_packets_total", c.packets, "reason",
					  sf_reason_name(i), NULL);
	sf_metrics_head(m, "traffic_packets_total", "counter", "Packets handled, by kind.");
	traffic(m, from, "traffic_packets_total", false);
	sf_metrics_head(m, "traffic_bytes_total", "counter", "Bytes handled, by kind.");
	traffic(m, from, "traffic_bytes_total", true);
}

static json_t *count_json(const struct sf_count *c)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)c->packets, "bytes",
			 (json_int_t)c->bytes);
}

json_t *sf_datapath_json(const struct sf_datapath_counts *from)
{
	json_t *reasons = json_object(), *kinds = json_object();
	struct sf_count c;

	for (unsigned int i = 1; i < SF_REASON_MAX; i++)
		if (!from->reason(from->ctx, i, &c) && c.packets)
			json_object_set_new(reasons, sf_reason_name(i), count_json(&c));
	for (unsigned int i = 0; i < SF_TRAFFIC_MAX; i++)
		if ((from->kinds >> i & 1) && !from->traffic(from->ctx, i, &c))
			json_object_set_new(kinds, sf_traffic_name(i), count_json(&c));
	return json_pack("{s:o, s:o}", "reasons", reasons, "traffic", kinds);
}
