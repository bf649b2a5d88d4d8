/*
 * service_test.c - the life of a process: settings, probe, signals, drain, exit status.
 *
 * Each test runs service_run() in a child; a pipe tells the parent what happens inside.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/service.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipe_fds[2];
static pid_t child;
static int port;
static struct host *host;

static void
tell(char c)
{
    cr_assert_eq(write(pipe_fds[1], &c, 1), 1);
}

static char
hear(void)
{
    char c = 0;
    cr_assert_eq(read(pipe_fds[0], &c, 1), 1, "the child ended unheard");
    return c;
}

struct test_state {
    const char *why;
};
static struct test_state state;

static void
ready(void *arg)
{
    (void)arg;
    state.why = NULL;
    tell('R');
}

static enum err
start(struct host *h, const void *config, void **out)
{
    (void)config;
    host = h;
    state.why = "loading the journal";
    *out = &state;
    tell(strcmp(h->name, "tester-0") == 0 && strcmp(h->service, "tester") == 0 ? 'S' : 's');
    return OK;
}

static enum err
start_ready(struct host *h, const void *config, void **out)
{
    enum err e = start(h, config, out);
    loop_timer_new(h->loop, 0, 0, ready, NULL);
    return e;
}

static enum err
start_fails(struct host *h, const void *config, void **out)
{
    (void)h, (void)config, (void)out;
    return ERR_STORE_FAILED;
}

static const char *
not_ready(void *s)
{
    return ((struct test_state *)s)->why;
}

static void
drained(void *arg)
{
    (void)arg;
    loop_stop(host->loop);
}

static void
drain(void *s)
{
    (void)s;
    tell('D');
    loop_timer_new(host->loop, 200, 0, drained, NULL);
}

static void
drain_never(void *s)
{
    (void)s;
    tell('D');
}

static void
stop(void *s)
{
    (void)s;
    tell('X');
}

/* A port that was free a moment ago. */
static int
port_free(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(s, (struct sockaddr *)&a, size), 0);
    cr_assert_eq(getsockname(s, (struct sockaddr *)&a, &size), 0);
    close(s);
    return ntohs(a.sin_port);
}

static void
run(const struct service *s, const char *flag)
{
    char probe[64];
    port = port_free();
    snprintf(probe, sizeof probe, "--probe_endpoint=127.0.0.1:%d", port);
    char *argv[] = {(char *)"scrip-tester", probe, (char *)flag, NULL};
    cr_assert_eq(pipe(pipe_fds), 0);
    child = fork();
    if (child == 0) {
        close(pipe_fds[0]);
        _exit(service_run(s, flag != NULL ? 3 : 2, argv));
    }
    close(pipe_fds[1]);
}

static int
exit_status(void)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int
dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(s, (struct sockaddr *)&a, sizeof a), 0);
    return s;
}

static char answer[65536];

static const char *
get(const char *path)
{
    char request[128];
    int s = dial();
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    cr_assert_eq(write(s, request, (size_t)length), length);
    size_t have = 0;
    ssize_t n;
    while ((n = read(s, answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)n;
    answer[have] = '\0';
    close(s);
    return answer;
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const struct service tester = {
    .name = "tester", .start = start, .not_ready = not_ready, .drain = drain, .stop = stop};

Test(service, the_probe_answers_before_the_service_is_ready)
{
    run(&tester, NULL);
    cr_assert_eq(hear(), 'S');
    cr_assert(begins(get("/healthz"), "HTTP/1.1 200"), "%s", answer);
    cr_assert(begins(get("/readyz"), "HTTP/1.1 503"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\n\r\nloading the journal\n"));
    cr_assert(begins(get("/metrics"), "HTTP/1.1 200"), "%s", answer);
    cr_assert_not_null(strstr(answer, "scrip_loop_turn_us_count"));
    cr_assert(begins(get("/other"), "HTTP/1.1 404"), "%s", answer);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

Test(service, a_signal_drains_then_stops_with_status_0)
{
    struct service s = tester;
    s.start = start_ready;
    run(&s, NULL);
    cr_assert_eq(hear(), 'S');
    cr_assert_eq(hear(), 'R');
    cr_assert(begins(get("/readyz"), "HTTP/1.1 200"), "%s", answer);
    kill(child, SIGTERM);
    cr_assert_eq(hear(), 'D');
    cr_assert(begins(get("/readyz"), "HTTP/1.1 503"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\n\r\ndraining\n"));
    cr_assert_eq(hear(), 'X');
    cr_assert_eq(exit_status(), 0);
}

Test(service, a_second_signal_cuts_the_drain_short)
{
    struct service s = tester;
    s.drain = drain_never;
    run(&s, NULL);
    cr_assert_eq(hear(), 'S');
    kill(child, SIGINT);
    cr_assert_eq(hear(), 'D');
    kill(child, SIGTERM);
    cr_assert_eq(hear(), 'X');
    cr_assert_eq(exit_status(), 0);
}

Test(service, a_drain_that_hangs_is_ended)
{
    struct service s = tester;
    s.drain = drain_never;
    run(&s, "--drain_ms=50");
    cr_assert_eq(hear(), 'S');
    kill(child, SIGTERM);
    cr_assert_eq(hear(), 'D');
    cr_assert_eq(hear(), 'X');
    cr_assert_eq(exit_status(), 0);
}

Test(service, a_start_that_fails_exits_with_1)
{
    struct service s = tester;
    s.start = start_fails;
    run(&s, NULL);
    cr_assert_eq(exit_status(), 1);
}

Test(service, a_probe_that_cannot_be_bound_exits_with_1)
{
    run(&tester, "--probe_endpoint=192.0.2.1:1");
    cr_assert_eq(exit_status(), 1);
    run(&tester, "--probe_endpoint=nonsense");
    cr_assert_eq(exit_status(), 1);
}

Test(service, bad_settings_exit_with_2)
{
    run(&tester, "--no_such_key=1");
    cr_assert_eq(exit_status(), 2);
    run(&tester, "--log_level=loud");
    cr_assert_eq(exit_status(), 2);
    run(&tester, "--name=twenty-four-characters-x");
    cr_assert_eq(exit_status(), 2);
}

/* As a user without rights, and as open as a process of such a user is. */
static void
become_nobody(void)
{
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(99);
    prctl(PR_SET_DUMPABLE, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, RLIM_INFINITY});
}

static void
run_as_nobody(const struct service *s)
{
    char *argv[] = {(char *)"scrip-tester", (char *)"--probe_endpoint=", NULL};
    cr_assert_eq(pipe(pipe_fds), 0);
    child = fork();
    if (child == 0) {
        become_nobody();
        _exit(service_run(s, 2, argv));
    }
    close(pipe_fds[1]);
    cr_assert_eq(hear(), 'S');
}

/* Whether another process of its user may read its memory. */
static bool
memory_is_open(void)
{
    int status;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)child);
    pid_t reader = fork();
    if (reader == 0) {
        become_nobody();
        _exit(open(path, O_RDONLY) >= 0 ? 1 : 0);
    }
    cr_assert_eq(waitpid(reader, &status, 0), reader);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 1;
}

Test(service, one_that_keeps_secrets_shows_its_memory_to_nobody)
{
    struct service s = tester;
    run_as_nobody(&s);
    if (!memory_is_open())
        fprintf(stderr, "this machine lets nobody read another's memory anyway\n");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    s.keeps_secrets = true;
    run_as_nobody(&s);
    cr_assert_not(memory_is_open());
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static enum err
start_looks(struct host *h, const void *config, void **out)
{
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    bool is_closed =
        core.rlim_cur == 0 && core.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
    return is_closed ? start(h, config, out) : ERR_INTERNAL;
}

Test(service, one_that_keeps_secrets_leaves_no_core)
{
    struct service s = tester;
    int status;
    s.keeps_secrets = true;
    s.start = start_looks;
    run_as_nobody(&s);
    kill(child, SIGABRT);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
}

Test(service, many_connections_and_rubbish_do_not_stop_the_probe)
{
    run(&tester, NULL);
    cr_assert_eq(hear(), 'S');
    int idle[64];
    for (int i = 0; i < 64; i++) {
        idle[i] = dial();
        if (i % 2 == 0)
            (void)!write(idle[i], "\x16\x03\x01 rubbish\r\n\r\n", 14);
    }
    for (int i = 0; i < 64; i++)
        close(idle[i]);
    cr_assert(begins(get("/healthz"), "HTTP/1.1 200"), "%s", answer);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
