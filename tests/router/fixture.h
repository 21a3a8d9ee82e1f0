// SPDX-License-Identifier: Apache-2.0
/*
 * fixture.h - a scaffold-router in a network namespace of its own, and guests: hosts played by the
 * test, which speak the control protocol by raw sockets.
 *
 *	guest 0 [up0] ---- [h0] router [h1] ---- [up0] guest 1 ...
 *
 * All namespaces, mounts and pins are private to the test program and end with it.
 */
#ifndef SF_TESTS_ROUTER_FIXTURE_H
#define SF_TESTS_ROUTER_FIXTURE_H

#include <jansson.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "core/ctrl.h"
#include "core/wire.h"
#include "util/crypto.h"
#include "util/session.h"

#define GUESTS	2
#define WAIT_MS 10000 /* for what must come; a test that waits that long has failed */

struct guest {
	int ns, fd, raw; /* namespace; control socket; raw socket of next header 60 */
	int frames;	 /* socket that sends whole frames */
	int ifindex;
	uint8_t mac[6], router_mac[6];
	struct sf_sign_key *key;
	uint8_t pub[SF_SIGN_PUBLIC_LEN];
	struct sf_sid identity;
	uint64_t boot, time;
	bool standby; /* as its JOINs say */
	struct sf_session session;
	uint64_t digest;
	struct sockaddr_in6 router;
	struct sf_addr locator, router_locator;
	struct sf_net net;
	uint8_t join[SF_CTRL_MAX_UDP];
	int join_len;
	uint8_t joined[SF_CTRL_MAX_UDP];
	int joined_len;
	/* the last message received */
	uint8_t buf[2048] __attribute__((aligned(8)));
	struct sf_ctrl_in in;
};

struct world {
	char dir[64];
	char program[256];
	int ns;
	pid_t pid;
	struct guest guests[GUESTS];
};

extern struct world world;

/** world_open() - namespaces and links. Return: 0, or 77 where that is not allowed. */
int world_open(const char *program);
void world_close(void);
/**
 * world_main() - main() of a program of tests: argv[1] is the router, argv[2] which tests (all).
 * @set_up: what more the world has; NULL: nothing
 */
int world_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n,
	       CMFixtureFunction set_up);
#define WORLD_MAIN(argc, argv, tests, set_up) \
	world_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]), set_up)

/** router_start() - with @config as its file; returns when its REST answers. */
void router_start(const char *config);
/** router_end() - by @signal, and wait. */
void router_end(int signal);
/** router_fresh() - state and pins of earlier routers are gone. */
void router_fresh(void);

/** rest() - GET @path; the caller's to json_decref(). */
json_t *rest(const char *path);
/** rest_number() - an integer at @path, by object keys separated by dots; 0 where it is absent. */
json_int_t rest_number(const char *path, const char *keys);
/** rest_failures() - the sum of the events of kind failures with @reason, on @link (NULL: none). */
json_int_t rest_failures(const char *reason, const char *link);
/** rest_filtered() - whether what comes from a link must come from its hosts. */
bool rest_filtered(const char *link);
/** rest_event() - whether an event of @kind with @reason (NULL: any) is in the log. */
bool rest_event(const char *kind, const char *reason);
/** rest_service() - instances of a service, or NULL if it is unknown; the caller's. */
json_t *rest_service(const struct sf_sid *sid, uint16_t port);
/** rest_instances() - how many those are. */
size_t rest_instances(const struct sf_sid *sid, uint16_t port);

/** wait_for() - until @condition holds; fails the test after WAIT_MS. */
#define wait_for(condition)                                                            \
	do {                                                                           \
		int tries_ = WAIT_MS / 20;                                             \
		while (!(condition) && tries_--)                                       \
			usleep(20000);                                                 \
		if (!(condition))                                                      \
			fail_msg("line %d: waited in vain for " #condition, __LINE__); \
	} while (0)

/** shell() - run a command in namespace @ns. Return: its status. */
int shell(int ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** route_exists() - whether the router's FIB has a /80 of protocol 213 to @locator. */
bool route_exists(const struct sf_addr *locator);

/* ---- guests ---- */

/** guest_key() - a new host key. */
void guest_key(struct guest *g);
/** guest_become() - a copy of another machine: its key. */
void guest_become(struct guest *g, const struct guest *original);
/** guest_build_join() - a fresh JOIN in g->join; returns the DH to finish with. */
struct sf_dh *guest_build_join(struct guest *g);
/** guest_say() - a datagram to @to (NULL: the multicast group). */
void guest_say(struct guest *g, const struct sockaddr_in6 *to, const void *data, size_t len);
/** guest_hear() - the next message within @ms in g->in. Return: its type, -1: none. */
int guest_hear(struct guest *g, int ms);
/** guest_expect() - skip messages until one of @type. Fails the test if none comes. */
void guest_expect(struct guest *g, int type);
/** guest_prove() - use the session, by a REGISTER of nothing. */
void guest_prove(struct guest *g);
/** guest_join() - JOIN until JOINED; a session, and its first use. Fails the test otherwise. */
void guest_join(struct guest *g);
/** guest_reason() - REASON of the DENIED in g->in. */
uint8_t guest_reason(const struct guest *g);
/** guest_configure() - its locator on lo and a default route, so that PROBEs and answers go. */
void guest_configure(struct guest *g);
/** guest_finish_join() - take the JOINED in g->in. */
void guest_finish_join(struct guest *g, struct sf_dh *dh);

/** guest_register() - REGISTER or UNREGISTER one service; returns the RESULT's reason. */
uint8_t guest_register(struct guest *g, uint8_t type, const struct sf_sid *sid, uint8_t proto,
		       uint16_t port);
/** guest_look_up() - ask for a service; the answer is for guest_expect(). */
void guest_look_up(struct guest *g, const struct sf_sid *sid);
/** guest_heartbeat() - with @digest; the answer is left in g->in. */
void guest_heartbeat(struct guest *g, uint64_t digest);
/** guest_heartbeat_shed() - with digest 0, and a SHED: what is done up to @number. */
void guest_heartbeat_shed(struct guest *g, uint32_t number);

/**
 * guest_frame() - a packet of a bound flow, without SCAFFOLD header, to the router's link address.
 * @mac: Ethernet source, NULL: its own
 */
void guest_frame(struct guest *g, const uint8_t *mac, const struct sf_addr *src,
		 const struct sf_addr *dst);

/**
 * guest_answer_probe() - how the guest answers: PROBE-ACK as it should, with another ident, or
 * FAIL.
 */
enum answer { ANSWER_ACK, ANSWER_OTHER_IDENT, ANSWER_FAIL };
extern enum answer guest_answer;

/** guest_answer_probes() - answer PROBEs until one came or @ms passed. Return: whether. */
bool guest_answer_probes(struct guest *g, int ms);

/** host_is() - whether the router shows the host at the guest's locator in @state. */
bool host_is(const struct guest *g, const char *state);

/** test_setup() - new host keys, nothing of earlier routers; test_teardown(): the router's end. */
int test_setup(void **state);
int test_teardown(void **state);

#endif
