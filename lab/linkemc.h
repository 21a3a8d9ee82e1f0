// SPDX-License-Identifier: Apache-2.0
/* linkemc.h - the lab's side of the link emulator: start it, ask it. */
#ifndef SF_LAB_LINKEMC_H
#define SF_LAB_LINKEMC_H

#include <jansson.h>

#include "lab/lab.h"

/** sf_linkem_start - start the emulator of a lab whose network is built, and wait until it serves.
 */
int sf_linkem_start(const struct sf_lab *lab, char *err, size_t err_len);

/**
 * sf_linkem_call - one request (see linkem.c).
 * @request: the function takes the reference
 * @answer: new reference; may be NULL
 * Returns 0; -ECONNREFUSED: it does not run; -EINVAL with what it answered in @err.
 */
int sf_linkem_call(const struct sf_lab *lab, json_t *request, json_t **answer, char *err,
		   size_t err_len);

/**
 * sf_lab_program - absolute path of a program of ours: beside the running binary where that is
 * installed, else where the build tree has it.
 * @room: directory in the build tree: "agent", "lab" ...
 * Returns 0, or -ENOENT with all places that were looked at in @err.
 */
int sf_lab_program(const char *room, const char *name, char path[PATH_MAX], char *err,
		   size_t err_len);

#endif
