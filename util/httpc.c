// SPDX-License-Identifier: Apache-2.0
/* httpc.c - client of the REST servers, see httpc.h. */
#include "util/httpc.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/errtext.h"

#define REPLY_MAX	(64u << 20)
#define STREAM_LINE_MAX (1u << 20)
#define CONNECT_MS	3000
#define TIMEOUT_MS	30000
#define UNIX_PREFIX	"unix:"

struct sf_httpc {
	CURL *curl;
	char *endpoint; /* as given */
	char *base;	/* what a path is put behind */
	struct curl_slist *headers;
	unsigned timeout_ms;
	long status;
	char detail[CURL_ERROR_SIZE];
};

/* What a reply becomes while it comes in. */
struct reply {
	struct sf_httpc *client;
	char *data;
	size_t len, max;
	bool too_long;
	/* streams */
	sf_httpc_line each;
	void *ctx;
	int stop; /* what @each returned */
	bool bad_line;
};

/* ---- set-up ----------------------------------------------------------------------------- */

static int curl_ready(void)
{
	static bool done;

	if (!done && curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	done = true;
	return 0;
}

static int check_file(const char *what, const char *path, char *err, size_t errlen)
{
	if (!path || !access(path, R_OK))
		return 0;
	return sf_errtext(err, errlen, -EINVAL, "%s %s: %s", what, path, strerror(errno));
}

static int set_endpoint(struct sf_httpc *client, const char *endpoint, char *err, size_t errlen)
{
	client->endpoint = strdup(endpoint);
	if (!client->endpoint)
		return -ENOMEM;
	if (!strncmp(endpoint, UNIX_PREFIX, strlen(UNIX_PREFIX)) && endpoint[strlen(UNIX_PREFIX)]) {
		curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH,
				 endpoint + strlen(UNIX_PREFIX));
		client->base = strdup("http://localhost");
	} else if (!strncmp(endpoint, "https://", 8) && endpoint[8]) {
		client->base = strdup(endpoint);
		if (client->base && client->base[strlen(client->base) - 1] == '/')
			client->base[strlen(client->base) - 1] = '\0';
	} else {
		return sf_errtext(err, errlen, -EINVAL,
				  "endpoint \"%s\": expected unix:PATH or https://HOST:PORT",
				  endpoint);
	}
	return client->base ? 0 : -ENOMEM;
}

static int set_headers(struct sf_httpc *client, const char *token)
{
	char *auth;

	/* "Expect:" empty: a body is sent at once, without asking first. */
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!client->headers || !curl_slist_append(client->headers, "Expect:"))
		return -ENOMEM;
	if (!token)
		return 0;
	if (asprintf(&auth, "Authorization: Bearer %s", token) < 0)
		return -ENOMEM;
	if (!curl_slist_append(client->headers, auth)) {
		free(auth);
		return -ENOMEM;
	}
	explicit_bzero(auth, strlen(auth));
	free(auth);
	return 0;
}

int sf_httpc_new(const struct sf_httpc_opts *opts, struct sf_httpc **out, char *err, size_t errlen)
{
	struct sf_httpc *client = calloc(1, sizeof(*client));
	int rc = client ? curl_ready() : -ENOMEM;

	if (rc)
		goto fail;
	client->curl = curl_easy_init();
	if (!client->curl) {
		rc = -ENOMEM;
		goto fail;
	}
	rc = set_endpoint(client, opts->endpoint ? opts->endpoint : "", err, errlen);
	if (!rc)
		rc = check_file("CA", opts->ca, err, errlen);
	if (!rc)
		rc = check_file("certificate", opts->cert, err, errlen);
	if (!rc)
		rc = check_file("private key", opts->key, err, errlen);
	if (!rc)
		rc = set_headers(client, opts->token);
	if (rc)
		goto fail;
	client->timeout_ms = opts->timeout_ms ? opts->timeout_ms : TIMEOUT_MS;
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_TCP_KEEPALIVE, 1L); /* streams wait without limit */
	curl_easy_setopt(client->curl, CURLOPT_PROXY, "");	   /* never by way of http_proxy */
	curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(client->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->detail);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(opts->connect_ms ? opts->connect_ms : CONNECT_MS));
	if (opts->ca)
		curl_easy_setopt(client->curl, CURLOPT_CAINFO, opts->ca);
	if (opts->cert)
		curl_easy_setopt(client->curl, CURLOPT_SSLCERT, opts->cert);
	if (opts->key)
		curl_easy_setopt(client->curl, CURLOPT_SSLKEY, opts->key);
	*out = client;
	return 0;
fail:
	if (rc == -ENOMEM)
		sf_errtext(err, errlen, rc, "REST client: no memory");
	sf_httpc_free(client);
	return rc;
}

void sf_httpc_free(struct sf_httpc *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	free(client->endpoint);
	free(client->base);
	free(client);
}

/* ---- errors ----------------------------------------------------------------------------- */

static int errno_of_status(long status)
{
	switch (status) {
	case 400:
		return -EINVAL;
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 405:
		return -EOPNOTSUPP;
	case 409:
		return -EEXIST;
	case 413:
		return -EMSGSIZE;
	case 429:
	case 503:
		return -EAGAIN;
	case 504:
		return -ETIMEDOUT;
	default:
		return -EREMOTEIO;
	}
}

/* The server's {"error": {...}} in words. */
static int server_error(struct sf_httpc *client, const struct reply *reply, char *err,
			size_t errlen)
{
	const char *what = NULL, *where = NULL, *expected = NULL;
	int rc = errno_of_status(client->status);
	json_t *json = json_loadb(reply->data ? reply->data : "", reply->len, 0, NULL);

	if (json)
		json_unpack(json, "{s:{s:s, s?s, s?s}}", "error", "what", &what, "where", &where,
			    "expected", &expected);
	if (what)
		sf_errtext(err, errlen, rc, "%s%s%s%s%s%s", what, where ? ": " : "",
			   where ? where : "", expected ? " (expected " : "",
			   expected ? expected : "", expected ? ")" : "");
	else
		sf_errtext(err, errlen, rc, "%s: HTTP status %ld", client->endpoint,
			   client->status);
	json_decref(json);
	return rc;
}

static int curl_error(struct sf_httpc *client, CURLcode code, char *err, size_t errlen)
{
	long os = 0;
	int rc;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (os == EACCES || os == EPERM)
			return sf_errtext(err, errlen, -EACCES, "%s: not permitted",
					  client->endpoint);
		if (os == ENOENT)
			return sf_errtext(err, errlen, -ECONNREFUSED,
					  "%s: no such socket (is the daemon running?)",
					  client->endpoint);
		return sf_errtext(err, errlen, -ECONNREFUSED,
				  "%s: nobody listens (is the daemon running?)", client->endpoint);
	case CURLE_COULDNT_RESOLVE_HOST:
		rc = -ECONNREFUSED;
		break;
	case CURLE_OPERATION_TIMEDOUT:
		rc = -ETIMEDOUT;
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		rc = -EKEYREJECTED;
		break;
	case CURLE_OUT_OF_MEMORY:
		rc = -ENOMEM;
		break;
	default:
		rc = -EIO;
	}
	return sf_errtext(err, errlen, rc, "%s: %s", client->endpoint,
			  client->detail[0] ? client->detail : curl_easy_strerror(code));
}

/* ---- calls ------------------------------------------------------------------------------ */

static bool reply_add(struct reply *reply, const char *data, size_t len)
{
	char *grown;

	if (reply->len + len > reply->max) {
		reply->too_long = true;
		return false;
	}
	grown = realloc(reply->data, reply->len + len + 1);
	if (!grown)
		return false;
	memcpy(grown + reply->len, data, len);
	reply->data = grown;
	reply->len += len;
	reply->data[reply->len] = '\0';
	return true;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	return reply_add(arg, data, size * n) ? size * n : 0;
}

static CURLcode perform(struct sf_httpc *client, const char *method, const char *path,
			const char *body, curl_write_callback write, struct reply *reply)
{
	CURL *curl = client->curl;
	CURLcode code;
	char *url;

	client->status = 0;
	client->detail[0] = '\0';
	if (asprintf(&url, "%s%s", client->base, path) < 0)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* forgets the body of the call before */
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, reply->each ? 0L : (long)client->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &client->status);
	free(url);
	return code;
}

static int path_check(const char *path, char *err, size_t errlen)
{
	for (const char *c = path; *c; c++)
		if (*c <= ' ' || *c >= 127)
			return sf_errtext(err, errlen, -EINVAL,
					  "path \"%s\": expected its segments escaped", path);
	return *path == '/' ? 0
			    : sf_errtext(err, errlen, -EINVAL,
					 "path \"%s\": expected a slash first", path);
}

/* A whole exchange; on success (2xx) the caller has the reply's data. */
static int exchange(struct sf_httpc *client, const char *method, const char *path, const char *body,
		    struct reply *reply, char *err, size_t errlen)
{
	CURLcode code;
	int rc = path_check(path, err, errlen);

	if (rc)
		return rc;
	code = perform(client, method, path, body, on_data, reply);
	if (reply->too_long)
		return sf_errtext(err, errlen, -EMSGSIZE, "%s: reply larger than %zu bytes",
				  client->endpoint, reply->max);
	if (code)
		return curl_error(client, code, err, errlen);
	if (client->status < 200 || client->status > 299)
		return server_error(client, reply, err, errlen);
	return 0;
}

int sf_httpc_call(struct sf_httpc *client, const char *method, const char *path, const json_t *body,
		  json_t **reply, char *err, size_t errlen)
{
	struct reply in = { .client = client, .max = REPLY_MAX };
	json_error_t bad;
	char *text = NULL;
	json_t *json;
	int rc = 0;

	if (body) {
		text = json_dumps(body, JSON_COMPACT);
		if (!text)
			return sf_errtext(err, errlen, -EINVAL, "body: cannot be written as JSON");
	}
	rc = exchange(client, method, path, text, &in, err, errlen);
	free(text);
	if (!rc && reply) {
		json = json_loadb(in.data ? in.data : "", in.len, 0, &bad);
		if (json)
			*reply = json;
		else
			rc = sf_errtext(err, errlen, -EPROTO, "%s: the answer is no JSON: %s",
					client->endpoint, bad.text);
	}
	free(in.data);
	return rc;
}

/* ---- streams ---------------------------------------------------------------------------- */

/* Hands over the whole lines among what has come. Returns false to end the stream. */
static bool take_lines(struct reply *in)
{
	char *begin = in->data, *end = in->data + in->len, *nl;

	while (begin < end && (nl = memchr(begin, '\n', (size_t)(end - begin)))) {
		json_t *line = json_loadb(begin, (size_t)(nl - begin), 0, NULL);

		if (!line) {
			in->bad_line = true;
			return false;
		}
		in->stop = in->each(line, in->ctx);
		json_decref(line);
		if (in->stop)
			return false;
		begin = nl + 1;
	}
	in->len = (size_t)(end - begin);
	memmove(in->data, begin, in->len);
	return true;
}

static size_t on_stream(char *data, size_t size, size_t n, void *arg)
{
	struct reply *in = arg;
	long status = 0;

	if (!reply_add(in, data, size * n))
		return 0;
	curl_easy_getinfo(in->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && !take_lines(in))
		return 0;
	return size * n;
}

int sf_httpc_stream(struct sf_httpc *client, const char *path, sf_httpc_line each, void *ctx,
		    char *err, size_t errlen)
{
	struct reply in = { .client = client, .max = STREAM_LINE_MAX, .each = each, .ctx = ctx };
	int rc = path_check(path, err, errlen);
	CURLcode code;

	if (rc)
		return rc;
	code = perform(client, "GET", path, NULL, on_stream, &in);
	if (in.stop)
		rc = in.stop;
	else if (in.bad_line)
		rc = sf_errtext(err, errlen, -EPROTO, "%s: a line of the stream is no JSON",
				client->endpoint);
	else if (in.too_long)
		rc = sf_errtext(err, errlen, -EPROTO, "%s: a line of the stream is too long",
				client->endpoint);
	else if (code)
		rc = curl_error(client, code, err, errlen);
	else if (client->status != 200)
		rc = server_error(client, &in, err, errlen);
	else if (in.len)
		rc = sf_errtext(err, errlen, -EPROTO, "%s: the stream ended within a line",
				client->endpoint);
	free(in.data);
	return rc;
}

char *sf_httpc_escape(const char *segment)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = malloc(3 * strlen(segment) + 1), *to = out;

	if (!out)
		return NULL;
	for (const unsigned char *c = (const unsigned char *)segment; *c; c++) {
		if ((isascii(*c) && isalnum(*c)) || strchr("-._~", *c)) {
			*to++ = (char)*c;
		} else {
			*to++ = '%';
			*to++ = digits[*c >> 4];
			*to++ = digits[*c & 15];
		}
	}
	*to = '\0';
	return out;
}
