// SPDX-License-Identifier: Apache-2.0
#ifndef SF_TESTS_CONTROLLER_NETWORK_H
#define SF_TESTS_CONTROLLER_NETWORK_H

#include "tests/controller/fixture.h"

/* A network for tests that want one: two access routers (blocks 1 and 2), a service router. */
#define H3 0x10003u /* hostAddrs of block 1 */
#define H4 0x10004u
extern struct controller c;
extern struct config config;
extern struct peer r1, r2, sr;
int network_setup(void **state);
int network_teardown(void **state);
/** three_up() - all three connected and synced. */
void three_up(void);
/** events_of() - how many events of a kind there were. */
unsigned int events_of(const char *kind);
/** events_saying() - and of these, those whose text contains @text. */
unsigned int events_saying(const char *kind, const char *text);

#endif
