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

int sf_target_parse(const struct sf_cli *cli, const char *text, struct sf_probe_target *out)
{
	struct sf_probe_target t = { .hop_limit = 64 };
	char name[SF_NAME_MAX + 32], *proto, *port, *end;

	if ((size_t)snprintf(name, sizeof(name), "%s", text) >= sizeof(name)) {
		sf_cli_fail(cli, "service '%.32s...': longer than any name", text);
		return -EINVAL;
	}
	proto = strchr(name, '/');
	if (proto) {
		*proto++ = '\0';
		port = strchr(proto, '/');
		if (!port)
			goto bad;
		*port++ = '\0';
		t.port = (uint16_t)strtoul(port, &end, 10);
		if (sf_proto_parse(proto, &t.proto) || !*port || *end ||
		    strtoul(port, NULL, 10) > 65535)
			goto bad;
	}
	if (sf_cli_sid(cli, name, &t.sid))
		return -EINVAL;
	*out = t;
	return 0;
bad:
	sf_cli_fail(cli, "'%s': expected SERVICE or SERVICE/tcp|udp/PORT", text);
	return -EINVAL;
}

int sf_target_prober(const struct sf_cli *cli, struct sf_prober *out)
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

int sf_target_seconds(const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s > 0) || s > 3600)
		return -EINVAL;
	return (int)(s * 1000 + 0.5);
}

char *sf_target_who(const struct sf_sid *who, char *buf)
{
	return sf_sid_print(who, buf);
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
