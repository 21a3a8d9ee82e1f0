// SPDX-License-Identifier: Apache-2.0
/*
 * extents.h - room in the slot array, by the buddy method: extents are powers of two, aligned to
 * their size, and join with their neighbour when both are free.
 *
 * A freed extent may still be read by a packet under way, so it is given again only after a rest.
 * Time is an argument.
 */
#ifndef SF_ROUTER_EXTENTS_H
#define SF_ROUTER_EXTENTS_H

#include <stdint.h>

#define EXTENT_MIN     256u /* smallest; a table of two instances has 213 */
#define EXTENT_REST_MS 1000u

struct extents;

/** extents_new() - @slots: size of the array; what is behind the last whole block is unused. */
int extents_new(uint32_t slots, struct extents **out);
void extents_free(struct extents *e);

/**
 * extents_take() - room for @n slots.
 * Return: 0 and *@at, -ENOSPC, or -EINVAL for 0 or more than the array.
 */
int extents_take(struct extents *e, uint32_t n, uint64_t now_ms, uint32_t *at);

/**
 * extents_claim() - the extent of @n slots at @at is in use (by rules found in the kernel).
 * Return: 0, -EINVAL where no extent of that size can lie there, -EBUSY where it overlaps another.
 */
int extents_claim(struct extents *e, uint32_t at, uint32_t n);

/** extents_give() - @n slots at @at, as taken or claimed, are free after their rest. */
void extents_give(struct extents *e, uint32_t at, uint32_t n, uint64_t now_ms);

/** extents_used() - slots that are taken or rest. */
uint32_t extents_used(const struct extents *e);

#endif
