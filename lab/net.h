// SPDX-License-Identifier: Apache-2.0
/* net.h - namespaces, links, addresses and routes of a lab, made and unmade. */
#ifndef SF_LAB_NET_H
#define SF_LAB_NET_H

#include "lab/lab.h"

/**
 * sf_net_build - every namespace and link of @lab, addresses and routes.
 * Nothing of it may be there. What was built stays on failure: sf_net_remove() takes any part.
 */
int sf_net_build(const struct sf_lab *lab, char *err, size_t err_len);

/** sf_net_remove - delete the namespaces, with all that is in them but processes. */
int sf_net_remove(const struct sf_lab *lab, char *err, size_t err_len);

/** sf_net_delete - delete a namespace by name, and what a host's agent made outside of it: control
 * groups. 0 or -ENOENT. */
int sf_net_delete(const char *ns);

/**
 * sf_net_carriers - take carrier away from links, and give it to others, at both ends; then routes
 * as they are without and with these.
 * @was: for each link whether it is down; @lab's own says what is to be
 * @gap_ns: to wait between the two
 * @moved: when the last was taken and the last given; may be NULL
 */
int sf_net_carriers(const struct sf_lab *lab, const bool *was, uint64_t gap_ns,
		    struct sf_lab_moved *moved, char *err, size_t err_len);

/** sf_net_rate - limit what end @end of a plain link sends, by a token bucket; 0: no limit. */
int sf_net_rate(const struct sf_lab *lab, unsigned int link, unsigned int end,
		const struct sf_emulation *e, char *err, size_t err_len);

/** sf_net_has_emulator - whether a link of the lab needs the emulator. */
bool sf_net_has_emulator(const struct sf_lab *lab);

/** sf_net_emulator_ifname - the emulator's interface towards end @end of a link, in @buf. */
char *sf_net_emulator_ifname(unsigned int link, unsigned int end, char buf[16]);

#endif
