// SPDX-License-Identifier: Apache-2.0
/* json.h - how all daemons write the same things in JSON (docs/api.md). New references. */
#ifndef SF_UTIL_JSON_H
#define SF_UTIL_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "core/addr.h"

/** sf_json_text() - text that may come from the network: "?" where it is not UTF-8. */
json_t *sf_json_text(const char *text);

/** sf_json_name() - the same; null where it is empty or NULL. */
json_t *sf_json_name(const char *text);

/** sf_json_number() - up to 2^63 - 1. */
json_t *sf_json_number(uint64_t n);

/** sf_json_sid() - a serviceID, "ssid:local". */
json_t *sf_json_sid(const struct sf_sid *sid);

/** sf_json_addr() - an IPv6 address. */
json_t *sf_json_addr(const struct sf_addr *a);

/** sf_json_prefix() - "address/len". */
json_t *sf_json_prefix(const struct sf_addr *a, int len);

/** sf_json_time() - @ms since 1970, as ISO 8601. */
json_t *sf_json_time(uint64_t ms);

struct sf_bpf_feature;

/** sf_json_features() - what sf_bpf_probe() found: [{name, use, there, required, found}]. */
json_t *sf_json_features(const struct sf_bpf_feature *features, size_t n);

/** sf_json_set_net() - as_prefix (null while the AS is unknown) and service_prefix into @o. */
void sf_json_set_net(json_t *o, const struct sf_net *net);

#endif
