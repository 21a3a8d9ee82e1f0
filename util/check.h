// SPDX-License-Identifier: Apache-2.0
/*
 * check.h - what a configuration names, opened and looked at, for --check of the daemons.
 *
 * More is found than would keep a daemon from starting: a certificate that has expired is its
 * peers' affair, but whoever tries a configuration wants to know. Each finding is told with its
 * place, "FILE:LINE: key: what is wrong, and what was expected".
 */
#ifndef SF_UTIL_CHECK_H
#define SF_UTIL_CHECK_H

#include <stdbool.h>

#include "util/crypto.h"

/** struct sf_check - a check under way. Zeroed but for these. */
struct sf_check {
	const char *file;    /* configuration, or NULL: the defaults */
	const char *section; /* of the keys that are checked */
	void (*say)(const char *finding);
	unsigned int findings; /* told so far */
};

/** sf_check_say - tell a finding about the value of @key. */
void sf_check_say(struct sf_check *k, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * sf_check_tls - the files of tls_cert=, tls_key= and tls_ca=: there, readable, in PEM form, valid
 * today, a pair, the key not for everybody to read, the certificate fit for its use.
 * @files: empty or NULL ones are left out
 * @server: the certificate is shown to those who connect, so it must be for some name or address
 */
void sf_check_tls(struct sf_check *k, const struct sf_tls_files *files, bool server);

/** sf_check_token - the file of a bearer token: there, for its owner alone, long enough. */
void sf_check_token(struct sf_check *k, const char *key, const char *path);

/** sf_check_identity - @state/@name, the daemon's own key: well where it is there already. */
void sf_check_identity(struct sf_check *k, const char *state, const char *name);

/** sf_check_group - a socket_group= that is not the default is a group that there is. */
void sf_check_group(struct sf_check *k, const char *group);

#endif
