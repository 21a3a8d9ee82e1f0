// SPDX-License-Identifier: Apache-2.0
/* shed.h - instances whose flows are to be ended: told to the routers of their hosts. */
#ifndef SF_CONTROLLER_SHED_H
#define SF_CONTROLLER_SHED_H

#include "controller/controller.h"
#include "core/resolve.h"

/** struct shed - what to end. @key: protocol and port 0: all of the service; @identity: on whom. */
struct shed {
	struct sf_service_key key;
	const char *identity;
};

/** struct shed_found - instances that it concerns, their flows, and those whose router is away. */
struct shed_found {
	unsigned int instances, away;
	uint64_t open;
};

/** shed_look() - what it concerns. */
struct shed_found shed_look(const struct controller *c, const struct shed *what);

/** shed_tell() - tell the routers, and the event log; before that, service routers are told
 * whatever changed until now. @who: asked for it. */
void shed_tell(struct controller *c, const struct shed *what, const char *who);

#endif
