// SPDX-License-Identifier: Apache-2.0
/* target.h - what ping and trace share: SERVICE[/PROTO/PORT], and a prober on this host. */
#ifndef SF_CLI_TARGET_H
#define SF_CLI_TARGET_H

#include "cli/names.h"
#include "cli/probe.h"

/**
 * sf_target_open() - "web", "web/tcp/80", and a prober as the host agent says; failures are
 * printed. Without a protocol the network is asked what the service is registered for.
 * Return: 0, or the exit status.
 */
int sf_target_open(const struct sf_cli *cli, const char *text, struct sf_probe_target *target,
		   struct sf_prober *prober);

/**
 * sf_target_number() - a whole number from @min to @max from the command line; failures are
 * printed, @what names the option. Return: it, or -EINVAL.
 */
long sf_target_number(const struct sf_cli *cli, const char *what, const char *text, long min,
		      long max);

/** sf_target_seconds() - a number of seconds from the command line; failures are printed, @what
 * names the option. Return: milliseconds, or -EINVAL. */
int sf_target_seconds(const struct sf_cli *cli, const char *what, const char *text);

/**
 * sf_target_who() - what the host with identity @who calls itself, which the network is asked,
 * once.
 * @id: SF_ADDR_STRLEN bytes, gets its identity
 * Return: its name, NULL if none is known.
 */
const char *sf_target_who(const struct sf_cli *cli, struct sf_names *names,
			  const struct sf_sid *who, char *id);

/** sf_target_ms() - the round trip in milliseconds; null where nothing came back. */
json_t *sf_target_ms(const struct sf_probe_result *r);

/** SF_TARGET_JSON - flags that print it: a microsecond's fraction is noise. */
#define SF_TARGET_JSON JSON_REAL_PRECISION(6)

/**
 * sf_target_explain() - where nobody takes flows for the port that was asked for, and the network
 * knows others: says which, to standard error.
 * @text: as sf_target_open() had it
 */
void sf_target_explain(const struct sf_cli *cli, const char *text, const struct sf_probe_target *t,
		       const struct sf_probe_result *r);

/** sf_target_why() - a refusal or error in words; into @buf of @len bytes. */
char *sf_target_why(const struct sf_probe_result *r, char *buf, size_t len);

#endif
