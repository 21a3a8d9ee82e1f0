// SPDX-License-Identifier: Apache-2.0
/* util/conf: a file of every type, and every way to get one wrong, with the words that the user
 * reads. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/conf.h"

struct link_conf {
	char name[16];
	uint32_t rate;
	char *note;
	bool used;
};

struct test_conf {
	char *name;
	bool on;
	uint16_t port;
	uint32_t count;
	uint32_t wait;
	struct in6_addr router;
	struct sockaddr_storage listen;
	struct sf_ip6_prefix net;
	int mode;
	struct sf_conf_list words, fruit;
	struct link_conf links[2];
};

static const char *const modes[] = { "tc", "xdp", NULL };

#define KEY(sec, k, ty, field, ...)                                                                \
	{                                                                                          \
		.section = sec, .key = k, .type = ty, .offset = offsetof(struct test_conf, field), \
		__VA_ARGS__                                                                        \
	}
#define LINK(k, ty, field, ...)                                          \
	{                                                                \
		.section = "link", .key = k, .type = ty,                 \
		.offset = offsetof(struct link_conf, field), __VA_ARGS__ \
	}

static bool is_fruit(const char *text)
{
	return !strcmp(text, "apple") || !strcmp(text, "pear");
}

static const struct sf_conf_key keys[] = {
	KEY("host", "name", SF_CONF_STRING, name, .def = "nobody", .help = "Shown to people"),
	KEY("host", "on", SF_CONF_BOOL, on, .def = "yes"),
	KEY("host", "port", SF_CONF_U16, port, .def = "24158", .min = 1, .max = 65535),
	KEY("host", "count", SF_CONF_U32, count),
	KEY("host", "wait", SF_CONF_DURATION, wait, .def = "5s"),
	KEY("net", "router", SF_CONF_ADDRESS, router),
	KEY("net", "listen", SF_CONF_ENDPOINT, listen),
	KEY("net", "prefix", SF_CONF_PREFIX, net, .def = "fd5c::/16"),
	KEY("net", "mode", SF_CONF_ENUM, mode, .def = "tc", .choices = modes),
	KEY("net", "words", SF_CONF_LIST, words, .def = "one two"),
	KEY("net", "fruit", SF_CONF_LIST, fruit, .check = is_fruit, .expects = "apples and pears"),
	LINK("rate", SF_CONF_U32, rate, .def = "7"),
	LINK("note", SF_CONF_STRING, note, .required = true),
};

static void *link_object(void *out, const char *name, char *err, size_t err_len)
{
	struct test_conf *c = out;

	for (size_t i = 0; i < 2; i++) {
		if (c->links[i].used)
			continue;
		c->links[i].used = true;
		snprintf(c->links[i].name, sizeof(c->links[i].name), "%s", name);
		return &c->links[i];
	}
	snprintf(err, err_len, "more than 2 links");
	return NULL;
}

static const struct sf_conf_section sections[] = { { "link", link_object } };
static const struct sf_conf_schema schema = { keys, sizeof(keys) / sizeof(*keys), sections, 1 };

static char path[] = "/tmp/scaffold_conf_test.XXXXXX";

static int load(const char *text, struct test_conf *c, char *err)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	memset(c, 0, sizeof(*c));
	err[0] = '\0';
	return sf_conf_load(path, &schema, c, err, 256);
}

static void release(struct test_conf *c)
{
	sf_conf_free(&schema, c);
	sf_conf_free_object(&schema, "link", &c->links[0]);
	sf_conf_free_object(&schema, "link", &c->links[1]);
}

static void defaults_hold(void **state)
{
	struct test_conf c;
	char err[256];

	assert_int_equal(load("# nothing\n", &c, err), 0);
	assert_string_equal(c.name, "nobody");
	assert_true(c.on);
	assert_int_equal(c.port, 24158);
	assert_int_equal(c.wait, 5000);
	assert_int_equal(c.net.len, 16);
	assert_int_equal(c.mode, 0);
	assert_int_equal(c.words.count, 2);
	assert_string_equal(c.words.items[1], "two");
	release(&c);
	assert_null(c.name);
}

static void every_type(void **state)
{
	static const char text[] = "\xef\xbb\xbf[host]\n"
				   "  name = web server ; who\n"
				   "on=off\n"
				   "port = 0x50\n"
				   "\tcount: 4294967295\n"
				   "wait = 250ms\n"
				   "[net]\n"
				   "router = fd5c::7\n"
				   "listen = [::1]:443\n"
				   "prefix = fd5e::/32\n"
				   "mode = xdp\n"
				   "words = a, b\n"
				   "words = c\n"
				   "fruit = pear, apple\n"
				   "[link eth0]\n"
				   "note = up\n"
				   "rate = 100\n"
				   "[link  eth1]\n"
				   "note = \n";
	struct sockaddr_in6 *listen;
	struct test_conf c;
	char err[256], addr[64];

	assert_int_equal(load(text, &c, err), 0);
	assert_string_equal(c.name, "web server");
	assert_false(c.on);
	assert_int_equal(c.port, 80);
	assert_int_equal(c.count, UINT32_MAX);
	assert_int_equal(c.wait, 250);
	assert_string_equal(inet_ntop(AF_INET6, &c.router, addr, sizeof(addr)), "fd5c::7");
	listen = (void *)&c.listen;
	assert_int_equal(listen->sin6_family, AF_INET6);
	assert_int_equal(ntohs(listen->sin6_port), 443);
	assert_int_equal(c.net.len, 32);
	assert_int_equal(c.mode, 1);
	assert_int_equal(c.words.count, 3);
	assert_string_equal(c.words.items[0], "a");
	assert_string_equal(c.words.items[2], "c");
	assert_int_equal(c.fruit.count, 2);
	assert_string_equal(c.links[0].name, "eth0");
	assert_int_equal(c.links[0].rate, 100);
	assert_string_equal(c.links[0].note, "up");
	assert_string_equal(c.links[1].name, "eth1");
	assert_int_equal(c.links[1].rate, 7);
	assert_string_equal(c.links[1].note, "");
	release(&c);
}

static void errors_name_the_place(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "[host]\nnme = x\n", ":2: nme: unknown key in [host]" },
		{ "[hsot]\n", ":1: [hsot]: unknown section" },
		{ "x = 1\n", ":1: x: unknown key in []" },
		{ "[host]\non = maybe\n", ":2: on: got 'maybe', expected yes or no" },
		{ "[host]\n\nport = 65536\n",
		  ":3: port: got '65536', expected a number from 1 to 65535" },
		{ "[host]\nport = 0\n", ":2: port: got '0', expected a number from 1 to 65535" },
		{ "[host]\ncount = -1\n",
		  ":2: count: got '-1', expected a number from 0 to 4294967295" },
		{ "[host]\ncount =\n",
		  ":2: count: got '', expected a number from 0 to 4294967295" },
		{ "[host]\ncount = 4294967296\n",
		  ":2: count: got '4294967296', expected a number from 0 to 4294967295" },
		{ "[host]\nwait = 5\n",
		  ":2: wait: got '5', expected a duration such as 250ms, 5s or 2m" },
		{ "[net]\nrouter = 1.2.3.4\n",
		  ":2: router: got '1.2.3.4', expected an IPv6 address" },
		{ "[net]\nmode = ebpf\n", ":2: mode: got 'ebpf', expected one of tc, xdp" },
		{ "[net]\nprefix = fd5c::1/16\n",
		  ":2: prefix: got 'fd5c::1/16', expected an IPv6 prefix such as "
		  "fd5c::/16, without bits behind its length" },
		{ "[net]\nfruit = apple,plum\n",
		  ":2: fruit: got 'apple,plum', expected apples and pears" },
		{ "[host]\nname = a\nname = b\n", ":3: name: stands twice in [host]" },
		{ "[host]\nname\n", ":2: expected 'key = value' or '[section]'" },
		{ "[host\nname = x\n", ":1: section without its ']'" },
		{ "[link]\nnote = x\n", ":1: [link]: got no name, expected [link NAME]" },
		{ "[link a]\nnote = x\n[link a]\nnote = x\n", ":3: [link a]: stands twice" },
		{ "[link a]\nnote = x\n[link b]\nnote=y\n[link c]\n",
		  ":5: [link c]: more than 2 links" },
		{ "[link a]\nrate = 1\n", ":1: note: missing in [link a], expected text" },
		{ "[link a]\n[link b]\nnote = y\n",
		  ":1: note: missing in [link a], expected text" },
		{ "[link 0123456789012345678901234567890123456789012345678]\n",
		  ":1: [link 0123456789012345678901234567890123456789012345678]: section name "
		  "above 49 bytes" },
	};
	char err[256], want[256];
	struct test_conf c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(load(cases[i].text, &c, err), -EINVAL);
		snprintf(want, sizeof(want), "%s%s", path, cases[i].want);
		assert_string_equal(err, want);
		release(&c);
	}
}

static void long_lines_are_not_cut(void **state)
{
	char text[512], err[256], *p = text;
	struct test_conf c;

	p += sprintf(p, "[host]\nname = ");
	memset(p, 'x', 300);
	strcpy(p + 300, "\n");
	assert_int_equal(load(text, &c, err), -EINVAL);
	assert_non_null(strstr(err, ":2: line above 199 bytes"));
	release(&c);
}

static void absent_file(void **state)
{
	struct test_conf c = { 0 };
	char err[256];

	assert_int_equal(sf_conf_load("/nonexistent/x.conf", &schema, &c, err, sizeof(err)),
			 -ENOENT);
	assert_string_equal(err, "/nonexistent/x.conf: No such file or directory");
}

static void set_overrides(void **state)
{
	struct test_conf c = { 0 };
	char err[256];

	assert_int_equal(sf_conf_defaults(&schema, &c), 0);
	assert_int_equal(sf_conf_set(&schema, &c, "host", "wait", "2m", err, sizeof(err)), 0);
	assert_int_equal(c.wait, 120000);
	assert_int_equal(sf_conf_set(&schema, &c, "net", "words", "x", err, sizeof(err)), 0);
	assert_int_equal(c.words.count, 1);
	assert_int_equal(sf_conf_set(&schema, &c, "host", "wait", "soon", err, sizeof(err)),
			 -EINVAL);
	assert_string_equal(err, "wait: got 'soon', expected a duration such as 250ms, 5s or 2m");
	assert_int_equal(sf_conf_set(&schema, &c, "link", "rate", "1", err, sizeof(err)), -ENOENT);
	release(&c);
}

static void durations(void **state)
{
	uint32_t ms = 7;

	assert_int_equal(sf_duration_parse("1h", &ms), 0);
	assert_int_equal(ms, 3600000);
	assert_int_equal(sf_duration_parse("0", &ms), 0);
	assert_int_equal(ms, 0);
	ms = 7;
	assert_int_equal(sf_duration_parse("1194h", &ms), -ERANGE);
	assert_int_equal(sf_duration_parse("5 s", &ms), -EINVAL);
	assert_int_equal(sf_duration_parse("-5s", &ms), -EINVAL);
	assert_int_equal(sf_duration_parse("", &ms), -EINVAL);
	assert_int_equal(sf_duration_parse("99999999999999999999s", &ms), -ERANGE);
	assert_int_equal(ms, 7);
}

static void endpoints(void **state)
{
	static const char *const bad[] = {
		"",    "::1:80",   "[::1]",	   "[::1]:",	   "[::1]:0", "[::1]:65536",
		":80", "1.2.3:80", "[1.2.3.4]:80", "localhost:80", "[::1:80", "[]:80"
	};
	struct sockaddr_storage ss;
	struct sockaddr_in *in4 = (void *)&ss;

	assert_int_equal(sf_endpoint_parse("192.0.2.1:8080", &ss), 0);
	assert_int_equal(in4->sin_family, AF_INET);
	assert_int_equal(ntohs(in4->sin_port), 8080);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sf_endpoint_parse(bad[i], &ss), -EINVAL);
}

static void collect(const char *line, void *ctx)
{
	strcat(ctx, line);
	strcat(ctx, "\n");
}

/* The sample that is described is a file that loads. */
static void description_is_a_file(void **state)
{
	char text[4096] = "", err[256];
	struct test_conf c;

	sf_conf_describe(&schema, collect, text);
	assert_non_null(strstr(text, "#wait = 5s\n"));
	assert_non_null(strstr(text, "# Shown to people: text\n"));
	assert_non_null(strstr(text, "#[link NAME]\n"));
	assert_int_equal(load(text, &c, err), 0);
	release(&c);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(every_type),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(long_lines_are_not_cut),
		cmocka_unit_test(absent_file),
		cmocka_unit_test(set_overrides),
		cmocka_unit_test(durations),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(description_is_a_file),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
