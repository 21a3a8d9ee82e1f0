// SPDX-License-Identifier: Apache-2.0
/* target.c - see target.h. */
#include <errno.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/target.h"
#include "core/flow.h"
#include "core/reason.h"

/* ---- which protocol and port ------------------------------------------------------------ */

/* Better ones first: those that take flows, any protocol, then tcp before udp, low ports first. */
static int rank(const json_t *endpoint)
{
	const char *proto = json_string_value(json_object_get(endpoint, "proto"));
	int port = (int)json_integer_value(json_object_get(endpoint, "port"));
	bool serving = json_integer_value(json_object_get(endpoint, "serving")) > 0;
	int kind = !proto ? 3 : !strcmp(proto, "any") ? 0 : !strcmp(proto, "tcp") ? 1 : 2;

	return (serving ? 0 : 1 << 20) + (kind << 16) + port;
}

static size_t best_of(const json_t *endpoints)
{
	const json_t *e;
	size_t i, best = 0;

	json_array_foreach (endpoints, i, e)
		if (rank(e) < rank(json_array_get(endpoints, best)))
			best = i;
	return best;
}

static char *endpoint_text(const json_t *e, char *buf, size_t len)
{
	const char *proto = json_string_value(json_object_get(e, "proto"));

	snprintf(buf, len, "%s/%d", proto ? proto : "?",
		 (int)json_integer_value(json_object_get(e, "port")));
	return buf;
}

static void say_choice(const struct sf_cli *cli, const char *name, const json_t *endpoints,
		       size_t best)
{
	const json_t *e;
	char text[32];
	size_t i;

	fprintf(stderr, "scaffold %s: %s is registered for several: this is %s; also", cli->command,
		name, endpoint_text(json_array_get(endpoints, best), text, sizeof(text)));
	json_array_foreach (endpoints, i, e)
		if (i != best)
			fprintf(stderr, " %s/%s", name, endpoint_text(e, text, sizeof(text)));
	fputc('\n', stderr);
}

/*
 * The operator named a service and no more; an instance is of a protocol and a port. The network
 * knows which there are. Where it cannot be asked, any protocol stays: who registered so is met.
 */
static void choose(const struct sf_cli *cli, const char *name, struct sf_probe_target *t)
{
	json_t *reply = NULL, *list;
	char err[700] = "out of memory", *path = sf_cli_path("/v1/lookup/%s", name);
	const json_t *e;
	const char *proto;
	uint8_t number;
	size_t best;

	if (!path || sf_cli_try(cli, SF_AGENT, "GET", path, NULL, &reply, err, sizeof(err)))
		fprintf(stderr,
			"scaffold %s: which ports %s is registered for cannot be asked (%s); give "
			"one, "
			"as in %s/tcp/80\n",
			cli->command, name, err, name);
	free(path);
	list = json_object_get(reply, "endpoints");
	best = best_of(list);
	e = json_array_get(list, best);
	proto = json_string_value(json_object_get(e, "proto"));
	if (proto && !sf_proto_parse(proto, &number)) {
		t->proto = number;
		t->port = (uint16_t)json_integer_value(json_object_get(e, "port"));
	}
	if (json_array_size(list) > 1)
		say_choice(cli, name, list, best);
	json_decref(reply);
}

static bool offers(const json_t *e, const struct sf_probe_target *t)
{
	const char *proto = json_string_value(json_object_get(e, "proto"));
	json_int_t port = json_integer_value(json_object_get(e, "port"));
	uint8_t number = 0;

	return proto && !sf_proto_parse(proto, &number) && (!number || number == t->proto) &&
	       (!port || port == t->port);
}

void sf_target_explain(const struct sf_cli *cli, const char *text, const struct sf_probe_target *t,
		       const struct sf_probe_result *r)
{
	const char *slash = strchr(text, '/');
	char name[SF_NAME_MAX + 32], err[700], one[32], have[200] = "", *path;
	json_t *reply = NULL, *e, *list;
	size_t i, at = 0;
	bool offered = false;

	if (!slash || r->outcome != SF_PROBE_FAIL || r->reason != SF_NO_SUCH_SERVICE)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
	path = sf_cli_path("/v1/lookup/%s", name);
	if (path)
		sf_cli_try(cli, SF_AGENT, "GET", path, NULL, &reply, err, sizeof(err));
	free(path);
	list = json_object_get(reply, "endpoints");
	json_array_foreach (list, i, e) {
		offered |= offers(e, t);
		if (at + sizeof(one) < sizeof(have))
			at += (size_t)snprintf(have + at, sizeof(have) - at, "%s%s", at ? ", " : "",
					       endpoint_text(e, one, sizeof(one)));
	}
	if (at && !offered)
		fprintf(stderr, "scaffold %s: %s is registered for %s, not for %s\n", cli->command,
			name, have, slash + 1);
	json_decref(reply);
}

/* "web/tcp/80" taken apart. @name: the service alone. Return: 0, or the exit status. */
static int parse(const struct sf_cli *cli, const char *text, char *name, size_t len,
		 struct sf_probe_target *out)
{
	struct sf_probe_target t = { .hop_limit = 64 };
	char *proto, *port, *end;
	unsigned long number;

	if ((size_t)snprintf(name, len, "%s", text) >= len)
		return sf_cli_fail(cli, "service '%.32s...': longer than any name", text);
	proto = strchr(name, '/');
	if (proto) {
		*proto++ = '\0';
		port = strchr(proto, '/');
		number = port ? strtoul(port + 1, &end, 10) : 0;
		if (port)
			*port++ = '\0';
		if (!port || sf_proto_parse(proto, &t.proto) || *port < '0' || *port > '9' ||
		    *end || number > 65535) {
			sf_cli_fail(cli, "'%s': expected SERVICE or SERVICE/tcp|udp/PORT", text);
			return SF_EXIT_USAGE;
		}
		t.port = (uint16_t)number;
	}
	if (sf_cli_sid(cli, name, &t.sid))
		return SF_EXIT_FAILED;
	*out = t;
	return 0;
}

/* ---- probing ---------------------------------------------------------------------------- */

static int prober_open(const struct sf_cli *cli, struct sf_prober *out)
{
	struct sf_prober p = { .out = -1, .in = -1 };
	const char *locator, *identity, *uplink, *why;
	json_t *status = NULL;
	int err = sf_cli_call(cli, SF_AGENT, "GET", "/v1/status", NULL, &status);

	if (err)
		return err;
	p.net = sf_cli_net(cli);
	locator = json_string_value(json_object_get(status, "locator"));
	identity = json_string_value(json_object_get(status, "id"));
	uplink = json_string_value(json_object_get(status, "uplink"));
	err = -EAGAIN;
	if (!locator || !identity || !uplink || sf_addr_parse(locator, &p.locator)) {
		sf_cli_fail(cli, "this host has not joined a network yet");
		goto out;
	}
	err = sf_sid_parse(&p.net, identity, NULL, &p.identity, &why);
	if (err) {
		sf_cli_fail(cli, "host identity '%s': %s", identity, why);
		goto out;
	}
	err = sf_prober_open(&p, uplink);
	if (err == -EPERM || err == -EACCES)
		sf_cli_fail(cli, "probing needs CAP_NET_RAW: run it as root");
	else if (err)
		sf_cli_fail(cli, "uplink %s: %s", uplink, strerror(-err));
	else
		*out = p;
out:
	json_decref(status);
	return err;
}

int sf_target_open(const struct sf_cli *cli, const char *text, struct sf_probe_target *target,
		   struct sf_prober *prober)
{
	char name[SF_NAME_MAX + 32];
	int ret = parse(cli, text, name, sizeof(name), target);

	if (ret)
		return ret;
	if (prober_open(cli, prober))
		return SF_EXIT_FAILED;
	if (!strchr(text, '/'))
		choose(cli, name, target);
	return 0;
}

long sf_target_number(const struct sf_cli *cli, const char *what, const char *text, long min,
		      long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text >= '0' && *text <= '9' && !*end && n >= min && n <= max)
		return n;
	sf_cli_fail(cli, "%s '%s': expected a number from %ld to %ld", what, text, min, max);
	return -EINVAL;
}

int sf_target_seconds(const struct sf_cli *cli, const char *what, const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (end != text && !*end && s >= 0.001 && s <= 3600)
		return (int)(s * 1000 + 0.5);
	sf_cli_fail(cli, "%s '%s': expected seconds, from 0.001 to 3600", what, text);
	return -EINVAL;
}

const char *sf_target_who(const struct sf_cli *cli, struct sf_names *names,
			  const struct sf_sid *who, char *id)
{
	sf_sid_print(who, id);
	sf_names_ask(cli, names, id);
	return sf_names_of(names, id);
}

json_t *sf_target_ms(const struct sf_probe_result *r)
{
	return r->outcome == SF_PROBE_NOTHING ? json_null() : json_real((double)r->rtt_ns / 1e6);
}

char *sf_target_why(const struct sf_probe_result *r, char *buf, size_t len)
{
	static const char *const unreachable[] = { "no route", "administratively prohibited",
						   "beyond scope", "address unreachable",
						   "port unreachable" };

	switch (r->outcome) {
	case SF_PROBE_FAIL:
		snprintf(buf, len, "%s: %s", sf_reason_name(r->reason), sf_reason_text(r->reason));
		break;
	case SF_PROBE_ICMP:
		if (r->icmp_type == ICMP6_DST_UNREACH && r->icmp_code < 5)
			snprintf(buf, len, "unreachable: %s", unreachable[r->icmp_code]);
		else if (r->icmp_type == ICMP6_TIME_EXCEEDED)
			snprintf(buf, len, "hop limit exceeded");
		else
			snprintf(buf, len, "ICMPv6 type %u code %u", r->icmp_type, r->icmp_code);
		break;
	case SF_PROBE_NOTHING:
		snprintf(buf, len, "no answer");
		break;
	case SF_PROBE_ANSWER:
		*buf = '\0';
		break;
	}
	return buf;
}
