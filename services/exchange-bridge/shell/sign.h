/*
 * sign.h - signatures as Binance takes them: HMAC-SHA256 in hex, Ed25519 and RSA in base64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SIGN_H
#define SCRIP_BRIDGE_SHELL_SIGN_H

#include "base/msg.h"

#define SIGN_API_KEY_BYTES 128u
#define SIGN_SECRET_BYTES  4096u /* an RSA key of 4096 bit as PKCS#8 PEM is 3,272 */
#define SIGN_TEXT_BYTES    1025u /* RSA 4096: 684 characters, percent-encoded more */

/* A key in the open. Whoever has one wipes it with sign_wipe(). */
struct sign_key {
    enum key_kind kind;
    char api_key[SIGN_API_KEY_BYTES];
    size_t secret_length;
    char secret[SIGN_SECRET_BYTES]; /* HMAC: the text; else PEM */
};

/* Finds out the kind and whether the forms are right: ERR_KEY_FORMAT with `field` otherwise. RSA of
 * 2048 to 4096 bit, PKCS#8. */
MUST_USE enum err sign_key_judge(struct sign_key *k, code_t *field);
void sign_wipe(struct sign_key *k);
/* Signs these bytes; `out` is as it stands in a query (percent-encoded), or as it is when `plain`
 * (JSON). Its length; 0 when the key is of no use. */
size_t sign_text(const struct sign_key *k, const char *text, size_t length, bool plain,
                 char out[SIGN_TEXT_BYTES]);

#endif
