// SPDX-License-Identifier: Apache-2.0
/* state.c - the record of a lab on disk; see lab.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/lab.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/netns.h"

#define RECORD_LIMIT (1u << 20)

int sf_lab_path(const struct sf_lab *lab, char buf[PATH_MAX], const char *fmt, ...)
{
	va_list args;
	size_t n = (size_t)snprintf(buf, PATH_MAX, "%s/", lab->dir);
	int more;

	va_start(args, fmt);
	more = vsnprintf(buf + n, PATH_MAX - n, fmt, args);
	va_end(args);
	return n + (size_t)more < PATH_MAX ? 0 : -ENAMETOOLONG;
}

char *sf_lab_namespace(const struct sf_lab *lab, const char *node, char *buf)
{
	snprintf(buf, NAME_MAX, "%s-%s", lab->name, node ? node : "linkem");
	return buf;
}

void sf_lab_say(const struct sf_lab *lab, const char *fmt, ...)
{
	char line[512];
	va_list args;

	if (!lab->say)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	lab->say(lab->say_ctx, line);
}

static int lab_name(struct sf_lab *lab, const char *run, const char *name, char *err,
		    size_t err_len)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len < SF_LAB_NAME && isalpha((unsigned char)*name);

	for (const char *c = name; ok && *c; c++)
		ok = isalnum((unsigned char)*c) || *c == '-';
	if (!ok)
		return sf_errtext(err, err_len, -EINVAL,
				  "'%s' is no lab name: expected a letter, then letters, digits "
				  "and hyphens, %d at most",
				  name, SF_LAB_NAME - 1);
	memcpy(lab->name, name, len + 1);
	if (snprintf(lab->dir, sizeof(lab->dir), "%s/lab/%s", run, name) >= PATH_MAX)
		return sf_errtext(err, err_len, -ENAMETOOLONG, "%s: path too long", run);
	return 0;
}

/* The directory itself is locked: it is there from the first moment on, and for as long. */
static int lab_lock(struct sf_lab *lab, char *err, size_t err_len)
{
	lab->lock_fd = open(lab->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lab->lock_fd < 0)
		return sf_errtext(err, err_len, -errno, "%s: %s", lab->dir, strerror(errno));
	if (flock(lab->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	close(lab->lock_fd);
	lab->lock_fd = -1;
	return sf_errtext(err, err_len, -EBUSY,
			  "lab %s: another process is bringing it up, down or changing it",
			  lab->name);
}

int sf_lab_save(const struct sf_lab *lab, char *err, size_t err_len)
{
	const struct sf_lab_options *o = &lab->options;
	json_t *down = json_array(), *record;
	char path[PATH_MAX], *text;
	int r;

	for (size_t i = 0; i < lab->topology.n_links; i++)
		if (lab->down[i])
			json_array_append_new(down, json_integer((json_int_t)i));
	record = json_pack("{s:b, s:b, s:b, s:I, s:o}", "daemons", o->daemons, "tls", o->tls,
			   "emulator", o->emulator, "seed", (json_int_t)o->seed, "down", down);
	text = record ? json_dumps(record, JSON_INDENT(1)) : NULL;
	json_decref(record);
	if (!text)
		return sf_errtext(err, err_len, -ENOMEM, "lab %s: out of memory", lab->name);
	r = sf_lab_path(lab, path, "lab.json");
	if (!r)
		r = sf_file_write(path, text, strlen(text), 0644);
	free(text);
	return r ? sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

static int record_load(struct sf_lab *lab, char *err, size_t err_len)
{
	struct sf_lab_options *o = &lab->options;
	int daemons, tls, emulator;
	json_t *record, *down, *item;
	char path[PATH_MAX];
	json_error_t why;
	json_int_t seed;
	size_t i;

	if (sf_lab_path(lab, path, "lab.json"))
		return sf_errtext(err, err_len, -ENAMETOOLONG, "%s: path too long", lab->dir);
	record = json_load_file(path, 0, &why);
	if (!record ||
	    json_unpack_ex(record, &why, 0, "{s:b, s:b, s:b, s:I, s:o}", "daemons", &daemons, "tls",
			   &tls, "emulator", &emulator, "seed", &seed, "down", &down)) {
		json_decref(record);
		return sf_errtext(err, err_len, -EBADMSG, "%s: damaged record: %s", path, why.text);
	}
	*o = (struct sf_lab_options){
		.daemons = daemons, .tls = tls, .emulator = emulator, .seed = (uint64_t)seed
	};
	json_array_foreach (down, i, item) {
		json_int_t l = json_integer_value(item);

		if (l >= 0 && (size_t)l < lab->topology.n_links)
			lab->down[l] = true;
	}
	json_decref(record);
	return 0;
}

/* Parses and keeps the topology; every link goes through the emulator where the options say so. */
static int lab_topology(struct sf_lab *lab, const char *text, const char *source, char *err,
			size_t err_len)
{
	int r = sf_topology_parse(text, source, &lab->topology, err, err_len);

	if (r)
		return r;
	lab->down = calloc(lab->topology.n_links + 1, sizeof(*lab->down));
	return lab->down ? 0 : sf_errtext(err, err_len, -ENOMEM, "out of memory");
}

static void links_through_emulator(struct sf_lab *lab)
{
	for (size_t i = 0; lab->options.emulator && i < lab->topology.n_links; i++)
		lab->topology.links[i].emulator = true;
}

/*
 * A namespace that is there already is not ours, and must not become so: what is recorded is
 * deleted on the way down.
 */
static int namespaces_free(const struct sf_lab *lab, char *err, size_t err_len)
{
	char ns[NAME_MAX];

	for (size_t i = 0; i <= lab->topology.n_nodes; i++) {
		int fd = sf_netns_open(sf_lab_namespace(
			lab, i < lab->topology.n_nodes ? lab->topology.nodes[i].name : NULL, ns));

		if (fd == -ENOENT)
			continue;
		if (fd >= 0)
			close(fd);
		return sf_errtext(err, err_len, -EEXIST,
				  "namespace %s is there already, and of no lab in this run "
				  "directory: take another --name, or 'ip netns delete %s'",
				  ns, ns);
	}
	return 0;
}

int sf_lab_create(struct sf_lab *lab, const char *run, const char *name, const char *text,
		  const char *source, const struct sf_lab_options *options, char *err,
		  size_t err_len)
{
	char path[PATH_MAX];
	int r;

	*lab = (struct sf_lab){ .lock_fd = -1, .options = *options };
	r = lab_name(lab, run, name, err, err_len);
	if (!r)
		r = lab_topology(lab, text, source, err, err_len);
	if (r)
		goto fail;
	links_through_emulator(lab);
	for (size_t i = 0; i < lab->topology.n_links; i++)
		lab->down[i] = lab->topology.links[i].down;
	if (access(lab->dir, F_OK) < 0)
		r = namespaces_free(lab, err, err_len);
	if (r)
		goto fail;
	snprintf(path, sizeof(path), "%s/lab", run);
	r = sf_mkdir_p(path, 0755);
	if (!r && mkdir(lab->dir, 0755) < 0)
		r = -errno;
	if (r == -EEXIST) {
		sf_errtext(err, err_len, r,
			   "lab %s is there already (%s): 'scaffold lab down%s%s' "
			   "takes it down",
			   name, lab->dir, strcmp(name, SF_LAB_DEFAULT) ? " --name " : "",
			   strcmp(name, SF_LAB_DEFAULT) ? name : "");
		goto fail;
	}
	if (r) {
		sf_errtext(err, err_len, r, "%s: %s", lab->dir, strerror(-r));
		goto fail;
	}
	r = lab_lock(lab, err, err_len);
	if (r)
		goto fail;
	r = sf_lab_path(lab, path, "topology.lab");
	if (!r)
		r = sf_file_write(path, text, strlen(text), 0644);
	if (r)
		sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r));
	else
		r = sf_lab_save(lab, err, err_len);
	if (!r)
		return 0;
fail:
	sf_lab_close(lab);
	return r;
}

int sf_lab_open(struct sf_lab *lab, const char *run, const char *name, bool lock, char *err,
		size_t err_len)
{
	char path[PATH_MAX], *text = NULL;
	int r;

	*lab = (struct sf_lab){ .lock_fd = -1 };
	r = lab_name(lab, run, name, err, err_len);
	if (r)
		return r;
	if (access(lab->dir, F_OK) < 0)
		return sf_errtext(err, err_len, -ENOENT,
				  "no lab %s in %s: 'scaffold lab up' makes one", name, run);
	if (lock) {
		r = lab_lock(lab, err, err_len);
		if (r)
			return r;
	}
	r = sf_lab_path(lab, path, "topology.lab");
	if (!r)
		r = sf_file_read(path, RECORD_LIMIT, &text, NULL);
	if (r)
		r = sf_errtext(err, err_len, -EBADMSG, "%s: damaged record: %s", path,
			       strerror(-r));
	else
		r = lab_topology(lab, text, path, err, err_len) ? -EBADMSG
								: record_load(lab, err, err_len);
	free(text);
	if (r)
		sf_lab_close(lab);
	else
		links_through_emulator(lab);
	return r;
}

void sf_lab_close(struct sf_lab *lab)
{
	if (lab->lock_fd > 0)
		close(lab->lock_fd);
	lab->lock_fd = -1;
	sf_topology_free(&lab->topology);
	free(lab->down);
	lab->down = NULL;
}

int sf_lab_list(const char *run, int (*fn)(const char *name, void *ctx), void *ctx)
{
	char path[PATH_MAX];
	struct dirent *e;
	int r = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/lab", run);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = fn(e->d_name, ctx);
	closedir(d);
	return r;
}
