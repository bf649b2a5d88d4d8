/*
 * man.c - the manual page, as roff, from the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "scripctl/table.h"

/* Text that roff shall not read as its own: hyphens, backslashes, a dot or quote in front. */
static void
put(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text != 0; text++) {
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '~')
            fputs("\\(ti", stdout);
        else if (*text == '^')
            fputs("\\(ha", stdout);
        else
            fputc(*text, stdout);
    }
}

static void
put_option(const struct option_row *o)
{
    char name[OPTION_NAME_BYTES];
    fputs(".TP\n", stdout);
    if (o->letter != 0)
        printf("\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB", stdout);
    put("--");
    put(option_name(o, name));
    fputs("\\fR", stdout);
    if (o->value != NULL)
        printf(" \\fI%s\\fR", o->value);
    fputs("\n", stdout);
    put(o->sentence);
    fputs("\n", stdout);
}

/* A command's own options; those that all take are told once. */
static void
put_command(const struct command_row *c)
{
    const struct option_row *o;
    char name[OPTION_NAME_BYTES];
    bool is_first = true;
    printf(".TP\n\\fB%s\\fR", c->words);
    if (*c->arguments != 0) {
        fputs(" \\fI", stdout);
        put(c->arguments);
        fputs("\\fR", stdout);
    }
    fputs("\n", stdout);
    put(c->sentence);
    fputs("\n", stdout);
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (!command_takes(c, i) || option_is_common(i))
            continue;
        fputs(is_first ? ".br\nTakes \\fB" : ", \\fB", stdout);
        put("--");
        put(option_name(o, name));
        fputs("\\fR", stdout);
        is_first = false;
    }
    if (!is_first)
        fputs(".\n", stdout);
}

enum status
man(const struct call *c)
{
    (void)c;
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
          stdout);
    for (uint32_t i = 0; (command = command_at(i)) != NULL; i++)
        put_command(command);
    fputs(".SH OPTIONS\n", stdout);
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++)
        put_option(o);
    fputs(
        ".SH EXIT STATUS\n"
        ".TP\n0\nIt is so, or was done.\n"
        ".TP\n1\nSomething is wrong, differs, or is not there.\n"
        ".TP\n2\nThe command line makes no sense.\n"
        ".TP\n3\nIt could not be done: no connection, an unreadable file, a full disk, or nobody\n"
        "reads the output.\n"
        ".TP\n130\nIt was interrupted.\n"
        ".SH ENVIRONMENT\n"
        ".TP\n\\fBSCRIPCTL_DATABASE\\fR, \\fBSCRIPCTL_ARCHIVE\\fR\n"
        "Stand for \\fB\\-\\-database\\fR and \\fB\\-\\-archive\\fR where these are not given; an\n"
        "option with an empty value undoes them.\n"
        ".TP\n\\fBNO_COLOR\\fR\nHeadings are not set in bold on a terminal.\n",
        stdout);
    return STATUS_OK;
}
