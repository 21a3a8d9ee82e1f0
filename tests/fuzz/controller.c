// SPDX-License-Identifier: Apache-2.0
/*
 * Two routers say anything to a controller, which must stay whole: every message that it sends is
 * well-formed, and when they are forgotten nothing of theirs is left.
 * Input: pieces of 16 bits (length; the highest bit: which router) and as many bytes of message.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/controller.h"
#include "controller/routers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now = 1000;
static struct controller c;
static struct session *sessions[2];

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static uint64_t fake_clock(void)
{
	return now;
}

static int take(void *io, const void *msg, size_t len)
{
	struct sf_ctrl_in in;
	const char *why;

	expect(sf_ctrl_open(msg, len, &in, &why) == 0);
	return 0;
}

static void closed(void *io, const char *reason)
{
	struct session **s = io;
	struct session *gone = *s;

	*s = NULL;
	session_closed(gone, reason);
}

static size_t queued(void *io)
{
	return 0;
}

static const struct session_ops ops = { take, closed, queued };

static void start(void)
{
	static char dir[] = "/tmp/fuzz-controller-XXXXXX";
	static struct config config;
	char err[256], command[64];

	expect(mkdtemp(dir) != NULL);
	expect(config_load(&config, err, sizeof(err)) == 0);
	config.state = dir;
	config.events_memory = 64;
	config.events_store = 0;
	c.clock = fake_clock;
	expect(controller_open(&c, &config, err, sizeof(err)) == 0);
	/* SQLite goes on with its open files, and nothing is left behind. */
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	expect(system(command) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!c.store)
		start();
	while (size >= 2) {
		size_t len = (size_t)(data[0] & 0x7f) << 8 | data[1];
		unsigned int which = data[0] >> 7;

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		if (!sessions[which])
			expect(session_open(&c, &ops, &sessions[which], "[::1]:1", "",
					    &sessions[which]) == 0);
		session_message(sessions[which], data, len);
		controller_flush(&c);
		now += 100;
		controller_tick(&c);
		data += len;
		size -= len;
	}
	for (int i = 0; i < 2; i++) {
		if (sessions[i])
			closed(&sessions[i], "end");
	}
	while (c.routers)
		expect(router_forget(&c, c.routers) == 0);
	controller_flush(&c);
	expect(!c.hosts && !c.identities && !c.instances && !c.endpoints && !c.services);
	return 0;
}
