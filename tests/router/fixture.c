// SPDX-License-Identifier: Apache-2.0
/* fixture.c - see fixture.h. */
#include "tests/router/fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/name.h"
#include "util/file.h"
#include "util/httpc.h"
#include "util/netlink.h"
#include "util/netns.h"

struct world world;
static char err[512];

int shell(int ns, const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int status;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	pid = fork();
	if (!pid) {
		if (sf_netns_enter(ns))
			_exit(126);
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* ---- the world ---- */

static int netns_make(void)
{
	int self = sf_netns_open_self(), fd;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = sf_netns_open_self();
	if (sf_netns_enter(self))
		abort();
	close(self);
	return fd;
}

/* Fresh links are usable at once, and say so by name. */
static int link_up(int ns, const char *name)
{
	return shell(ns,
		     "sysctl -qw net.ipv6.conf.%s.accept_dad=0 net.ipv6.conf.%s.dad_transmits=0; "
		     "ip link set %s up && ip link set lo up",
		     name, name, name);
}

static int open_sockets(void *ctx)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(SF_CTRL_PORT) };
	struct guest *g = ctx;
	int bytes = 4 << 20; /* answers wait until they are looked for */

	g->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	g->raw = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, SF_NEXTHDR_DSTOPTS);
	g->frames = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (g->fd < 0 || g->raw < 0 || g->frames < 0 ||
	    bind(g->fd, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(g->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		return -errno;
	return 0;
}

static int guest_open(struct guest *g, int n)
{
	struct sf_nl_link link;
	struct sf_nl *nl;
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "h%d", n);
	g->ns = netns_make();
	if (g->ns < 0)
		return g->ns;
	ret = sf_nl_open_in(world.ns, &nl);
	if (!ret)
		ret = sf_link_add_veth(nl, name, "up0", g->ns);
	if (!ret)
		ret = sf_link_get(nl, name, &link);
	memcpy(g->router_mac, link.mac, sizeof(g->router_mac));
	sf_nl_close(nl);
	if (ret || link_up(world.ns, name) || link_up(g->ns, "up0"))
		return -EIO;
	ret = sf_nl_open_in(g->ns, &nl);
	if (!ret)
		ret = sf_link_get(nl, "up0", &link);
	sf_nl_close(nl);
	g->ifindex = link.ifindex;
	memcpy(g->mac, link.mac, sizeof(g->mac));
	return ret ? ret : sf_netns_run(g->ns, open_sockets, g);
}

int world_open(const char *program)
{
	snprintf(world.program, sizeof(world.program), "%s", program);
	strcpy(world.dir, "/tmp/sf-router-XXXXXX");
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("SKIP: needs root\n");
		return 77;
	}
	if (!mkdtemp(world.dir))
		return 1;
	world.ns = netns_make();
	if (world.ns < 0)
		return 1;
	for (int i = 0; i < GUESTS; i++)
		if (guest_open(&world.guests[i], i)) {
			printf("guest %d cannot be made\n", i);
			return 1;
		}
	return 0;
}

void world_close(void)
{
	char cmd[256];

	if (world.pid)
		router_end(SIGKILL);
	snprintf(cmd, sizeof(cmd), "umount %s/bpf 2>/dev/null; rm -rf %s", world.dir, world.dir);
	if (system(cmd))
		printf("%s cannot be removed\n", world.dir);
}

int world_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n,
	       CMFixtureFunction set_up)
{
	int ret;

	if (argc < 2)
		return 2;
	ret = world_open(argv[1]);
	if (ret)
		return ret;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	ret = _cmocka_run_group_tests("router", tests, n, set_up, NULL);
	world_close();
	return ret;
}

/* ---- the router ---- */

void router_fresh(void)
{
	assert_int_equal(world.pid, 0);
	assert_int_equal(shell(world.ns,
			       "%s --flush --run %s/run --bpffs %s/bpf --state %s/state "
			       "--log warn",
			       world.program, world.dir, world.dir, world.dir),
			 0);
	assert_int_equal(shell(world.ns, "rm -rf %s/state", world.dir), 0);
	for (int i = 0; i < GUESTS; i++) {
		struct guest *g = &world.guests[i];

		sf_session_close(&g->session);
		while (guest_hear(g, 0) >= 0)
			;
		while (g->raw >= 0 && recv(g->raw, g->buf, sizeof(g->buf), MSG_DONTWAIT) >= 0)
			;
		shell(g->ns, "ip link set up0 up; ip -6 addr flush dev lo scope global");
	}
}

void router_start(const char *config)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/conf", world.dir);
	assert_int_equal(sf_file_write(path, config, strlen(config), 0600), 0);
	world.pid = fork();
	if (!world.pid) {
		char run[160], bpf[160], state[160];

		snprintf(run, sizeof(run), "%s/run", world.dir);
		snprintf(bpf, sizeof(bpf), "%s/bpf", world.dir);
		snprintf(state, sizeof(state), "%s/state", world.dir);
		if (sf_netns_enter(world.ns))
			_exit(126);
		execl(world.program, world.program, "--config", path, "--run", run, "--bpffs", bpf,
		      "--state", state, "--log", getenv("SF_TEST_LOG") ?: "warn", NULL);
		_exit(127);
	}
	for (int i = 0; i < WAIT_MS / 20; i++) {
		json_t *status;

		if (waitpid(world.pid, NULL, WNOHANG) == world.pid) {
			world.pid = 0;
			fail_msg("the router ended at its start");
		}
		status = rest("/v1/status");
		if (status) {
			json_decref(status);
			return;
		}
		usleep(20000);
	}
	fail_msg("the router does not come up");
}

void router_end(int signal)
{
	assert_true(world.pid > 0);
	kill(world.pid, signal);
	waitpid(world.pid, NULL, 0);
	world.pid = 0;
}

json_t *rest(const char *path)
{
	struct sf_httpc_opts opts = { 0 };
	struct sf_httpc *client;
	char endpoint[128];
	json_t *reply = NULL;

	snprintf(endpoint, sizeof(endpoint), "unix:%s/run/router.sock", world.dir);
	opts.endpoint = endpoint;
	if (sf_httpc_new(&opts, &client, err, sizeof(err)))
		return NULL;
	if (sf_httpc_call(client, "GET", path, NULL, &reply, err, sizeof(err)))
		reply = NULL;
	sf_httpc_free(client);
	return reply;
}

json_int_t rest_number(const char *path, const char *keys)
{
	json_t *whole = rest(path), *at = whole;
	json_int_t value;
	char copy[128], *save, *key;

	snprintf(copy, sizeof(copy), "%s", keys);
	for (key = strtok_r(copy, ".", &save); key && at; key = strtok_r(NULL, ".", &save))
		at = json_object_get(at, key);
	value = json_integer_value(at);
	json_decref(whole);
	return value;
}

json_int_t rest_failures(const char *reason, const char *link)
{
	json_t *whole = rest("/v1/events"), *e;
	json_int_t sum = 0;
	size_t i;

	json_array_foreach (json_object_get(whole, "events"), i, e) {
		const char *r = json_string_value(json_object_get(e, "reason"));
		const char *l = json_string_value(json_object_get(e, "link"));

		if (!strcmp(json_string_value(json_object_get(e, "kind")), "failures") && r &&
		    !strcmp(r, reason) && !strcmp(l ?: "", link ?: ""))
			sum += json_integer_value(json_object_get(e, "count"));
	}
	json_decref(whole);
	return sum;
}

bool rest_filtered(const char *link)
{
	json_t *whole = rest("/v1/status"), *l;
	bool is = false;
	size_t i;

	json_array_foreach (json_object_get(whole, "links"), i, l)
		if (!strcmp(json_string_value(json_object_get(l, "name")), link))
			is = json_is_true(json_object_get(l, "filtered"));
	json_decref(whole);
	return is;
}

bool rest_event(const char *kind, const char *reason)
{
	json_t *whole = rest("/v1/events"), *e;
	bool found = false;
	size_t i;

	json_array_foreach (json_object_get(whole, "events"), i, e) {
		const char *r = json_string_value(json_object_get(e, "reason"));

		found |= !strcmp(json_string_value(json_object_get(e, "kind")), kind) &&
			 (!reason || (r && !strcmp(r, reason)));
	}
	json_decref(whole);
	return found;
}

json_t *rest_service(const struct sf_sid *sid, uint16_t port)
{
	char path[96], text[SF_ADDR_STRLEN];
	json_t *whole, *s, *found = NULL;
	size_t i;

	snprintf(path, sizeof(path), "/v1/services?service=%s", sf_sid_print(sid, text));
	whole = rest(path);
	json_array_foreach (json_object_get(whole, "services"), i, s)
		if (json_integer_value(json_object_get(s, "port")) == port)
			found = json_incref(json_object_get(s, "instances"));
	json_decref(whole);
	return found;
}

size_t rest_instances(const struct sf_sid *sid, uint16_t port)
{
	json_t *list = rest_service(sid, port);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

bool route_exists(const struct sf_addr *locator)
{
	char text[SF_ADDR_STRLEN];

	return !shell(world.ns, "ip -6 route show %s/80 proto 213 | grep -q .",
		      sf_addr_print(locator, text));
}

/* ---- guests ---- */

void guest_key(struct guest *g)
{
	sf_sign_key_free(g->key);
	assert_int_equal(sf_sign_key_make(&g->key), 0);
	sf_sign_key_public(g->key, g->pub);
	assert_int_equal(
		sf_sid_of_key(g->pub, sizeof(g->pub), SF_SSID_HOSTS, sf_sha256, &g->identity), 0);
	sf_random(&g->boot, sizeof(g->boot));
	g->standby = false;
}

void guest_become(struct guest *g, const struct guest *original)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/clone.key", world.dir);
	unlink(path);
	assert_int_equal(sf_sign_key_store(original->key, path, NULL, 0), 0);
	sf_sign_key_free(g->key);
	assert_int_equal(sf_sign_key_load(path, &g->key, NULL, 0), 0);
	memcpy(g->pub, original->pub, sizeof(g->pub));
	g->identity = original->identity;
}

struct sf_dh *guest_build_join(struct guest *g)
{
	static uint32_t seq;
	uint8_t share[SF_DH_LEN];
	__be64 boot = sf_be64(g->boot), when;
	struct sf_ctrl_out o;
	struct timespec t;
	struct sf_dh *dh;

	clock_gettime(CLOCK_REALTIME, &t);
	g->time = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + ++seq;
	when = sf_be64(g->time);
	assert_int_equal(sf_dh_make(&dh), 0);
	sf_dh_public(dh, share);
	sf_ctrl_begin(&o, g->join, sizeof(g->join), SF_CTRL_JOIN, seq, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST_KEY, g->pub, sizeof(g->pub));
	sf_ctrl_put(&o, SF_ITEM_SHARE, share, sizeof(share));
	sf_ctrl_put(&o, SF_ITEM_BOOT, &boot, sizeof(boot));
	sf_ctrl_put(&o, SF_ITEM_NAME, "guest", 5);
	sf_ctrl_put(&o, SF_ITEM_TIME, &when, sizeof(when));
	if (g->standby)
		sf_ctrl_put(&o, SF_ITEM_STANDBY, NULL, 0);
	g->join_len = sf_join_sign(&o, g->key);
	assert_true(g->join_len > 0);
	return dh;
}

void guest_say(struct guest *g, const struct sockaddr_in6 *to, const void *data, size_t len)
{
	struct sockaddr_in6 group = { .sin6_family = AF_INET6,
				      .sin6_port = htons(SF_CTRL_PORT),
				      .sin6_scope_id = (uint32_t)g->ifindex };

	inet_pton(AF_INET6, "ff02::5caf", &group.sin6_addr);
	to = to ? to : &group;
	/* A link that has just come up has no address for a moment. */
	for (int i = 0; i < WAIT_MS / 20; i++) {
		if (sendto(g->fd, data, len, 0, (const struct sockaddr *)to, sizeof(*to)) ==
		    (ssize_t)len)
			return;
		usleep(20000);
	}
	fail_msg("sendto: %s", strerror(errno));
}

int guest_hear(struct guest *g, int ms)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	const char *why;
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return -1;
	n = recvfrom(g->fd, g->buf, sizeof(g->buf), 0, (struct sockaddr *)&from, &len);
	if (n < 0 || sf_ctrl_open(g->buf, (size_t)n, &g->in, &why))
		return -1;
	g->router = from;
	return g->in.type;
}

void guest_expect(struct guest *g, int type)
{
	int got;

	while ((got = guest_hear(g, WAIT_MS)) != type)
		if (got < 0)
			fail_msg("no %s came", sf_ctrl_name((unsigned int)type));
	/* Only who has forgotten the session may speak without a MAC. */
	if (type == SF_CTRL_DENIED && !sf_ctrl_find(&g->in, SF_ITEM_MAC, NULL)) {
		assert_true(guest_reason(g) != SF_NONE);
		return;
	}
	if (g->session.id && type != SF_CTRL_JOINED && g->in.session == g->session.id)
		assert_int_equal(sf_session_check(&g->session, &g->in), 0);
}

uint8_t guest_reason(const struct guest *g)
{
	const struct sf_item_reason *r = sf_ctrl_find(&g->in, SF_ITEM_REASON, NULL);

	assert_non_null(r);
	return r->reason;
}

void guest_configure(struct guest *g)
{
	char text[SF_ADDR_STRLEN];

	assert_int_equal(shell(g->ns,
			       "ip -6 addr add %s/128 dev lo && ip -6 route replace default "
			       "via $(ip -6 neigh show dev up0 | grep -o 'fe80[^ ]*' | head "
			       "-1) dev up0",
			       sf_addr_print(&g->locator, text)),
			 0);
}

void guest_finish_join(struct guest *g, struct sf_dh *dh)
{
	struct sf_session_terms terms = { .boot = g->boot };
	const struct sf_item_router *router;
	uint8_t secret[SF_DH_LEN];

	assert_int_equal(sf_joined_verify(&g->in, g->join, (size_t)g->join_len), 0);
	assert_memory_equal(sf_ctrl_find(&g->in, SF_ITEM_IDENTITY, NULL), &g->identity, 12);
	memcpy(&g->locator, sf_ctrl_find(&g->in, SF_ITEM_LOCATOR, NULL), 16);
	memcpy(&g->net, sf_ctrl_find(&g->in, SF_ITEM_NET, NULL), sizeof(g->net));
	router = sf_ctrl_find(&g->in, SF_ITEM_ROUTER, NULL);
	g->router_locator = router->addr;
	memcpy(terms.nonce, sf_ctrl_find(&g->in, SF_ITEM_NONCE, NULL), sizeof(terms.nonce));
	memcpy(terms.router_share, sf_ctrl_find(&g->in, SF_ITEM_SHARE, NULL), SF_DH_LEN);
	sf_dh_public(dh, terms.host_share);
	assert_int_equal(sf_dh_shared(dh, terms.router_share, secret), 0);
	sf_session_close(&g->session);
	assert_int_equal(sf_session_open(&g->session, SF_SESSION_HOST, secret, &terms), 0);
	assert_true(g->in.session == g->session.id);
	sf_dh_free(dh);
	g->joined_len = (int)(g->in.end - g->in.start);
	memcpy(g->joined, g->in.start, (size_t)g->joined_len);
	g->digest = 0;
}

void guest_prove(struct guest *g)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	int len;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), SF_CTRL_REGISTER,
			 sf_session_next(&g->session, SF_SESSION_HOST));
	len = sf_session_seal(&g->session, &o);
	assert_true(len > 0);
	guest_say(g, &g->router, buf, (size_t)len);
	guest_expect(g, SF_CTRL_REGISTERED);
}

void guest_join(struct guest *g)
{
	struct sf_dh *dh;

	/* The router may just be learning of the link: say it again, with a newer TIME. */
	for (int i = 0; i < 20; i++) {
		int got;

		dh = guest_build_join(g);
		guest_say(g, NULL, g->join, (size_t)g->join_len);
		while ((got = guest_hear(g, WAIT_MS / 20)) >= 0)
			if (got == SF_CTRL_JOINED &&
			    !sf_joined_verify(&g->in, g->join, (size_t)g->join_len)) {
				guest_finish_join(g, dh);
				guest_prove(g);
				return;
			}
		sf_dh_free(dh);
	}
	fail_msg("no JOINED");
}

uint8_t guest_register(struct guest *g, uint8_t type, const struct sf_sid *sid, uint8_t proto,
		       uint16_t port)
{
	struct sf_item_registration item = { .sid = *sid, .proto = proto, .port = htons(port) };
	const struct sf_item_result *result;
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	int len;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), type,
			 sf_session_next(&g->session, SF_SESSION_HOST));
	sf_ctrl_put(&o, SF_ITEM_REGISTRATION, &item, sizeof(item));
	len = sf_session_seal(&g->session, &o);
	assert_true(len > 0);
	guest_say(g, &g->router, buf, (size_t)len);
	guest_expect(g, type == SF_CTRL_REGISTER ? SF_CTRL_REGISTERED : SF_CTRL_UNREGISTERED);
	result = sf_ctrl_find(&g->in, SF_ITEM_RESULT, NULL);
	assert_non_null(result);
	assert_true(sf_sid_eq(&result->sid, sid) && result->port == item.port);
	if (!result->reason)
		g->digest ^= sf_registration_digest(sid, proto, item.port);
	return result->reason;
}

void guest_look_up(struct guest *g, const struct sf_sid *sid)
{
	struct sf_item_registration item = { .sid = *sid };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	int len;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), SF_CTRL_LOOKUP,
			 sf_session_next(&g->session, SF_SESSION_HOST));
	sf_ctrl_put(&o, SF_ITEM_REGISTRATION, &item, sizeof(item));
	len = sf_session_seal(&g->session, &o);
	assert_true(len > 0);
	guest_say(g, &g->router, buf, (size_t)len);
}

static void heartbeat(struct guest *g, uint64_t digest, const struct sf_item_shed *done)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	__be64 value = sf_be64(digest);
	struct sf_ctrl_out o;
	int len;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), SF_CTRL_HEARTBEAT,
			 sf_session_next(&g->session, SF_SESSION_HOST));
	sf_ctrl_put(&o, SF_ITEM_DIGEST, &value, sizeof(value));
	if (done)
		sf_ctrl_put(&o, SF_ITEM_SHED, done, sizeof(*done));
	len = sf_session_seal(&g->session, &o);
	assert_true(len > 0);
	guest_say(g, &g->router, buf, (size_t)len);
	guest_expect(g, SF_CTRL_ALIVE);
}

void guest_heartbeat(struct guest *g, uint64_t digest)
{
	heartbeat(g, digest, NULL);
}

void guest_heartbeat_shed(struct guest *g, uint32_t number)
{
	struct sf_item_shed done = { .number = sf_be32(number) };

	heartbeat(g, 0, &done);
}

void guest_frame(struct guest *g, const uint8_t *mac, const struct sf_addr *src,
		 const struct sf_addr *dst)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = g->ifindex };
	uint8_t f[14 + SF_IPV6_LEN + 20] = { 0 };

	memcpy(f, g->router_mac, 6);
	memcpy(f + 6, mac ?: g->mac, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[14] = 0x60;
	f[19] = 20;
	f[20] = SF_NEXTHDR_TCP;
	f[21] = 64;
	memcpy(f + 22, src, 16);
	memcpy(f + 38, dst, 16);
	f[66] = 0x50;
	f[67] = 0x10;
	assert_int_equal(sendto(g->frames, f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(f));
}

enum answer guest_answer;

/* Answer one PROBE that came without its IPv6 header. */
static bool answer_probe(struct guest *g, const uint8_t *data, size_t len,
			 const struct sockaddr_in6 *from)
{
	uint8_t out[SF_IPV6_LEN + SF_HDR_MAX + SF_QUOTE_MAX] __attribute__((aligned(8)));
	uint8_t quote[SF_IPV6_LEN + SF_PROBE_LEN] __attribute__((aligned(8)));
	struct sockaddr_in6 to = *from;
	struct sf_tlv_target target;
	struct sf_addr dst;
	struct sf_hdr h;
	int n;

	if (len < SF_PROBE_LEN)
		return false;
	memcpy(&h, data, sizeof(h));
	if (sf_hdr_kind(&h) != SF_KIND_PROBE)
		return false;
	memcpy(&dst, &from->sin6_addr, sizeof(dst));
	memcpy(&target, data + SF_HDR_LEN, sizeof(target));
	if (guest_answer == ANSWER_OTHER_IDENT)
		target.ident = (__be16)~target.ident;
	if (guest_answer == ANSWER_FAIL) {
		struct sf_tlv_reason why = { SF_TLV_REASON,
					     6,
					     SF_NO_SUCH_SOCKET,
					     SF_KIND_PROBE,
					     htons(SF_IPV6_LEN + SF_PROBE_LEN),
					     0 };

		n = sf_alone_encode(quote, sizeof(quote), &dst, &g->locator, 63, SF_KIND_PROBE, 0,
				    &h.dst, &h.src, &target, sizeof(target), NULL, 0);
		assert_true(n > 0);
		n = sf_alone_encode(out, sizeof(out), &g->locator, &dst, 64, SF_KIND_FAIL, 0,
				    &h.src, &h.dst, &why, sizeof(why), quote, (size_t)n);
	} else {
		n = sf_alone_encode(out, sizeof(out), &g->locator, &dst, 64, SF_KIND_PROBE_ACK, 0,
				    &h.src, &h.dst, &target, sizeof(target), NULL, 0);
	}
	assert_true(n > 0);
	to.sin6_port = 0;
	assert_int_equal(sendto(g->raw, out + SF_IPV6_LEN, (size_t)n - SF_IPV6_LEN, 0,
				(struct sockaddr *)&to, sizeof(to)),
			 n - SF_IPV6_LEN);
	return true;
}

bool guest_answer_probes(struct guest *g, int ms)
{
	struct pollfd p = { .fd = g->raw, .events = POLLIN };
	uint8_t buf[1024];

	while (poll(&p, 1, ms) > 0) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(g->raw, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n > 0 && answer_probe(g, buf, (size_t)n, &from))
			return true;
	}
	return false;
}

/* ---- each test ---- */

bool host_is(const struct guest *g, const char *state)
{
	json_t *whole = rest("/v1/hosts?all=1"), *h;
	char text[SF_ADDR_STRLEN];
	bool found = false;
	size_t i;

	sf_addr_print(&g->locator, text);
	json_array_foreach (json_object_get(whole, "hosts"), i, h)
		found |= !strcmp(json_string_value(json_object_get(h, "locator")), text) &&
			 !strcmp(json_string_value(json_object_get(h, "state")), state);
	json_decref(whole);
	return found;
}

int test_setup(void **state)
{
	router_fresh();
	guest_key(&world.guests[0]);
	guest_key(&world.guests[1]);
	return 0;
}

int test_teardown(void **state)
{
	if (world.pid)
		router_end(SIGTERM);
	return 0;
}
