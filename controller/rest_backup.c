// SPDX-License-Identifier: Apache-2.0
/* rest_backup.c - REST: backups of the store. Docs: docs/api.md, "Backup". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/backup_job.h"
#include "controller/events.h"
#include "controller/policies.h"
#include "controller/rest.h"
#include "util/file.h"
#include "util/json.h"

struct rest_backup {
	struct controller *c;
	struct backup_job *job;
	struct sf_http_req *req; /* who asked for the one that runs */
	char by[64];
};

int rest_backup_new(struct event_base *base, struct controller *c, struct rest_backup **out)
{
	struct rest_backup *b = calloc(1, sizeof(*b));
	int ret = b ? backup_job_new(base, &b->job) : -ENOMEM;

	if (ret) {
		free(b);
		return ret;
	}
	b->c = c;
	*out = b;
	return 0;
}

void rest_backup_free(struct rest_backup *b)
{
	json_t *reply = NULL;

	if (!b)
		return;
	backup_job_free(b->job);
	if (b->req)
		sf_http_reply(b->req, sf_http_fail(&reply, 503, "the controller ends", NULL, NULL),
			      reply);
	free(b);
}

static bool good_file_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"._-");

	return n > 0 && n < 128 && !name[n] && name[0] != '.';
}

/* The name in the body, or one from the time. Return: 0 or a status. */
static int backup_name(struct sf_http_req *req, char *out, size_t len, json_t **reply)
{
	json_t *body = sf_http_body(req);
	const char *name = json_string_value(json_object_get(body, "file"));
	time_t now = time(NULL);
	struct tm tm;

	if (body && (!json_is_object(body) || (json_object_size(body) > 0 && !name)))
		return sf_http_fail(reply, 400, "bad body", "body", "{\"file\": NAME}, or none");
	if (!name) {
		gmtime_r(&now, &tm);
		strftime(out, len, "controller-%Y%m%d-%H%M%S.db", &tm);
		return 0;
	}
	if (!good_file_name(name))
		return sf_http_fail(reply, 400, "bad file name", "file",
				    "letters, digits, '.', '_' and '-', below the backup "
				    "directory");
	snprintf(out, len, "%s", name);
	return 0;
}

static json_t *view_json(const struct controller *c, const struct backup_view *v)
{
	struct stat st = { 0 };

	if (!v->running && !v->error)
		stat(v->file, &st);
	return json_pack("{s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:I, s:I}", "file", v->file,
			 "running", v->running, "pages", (json_int_t)v->pages, "pages_left",
			 (json_int_t)v->left, "started", sf_json_time(v->started_ms), "ended",
			 v->ended_ms ? sf_json_time(v->ended_ms) : json_null(), "error",
			 sf_json_name(v->text), "bytes", (json_int_t)st.st_size, "term",
			 (json_int_t)c->term);
}

static void done(void *ctx, const struct backup_view *v)
{
	struct rest_backup *b = ctx;
	struct event_entry e = { .kind = EVENT_BACKUP };
	json_t *reply = NULL;
	int status = 201;

	events_add(b->c, &e, "%s%s, by %s", v->error ? "failed: " : "",
		   v->error ? v->text : v->file, b->by);
	if (v->error == -EEXIST)
		status = sf_http_fail(&reply, 409, "the file exists", v->file, "a new name");
	else if (v->error)
		status = sf_http_fail(&reply, 500, v->text, NULL, NULL);
	else
		reply = view_json(b->c, v);
	sf_http_reply(b->req, status, reply);
	b->req = NULL;
}

int rest_backup_post(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct rest_backup *b = rest_backup_of(ctx);
	struct controller *c = b->c;
	char dir[256], name[160], path[512];
	struct backup_view view;
	int status = backup_name(req, name, sizeof(name), reply);
	int ret;

	if (status)
		return status;
	backup_job_view(b->job, &view);
	if (view.running)
		return sf_http_fail(reply, 409, "a backup is being written", view.file,
				    "one at a time; GET /v1/backup tells how far it is");
	if (*c->config->backup_dir)
		snprintf(dir, sizeof(dir), "%s", c->config->backup_dir);
	else
		snprintf(dir, sizeof(dir), "%s/backup", c->config->state);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ret = sf_mkdir_p(dir, 0700);
	if (ret)
		return sf_http_fail(reply, 500, strerror(-ret), dir, NULL);
	if (!access(path, F_OK))
		return sf_http_fail(reply, 409, "the file exists", path, "a new name");
	while (events_store(c, 10000) > 0 || names_store(c, 10000) > 0)
		;
	ret = backup_job_start(b->job, store_path(c->store), path, done, b, NULL);
	if (ret)
		return sf_http_fail(reply, 500, strerror(-ret), path, NULL);
	b->req = req;
	snprintf(b->by, sizeof(b->by), "%s", sf_http_peer(req)->address);
	return SF_HTTP_LATER;
}

int rest_backup_get(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct rest_backup *b = rest_backup_of(ctx);
	struct backup_view view;

	backup_job_view(b->job, &view);
	if (!*view.file)
		return sf_http_fail(reply, 404, "no backup since the start", NULL, NULL);
	*reply = view_json(b->c, &view);
	return 200;
}
