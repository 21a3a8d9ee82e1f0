// SPDX-License-Identifier: Apache-2.0
/*
 * segment.h - cut a large TCP packet of segmentation offload into what would be on a real line.
 *
 * A veth carries packets of up to 64 KiB. On a link that loses 1 % of its packets, losing all of
 * such a packet at once would be another experiment: where each packet must have a fate of its own
 * the emulator does what a network card does (TSO).
 */
#ifndef SF_LAB_SEGMENT_H
#define SF_LAB_SEGMENT_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>

/** struct sf_segments - a large packet and how it is to be cut. */
struct sf_segments {
	const uint8_t *frame;
	size_t len;
	struct virtio_net_hdr vh; /* of the whole */
	size_t l3;		  /* offset of the IP header */
	size_t l4;		  /* of the TCP header */
	size_t head;		  /* bytes of all headers */
	size_t mss;
	size_t count; /* of segments */
};

/**
 * sf_segments_begin - look at a packet.
 * @frame: from its Ethernet header on
 * @vh: what the kernel said about it
 * Returns 0; -EOPNOTSUPP: not a large TCP packet (whole packets, other protocols: pass it as it
 * is); -EBADMSG: the headers contradict each other (likewise).
 */
int sf_segments_begin(struct sf_segments *s, const uint8_t *frame, size_t len,
		      const struct virtio_net_hdr *vh);

/**
 * sf_segments_size - length of segment @i, headers included.
 */
size_t sf_segments_size(const struct sf_segments *s, size_t i);

/**
 * sf_segments_make - write segment @i.
 * @out: sf_segments_size() bytes
 * @vh: what to tell the kernel about it: checksum still to be completed
 */
void sf_segments_make(const struct sf_segments *s, size_t i, uint8_t *out,
		      struct virtio_net_hdr *vh);

#endif
