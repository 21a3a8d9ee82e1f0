// SPDX-License-Identifier: Apache-2.0
/*
 * store.h - what must survive the daemon: which hostAddr was given to which host key, and our place
 * (SQLite, STATE/router.db).
 *
 * Theory of operation
 *
 * Hosts come by the hundred, and a disk takes milliseconds for each thing that it is to keep for
 * certain. So there are two promises:
 *
 *	store_put()       has reached the disk when it returns: our place, the mark of addresses
 *	store_host_put()  has reached the kernel when it returns, the disk with the next
 *	                  store_sync_due(), at most STORE_SYNC_MS and a tick later
 *
 * A daemon that dies (kill -9) loses nothing of either: what was written is in the kernel's page
 * cache. A machine that dies may lose the hosts of the last seconds. That is safe, too: the mark
 * (store_put(), blocks.c) is beyond every address that was ever given, so none of a lost host's is
 * given to another before it has rested; the host itself joins again, as it must when the machine's
 * routes are gone, and gets another address.
 */
#ifndef SF_ROUTER_STORE_H
#define SF_ROUTER_STORE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/crypto.h"

struct store;

/** struct store_host - a host as it is kept. @ifname: "" unless it is here; @standby: it is
 * somewhere else in the first place. */
struct store_host {
	uint32_t addr;
	uint8_t key[SF_SIGN_PUBLIC_LEN];
	uint64_t boot, time, released_ms;
	const char *name;
	const char *ifname;
	struct in6_addr lladdr;
	uint16_t port;
	bool standby;
};

/**
 * store_open() - open or make @dir/router.db.
 * Return: 0 or -errno with @err; -EPROTO for a store of a newer version.
 */
int store_open(const char *dir, struct store **out, char *err, size_t errlen);
void store_close(struct store *s);

#define STORE_SYNC_MS 2000

/** store_put() - keep @len bytes under @name, for certain. Return: 0 or -EIO. */
int store_put(struct store *s, const char *name, const void *data, size_t len);

#define STORE_GIVEN "given" /* uint32_t: lower bound of the places that were never given */

/** store_get() - Return: 0, -ENOENT, or -EPROTO where another length was kept. */
int store_get(struct store *s, const char *name, void *data, size_t len);

/** store_host_put() - insert or replace by address. Return: 0 or -EIO. */
int store_host_put(struct store *s, const struct store_host *h);
/** store_hosts_clear() - no address is given. For certain. */
int store_hosts_clear(struct store *s);

/**
 * store_sync_due() - what was written reaches the disk, if that is STORE_SYNC_MS ago.
 * @now_ms: monotonic clock
 * Return: 0 or -EIO.
 */
int store_sync_due(struct store *s, uint64_t now_ms);

typedef int (*store_host_fn)(const struct store_host *h, void *ctx);

/** store_hosts_each() - @fn's non-zero return ends it and is returned. */
int store_hosts_each(struct store *s, store_host_fn fn, void *ctx);

/** store_error() - SQLite's words about the last failure. */
const char *store_error(const struct store *s);

#endif
