// SPDX-License-Identifier: Apache-2.0
/*
 * rsyn.h - packets of renegotiations as the agent reads, makes and sends them (docs/protocol.md,
 * "Moving").
 *
 * The datapath hands over what concerns renegotiations (struct sf_control_event): the messages
 * themselves, and FAIL and REDIRECT that quote one. Out they go by a raw socket, each by the link
 * of its source.
 */
#ifndef SF_AGENT_RSYN_H
#define SF_AGENT_RSYN_H

#include <stddef.h>
#include <stdint.h>

#include "core/renegotiate.h"

#define RSYN_QUOTING_MAX (SF_IPV6_LEN + SF_HDR_LEN + 24 + SF_MOVE_LEN) /* FAIL, REDIRECT */

/**
 * struct rsyn_in - a packet that concerns a renegotiation.
 * @kind: SF_KIND_RSYN, _RSYN_ACK, _RACK; _FAIL and _REDIRECT: about one that we sent
 * @src, @host: who sent it: locator, and serviceID of the host
 * @msg: the message, or the one that is quoted
 * @reason: of a FAIL
 * @place: of a REDIRECT
 * @packet, @len: all of it, the caller's memory
 */
struct rsyn_in {
	uint8_t kind;
	uint8_t reason;
	struct sf_addr src;
	struct sf_sid host;
	struct sf_move_msg msg;
	struct sf_addr place;
	const void *packet;
	size_t len;
};

/**
 * rsyn_decode() - read a packet.
 * @packet: from its IPv6 header on; @in keeps pointing to it
 * Return: 0; -ENOMSG for what says nothing to a renegotiation (ICMPv6 errors); -EBADMSG with
 * *@reason set (enum sf_reason).
 */
int rsyn_decode(const void *packet, size_t len, struct rsyn_in *in, uint8_t *reason);

/**
 * rsyn_fail_encode() - the FAIL @reason that quotes a message.
 * @room: RSYN_QUOTING_MAX or more
 * @in: the message, with its packet
 * @self: serviceID of this host
 * Return: length, -EINVAL where it may draw no FAIL, or -EMSGSIZE.
 */
int rsyn_fail_encode(void *out, size_t room, const struct rsyn_in *in, const struct sf_sid *self,
		     uint8_t reason);

/**
 * rsyn_redirect_encode() - the REDIRECT that quotes an RSYN: its receiver is at @place now.
 * @place: with the socketID that the flow has there, where that is another key's; else without
 * Return: as rsyn_fail_encode().
 */
int rsyn_redirect_encode(void *out, size_t room, const struct rsyn_in *in,
			 const struct sf_sid *self, const struct sf_addr *place);

/** rsyn_id() - the socketID of the receiver's that a message names. */
uint64_t rsyn_id(const struct sf_move_msg *msg);

/** rsyn_open() - a socket to send by; needs CAP_NET_RAW. Return: descriptor or -errno. */
int rsyn_open(void);

/** rsyn_link_fn - index of the link by which packets of our place @place leave; 0: by the routes.
 */
typedef int (*rsyn_link_fn)(void *ctx, const struct sf_addr *place);

/**
 * rsyn_send() - send messages.
 * @err: errno of the last that did not leave; untouched where all did
 * Return: how many left. The others are lost, as packets are: they will be repeated.
 */
size_t rsyn_send(int fd, const struct sf_move_msg *messages, size_t n, rsyn_link_fn link, void *ctx,
		 int *err);

/** rsyn_send_packet() - send what an encoder above has made. Return: 0 or -errno. */
int rsyn_send_packet(int fd, const void *packet, size_t len, int ifindex);

#endif
