/*
 * hash_pool.c - a few threads, a bounded ring of jobs, and a wake-up of the loop.
 *
 * The only threads of the gateway that touch its data: a job belongs to a thread between the two
 * rings, guarded by one mutex.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/hash_pool.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "host/metrics.h"

#define SALT_BYTES   16
#define DIGEST_BYTES 32
#define LANES        1

enum job_kind { JOB_MAKE, JOB_COMPARE };

struct job {
    enum job_kind kind;
    char password[PASSWORD_BYTES];
    char hash[HASH_BYTES];
    bool ok, is_nobody;
    hash_done *done;
    void *arg;
    struct job *next;
};

struct job_list {
    struct job *first, **last;
};

struct hash_pool {
    struct hash_pool_options o;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job_list waiting, finished; /* under the lock */
    bool closing;                      /* under the lock */
    uint32_t count;                    /* loop only: jobs taken and not yet called back */
    struct loop_wake *wake;
    pthread_t *threads;
    char nobody[HASH_BYTES]; /* a hash whose password nobody knows */
    struct metric *queued, *hashed;
};

static void
list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void
list_push(struct job_list *l, struct job *j)
{
    j->next = NULL;
    *l->last = j;
    l->last = &j->next;
}

static struct job *
list_pop(struct job_list *l)
{
    struct job *j = l->first;
    if (j != NULL) {
        l->first = j->next;
        if (l->first == NULL)
            l->last = &l->first;
    }
    return j;
}

static bool
hash_make(const struct hash_pool *p, const char *password, char out[HASH_BYTES])
{
    uint8_t salt[SALT_BYTES];
    if (RAND_bytes(salt, sizeof salt) != 1)
        return false;
    return argon2id_hash_encoded(p->o.passes, p->o.kib, LANES, password, strlen(password), salt,
                                 sizeof salt, DIGEST_BYTES, out, HASH_BYTES) == ARGON2_OK;
}

static void *
hash_thread(void *arg)
{
    struct hash_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->waiting.first == NULL && !p->closing)
            pthread_cond_wait(&p->more, &p->lock);
        if (p->closing)
            break;
        struct job *j = list_pop(&p->waiting);
        pthread_mutex_unlock(&p->lock);
        if (j->kind == JOB_MAKE)
            j->ok = hash_make(p, j->password, j->hash);
        else
            j->ok = argon2id_verify(j->hash, j->password, strlen(j->password)) == ARGON2_OK &&
                    !j->is_nobody;
        OPENSSL_cleanse(j->password, sizeof j->password);
        pthread_mutex_lock(&p->lock);
        list_push(&p->finished, j);
        loop_wake_send(p->wake);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void
on_wake(void *arg)
{
    struct hash_pool *p = arg;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct job *j = list_pop(&p->finished);
        pthread_mutex_unlock(&p->lock);
        if (j == NULL)
            return;
        p->count--;
        metric_set(p->queued, p->count);
        metric_add(p->hashed, 1);
        j->done(j->arg, j->ok, j->kind == JOB_MAKE ? j->hash : NULL);
        free(j);
    }
}

struct hash_pool *
hash_pool_open(const struct hash_pool_options *o)
{
    struct hash_pool *p = calloc(1, sizeof *p);
    CHECK(p != NULL && o->threads > 0);
    p->o = *o;
    list_init(&p->waiting);
    list_init(&p->finished);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0 && pthread_cond_init(&p->more, NULL) == 0);
    uint8_t secret[16];
    char text[sizeof secret * 2 + 1];
    CHECK(RAND_bytes(secret, sizeof secret) == 1);
    for (size_t i = 0; i < sizeof secret; i++) {
        text[i * 2] = "0123456789abcdef"[secret[i] >> 4];
        text[i * 2 + 1] = "0123456789abcdef"[secret[i] & 15];
    }
    text[sizeof text - 1] = 0;
    CHECK(hash_make(p, text, p->nobody));
    p->wake = loop_wake_new(o->loop, on_wake, p);
    p->queued = metric_gauge("scrip_gateway_hashes_waiting", "", "Passwords being hashed.");
    p->hashed = metric_counter("scrip_gateway_hashes_total", "", "Passwords hashed.");
    p->threads = calloc(o->threads, sizeof *p->threads);
    CHECK(p->threads != NULL);
    for (uint32_t i = 0; i < o->threads; i++)
        CHECK(pthread_create(&p->threads[i], NULL, hash_thread, p) == 0);
    return p;
}

void
hash_pool_close(struct hash_pool **pool)
{
    struct hash_pool *p = *pool;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->o.threads; i++)
        pthread_join(p->threads[i], NULL);
    struct job *j;
    while ((j = list_pop(&p->waiting)) != NULL || (j = list_pop(&p->finished)) != NULL) {
        OPENSSL_cleanse(j->password, sizeof j->password);
        free(j);
    }
    loop_wake_end(&p->wake);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
    *pool = NULL;
}

static enum err
job_start(struct hash_pool *p, enum job_kind kind, const char *hash, const char *password,
          hash_done *done, void *arg)
{
    CHECK(strlen(password) < PASSWORD_BYTES);
    if (p->count >= p->o.queue_max)
        return ERR_GATEWAY_BUSY;
    struct job *j = calloc(1, sizeof *j);
    CHECK(j != NULL);
    j->kind = kind;
    j->done = done;
    j->arg = arg;
    memcpy(j->password, password, strlen(password) + 1);
    if (kind == JOB_COMPARE) {
        j->is_nobody = hash == NULL || strlen(hash) >= HASH_BYTES;
        const char *from = j->is_nobody ? p->nobody : hash;
        memcpy(j->hash, from, strlen(from) + 1);
    }
    p->count++;
    metric_set(p->queued, p->count);
    pthread_mutex_lock(&p->lock);
    list_push(&p->waiting, j);
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    return OK;
}

enum err
hash_pool_make(struct hash_pool *p, const char *password, hash_done *done, void *arg)
{
    return job_start(p, JOB_MAKE, NULL, password, done, arg);
}

enum err
hash_pool_compare(struct hash_pool *p, const char *hash, const char *password, hash_done *done,
                  void *arg)
{
    return job_start(p, JOB_COMPARE, hash, password, done, arg);
}
