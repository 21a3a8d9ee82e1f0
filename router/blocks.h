// SPDX-License-Identifier: Apache-2.0
/* blocks.h - which hostAddr a host gets. */
#ifndef SF_ROUTER_BLOCKS_H
#define SF_ROUTER_BLOCKS_H

#include <stdint.h>

struct router;

/**
 * blocks_pick() - a hostAddr for a new host key: one that was never given, while there is any; then
 * one that nobody has; then the one that was released first, if it has rested for
 * SF_ADDRESS_REST_MS. An entry of the table of hosts that held it is taken out. Return: 0 and
 * *@addr, -ENOSPC, or -EIO where the store does not work.
 */
int blocks_pick(struct router *r, uint32_t *addr);

#endif
