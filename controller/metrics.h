// SPDX-License-Identifier: Apache-2.0
/* metrics.h - counters and states for Prometheus. */
#ifndef SF_CONTROLLER_METRICS_H
#define SF_CONTROLLER_METRICS_H

#include "controller/controller.h"

/** metrics_text() - everything as text, to be freed; NULL without memory. @len: without the NUL. */
char *metrics_text(struct controller *c, size_t *len);

#endif
