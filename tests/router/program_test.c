// SPDX-License-Identifier: Apache-2.0
/*
 * program_test.c - scaffold-router as its hosts see it: joins, sessions, registrations,
 * packets. Needs root (77 else).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "core/datapath.h"
#include "core/line.h"
#include "tests/router/fixture.h"
#include "util/bpf.h"

#define CONFIG	     "[router]\nname = r\nas = 7\nblock = 2a\n"
#define CONFIG_QUICK CONFIG "heartbeat = 100ms\nlease = 1s\n"

static const struct sf_sid web = { .w = { 0x01000000, 0x11223344, 0x55667788 } };
static const struct sf_sid mail = { .w = { 0x01000000, 0x99aabbcc, 0xddeeff00 } };
static struct guest *const a = &world.guests[0], *const b = &world.guests[1];

/* ---- joining ---- */

static void join(void **state)
{
	struct sf_addr first;
	int len;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	assert_int_equal(ntohs(a->net.as[2]), 7);
	assert_true(sf_addr_in_as(&a->net, &a->locator));
	assert_int_equal(sf_locator_host(&a->locator) >> 16, 0x2a);
	assert_false(sf_addr_eq(&a->locator, &b->locator));
	assert_true(route_exists(&a->locator));
	assert_true(route_exists(&b->locator));
	/* its identity is a service from the start */
	assert_int_equal(rest_instances(&a->identity, 0), 1);

	/* the very same JOIN gets the very same JOINED, and costs no session */
	len = a->joined_len;
	guest_say(a, NULL, a->join, (size_t)a->join_len);
	guest_expect(a, SF_CTRL_JOINED);
	assert_int_equal(a->in.end - a->in.start, len);
	assert_memory_equal(a->in.start, a->joined, (size_t)len);
	guest_heartbeat(a, 0);

	/* the same key gets its address again, after leaving too */
	first = a->locator;
	guest_join(a);
	assert_true(sf_addr_eq(&a->locator, &first));
	router_end(SIGTERM);
	router_start(CONFIG);
	guest_join(a);
	assert_true(sf_addr_eq(&a->locator, &first));
}

static void join_refused(void **state)
{
	struct sf_addr first;
	struct sf_dh *dh;
	uint8_t old[SF_CTRL_MAX_UDP];
	int old_len;

	router_start(CONFIG);
	guest_join(a);
	first = a->locator;
	memcpy(old, a->join, (size_t)a->join_len);
	old_len = a->join_len;
	guest_join(a);

	/* a replayed JOIN: refused, with the TIME to go on from; the session goes on */
	guest_say(a, NULL, old, (size_t)old_len);
	guest_expect(a, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(a), SF_REPLAYED);
	assert_non_null(sf_ctrl_find(&a->in, SF_ITEM_TIME, NULL));
	/* from elsewhere as well: nobody is moved by it */
	guest_say(b, NULL, old, (size_t)old_len);
	guest_expect(b, SF_CTRL_DENIED);
	guest_heartbeat(a, 0);

	/* a flipped bit */
	dh = guest_build_join(b);
	b->join[b->join_len - 1] ^= 1;
	guest_say(b, NULL, b->join, (size_t)b->join_len);
	guest_expect(b, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(b), SF_BAD_SIGNATURE);
	sf_dh_free(dh);
	/* cut short anywhere: no answer but DENIED, and no harm */
	dh = guest_build_join(b);
	for (int n = 0; n < b->join_len; n += 7)
		guest_say(b, NULL, b->join, (size_t)n);
	sf_dh_free(dh);
	guest_join(b);
	assert_true(sf_addr_eq(&a->locator, &first));
	assert_true(rest_number("/v1/counters", "control.refused.bad-message") > 0);
}

/* Somebody heard a JOIN elsewhere, and plays it to a router that has not. */
static void join_overheard(void **state)
{
	struct sf_dh *dh;

	router_start(CONFIG_QUICK);
	guest_join(b);
	dh = guest_build_join(a);
	guest_say(b, NULL, a->join, (size_t)a->join_len);
	guest_expect(b, SF_CTRL_JOINED);
	/* nobody is called what that key is called */
	assert_null(rest_service(&a->identity, 0));
	/* and an address without a use is not kept by answering probes, nor remembered */
	sf_ctrl_get(&b->in, SF_ITEM_LOCATOR, &a->locator, sizeof(a->locator));
	assert_true(host_is(a, "joined"));
	wait_for((guest_heartbeat(b, 0), guest_answer_probes(b, 10), !host_is(a, "joined")));
	assert_false(host_is(a, "absent"));
	assert_false(rest_event("host-left", NULL));
	sf_dh_free(dh);
	/* its owner is as welcome as ever */
	guest_join(a);
	assert_int_equal(rest_instances(&a->identity, 0), 1);
}

/* ---- sessions and registrations ---- */

static void registrations(void **state)
{
	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 80), 1);
	assert_int_equal(guest_register(b, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 80), 2);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	a->digest ^= sf_registration_digest(&web, 6, htons(80)); /* counted once */
	assert_int_equal(rest_instances(&web, 80), 2);
	/* one instance goes, the other stays (Serval loses it) */
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 80), 1);
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 80), 1);
	assert_int_equal(guest_register(b, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	assert_null(rest_service(&web, 80));

	/* what may not be registered */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &b->identity, 0, 0), SF_DENIED_KEYED);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 0), SF_BAD_MESSAGE);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &(struct sf_sid){ 0 }, 6, 80),
			 SF_BAD_MESSAGE);
	assert_true(rest_event("denied", "denied-keyed"));
}

static void table_full(void **state)
{
	uint8_t reason = SF_NONE;
	uint16_t port = 1;

	router_start(CONFIG "services_max = 64\n");
	guest_join(a);
	while (!reason && port < 100)
		reason = guest_register(a, SF_CTRL_REGISTER, &web, 6, port++);
	assert_int_equal(reason, SF_DENIED_FULL);
	assert_int_equal(port, 65); /* its identity is the 64th */
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 1), SF_NONE);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &mail, 6, 25), SF_NONE);
	assert_int_equal(rest_instances(&web, 2), 1);
}

/* A message within g's session, by hand: @seq of the caller's choice, @spoil its MAC. */
static void say_register(struct guest *g, uint8_t type, uint32_t seq, bool spoil)
{
	struct sf_item_registration item = { .sid = mail, .proto = 6, .port = htons(25) };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	int len;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), type, seq);
	sf_ctrl_put(&o, SF_ITEM_REGISTRATION, &item, sizeof(item));
	len = sf_session_seal(&g->session, &o);
	if (spoil)
		buf[len - 1] ^= 1;
	guest_say(g, &g->router, buf, (size_t)len);
}

static void replays(void **state)
{
	uint32_t seq;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	seq = sf_session_next(&a->session, SF_SESSION_HOST);
	say_register(a, SF_CTRL_REGISTER, seq, false);
	guest_expect(a, SF_CTRL_REGISTERED);
	say_register(a, SF_CTRL_REGISTER, seq, false); /* its answer was lost: the same again */
	guest_expect(a, SF_CTRL_REGISTERED);
	assert_int_equal(a->in.seq, seq);
	assert_int_equal(rest_instances(&mail, 25), 1);
	a->session.sent++;
	say_register(a, SF_CTRL_UNREGISTER, a->session.sent, false);
	guest_expect(a, SF_CTRL_UNREGISTERED);
	/* an old REGISTER does not raise the dead */
	say_register(a, SF_CTRL_REGISTER, seq, false);
	guest_expect(a, SF_CTRL_REGISTERED);
	assert_null(rest_service(&mail, 25));
	/* nor far behind the window, nor with a number of the router's own */
	a->session.sent += 1000;
	guest_heartbeat(a, 0);
	say_register(a, SF_CTRL_REGISTER, seq, false);
	guest_expect(a, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(a), SF_REPLAYED);
	say_register(a, SF_CTRL_REGISTER, SF_SESSION_UNSOLICITED + 5, false);
	guest_expect(a, SF_CTRL_DENIED);
	/* a wrong MAC is not answered; an unknown session is */
	say_register(a, SF_CTRL_REGISTER, a->session.sent + 1, true);
	guest_heartbeat(a, 0);
	assert_int_equal(rest_number("/v1/counters", "control.refused.bad-mac"), 1);
	b->session.id ^= 1;
	say_register(b, SF_CTRL_REGISTER, 1, false);
	b->session.id ^= 1;
	guest_expect(b, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(b), SF_NO_SESSION);
	assert_null(rest_service(&mail, 25));
}

/* A session's messages from another link move nobody. */
static void session_is_of_its_link(void **state)
{
	int fd = a->fd;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	a->fd = b->fd;
	a->router = b->router;
	say_register(a, SF_CTRL_REGISTER, 1, false);
	a->fd = fd;
	guest_expect(a, SF_CTRL_REFRESH);
	assert_null(rest_service(&mail, 25));
	assert_true(route_exists(&a->locator));
}

static void digest(void **state)
{
	struct sf_addr locator;

	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	guest_heartbeat(a, a->digest);
	guest_heartbeat(a, a->digest ^ 1);
	guest_heartbeat(a, a->digest ^ 1);
	guest_expect(a, SF_CTRL_REFRESH);
	/* it is authentic, and good for once */
	assert_int_equal(sf_session_check(&a->session, &a->in), 0);
	assert_true(a->in.seq > SF_SESSION_UNSOLICITED);
	assert_int_equal(sf_seq_accept(&a->session.window, a->in.seq), 0);
	assert_int_equal(sf_seq_accept(&a->session.window, a->in.seq), -EALREADY);
	/* it joins again, and registers only one of what it had */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &mail, 6, 25), SF_NONE);
	locator = a->locator;
	guest_join(a);
	assert_true(sf_addr_eq(&locator, &a->locator));
	assert_int_equal(rest_instances(&web, 80), 1); /* kept until it is known to be gone */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &mail, 6, 25), SF_NONE);
	guest_heartbeat(a, a->digest);
	wait_for(!rest_instances(&web, 80));
	assert_int_equal(rest_instances(&mail, 25), 1);
}

/* ---- what is dropped and refused is told ---- */

static void failures(void **state)
{
	struct sf_addr elsewhere, other;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	other = sf_locator(&b->net, sf_locator_host(&b->locator), 0x123456789abcull);
	elsewhere = sf_locator(&b->net, 0x77770001, 0x123456789abcull);
	for (int i = 0; i < 7; i++)
		guest_frame(a, NULL, &other, &elsewhere);
	wait_for(rest_failures("spoofed-locator", "h0") == 7);
	assert_int_equal(rest_failures("spoofed-locator", "h1"), 0);
	assert_int_equal(rest_failures("spoofed-locator", NULL), 0);
	/* a control message that is refused is counted as the router's */
	say_register(a, SF_CTRL_REGISTER, a->session.sent + 1, true);
	wait_for(rest_failures("bad-mac", NULL) == 1);
	/* a denied registration has told its story already */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &b->identity, 0, 0), SF_DENIED_KEYED);
	say_register(a, SF_CTRL_REGISTER, SF_SESSION_UNSOLICITED + 5, false);
	wait_for(rest_failures("replayed", NULL) == 1);
	assert_int_equal(rest_failures("denied-keyed", NULL), 0);
}

/* ---- the front of the table of services ---- */

#define FRONT_SERVICES 300u /* more than half of the first front has */

static int pinned(const char *name)
{
	char pattern[512];
	glob_t found;
	int fd;

	snprintf(pattern, sizeof(pattern), "%s/bpf/router-*/%s", world.dir, name);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	fd = bpf_obj_get(found.gl_pathv[0]);
	globfree(&found);
	assert_true(fd >= 0);
	return fd;
}

struct front {
	struct sf_line *at;
	uint32_t lines, room, services, found;
};

static int rule_seek(const void *key, const void *value, void *ctx)
{
	uint64_t hash = sf_line_hash(key);
	struct front *f = ctx;

	f->services++;
	for (int i = 0; i < SF_LINE_CHOICES; i++) {
		const struct sf_line *line = &f->at[sf_line_index(hash, i, f->lines)];

		if (!sf_line_is(line, key))
			continue;
		assert_memory_equal(&line->rule, value, sizeof(line->rule));
		f->found++;
		break;
	}
	return 0;
}

/* Nearly every rule has a line that says the same, and no line says more. */
static void front_check(uint32_t services, uint32_t lines)
{
	int rules = pinned("rules"), map = pinned("lines"), config = pinned("config");
	struct sf_router_config cfg;
	struct bpf_map_info info = { 0 };
	uint32_t zero = 0, len = sizeof(info), sealed = 0;
	struct front f = { 0 };

	assert_int_equal(bpf_map_lookup_elem(config, &zero, &cfg), 0);
	assert_int_equal(cfg.lines, lines - 1);
	assert_int_equal(bpf_obj_get_info_by_fd(map, &info, &len), 0);
	f.lines = cfg.lines;
	f.room = info.max_entries;
	f.at = mmap(NULL, f.room * sizeof(*f.at), PROT_READ, MAP_SHARED, map, 0);
	assert_true(f.at != MAP_FAILED);
	assert_int_equal(sf_bpf_map_walk(rules, sizeof(struct sf_service_key),
					 sizeof(struct sf_rule), rule_seek, &f),
			 0);
	for (uint32_t i = 0; i < lines; i++)
		sealed += f.at[i].seal && f.at[i].seal == sf_line_seal(&f.at[i]);
	assert_int_equal(f.services, services);
	assert_int_equal(sealed, f.found);
	if (f.found < services * 97 / 100)
		fail_msg("%u of %u services have one of %u lines", f.found, services, lines);
	munmap(f.at, f.room * sizeof(*f.at));
	close(rules);
	close(map);
	close(config);
}

static void front_follows(void **state)
{
	const uint32_t self = 1; /* a host is a service, too */
	uint32_t i;

	router_start(CONFIG "message_rate = 100000\n");
	guest_join(a);
	front_check(self, 512);
	for (i = 0; i < FRONT_SERVICES; i++)
		assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, (uint16_t)(i + 1)),
				 SF_NONE);
	front_check(self + FRONT_SERVICES, 1024);
	assert_in_range(rest_number("/v1/status", "services_in_front"), FRONT_SERVICES * 97 / 100,
			self + FRONT_SERVICES);
	for (i = 0; i < FRONT_SERVICES / 3; i++)
		assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, (uint16_t)(i + 1)),
				 SF_NONE);
	front_check(self + FRONT_SERVICES - i, 1024);
	router_end(SIGKILL);
	front_check(self + FRONT_SERVICES - i, 1024);
	router_start(CONFIG "message_rate = 100000\n");
	front_check(self + FRONT_SERVICES - i, 512);
}

static void flush_removes_all(void **state)
{
	router_start(CONFIG);
	guest_join(a);
	router_end(SIGTERM);
	assert_true(route_exists(&a->locator));
	router_fresh();
	assert_false(route_exists(&a->locator));
	assert_int_equal(shell(world.ns, "ip link show sf-absent 2>/dev/null"), 1);
	assert_int_equal(shell(world.ns, "ip -6 addr show lo | grep -q fd5c"), 1);
	assert_int_equal(shell(world.ns, "ls %s/bpf | grep -q router-", world.dir), 1);
	assert_int_equal(shell(world.ns, "ip -6 route show proto 213 | grep -q ."), 1);
}

static void reload(void **state)
{
	char cmd[512];

	router_start(CONFIG "[link h0]\naccess = yes\n");
	guest_join(a);
	guest_say(b, NULL, a->join, (size_t)a->join_len);
	assert_int_equal(guest_hear(b, 300), -1); /* not its link */
	snprintf(cmd, sizeof(cmd), "printf '%%s' '%s' > %s/conf", CONFIG "[link h1]\n", world.dir);
	assert_int_equal(system(cmd), 0);
	kill(world.pid, SIGHUP);
	wait_for(host_is(a, "absent"));
	guest_join(b);
	/* a bad file is refused, the daemon goes on */
	snprintf(cmd, sizeof(cmd), "echo nonsense = 1 >> %s/conf", world.dir);
	assert_int_equal(system(cmd), 0);
	kill(world.pid, SIGHUP);
	guest_heartbeat(b, 0);
	assert_true(host_is(b, "joined"));
}

/* ---- packets ---- */

/* The access filter and the answer for absent hosts, on real links. */
static void packets(void **state)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 }, from = { .sin6_family = AF_INET6 };
	struct pollfd p = { .fd = a->raw, .events = POLLIN };
	struct sf_addr src, dst;
	uint8_t buf[1024];
	struct sf_hdr h;
	char text[SF_ADDR_STRLEN];
	struct sf_tlv_target t = { .type = SF_TLV_TARGET, .len = 6 };
	int n;

	router_start(CONFIG);
	guest_join(a);
	src = sf_locator(&a->net, sf_locator_host(&a->locator), 0x123456789abc);
	assert_int_equal(shell(a->ns,
			       "ip -6 addr add %s/128 dev lo && ip -6 route replace default "
			       "via $(ip -6 neigh show dev up0 | grep -o 'fe80[^ ]*' | head "
			       "-1) dev up0",
			       sf_addr_print(&src, text)),
			 0);
	memcpy(&from.sin6_addr, &src, 16);
	assert_int_equal(bind(a->raw, (struct sockaddr *)&from, sizeof(from)), 0);

	while (recv(a->raw, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		; /* probes of earlier tests */

	/* PROBE to a hostAddr of the block that nobody has: FAIL host-unreachable, soft */
	dst = sf_locator(&a->net, 0x2a1234, 0);
	n = sf_alone_encode(buf, sizeof(buf), &src, &dst, 64, SF_KIND_PROBE, 0, &web, &a->identity,
			    &t, sizeof(t), NULL, 0);
	memcpy(&to.sin6_addr, &dst, 16);
	assert_int_equal(
		sendto(a->raw, buf + 40, (size_t)n - 40, 0, (struct sockaddr *)&to, sizeof(to)),
		n - 40);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = (int)recv(a->raw, buf, sizeof(buf), 0);
	assert_true(n >= (int)SF_FAIL_LEN);
	memcpy(&h, buf, sizeof(h));
	assert_int_equal(sf_hdr_kind(&h), SF_KIND_FAIL);
	assert_int_equal(((struct sf_tlv_reason *)(buf + SF_HDR_LEN))->reason, SF_HOST_UNREACHABLE);
	assert_int_equal(rest_number("/v1/counters", "reasons.absent-host.packets"), 1);

	/* PROBE of a service that nobody serves */
	dst = sf_service_addr(&a->net, &web);
	n = sf_alone_encode(buf, sizeof(buf), &src, &dst, 64, SF_KIND_PROBE, 0, &web, &a->identity,
			    &t, sizeof(t), NULL, 0);
	memcpy(&to.sin6_addr, &dst, 16);
	sendto(a->raw, buf + 40, (size_t)n - 40, 0, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = (int)recv(a->raw, buf, sizeof(buf), 0);
	assert_int_equal(((struct sf_tlv_reason *)(buf + SF_HDR_LEN))->reason, SF_NO_SUCH_SERVICE);

	/* a neighbour's locator as source */
	src = sf_locator(&a->net, sf_locator_host(&a->locator) + 1, 0x123456789abc);
	assert_int_equal(shell(a->ns,
			       "ip -6 addr add %s/128 dev lo && ping -6 -c1 -W1 -I %s %s "
			       ">/dev/null",
			       sf_addr_print(&src, text), text, "fd5c:0:7:2a::1"),
			 1);
	assert_true(rest_number("/v1/counters", "reasons.spoofed-locator.packets") > 0);
	close(a->raw);
	a->raw = -1;
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(join),       T(join_refused),	 T(join_overheard),	    T(registrations),
		T(table_full), T(replays),	 T(session_is_of_its_link), T(digest),
		T(failures),   T(front_follows), T(flush_removes_all),	    T(reload),
		T(packets),
	};

	return WORLD_MAIN(argc, argv, tests, NULL);
}
