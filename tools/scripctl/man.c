/*
 * man.c - the manual page, as roff, from the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/table.h"

/* Text that roff shall not read as its own: hyphens, backslashes, a dot or quote in front. */
static void
put(FILE *to, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", to);
    for (; *text != 0; text++) {
        if (*text == '-')
            fputs("\\-", to);
        else if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '~')
            fputs("\\(ti", to);
        else if (*text == '^')
            fputs("\\(ha", to);
        else
            fputc(*text, to);
    }
}

static void
put_option(FILE *to, const struct option_row *o)
{
    char name[OPTION_NAME_BYTES];
    fputs(".TP\n", to);
    if (o->letter != 0)
        fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB", to);
    put(to, "--");
    put(to, option_name(o, name));
    fputs("\\fR", to);
    if (o->value != NULL)
        fprintf(to, " \\fI%s\\fR", o->value);
    fputs("\n", to);
    put(to, o->sentence);
    fputs("\n", to);
}

/* A command's own options; those that all take are told once. */
static void
put_command(FILE *to, const struct command_row *c)
{
    const struct option_row *o;
    char name[OPTION_NAME_BYTES];
    bool is_first = true;
    fprintf(to, ".TP\n\\fB%s\\fR", c->words);
    if (*c->arguments != 0) {
        fputs(" \\fI", to);
        put(to, c->arguments);
        fputs("\\fR", to);
    }
    fputs("\n", to);
    put(to, c->sentence);
    fputs("\n", to);
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (!command_takes(c, i) || option_is_common(i))
            continue;
        fputs(is_first ? ".br\nTakes \\fB" : ", \\fB", to);
        put(to, "--");
        put(to, option_name(o, name));
        fputs("\\fR", to);
        is_first = false;
    }
    if (!is_first)
        fputs(".\n", to);
}

static void
put_page(FILE *to)
{
    const struct command_row *command;
    const struct option_row *o;
    fputs(".TH SCRIPCTL 1 \"\" \"Scrip " SCRIP_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nscripctl \\- reads, proves and carries the journal of a Scrip deployment\n"
          ".SH SYNOPSIS\n.B scripctl\n"
          "\\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
          ".SH DESCRIPTION\n"
          "The journal of a deployment holds every command that changed its books, in order, each\n"
          "record hashed together with the one before it. scripctl reads it from the database,\n"
          "from segment files, or from both, and never needs the deployment to run.\n"
          ".SH COMMANDS\n"
          "Each takes \\fB\\-\\-json\\fR, \\fB\\-\\-quiet\\fR and \\fB\\-\\-help\\fR too.\n",
          to);
    for (uint32_t i = 0; (command = command_at(i)) != NULL; i++)
        put_command(to, command);
    fputs(".SH OPTIONS\n", to);
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++)
        put_option(to, o);
    fputs(
        ".SH EXIT STATUS\n"
        ".TP\n0\nIt is so, or was done.\n"
        ".TP\n1\nSomething is wrong, differs, or is not there.\n"
        ".TP\n2\nThe command line makes no sense.\n"
        ".TP\n3\nIt could not be done: no connection, an unreadable file, a full disk, or nobody\n"
        "reads the output.\n"
        ".TP\n130\nIt was interrupted.\n"
        ".SH ENVIRONMENT\n"
        ".TP\n\\fBSCRIPCTL_DATABASE\\fR, \\fBSCRIPCTL_ARCHIVE\\fR, \\fBSCRIPCTL_ENDPOINT\\fR, "
        "\\fBSCRIPCTL_LEDGER\\fR, \\fBSCRIPCTL_BRIDGE\\fR, \\fBSCRIPCTL_REDIS\\fR\n"
        "Stand for \\fB\\-\\-database\\fR, \\fB\\-\\-archive\\fR, \\fB\\-\\-endpoint\\fR, "
        "\\fB\\-\\-ledger\\fR, \\fB\\-\\-bridge\\fR and \\fB\\-\\-redis\\fR\n"
        "where these are not given; an\n"
        "option with an empty value undoes them.\n"
        ".TP\n\\fBNO_COLOR\\fR\nHeadings are not set in bold on a terminal.\n",
        to);
}

enum status
man(const struct call *c)
{
    char *page = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&page, &length);
    CHECK(to != NULL);
    put_page(to);
    fclose(to);
    out_whole(c->out, page);
    free(page);
    return STATUS_OK;
}
