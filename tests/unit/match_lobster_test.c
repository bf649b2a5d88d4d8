/*
 * match_lobster_test.c - an hour of NASDAQ orders, one by one, through the book.
 *
 * A recording names the resting order that each execution hit. Fed as an incoming order of the
 * other side, it must hit that very order wherever it stood at the front of its queue, and in the
 * end exactly the recorded orders may be left, level by level, in their order. The recording is
 * SCRIP_DATA/l3/lobster_AAPL_replay_*.csv.gz; without it this test is skipped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "matcher/core/taker.h"

#define ORDERS_MAX 100000
#define TICK       10000 /* prices are counts of 1/10000 */

struct replay {
    struct books books;
    struct book book;
    void *memory;
    uint64_t next_rank;
    unsigned adds, reduces, cancels, executions, fifo_front;
};

struct command {
    char what[16], side;
    uint64_t order_id;
    int64_t quantity, price;
    int fifo_front;
};

static gzFile
data_open(const char *name)
{
    char path[4096];
    const char *folder = getenv("SCRIP_DATA");
    if (folder == NULL)
        return NULL;
    snprintf(path, sizeof(path), "%s/l3/%s", folder, name);
    return gzopen(path, "rb");
}

static bool
command_read(const char *line, struct command *c)
{
    *c = (struct command){.fifo_front = 0};
    unsigned long long id;
    long long quantity, price;
    if (sscanf(line, "%*[^,],%*[^,],%15[^,],%llu,%c,%lld,%lld,%d", c->what, &id, &c->side,
               &quantity, &price, &c->fifo_front) < 5)
        return false;
    c->order_id = id;
    c->quantity = quantity * DECIMAL_ONE;
    c->price = price * TICK;
    return true;
}

static void
rest(struct replay *r, const struct command *c, uint64_t rank)
{
    uint32_t record = resting_new(&r->books.orders, c->order_id);
    cr_assert(record != RESTING_NONE);
    struct resting *o = &r->books.orders.at[record];
    o->rank = rank;
    o->quantity = c->quantity;
    o->price = c->price;
    o->side = c->side == 'B' ? SIDE_BUY : SIDE_SELL;
    o->state = RESTING_IN_BOOK;
    cr_assert(book_link(&r->books, &r->book, record, RESTING_NONE));
}

/* Sends the opposite order and looks whom it hits. */
static void
execute(struct replay *r, const struct command *c)
{
    uint32_t named = resting_find(&r->books.orders, c->order_id);
    cr_assert(named != RESTING_NONE, "order %llu is unknown", (unsigned long long)c->order_id);
    r->executions++;
    if (c->fifo_front != 1) { /* it met hidden interest elsewhere */
        book_reduce(&r->books, &r->book, named, c->quantity);
        return;
    }
    struct taker t = {
        .side = c->side == 'B' ? SIDE_SELL : SIDE_BUY, .limit = c->price, .quantity = c->quantity};
    struct fill f;
    r->fifo_front++;
    cr_assert(taker_next(&r->books, &r->book, &t, &f));
    cr_assert(f.maker.order_id == c->order_id && f.quantity == c->quantity && f.price == c->price &&
                  t.is_done,
              "execution of order %llu hit order %llu", (unsigned long long)c->order_id,
              (unsigned long long)f.maker.order_id);
}

static void
apply(struct replay *r, const struct command *c)
{
    if (strcmp(c->what, "ADD") == 0) {
        r->adds++;
        rest(r, c, ++r->next_rank);
        return;
    }
    if (strcmp(c->what, "EXEC") == 0) {
        execute(r, c);
        return;
    }
    uint32_t record = resting_find(&r->books.orders, c->order_id);
    cr_assert(record != RESTING_NONE, "order %llu is unknown", (unsigned long long)c->order_id);
    if (strcmp(c->what, "REDUCE") == 0) {
        r->reduces++;
        cr_assert(!book_reduce(&r->books, &r->book, record, c->quantity));
    } else {
        r->cancels++;
        book_unlink(&r->books, &r->book, record);
        resting_free(&r->books.orders, record);
    }
}

/* Each line: side, price, quantity, ids in their order. */
static unsigned
compare_level(struct replay *r, char *line)
{
    char *rest = line;
    enum side side = *strsep(&rest, ",") == 'B' ? SIDE_BUY : SIDE_SELL;
    int64_t price = strtoll(strsep(&rest, ","), NULL, 10) * TICK;
    int64_t quantity = strtoll(strsep(&rest, ","), NULL, 10) * DECIMAL_ONE;
    uint32_t slot =
        ladder_find(&r->books.nodes, &book_side(&r->book, side)->users, ladder_key(side, price));
    cr_assert(slot != LADDER_NONE, "level %s is missing", line);
    const struct price_level *level = &r->books.levels[slot];
    cr_assert_eq(level->quantity, quantity);
    uint32_t order = level->head;
    unsigned count = 0;
    for (char *id; (id = strsep(&rest, " \n")) != NULL;) {
        if (*id == '\0')
            continue;
        cr_assert(order != RESTING_NONE && r->books.orders.at[order].id == strtoull(id, NULL, 10));
        order = r->books.orders.at[order].next;
        count++;
    }
    cr_assert(order == RESTING_NONE);
    return count;
}

Test(match_lobster, an_hour_of_orders_hits_and_leaves_what_was_recorded)
{
    gzFile commands = data_open("lobster_AAPL_replay_commands.csv.gz");
    gzFile final = data_open("lobster_AAPL_replay_final_book.csv.gz");
    cr_assert(commands != NULL && final != NULL);
    static struct replay r;
    const struct books_limits limits = {
        .orders_max = ORDERS_MAX, .levels_max = 10000, .house_levels_max = 16, .books_max = 1};
    size_t size = (books_bytes(&limits) + 63) & ~(size_t)63;
    r.memory = aligned_alloc(64, size);
    memset(r.memory, 0, size);
    books_init(&r.books, &limits, r.memory);
    book_open(&r.book, code_of("AAPL"), 0);

    char line[65536];
    gzgets(commands, line, sizeof(line));
    unsigned lines = 0;
    for (struct command c; gzgets(commands, line, sizeof(line)) != NULL; lines++) {
        cr_assert(command_read(line, &c), "line %u cannot be read: %s", lines + 2, line);
        apply(&r, &c);
        if (lines % 1000 == 0)
            cr_assert_null(book_verify(&r.books, &r.book));
    }
    cr_assert_null(book_verify(&r.books, &r.book));

    unsigned orders = 0, levels = 0;
    gzgets(final, line, sizeof(line));
    for (; gzgets(final, line, sizeof(line)) != NULL; levels++)
        orders += compare_level(&r, line);
    cr_assert_eq(orders, r.book.orders);
    cr_assert_eq(levels, r.books.levels_used);
    cr_assert_eq(r.fifo_front, 4031);
    cr_log_info("%u commands: %u executions, %u at the front; %u orders on %u levels left", lines,
                r.executions, r.fifo_front, orders, levels);
    gzclose(commands);
    gzclose(final);
    free(r.memory);
}

int
main(int argc, char **argv)
{
    gzFile file = data_open("lobster_AAPL_replay_commands.csv.gz");
    if (file == NULL) {
        fprintf(stderr, "SKIPPED: match_lobster_test needs SCRIP_DATA, the folder of recordings, "
                        "with l3/lobster_AAPL_replay_*.csv.gz\n");
        return 77;
    }
    gzclose(file);
    struct criterion_test_set *tests = criterion_initialize();
    int status = 0;
    if (criterion_handle_args(argc, argv, true))
        status = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return status;
}
