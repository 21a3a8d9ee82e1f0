// SPDX-License-Identifier: Apache-2.0
/*
 * pki.h: certificates for tests, by the openssl program: ca.crt has signed a.crt and b.crt (names
 * a.test and b.test, addresses ::1 and 127.0.0.1), bare.crt (common name bare.test alone) and
 * old.crt (expired yesterday), other-ca.crt has signed mallory.crt.
 */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

#include <stdio.h>
#include <stdlib.h>

/** pki_make() - Make all of it in @dir; ends the test program if that fails. */
static inline void pki_make(const char *dir)
{
	static const char script[] =
		"cd '%s' && exec 2>pki.log && "
		"ca() { openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=$1"
		" -keyout $1.key -out $1.crt; } && "
		"leaf() { openssl req -newkey ed25519 -nodes -subj /CN=$1.test -keyout $1.key"
		" -out $1.csr && printf 'subjectAltName=DNS:%%s.test,IP:::1,IP:127.0.0.1' $1 "
		">$1.ext"
		" && openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -days ${3:-2} -extfile "
		"$1.ext -out $1.crt; } && "
		"ca ca && ca other-ca && leaf a ca && leaf b ca && leaf mallory other-ca && "
		"leaf old ca -1 && leaf bare ca && "
		"openssl x509 -req -in bare.csr -CA ca.crt -CAkey ca.key -days 2 -out bare.crt";
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), script, dir);
	if (system(cmd)) {
		fprintf(stderr, "cannot make test certificates, see %s/pki.log\n", dir);
		exit(1);
	}
}

#endif
