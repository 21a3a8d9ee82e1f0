// SPDX-License-Identifier: Apache-2.0
/* program.c - see program.h. */
#include "util/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/errtext.h"
#include "util/log.h"

#define OPTIONS_MAX 24

enum { OPT_LOG = 0x100, OPT_SAMPLE, OPT_VERSION, OPT_HELP, OPT_OWN };

static void *field(void *config, size_t offset)
{
	return (char *)config + offset;
}

static void print_option(const char *name, const char *arg, const char *help, const char *def)
{
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", name, arg ? " " : "", arg ? arg : "");
	printf("  %-16s %s", left, help);
	if (def)
		printf(" (default %s)", def);
	putchar('\n');
}

static void print_help(const struct sf_program *p)
{
	printf("Usage: %s [OPTION]...\n%s\n", p->name, p->what);
	for (size_t i = 0; i < p->n_options; i++) {
		const struct sf_option *o = &p->options[i];

		print_option(o->name, o->arg, o->help,
			     o->offset == p->file_offset ? p->file : o->def);
	}
	print_option("log", "LEVEL", "error, warn, info or debug", NULL);
	print_option("sample", NULL, "print every configuration key with its default", NULL);
	print_option("version", NULL, "print the version", NULL);
	print_option("help", NULL, "print this", NULL);
	if (p->notes)
		printf("\n%s", p->notes);
}

static void print_line(const char *line, void *ctx)
{
	puts(line);
}

static int print_what(const struct sf_program *p, int opt)
{
	if (opt == OPT_SAMPLE)
		sf_conf_describe(p->schema, print_line, NULL);
	else if (opt == OPT_VERSION)
		printf("%s " SF_VERSION "\n", p->name);
	else
		print_help(p);
	return 1;
}

static void options_make(const struct sf_program *p, void *config, struct option *out)
{
	static const struct option common[] = { { "log", required_argument, NULL, OPT_LOG },
						{ "sample", no_argument, NULL, OPT_SAMPLE },
						{ "version", no_argument, NULL, OPT_VERSION },
						{ "help", no_argument, NULL, OPT_HELP } };
	size_t n = p->n_options;

	for (size_t i = 0; i < n; i++) {
		const struct sf_option *o = &p->options[i];

		out[i] = (struct option){ o->name, o->arg ? required_argument : no_argument, NULL,
					  (int)(OPT_OWN + i) };
		if (o->arg)
			*(const char **)field(config, o->offset) = o->def;
	}
	memcpy(&out[n], common, sizeof(common));
	memset(&out[n + sizeof(common) / sizeof(common[0])], 0, sizeof(*out));
}

/* Return: 0, 1 (all done) or -EINVAL. *@level is what --log said. */
static int options_take(const struct sf_program *p, void *config, int argc, char **argv,
			const char **level, char *err, size_t errlen)
{
	struct option options[OPTIONS_MAX];
	int opt;

	if (p->n_options + 5 > OPTIONS_MAX)
		return sf_errtext(err, errlen, -E2BIG, "more than %d options", OPTIONS_MAX - 5);
	options_make(p, config, options);
	optind = 0; /* tests parse more than once */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		const struct sf_option *o;

		if (opt == ':' || opt == '?')
			return sf_errtext(err, errlen, -EINVAL, "%s: %s (see --help)",
					  argv[optind - 1],
					  opt == ':' ? "expected a value" : "unknown option");
		if (opt == OPT_LOG)
			*level = optarg;
		if (opt < OPT_OWN) {
			if (opt != OPT_LOG)
				return print_what(p, opt);
			continue;
		}
		o = &p->options[opt - OPT_OWN];
		if (o->arg)
			*(const char **)field(config, o->offset) = optarg;
		else
			*(bool *)field(config, o->offset) = true;
	}
	if (optind < argc)
		return sf_errtext(err, errlen, -EINVAL, "%s: unexpected argument (see --help)",
				  argv[optind]);
	return 0;
}

int sf_program_file(const struct sf_program *p, void *config, char *err, size_t errlen)
{
	const char **file = field(config, p->file_offset);
	int ret;

	if (!*file && !access(p->file, F_OK))
		*file = p->file;
	if (*file)
		return sf_conf_load(*file, p->schema, config, err, errlen);
	ret = sf_conf_defaults(p->schema, config);
	return ret ? sf_errtext(err, errlen, ret, "defaults: %s", strerror(-ret)) : 0;
}

int sf_program_load(const struct sf_program *p, void *config, int argc, char **argv, char *err,
		    size_t errlen)
{
	const char *level = NULL;
	int ret = options_take(p, config, argc, argv, &level, err, errlen);

	if (!ret)
		ret = sf_program_file(p, config, err, errlen);
	if (ret || !level)
		return ret;
	ret = sf_conf_set(p->schema, config, p->section, "log", level, err, errlen);
	if (ret) /* name the option, not the key */
		sf_errtext(err, errlen, ret, "--log %s: expected error, warn, info or debug",
			   level);
	return ret;
}
