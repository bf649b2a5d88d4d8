/*
 * fetch.c - libcurl's multi interface driven by the loop's descriptors and one timer.
 *
 * libcurl tells which descriptors and which time it waits for; the loop tells what happened, and
 * finished requests are handed on after that, outside of libcurl's own callbacks, so that
 * on_reply may send and drop as it likes.
 *
 * libcurl would send a request again by itself when a kept connection turns out to be dead. Its
 * question before each sending is answered with no for the second one: what an exchange may have
 * read once must not be said twice without the caller's knowledge.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/log.h"
#include "host/metrics.h"
#include "wire/codec.h"

#define URL_HEAD_BYTES 320u /* scheme, host and port */

/* One request under way. */
struct sending {
    struct fetch *fetch;
    uint64_t number; /* 0 = the slot is free */
    CURL *easy;
    struct curl_slist *headers;
    struct bytes body;
    struct fetch_reply reply;
    bool is_too_long;
    bool says_retry_after;
    int64_t began_us;
    char error[CURL_ERROR_SIZE];
    void *arg;
    void (*on_reply)(void *arg, const struct fetch_reply *r);
};

struct socket {
    struct fetch *fetch;
    curl_socket_t fd;
    struct loop_watch *watch;
    struct socket *next;
};

struct fetch {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer;
    struct socket *sockets;
    struct sending *slots;
    uint32_t in_flight_max, in_flight;
    uint64_t last_number;
    size_t body_bytes_max;
    int64_t timeout_ms;
    char *ca_file;
    struct metric *requests, *failures, *took_us;
};

/* ---- Replies ----------------------------------------------------------------------------- */

/* Takes a slot out of libcurl's hands. Its handle is kept: making one and setting it up costs as
 * much as a request does. */
static void
sending_end(struct sending *s)
{
    curl_multi_remove_handle(s->fetch->multi, s->easy);
    curl_slist_free_all(s->headers);
    s->headers = NULL;
    s->number = 0;
    s->fetch->in_flight--;
}

static void
reply_fail(struct sending *s, CURLcode code, char *why, size_t room)
{
    s->reply.status = 0;
    s->reply.timed_out = code == CURLE_OPERATION_TIMEDOUT;
    if (s->is_too_long)
        snprintf(why, room, "the reply is longer than %zu bytes", s->fetch->body_bytes_max);
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        snprintf(why, room, "the connection broke before a reply");
    else
        snprintf(why, room, "%s", s->error[0] != 0 ? s->error : curl_easy_strerror(code));
    s->reply.length = 0;
    metric_add(s->fetch->failures, 1);
}

static void
finish(struct sending *s, CURLcode code)
{
    struct fetch *f = s->fetch;
    char why[CURL_ERROR_SIZE + 32] = "";
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    s->reply.status = (int)status;
    s->reply.length = s->body.length;
    if (s->says_retry_after) {
        curl_off_t seconds = 0;
        curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &seconds);
        s->reply.retry_after_s = (int64_t)seconds;
    }
    if (code != CURLE_OK || status == 0)
        reply_fail(s, code, why, sizeof why);
    bytes_add(&s->body, "", 1); /* a NUL behind it, for readers of text */
    s->reply.body = (const char *)s->body.data;
    s->reply.why = why;
    metric_observe_us(f->took_us, loop_measure_us() - s->began_us);

    /* The slot is free before on_reply, which may send the next request. */
    struct fetch_reply reply = s->reply;
    struct bytes body = s->body;
    memset(&s->body, 0, sizeof s->body);
    void *arg = s->arg;
    void (*on_reply)(void *, const struct fetch_reply *) = s->on_reply;
    sending_end(s);
    on_reply(arg, &reply);
    bytes_free(&body);
}

static void
hand_on(struct fetch *f)
{
    int left;
    CURLMsg *m;
    while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
        struct sending *s = NULL;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s) == CURLE_OK)
            finish(s, m->data.result);
    }
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
    struct sending *s = arg;
    size_t length = size * count;
    if (s->body.length + length > s->fetch->body_bytes_max) {
        s->is_too_long = true;
        return 0; /* libcurl ends the request */
    }
    bytes_add(&s->body, data, length);
    return length;
}

/* "Name: 123" -> the number; false when it is another header or no number. */
static bool
header_number(const char *line, size_t length, const char *name, int64_t *out)
{
    size_t at = strlen(name);
    if (length <= at || line[at] != ':' || strncasecmp(line, name, at) != 0)
        return false;
    for (at++; at < length && line[at] == ' ';)
        at++;
    int64_t value = 0;
    size_t digits = 0;
    for (; at < length && line[at] >= '0' && line[at] <= '9' && digits < 18; at++, digits++)
        value = value * 10 + (line[at] - '0');
    if (digits > 0)
        *out = value;
    return digits > 0;
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
    struct sending *s = arg;
    size_t length = size * count;
    struct fetch_reply *r = &s->reply;
    if (length == 0 || strchr("xXrRdD", line[0]) == NULL)
        return length;
    header_number(line, length, "X-MBX-USED-WEIGHT-1M", &r->used_weight_1m);
    header_number(line, length, "X-MBX-ORDER-COUNT-10S", &r->order_count_10s);
    header_number(line, length, "X-MBX-ORDER-COUNT-1M", &r->order_count_1m);
    header_number(line, length, "X-MBX-ORDER-COUNT-1D", &r->order_count_1d);
    if (length > 12 && strncasecmp(line, "Retry-After:", 12) == 0)
        s->says_retry_after = true; /* seconds or a date: libcurl reads both */
    if (length > 5 && length < 64 && strncasecmp(line, "Date:", 5) == 0) {
        char date[64];
        memcpy(date, line + 5, length - 5);
        date[length - 5] = 0;
        time_t seconds = curl_getdate(date, NULL);
        r->date_us = seconds > 0 ? (int64_t)seconds * 1000000 : -1;
    }
    return length;
}

static int
before_sending(void *arg, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    struct sending *s = arg;
    if (s->reply.was_sent)
        return CURL_PREREQFUNC_ABORT;
    s->reply.was_sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- libcurl and the loop ---------------------------------------------------------------- */

static void
on_socket(void *arg, unsigned events)
{
    struct socket *k = arg;
    struct fetch *f = k->fetch;
    int mask =
        (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(f->multi, k->fd, mask, &running); /* may end the watch */
    hand_on(f);
}

static void
on_time(void *arg)
{
    struct fetch *f = arg;
    int running;
    curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    hand_on(f);
}

static int
want_time(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct fetch *f = arg;
    if (ms < 0)
        loop_timer_stop(f->timer);
    else
        loop_timer_again(f->timer, ms);
    return 0;
}

static void
socket_end(struct fetch *f, struct socket *k)
{
    struct socket **at = &f->sockets;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    loop_watch_end(&k->watch);
    free(k);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct fetch *f = arg;
    struct socket *k = known;
    if (what == CURL_POLL_REMOVE) {
        if (k != NULL)
            socket_end(f, k);
        return 0;
    }
    unsigned events =
        (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (k != NULL) {
        loop_watch_set(k->watch, events);
        return 0;
    }
    k = calloc(1, sizeof *k);
    CHECK(k != NULL);
    *k = (struct socket){.fetch = f, .fd = fd, .next = f->sockets};
    f->sockets = k;
    k->watch = loop_watch_fd(f->loop, fd, events, on_socket, k);
    curl_multi_assign(f->multi, fd, k);
    return 0;
}

/* ---- Requests ---------------------------------------------------------------------------- */

static void
method_set(CURL *e, const struct fetch_request *r)
{
    const char *method = r->method == NULL ? "GET" : r->method;
    bool is_post = strcmp(method, "POST") == 0;
    curl_easy_setopt(e, CURLOPT_HTTPGET, 1L); /* what the last request was is forgotten */
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, NULL);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    else if (is_post)
        curl_easy_setopt(e, CURLOPT_POST, 1L);
    if (r->body != NULL || is_post) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_length);
        curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, r->body == NULL ? "" : r->body);
    }
    if (strcmp(method, "GET") != 0 || r->body != NULL)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void
trust_set(CURL *e, const struct fetch *f)
{
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (f->ca_file == NULL)
        return;
    curl_easy_setopt(e, CURLOPT_CAINFO, f->ca_file);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* that file and nothing else */
}

/* What is the same for all requests of a handle. */
static CURL *
easy_open(struct sending *s, const struct fetch *f)
{
    CURL *e = curl_easy_init();
    CHECK(e != NULL);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    /* A look-up that hangs is left to its thread instead of being waited for. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_sending);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, s);
    trust_set(e, f);
    return e;
}

/* Path and query go out as they are: libcurl would take them apart and put them together again,
 * which costs as much as the sending. What does not stand in a request line so is left to it. */
static void
url_set(CURL *e, const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host == NULL ? NULL : strchr(host + 3, '/');
    bool is_plain = path != NULL && (size_t)(path - url) < URL_HEAD_BYTES;
    for (const char *c = path; is_plain && *c != '\0'; c++)
        is_plain = *c > ' ' && *c <= '~' && *c != '#';
    if (is_plain) {
        char head[URL_HEAD_BYTES];
        memcpy(head, url, (size_t)(path - url));
        head[path - url] = '\0';
        curl_easy_setopt(e, CURLOPT_URL, head);
    } else {
        curl_easy_setopt(e, CURLOPT_URL, url);
    }
    curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, is_plain ? path : NULL);
}

static void
request_set(struct sending *s, const struct fetch_request *r)
{
    CURL *e = s->easy;
    int64_t timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : s->fetch->timeout_ms;
    for (const char *const *h = r->headers; h != NULL && *h != NULL; h++)
        s->headers = curl_slist_append(s->headers, *h);
    if (r->body != NULL) /* which waits for no leave to be sent */
        s->headers = curl_slist_append(s->headers, "Expect:");
    if (r->is_short) /* libcurl writes a header letter by letter; what is packed is read still */
        s->headers = curl_slist_append(s->headers, "Accept-Encoding:");
    url_set(e, r->url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout_ms); /* connecting included */
    method_set(e, r);
}

uint64_t
fetch_send(struct fetch *f, const struct fetch_request *r)
{
    struct sending *s = NULL;
    for (uint32_t i = 0; i < f->in_flight_max && s == NULL; i++)
        if (f->slots[i].number == 0)
            s = &f->slots[i];
    if (s == NULL)
        return 0;
    CURL *easy = s->easy == NULL ? easy_open(s, f) : s->easy;
    *s = (struct sending){.fetch = f,
                          .number = ++f->last_number,
                          .easy = easy,
                          .reply = {.retry_after_s = -1,
                                    .used_weight_1m = -1,
                                    .order_count_10s = -1,
                                    .order_count_1m = -1,
                                    .order_count_1d = -1,
                                    .date_us = -1},
                          .began_us = loop_measure_us(),
                          .arg = r->arg,
                          .on_reply = r->on_reply};
    request_set(s, r);
    f->in_flight++;
    CHECK(curl_multi_add_handle(f->multi, s->easy) == CURLM_OK);
    metric_add(f->requests, 1);
    return s->number;
}

void
fetch_drop(struct fetch *f, uint64_t request)
{
    for (uint32_t i = 0; request != 0 && i < f->in_flight_max; i++) {
        struct sending *s = &f->slots[i];
        if (s->number != request)
            continue;
        sending_end(s);
        bytes_free(&s->body);
        return;
    }
}

/* ---- The whole --------------------------------------------------------------------------- */

struct fetch *
fetch_open(const struct fetch_options *o)
{
    struct fetch *f = calloc(1, sizeof *f);
    CHECK(f != NULL && o->in_flight_max > 0 && o->timeout_ms > 0);
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    f->loop = o->loop;
    f->in_flight_max = o->in_flight_max;
    f->body_bytes_max = o->body_bytes_max;
    f->timeout_ms = o->timeout_ms;
    f->slots = calloc(o->in_flight_max, sizeof *f->slots);
    f->multi = curl_multi_init();
    CHECK(f->slots != NULL && f->multi != NULL);
    if (o->ca_file != NULL && *o->ca_file != 0) {
        f->ca_file = strdup(o->ca_file);
        CHECK(f->ca_file != NULL);
    }
    f->timer = loop_timer_new(f->loop, 0, 0, on_time, f);
    loop_timer_stop(f->timer);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_time);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)o->in_flight_max);
    f->requests = metric_counter("scrip_fetch_requests_total", "", "HTTP requests sent elsewhere.");
    f->failures = metric_counter("scrip_fetch_failures_total", "",
                                 "HTTP requests elsewhere without a whole reply.");
    f->took_us =
        metric_histogram("scrip_fetch_us", "", "Time of an HTTP request elsewhere, to its end.");
    return f;
}

void
fetch_close(struct fetch **fetch)
{
    struct fetch *f = *fetch;
    if (f == NULL)
        return;
    *fetch = NULL;
    for (uint32_t i = 0; i < f->in_flight_max; i++)
        fetch_drop(f, f->slots[i].number);
    for (uint32_t i = 0; i < f->in_flight_max; i++)
        curl_easy_cleanup(f->slots[i].easy);
    curl_multi_cleanup(f->multi);
    while (f->sockets != NULL)
        socket_end(f, f->sockets);
    loop_timer_end(&f->timer);
    free(f->slots);
    free(f->ca_file);
    free(f);
    curl_global_cleanup();
}
