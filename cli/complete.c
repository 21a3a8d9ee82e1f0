// SPDX-License-Identifier: Apache-2.0
/*
 * complete.c - scaffold complete WORD...: what may stand in place of the last WORD, one a line.
 *
 * Not shown in the help: packaging/completion/scaffold.bash asks it and filters by what is typed.
 * It knows the table of subcommands with their synopses, services and hosts by name (from whoever
 * listens here), and a lab's nodes and links.
 */
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "cli/complete.h"
#include "cli/hosts.h"
#include "cli/names.h"
#include "cli/services.h"
#include "core/flow.h"

/* Options with a value, and what that is in a synopsis. */
static const struct {
	const char *option, *value;
} valued[] = {
	{ "--host", "HOST" },	{ "--service", "SERVICE" },
	{ "--state", "STATE" }, { "--proto", "PROTO" },
	{ "--limit", "" },	{ "--watch", "" },
	{ "--timeout", "" },	{ "--since", "" },
	{ "--flow", "FLOW" },	{ "--to", "LINK" },
	{ "-c", "" },		{ "-i", "" },
	{ "-W", "" },		{ "-m", "" },
};

/* What stands behind an option, "" for a number; NULL: the option has no value. */
static const char *value_of(const char *option)
{
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++)
		if (!strcmp(valued[i].option, option))
			return valued[i].value;
	return NULL;
}

void sf_cli_complete_options(const char *synopsis)
{
	for (const char *text = synopsis; (text = strstr(text, "--"));) {
		size_t len = 2;

		while (isalnum((unsigned char)text[len]) || text[len] == '-')
			len++;
		if (len > 2)
			printf("%.*s\n", (int)len, text);
		text += len;
	}
}

/* Each name once; sorted rows have equal ones together. Colons split words in bash: names only. */
static void names_print(const json_t *rows, const char *key)
{
	const char *last = "";
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, key));

		if (name && strcmp(name, last) != 0 && !strpbrk(name, ": \n"))
			puts(name);
		last = name ? name : last;
	}
}

/* "list|show": each. */
static void words_print(const char *words)
{
	while (*words) {
		size_t len = strcspn(words, "|");

		printf("%.*s\n", (int)len, words);
		words += len + (words[len] == '|');
	}
}

static void flows_print(const struct sf_cli *cli)
{
	json_t *reply = NULL;
	const json_t *flow;
	char err[256];
	size_t i;

	if (sf_cli_try(cli, SF_AGENT, "GET", "/v1/flows", NULL, &reply, err, sizeof(err)))
		return;
	json_array_foreach (json_object_get(reply, "flows"), i, flow) {
		const char *id = json_string_value(json_object_get(flow, "id"));

		if (id)
			puts(id);
	}
	json_decref(reply);
}

static void interfaces_print(void)
{
	struct if_nameindex *list = if_nameindex();

	for (const struct if_nameindex *l = list; l && l->if_index; l++)
		if (strcmp(l->if_name, "lo") != 0 && strncmp(l->if_name, "sf-", 3) != 0)
			puts(l->if_name);
	if (list)
		if_freenameindex(list);
}

/* Uplinks, as the agent has them; without it, whatever is not our own. */
static void links_print(const struct sf_cli *cli)
{
	json_t *status = NULL;
	const json_t *uplink;
	char err[256];
	size_t i;

	if (sf_cli_try(cli, SF_AGENT, "GET", "/v1/status", NULL, &status, err, sizeof(err))) {
		interfaces_print();
		return;
	}
	json_array_foreach (json_object_get(status, "uplinks"), i, uplink)
		if (json_is_string(json_object_get(uplink, "link")))
			puts(json_string_value(json_object_get(uplink, "link")));
	json_decref(status);
}

/* Of the flows of this host, whichever end has the name. */
static void flow_services_print(const struct sf_cli *cli)
{
	static const char *const ends[] = { "local", "peer" };
	json_t *reply = NULL, *seen = json_object();
	struct sf_names names = { 0 };
	char err[256], sid[SF_ADDR_STRLEN];
	const json_t *flow;
	size_t i;

	sf_names_load(cli, &names);
	if (!sf_cli_try(cli, SF_AGENT, "GET", "/v1/flows", NULL, &reply, err, sizeof(err)))
		json_array_foreach (json_object_get(reply, "flows"), i, flow)
			for (int k = 0; k < 2; k++) {
				const json_t *addr = json_object_get(flow, ends[k]);
				const char *name =
					sf_names_of_addr(&names, json_string_value(addr), sid);

				if (name && !strpbrk(name, ": \n") &&
				    !json_object_get(seen, name) &&
				    !json_object_set_new(seen, name, json_true()))
					puts(name);
			}
	sf_names_free(&names);
	json_decref(reply);
	json_decref(seen);
}

static void kind_print(struct sf_cli *cli, const char *kind)
{
	json_t *rows = NULL;

	if (islower((unsigned char)*kind))
		words_print(kind);
	else if (!strcmp(kind, "SERVICE") && !strcmp(cli->command, "migrate"))
		flow_services_print(cli);
	else if (!strcmp(kind, "SERVICE") &&
		 !sf_services_rows(cli, sf_cli_who(cli), NULL, false, &rows))
		names_print(rows, "service");
	else if (!strcmp(kind, "HOST") && !sf_hosts_rows(cli, sf_cli_who(cli), false, &rows))
		names_print(rows, "host");
	else if (!strcmp(kind, "FLOW"))
		flows_print(cli);
	else if (!strcmp(kind, "LINK"))
		links_print(cli);
	else if (!strcmp(kind, "PROTO"))
		puts("tcp\nudp\nany");
	else if (!strcmp(kind, "STATE"))
		for (unsigned int i = 1; i < SF_FLOW_STATES; i++)
			puts(sf_flow_state_name(i));
	json_decref(rows);
}

/*
 * The @n-th word of a synopsis that is no option: "list|show [SERVICE] [--all] HOST" has
 * "list|show", SERVICE and HOST.
 * Return: false behind the last.
 */
static bool positional(const char *synopsis, int n, char *kind, size_t len)
{
	while (*synopsis) {
		size_t blank = strcspn(synopsis, " "), word;

		if (synopsis[0] == '[' && synopsis[1] == '-') {
			synopsis += strcspn(synopsis, "]"); /* with its value */
			blank = strcspn(synopsis, " ");
		} else if (!n--) {
			synopsis += *synopsis == '[';
			word = islower((unsigned char)*synopsis)
				       ? strcspn(synopsis, " ")
				       : strspn(synopsis, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
			snprintf(kind, len, "%.*s", (int)word, synopsis);
			return true;
		}
		synopsis += blank + strspn(synopsis + blank, " ");
	}
	return false;
}

/* @argv: the words behind the subcommand, the last one being typed. */
static void arguments_print(struct sf_cli *cli, const struct sf_command *command, int argc,
			    char **argv)
{
	const char *value = argc > 1 ? value_of(argv[argc - 2]) : NULL;
	char kind[32];
	int n = 0;

	if (value) {
		kind_print(cli, value);
		return;
	}
	for (int i = 0; i < argc - 1; i++) {
		if (value_of(argv[i]))
			i++;
		else
			n += argv[i][0] != '-';
	}
	if (positional(command->args, n, kind, sizeof(kind)))
		kind_print(cli, kind);
	puts("--json\n--help");
	sf_cli_complete_options(command->args);
}

int sf_cli_complete(struct sf_cli *cli, const struct sf_command *commands, size_t n, int argc,
		    char **argv)
{
	const struct sf_command *found = NULL;
	int at;

	/* The command is the first word that is no global option; the last word is being typed. */
	for (at = 0; at < argc - 1 && !found; at++) {
		if (strcmp(argv[at], "--run") == 0 && at + 1 < argc - 1)
			cli->run = argv[++at];
		else if (strcmp(argv[at], "--controller") == 0 && at + 1 < argc - 1)
			cli->controller = argv[++at];
		for (size_t i = 0; i < n; i++)
			if (strcmp(argv[at], commands[i].name) == 0)
				found = &commands[i];
	}
	if (!found) {
		puts("--json\n--help\n--run\n--controller\n--version");
		for (size_t i = 0; i < n; i++)
			puts(commands[i].name);
		return 0;
	}
	cli->command = found->name;
	if (strcmp(found->name, "lab") != 0) {
		arguments_print(cli, found, argc - at, argv + at);
		return 0;
	}
	puts("--json\n--help");
	sf_cli_complete_options(found->args);
	sf_cli_complete_lab(cli, argc - at, argv + at - 1);
	return 0;
}
