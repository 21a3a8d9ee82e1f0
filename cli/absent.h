// SPDX-License-Identifier: Apache-2.0
/* absent.h - a machine on which no daemon answers: what is missing, and whether one could run. */
#ifndef SF_CLI_ABSENT_H
#define SF_CLI_ABSENT_H

#include "cli/doctor.h"

/**
 * sf_absent_look() - look at programs, configurations, the kernel and what it has mounted; findings
 * are appended.
 * @root: where files are looked for; "" but in tests. The kernel is always the real one.
 */
void sf_absent_look(const char *root, struct sf_findings *f);

#endif
