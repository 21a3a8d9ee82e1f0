// SPDX-License-Identifier: Apache-2.0
/* netlink_link.c - links and their addresses over rtnetlink. */
#include "util/netlink.h"

#include <errno.h>
#include <linux/if.h> /* IFF_LOWER_UP; after net/if.h, which it adapts to */
#include <linux/if_link.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>

#include "util/netlink_internal.h"

bool nl_read_link(const struct nlmsghdr *nlh, struct sf_nl_link *out)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *sub;

	/* A bridge reports its ports under AF_BRIDGE, where "deleted" only means "no longer a
	 * port". */
	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*ifi)) || ifi->ifi_family != AF_UNSPEC)
		return false;
	*out = (struct sf_nl_link){ .ifindex = ifi->ifi_index, .flags = ifi->ifi_flags };
	out->carrier = ifi->ifi_flags & IFF_LOWER_UP; /* for kernels that send no IFLA_CARRIER */
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(out->name, mnl_attr_get_str(attr), sizeof(out->name) - 1);
			break;
		case IFLA_ADDRESS:
			out->has_mac = nl_attr_mac(attr, out->mac);
			break;
		case IFLA_MTU:
			out->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_MASTER:
			out->master = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK:
			out->lower = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_CARRIER:
			out->carrier = mnl_attr_get_u8(attr);
			break;
		case IFLA_EVENT:
			out->event = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			mnl_attr_for_each_nested(sub, attr)
			{
				if (mnl_attr_get_type(sub) == IFLA_INFO_KIND)
					strncpy(out->kind, mnl_attr_get_str(sub),
						sizeof(out->kind) - 1);
			}
			break;
		}
	}
	return true;
}

static int copy_link(const struct nlmsghdr *nlh, void *ctx)
{
	return nl_read_link(nlh, ctx) ? 0 : -EBADMSG;
}

/* A name that the kernel cannot have: netlink would answer ERANGE or cut it. */
static bool name_fits(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ;
}

int sf_link_get(struct sf_nl *nl, const char *name, struct sf_nl_link *out)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh;

	if (!name_fits(name))
		return -ENODEV;
	nlh = nl_begin(nl, RTM_GETLINK, 0, sizeof(*ifi), &ifi);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nl_talk(nl, nlh, copy_link, out);
}

int sf_link_get_index(struct sf_nl *nl, int ifindex, struct sf_nl_link *out)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh;

	if (ifindex <= 0)
		return -ENODEV;
	nlh = nl_begin(nl, RTM_GETLINK, 0, sizeof(*ifi), &ifi);
	ifi->ifi_index = ifindex;
	return nl_talk(nl, nlh, copy_link, out);
}

struct link_list {
	sf_nl_link_fn fn;
	void *ctx;
};

static int list_link(const struct nlmsghdr *nlh, void *ctx)
{
	struct link_list *l = ctx;
	struct sf_nl_link link;

	return nl_read_link(nlh, &link) ? l->fn(&link, l->ctx) : 0;
}

int sf_link_list(struct sf_nl *nl, sf_nl_link_fn fn, void *ctx)
{
	struct link_list l = { fn, ctx };
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = nl_begin(nl, RTM_GETLINK, NLM_F_DUMP, sizeof(*ifi), &ifi);

	return nl_talk(nl, nlh, list_link, &l);
}

/* A request that changes link @ifindex; the caller appends what changes. */
static struct nlmsghdr *link_change(struct sf_nl *nl, int ifindex, struct ifinfomsg **ifi)
{
	struct nlmsghdr *nlh = nl_begin(nl, RTM_NEWLINK, NLM_F_ACK, sizeof(**ifi), ifi);

	(*ifi)->ifi_index = ifindex;
	return nlh;
}

int sf_link_set_up(struct sf_nl *nl, int ifindex, bool up)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = link_change(nl, ifindex, &ifi);

	ifi->ifi_flags = up ? IFF_UP : 0;
	ifi->ifi_change = IFF_UP;
	return nl_talk(nl, nlh, NULL, NULL);
}

static int link_set_u32(struct sf_nl *nl, int ifindex, uint16_t attr, uint32_t value)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = link_change(nl, ifindex, &ifi);

	mnl_attr_put_u32(nlh, attr, value);
	return nl_talk(nl, nlh, NULL, NULL);
}

int sf_link_set_mtu(struct sf_nl *nl, int ifindex, uint32_t mtu)
{
	return link_set_u32(nl, ifindex, IFLA_MTU, mtu);
}

int sf_link_set_mac(struct sf_nl *nl, int ifindex, const uint8_t mac[6])
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = link_change(nl, ifindex, &ifi);

	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	return nl_talk(nl, nlh, NULL, NULL);
}

/* A request that makes a link, up to and with its kind; the caller ends @info. */
static struct nlmsghdr *link_new(struct sf_nl *nl, const char *name, const char *kind,
				 struct nlattr **info)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh = nl_begin(nl, RTM_NEWLINK, NL_ADD, sizeof(*ifi), &ifi);

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	*info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	return nlh;
}

int sf_link_add_veth(struct sf_nl *nl, const char *name, const char *peer, int peer_netns_fd)
{
	struct nlattr *info, *data, *end;
	struct nlmsghdr *nlh;

	if (!name_fits(name) || !name_fits(peer))
		return -EINVAL;
	nlh = link_new(nl, name, "veth", &info);
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	end = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, peer);
	if (peer_netns_fd >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
	mnl_attr_nest_end(nlh, end);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return nl_talk(nl, nlh, NULL, NULL);
}

int sf_link_add(struct sf_nl *nl, const char *name, const char *kind, enum sf_nl_mode mode)
{
	struct sf_nl_link link;
	struct nlattr *info;
	struct nlmsghdr *nlh;
	int r;

	if (!name_fits(name))
		return -EINVAL;
	nlh = link_new(nl, name, kind, &info);
	mnl_attr_nest_end(nlh, info);
	r = nl_talk(nl, nlh, NULL, NULL);
	if (r != -EEXIST || mode == SF_NL_STRICT)
		return r;
	r = sf_link_get(nl, name, &link);
	if (r)
		return r;
	return strcmp(link.kind, kind) == 0 ? 0 : -EEXIST;
}

int sf_link_del(struct sf_nl *nl, const char *name, enum sf_nl_mode mode)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *nlh;

	if (!name_fits(name))
		return nl_ensure(-ENODEV, mode, -ENODEV);
	nlh = nl_begin(nl, RTM_DELLINK, NLM_F_ACK, sizeof(*ifi), &ifi);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -ENODEV);
}

/* ---- addresses ---- */

bool nl_read_addr(const struct nlmsghdr *nlh, struct sf_nl_addr *out)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	bool local = false;

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*ifa)) || ifa->ifa_family != AF_INET6)
		return false;
	*out = (struct sf_nl_addr){ .ifindex = (int)ifa->ifa_index,
				    .len = ifa->ifa_prefixlen,
				    .scope = ifa->ifa_scope,
				    .flags = ifa->ifa_flags };
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFA_LOCAL: /* point-to-point: IFA_ADDRESS is then the other end's */
			out->addr = nl_attr_in6(attr);
			local = true;
			break;
		case IFA_ADDRESS:
			if (!local)
				out->addr = nl_attr_in6(attr);
			break;
		case IFA_FLAGS: /* all 32 bits */
			out->flags = mnl_attr_get_u32(attr);
			break;
		}
	}
	return true;
}

static struct nlmsghdr *addr_request(struct sf_nl *nl, uint16_t type, uint16_t flags,
				     const struct sf_nl_addr *addr)
{
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = nl_begin(nl, type, flags, sizeof(*ifa), &ifa);

	ifa->ifa_family = AF_INET6;
	ifa->ifa_prefixlen = addr->len;
	ifa->ifa_index = (uint32_t)addr->ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(addr->addr), &addr->addr);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(addr->addr), &addr->addr);
	if (addr->flags)
		mnl_attr_put_u32(nlh, IFA_FLAGS, addr->flags);
	return nlh;
}

int sf_ifaddr_add(struct sf_nl *nl, const struct sf_nl_addr *addr, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = addr_request(nl, RTM_NEWADDR, NL_ADD, addr);

	return nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -EEXIST);
}

int sf_ifaddr_del(struct sf_nl *nl, const struct sf_nl_addr *addr, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = addr_request(nl, RTM_DELADDR, NLM_F_ACK, addr);
	int r = nl_talk(nl, nlh, NULL, NULL);

	return nl_ensure(nl_ensure(r, mode, -EADDRNOTAVAIL), mode, -ENODEV);
}

struct addr_list {
	int ifindex;
	sf_nl_addr_fn fn;
	void *ctx;
};

static int list_addr(const struct nlmsghdr *nlh, void *ctx)
{
	struct addr_list *l = ctx;
	struct sf_nl_addr addr;

	if (!nl_read_addr(nlh, &addr) || (l->ifindex && addr.ifindex != l->ifindex))
		return 0;
	return l->fn(&addr, l->ctx);
}

int sf_ifaddr_list(struct sf_nl *nl, int ifindex, sf_nl_addr_fn fn, void *ctx)
{
	struct addr_list l = { ifindex, fn, ctx };
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = nl_begin(nl, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa), &ifa);

	ifa->ifa_family = AF_INET6;
	return nl_talk(nl, nlh, list_addr, &l);
}
