// SPDX-License-Identifier: Apache-2.0
/* Topologies as text: refused with a place and a reason, or every index in them is right. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* What a setting prints reads back as the same. */
static void print_back(const struct sf_emulation *e)
{
	char text[SF_EMULATION_TEXT], *save = NULL;
	struct sf_emulation back = { 0 };
	const char *expected;

	sf_emulation_print(e, text);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		expect(value != NULL);
		*value++ = 0;
		expect(!sf_emulation_set(&back, word, value, &expected));
	}
	expect(!memcmp(&back, e, sizeof(back)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), err[256] = "", name[2 * SF_NODE_NAME];
	struct sf_topology t = { 0 };

	memcpy(text, data, size);
	text[size] = 0;
	if (sf_topology_parse(text, "f", &t, err, sizeof(err))) {
		expect(!t.nodes && !strncmp(err, "f:", 2));
		free(text);
		return 0;
	}
	for (size_t i = 0; i < t.n_nodes; i++)
		expect(sf_topology_node(&t, t.nodes[i].name, strlen(t.nodes[i].name)) == (int)i);
	for (size_t i = 0; i < t.n_links; i++) {
		const unsigned int *n = t.links[i].node;

		expect(n[0] < t.n_nodes && n[1] < t.n_nodes && n[0] != n[1]);
		snprintf(name, sizeof(name), "%s-%s", t.nodes[n[1]].name, t.nodes[n[0]].name);
		expect(sf_topology_link(&t, name) == (int)i);
		expect(t.links[i].mtu >= SF_MTU_MIN && t.links[i].mtu <= SF_MTU_MAX);
		print_back(&t.links[i].emulation);
	}
	sf_topology_free(&t);
	free(text);
	return 0;
}
