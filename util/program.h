// SPDX-License-Identifier: Apache-2.0
/*
 * program.h - the command line that all daemons share, and the file that it names.
 *
 * A daemon declares its options in a table: the common ones by SF_PROGRAM_OPTIONS, its own behind
 * them. --log, --sample, --version and --help are built in. Options win over the file.
 */
#ifndef SF_UTIL_PROGRAM_H
#define SF_UTIL_PROGRAM_H

#include <stddef.h>

#include "util/conf.h"

/**
 * struct sf_option - a long option.
 * @arg: what its value is called in the help; NULL: a flag
 * @offset: of a bool (flags) or a const char * (values; they point into argv, or are @def)
 */
struct sf_option {
	const char *name;
	const char *arg;
	size_t offset;
	const char *def;
	const char *help;
};

/**
 * struct sf_program - a daemon as its user sees it.
 * @what: what it does, whole lines
 * @file: configuration that is read where it exists and no other is named
 * @file_offset: of the const char * that --config sets; afterwards the file that was read, or NULL
 * @section: section of the file that has the key "log"
 * @notes: whole lines behind the options
 */
struct sf_program {
	const char *name;
	const char *what;
	const char *file;
	size_t file_offset;
	const char *section;
	const struct sf_conf_schema *schema;
	const struct sf_option *options;
	size_t n_options;
	const char *notes;
};

/* Options of every daemon, for a struct @type with fields file, run, state and check. */
#define SF_PROGRAM_OPTIONS(type)                                                                \
	{ "config", "FILE", offsetof(type, file), NULL, "configuration" },                      \
		{ "run", "DIR", offsetof(type, run), "/run/scaffold", "control socket, lock" }, \
		{ "state", "DIR", offsetof(type, state), "/var/lib/scaffold",                   \
		  "what must survive a reboot" },                                               \
	{                                                                                       \
		"check", NULL, offsetof(type, check), NULL,                                     \
			"check the configuration and what it names, and exit"                   \
	}

/* And of those that have a datapath, for a field bpffs. */
#define SF_PROGRAM_BPFFS(type)                                                 \
	{                                                                      \
		"bpffs", "DIR", offsetof(type, bpffs), "/sys/fs/bpf/scaffold", \
			"where the datapath is pinned"                         \
	}

/**
 * sf_program_load() - read the command line and the file into @config.
 * @config: zeroed by the caller; free it with sf_conf_free() whatever is returned
 * Return: 0; 1 when all was done by printing (--help and such); -EINVAL or another -errno with
 * @err.
 */
int sf_program_load(const struct sf_program *program, void *config, int argc, char **argv,
		    char *err, size_t errlen);

/**
 * sf_program_file() - read the file alone (again, on SIGHUP): the one at @file_offset, or the
 * default one where it exists, or the built-in defaults.
 */
int sf_program_file(const struct sf_program *program, void *config, char *err, size_t errlen);

#endif
