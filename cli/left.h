// SPDX-License-Identifier: Apache-2.0
/*
 * left.h - how many flows instances have left, which drain and shed watch.
 *
 * Hosts report open flows with their heartbeats, so a number lags by one or two of these: "none
 * left" counts when it has been so for some seconds.
 */
#ifndef SF_CLI_LEFT_H
#define SF_CLI_LEFT_H

#include "cli/cli.h"

/**
 * struct sf_left - whose flows.
 * @who: whom to ask: the controller, or the agent for this host alone
 * @host: NULL: on all hosts
 * @proto, @port: NULL and 0: all of the service
 * @timeout_ms: how long to wait; 0: for ever
 */
struct sf_left {
	struct sf_cli *cli;
	enum sf_daemon_kind who;
	const char *service, *host, *proto;
	int port;
	int timeout_ms;
};

/**
 * sf_left() - how many there are.
 * @instances: over how many instances
 * Return: the number; -1 where no instance tells; -errno (below -1) when asking failed.
 */
json_int_t sf_left(const struct sf_left *l, unsigned int *instances);

/**
 * sf_left_wait() - until there are none, or the time is over, with a line on a terminal.
 * @left: as sf_left() had it
 * Return: as sf_left().
 */
json_int_t sf_left_wait(const struct sf_left *l, json_int_t left, unsigned int *instances,
			unsigned int *waited_ms);

/** sf_left_whom() - "web on h3". */
const char *sf_left_whom(const struct sf_left *l, char *buf, size_t len);

#endif
