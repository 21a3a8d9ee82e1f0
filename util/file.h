// SPDX-License-Identifier: Apache-2.0
/* file.h - files: whole reads, atomic writes, directories, sysctls. Negative errno everywhere. */
#ifndef SF_UTIL_FILE_H
#define SF_UTIL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * sf_mkdir_p - make a directory and its missing parents.
 * @mode: of the last one, also where it exists already and is ours; new parents get 0755
 * Returns 0, -ENOTDIR, or what mkdir says.
 */
int sf_mkdir_p(const char *path, mode_t mode);

/**
 * sf_file_read - the whole of a file.
 * @limit: largest accepted size in bytes
 * @out: malloc'ed, NUL-terminated behind the contents; unchanged on failure
 * @len: size without that NUL; may be NULL
 * Returns 0, or -EFBIG above @limit. Works on /proc and /sys files, whose stat size is 0.
 */
int sf_file_read(const char *path, size_t limit, char **out, size_t *len);

/**
 * sf_file_write - replace a file atomically and durably: temporary file beside it, fsync, rename,
 * fsync of the directory. Readers see the old or the new contents, never a part.
 * @mode: of the new file, exactly (no umask)
 */
int sf_file_write(const char *path, const void *data, size_t len, mode_t mode);

/**
 * sf_file_swap - the same, but for what need not outlive the machine: nothing is synced, so it
 * waits for no disk. After a power failure the file may be the old one, or empty.
 */
int sf_file_swap(const char *path, const void *data, size_t len, mode_t mode);

/** sf_file_create - as sf_file_write, but never over an existing file: -EEXIST. Of two at once one
 * loses. */
int sf_file_create(const char *path, const void *data, size_t len, mode_t mode);

/**
 * sf_sysctl_get - value of a sysctl, without its newline.
 * @key: below /proc/sys, with slashes: "net/ipv6/ip_nonlocal_bind"
 * Returns 0, -ENOENT for an unknown key, -ERANGE where @value is too small.
 */
int sf_sysctl_get(const char *key, char *value, size_t len);

/**
 * sf_sysctl_set - write a sysctl.
 * @old: gets the value that it had, to put it back later; NULL: not wanted
 * @old_len: size of @old
 * Writes nothing where it has the value already. Acts on the calling thread's network namespace.
 */
int sf_sysctl_set(const char *key, const char *value, char *old, size_t old_len);

/**
 * sf_sysctl_set_if6 - write net/ipv6/conf/@ifname/@key.
 * @ifname: a link, "all" or "default"; dots in it are fine
 */
int sf_sysctl_set_if6(const char *ifname, const char *key, const char *value, char *old,
		      size_t old_len);

#endif
