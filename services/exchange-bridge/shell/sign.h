/*
 * sign.h - signatures as Binance takes them: HMAC-SHA256 in hex, Ed25519 and RSA in base64.
 *
 * Nothing of a key is kept from one signature to the next. A judged key is therefore in a form that
 * costs little to be read each time: PKCS#8 in DER instead of PEM.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SIGN_H
#define SCRIP_BRIDGE_SHELL_SIGN_H

#include "base/msg.h"

#define SIGN_API_KEY_BYTES 128u
#define SIGN_SECRET_BYTES  4096u /* an RSA key of 4096 bit as PKCS#8 PEM is 3,272 */
#define SIGN_TEXT_BYTES    2053u /* RSA 4096: 684 characters, percent-encoded at most 2,052 */

/* A key in the open. Whoever has one wipes it with sign_wipe(). */
struct sign_key {
    enum key_kind kind;
    char api_key[SIGN_API_KEY_BYTES];
    size_t secret_length;
    char secret[SIGN_SECRET_BYTES]; /* HMAC: the text; else PEM, and DER once it is judged */
};

/* Once, for a key as its owner gave it: finds out the kind, proves that it signs, and turns a PEM
 * into DER, which is what is to be kept. ERR_KEY_FORMAT with `field` (api_key or api_secret) when
 * the forms are wrong: RSA has 2048 to 4096 bit, PEM is PKCS#8 and not encrypted. */
MUST_USE enum err sign_key_judge(struct sign_key *k, code_t *field);
void sign_wipe(struct sign_key *k);
/* Signs these bytes with a judged key; `out` is as it stands in a query (percent-encoded), or as it
 * is when `plain` (JSON). Its length; 0 when the key is of no use. */
size_t sign_text(const struct sign_key *k, const char *text, size_t length, bool plain,
                 char out[SIGN_TEXT_BYTES]);

#endif
