// SPDX-License-Identifier: Apache-2.0
/*
 * doctor.h - what is wrong with a daemon, and what to do about it. Pure: JSON in, JSON out.
 */
#ifndef SF_CLI_DOCTOR_H
#define SF_CLI_DOCTOR_H

#include "cli/cli.h"

/**
 * struct sf_findings - arrays of {daemon, what, do}.
 * @problems: something does not work
 * @notes: worth knowing; all works
 */
struct sf_findings {
	json_t *problems, *notes;
};

/** sf_doctor_find() - append a finding about @who, a daemon or a part of the machine. */
void sf_doctor_find(json_t *list, const char *who, const char *todo, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** sf_doctor_features() - kernel features (sf_json_features()) that are missing. */
void sf_doctor_features(const json_t *list, const char *who, struct sf_findings *f);

/** sf_doctor_look() - judge a daemon by its GET /v1/status; findings are appended. */
void sf_doctor_look(enum sf_daemon_kind kind, const json_t *status, struct sf_findings *f);

/** sf_doctor_routers() - judge the routers of a controller by its GET /v1/routers. */
void sf_doctor_routers(const json_t *reply, struct sf_findings *f);

/** sf_doctor_silent() - a daemon that does not answer: what sf_cli_find() found, and the error. */
void sf_doctor_silent(enum sf_daemon_kind kind, enum sf_daemon_found found, const char *run,
		      const char *err, struct sf_findings *f);

#endif
