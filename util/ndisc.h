/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndisc.h - solicitations of Neighbour Discovery (RFC 4861) that are sent for what they tell: the
 * sender's link address. Who gets one need not ask for that before it answers, which would be one
 * round trip more.
 */
#ifndef SF_UTIL_NDISC_H
#define SF_UTIL_NDISC_H

#include <netinet/in.h>
#include <stdint.h>

/** sf_ndisc_open() - (CAP_NET_RAW) a socket to send by, which receives nothing. Return: descriptor
 * or -errno. */
int sf_ndisc_open(void);

/**
 * sf_ndisc_solicit_router() - send a Router Solicitation, from the link's link-local address.
 * @to: group or router
 * @mac: the link's address, 6 bytes
 * Return: 0 or -errno.
 */
int sf_ndisc_solicit_router(int fd, int ifindex, const struct in6_addr *to, const uint8_t *mac);

/** sf_ndisc_solicit() - ask the neighbour @to, at the link address known, whether it is there; else
 * as above. */
int sf_ndisc_solicit(int fd, int ifindex, const struct in6_addr *to, const uint8_t *mac);

#endif
