// SPDX-License-Identifier: Apache-2.0
/*
 * trust.h - which access routers a host believes, and what they may give it.
 *
 * A router that was joined says where this host's services are and where its packets go. Whoever
 * answers a JOIN first is believed, unless the configuration pins keys (router_key=); and no router
 * may put routes over addresses that are not the network's (prefixes=). Pure.
 */
#ifndef SF_AGENT_TRUST_H
#define SF_AGENT_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"
#include "core/addr.h"
#include "util/crypto.h"

#define TRUST_KEY_EXPECTED "public keys of routers, 64 hexadecimal digits each"
#define TRUST_KEY_STRLEN   (2 * SF_SIGN_PUBLIC_LEN + 1)

/** trust_is_key() - whether the text is a public key, as router_key= takes it. */
bool trust_is_key(const char *text);

/** trust_is_prefix() - whether the text is a prefix, as prefixes= takes it. */
bool trust_is_prefix(const char *text);

/** trust_key_print() - a public key as router_key= takes it. Return: @buf. */
char *trust_key_print(const uint8_t key[SF_SIGN_PUBLIC_LEN], char buf[TRUST_KEY_STRLEN]);

/**
 * trust_key() - whether a router with this key may be joined.
 * Return: 0, or -EKEYREJECTED with both keys in @why.
 */
int trust_key(const struct config *c, const uint8_t key[SF_SIGN_PUBLIC_LEN], char *why, size_t len);

/**
 * trust_net() - whether a network may have these prefixes: its locators' /48 and its service
 * addresses' /32, each inside of one of prefixes=.
 * Return: 0, or -EPERM with what lies outside in @why.
 */
int trust_net(const struct config *c, const struct sf_net *net, char *why, size_t len);

/** trust_is_blind() - whether any router on any link can take this host over. */
bool trust_is_blind(const struct config *c);

#endif
