// SPDX-License-Identifier: Apache-2.0
/* conf.h - configuration files: INI syntax (inih), a table that says what may stand in them.
 *
 * A program declares a struct, and a table of the keys with their offsets in it. Loading fills in
 * the defaults, then the file. Anything unknown, repeated, or out of its type is an error that
 * names file, line, key, what stood there and what was expected; there is no way to ignore it.
 *
 * A section may be repeated with a name, "[link eth0]": the schema's @sections then names a
 * function that makes (or finds) the object which this section's keys are written to.
 *
 * Lines: "key = value", comments from ';' or '#' at the start of a line or from " ;" behind a
 * value. Leading blanks mean nothing. At most 199 bytes a line; section and key at most 49.
 */
#ifndef SF_UTIL_CONF_H
#define SF_UTIL_CONF_H

#include "util/ip6.h"

enum sf_conf_type {
	SF_CONF_STRING,	  /* char *		 owned; an empty value gives "" */
	SF_CONF_BOOL,	  /* bool		 yes no true false on off 1 0 */
	SF_CONF_U16,	  /* uint16_t		 decimal or 0x; @min..@max where @max is not 0 */
	SF_CONF_U32,	  /* uint32_t		 likewise */
	SF_CONF_DURATION, /* uint32_t		 milliseconds: 250ms 5s 2m 1h; a bare number other
			     than 0 is refused */
	SF_CONF_ADDRESS,  /* struct in6_addr	 IPv6 */
	SF_CONF_ENDPOINT, /* struct sockaddr_storage  [fd5c::1]:24158 or 192.0.2.1:443 */
	SF_CONF_PREFIX,	  /* struct sf_ip6_prefix */
	SF_CONF_ENUM,	  /* int		 index in @choices */
	SF_CONF_LIST,	  /* struct sf_conf_list words separated by blanks or commas; a repeated key
			     appends */
};

struct sf_conf_list {
	char **items; /* owned */
	size_t count;
};

struct sf_conf_key {
	const char *section; /* "" for keys before the first section */
	const char *key;
	enum sf_conf_type type;
	size_t offset; /* of the field, in @out or in the object of the repeated section */
	const char *
		def; /* as it would stand in the file; NULL leaves the field as the caller set it */
	const char *help;	    /* one line, for `sf_conf_describe` */
	const char *const *choices; /* SF_CONF_ENUM: NULL-terminated */
	uint32_t min, max;	    /* SF_CONF_U16/U32/DURATION; no limits where @max is 0 */
	bool required;		    /* the file must set it, in each section of that name */
	/* What the type does not say: a value (of a list: each word) that @check refuses is an
	 * error, with @expects as what was expected. NULL: the type says all. */
	bool (*check)(const char *text);
	const char *expects;
};

/* A section that may stand several times, each with a name: "[link eth0]". */
struct sf_conf_section {
	const char *name;
	/*
	 * Gives the object for "[<section> <name>]" which must live in or with @out. Called once a
	 * section, before its defaults are written. Returns NULL to refuse, with the reason ("more
	 * than 8 links") in @err.
	 */
	void *(*object)(void *out, const char *name, char *err, size_t err_len);
};

struct sf_conf_schema {
	const struct sf_conf_key *keys;
	size_t n_keys;
	const struct sf_conf_section *sections; /* the repeated ones only */
	size_t n_sections;
};

/**
 * sf_conf_defaults - write every default of the unrepeated sections into @out.
 * @out: zeroed by the caller
 * Returns 0, or -EINVAL for a default that its own type refuses (a programming error; tests catch
 * it).
 */
int sf_conf_defaults(const struct sf_conf_schema *schema, void *out);

/**
 * sf_conf_load - defaults, then the file.
 * @path: file; its absence is an error (use sf_conf_defaults() where it may be absent)
 * @schema: what may stand in it
 * @out: zeroed by the caller; free it with sf_conf_free() whatever is returned
 * @err: gets "path:line: key: got 'x', expected ..." on failure
 * @err_len: its size
 * Returns 0, -EINVAL for bad contents, -ENOMEM, or the negative errno of reading.
 */
int sf_conf_load(const char *path, const struct sf_conf_schema *schema, void *out, char *err,
		 size_t err_len);

/**
 * sf_conf_line - where a file sets a key: for what is found out about the value later.
 * @section: an unrepeated section
 * Returns the number of the last such line; 0 where there is none, or no such file.
 */
unsigned int sf_conf_line(const char *path, const char *section, const char *key);

/**
 * sf_conf_set - parse one value as if it stood in the file: for command line overrides.
 * @section: an unrepeated section
 * @err: gets "key: got 'x', expected ..."
 * Returns 0, -EINVAL, or -ENOENT for an unknown key. A list is replaced.
 */
int sf_conf_set(const struct sf_conf_schema *schema, void *out, const char *section,
		const char *key, const char *value, char *err, size_t err_len);

/**
 * sf_conf_free - free the strings and lists of the unrepeated sections, and make them NULL.
 * Objects of repeated sections are the caller's: sf_conf_free_object() frees what the loader put in
 * one.
 */
void sf_conf_free(const struct sf_conf_schema *schema, void *out);

/** sf_conf_free_object - free strings and lists in one object of the repeated section @section. */
void sf_conf_free_object(const struct sf_conf_schema *schema, const char *section, void *object);

/**
 * sf_conf_describe - every key with its type, default and help, as a commented sample file.
 * @write: gets each line, without newline
 */
void sf_conf_describe(const struct sf_conf_schema *schema,
		      void (*write)(const char *line, void *ctx), void *ctx);

/**
 * sf_duration_parse - read "250ms", "5s", "2m", "1h" or "0".
 * @ms: milliseconds, unchanged on failure
 * Returns 0, -EINVAL, or -ERANGE above 49 days.
 */
int sf_duration_parse(const char *text, uint32_t *ms);

/**
 * sf_endpoint_parse - read "[fd5c::1]:24158" or "192.0.2.1:443"; names are not looked up.
 * @out: struct sockaddr_in6 or sockaddr_in
 * Returns 0 or -EINVAL. Port 0 is refused.
 */
int sf_endpoint_parse(const char *text, struct sockaddr_storage *out);

#endif
