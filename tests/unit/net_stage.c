/*
 * net_stage.c - starts the server of tests/unit/net_server.py and runs the loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/log.h"

#define TURN_MS 10 /* at least so often the condition is looked at */

static bool (*wanted)(void);
static const char *wanted_what;
static struct loop *wanted_loop;

static void
stop_when_wanted(void *arg)
{
    (void)arg;
    if (wanted != NULL && wanted())
        loop_stop(wanted_loop);
}

static void
on_turn_time(void *arg)
{
    (void)arg; /* a turn is all that is wanted */
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("this did not come within 20 s: %s", wanted_what);
}

void
net_wait(struct net_stage *s, bool (*condition)(void), const char *what)
{
    if (condition())
        return;
    wanted = condition;
    wanted_what = what;
    wanted_loop = s->loop;
    struct loop_timer *limit = loop_timer_new(s->loop, 20000, 0, on_limit, NULL);
    struct loop_timer *turn = loop_timer_new(s->loop, TURN_MS, TURN_MS, on_turn_time, NULL);
    loop_run(s->loop);
    loop_timer_end(&turn);
    loop_timer_end(&limit);
    wanted = NULL;
}

static void
server_start(struct net_stage *s)
{
    int input[2], output[2];
    cr_assert(pipe(input) == 0 && pipe(output) == 0);
    s->server_pid = fork();
    cr_assert_geq(s->server_pid, 0);
    if (s->server_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        execl("/usr/bin/python3", "python3", SCRIP_NET_SERVER, s->folder, (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    s->server_input = input[1];
    FILE *f = fdopen(output[0], "r");
    cr_assert(f != NULL && fscanf(f, "%d %d", &s->port, &s->tls_port) == 2,
              "net_server.py did not start");
    fclose(f);
}

void
net_stage_open(struct net_stage *s, bool with_server)
{
    log_open("test", LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
    s->loop = loop_new();
    loop_on_turn(s->loop, stop_when_wanted, NULL);
    snprintf(s->folder, sizeof s->folder, "/tmp/scrip-net-XXXXXX");
    cr_assert(mkdtemp(s->folder) != NULL);
    if (with_server)
        server_start(s);
}

void
net_stage_close(struct net_stage *s)
{
    if (s->server_pid != 0) {
        close(s->server_input);
        /* The loop's library catches SIGCHLD, which interrupts the waiting. */
        while (waitpid(s->server_pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    static const char *const files[] = {"ca.key",    "ca.pem",     "x.key",
                                        "other.pem", "server.key", "server.pem"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", s->folder, files[i]);
        unlink(path);
    }
    rmdir(s->folder);
    loop_destroy(&s->loop);
}
