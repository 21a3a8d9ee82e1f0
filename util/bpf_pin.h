// SPDX-License-Identifier: Apache-2.0
/* bpf_pin.h - what the sources of bpf.h share among themselves; not for others. */
#ifndef SF_UTIL_BPF_PIN_H
#define SF_UTIL_BPF_PIN_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/** sf_bpf_pin_path() - "@dir/@name", checked. Return: 0, -EINVAL, -ENAMETOOLONG. */
int sf_bpf_pin_path(const char *dir, const char *name, char path[PATH_MAX], char *err,
		    size_t errlen);

/**
 * sf_bpf_pin_detach() - If the pin is a link: detach it now.
 *
 * Unpinning alone detaches some time later, when the kernel has freed the file; and not at all
 * while another process holds the link open. Return: 0 (also if absent, or no link), or -errno.
 */
int sf_bpf_pin_detach(const char *path);

/**
 * sf_bpf_layout_put() - Record the layout of the map pinned as @name; 0: unknown, so that it is
 * refused. Return: 0, or -errno.
 */
int sf_bpf_layout_put(const char *dir, const char *name, uint32_t layout, char *err, size_t errlen);

#endif
