// SPDX-License-Identifier: Apache-2.0
/*
 * store.h - what must survive the daemon: which hostAddr was given to which host key, and our place
 * (SQLite, STATE/router.db). A write has reached the disk when the function returns.
 */
#ifndef SF_ROUTER_STORE_H
#define SF_ROUTER_STORE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/crypto.h"

struct store;

/** struct store_host - a host as it is kept. @ifname: "" unless it is here. */
struct store_host {
	uint32_t addr;
	uint8_t key[SF_SIGN_PUBLIC_LEN];
	uint64_t boot, time, released_ms;
	const char *name;
	const char *ifname;
	struct in6_addr lladdr;
	uint16_t port;
};

/**
 * store_open() - open or make @dir/router.db.
 * Return: 0 or -errno with @err; -EPROTO for a store of a newer version.
 */
int store_open(const char *dir, struct store **out, char *err, size_t errlen);
void store_close(struct store *s);

/** store_put() - keep @len bytes under @name. Return: 0 or -EIO. */
int store_put(struct store *s, const char *name, const void *data, size_t len);

/** store_get() - Return: 0, -ENOENT, or -EPROTO where another length was kept. */
int store_get(struct store *s, const char *name, void *data, size_t len);

/** store_host_put() - insert or replace by address. Return: 0 or -EIO. */
int store_host_put(struct store *s, const struct store_host *h);
int store_host_del(struct store *s, uint32_t addr);
int store_hosts_clear(struct store *s);

typedef int (*store_host_fn)(const struct store_host *h, void *ctx);

/** store_hosts_each() - @fn's non-zero return ends it and is returned. */
int store_hosts_each(struct store *s, store_host_fn fn, void *ctx);

/** store_error() - SQLite's words about the last failure. */
const char *store_error(const struct store *s);

#endif
