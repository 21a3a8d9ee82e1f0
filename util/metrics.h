// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.h - what daemons count: for Prometheus (text exposition format 0.0.4), and the counters
 * of a datapath as JSON.
 */
#ifndef SF_UTIL_METRICS_H
#define SF_UTIL_METRICS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/datapath.h"

struct sf_http_req;

/** struct sf_metrics - a text being written. @prefix: of every name, with its underscore. */
struct sf_metrics {
	const char *prefix;
	FILE *f;
	char *text;
	size_t len;
};

/** sf_metrics_open() - begin. Return: 0 or -ENOMEM. */
int sf_metrics_open(struct sf_metrics *m, const char *prefix);

/** sf_metrics_head() - what the samples that follow are. @type: "counter" or "gauge". */
void sf_metrics_head(struct sf_metrics *m, const char *name, const char *type, const char *help);

/** sf_metrics_sample() - a sample of the last head. Behind @value: label, text, ..., NULL. */
void sf_metrics_sample(struct sf_metrics *m, const char *name, uint64_t value, ...)
	__attribute__((sentinel));

/** sf_metrics_one() - head and sample of a metric without labels. */
void sf_metrics_one(struct sf_metrics *m, const char *name, const char *type, const char *help,
		    uint64_t value);

/**
 * sf_metrics_reasons() - a counter of the control plane by reason. Reasons of a denial are there
 * at 0, too: an increase from nothing is none to Prometheus. Others at 0 are left out.
 */
void sf_metrics_reasons(struct sf_metrics *m, const char *name, const char *help,
			const uint64_t counts[SF_REASON_MAX]);

/** sf_metrics_close() - end. Return: the text, to be freed, or NULL without memory. */
char *sf_metrics_close(struct sf_metrics *m, size_t *len);

/**
 * sf_metrics_reply() - answer GET /metrics.
 * @text: of sf_metrics_close(); freed here
 * Return: the handler's status.
 */
int sf_metrics_reply(struct sf_http_req *req, json_t **reply, char *text, size_t len);

/**
 * struct sf_datapath_counts - how to read the counters of a datapath (core/datapath.h).
 * @reason, @traffic: one counter, summed over CPUs. Return: 0 or -errno (it is left out then)
 * @kinds: bit i: enum sf_traffic i is counted there
 */
struct sf_datapath_counts {
	int (*reason)(void *ctx, unsigned int index, struct sf_count *out);
	int (*traffic)(void *ctx, unsigned int index, struct sf_count *out);
	uint32_t kinds;
	void *ctx;
};

/** sf_metrics_datapath() - dropped_packets_total{reason}, traffic_packets_total{kind} and
 * traffic_bytes_total{kind}. */
void sf_metrics_datapath(struct sf_metrics *m, const struct sf_datapath_counts *from);

/**
 * sf_datapath_json() - {"reasons": {NAME: {"packets", "bytes"}}, "traffic": {KIND: ...}}; reasons
 * at 0 are left out. A new reference.
 */
json_t *sf_datapath_json(const struct sf_datapath_counts *from);

#endif
