// SPDX-License-Identifier: Apache-2.0
/*
 * sockets.h - what the tests of the socket hooks share: a network namespace and a control group of
 * the test's own, the hooks attached, their events in @events.
 */
#ifndef SF_TESTS_BPF_SOCKETS_H
#define SF_TESTS_BPF_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/socket_events.skel.h"
#include "core/datapath.h"
#include "core/hooks.h"

extern struct socket_events_bpf *skel;
extern struct sf_socket_event events[64];
extern int n_events;
extern uint64_t cookie;
extern char group[64], inner[96], home[256];
extern struct sf_net net;
extern struct sf_addr service, other;
extern struct ring_buffer *ring;

void drain(void);
/** make_ring() - a new ring, whose events go to @events. */
int make_ring(void);
uint64_t group_id(const char *group_name);
int lo_has(const struct sf_addr *addr);
int sockets_setup(void **state);
int sockets_teardown(void **state);
int sockets_begin(void **state);
struct sf_listener_key key_of(const struct sf_addr *addr, uint8_t proto, uint16_t port);
bool listed(const struct sf_addr *addr, uint8_t proto, uint16_t port, struct sf_listener *l);
int judge(const struct sf_addr *addr, uint8_t proto, uint16_t port, uint8_t verdict);
int bound(int type, const struct sf_addr *addr, uint16_t port);
int listening(const struct sf_addr *addr, uint16_t port);
int connect_to(int fd, const struct sf_addr *addr, uint16_t port);
void judge_manual(const struct sf_addr *addr, uint8_t proto, uint16_t port);
struct sf_hook_counts counted(void);
void counts_enter(void);

#endif
