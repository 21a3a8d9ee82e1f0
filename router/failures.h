// SPDX-License-Identifier: Apache-2.0
/*
 * failures.h - what is dropped, FAILed and refused here, as events (util/failures.h): of each link
 * what is about the link, of the router all else. The controller is told, too.
 */
#ifndef SF_ROUTER_FAILURES_H
#define SF_ROUTER_FAILURES_H

#include <stddef.h>

struct link;
struct router;

/** failures_open() - from now on. Return: 0 or -errno with @err. */
int failures_open(struct router *r, char *err, size_t errlen);
void failures_close(struct router *r);

/** failures_watch() - a link is new: what comes from it from now on is told of. */
void failures_watch(struct link *l);

#endif
