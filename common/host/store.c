/*
 * store.c - the hash chain of the journal, common to every store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/store.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "host/pg_array.h"

/* Fetched once: looking the algorithm up at every record would cost more than the hash. */
struct journal_hasher {
    EVP_MD *sha256;
    EVP_MD_CTX *context;
};

struct journal_hasher *
journal_hasher_new(void)
{
    struct journal_hasher *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->context = EVP_MD_CTX_new();
    CHECK(h->sha256 != NULL && h->context != NULL);
    return h;
}

void
journal_hasher_destroy(struct journal_hasher **h)
{
    if (*h == NULL)
        return;
    EVP_MD_CTX_free((*h)->context);
    EVP_MD_free((*h)->sha256);
    free(*h);
    *h = NULL;
}

void
journal_hash(struct journal_hasher *h, const uint8_t before[HASH_BYTES],
             const struct journal_record *r, uint8_t out[HASH_BYTES])
{
    char head[HASH_BYTES + 4 * 8 + CODE_BYTES + 8];
    char *at = head;
    memcpy(at, before, HASH_BYTES);
    at += HASH_BYTES;
    const int64_t numbers[] = {r->shard, (int64_t)r->seq, r->time_us, r->kind};
    for (size_t i = 0; i < 4; i++, at += 8)
        pg_write_int8(numbers[i], at);
    memcpy(at, r->source.text, CODE_BYTES);
    pg_write_int8((int64_t)r->corr, at + CODE_BYTES);

    unsigned length = 0;
    CHECK(EVP_DigestInit_ex2(h->context, h->sha256, NULL) == 1);
    CHECK(EVP_DigestUpdate(h->context, head, sizeof head) == 1);
    CHECK(EVP_DigestUpdate(h->context, r->payload, r->payload_length) == 1);
    CHECK(EVP_DigestFinal_ex(h->context, out, &length) == 1 && length == HASH_BYTES);
}

const char *
store_outcome_name(enum store_outcome o)
{
    switch (o) {
    case STORE_DONE:
        return "done";
    case STORE_LOST:
        return "lost";
    case STORE_TAKEN:
        return "taken";
    case STORE_FENCED:
        return "fenced";
    case STORE_REFUSED:
        return "refused";
    case STORE_GAP:
        return "gap";
    }
    CHECK(false);
}
