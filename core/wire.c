// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * wire.c - whole SCAFFOLD packets as tools and tests read and write them.
 *
 * The datapaths have their own parsers for speed; these say what a packet must look like.
 */
#include <errno.h>

#include "core/wire.h"

static int bad(__u8 *reason, __u8 why)
{
	*reason = why;
	return -EBADMSG;
}

int sf_packet_decode(const void *data, size_t len, struct sf_packet *out, __u8 *reason)
{
	const __u8 *p = data, *h;
	struct sf_packet k = { 0 };
	size_t room, have;
	__u8 why;

	if (!len || p[0] >> 4 != 6)
		return -ENOENT;
	if (len < SF_IPV6_LEN)
		return bad(reason, SF_TRUNCATED);
	if (p[6] != SF_NEXTHDR_DSTOPTS)
		return -ENOENT;
	/* What is said to be there must be there; what follows it is a link's padding. */
	room = (size_t)p[4] << 8 | p[5];
	h = p + SF_IPV6_LEN;
	have = room < len - SF_IPV6_LEN ? room : len - SF_IPV6_LEN;
	if (have < 4)
		return bad(reason, SF_TRUNCATED);
	if (h[2] != SF_OPTION)
		return -ENOENT;
	if (have < SF_HDR_LEN)
		return bad(reason, SF_TRUNCATED);

	k.hop_limit = p[7];
	memcpy(&k.src, p + 8, 16);
	memcpy(&k.dst, p + 24, 16);
	memcpy(&k.hdr, h, SF_HDR_LEN);
	why = sf_hdr_check(&k.hdr, (__u32)room);
	if (why)
		return bad(reason, why);
	if (have < room && (sf_hdr_kind(&k.hdr) != SF_KIND_RSYN || have < sf_hdr_bytes(&k.hdr)))
		return bad(reason, SF_TRUNCATED);
	if (sf_kind_stands_alone(sf_hdr_kind(&k.hdr)) &&
	    sf_csum_fold(sf_alone_pseudo(&k.src, &k.dst, (__u32)room) + sf_csum_bytes(h, have)) !=
		    0xffff)
		return bad(reason, SF_BAD_CHECKSUM);

	k.tlvs = h + SF_HDR_LEN;
	k.tlvs_len = sf_hdr_bytes(&k.hdr) - SF_HDR_LEN;
	k.rest = k.tlvs + k.tlvs_len;
	k.rest_len = have - sf_hdr_bytes(&k.hdr);
	k.plen = (__u32)room;
	*out = k;
	*reason = SF_NONE;
	return 0;
}

int sf_tlv_find(const __u8 *tlvs, size_t len, __u8 type, const __u8 **value)
{
	size_t at = 0;

	while (at < len) {
		if (tlvs[at] == SF_TLV_PAD) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < tlvs[at + 1])
			return -EBADMSG;
		if (tlvs[at] == type) {
			*value = &tlvs[at + 2];
			return tlvs[at + 1];
		}
		at += 2 + (size_t)tlvs[at + 1];
	}
	return -ENOENT;
}

int sf_alone_encode(void *out, size_t room, const struct sf_addr *src, const struct sf_addr *dst,
		    __u8 hop_limit, __u8 kind, __u8 flags, const struct sf_sid *dst_sid,
		    const struct sf_sid *src_sid, const void *tlvs, size_t tlvs_len,
		    const void *contents, size_t contents_len)
{
	struct sf_hdr hdr;
	__u8 *p = out, *h = p + SF_IPV6_LEN;
	size_t hdr_len, payload;

	if (!sf_kind_stands_alone(kind))
		return -EINVAL;
	if (tlvs_len > SF_HDR_MAX - SF_HDR_LEN)
		return -EMSGSIZE;
	hdr_len = SF_HDR_LEN + (tlvs_len + 7) / 8 * 8;
	if (contents_len > 0xffff - hdr_len)
		return -EMSGSIZE;
	payload = hdr_len + contents_len;
	if (room < SF_IPV6_LEN + payload)
		return -EMSGSIZE;

	memset(p, 0, SF_IPV6_LEN + hdr_len);
	p[0] = 6 << 4;
	p[4] = (__u8)(payload >> 8);
	p[5] = (__u8)payload;
	p[6] = SF_NEXTHDR_DSTOPTS;
	p[7] = hop_limit;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	sf_hdr_init(&hdr, SF_NEXTHDR_NONE, (__u32)hdr_len, kind, flags, 0, dst_sid, src_sid);
	memcpy(h, &hdr, SF_HDR_LEN);
	if (tlvs_len)
		memcpy(h + SF_HDR_LEN, tlvs, tlvs_len);
	if (contents_len)
		memcpy(h + hdr_len, contents, contents_len);
	hdr.aux = sf_alone_csum(sf_alone_pseudo(src, dst, (__u32)payload) +
				sf_csum_bytes(h, payload));
	memcpy(h, &hdr, SF_HDR_LEN);
	return (int)(SF_IPV6_LEN + payload);
}
