// SPDX-License-Identifier: Apache-2.0
/* lab.c - scaffold lab: what the lab room can do, by words. See lab/lab.h, scaffold-lab(1). */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/lab.h"
#include "lab/lab.h"
#include "lab/plan.h"

/* Says what is wrong with the command line, and where to read on. */
static int misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int misuse(const char *fmt, ...)
{
	va_list args;

	fputs("scaffold lab: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs(" ('scaffold lab help' tells more)\n", stderr);
	return SF_EXIT_USAGE;
}

struct lab_args {
	const char *name; /* --name, or what was chosen; see name_choose() */
	char only[NAME_MAX + 1];
	const char *from;
	struct sf_lab_move move;
	struct sf_lab_options up;
	bool tls_off, help;
	int argc; /* words, [0] is the verb */
	char **argv;
};

struct verb {
	const char *name;
	int (*run)(struct sf_cli *cli, struct lab_args *a);
	bool on_lab; /* that is there */
	enum { TAKES_NOTHING, TAKES_TOPOLOGY, TAKES_NODE, TAKES_HOST, TAKES_LINK } takes;
	const char *args, *help;
	const char *options; /* a line each; NULL: none but --name */
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void signals_catch(void)
{
	const struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int value_print(const struct sf_cli *cli, json_t *value)
{
	int r = value ? sf_cli_value(value) : sf_cli_fail(cli, "out of memory");

	json_decref(value);
	return r;
}

static void say(void *ctx, const char *line)
{
	const struct lab_args *a = ctx;

	fprintf(stderr, "lab %s: %s\n", a->name, line);
}

/* ---- which lab -------------------------------------------------------------------------- */

/* The labs that there are: the first, how many, and all in one line. */
struct labs {
	char first[NAME_MAX + 1];
	char all[512];
	unsigned int n;
};

static int labs_add(const char *name, void *ctx)
{
	struct labs *l = ctx;
	size_t len = strlen(l->all);

	if (!l->n++)
		snprintf(l->first, sizeof(l->first), "%s", name);
	snprintf(l->all + len, sizeof(l->all) - len, "%s%s", len ? ", " : "", name);
	return 0;
}

/* Without --name, the only lab there is. */
static int name_choose(const struct sf_cli *cli, struct lab_args *a)
{
	struct labs labs = { .n = 0 };
	int r = a->name ? 0 : sf_lab_list(cli->run, labs_add, &labs);

	if (a->name)
		return 0;
	if (r)
		return sf_cli_fail(cli, "%s/lab: %s", cli->run, strerror(-r));
	if (!labs.n)
		return sf_cli_fail(cli, "no lab is up in %s: 'scaffold lab up' makes one",
				   cli->run);
	if (labs.n > 1)
		return misuse("%u labs are up: say which by --name: %s", labs.n, labs.all);
	snprintf(a->only, sizeof(a->only), "%s", labs.first);
	a->name = a->only;
	return 0;
}

/* ---- up, down --------------------------------------------------------------------------- */

static int run_up(struct sf_cli *cli, struct lab_args *a)
{
	const char *what = a->argc > 1 ? a->argv[1] : "fig6";
	char err[SF_LAB_ERR] = "", down[SF_LAB_ERR] = "", *text;
	struct sf_lab lab;
	int r;

	if (a->argc > 2)
		return misuse("one topology at a time");
	if (!a->name)
		a->name = SF_LAB_DEFAULT;
	signals_catch();
	r = sf_topology_text(what, &text, err, sizeof(err));
	if (r)
		return sf_cli_fail(cli, "%s", err);
	r = sf_lab_create(&lab, cli->run, a->name, text, what, &a->up, err, sizeof(err));
	free(text);
	if (r)
		return sf_cli_fail(cli, "%s", err);
	lab.say = say;
	lab.say_ctx = a;
	r = sf_lab_up(&lab, &stop, err, sizeof(err));
	if (!r) {
		say(a, a->up.daemons ? "up, every host has joined" : "up, without daemons");
		sf_lab_close(&lab);
		return 0;
	}
	sf_cli_fail(cli, "%s", err);
	if (a->up.keep) {
		say(a, "left as it is");
		sf_lab_close(&lab);
	} else if (sf_lab_down(&lab, down, sizeof(down))) {
		sf_cli_fail(cli, "taking it down again: %s", down);
	}
	return SF_EXIT_FAILED;
}

static int run_down(struct sf_cli *cli, struct lab_args *a)
{
	char err[SF_LAB_ERR] = "";
	struct sf_lab lab;
	int r = sf_lab_open(&lab, cli->run, a->name, true, err, sizeof(err));

	if (r == -EBADMSG) {
		sf_cli_fail(cli, "%s; going by the name alone", err);
		r = sf_lab_sweep(cli->run, a->name, err, sizeof(err));
	} else if (!r) {
		lab.say = say;
		lab.say_ctx = a;
		r = sf_lab_down(&lab, err, sizeof(err));
	}
	return r ? sf_cli_fail(cli, "%s", *err ? err : strerror(-r)) : 0;
}

/* ---- exec, address, link ---------------------------------------------------------------- */

static int lab_open(struct sf_cli *cli, struct lab_args *a, struct sf_lab *lab, bool lock)
{
	char err[SF_LAB_ERR] = "";
	int r = sf_lab_open(lab, cli->run, a->name, lock, err, sizeof(err));

	if (r)
		sf_cli_fail(cli, "%s", err);
	return r;
}

/* So that `scaffold` means this very program on the nodes, too. */
static void path_extend(void)
{
	char self[PATH_MAX], *slash, *longer = NULL;
	const char *path = getenv("PATH");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 || !path)
		return;
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	if (!strstr(path, self) && asprintf(&longer, "%s:%s", self, path) > 0)
		setenv("PATH", longer, 1);
	free(longer);
}

static int run_exec(struct sf_cli *cli, struct lab_args *a)
{
	char err[SF_LAB_ERR] = "";
	struct sf_lab lab;
	char **command = a->argv + 2;

	if (a->argc > 2 && strcmp(command[0], "--") == 0)
		command++;
	else if (a->argc > 2)
		return misuse("write '--' between node and command");
	if (a->argc < 2 || !command[0])
		return misuse("expected NODE -- COMMAND");
	if (lab_open(cli, a, &lab, false))
		return SF_EXIT_FAILED;
	if (sf_lab_enter(&lab, a->argv[1], err, sizeof(err)))
		return sf_cli_fail(cli, "%s", err);
	sf_lab_close(&lab);
	path_extend();
	execvp(command[0], command);
	sf_cli_fail(cli, "%s: %s", command[0], strerror(errno));
	return errno == ENOENT ? 127 : 126; /* as shells do */
}

static int run_address(struct sf_cli *cli, struct lab_args *a)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	struct sf_lab lab;
	int node;

	if (a->argc != 2)
		return misuse("expected one NODE");
	if (lab_open(cli, a, &lab, false))
		return SF_EXIT_FAILED;
	node = sf_topology_node(&lab.topology, a->argv[1], strlen(a->argv[1]));
	sf_lab_close(&lab);
	if (node < 0)
		return sf_cli_fail(cli, "lab %s has no node '%s'", a->name, a->argv[1]);
	address = sf_plan_address((unsigned int)node);
	puts(inet_ntop(AF_INET6, &address, text, sizeof(text)));
	return 0;
}

static int run_links(struct sf_cli *cli, struct lab_args *a)
{
	struct sf_lab lab;
	json_t *status;

	if (lab_open(cli, a, &lab, false))
		return SF_EXIT_FAILED;
	status = sf_lab_links(&lab);
	sf_lab_close(&lab);
	if (cli->json || !status)
		return value_print(cli, status);
	return sf_cli_lab_print(cli, status);
}

static int run_link(struct sf_cli *cli, struct lab_args *a)
{
	struct sf_lab_change change = { .from = a->from };
	char err[SF_LAB_ERR] = "";
	struct sf_lab lab;
	int r;

	if (a->argc < 2)
		return run_links(cli, a);
	if (a->argc < 3)
		return misuse("expected A-B and what to change");
	change.link = a->argv[1];
	change.words = (const char *const *)a->argv + 2;
	change.n_words = (size_t)a->argc - 2;
	if (lab_open(cli, a, &lab, true))
		return SF_EXIT_FAILED;
	r = sf_lab_link_change(&lab, &change, err, sizeof(err));
	sf_lab_close(&lab);
	return r ? sf_cli_fail(cli, "%s", err) : 0;
}

static int moved_print(const struct lab_args *a, const struct sf_lab_moved *m)
{
	printf("%s is at %s", a->move.node, a->move.to);
	if (m->broken_ns && m->made_ns)
		printf(", after %.1f ms without a link", (double)(m->made_ns - m->broken_ns) / 1e6);
	putchar('\n');
	return 0;
}

static int run_move(struct sf_cli *cli, struct lab_args *a)
{
	struct sf_lab_moved moved;
	char err[SF_LAB_ERR] = "";
	struct sf_lab lab;
	int r;

	if (a->argc != 2 || !a->move.to)
		return misuse("expected NODE --to ROUTER");
	if (a->move.overlap && a->move.gap_ns)
		return misuse("--overlap leaves no --gap");
	a->move.node = a->argv[1];
	if (lab_open(cli, a, &lab, true))
		return SF_EXIT_FAILED;
	r = sf_lab_move(&lab, &a->move, &moved, err, sizeof(err));
	sf_lab_close(&lab);
	if (r)
		return sf_cli_fail(cli, "%s", err);
	if (!cli->json)
		return moved_print(a, &moved);
	return value_print(cli, json_pack("{s:s, s:s, s:I, s:I}", "node", a->move.node, "to",
					  a->move.to, "broken_ns", (json_int_t)moved.broken_ns,
					  "made_ns", (json_int_t)moved.made_ns));
}

/* ---- stop, kill, start, restart --------------------------------------------------------- */

static int run_act(struct sf_cli *cli, struct lab_args *a, enum sf_lab_act act)
{
	char err[SF_LAB_ERR] = "";
	struct sf_lab lab;
	int r = 0;

	if (a->argc < 2)
		return misuse("expected NODE");
	if (lab_open(cli, a, &lab, true))
		return SF_EXIT_FAILED;
	signals_catch();
	lab.options.timeout_ms = a->up.timeout_ms;
	lab.say = say;
	lab.say_ctx = a;
	for (int i = 1; i < a->argc && !r; i++)
		r = sf_lab_node(&lab, a->argv[i], act, &stop, err, sizeof(err));
	sf_lab_close(&lab);
	return r ? sf_cli_fail(cli, "%s", err) : 0;
}

static int run_stop(struct sf_cli *cli, struct lab_args *a)
{
	return run_act(cli, a, SF_LAB_STOP);
}

static int run_kill(struct sf_cli *cli, struct lab_args *a)
{
	return run_act(cli, a, SF_LAB_KILL);
}

static int run_start(struct sf_cli *cli, struct lab_args *a)
{
	return run_act(cli, a, SF_LAB_START);
}

static int run_restart(struct sf_cli *cli, struct lab_args *a)
{
	return run_act(cli, a, SF_LAB_RESTART);
}

/* ---- status, list, topologies ----------------------------------------------------------- */

static int run_status(struct sf_cli *cli, struct lab_args *a)
{
	struct sf_lab lab;
	json_t *status;

	if (lab_open(cli, a, &lab, false))
		return SF_EXIT_FAILED;
	status = sf_lab_status(&lab);
	sf_lab_close(&lab);
	if (cli->json || !status)
		return value_print(cli, status);
	return sf_cli_lab_print(cli, status);
}

static int list_name(const char *name, void *ctx)
{
	if (ctx)
		json_array_append_new(ctx, json_string(name));
	else
		puts(name);
	return 0;
}

static int run_list(struct sf_cli *cli, struct lab_args *a)
{
	json_t *names = cli->json ? json_array() : NULL;
	int r = sf_lab_list(cli->run, list_name, names);

	(void)a;
	if (r) {
		json_decref(names);
		return sf_cli_fail(cli, "%s/lab: %s", cli->run, strerror(-r));
	}
	return cli->json ? value_print(cli, names) : 0;
}

static int run_topologies(struct sf_cli *cli, struct lab_args *a)
{
	char err[SF_LAB_ERR] = "", *text;

	if (a->argc > 1) {
		if (sf_topology_text(a->argv[1], &text, err, sizeof(err)))
			return sf_cli_fail(cli, "%s", err);
		fputs(text, stdout);
		free(text);
		return 0;
	}
	for (const struct sf_builtin *b = sf_builtins; b->name; b++)
		puts(b->name);
	puts("line:N\nstar:N");
	return 0;
}

/* ---- options ---------------------------------------------------------------------------- */

#define TIMEOUT_HELP "  --timeout S      seconds for daemons to be ready (default 30)\n"

/* In the order in which completion and help show them. */
static const struct verb verbs[] = {
	{ "up", run_up, false, TAKES_TOPOLOGY, "[OPTION]... [TOPOLOGY]",
	  "fig6 (default), pair, line:N, a file ...",
	  "  --no-daemons     the network alone, for baselines\n"
	  "  --emulate        every link through the link emulator, to change it later\n"
	  "  --plain-control  no TLS between routers and controller\n"
	  "  --seed N         of the emulator's randomness (default 1)\n"
	  "  --keep           after a failure, leave what was built\n" TIMEOUT_HELP },
	{ "down", run_down, true, TAKES_NOTHING, "", "end it, leave nothing", NULL },
	{ "status", run_status, true, TAKES_NOTHING, "", "nodes, daemons, links", NULL },
	{ "exec", run_exec, true, TAKES_NODE, "NODE -- COMMAND...", "run a command on a node",
	  NULL },
	{ "stop", run_stop, true, TAKES_NODE, "NODE...", "end a node's daemon, as SIGTERM does",
	  NULL },
	{ "kill", run_kill, true, TAKES_NODE, "NODE...", "end a node's daemon by SIGKILL", NULL },
	{ "start", run_start, true, TAKES_NODE, "[OPTION] NODE...", "start a node's daemon",
	  TIMEOUT_HELP },
	{ "restart", run_restart, true, TAKES_NODE, "[OPTION] NODE...", "stop, and start",
	  TIMEOUT_HELP },
	{ "link", run_link, true, TAKES_LINK, "[OPTION] [A-B CHANGE...]",
	  "up, down, clear, delay=20ms, loss=1% ...; alone: what links do",
	  "  --from NODE      change only what NODE sends\n" },
	{ "move", run_move, true, TAKES_HOST, "NODE --to ROUTER [OPTION]",
	  "a host changes networks",
	  "  --to ROUTER      its link to this one comes up, when the others have gone down\n"
	  "  --gap TIME       that much later, such as 20ms (default 0); where that link is up\n"
	  "                   already, it goes down meanwhile\n"
	  "  --overlap        the others stay as they are\n" },
	{ "address", run_address, true, TAKES_NODE, "NODE", "a node's native address", NULL },
	{ "list", run_list, false, TAKES_NOTHING, "", "labs that there are", NULL },
	{ "topologies", run_topologies, false, TAKES_TOPOLOGY, "[NAME]",
	  "built-in topologies, or one's text", NULL },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	return NULL;
}

#define NAME_HELP \
	"  --name NAME      which lab; without, the only one there is, and 'up' makes sf\n"

/* @verb: NULL: all. */
static int help_print(const struct verb *verb)
{
	if (verb) {
		printf("usage: scaffold lab %s%s%s\n%s\n\n", verb->name, *verb->args ? " " : "",
		       verb->args, verb->help);
		fputs(verb->options ? verb->options : "", stdout);
		fputs(verb->on_lab || verb->run == run_up ? NAME_HELP : "", stdout);
		return 0;
	}
	fputs("usage: scaffold lab VERB ...\n\n", stdout);
	for (size_t i = 0; i < N_VERBS; i++)
		printf("  %-10s %-26s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	fputs("\n" NAME_HELP
	      "\n'scaffold lab VERB --help' has its options, scaffold-lab(1) topologies and "
	      "links.\n",
	      stdout);
	return 0;
}

static int number(const char *option, const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || *out > max)
		return misuse("%s: got '%s', expected a number up to %llu", option, text,
			      (unsigned long long)max);
	return 0;
}

static int gap_parse(const char *text, uint64_t *ns)
{
	struct sf_emulation e = { 0 };
	const char *expected = "";

	if (sf_emulation_set(&e, "delay", text, &expected))
		return misuse("--gap: got '%s', expected %s", text, expected);
	*ns = e.delay_us * 1000ull;
	return 0;
}

/* What one option says. Return: 0 or SF_EXIT_USAGE. */
static int arg_take(struct lab_args *a, int c)
{
	uint64_t seconds;

	switch (c) {
	case 'n':
		a->name = optarg;
		return 0;
	case 'D':
		a->up.daemons = false;
		return 0;
	case 'e':
		a->up.emulator = true;
		return 0;
	case 'p':
		a->up.tls = false;
		return 0;
	case 'k':
		a->up.keep = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	case 'f':
		a->from = optarg;
		return 0;
	case 'T':
		a->move.to = optarg;
		return 0;
	case 'o':
		a->move.overlap = true;
		return 0;
	case 'g':
		return gap_parse(optarg, &a->move.gap_ns);
	case 's':
		return number("--seed", optarg, INT64_MAX, &a->up.seed);
	default:
		if (number("--timeout", optarg, 86400, &seconds))
			return SF_EXIT_USAGE;
		a->up.timeout_ms = (unsigned int)seconds * 1000;
		return 0;
	}
}

static int args_parse(struct lab_args *a, int argc, char **argv)
{
	static const struct option options[] = { { "name", required_argument, NULL, 'n' },
						 { "no-daemons", no_argument, NULL, 'D' },
						 { "emulate", no_argument, NULL, 'e' },
						 { "plain-control", no_argument, NULL, 'p' },
						 { "seed", required_argument, NULL, 's' },
						 { "timeout", required_argument, NULL, 't' },
						 { "keep", no_argument, NULL, 'k' },
						 { "from", required_argument, NULL, 'f' },
						 { "to", required_argument, NULL, 'T' },
						 { "gap", required_argument, NULL, 'g' },
						 { "overlap", no_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int end = 1, c;

	while (end < argc && strcmp(argv[end], "--") != 0)
		end++; /* what is behind belongs to the command of exec */
	optind = 0;    /* afresh: main() has parsed, too */
	opterr = 0;
	while ((c = getopt_long(end, argv, ":h", options, NULL)) >= 0) {
		if (c == ':')
			return misuse("%s: value missing", argv[optind - 1]);
		if (c == '?')
			return misuse("no option '%s'", argv[optind - 1]);
		if (arg_take(a, c))
			return SF_EXIT_USAGE;
	}
	a->argc = argc - optind;
	a->argv = argv + optind;
	return 0;
}

int cmd_lab(struct sf_cli *cli, int argc, char **argv)
{
	struct lab_args a = {
		.up = { .daemons = true, .tls = true, .seed = 1, .timeout_ms = 30000 }
	};
	const struct verb *verb;
	int r = args_parse(&a, argc, argv);

	if (r)
		return r;
	if (a.argc && !strcmp(a.argv[0], "help")) {
		a.help = true;
		a.argc--;
		a.argv++;
	}
	if (!a.argc)
		return a.help ? help_print(NULL)
			      : misuse("what? expected up, down, status, exec, link ...");
	verb = verb_find(a.argv[0]);
	if (!verb)
		return misuse("no 'lab %s'", a.argv[0]);
	if (a.help)
		return help_print(verb);
	r = verb->on_lab ? name_choose(cli, &a) : 0;
	return r ? r : verb->run(cli, &a);
}

/* ---- completion ------------------------------------------------------------------------- */

enum { HOSTS = 1 << SF_NODE_HOST, ROUTERS = 1 << SF_NODE_ROUTER, ALL_NODES = ~0 };

static void nodes_print(const struct sf_topology *t, int kinds)
{
	for (size_t i = 0; i < t->n_nodes; i++)
		if (kinds & 1 << t->nodes[i].kind)
			puts(t->nodes[i].name);
}

static void links_print(const struct sf_topology *t)
{
	char name[SF_LINK_NAME];

	for (size_t i = 0; i < t->n_links; i++)
		puts(sf_topology_link_name(t, (unsigned int)i, name));
	puts("up\ndown\nclear\ndelay=\nloss=\nrate=\nreorder=\nduplicate=\njitter=\nburst=");
}

void sf_cli_complete_lab(const struct sf_cli *cli, int argc, char **argv)
{
	const char *name = NULL, *first = NULL;
	const struct verb *verb = NULL;
	struct labs labs = { .n = 0 };
	char err[SF_LAB_ERR];
	struct sf_lab lab;
	const char *last = argc > 1 ? argv[argc - 1] : "";
	bool to = !strcmp(last, "--to"), from = !strcmp(last, "--from");

	if (!strcmp(last, "--name")) {
		(void)sf_lab_list(cli->run, list_name, NULL); /* none: nothing to offer */
		return;
	}
	if (!strcmp(last, "--gap") || !strcmp(last, "--seed") || !strcmp(last, "--timeout"))
		return;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--name") == 0)
			name = i + 1 < argc ? argv[++i] : NULL;
		else if (argv[i][0] != '-' && !first)
			first = argv[i];
	}
	verb = first ? verb_find(first) : NULL;
	if (!to && !from) {
		puts("--name");
		sf_cli_complete_options(verb && verb->options ? verb->options : "");
	}
	if (!first) {
		for (size_t i = 0; i < N_VERBS; i++)
			puts(verbs[i].name);
		return;
	}
	if (!verb || verb->takes == TAKES_NOTHING)
		return;
	if (verb->takes == TAKES_TOPOLOGY)
		for (const struct sf_builtin *b = sf_builtins; b->name; b++)
			puts(b->name);
	if (!verb->on_lab || (!name && (sf_lab_list(cli->run, labs_add, &labs) || labs.n != 1)))
		return;
	if (sf_lab_open(&lab, cli->run, name ? name : labs.first, false, err, sizeof(err)))
		return;
	if (to)
		nodes_print(&lab.topology, ROUTERS);
	else if (from)
		nodes_print(&lab.topology, ALL_NODES);
	else if (verb->takes == TAKES_LINK)
		links_print(&lab.topology);
	else
		nodes_print(&lab.topology, verb->takes == TAKES_HOST ? HOSTS : ALL_NODES);
	sf_lab_close(&lab);
}
