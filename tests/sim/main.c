// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - runs worlds: seeds one after the other, on as many processes as are asked for.
 *
 *   sim [--seed N] [--runs N] [--workers N] [--scenario NAME] [--break NAME] [--random] [--verbose]
 *
 * Exit: 0 if all held; 1 if something did not (with --break: if nothing was found); 2 for bad
 * arguments.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define WORKERS_MAX 64

/* Features that a scenario always has, and those that each seed may have besides. */
static const struct scenario {
	const char *name;
	uint32_t always, maybe;
	const char *text;
} scenarios[] = {
	{ "mixed", 0, SIM_EVERY & ~SIM_BOTHCOPY, "everything, each feature in half of the seeds" },
	{ "one", 0, 0, "two hosts, one flow, one side moves, a network without fault" },
	{ "loss", SIM_LOSS, SIM_REPEAT | SIM_REORDER | SIM_CORRUPT | SIM_PART, "one side moves" },
	{ "crossing", SIM_BOTH,
	  SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_PART | SIM_REDIRECT | SIM_LONG,
	  "both sides move" },
	{ "crash", SIM_KILL | SIM_BOTH, SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_LONG,
	  "agents are killed" },
	{ "attack", SIM_SPOOF | SIM_REPLAY | SIM_BOTH,
	  SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_REDIRECT, "somebody sends again what he saw" },
	{ "copy", SIM_COPY | SIM_BOTH,
	  SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_PART | SIM_REDIRECT | SIM_LONG,
	  "hosts are copied" },
	{ "handover", SIM_HANDOVER | SIM_BOTH | SIM_MANY | SIM_REDIRECT,
	  SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_TWICE | SIM_PART | SIM_KILL,
	  "flows are handed over" },
	{ "death", SIM_DEATH | SIM_CLOSE | SIM_BOTH | SIM_MANY, SIM_LOSS | SIM_REPEAT | SIM_REORDER,
	  "hosts die, flows are closed" },
	{ "reuse", SIM_REUSE | SIM_LONG | SIM_BOTH | SIM_MANY,
	  SIM_LOSS | SIM_REPEAT | SIM_REORDER | SIM_REPLAY | SIM_SPOOF,
	  "hostAddrs are given to other hosts" },
	{ "bothcopy", SIM_COPY | SIM_BOTHCOPY | SIM_BOTH, SIM_EVERY,
	  "hosts on both sides are copied" },
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

struct options {
	uint64_t seed, runs;
	unsigned int workers;
	const struct scenario *scenario;
	int broken;
	bool verbose;
};

/* What workers tell each other. */
struct shared {
	struct sim_totals totals[WORKERS_MAX];
	uint64_t failed_seed[WORKERS_MAX];
	bool failed[WORKERS_MAX];
};

static uint32_t features_of(const struct scenario *c, uint64_t seed)
{
	uint64_t x = seed ^ 0x73696d756c617465ull;

	return c->always | (c->maybe & (uint32_t)sim_splitmix(&x));
}

static int bucket(uint64_t x)
{
	int b = 0;

	for (; x && b < SIM_BUCKETS - 1; x >>= 1)
		b++;
	return b;
}

/* @before: messages before this run */
static void count(struct sim_totals *t, const struct sim *s, uint64_t before)
{
	uint64_t rate = (t->messages - before) * SIM_S / (s->now - SIM_S) / s->n_flows;

	if (rate > t->rate_max) {
		t->rate_max = rate;
		t->rate_max_seed = s->seed;
	}
	for (uint32_t i = 0; i < s->n_flows; i++) {
		const struct sim_flow *f = &s->flows[i];
		uint64_t took = f->resumed ? (f->resumed_at - s->calm_at) / SIM_MS : 0;

		if (!f->resumed)
			continue;
		t->by_time[bucket(took / 10)]++;
		t->by_messages[bucket(f->messages)]++;
		if (took > t->time_max) {
			t->time_max = took;
			t->time_max_seed = s->seed;
		}
		if (f->messages > t->messages_max) {
			t->messages_max = f->messages;
			t->messages_max_seed = s->seed;
		}
	}
}

static void worker(const struct options *o, struct shared *shared, unsigned int number)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		exit(2);
	s->totals = &shared->totals[number];
	s->broken = o->broken < 0 ? 0 : 1u << o->broken;
	s->trace = o->verbose;
	for (uint64_t i = number; i < o->runs; i += o->workers) {
		uint64_t seed = o->seed + i, before = s->totals->messages;

		if (sim_run(s, seed, features_of(o->scenario, seed))) {
			shared->failed[number] = true;
			shared->failed_seed[number] = seed;
			break;
		}
		count(s->totals, s, before);
		for (unsigned int w = 0; w < o->workers; w++)
			if (shared->failed[w])
				goto out;
	}
out:
	free(s);
}

/* ---- what is told ----------------------------------------------------------------------- */

static void add(struct sim_totals *sum, const struct sim_totals *t)
{
	const uint64_t *from = (const uint64_t *)t;
	uint64_t *to = (uint64_t *)sum;
	uint64_t messages = sum->messages_max, messages_seed = sum->messages_max_seed;
	uint64_t ms = sum->time_max, ms_seed = sum->time_max_seed;
	uint64_t rate = sum->rate_max, rate_seed = sum->rate_max_seed;

	for (size_t i = 0; i < sizeof(*t) / sizeof(*from); i++)
		to[i] += from[i];
	sum->messages_max = t->messages_max > messages ? t->messages_max : messages;
	sum->messages_max_seed = t->messages_max > messages ? t->messages_max_seed : messages_seed;
	sum->rate_max = t->rate_max > rate ? t->rate_max : rate;
	sum->rate_max_seed = t->rate_max > rate ? t->rate_max_seed : rate_seed;
	sum->time_max = t->time_max > ms ? t->time_max : ms;
	sum->time_max_seed = t->time_max > ms ? t->time_max_seed : ms_seed;
}

static void print_histogram(const char *what, const uint64_t *n, unsigned int unit)
{
	printf("  %s:", what);
	for (int i = 0; i < SIM_BUCKETS; i++)
		if (n[i])
			printf(" %s%u:%llu", i == SIM_BUCKETS - 1 ? ">=" : "<",
			       (i == SIM_BUCKETS - 1 ? 1u << (i - 1) : 1u << i) * unit,
			       (unsigned long long)n[i]);
	printf("\n");
}

static void print_totals(const struct sim_totals *t, double seconds)
{
#define N(x) ((unsigned long long)t->x)
	printf("%llu seeds in %.1f s (%.0f seeds/s), %llu flows, %llu steps, %.1f h of virtual "
	       "time\n",
	       N(runs), seconds, (double)t->runs / seconds, N(flows), N(steps),
	       (double)t->virtual_ns / 1e9 / 3600);
	printf("  %llu moves, %llu messages, %llu data of which %llu arrived, %llu FAILs, %llu "
	       "REDIRECTs, %llu agents killed\n",
	       N(moves), N(messages), N(data), N(delivered), N(fails), N(redirects), N(kills));
	printf("  %llu hosts copied, %llu flows handed over, %llu superseded, %llu replays\n",
	       N(copies), N(handovers), N(superseded), N(replays));
	printf("  to resume: at most %llu messages (seed %llu), %llu ms (seed %llu)\n",
	       N(messages_max), N(messages_max_seed), N(time_max), N(time_max_seed));
	printf("  messages of a flow in a second, over a run: at most %llu (seed %llu)\n",
	       N(rate_max), N(rate_max_seed));
#undef N
	print_histogram("flows by ms", t->by_time, 10);
	print_histogram("flows by messages", t->by_messages, 1);
}

/* The seed again, its last lines kept. */
static void tell_failure(const struct options *o, uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct sim_totals totals;

	if (!s)
		return;
	memset(&totals, 0, sizeof(totals));
	s->totals = &totals;
	s->broken = o->broken < 0 ? 0 : 1u << o->broken;
	s->trace = true;
	sim_trace_keep();
	sim_run(s, seed, features_of(o->scenario, seed));
	sim_trace_print();
	printf("seed %llu, step %u: %s\n", (unsigned long long)seed, s->step, s->why);
	printf("again: sim --scenario %s%s%s --seed %llu --verbose\n", o->scenario->name,
	       o->broken < 0 ? "" : " --break ", o->broken < 0 ? "" : sim_break_name(o->broken),
	       (unsigned long long)seed);
	free(s);
}

static int conclude(const struct options *o, const struct shared *shared, double seconds)
{
	struct sim_totals sum;
	uint64_t first = 0;
	bool failed = false;

	memset(&sum, 0, sizeof(sum));
	for (unsigned int w = 0; w < o->workers; w++) {
		add(&sum, &shared->totals[w]);
		if (shared->failed[w] && (!failed || shared->failed_seed[w] < first)) {
			failed = true;
			first = shared->failed_seed[w];
		}
	}
	if (failed && !o->verbose)
		tell_failure(o, first);
	print_totals(&sum, seconds);
	if (o->broken < 0)
		return failed;
	printf("%s (%s): %s\n", sim_break_name(o->broken), sim_break_text(o->broken),
	       failed ? "found" : "NOT found");
	return !failed;
}

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run(const struct options *o)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double began = clock_now();
	int ret = 0, status;

	if (shared == MAP_FAILED)
		return 2;
	fflush(stdout);
	for (unsigned int w = 1; w < o->workers; w++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (!pid) {
			worker(o, shared, w);
			exit(0);
		}
	}
	worker(o, shared, 0);
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			ret = 2;
	if (ret)
		fprintf(stderr, "sim: a worker died\n");
	else
		ret = conclude(o, shared, clock_now() - began);
	munmap(shared, sizeof(*shared));
	return ret;
}

/* ---- arguments -------------------------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr, "usage: sim [--seed N | --random] [--runs N] [--workers N] "
			"[--scenario NAME] [--break NAME] [--verbose]\nscenarios:\n");
	for (size_t i = 0; i < N_SCENARIOS; i++)
		fprintf(stderr, "  %-10s %s\n", scenarios[i].name, scenarios[i].text);
	fprintf(stderr, "faults to put in:\n");
	for (int i = 0; i < SIM_BREAK_COUNT; i++)
		fprintf(stderr, "  %-18s %s\n", sim_break_name(i), sim_break_text(i));
	return 2;
}

static bool number_of(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (!errno && !*end && end != text && *text != '-')
		return true;
	fprintf(stderr, "sim: \"%s\" is not a number\n", text);
	return false;
}

static bool scenario_of(const char *name, struct options *o)
{
	for (size_t i = 0; i < N_SCENARIOS; i++)
		if (!strcmp(scenarios[i].name, name)) {
			o->scenario = &scenarios[i];
			return true;
		}
	fprintf(stderr, "sim: no scenario \"%s\"\n", name);
	return false;
}

static bool option(int c, struct options *o)
{
	uint64_t n;

	switch (c) {
	case 's':
		return number_of(optarg, &o->seed);
	case 'n':
		return number_of(optarg, &o->runs);
	case 'w':
		if (!number_of(optarg, &n) || !n || n > WORKERS_MAX)
			return false;
		o->workers = (unsigned int)n;
		return true;
	case 'c':
		return scenario_of(optarg, o);
	case 'b':
		o->broken = sim_break_number(optarg);
		if (o->broken < 0)
			fprintf(stderr, "sim: no fault \"%s\"\n", optarg);
		return o->broken >= 0;
	case 'r':
		return getrandom(&o->seed, sizeof(o->seed), 0) == (ssize_t)sizeof(o->seed);
	case 'v':
		o->verbose = true;
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'n' },
		{ "workers", required_argument, NULL, 'w' },
		{ "scenario", required_argument, NULL, 'c' },
		{ "break", required_argument, NULL, 'b' },
		{ "random", no_argument, NULL, 'r' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = {
		.seed = 1, .runs = 1, .workers = 1, .scenario = scenarios, .broken = -1
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!option(c, &o))
			return usage();
	if (optind < argc || (o.verbose && o.workers > 1))
		return usage();
	return run(&o);
}
