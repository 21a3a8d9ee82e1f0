// SPDX-License-Identifier: Apache-2.0
/* builtin.c - topologies by name: built in, made to measure, or from a file. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/topology.h"
#include "util/file.h"

#define FILE_LIMIT (1u << 20)

/* "line:N" and "star:N": N, or 0 where @what is no such thing, or -1 where N is out of bounds. */
static int family_size(const char *what, const char *family, unsigned int max)
{
	size_t len = strlen(family);
	unsigned int n = 0;

	if (strncmp(what, family, len) != 0 || what[len] != ':')
		return 0;
	for (const char *c = what + len + 1; *c; c++) {
		if (!isdigit((unsigned char)*c) || n > max)
			return -1;
		n = n * 10 + (unsigned int)(*c - '0');
	}
	return n >= 1 && n <= max ? (int)n : -1;
}

/* h1 - r1 - r2 - ... - rN - h2; the controller is at r1, every router has both roles. */
static void line_write(FILE *out, int n)
{
	fprintf(out, "# line:%d\nhost h1 h2\n", n);
	for (int i = 1; i <= n; i++)
		fprintf(out, "router r%d roles=access,service\n", i);
	fputs("controller ctl\n", out);
	for (int i = 2; i <= n; i++)
		fprintf(out, "link r%d-r%d\n", i - 1, i);
	fprintf(out, "link h1-r1 h2-r%d r1-ctl\n", n);
}

/* N hosts at one router that has both roles. */
static void star_write(FILE *out, int n)
{
	fprintf(out, "# star:%d\nrouter r roles=access,service\ncontroller ctl\nlink r-ctl\n", n);
	for (int i = 1; i <= n; i++)
		fprintf(out, "host h%d\nlink h%d-r\n", i, i);
}

static int family_text(void (*write)(FILE *out, int n), int n, char **text)
{
	size_t len;
	FILE *out = open_memstream(text, &len);

	if (!out)
		return -ENOMEM;
	write(out, n);
	if (fclose(out)) {
		free(*text);
		return -ENOMEM;
	}
	return 0;
}

static int missing(const char *what, char *err, size_t err_len)
{
	size_t n = (size_t)snprintf(err, err_len, "%s: no such file, and no built-in topology (",
				    what);

	for (const struct sf_builtin *b = sf_builtins; b->name && n < err_len; b++)
		n += (size_t)snprintf(err + n, err_len - n, "%s, ", b->name);
	if (n < err_len)
		snprintf(err + n, err_len - n, "line:N, star:N)");
	return -ENOENT;
}

int sf_topology_text(const char *what, char **text, char *err, size_t err_len)
{
	static const struct {
		const char *name;
		unsigned int max;
		void (*write)(FILE *out, int n);
	} families[] = { { "line", 250, line_write }, { "star", 900, star_write } };
	int r;

	for (const struct sf_builtin *b = sf_builtins; b->name; b++)
		if (strcmp(what, b->name) == 0) {
			*text = strdup(b->text);
			return *text ? 0 : -ENOMEM;
		}
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int n = family_size(what, families[i].name, families[i].max);

		if (n > 0)
			return family_text(families[i].write, n, text);
		if (n < 0) {
			snprintf(err, err_len, "%s: expected %s:N with N from 1 to %u", what,
				 families[i].name, families[i].max);
			return -EINVAL;
		}
	}
	r = sf_file_read(what, FILE_LIMIT, text, NULL);
	if (r == -ENOENT)
		return missing(what, err, err_len);
	if (r)
		snprintf(err, err_len, "%s: %s", what, strerror(-r));
	return r;
}
