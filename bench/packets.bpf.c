// SPDX-License-Identifier: GPL-2.0-only
/*
 * packets.bpf.c - writes the packets of the packet benchmarks, and swallows them.
 *
 *   bench_run   tc, under BPF_PROG_TEST_RUN with many repetitions: rewrites the packet into the
 *               next one, then tail-calls the program under test. With nothing to call it measures
 *               itself, so the difference is the program's: a test run alone repeats one packet,
 *               which a program that rewrites it has changed, and which stays in the caches.
 *   bench_send  XDP, under BPF_PROG_TEST_RUN with live frames: sends each as the next packet
 *   bench_sink  tc ingress at the far end: counts and drops
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/packets.h"

struct frame {
	__u8 eth[ETH_HLEN];
	__be32 head;
	__be16 plen;
	__u8 nexthdr;
	__u8 hops;
	struct sf_addr src;
	struct sf_addr dst;
} SF_PACKED;

struct ports {
	__be16 sport, dport;
} SF_PACKED;

const volatile __u32 traffic; /* enum bench_traffic */
const volatile __u64 count;   /* how many services or flows */
const volatile __u64 step;    /* see bench_next() */
const volatile __u32 as_number;
const volatile __u8 to_mac[ETH_ALEN]; /* of the router, for bench_send */

__u64 number;	/* of the last packet */
__u64 received; /* at the sink */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/** write() - make the frame the one of number @i; it has the shape of its kind already. */
static __always_inline bool write(void *data, void *end, __u64 i)
{
	struct sf_net net = sf_net_default(as_number);
	struct frame *f = data;
	struct sf_sid client, sid;
	struct ports *p;
	struct sf_hdr *h;

	if ((void *)(f + 1) > end)
		return false;
	f->hops = 64;
	switch (traffic) {
	case BENCH_UNRESOLVED:
	case BENCH_RESOLVED:
		h = (void *)(f + 1);
		if ((void *)(h + 1) > end)
			return false;
		sid = bench_service(i);
		f->src = bench_own(&net, i);
		if (traffic == BENCH_UNRESOLVED)
			f->dst = sf_service_addr(&net, &sid);
		else
			f->dst = sf_locator(&net, BENCH_SERVER, i & 0xffff);
		h->dst = sid;
		return true;
	case BENCH_BOUND:
		f->src = bench_own(&net, i);
		f->dst = bench_peer(&net, i);
		return true;
	}
	p = (void *)(f + 1);
	if ((void *)(p + 1) > end)
		return false;
	if (traffic == BENCH_INBOUND) {
		f->src = bench_peer(&net, i);
		f->dst = bench_own(&net, i);
		p->dport = bench_lport(i);
		return true;
	}
	client = sf_sid_make(SF_SSID_HOSTS, BENCH_CLIENT_SID);
	sid = bench_service(i);
	f->src = sf_service_addr(&net, &client);
	f->dst = sf_service_addr(&net, &sid);
	p->sport = bench_lport(i);
	return true;
}

SEC("tc")
int bench_run(struct __sk_buff *skb)
{
	number = bench_next(number, count, step);
	if (!write((void *)(long)skb->data, (void *)(long)skb->data_end, number))
		return TC_ACT_SHOT;
	bpf_tail_call_static(skb, &target, 0);
	return TC_ACT_UNSPEC;
}

/* What bench_run calls in place of the program under test, so that the tail call cancels out. */
SEC("tc")
int bench_nothing(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("xdp")
int bench_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct frame *f = data;

	number = bench_next(number, count, step);
	if (!write(data, (void *)(long)ctx->data_end, number))
		return XDP_DROP;
	/* The frame's memory comes back as the router has sent it on. */
	for (int i = 0; i < ETH_ALEN; i++)
		f->eth[i] = to_mac[i];
	return XDP_TX;
}

SEC("tc")
int bench_sink(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_UNSPEC;
	received++;
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
