// SPDX-License-Identifier: Apache-2.0
/* conf.c - configuration files.
 *
 * inih splits lines into section, key and value, but neither counts lines for its caller nor
 * reports sections without keys, and it cuts long lines and treats indented ones as continuations.
 * So it reads through conf_line(), which counts, refuses what would be cut, removes indentation,
 * and opens repeated sections.
 */
#include "util/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BREAKS   " \t,"
#define CONF_NAME_MAX 49 /* inih cuts longer sections and keys silently */

struct conf_loader {
	const struct sf_conf_schema *schema;
	FILE *file;
	const char *path;
	unsigned int line;
	void *out;
	const struct sf_conf_section *section; /* repeated section that is open, or NULL */
	void *object;			       /* its object */
	unsigned int section_line;	       /* where it was opened */
	char section_name[CONF_NAME_MAX + 1];  /* "link eth0" */
	char **seen_sections;		       /* repeated sections so far */
	size_t n_seen_sections;
	bool *seen; /* by index of key; of the open section for repeated ones */
	char *err;
	size_t err_len;
	int result;
};

/* ---- values ---- */

static const char *const type_expected[] = {
	[SF_CONF_STRING] = "text",
	[SF_CONF_BOOL] = "yes or no",
	[SF_CONF_U16] = "a number from 0 to 65535",
	[SF_CONF_U32] = "a number from 0 to 4294967295",
	[SF_CONF_DURATION] = "a duration such as 250ms, 5s or 2m",
	[SF_CONF_ADDRESS] = "an IPv6 address",
	[SF_CONF_ENDPOINT] = "address and port such as [fd5c::1]:24158 or 192.0.2.1:443",
	[SF_CONF_PREFIX] = "an IPv6 prefix such as fd5c::/16, without bits behind its length",
	[SF_CONF_ENUM] = "one of",
	[SF_CONF_LIST] = "words separated by blanks or commas",
};

/* What the key accepts, in words. */
static const char *expected(const struct sf_conf_key *key, char *buf, size_t len)
{
	size_t used;

	if (key->expects) {
		snprintf(buf, len, "%s", key->expects);
	} else if (key->type == SF_CONF_ENUM) {
		used = (size_t)snprintf(buf, len, "one of");
		for (const char *const *c = key->choices; *c && used < len; c++)
			used += (size_t)snprintf(buf + used, len - used, "%s %s",
						 c == key->choices ? "" : ",", *c);
	} else if (key->max && key->type == SF_CONF_DURATION) {
		snprintf(buf, len, "a duration from %ums to %ums, such as 250ms, 5s or 2m",
			 key->min, key->max);
	} else if (key->max && (key->type == SF_CONF_U16 || key->type == SF_CONF_U32)) {
		snprintf(buf, len, "a number from %u to %u", key->min, key->max);
	} else {
		snprintf(buf, len, "%s", type_expected[key->type]);
	}
	return buf;
}

static int parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no",
										       "false",
										       "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*out = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_u32(const char *text, uint32_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long n;
	char *end;

	/* strtoull() would take signs, blanks, and a leading 0 for octal. */
	if (!strchr("0123456789", text[0]) || !*text)
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (*end || errno || n > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

int sf_duration_parse(const char *text, uint32_t *ms)
{
	static const struct {
		const char *suffix;
		uint32_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	unsigned long long n;
	char *end;

	if (!strchr("0123456789", text[0]) || !*text)
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (n == 0 && *end == '\0') {
		*ms = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (n > UINT32_MAX / units[i].ms)
			return -ERANGE;
		*ms = (uint32_t)n * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

int sf_endpoint_parse(const char *text, struct sockaddr_storage *out)
{
	const char *colon = strrchr(text, ':');
	bool v6 = text[0] == '[';
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in6 *in6 = (void *)&ss;
	struct sockaddr_in *in4 = (void *)&ss;
	char host[INET6_ADDRSTRLEN];
	uint32_t port;
	size_t n;

	if (!colon || parse_u32(colon + 1, &port) || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	n = (size_t)(colon - text);
	if (v6) {
		if (n < 2 || text[n - 1] != ']')
			return -EINVAL;
		text++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (v6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
			return -EINVAL;
	} else {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, host, &in4->sin_addr) != 1)
			return -EINVAL;
	}
	*out = ss;
	return 0;
}

static void list_free(struct sf_conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct sf_conf_list){ 0 };
}

static int list_append(struct sf_conf_list *list, const char *text)
{
	for (;;) {
		char **items;
		size_t n;

		text += strspn(text, LIST_BREAKS);
		n = strcspn(text, LIST_BREAKS);
		if (n == 0)
			return 0;
		items = realloc(list->items, (list->count + 1) * sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		items[list->count] = strndup(text, n);
		if (!items[list->count])
			return -ENOMEM;
		list->count++;
		text += n;
	}
}

/* Where the key's field is in @object, as a pointer to its type. */
#define FIELD(type, object, key) ((type *)(void *)((char *)(object) + (key)->offset))

static int set_number(const struct sf_conf_key *key, void *object, const char *text)
{
	uint32_t n;
	int r;

	r = key->type == SF_CONF_DURATION ? sf_duration_parse(text, &n) : parse_u32(text, &n);
	if (r || (key->type == SF_CONF_U16 && n > UINT16_MAX) ||
	    (key->max && (n < key->min || n > key->max)))
		return -EINVAL;
	if (key->type == SF_CONF_U16)
		*FIELD(uint16_t, object, key) = (uint16_t)n;
	else
		*FIELD(uint32_t, object, key) = n;
	return 0;
}

static int set_choice(const struct sf_conf_key *key, void *object, const char *text)
{
	for (int i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*FIELD(int, object, key) = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Whether the key's own check takes @text, word by word in a list. */
static bool value_fits(const struct sf_conf_key *key, const char *text)
{
	char word[256];

	if (!key->check || key->type != SF_CONF_LIST)
		return !key->check || key->check(text);
	for (text += strspn(text, LIST_BREAKS); *text; text += strspn(text, LIST_BREAKS)) {
		size_t len = strcspn(text, LIST_BREAKS);

		snprintf(word, sizeof(word), "%.*s", (int)len, text);
		if (len >= sizeof(word) || !key->check(word))
			return false;
		text += len;
	}
	return true;
}

/* Parses @text into the key's field. A string replaces the one there; a list grows. */
static int value_set(const struct sf_conf_key *key, void *object, const char *text)
{
	char *copy;

	if (!value_fits(key, text))
		return -EINVAL;
	switch (key->type) {
	case SF_CONF_STRING:
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
		free(*FIELD(char *, object, key));
		*FIELD(char *, object, key) = copy;
		return 0;
	case SF_CONF_BOOL:
		return parse_bool(text, FIELD(bool, object, key));
	case SF_CONF_U16:
	case SF_CONF_U32:
	case SF_CONF_DURATION:
		return set_number(key, object, text);
	case SF_CONF_ADDRESS:
		return inet_pton(AF_INET6, text, FIELD(struct in6_addr, object, key)) == 1
			       ? 0
			       : -EINVAL;
	case SF_CONF_ENDPOINT:
		return sf_endpoint_parse(text, FIELD(struct sockaddr_storage, object, key));
	case SF_CONF_PREFIX:
		return sf_ip6_prefix_parse(text, FIELD(struct sf_ip6_prefix, object, key));
	case SF_CONF_ENUM:
		return set_choice(key, object, text);
	case SF_CONF_LIST:
		return list_append(FIELD(struct sf_conf_list, object, key), text);
	}
	return -EINVAL;
}

/* ---- schema ---- */

static const struct sf_conf_section *section_find(const struct sf_conf_schema *schema,
						  const char *name, size_t len)
{
	for (size_t i = 0; i < schema->n_sections; i++)
		if (strlen(schema->sections[i].name) == len &&
		    memcmp(schema->sections[i].name, name, len) == 0)
			return &schema->sections[i];
	return NULL;
}

static bool key_is_repeated(const struct sf_conf_schema *schema, const struct sf_conf_key *key)
{
	return section_find(schema, key->section, strlen(key->section)) != NULL;
}

static const struct sf_conf_key *key_find(const struct sf_conf_schema *schema, const char *section,
					  const char *name)
{
	for (size_t i = 0; i < schema->n_keys; i++)
		if (strcmp(schema->keys[i].section, section) == 0 &&
		    strcmp(schema->keys[i].key, name) == 0)
			return &schema->keys[i];
	return NULL;
}

static bool section_known(const struct sf_conf_schema *schema, const char *section)
{
	for (size_t i = 0; i < schema->n_keys; i++)
		if (strcmp(schema->keys[i].section, section) == 0)
			return true;
	return false;
}

/* Defaults of the keys of one repeated section, or of all unrepeated ones (@section NULL). */
static int defaults_set(const struct sf_conf_schema *schema, const char *section, void *object)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct sf_conf_key *key = &schema->keys[i];
		int r;

		if (!key->def ||
		    (section ? strcmp(key->section, section) != 0 : key_is_repeated(schema, key)))
			continue;
		r = value_set(key, object, key->def);
		if (r)
			return r;
	}
	return 0;
}

int sf_conf_defaults(const struct sf_conf_schema *schema, void *out)
{
	return defaults_set(schema, NULL, out);
}

static void key_free(const struct sf_conf_key *key, void *object)
{
	if (key->type == SF_CONF_STRING) {
		free(*FIELD(char *, object, key));
		*FIELD(char *, object, key) = NULL;
	} else if (key->type == SF_CONF_LIST) {
		list_free(FIELD(struct sf_conf_list, object, key));
	}
}

void sf_conf_free(const struct sf_conf_schema *schema, void *out)
{
	for (size_t i = 0; i < schema->n_keys; i++)
		if (!key_is_repeated(schema, &schema->keys[i]))
			key_free(&schema->keys[i], out);
}

void sf_conf_free_object(const struct sf_conf_schema *schema, const char *section, void *object)
{
	for (size_t i = 0; i < schema->n_keys; i++)
		if (strcmp(schema->keys[i].section, section) == 0)
			key_free(&schema->keys[i], object);
}

int sf_conf_set(const struct sf_conf_schema *schema, void *out, const char *section,
		const char *key, const char *value, char *err, size_t err_len)
{
	const struct sf_conf_key *k = key_find(schema, section, key);
	char want[256];
	int r;

	if (!k || key_is_repeated(schema, k)) {
		snprintf(err, err_len, "%s: unknown key", key);
		return -ENOENT;
	}
	if (k->type == SF_CONF_LIST)
		list_free(FIELD(struct sf_conf_list, out, k));
	r = value_set(k, out, value);
	if (r == -ENOMEM)
		snprintf(err, err_len, "%s: out of memory", key);
	else if (r)
		snprintf(err, err_len, "%s: got '%s', expected %s", key, value,
			 expected(k, want, sizeof(want)));
	return r;
}

/* ---- file ---- */

/* Keeps the first error; returns @r for the caller to pass on. */
static int fail_at(struct conf_loader *l, unsigned int line, int r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail_at(struct conf_loader *l, unsigned int line, int r, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (l->result)
		return l->result;
	l->result = r;
	n = snprintf(l->err, l->err_len, "%s:%u: ", l->path, line);
	if (n >= 0 && (size_t)n < l->err_len) {
		va_start(ap, fmt);
		vsnprintf(l->err + n, l->err_len - (size_t)n, fmt, ap);
		va_end(ap);
	}
	return r;
}

/* Whether a required key of @section (NULL: of the unrepeated ones) was left out. */
static int required_check(struct conf_loader *l, const char *section, unsigned int line)
{
	for (size_t i = 0; i < l->schema->n_keys; i++) {
		const struct sf_conf_key *key = &l->schema->keys[i];
		char want[256];

		if (!key->required || l->seen[i] ||
		    (section ? strcmp(key->section, section) != 0
			     : key_is_repeated(l->schema, key)))
			continue;
		if (section)
			return fail_at(l, line, -EINVAL, "%s: missing in [%s], expected %s",
				       key->key, l->section_name,
				       expected(key, want, sizeof(want)));
		return fail_at(l, line, -EINVAL, "%s: missing in [%s], expected %s", key->key,
			       key->section, expected(key, want, sizeof(want)));
	}
	return 0;
}

static int section_close(struct conf_loader *l)
{
	int r = l->section ? required_check(l, l->section->name, l->section_line) : 0;

	l->section = NULL;
	l->object = NULL;
	return r;
}

/* Remembers a repeated section's whole name; a second one of that name is an error. */
static int section_remember(struct conf_loader *l)
{
	char **names;

	for (size_t i = 0; i < l->n_seen_sections; i++)
		if (strcmp(l->seen_sections[i], l->section_name) == 0)
			return fail_at(l, l->line, -EINVAL, "[%s]: stands twice", l->section_name);
	names = realloc(l->seen_sections, (l->n_seen_sections + 1) * sizeof(*names));
	if (!names)
		return fail_at(l, l->line, -ENOMEM, "out of memory");
	l->seen_sections = names;
	names[l->n_seen_sections] = strdup(l->section_name);
	if (!names[l->n_seen_sections])
		return fail_at(l, l->line, -ENOMEM, "out of memory");
	l->n_seen_sections++;
	return 0;
}

static int section_open_repeated(struct conf_loader *l, const struct sf_conf_section *section,
				 const char *name)
{
	char why[128] = "refused";

	if (*name == '\0')
		return fail_at(l, l->line, -EINVAL, "[%s]: got no name, expected [%s NAME]",
			       section->name, section->name);
	if (section_remember(l))
		return l->result;
	l->object = section->object(l->out, name, why, sizeof(why));
	if (!l->object)
		return fail_at(l, l->line, -EINVAL, "[%s]: %s", l->section_name, why);
	l->section = section;
	l->section_line = l->line;
	for (size_t i = 0; i < l->schema->n_keys; i++)
		if (strcmp(l->schema->keys[i].section, section->name) == 0)
			l->seen[i] = false;
	if (defaults_set(l->schema, section->name, l->object))
		return fail_at(l, l->line, -ENOMEM, "[%s]: cannot set the defaults",
			       l->section_name);
	return 0;
}

/* A line that starts with '[': @text is what stands between the brackets. */
static int section_open(struct conf_loader *l, const char *text, size_t len)
{
	const struct sf_conf_section *section;
	size_t word = strcspn(text, " \t");

	if (section_close(l))
		return l->result;
	if (len > CONF_NAME_MAX)
		return fail_at(l, l->line, -EINVAL, "[%.*s]: section name above %d bytes", (int)len,
			       text, CONF_NAME_MAX);
	memcpy(l->section_name, text, len);
	l->section_name[len] = '\0';
	section = section_find(l->schema, text, word < len ? word : len);
	if (section) {
		const char *name = l->section_name + (word < len ? word : len);

		return section_open_repeated(l, section, name + strspn(name, " \t"));
	}
	if (!section_known(l->schema, l->section_name))
		return fail_at(l, l->line, -EINVAL, "[%s]: unknown section", l->section_name);
	return 0;
}

/* inih's reader: gives the next line, as fgets() does, and looks at it first. */
static char *conf_line(char *str, int num, void *ctx)
{
	struct conf_loader *l = ctx;
	char *start, *end;
	size_t len;

	if (l->result || !fgets(str, num, l->file))
		return NULL;
	l->line++;
	len = strlen(str);
	if (len + 1 == (size_t)num && str[len - 1] != '\n' && !feof(l->file)) {
		fail_at(l, l->line, -EINVAL, "line above %d bytes", num - 1);
		return NULL;
	}
	start = str + strspn(str, " \t");
	if (l->line == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3; /* byte order mark */
	memmove(str, start, strlen(start) + 1);
	if (*str == '[') {
		end = strchr(str, ']');
		if (!end)
			fail_at(l, l->line, -EINVAL, "section without its ']'");
		else
			section_open(l, str + 1, (size_t)(end - str - 1));
	}
	return l->result ? NULL : str;
}

/* inih's handler: returns 0 to tell of an error, which is kept in the loader. */
static int conf_pair(void *ctx, const char *section, const char *name, const char *value)
{
	struct conf_loader *l = ctx;
	const struct sf_conf_key *key;
	char want[256];
	size_t index;
	int r;

	if (l->result)
		return 0;
	key = key_find(l->schema, l->section ? l->section->name : section, name);
	if (!key) {
		fail_at(l, l->line, -EINVAL, "%s: unknown key in [%s]", name, section);
		return 0;
	}
	index = (size_t)(key - l->schema->keys);
	if (l->seen[index] && key->type != SF_CONF_LIST) {
		fail_at(l, l->line, -EINVAL, "%s: stands twice in [%s]", name, section);
		return 0;
	}
	if (!l->seen[index] && key->type == SF_CONF_LIST) /* in place of the default */
		list_free(FIELD(struct sf_conf_list, l->object ? l->object : l->out, key));
	l->seen[index] = true;
	r = value_set(key, l->object ? l->object : l->out, value);
	if (r == -ENOMEM)
		fail_at(l, l->line, r, "out of memory");
	else if (r)
		fail_at(l, l->line, -EINVAL, "%s: got '%s', expected %s", name, value,
			expected(key, want, sizeof(want)));
	return r == 0;
}

int sf_conf_load(const char *path, const struct sf_conf_schema *schema, void *out, char *err,
		 size_t err_len)
{
	struct conf_loader l = {
		.schema = schema, .path = path, .out = out, .err = err, .err_len = err_len
	};
	int r;

	l.file = fopen(path, "re");
	if (!l.file) {
		r = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(-r));
		return r;
	}
	l.seen = calloc(schema->n_keys + 1, sizeof(*l.seen));
	r = l.seen ? sf_conf_defaults(schema, out) : -ENOMEM;
	if (r) {
		fail_at(&l, 0, r, "cannot set the defaults");
		goto out;
	}
	r = ini_parse_stream(conf_line, &l, conf_pair, &l);
	if (ferror(l.file))
		fail_at(&l, l.line, -EIO, "read error");
	else if (r > 0) /* a line that is no pair; ours have set the result already */
		fail_at(&l, (unsigned int)r, -EINVAL, "expected 'key = value' or '[section]'");
	else if (r < 0)
		fail_at(&l, l.line, -ENOMEM, "out of memory");
	if (!l.result && !section_close(&l))
		required_check(&l, NULL, l.line);
out:
	for (size_t i = 0; i < l.n_seen_sections; i++)
		free(l.seen_sections[i]);
	free(l.seen_sections);
	free(l.seen);
	fclose(l.file);
	return l.result;
}

/* What sf_conf_line() looks for, and how far it is. */
struct conf_finder {
	FILE *file;
	const char *section, *key;
	unsigned int line, found;
};

static char *finder_line(char *str, int num, void *ctx)
{
	struct conf_finder *f = ctx;

	if (!fgets(str, num, f->file))
		return NULL;
	f->line++;
	memmove(str, str + strspn(str, " \t"), strlen(str + strspn(str, " \t")) + 1);
	return str;
}

static int finder_pair(void *ctx, const char *section, const char *name, const char *value)
{
	struct conf_finder *f = ctx;

	(void)value;
	if (!strcmp(section, f->section) && !strcmp(name, f->key))
		f->found = f->line;
	return 1;
}

unsigned int sf_conf_line(const char *path, const char *section, const char *key)
{
	struct conf_finder f = { .file = fopen(path, "re"), .section = section, .key = key };

	if (!f.file)
		return 0;
	(void)ini_parse_stream(finder_line, &f, finder_pair, &f); /* errors are the loader's */
	fclose(f.file);
	return f.found;
}

void sf_conf_describe(const struct sf_conf_schema *schema,
		      void (*write)(const char *line, void *ctx), void *ctx)
{
	const char *section = "";
	char line[512], want[256];

	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct sf_conf_key *key = &schema->keys[i];

		if (strcmp(section, key->section) != 0) {
			section = key->section;
			write("", ctx);
			snprintf(line, sizeof(line),
				 key_is_repeated(schema, key) ? "#[%s NAME]" : "[%s]", section);
			write(line, ctx);
		}
		snprintf(line, sizeof(line), "# %s: %s%s", key->help ? key->help : key->key,
			 expected(key, want, sizeof(want)), key->required ? " (required)" : "");
		write(line, ctx);
		snprintf(line, sizeof(line), "#%s = %s", key->key, key->def ? key->def : "");
		write(line, ctx);
	}
}
