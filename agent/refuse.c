// SPDX-License-Identifier: Apache-2.0
/* refuse.c - FAILs of the agent, and resets of local sockets. */
#include "agent/refuse.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "agent/host.h"
#include "agent/rsyn.h"
#include "bpf/host.skel.h"

#define HOP_LIMIT 64

/* The head of a packet of @f as its peer sends it. Return: bytes. */
static size_t quote(uint8_t *out, const struct sf_flow *f)
{
	bool tcp = f->tuple.proto == IPPROTO_TCP;
	size_t l4 = tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	struct ip6_hdr ip = { .ip6_flow = htonl(0x60000000),
			      .ip6_plen = htons((uint16_t)l4),
			      .ip6_nxt = f->tuple.proto,
			      .ip6_hlim = HOP_LIMIT };
	struct tcphdr t = {
		.source = f->tuple.pport, .dest = f->tuple.lport, .doff = sizeof(t) / 4, .ack = 1
	};
	struct udphdr u = { .source = f->tuple.pport,
			    .dest = f->tuple.lport,
			    .len = htons(sizeof(u)) };

	memcpy(&ip.ip6_src, &f->peer, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, &f->own, sizeof(ip.ip6_dst));
	memcpy(out, &ip, sizeof(ip));
	memcpy(out + sizeof(ip), tcp ? (const void *)&t : &u, l4);
	return sizeof(ip) + l4;
}

int refuse_encode(void *out, size_t room, const struct sf_flow *f, const struct sf_sid *self,
		  uint8_t reason)
{
	uint8_t quoted[sizeof(struct ip6_hdr) + sizeof(struct tcphdr)];
	size_t n = quote(quoted, f);
	struct sf_tlv_reason tlv = { .type = SF_TLV_REASON,
				     .len = sizeof(tlv) - 2,
				     .reason = reason,
				     .kind = SF_KIND_NONE,
				     .quoted = sf_be16((uint16_t)n) };

	return sf_alone_encode(out, room, &f->own, &f->peer, HOP_LIMIT, SF_KIND_FAIL, 0,
			       &f->peer_sid, self, &tlv, sizeof(tlv), quoted, n);
}

int refuse_peer(struct host *h, const struct sf_flow *f, uint8_t reason)
{
	uint8_t packet[REFUSE_FAIL_MAX];
	int len = refuse_encode(packet, sizeof(packet), f, &h->identity, reason);

	if (len < 0)
		return len;
	return refuse_send(h, packet, (size_t)len, &f->own);
}

int refuse_send(struct host *h, const void *packet, size_t len, const struct sf_addr *src)
{
	const struct attachment *a = attachment_of_place(h, src);

	return rsyn_send_packet(h->shed.fd, packet, len, a ? a->link.ifindex : 0);
}

int refuse_local(struct host *h, const struct sf_flow *f, uint8_t reason)
{
	uint64_t id = sf_locator_sock(&f->own);
	const struct attachment *a = attachment_of_link(h, (int)h->datapath.config.ifindex);
	struct __sk_buff skb = { .ifindex = h->datapath.config.ifindex,
				 .cb = { [SF_REFUSAL_ID_HIGH] = (uint32_t)(id >> 32),
					 [SF_REFUSAL_ID_LOW] = (uint32_t)id,
					 [SF_REFUSAL_REASON] = reason } };
	uint8_t frame[SF_REFUSAL_LEN] = { 0 };
	struct ethhdr eth = { .h_proto = htons(ETH_P_IPV6) };
	struct sf_bpf_run run = {
		.data = frame, .data_len = sizeof(frame), .ctx = &skb, .ctx_len = sizeof(skb)
	};
	struct sf_flow gone;
	int ret;

	if (!h->datapath.skel || !skb.ifindex)
		return -ENETDOWN;
	if (a && a->link.has_mac)
		memcpy(eth.h_source, a->link.mac, sizeof(eth.h_source));
	memcpy(frame, &eth, sizeof(eth));
	ret = sf_bpf_prog_run(bpf_program__fd(h->datapath.skel->progs.sf_flow_refuse), &run);
	if (ret)
		return ret;
	if (f->tuple.proto != IPPROTO_TCP && flows_take(datapath_map(h, "flows"), id, &gone))
		flows_take(datapath_map(h, "half_udp"), id, &gone);
	return run.retval == SF_REFUSAL_NONE ? -ENOENT : run.retval == SF_REFUSAL_LOST ? -EIO : 0;
}
