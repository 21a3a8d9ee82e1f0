// SPDX-License-Identifier: Apache-2.0
/*
 * shed.h - the controller wants flows of a host's instances ended: on its way to the host.
 *
 * A host is told at once, and again in each ALIVE until a HEARTBEAT says that it has done it
 * (docs/protocol.md section 5.1). What it has not done when it leaves is void: so are its flows.
 */
#ifndef SF_ROUTER_SHED_H
#define SF_ROUTER_SHED_H

#include "core/ctrl.h"

struct host;
struct reply;
struct router;

#define SHEDS_MAX 32 /* that wait for one host; more push out the oldest */

/** shed_down() - SHED of the controller's: HOST and its SHEDs. Return: NULL, or why not. */
const char *shed_down(struct router *r, const struct sf_ctrl_in *in);

/** shed_put() - what the host has not done yet, into an answer to it. */
void shed_put(const struct host *h, struct reply *p);

/** shed_heard() - a HEARTBEAT, which may say what is done. */
void shed_heard(struct host *h, const struct sf_ctrl_in *in);

/** shed_forget() - the host has gone. */
void shed_forget(struct host *h);

#endif
