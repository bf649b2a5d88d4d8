/*
 * lookup.c - getaddrinfo() on a detached thread, which hands its answer over by a wake-up.
 *
 * Thread and loop share one struct under a mutex; whoever is done with it last frees it: the loop
 * when it took the answer, the thread when nobody waits any more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct lookup {
    pthread_mutex_t mutex;
    /* Under the mutex: */
    struct loop_wake *wake; /* NULL once nobody waits */
    bool is_done;
    struct lookup_found found;
    /* Of the loop: */
    void (*on_found)(void *arg, const struct lookup_found *found);
    void *arg;
    /* Set before the thread begins: */
    char host[LOOKUP_HOST_BYTES];
};

static void
lookup_free(struct lookup *k)
{
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

static void
addresses_find(const char *host, struct lookup_found *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return;
    for (struct addrinfo *a = list; a != NULL && out->count < LOOKUP_ADDRESSES_MAX; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, out->address[out->count], INET6_ADDRSTRLEN, NULL,
                        0, NI_NUMERICHOST) == 0)
            out->count++;
    freeaddrinfo(list);
}

static void
answer_hand_over(struct lookup *k, const struct lookup_found *found)
{
    pthread_mutex_lock(&k->mutex);
    k->found = *found;
    k->is_done = true;
    bool is_awaited = k->wake != NULL;
    if (is_awaited)
        loop_wake_send(k->wake);
    pthread_mutex_unlock(&k->mutex);
    if (!is_awaited)
        lookup_free(k);
}

static void *
lookup_run(void *arg)
{
    struct lookup *k = arg;
    struct lookup_found found = {0};
    addresses_find(k->host, &found);
    answer_hand_over(k, &found);
    return NULL;
}

static void
on_wake(void *arg)
{
    struct lookup *k = arg;
    pthread_mutex_lock(&k->mutex); /* behind the thread's unlocking */
    struct lookup_found found = k->found;
    struct loop_wake *wake = k->wake;
    pthread_mutex_unlock(&k->mutex);
    void (*on_found)(void *, const struct lookup_found *) = k->on_found;
    void *owner = k->arg;
    loop_wake_end(&wake);
    lookup_free(k);
    on_found(owner, &found);
}

static bool
is_numeric(const char *host)
{
    struct in6_addr a;
    return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

struct lookup *
lookup_start(struct loop *l, const char *host,
             void (*on_found)(void *arg, const struct lookup_found *found), void *arg)
{
    struct lookup *k = calloc(1, sizeof *k);
    size_t length = strlen(host);
    CHECK(k != NULL && length < LOOKUP_HOST_BYTES);
    memcpy(k->host, host, length);
    k->on_found = on_found;
    k->arg = arg;
    pthread_mutex_init(&k->mutex, NULL);
    k->wake = loop_wake_new(l, on_wake, k);
    struct lookup_found found = {0};
    pthread_t thread;
    if (is_numeric(host)) {
        memcpy(found.address[found.count++], host, length + 1);
        answer_hand_over(k, &found);
    } else if (pthread_create(&thread, NULL, lookup_run, k) == 0) {
        pthread_detach(thread);
    } else {
        answer_hand_over(k, &found); /* no thread is to be had: as if nothing were found */
    }
    return k;
}

void
lookup_drop(struct lookup **lookup)
{
    struct lookup *k = *lookup;
    if (k == NULL)
        return;
    *lookup = NULL;
    pthread_mutex_lock(&k->mutex);
    struct loop_wake *wake = k->wake;
    k->wake = NULL;
    bool is_done = k->is_done;
    pthread_mutex_unlock(&k->mutex);
    loop_wake_end(&wake);
    if (is_done)
        lookup_free(k); /* otherwise the thread does */
}
