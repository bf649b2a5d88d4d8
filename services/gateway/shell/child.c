/*
 * child.c - see child.h: posix_spawn, a pipe, and SIGCHLD through libev.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "host/log.h"

#define NICE       5
#define READ_BYTES 65536

enum child_state { CHILD_FREE, CHILD_RUNNING, CHILD_ENDING };

struct child {
    struct children *children;
    enum child_state state;
    uint64_t owner;
    pid_t pid; /* 0 = it ended */
    int status;
    int fd; /* -1 = its output ended */
    struct loop_watch *watch;
    struct loop_timer *limit;
    struct bytes out;
};

struct children {
    struct children_options o;
    child_done *done;
    void *arg;
    ev_signal on_signal;
    struct child all[CHILDREN_MAX];
    uint32_t count;
};

/* ---- The end of one ----------------------------------------------------------------------- */

static void
output_close(struct child *k)
{
    if (k->fd < 0)
        return;
    loop_watch_end(&k->watch);
    close(k->fd);
    k->fd = -1;
}

static void
child_free(struct child *k)
{
    output_close(k);
    loop_timer_end(&k->limit);
    bytes_free(&k->out);
    k->state = CHILD_FREE;
    k->children->count--;
}

/* Its whole group, since it may have children. Its place is free once the system says it ended. */
static void
child_kill(struct child *k)
{
    k->state = CHILD_ENDING;
    loop_timer_stop(k->limit);
    output_close(k);
    if (k->pid == 0)
        child_free(k);
    else
        (void)kill(-k->pid, SIGKILL);
}

/* The place is free, or ending, before anybody is told, who may want to start another one. */
static void
child_tell(struct child *k, enum child_end end, int status)
{
    struct children *c = k->children;
    struct bytes out = k->out;
    uint64_t owner = k->owner;
    k->out = (struct bytes){0};
    if (k->state == CHILD_RUNNING)
        child_kill(k);
    c->done(c->arg, owner, end, status, &out);
    bytes_free(&out);
}

static void
child_settle(struct child *k)
{
    if (k->pid != 0)
        return;
    if (k->state == CHILD_ENDING) {
        child_free(k);
        return;
    }
    if (k->fd >= 0)
        return;
    bool is_exit = WIFEXITED(k->status);
    child_tell(k, is_exit ? CHILD_EXITED : CHILD_SIGNALED,
               is_exit ? WEXITSTATUS(k->status) : WTERMSIG(k->status));
}

static void
on_limit(void *arg)
{
    child_tell(arg, CHILD_TOO_LATE, 0);
}

static void
on_output(void *arg, unsigned events)
{
    struct child *k = arg;
    (void)events;
    bytes_reserve(&k->out, READ_BYTES);
    ssize_t got = read(k->fd, k->out.data + k->out.length, READ_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        output_close(k);
        child_settle(k);
        return;
    }
    k->out.length += (size_t)got;
    if (k->out.length > k->children->o.bytes_max)
        child_tell(k, CHILD_TOO_LARGE, 0);
}

/* What it started ends with it, or might hold its output open. That is done before its end is taken
 * note of: until then nobody else gets its number. */
static bool
child_reap(struct child *k)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)k->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != k->pid)
        return false;
    (void)kill(-k->pid, SIGKILL);
    CHECK(waitpid(k->pid, &k->status, 0) == k->pid);
    k->pid = 0;
    return true;
}

/* One signal may stand for several. */
static void
on_child_signal(struct ev_loop *ev, ev_signal *w, int events)
{
    (void)ev, (void)events;
    struct children *c = w->data;
    for (int i = 0; i < CHILDREN_MAX; i++) {
        struct child *k = &c->all[i];
        if (k->state != CHILD_FREE && k->pid != 0 && child_reap(k))
            child_settle(k);
    }
}

/* ---- The start of one --------------------------------------------------------------------- */

/* Nothing of ours but the output's pipe; signals as if we had never touched them. */
static int
spawn(const char *program, char *const *arguments, char *const *environment, int out, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    CHECK(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&how) == 0);
    CHECK(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&files, out, 1) == 0);
    CHECK(posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) == 0);
    CHECK(posix_spawn_file_actions_addclosefrom_np(&files, 3) == 0);
    CHECK(posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK) == 0);
    CHECK(posix_spawnattr_setpgroup(&how, 0) == 0);
    CHECK(posix_spawnattr_setsigdefault(&how, &all) == 0);
    CHECK(posix_spawnattr_setsigmask(&how, &none) == 0);
    int reason = posix_spawn(pid, program, &files, &how, arguments, environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return reason;
}

/* Trading comes first; and nobody would stop it if we were gone. */
static void
restrain(pid_t pid, int64_t time_ms)
{
    rlim_t seconds = (rlim_t)(time_ms / 1000 + 1);
    const struct rlimit processor = {seconds, seconds}, core = {0, 0};
    (void)setpriority(PRIO_PROCESS, (id_t)pid, NICE);
    (void)prlimit(pid, RLIMIT_CPU, &processor, NULL);
    (void)prlimit(pid, RLIMIT_CORE, &core, NULL);
}

static struct child *
place_free(struct children *c)
{
    if (c->count >= c->o.running_max)
        return NULL;
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (c->all[i].state == CHILD_FREE)
            return &c->all[i];
    return NULL;
}

enum err
child_start(struct children *c, uint64_t owner, const char *program, char *const *arguments,
            char *const *environment)
{
    int ends[2];
    pid_t pid;
    struct child *k = place_free(c);
    if (k == NULL)
        return ERR_GATEWAY_BUSY;
    int reason = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
    if (reason == 0) {
        reason = spawn(program, arguments, environment, ends[1], &pid);
        close(ends[1]);
        if (reason != 0)
            close(ends[0]);
    }
    if (reason != 0) {
        log_line(LOG_ERROR, "child_failed", "program=%s reason=\"%s\"", program, strerror(reason));
        return ERR_FILE_UNREADABLE;
    }
    restrain(pid, c->o.time_ms);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    *k = (struct child){
        .children = c, .state = CHILD_RUNNING, .owner = owner, .pid = pid, .fd = ends[0]};
    k->watch = loop_watch_fd(c->o.loop, k->fd, LOOP_READ, on_output, k);
    k->limit = loop_timer_new(c->o.loop, c->o.time_ms, 0, on_limit, k);
    c->count++;
    return OK;
}

void
child_drop(struct children *c, uint64_t owner)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (c->all[i].state == CHILD_RUNNING && c->all[i].owner == owner)
            child_kill(&c->all[i]);
}

void
children_sweep(struct children *c, bool (*wanted)(void *arg, uint64_t owner))
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (c->all[i].state == CHILD_RUNNING && !wanted(c->arg, c->all[i].owner))
            child_kill(&c->all[i]);
}

uint32_t
children_count(const struct children *c)
{
    return c->count;
}

/* ---- All ---------------------------------------------------------------------------------- */

struct children *
children_open(const struct children_options *o, child_done *done, void *arg)
{
    struct children *c = calloc(1, sizeof *c);
    CHECK(c != NULL && o->running_max <= CHILDREN_MAX);
    c->o = *o;
    c->done = done;
    c->arg = arg;
    ev_signal_init(&c->on_signal, on_child_signal, SIGCHLD);
    c->on_signal.data = c;
    ev_signal_start(loop_ev(o->loop), &c->on_signal);
    return c;
}

void
children_close(struct children **children)
{
    struct children *c = *children;
    if (c == NULL)
        return;
    for (int i = 0; i < CHILDREN_MAX; i++) {
        struct child *k = &c->all[i];
        if (k->state == CHILD_FREE)
            continue;
        if (k->pid != 0) {
            (void)kill(-k->pid, SIGKILL);
            while (waitpid(k->pid, &k->status, 0) < 0 && errno == EINTR)
                continue;
        }
        child_free(k);
    }
    ev_signal_stop(loop_ev(c->o.loop), &c->on_signal);
    free(c);
    *children = NULL;
}
