// SPDX-License-Identifier: Apache-2.0
/*
 * trace.c - scaffold trace: the way of a first packet, hop by hop, as far as it got and why it
 * stopped.
 *
 * Probes leave with growing hop limits, as traceroute's. The router that sends Time Exceeded quotes
 * the packet with the destination it then had, so the hop where the service became a locator shows.
 */
#include <getopt.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/target.h"
#include "core/reason.h"

#define HOPS_DEFAULT 16

struct trace {
	struct sf_cli *cli;
	const struct sf_prober *prober;
	json_t *hops; /* with --json */
	bool resolved, ids;
	const char *service;
	struct sf_names names;
};

static void show(struct trace *t, int hop, const struct sf_probe_result *r)
{
	char from[SF_ADDR_STRLEN] = "*", id[SF_ADDR_STRLEN], to[SF_ADDR_STRLEN] = "", why[160];
	bool passing = r->outcome == SF_PROBE_ICMP && r->icmp_type == ICMP6_TIME_EXCEEDED;
	bool ok = r->outcome == SF_PROBE_ANSWER;
	const char *name = NULL;

	if (r->outcome != SF_PROBE_NOTHING)
		sf_locator_print(&r->from, from);
	if (r->outcome == SF_PROBE_ICMP && !sf_addr_is_zero(&r->quoted) &&
	    !sf_addr_is_service(&t->prober->net, &r->quoted))
		sf_locator_print(&r->quoted, to);
	if (ok)
		name = sf_target_who(t->cli, &t->names, &r->who, id);
	sf_target_why(r, why, sizeof(why));
	if (t->hops) {
		json_array_append_new(
			t->hops, json_pack("{s:i,s:s?,s:o,s:s?,s:s?,s:s?,s:s?,s:b}", "hop", hop,
					   "from", r->outcome == SF_PROBE_NOTHING ? NULL : from,
					   "rtt_ms", sf_target_ms(r), "resolved_to",
					   *to ? to : NULL, "host", name, "host_id", ok ? id : NULL,
					   "stopped", passing || !*why ? NULL : why, "answer", ok));
		return;
	}
	printf("%2d  %-28s", hop, from);
	if (r->outcome != SF_PROBE_NOTHING)
		printf(" %8.3f ms", (double)r->rtt_ns / 1e6);
	if (*to && !t->resolved)
		printf("  resolved to %s", to);
	if (ok)
		printf("  instance, host %s", name && !t->ids ? name : id);
	else if (!passing)
		printf("  %s", why);
	putchar('\n');
	fflush(stdout);
	t->resolved |= *to != '\0';
}

static int trace_loop(struct trace *t, struct sf_prober *prober, struct sf_probe_target *target,
		      int hops, int timeout_ms)
{
	struct sf_probe_result r;

	for (int hop = 1; hop <= hops; hop++) {
		int err;

		target->hop_limit = (uint8_t)hop;
		err = sf_probe(prober, target, timeout_ms, &r);
		if (err)
			return sf_cli_fail(t->cli, "sending: %s", strerror(-err));
		show(t, hop, &r);
		sf_target_explain(t->cli, t->service, target, &r);
		if (r.outcome == SF_PROBE_ANSWER)
			return 0;
		if (r.outcome == SF_PROBE_FAIL ||
		    (r.outcome == SF_PROBE_ICMP && r.icmp_type != ICMP6_TIME_EXCEEDED))
			return SF_EXIT_FAILED;
	}
	return SF_EXIT_FAILED;
}

int cmd_trace(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "ids", no_argument, NULL, 'I' }, { 0 } };
	struct sf_probe_target target;
	struct sf_prober prober;
	struct trace t = { .cli = cli, .prober = &prober };
	int hops = HOPS_DEFAULT, timeout_ms = 1000;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "m:W:", options, NULL)) != -1) {
		if (opt == 'I')
			t.ids = true;
		else if (opt == 'm')
			hops = (int)sf_target_number(cli, "-m", optarg, 1, 255);
		else if (opt == 'W')
			timeout_ms = sf_target_seconds(cli, "-W", optarg);
		else
			return sf_cli_usage(cli);
		if (hops < 0 || timeout_ms < 0)
			return SF_EXIT_USAGE;
	}
	if (optind + 1 != argc)
		return sf_cli_usage(cli);
	t.service = argv[optind];
	ret = sf_target_open(cli, t.service, &target, &prober);
	if (ret)
		return ret;
	/* One source for all hops: the choice hashes it, and a way has one instance at its end. */
	if (getrandom(&prober.place, sizeof(prober.place), 0) != sizeof(prober.place))
		prober.place = (uint16_t)getpid();
	prober.place |= 1;
	if (cli->json)
		t.hops = json_array();
	sf_names_load(cli, &t.names);
	ret = trace_loop(&t, &prober, &target, hops, timeout_ms);
	sf_names_free(&t.names);
	if (t.hops) {
		json_dumpf(t.hops, stdout, JSON_INDENT(2) | SF_TARGET_JSON);
		putchar('\n');
	}
	json_decref(t.hops);
	sf_prober_close(&prober);
	return ret;
}
