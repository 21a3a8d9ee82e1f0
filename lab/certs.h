// SPDX-License-Identifier: Apache-2.0
/* certs.h - certificates of a lab: an authority of its own, and one for each router and controller.
 */
#ifndef SF_LAB_CERTS_H
#define SF_LAB_CERTS_H

#include <netinet/in.h>
#include <stddef.h>

/** struct sf_cert_name - whom a certificate is for. */
struct sf_cert_name {
	const char *name;	 /* common name, DNS name, name of the files */
	struct in6_addr address; /* at which TLS clients call it */
};

/**
 * sf_certs_make - an authority and certificates signed by it, Ed25519, valid for ten years.
 * @dir: made if absent; gets ca.pem, and NAME.pem, NAME.key (mode 0600) for each name
 * @names: each with its name and its address as subjectAltNames, which is what TLS clients check
 * The authority's key is forgotten: nobody can add to a lab's certificates.
 * Returns 0 or negative errno with @err.
 */
int sf_certs_make(const char *dir, const struct sf_cert_name *names, size_t n, char *err,
		  size_t err_len);

#endif
