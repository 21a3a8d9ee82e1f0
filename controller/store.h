// SPDX-License-Identifier: Apache-2.0
/*
 * store.h - what must survive the controller: SQLite file STATE/controller.db.
 *
 * Kept: the term, the key of the routers' hash, leases of hostAddr blocks, the routers that were
 * present, policies, names, and the newest events. Everything else is soft state that routers
 * announce again. Nothing here runs when a host registers.
 *
 * Writes are durable when a function returns (WAL, synchronous=FULL), except events, which a power
 * failure may cut short but never damages. One process at a time: STATE/controller.lock.
 *
 * Every function returns 0 or a negative errno; `err`/`errlen` receive one line of text.
 */
#ifndef SF_CONTROLLER_STORE_H
#define SF_CONTROLLER_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/siphash.h"

#define STORE_SCHEMA  2
#define STORE_APP     0x53464354 /* "SFCT": application_id of the file */
#define RESTORE_TERMS 1000	 /* a restored store skips so many terms, see restore */

struct store;

/**
 * store_open() - lock the state directory, open or make the store, check and migrate it.
 * @dir: made where missing, mode 0700
 * Return: 0; -EBUSY another controller uses it; -EUCLEAN damaged or no store of ours;
 * -EPROTONOSUPPORT written by a newer version; other negative errno.
 */
int store_open(const char *dir, struct store **out, char *err, size_t errlen);

/** store_close() - NULL is fine. */
void store_close(struct store *s);

/** store_path() - the database file. */
const char *store_path(const struct store *s);

/** store_error() - text of the last failure. */
const char *store_error(const struct store *s);

/**
 * store_term_next() - begin a new term: the stored one + 1, or @at_least if that is more.
 * Durable before it returns.
 */
int store_term_next(struct store *s, uint32_t at_least, uint32_t *term);

/** store_hashkey() - the key that all service routers share; made at the first call. */
int store_hashkey(struct store *s, struct sf_hashkey *key);

/* ---- leases of hostAddr blocks ---------------------------------------------------------- */

typedef int (*store_block_fn)(void *ctx, uint16_t first, uint16_t count,
			      const struct sf_sid *router);

/** store_blocks() - call @each for every lease, by @first. Its non-zero return ends it. */
int store_blocks(struct store *s, store_block_fn each, void *ctx);
int store_block_put(struct store *s, uint16_t first, uint16_t count, const struct sf_sid *router);
/** store_blocks_delete() - end all leases of a router. */
int store_blocks_delete(struct store *s, const struct sf_sid *router);

/* ---- routers ---------------------------------------------------------------------------- */

struct store_router {
	struct sf_sid id;
	struct sf_addr addr;
	uint8_t roles;
	bool present; /* its state was known when last written: wait for it after a start */
	char name[64];
	char cn[64]; /* of its certificate; "": plain */
};

typedef int (*store_router_fn)(void *ctx, const struct store_router *router);

int store_routers(struct store *s, store_router_fn each, void *ctx);
int store_router_put(struct store *s, const struct store_router *router);
int store_router_delete(struct store *s, const struct sf_sid *id);

/* ---- policies (JSON texts) and names, by serviceID -------------------------------------- */

typedef int (*store_text_fn)(void *ctx, const struct sf_sid *sid, const char *text);

int store_policies(struct store *s, store_text_fn each, void *ctx);
int store_policy_put(struct store *s, const struct sf_sid *sid, const char *json);
int store_policy_delete(struct store *s, const struct sf_sid *sid);
int store_names(struct store *s, store_text_fn each, void *ctx);
int store_name_put(struct store *s, const struct sf_sid *sid, const char *name);
int store_name_delete(struct store *s, const struct sf_sid *sid);

/* ---- batches ---------------------------------------------------------------------------- */

/**
 * store_batch_begin() - names or events in one transaction, which a power failure may lose
 * whole; store_batch_end() ends it.
 */
int store_batch_begin(struct store *s);
int store_batch_end(struct store *s);

/* ---- events ----------------------------------------------------------------------------- */

/** store_events_last() - the highest id stored, 0 if none. */
int store_events_last(struct store *s, uint64_t *id);

/** store_event_put() - within a batch, which store_events_end() ends. */
int store_event_put(struct store *s, uint64_t id, uint64_t time_ms, const char *json);
/** @keep: only so many of the newest events stay */
int store_events_end(struct store *s, uint32_t keep);

typedef int (*store_event_fn)(void *ctx, uint64_t id, const char *json);

/**
 * store_events_newest() - of the events with @after < id < @before the newest @limit, oldest
 * first.
 */
int store_events_newest(struct store *s, uint64_t after, uint64_t before, uint32_t limit,
			store_event_fn each, void *ctx);

/* ---- backup and restore ----------------------------------------------------------------- */

/**
 * struct backup_progress - a backup under way, seen from another thread.
 * @pages, @left: of the database, in all and still to be copied; @stop: give it up (-ECANCELED)
 * @step, @ctx: called after each part; may be NULL
 */
struct backup_progress {
	atomic_uint pages, left;
	atomic_bool stop;
	void (*step)(void *ctx);
	void *ctx;
};

/**
 * store_backup() - write a consistent copy of a database, durably, never over an existing file
 * (-EEXIST). Taken by a connection of its own while the store is in use, and written to: the copy
 * is of the moment when it began.
 * @store: store_path(); @p: NULL: nobody looks
 */
int store_backup(const char *store, const char *file, struct backup_progress *p, char *err,
		 size_t errlen);

/**
 * store_restore() - replace the store in @dir by the backup @file; the old one stays beside it
 * as controller.db.replaced. Offline: -EBUSY while a controller runs.
 *
 * Routers refuse terms lower than they have seen, so the restored store begins RESTORE_TERMS
 * above the higher of both terms, or above the backup's where the old store cannot be read.
 */
int store_restore(const char *dir, const char *file, char *err, size_t errlen);

/* ---- for tests -------------------------------------------------------------------------- */

/** store_make_old() - make a store with an earlier @schema (1..STORE_SCHEMA). */
int store_make_old(const char *file, int schema);

#endif
