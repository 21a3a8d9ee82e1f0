// SPDX-License-Identifier: Apache-2.0
/*
 * net.c - namespaces, links, addresses and routes of a lab.
 *
 * Links are made inside the namespaces, never in the one that the lab is started from. A plain
 * link is one veth pair between two nodes. A link that is emulated is two of them, each with its
 * other end in the emulator's namespace, which has no IPv6 of its own: nothing but what the
 * emulator copies gets across.
 *
 * Neighbours answer at once (no duplicate address detection), segmentation offload and all else
 * about the devices is as the kernel makes it.
 */
#include "lab/net.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/plan.h"
#include "util/cgroup.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/netlink.h"
#include "util/netns.h"

/* One namespace, opened. */
struct place {
	int fd;
	struct sf_nl *nl;
};

/* All namespaces of a lab; the emulator's is the last. */
struct places {
	const struct sf_lab *lab;
	struct place *at;
	size_t n;
	char *err;
	size_t err_len;
};

static const char *place_name(const struct sf_lab *lab, size_t i)
{
	return i < lab->topology.n_nodes ? lab->topology.nodes[i].name : NULL;
}

bool sf_net_has_emulator(const struct sf_lab *lab)
{
	for (size_t i = 0; i < lab->topology.n_links; i++)
		if (lab->topology.links[i].emulator)
			return true;
	return false;
}

char *sf_net_emulator_ifname(unsigned int link, unsigned int end, char buf[16])
{
	snprintf(buf, 16, "l%u%c", link, end ? 'b' : 'a');
	return buf;
}

/* What the kernel said about the last request in a namespace, with what it was about. */
static int nl_failed(const struct places *p, size_t i, int r, const char *what)
{
	char ns[NAME_MAX];
	const char *words = sf_nl_error(p->at[i].nl);

	return sf_errtext(p->err, p->err_len, r, "%s: %s: %s%s%s%s",
			  sf_lab_namespace(p->lab, place_name(p->lab, i), ns), what, strerror(-r),
			  *words ? " (" : "", words, *words ? ")" : "");
}

static void places_close(struct places *p)
{
	for (size_t i = 0; p->at && i < p->n; i++) {
		sf_nl_close(p->at[i].nl);
		if (p->at[i].fd >= 0)
			close(p->at[i].fd);
	}
	free(p->at);
	p->at = NULL;
}

/* Two descriptors a namespace: labs of hundreds of nodes need more than the usual soft limit. */
static void limit_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* opening will tell */
	}
}

static int places_open(struct places *p, const struct sf_lab *lab, char *err, size_t err_len)
{
	char ns[NAME_MAX];

	*p = (struct places){ .lab = lab, .err = err, .err_len = err_len };
	p->n = lab->topology.n_nodes + sf_net_has_emulator(lab);
	p->at = calloc(p->n ? p->n : 1, sizeof(*p->at));
	if (!p->at) {
		sf_errtext(err, err_len, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	limit_raise();
	for (size_t i = 0; i < p->n; i++)
		p->at[i].fd = -1;
	for (size_t i = 0; i < p->n; i++) {
		int r = sf_netns_open(sf_lab_namespace(lab, place_name(lab, i), ns));

		if (r >= 0) {
			p->at[i].fd = r;
			r = sf_nl_open_in(p->at[i].fd, &p->at[i].nl);
		}
		if (r < 0) {
			places_close(p);
			sf_errtext(err, err_len, r, "namespace %s: %s", ns, strerror(-r));
			return r;
		}
	}
	return 0;
}

/* ---- a namespace ------------------------------------------------------------------------ */

struct sysctl {
	const char *key;
	const char *value;
};

/* Before any link is made, so that the links take them over. */
static const struct sysctl node_sysctls[] = {
	{ "net/ipv6/conf/all/accept_dad", "0" },
	{ "net/ipv6/conf/default/accept_dad", "0" },
	{ "net/ipv6/conf/default/dad_transmits", "0" },
	{ "net/ipv6/conf/default/accept_ra", "0" },
	{ "net/ipv6/conf/default/router_solicitations", "0" },
	{ "net/ipv6/conf/default/addr_gen_mode", "1" }, /* link-local addresses are ours */
	{ NULL, NULL },
};
static const struct sysctl router_sysctls[] = { { "net/ipv6/conf/all/forwarding", "1" },
						{ NULL, NULL } };
static const struct sysctl emulator_sysctls[] = { { "net/ipv6/conf/default/disable_ipv6", "1" },
						  { NULL, NULL } };

struct sysctl_job {
	const struct sysctl *list;
	const char *failed;
};

static int sysctls_set(void *ctx)
{
	struct sysctl_job *job = ctx;

	for (const struct sysctl *s = job->list; s->key; s++) {
		int r = sf_sysctl_set(s->key, s->value, NULL, 0);

		if (r) {
			job->failed = s->key;
			return r;
		}
	}
	return 0;
}

static int place_sysctls(const struct places *p, size_t i, const struct sysctl *list)
{
	struct sysctl_job job = { .list = list };
	int r = sf_netns_run(p->at[i].fd, sysctls_set, &job);
	char ns[NAME_MAX];

	if (!r)
		return 0;
	return sf_errtext(p->err, p->err_len, r, "%s: sysctl %s: %s",
			  sf_lab_namespace(p->lab, place_name(p->lab, i), ns),
			  job.failed ? job.failed : "(namespace)", strerror(-r));
}

/* The address is valid at once (no DAD), not when a work queue gets to it: routes name it as
 * source. */
static int node_prepare(const struct places *p, unsigned int i)
{
	struct sf_nl_addr addr = { .addr = sf_plan_address(i), .len = 128, .flags = IFA_F_NODAD };
	struct sf_nl_link lo;
	int r = place_sysctls(p, i, node_sysctls);

	if (!r && p->lab->topology.nodes[i].kind == SF_NODE_ROUTER)
		r = place_sysctls(p, i, router_sysctls);
	if (r)
		return r;
	r = sf_link_get(p->at[i].nl, "lo", &lo);
	if (!r)
		r = sf_link_set_up(p->at[i].nl, lo.ifindex, true);
	addr.ifindex = lo.ifindex;
	if (!r)
		r = sf_ifaddr_add(p->at[i].nl, &addr, SF_NL_STRICT);
	return r ? nl_failed(p, i, r, "lo") : 0;
}

static int namespaces_create(const struct sf_lab *lab, char *err, size_t err_len)
{
	size_t n = lab->topology.n_nodes + sf_net_has_emulator(lab);
	char ns[NAME_MAX];

	for (size_t i = 0; i < n; i++) {
		int r = sf_netns_create(sf_lab_namespace(lab, place_name(lab, i), ns));

		if (r)
			return sf_errtext(err, err_len, r, "namespace %s: %s", ns, strerror(-r));
	}
	return 0;
}

/* ---- links ------------------------------------------------------------------------------ */

static int end_address(struct sf_nl *nl, int ifindex, unsigned int node, enum sf_nl_mode mode)
{
	struct sf_nl_addr addr = { .ifindex = ifindex,
				   .addr = sf_plan_link_local(node),
				   .len = 64,
				   .flags = IFA_F_NODAD };

	return sf_ifaddr_add(nl, &addr, mode);
}

/* Hardware address, MTU, link-local address, up. @node: the end's index, or -1 for the emulator's.
 */
static int end_configure(const struct places *p, size_t place, const char *ifname,
			 unsigned int link, int end)
{
	struct sf_nl *nl = p->at[place].nl;
	struct sf_nl_link dev;
	uint8_t mac[6];
	int r = sf_link_get(nl, ifname, &dev);

	if (!r && end >= 0) {
		sf_plan_mac(link, (unsigned int)end, mac);
		r = sf_link_set_mac(nl, dev.ifindex, mac);
	}
	if (!r)
		r = sf_link_set_mtu(nl, dev.ifindex, p->lab->topology.links[link].mtu);
	if (!r)
		r = sf_link_set_up(nl, dev.ifindex, true);
	if (!r && end >= 0)
		r = end_address(nl, dev.ifindex, (unsigned int)place, SF_NL_STRICT);
	return r ? nl_failed(p, place, r, ifname) : 0;
}

static int link_plain(const struct places *p, unsigned int link)
{
	const struct sf_topology *t = &p->lab->topology;
	const struct sf_lab_link *l = &t->links[link];
	int r = sf_link_add_veth(p->at[l->node[0]].nl, sf_plan_ifname(t, link, 0),
				 sf_plan_ifname(t, link, 1), p->at[l->node[1]].fd);

	if (r)
		return nl_failed(p, l->node[0], r, sf_plan_ifname(t, link, 0));
	for (unsigned int end = 0; end < 2 && !r; end++)
		r = end_configure(p, l->node[end], sf_plan_ifname(t, link, end), link, (int)end);
	for (unsigned int end = 0; end < 2 && !r && l->emulation.rate; end++)
		r = sf_net_rate(p->lab, link, end, &l->emulation, p->err, p->err_len);
	return r;
}

static int link_emulated(const struct places *p, unsigned int link)
{
	const struct sf_topology *t = &p->lab->topology;
	const struct sf_lab_link *l = &t->links[link];
	size_t emulator = p->n - 1;
	char inner[16];
	int r = 0;

	for (unsigned int end = 0; end < 2 && !r; end++) {
		sf_net_emulator_ifname(link, end, inner);
		r = sf_link_add_veth(p->at[emulator].nl, inner, sf_plan_ifname(t, link, end),
				     p->at[l->node[end]].fd);
		if (r)
			return nl_failed(p, emulator, r, inner);
		r = end_configure(p, emulator, inner, link, -1);
		if (!r)
			r = end_configure(p, l->node[end], sf_plan_ifname(t, link, end), link,
					  (int)end);
	}
	return r;
}

/* ---- routes ----------------------------------------------------------------------------- */

static int link_index(const struct places *p, unsigned int node, unsigned int link, int *ifindex)
{
	const struct sf_topology *t = &p->lab->topology;
	struct sf_nl_link dev;
	const char *name = sf_plan_ifname(t, link, t->links[link].node[1] == node);
	int r = sf_link_get(p->at[node].nl, name, &dev);

	if (r)
		return nl_failed(p, node, r, name);
	*ifindex = dev.ifindex;
	return 0;
}

static int route_put(const struct places *p, unsigned int node, unsigned int link,
		     struct sf_ip6_prefix dst, uint32_t metric)
{
	const unsigned int *ends = p->lab->topology.links[link].node;
	struct sf_nl_route route = {
		.dst = dst,
		.via = sf_plan_link_local(ends[0] == node ? ends[1] : ends[0]),
		.src = sf_plan_address(node),
		.metric = metric,
		.protocol = 4, /* RTPROT_STATIC: not to be taken for the daemons' own */
	};
	char text[SF_IP6_PREFIX_LEN];
	int r = link_index(p, node, link, &route.oif);

	if (r)
		return r;
	r = sf_route_replace(p->at[node].nl, &route);
	return r ? nl_failed(p, node, r, sf_ip6_prefix_print(&dst, text)) : 0;
}

/* A host sends everything to its router; with several, the first link that is up wins. */
static int host_routes(const struct places *p, unsigned int node)
{
	const struct sf_topology *t = &p->lab->topology;
	uint32_t metric = 1024;

	for (unsigned int l = 0; l < t->n_links; l++) {
		int r;

		if (t->links[l].node[0] != node && t->links[l].node[1] != node)
			continue;
		metric++;
		if (p->lab->down[l]) {
			struct sf_nl_route gone = { .dst = sf_plan_prefix(),
						    .metric = metric,
						    .protocol = 4 };

			r = sf_route_del(p->at[node].nl, &gone, SF_NL_ENSURE);
		} else {
			r = route_put(p, node, l, sf_plan_prefix(), metric);
		}
		if (r)
			return r;
	}
	return 0;
}

static int router_routes(const struct places *p, unsigned int node)
{
	const struct sf_topology *t = &p->lab->topology;
	int *ways = calloc(t->n_nodes, sizeof(*ways)), r;

	if (!ways)
		return sf_errtext(p->err, p->err_len, -ENOMEM, "out of memory");
	r = sf_plan_ways(t, node, p->lab->down, ways);
	for (unsigned int to = 0; to < t->n_nodes && !r; to++) {
		struct in6_addr addr = sf_plan_address(to);
		struct sf_nl_route gone = { .dst = sf_ip6_prefix_make(&addr, 128), .protocol = 4 };

		if (to == node)
			continue;
		if (ways[to] >= 0)
			r = route_put(p, node, (unsigned int)ways[to], gone.dst, 1024);
		else
			r = sf_route_del(p->at[node].nl, &gone, SF_NL_ENSURE);
	}
	free(ways);
	return r;
}

static int routes_install(const struct places *p)
{
	const struct sf_topology *t = &p->lab->topology;
	int r = 0;

	for (unsigned int i = 0; i < t->n_nodes && !r; i++)
		r = t->nodes[i].kind == SF_NODE_HOST ? host_routes(p, i) : router_routes(p, i);
	return r;
}

/* ---- carrier ---------------------------------------------------------------------------- */

/*
 * Pulls the plug. Of an emulated link the emulator's ends go down, so that both nodes lose carrier
 * and nothing else. Of a plain one the router's end does (of two routers, the second's); its
 * address and all routes are given back with it.
 */
static int carrier_set(const struct places *p, unsigned int link, bool up)
{
	const struct sf_topology *t = &p->lab->topology;
	const struct sf_lab_link *l = &t->links[link];
	unsigned int end = t->nodes[l->node[1]].kind == SF_NODE_ROUTER;
	struct sf_nl_link dev;
	char inner[16];
	int r = 0;

	for (unsigned int i = 0; i < 2 && !r; i++) {
		size_t place = l->emulator ? p->n - 1 : l->node[i];
		const char *name = l->emulator ? sf_net_emulator_ifname(link, i, inner)
					       : sf_plan_ifname(t, link, i);

		if (!l->emulator && i != end)
			continue;
		r = sf_link_get(p->at[place].nl, name, &dev);
		if (!r)
			r = sf_link_set_up(p->at[place].nl, dev.ifindex, up);
		if (!r && up && !l->emulator)
			r = end_address(p->at[place].nl, dev.ifindex, l->node[i], SF_NL_ENSURE);
		if (r)
			nl_failed(p, place, r, name);
	}
	return r;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* @at: when the last of them was; unchanged where there is none. */
static int carriers_set(const struct places *p, const bool *was, bool up, uint64_t *at)
{
	int r = 0;

	for (unsigned int l = 0; l < p->lab->topology.n_links && !r; l++)
		if (was[l] == up && p->lab->down[l] != up) {
			r = carrier_set(p, l, up);
			*at = now_ns();
		}
	return r;
}

static void gap_wait(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000) };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

int sf_net_carriers(const struct sf_lab *lab, const bool *was, uint64_t gap_ns,
		    struct sf_lab_moved *moved, char *err, size_t err_len)
{
	struct sf_lab_moved at = { 0 };
	struct places p;
	int r = places_open(&p, lab, err, err_len);

	if (r)
		return r;
	r = carriers_set(&p, was, false, &at.broken_ns);
	if (!r && gap_ns)
		gap_wait(gap_ns);
	if (!r)
		r = carriers_set(&p, was, true, &at.made_ns);
	if (!r)
		r = routes_install(&p);
	places_close(&p);
	if (!r && moved)
		*moved = at;
	return r;
}

/* ---- the whole -------------------------------------------------------------------------- */

int sf_net_build(const struct sf_lab *lab, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	struct places p;
	int r = namespaces_create(lab, err, err_len);

	if (!r)
		r = places_open(&p, lab, err, err_len);
	if (r)
		return r;
	for (unsigned int i = 0; i < t->n_nodes && !r; i++)
		r = node_prepare(&p, i);
	if (!r && sf_net_has_emulator(lab))
		r = place_sysctls(&p, p.n - 1, emulator_sysctls);
	for (unsigned int i = 0; i < t->n_links && !r; i++) {
		r = t->links[i].emulator ? link_emulated(&p, i) : link_plain(&p, i);
		if (!r && lab->down[i])
			r = carrier_set(&p, i, false);
	}
	if (!r)
		r = routes_install(&p);
	places_close(&p);
	return r;
}

/* Of the host that a namespace was: what its agent leaves for the programs of `scaffold run` when
 * it is killed. Another host's agent would take it away at its start, but there may be none. */
static int groups_remove(void *ctx)
{
	char group[64];
	uint64_t cookie;

	(void)ctx;
	if (sf_netns_cookie(&cookie))
		return 0;
	sf_cgroup_host(cookie, group, sizeof(group));
	(void)sf_cgroup_remove_tree(group);
	(void)sf_cgroup_remove(SF_CGROUP_TOP); /* not while there are others' */
	return 0;
}

int sf_net_delete(const char *ns)
{
	int fd = sf_netns_open(ns);

	if (fd >= 0) {
		(void)sf_netns_run(fd, groups_remove, NULL);
		close(fd);
	}
	return sf_netns_delete(ns);
}

int sf_net_remove(const struct sf_lab *lab, char *err, size_t err_len)
{
	char ns[NAME_MAX];
	int first = 0;

	for (size_t i = 0; i <= lab->topology.n_nodes; i++) {
		int r = sf_net_delete(sf_lab_namespace(lab, place_name(lab, i), ns));

		if (r && r != -ENOENT && !first)
			first = sf_errtext(err, err_len, r, "namespace %s: %s", ns, strerror(-r));
	}
	return first;
}

/* ---- token bucket ----------------------------------------------------------------------- */

struct tc_job {
	char *const *argv;
};

static int tc_run(void *ctx)
{
	struct tc_job *job = ctx;
	int status;
	pid_t pid;
	int r = posix_spawnp(&pid, "tc", NULL, NULL, job->argv, environ);

	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int sf_net_rate(const struct sf_lab *lab, unsigned int link, unsigned int end,
		const struct sf_emulation *e, char *err, size_t err_len)
{
	/* A bucket of 4 ms, not below two segments of 16 KiB: tbf cuts larger packets up. */
	uint64_t bucket = e->rate / 8 / 250 < 32768 ? 32768 : e->rate / 8 / 250;
	const char *ifname = sf_plan_ifname(&lab->topology, link, end);
	char rate[32], burst[32], latency[32], ns[NAME_MAX];
	char *set[] = { "tc",	"qdisc", "replace", "dev", (char *)ifname, "root",  "tbf",
			"rate", rate,	 "burst",   burst, "latency",	   latency, NULL };
	char *clear[] = { "tc", "qdisc", "delete", "dev", (char *)ifname, "root", NULL };
	struct tc_job job = { .argv = e->rate ? set : clear };
	int fd, r;

	snprintf(rate, sizeof(rate), "%" PRIu64 "bit", e->rate);
	snprintf(burst, sizeof(burst), "%" PRIu64 "b", bucket);
	snprintf(latency, sizeof(latency), "%uus", e->queue_us ? e->queue_us : SF_QUEUE_US);
	sf_lab_namespace(lab, lab->topology.nodes[lab->topology.links[link].node[end]].name, ns);
	fd = sf_netns_open(ns);
	if (fd < 0)
		return sf_errtext(err, err_len, fd, "namespace %s: %s", ns, strerror(-fd));
	r = sf_netns_run(fd, tc_run, &job);
	close(fd);
	return r ? sf_errtext(err, err_len, r, "%s: rate of %s: tc failed: %s", ns, ifname,
			      strerror(-r))
		 : 0;
}
