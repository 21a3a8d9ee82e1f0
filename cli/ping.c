// SPDX-License-Identifier: Apache-2.0
/* ping.c - scaffold ping: which instance would a new flow meet, and how far away is it? */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/target.h"
#include "core/reason.h"

struct ping {
	struct sf_cli *cli;
	const char *service;
	long count;
	int interval_ms, timeout_ms;
	unsigned int sent, answered;
	bool explained, ids;
	struct sf_names names;
	uint64_t min, max, sum;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

static void show(struct ping *p, const struct sf_probe_result *r)
{
	char id[SF_ADDR_STRLEN], from[SF_ADDR_STRLEN], why[160];
	bool ok = r->outcome == SF_PROBE_ANSWER;
	const char *name = NULL;
	json_t *line;

	if (ok)
		name = sf_target_who(p->cli, &p->names, &r->who, id);
	sf_locator_print(&r->from, from);
	sf_target_why(r, why, sizeof(why));
	if (p->cli->json) {
		line = json_pack("{s:i,s:b,s:o,s:s?,s:s?,s:s?,s:s?}", "seq", (int)p->sent, "ok", ok,
				 "rtt_ms", sf_target_ms(r), "host", name, "host_id", ok ? id : NULL,
				 "from", r->outcome == SF_PROBE_NOTHING ? NULL : from, "error",
				 ok ? NULL : why);
		json_dumpf(line, stdout, JSON_COMPACT | SF_TARGET_JSON);
		putchar('\n');
		json_decref(line);
	} else if (ok) {
		printf("%u: %s at %s: %.3f ms\n", p->sent, name && !p->ids ? name : id, from,
		       (double)r->rtt_ns / 1e6);
	} else if (r->outcome == SF_PROBE_NOTHING) {
		printf("%u: no answer within %d ms\n", p->sent, p->timeout_ms);
	} else {
		printf("%u: %s says %s\n", p->sent, from, why);
	}
	fflush(stdout);
}

static void account(struct ping *p, const struct sf_probe_result *r)
{
	if (r->outcome != SF_PROBE_ANSWER)
		return;
	p->min = !p->answered || r->rtt_ns < p->min ? r->rtt_ns : p->min;
	p->max = r->rtt_ns > p->max ? r->rtt_ns : p->max;
	p->sum += r->rtt_ns;
	p->answered++;
}

static int ping_loop(struct ping *p, struct sf_prober *prober, const struct sf_probe_target *target)
{
	struct timespec pause = { p->interval_ms / 1000, p->interval_ms % 1000 * 1000000L };
	struct sf_probe_result r;

	while (!stopped && (!p->count || p->sent < p->count)) {
		int err = sf_probe(prober, target, p->timeout_ms, &r);

		if (err)
			return sf_cli_fail(p->cli, "sending to %s: %s", p->service, strerror(-err));
		p->sent++;
		show(p, &r);
		account(p, &r);
		if (!p->explained)
			sf_target_explain(p->cli, p->service, target, &r);
		p->explained |= r.outcome == SF_PROBE_FAIL;
		if (!stopped && (!p->count || p->sent < p->count))
			nanosleep(&pause, NULL);
	}
	if (!p->cli->json && p->answered)
		printf("%u of %u answered; round trip min %.3f, mean %.3f, max %.3f ms\n",
		       p->answered, p->sent, (double)p->min / 1e6,
		       (double)p->sum / p->answered / 1e6, (double)p->max / 1e6);
	else if (!p->cli->json)
		printf("0 of %u answered\n", p->sent);
	return p->answered ? 0 : SF_EXIT_FAILED;
}

int cmd_ping(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "ids", no_argument, NULL, 'I' }, { 0 } };
	struct ping p = { .cli = cli, .interval_ms = 1000, .timeout_ms = 1000 };
	struct sigaction act = { .sa_handler = stop };
	struct sf_probe_target target;
	struct sf_prober prober;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "c:i:W:", options, NULL)) != -1) {
		if (opt == 'I')
			p.ids = true;
		else if (opt == 'c')
			p.count = sf_target_number(cli, "-c", optarg, 1, 1000000000);
		else if (opt == 'i')
			p.interval_ms = sf_target_seconds(cli, "-i", optarg);
		else if (opt == 'W')
			p.timeout_ms = sf_target_seconds(cli, "-W", optarg);
		else
			return sf_cli_usage(cli);
		if (p.count < 0 || p.interval_ms < 0 || p.timeout_ms < 0)
			return SF_EXIT_USAGE;
	}
	if (optind + 1 != argc)
		return sf_cli_usage(cli);
	p.service = argv[optind];
	ret = sf_target_open(cli, p.service, &target, &prober);
	if (ret)
		return ret;
	sigaction(SIGINT, &act, NULL);
	sf_names_load(cli, &p.names);
	ret = ping_loop(&p, &prober, &target);
	sf_names_free(&p.names);
	sf_prober_close(&prober);
	return ret;
}
