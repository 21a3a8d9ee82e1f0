// SPDX-License-Identifier: Apache-2.0
/* json.c - see json.h. */
#include "util/json.h"

#include <stdio.h>

#include "util/bpf.h"
#include "util/clock.h"

#define SID_STRLEN 40

json_t *sf_json_text(const char *text)
{
	json_t *v = json_string(text);

	return v ? v : json_string("?");
}

json_t *sf_json_name(const char *text)
{
	return text && *text ? sf_json_text(text) : json_null();
}

json_t *sf_json_number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *sf_json_sid(const struct sf_sid *sid)
{
	char text[SID_STRLEN];

	return json_string(sf_sid_print(sid, text));
}

json_t *sf_json_addr(const struct sf_addr *a)
{
	char text[SF_ADDR_STRLEN];

	return json_string(sf_addr_print(a, text));
}

json_t *sf_json_prefix(const struct sf_addr *a, int len)
{
	char text[SF_ADDR_STRLEN];

	return json_sprintf("%s/%d", sf_addr_print(a, text), len);
}

json_t *sf_json_time(uint64_t ms)
{
	char text[SF_TIME_STRLEN];

	return json_string(sf_time_print(ms, text));
}

json_t *sf_json_features(const struct sf_bpf_feature *features, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct sf_bpf_feature *f = &features[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:b, s:s}", "name", f->name, "use",
						f->use, "there", f->status == 0, "required",
						f->need == SF_BPF_REQUIRED, "found", f->found));
	}
	return list;
}

void sf_json_set_net(json_t *o, const struct sf_net *net)
{
	struct sf_addr service = { .w = { net->service } };
	struct sf_addr as = sf_locator(net, 0, 0);

	json_object_set_new(o, "as_prefix",
			    sf_addr_is_zero(&as) ? json_null() : sf_json_prefix(&as, 48));
	json_object_set_new(o, "service_prefix", sf_json_prefix(&service, 32));
}
