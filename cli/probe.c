// SPDX-License-Identifier: Apache-2.0
/* probe.c - see probe.h. Packet formats: docs/protocol.md section 2; ICMPv6 errors: RFC 4443. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/probe.h"
#include "core/wire.h"

#define PACKET_MAX 2048

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Only packets to our own /80 that may be answers: the uplink may be carrying a download. */
static int filter_attach(int fd, const struct sf_addr *locator)
{
	const uint32_t *w = (const uint32_t *)locator->w;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(w[0]), 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 28),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(w[1]), 0, 7),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 32),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(w[2]) >> 16, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SF_NEXTHDR_DSTOPTS, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SF_NEXTHDR_ICMPV6, 0, 2),
		BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

int sf_prober_open(struct sf_prober *p, const char *uplink)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int one = 1;
	int err;

	p->out = p->in = -1;
	at.sll_ifindex = (int)if_nametoindex(uplink);
	if (!at.sll_ifindex)
		return -ENODEV;
	p->out = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (p->out < 0)
		return -errno;
	p->in = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->in < 0 || setsockopt(p->out, IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof(one)))
		goto fail;
	err = filter_attach(p->in, &p->locator);
	if (err)
		goto close;
	if (!bind(p->in, (struct sockaddr *)&at, sizeof(at)))
		return 0;
fail:
	err = -errno;
close:
	sf_prober_close(p);
	return err;
}

void sf_prober_close(struct sf_prober *p)
{
	if (p->out > 0)
		close(p->out);
	if (p->in > 0)
		close(p->in);
	p->out = p->in = -1;
}

/* Whether @data holds the probe @ident that left from @source; its destination may be resolved. */
static bool is_our_probe(const void *data, size_t len, const struct sf_addr *source, uint16_t ident,
			 struct sf_addr *dst)
{
	const uint8_t *b = data;
	struct sf_tlv_target target;
	struct sf_hdr hdr;

	/* Not sf_packet_decode(): errors may quote less than the whole, so no checksum here. */
	if (len < SF_IPV6_LEN + SF_PROBE_LEN || b[0] >> 4 != 6 || b[6] != SF_NEXTHDR_DSTOPTS ||
	    memcmp(b + 8, source, sizeof(*source)) != 0)
		return false;
	memcpy(&hdr, b + SF_IPV6_LEN, sizeof(hdr));
	memcpy(&target, b + SF_IPV6_LEN + SF_HDR_LEN, sizeof(target));
	if (!sf_hdr_is_ours(&hdr) || sf_hdr_kind(&hdr) != SF_KIND_PROBE ||
	    target.type != SF_TLV_TARGET || sf_be16(target.ident) != ident)
		return false;
	memcpy(dst, b + 24, sizeof(*dst));
	return true;
}

static bool match_icmp(const uint8_t *b, size_t len, const struct sf_addr *source, uint16_t ident,
		       struct sf_probe_result *r)
{
	if (len < SF_IPV6_LEN + 8 || b[SF_IPV6_LEN] >= ICMP6_ECHO_REQUEST ||
	    !is_our_probe(b + SF_IPV6_LEN + 8, len - SF_IPV6_LEN - 8, source, ident, &r->quoted))
		return false;
	r->outcome = SF_PROBE_ICMP;
	r->icmp_type = b[SF_IPV6_LEN];
	r->icmp_code = b[SF_IPV6_LEN + 1];
	return true;
}

static bool match_header(const uint8_t *b, size_t len, const struct sf_addr *source, uint16_t ident,
			 struct sf_probe_result *r)
{
	struct sf_packet packet;
	const uint8_t *value;
	uint8_t reason;
	int n;

	if (sf_packet_decode(b, len, &packet, &reason))
		return false;
	if (sf_hdr_kind(&packet.hdr) == SF_KIND_PROBE_ACK) {
		n = sf_tlv_find(packet.tlvs, packet.tlvs_len, SF_TLV_TARGET, &value);
		if (n != 6 || (value[4] << 8 | value[5]) != ident)
			return false;
		r->outcome = SF_PROBE_ANSWER;
		r->who = packet.hdr.src;
		return true;
	}
	if (sf_hdr_kind(&packet.hdr) != SF_KIND_FAIL ||
	    !is_our_probe(packet.rest, packet.rest_len, source, ident, &r->quoted))
		return false;
	n = sf_tlv_find(packet.tlvs, packet.tlvs_len, SF_TLV_REASON, &value);
	if (n < 1)
		return false;
	r->outcome = SF_PROBE_FAIL;
	r->reason = value[0];
	return true;
}

bool sf_probe_match(const void *packet, size_t len, const struct sf_addr *source, uint16_t ident,
		    struct sf_probe_result *result)
{
	struct sf_probe_result r = { 0 };
	const uint8_t *b = packet;
	bool ours;

	if (len < SF_IPV6_LEN || memcmp(b + 24, source, sizeof(*source)) != 0)
		return false;
	ours = b[6] == SF_NEXTHDR_ICMPV6 ? match_icmp(b, len, source, ident, &r)
					 : match_header(b, len, source, ident, &r);
	if (!ours)
		return false;
	memcpy(&r.from, b + 8, sizeof(r.from));
	r.hop_limit = b[7];
	*result = r;
	return true;
}

static int probe_send(const struct sf_prober *p, const struct sf_probe_target *t,
		      const struct sf_addr *source, uint16_t ident)
{
	struct sf_tlv_target tlv = { .type = SF_TLV_TARGET,
				     .len = sizeof(tlv) - 2,
				     .proto = t->proto,
				     .port = sf_be16(t->port),
				     .ident = sf_be16(ident) };
	struct sf_addr dst = sf_service_addr(&p->net, &t->sid);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	uint8_t packet[SF_IPV6_LEN + SF_HDR_MAX];
	int len = sf_alone_encode(packet, sizeof(packet), source, &dst, t->hop_limit, SF_KIND_PROBE,
				  0, &t->sid, &p->identity, &tlv, sizeof(tlv), NULL, 0);

	if (len < 0)
		return len;
	memcpy(&to.sin6_addr, &dst, sizeof(dst));
	if (sendto(p->out, packet, (size_t)len, 0, (struct sockaddr *)&to, sizeof(to)) != len)
		return -errno;
	return 0;
}

int sf_probe(struct sf_prober *p, const struct sf_probe_target *target, int timeout_ms,
	     struct sf_probe_result *result)
{
	struct sf_addr source = p->locator;
	uint64_t start, deadline;
	uint16_t random[2];
	int err;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	sf_locator_set_sock(&source, p->place ? p->place : random[0] | 1); /* never AS:host::0 */
	start = now_ns();
	deadline = start + (uint64_t)timeout_ms * 1000000;
	err = probe_send(p, target, &source, random[1]);
	if (err)
		return err;
	for (uint64_t now = start; now < deadline; now = now_ns()) {
		struct pollfd poller = { .fd = p->in, .events = POLLIN };
		uint8_t packet[PACKET_MAX];
		ssize_t n;

		if (poll(&poller, 1, (int)((deadline - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		n = recv(p->in, packet, sizeof(packet), MSG_DONTWAIT);
		if (n > 0 && sf_probe_match(packet, (size_t)n, &source, random[1], result)) {
			result->rtt_ns = now_ns() - start;
			return 0;
		}
	}
	*result = (struct sf_probe_result){ .outcome = SF_PROBE_NOTHING };
	return 0;
}
