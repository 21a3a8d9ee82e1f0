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

#define CTL_STORE_SCHEMA  2
#define CTL_STORE_APP	  0x53464354 /* "SFCT": application_id of the file */
#define CTL_RESTORE_TERMS 1000	     /* a restored store skips so many terms, see restore */

struct ctl_store;

/**
 * ctl_store_open() - lock the state directory, open or make the store, check and migrate it.
 * @dir: made where missing, mode 0700
 * Return: 0; -EBUSY another controller uses it; -EUCLEAN damaged or no store of ours;
 * -EPROTONOSUPPORT written by a newer version; other negative errno.
 */
int ctl_store_open(const char *dir, struct ctl_store **out, char *err, size_t errlen);

/** ctl_store_close() - NULL is fine. */
void ctl_store_close(struct ctl_store *s);

/** ctl_store_path() - the database file. */
const char *ctl_store_path(const struct ctl_store *s);

/** ctl_store_error() - text of the last failure. */
const char *ctl_store_error(const struct ctl_store *s);

/**
 * ctl_store_term_next() - begin a new term: the stored one + 1, or @at_least if that is more.
 * Durable before it returns.
 */
int ctl_store_term_next(struct ctl_store *s, uint32_t at_least, uint32_t *term);

/** ctl_store_hashkey() - the key that all service routers share; made at the first call. */
int ctl_store_hashkey(struct ctl_store *s, struct sf_hashkey *key);

/* ---- leases of hostAddr blocks ---------------------------------------------------------- */

typedef int (*ctl_store_block_fn)(void *ctx, uint16_t first, uint16_t count,
				  const struct sf_sid *router);

/** ctl_store_blocks() - call @each for every lease, by @first. Its non-zero return ends it. */
int ctl_store_blocks(struct ctl_store *s, ctl_store_block_fn each, void *ctx);
int ctl_store_block_put(struct ctl_store *s, uint16_t first, uint16_t count,
			const struct sf_sid *router);
/** ctl_store_blocks_delete() - end all leases of a router. */
int ctl_store_blocks_delete(struct ctl_store *s, const struct sf_sid *router);

/* ---- routers ---------------------------------------------------------------------------- */

struct ctl_store_router {
	struct sf_sid id;
	struct sf_addr addr;
	uint8_t roles;
	bool present; /* its state was known when last written: wait for it after a start */
	char name[64];
	char cn[64]; /* of its certificate; "": plain */
};

typedef int (*ctl_store_router_fn)(void *ctx, const struct ctl_store_router *router);

int ctl_store_routers(struct ctl_store *s, ctl_store_router_fn each, void *ctx);
int ctl_store_router_put(struct ctl_store *s, const struct ctl_store_router *router);
int ctl_store_router_delete(struct ctl_store *s, const struct sf_sid *id);

/* ---- policies (JSON texts) and names, by serviceID -------------------------------------- */

typedef int (*ctl_store_text_fn)(void *ctx, const struct sf_sid *sid, const char *text);

int ctl_store_policies(struct ctl_store *s, ctl_store_text_fn each, void *ctx);
int ctl_store_policy_put(struct ctl_store *s, const struct sf_sid *sid, const char *json);
int ctl_store_policy_delete(struct ctl_store *s, const struct sf_sid *sid);
int ctl_store_names(struct ctl_store *s, ctl_store_text_fn each, void *ctx);
int ctl_store_name_put(struct ctl_store *s, const struct sf_sid *sid, const char *name);
int ctl_store_name_delete(struct ctl_store *s, const struct sf_sid *sid);

/* ---- batches ---------------------------------------------------------------------------- */

/**
 * ctl_store_batch_begin() - names or events in one transaction, which a power failure may lose
 * whole; ctl_store_batch_end() ends it.
 */
int ctl_store_batch_begin(struct ctl_store *s);
int ctl_store_batch_end(struct ctl_store *s);

/* ---- events ----------------------------------------------------------------------------- */

/** ctl_store_events_last() - the highest id stored, 0 if none. */
int ctl_store_events_last(struct ctl_store *s, uint64_t *id);

/** ctl_store_event_put() - within a batch, which ctl_store_events_end() ends. */
int ctl_store_event_put(struct ctl_store *s, uint64_t id, uint64_t time_ms, const char *json);
/** @keep: only so many of the newest events stay */
int ctl_store_events_end(struct ctl_store *s, uint32_t keep);

typedef int (*ctl_store_event_fn)(void *ctx, uint64_t id, const char *json);

/**
 * ctl_store_events_newest() - of the events with @after < id < @before the newest @limit, oldest
 * first.
 */
int ctl_store_events_newest(struct ctl_store *s, uint64_t after, uint64_t before, uint32_t limit,
			    ctl_store_event_fn each, void *ctx);

/* ---- backup and restore ----------------------------------------------------------------- */

/**
 * struct ctl_backup_progress - a backup under way, seen from another thread.
 * @pages, @left: of the database, in all and still to be copied; @stop: give it up (-ECANCELED)
 * @step, @ctx: called after each part; may be NULL
 */
struct ctl_backup_progress {
	atomic_uint pages, left;
	atomic_bool stop;
	void (*step)(void *ctx);
	void *ctx;
};

/**
 * ctl_store_backup() - write a consistent copy of a database, durably, never over an existing file
 * (-EEXIST). Taken by a connection of its own while the store is in use, and written to: the copy
 * is of the moment when it began.
 * @store: ctl_store_path(); @p: NULL: nobody looks
 */
int ctl_store_backup(const char *store, const char *file, struct ctl_backup_progress *p, char *err,
		     size_t errlen);

/**
 * ctl_store_restore() - replace the store in @dir by the backup @file; the old one stays beside it
 * as controller.db.replaced. Offline: -EBUSY while a controller runs.
 *
 * Routers refuse terms lower than they have seen, so the restored store begins CTL_RESTORE_TERMS
 * above the higher of both terms, or above the backup's where the old store cannot be read.
 */
int ctl_store_restore(const char *dir, const char *file, char *err, size_t errlen);

/* ---- for tests -------------------------------------------------------------------------- */

/** ctl_store_make_old() - make a store with an earlier @schema (1..CTL_STORE_SCHEMA). */
int ctl_store_make_old(const char *file, int schema);

#endif
