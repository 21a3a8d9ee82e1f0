// SPDX-License-Identifier: Apache-2.0
/* metrics.h - counters and states for Prometheus. */
#ifndef SF_CONTROLLER_METRICS_H
#define SF_CONTROLLER_METRICS_H

#include "controller/ctl.h"

/** ctl_metrics() - everything as text, to be freed; NULL without memory. @len: without the NUL. */
char *ctl_metrics(struct ctl *c, size_t *len);

#endif
