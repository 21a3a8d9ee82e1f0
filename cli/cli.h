// SPDX-License-Identifier: Apache-2.0
/*
 * cli.h - the frame of the scaffold command: what every subcommand gets and may use.
 *
 * A subcommand is a function in a file of its own and a line in the table of main.c. It prints
 * tables for people, or with --json exactly one JSON value (or JSON lines for streams) on standard
 * output. Errors go to standard error as "scaffold COMMAND: what: where"; exit status 0 done,
 * 1 failed, 2 wrong usage.
 */
#ifndef SF_CLI_CLI_H
#define SF_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/name.h"

struct sf_httpc;

/** struct sf_cli - global options, and the command that runs. */
struct sf_cli {
	const char *run;	/* --run, $SCAFFOLD_RUN, /run/scaffold */
	const char *controller; /* --controller URL; NULL: RUN/controller.sock */
	const char *token;	/* $SCAFFOLD_TOKEN, for a controller over https */
	const char *ca;		/* $SCAFFOLD_CA */
	const char *command;
	bool json;
};

/**
 * struct sf_command - a subcommand.
 * @args: synopsis of its arguments
 * @help: one line
 * @call: returns the exit status; argv[0] is the command's name
 */
struct sf_command {
	const char *name;
	const char *args;
	const char *help;
	int (*call)(struct sf_cli *cli, int argc, char **argv);
};

#define SF_EXIT_FAILED 1
#define SF_EXIT_USAGE  2

/** sf_cli_main() - the whole command. Return: exit status. */
int sf_cli_main(int argc, char **argv);

/** sf_cli_usage() - print the synopsis of the running command. Return: SF_EXIT_USAGE. */
int sf_cli_usage(const struct sf_cli *cli);

/** sf_cli_fail() - print "scaffold COMMAND: ...". Return: SF_EXIT_FAILED. */
int sf_cli_fail(const struct sf_cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * enum sf_daemon_kind - whom to ask.
 * SF_ANYBODY: none in particular; sf_cli_who() finds the controller if there is one here, else the
 * router, else the host agent.
 */
enum sf_daemon_kind { SF_AGENT, SF_ROUTER, SF_CONTROLLER, SF_ANYBODY };

/** enum sf_daemon_found - what is at a daemon's socket. */
enum sf_daemon_found {
	SF_DAEMON_NONE,	     /* no socket */
	SF_DAEMON_LISTENS,   /* somebody listens (a --controller is taken to) */
	SF_DAEMON_DEAD,	     /* a socket that a killed daemon left */
	SF_DAEMON_FORBIDDEN, /* this user may not ask it */
};

/** sf_cli_find() - look at a daemon's socket in the run directory (or --controller). */
enum sf_daemon_found sf_cli_find(const struct sf_cli *cli, enum sf_daemon_kind kind);

/** sf_cli_has() - whether a daemon of this kind listens here. */
bool sf_cli_has(const struct sf_cli *cli, enum sf_daemon_kind kind);

/**
 * sf_cli_who() - the one to ask: who listens, and may be asked.
 * Return: SF_ANYBODY where nobody does; calls then fail with a message that says so.
 */
enum sf_daemon_kind sf_cli_who(const struct sf_cli *cli);

/** sf_cli_daemon_name() - "agent", "router", "controller". */
const char *sf_cli_daemon_name(enum sf_daemon_kind kind);

/**
 * sf_cli_call() - one REST call; failures are printed.
 * @reply: the caller's to json_decref(); may be NULL
 * Return: 0 or -errno (see sf_httpc_call()).
 */
int sf_cli_call(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *method,
		const char *path, const json_t *body, json_t **reply);

/** sf_cli_try() - sf_cli_call() that leaves a failure to the caller: its text goes to @err. */
int sf_cli_try(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *method,
	       const char *path, const json_t *body, json_t **reply, char *err, size_t errlen);

/**
 * sf_cli_get() - GET a path that is made like printf's; each %s is percent-encoded, so that it may
 * hold what people typed. Only %s may stand in @fmt. Failures are printed.
 */
int sf_cli_get(const struct sf_cli *cli, enum sf_daemon_kind kind, json_t **reply, const char *fmt,
	       ...);

/**
 * sf_cli_path() - the same path alone, for other methods.
 * Return: to be freed; NULL without memory.
 */
char *sf_cli_path(const char *fmt, ...);

/**
 * sf_cli_pages() - a list of the controller's, all pages of it; failures are printed.
 * @path: of the list, with or without a query
 * @list: its key in the replies
 * @reply: the first page, with the rows of all; the caller's
 * Return: 0 or -errno. Where a page's first row goes meanwhile, the list is begun anew.
 */
int sf_cli_pages(const struct sf_cli *cli, const char *path, const char *list, json_t **reply);

/** sf_cli_client() - a client for streams; failures are printed. Return: NULL on failure. */
struct sf_httpc *sf_cli_client(const struct sf_cli *cli, enum sf_daemon_kind kind);

/** sf_cli_net() - the network's prefixes as the local daemons know them, else the defaults. */
struct sf_net sf_cli_net(const struct sf_cli *cli);

/** sf_cli_sid() - a service from the command line in any form; failures are printed. */
int sf_cli_sid(const struct sf_cli *cli, const char *text, struct sf_sid *out);

/** How a column shows a JSON value. */
enum sf_show {
	SF_SHOW_TEXT,  /* strings, numbers and booleans as they are; arrays joined by a comma */
	SF_SHOW_COUNT, /* 1.2k */
	SF_SHOW_BYTES, /* 3.4 MiB */
	SF_SHOW_MS,    /* milliseconds as a duration */
	SF_SHOW_ADDR,  /* a locator with its socketID shortened */
	SF_SHOW_TIME,  /* ISO 8601 in UTC, as the second in the reader's time zone */
};

/** struct sf_show_column - title, key in each row's object ("a.b" descends), how to show it. */
struct sf_show_column {
	const char *title;
	const char *key;
	enum sf_show show;
};

/**
 * sf_cli_rows() - print an array of objects as a table, or as it is with --json.
 * Return: exit status.
 */
int sf_cli_rows(const struct sf_cli *cli, const json_t *rows, const struct sf_show_column *columns,
		size_t n);

/**
 * sf_cli_heading() - "services known to the controller:", on a terminal only, and not with --json.
 */
void sf_cli_heading(const struct sf_cli *cli, const char *what, enum sf_daemon_kind who);

/** sf_cli_none() - "no services are known to the agent", to standard error, not with --json. */
void sf_cli_none(const struct sf_cli *cli, const json_t *rows, const char *what,
		 enum sf_daemon_kind who);

/**
 * sf_cli_sort() - sort an array of objects by keys whose values are strings, integers or null.
 * Return: a new array with the same rows; NULL without memory.
 */
json_t *sf_cli_sort(const json_t *rows, const char *const *keys, size_t n_keys);

/** sf_cli_time() - the second of an ISO time in the reader's time zone; "-" for NULL. */
char *sf_cli_time(const char *iso, char *buf, size_t len);

/** sf_cli_value() - print one JSON value, indented. Return: exit status. */
int sf_cli_value(const json_t *value);

/* Subcommands, one file each. */
#define SF_COMMAND(name) int cmd_##name(struct sf_cli *cli, int argc, char **argv)
SF_COMMAND(status);
SF_COMMAND(hosts);
SF_COMMAND(routers);
SF_COMMAND(services);
SF_COMMAND(flows);
SF_COMMAND(migrate);
SF_COMMAND(events);
SF_COMMAND(register);
SF_COMMAND(unregister);
SF_COMMAND(weight);
SF_COMMAND(drain);
SF_COMMAND(undrain);
SF_COMMAND(shed);
SF_COMMAND(policy);
SF_COMMAND(id);
SF_COMMAND(run);
SF_COMMAND(ping);
SF_COMMAND(trace);
SF_COMMAND(lab);

#endif
