// SPDX-License-Identifier: Apache-2.0
/* cli/probe: which packets answer a probe, and how; and that nothing else does. */
#include <netinet/icmp6.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/probe.h"
#include "core/reason.h"
#include "core/wire.h"

#define IDENT 0xbeef
#define ROOM  1024

static const struct sf_sid web = { .b = { 0, 0, 0, 1, 0x52 } };
static const struct sf_sid self = { .b = { 0x80, 0, 0, 0, 1 } };
static const struct sf_sid other = { .b = { 0x80, 0, 0, 0, 2 } };
static struct sf_net net;
static struct sf_addr source, instance, router, service;

static int setup(void **state)
{
	(void)state;
	net = sf_net_default(1);
	source = sf_locator(&net, 0x10002, 0x1234);
	instance = sf_locator(&net, 0x10003, 1);
	router = sf_locator(&net, 0x10000, 1);
	service = sf_service_addr(&net, &web);
	return 0;
}

static size_t alone(uint8_t *out, const struct sf_addr *from, const struct sf_addr *to,
		    uint8_t kind, const struct sf_sid *src, const void *tlv, size_t tlv_len,
		    const void *contents, size_t len)
{
	int n = sf_alone_encode(out, ROOM, from, to, 60, kind, 0, &web, src, tlv, tlv_len, contents,
				len);

	assert_true(n > 0);
	return (size_t)n;
}

static struct sf_tlv_target target(uint16_t ident)
{
	return (struct sf_tlv_target){ .type = SF_TLV_TARGET,
				       .len = sizeof(struct sf_tlv_target) - 2,
				       .proto = 6,
				       .port = sf_be16(80),
				       .ident = sf_be16(ident) };
}

/* Our own probe as a router sees it, with @dst as its destination. */
static size_t probe(uint8_t *out, const struct sf_addr *dst, uint16_t ident)
{
	struct sf_tlv_target t = target(ident);

	return alone(out, &source, dst, SF_KIND_PROBE, &self, &t, sizeof(t), NULL, 0);
}

static size_t answer(uint8_t *out, uint16_t ident)
{
	struct sf_tlv_target t = target(ident);

	return alone(out, &instance, &source, SF_KIND_PROBE_ACK, &other, &t, sizeof(t), NULL, 0);
}

static size_t refusal(uint8_t *out, uint8_t reason, uint16_t ident)
{
	uint8_t quoted[ROOM], tlv[8] = { SF_TLV_REASON, 6, reason, SF_KIND_PROBE };
	size_t len = probe(quoted, &instance, ident);

	return alone(out, &router, &source, SF_KIND_FAIL, &other, tlv, sizeof(tlv), quoted, len);
}

static size_t icmp(uint8_t *out, uint8_t type, uint8_t code, uint16_t ident)
{
	size_t len = probe(out + SF_IPV6_LEN + 8, &instance, ident);

	memset(out, 0, SF_IPV6_LEN + 8);
	out[0] = 6 << 4;
	out[5] = (uint8_t)(len + 8);
	out[6] = SF_NEXTHDR_ICMPV6;
	out[7] = 61;
	memcpy(out + 8, &router, 16);
	memcpy(out + 24, &source, 16);
	out[SF_IPV6_LEN] = type;
	out[SF_IPV6_LEN + 1] = code;
	return SF_IPV6_LEN + 8 + len;
}

static void an_instance_answers(void **state)
{
	struct sf_probe_result r;
	uint8_t packet[ROOM];
	size_t len = answer(packet, IDENT);

	(void)state;
	assert_true(sf_probe_match(packet, len, &source, IDENT, &r));
	assert_int_equal(r.outcome, SF_PROBE_ANSWER);
	assert_memory_equal(&r.who, &other, sizeof(other));
	assert_memory_equal(&r.from, &instance, sizeof(instance));
	assert_int_equal(r.hop_limit, 60);
}

static void a_refusal_is_told(void **state)
{
	struct sf_probe_result r;
	uint8_t packet[ROOM];
	size_t len = refusal(packet, SF_NO_SUCH_SOCKET, IDENT);

	(void)state;
	assert_true(sf_probe_match(packet, len, &source, IDENT, &r));
	assert_int_equal(r.outcome, SF_PROBE_FAIL);
	assert_int_equal(r.reason, SF_NO_SUCH_SOCKET);
	assert_memory_equal(&r.quoted, &instance, sizeof(instance));
}

static void an_error_is_told(void **state)
{
	struct sf_probe_result r;
	uint8_t packet[ROOM];
	size_t len = icmp(packet, ICMP6_TIME_EXCEEDED, 0, IDENT);

	(void)state;
	assert_true(sf_probe_match(packet, len, &source, IDENT, &r));
	assert_int_equal(r.outcome, SF_PROBE_ICMP);
	assert_int_equal(r.icmp_type, ICMP6_TIME_EXCEEDED);
	assert_memory_equal(&r.from, &router, sizeof(router));
	/* How far it was resolved there. */
	assert_memory_equal(&r.quoted, &instance, sizeof(instance));
}

static void others_do_not_match(void **state)
{
	struct sf_probe_result r = { .rtt_ns = 7 };
	struct sf_addr elsewhere = source;
	uint8_t packet[ROOM];
	size_t len;

	(void)state;
	elsewhere.b[15] ^= 1;
	for (int i = 0; i < 3; i++) {
		len = i == 0   ? answer(packet, IDENT)
		      : i == 1 ? refusal(packet, SF_REFUSED, IDENT)
			       : icmp(packet, ICMP6_DST_UNREACH, 0, IDENT);
		assert_false(sf_probe_match(packet, len, &source, IDENT + 1, &r));
		assert_false(sf_probe_match(packet, len, &elsewhere, IDENT, &r));
	}
	/* The probe itself, seen on its way; an echo that quotes it; a FAIL of another's packet. */
	len = probe(packet, &service, IDENT);
	assert_false(sf_probe_match(packet, len, &source, IDENT, &r));
	len = icmp(packet, ICMP6_ECHO_REPLY, 0, IDENT);
	assert_false(sf_probe_match(packet, len, &source, IDENT, &r));
	len = refusal(packet, SF_REFUSED, IDENT);
	packet[len - 1] ^= 0xff; /* its checksum is wrong now */
	assert_false(sf_probe_match(packet, len, &source, IDENT, &r));
	assert_int_equal(r.rtt_ns, 7); /* untouched */
}

/* Cut anywhere: no match, and no byte behind the end is read (the copy is exactly as long). */
static void cut_ones_do_not_match(void **state)
{
	struct sf_probe_result r;
	uint8_t packet[ROOM];

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t len = i == 0   ? answer(packet, IDENT)
			     : i == 1 ? refusal(packet, SF_REFUSED, IDENT)
				      : icmp(packet, ICMP6_DST_UNREACH, 0, IDENT);

		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);

			memcpy(copy, packet, cut);
			assert_false(sf_probe_match(copy, cut, &source, IDENT, &r));
			free(copy);
		}
	}
}

/* Errors of routers may quote less than the packet, but never less than what names the probe. */
static void a_long_packet_matches(void **state)
{
	struct sf_probe_result r;
	uint8_t packet[ROOM];
	size_t len = icmp(packet, ICMP6_DST_UNREACH, 4, IDENT);

	(void)state;
	memset(packet + len, 0xaa, 64); /* a link's padding */
	assert_true(sf_probe_match(packet, len + 64, &source, IDENT, &r));
	assert_int_equal(r.icmp_code, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instance_answers),	 cmocka_unit_test(a_refusal_is_told),
		cmocka_unit_test(an_error_is_told),	 cmocka_unit_test(others_do_not_match),
		cmocka_unit_test(cut_ones_do_not_match), cmocka_unit_test(a_long_packet_matches),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
