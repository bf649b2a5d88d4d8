/*
 * help.c - what --help and --version say, from the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/table.h"

#define LINE_CHARS 90
#define HELP_BYTES 64

void
help_version(FILE *to)
{
    fprintf(to, "scripctl %s\n", SCRIP_VERSION);
}

int
help_first_sentence(const char *sentences)
{
    const char *end = strstr(sentences, ". ");
    return (int)(end == NULL ? strlen(sentences) : (size_t)(end - sentences) + 1);
}

/* Words from column `at` on, and so in the lines that follow. */
static void
wrap(FILE *to, const char *text, int at)
{
    int column = at;
    while (*text != 0) {
        int length = (int)strcspn(text, " ");
        if (column > at && column + 1 + length > LINE_CHARS) {
            fprintf(to, "\n%*s", at, "");
            column = at;
        }
        column += fprintf(to, "%s%.*s", column > at ? " " : "", length, text);
        text += length + (text[length] == ' ');
    }
    fputc('\n', to);
}

static void
print_option(FILE *to, const struct option_row *o, int width)
{
    char name[OPTION_NAME_BYTES], text[HELP_BYTES], letter[4] = "   ";
    if (o->letter != 0)
        snprintf(letter, sizeof(letter), "-%c,", o->letter);
    snprintf(text, sizeof(text), "%s --%s%s%s", letter, option_name(o, name),
             o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);
    fprintf(to, "  %-*s  ", width, text);
    wrap(to, o->sentence, width + 4);
}

static int
option_width(const struct option_row *o)
{
    return 6 + (int)strlen(o->key) + (o->value == NULL ? 0 : 1 + (int)strlen(o->value));
}

static void
print_options(FILE *to, const struct command_row *command)
{
    const struct option_row *o;
    int width = 0;
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++)
        if (command_takes(command, i) && option_width(o) > width)
            width = option_width(o);
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++)
        if (command_takes(command, i))
            print_option(to, o, width);
}

static void
print_command(FILE *to, const struct command_row *command)
{
    fprintf(to, "usage: scripctl %s%s%s [OPTION...]\n\n", command->words,
            *command->arguments == 0 ? "" : " ", command->arguments);
    wrap(to, command->sentence, 0);
    fputs("\nOptions:\n", to);
    print_options(to, command);
}

/* Whether the command is one of several that begin with this word: "market" of "market add". An
 * empty word is the begin of all. */
static bool
begins_with(const struct command_row *c, const char *first)
{
    size_t length = strlen(first);
    return length == 0 || (strncmp(c->words, first, length) == 0 && c->words[length] == ' ');
}

static void
print_commands(FILE *to, const char *first)
{
    const struct command_row *c;
    int width = 0;
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        int length = (int)(strlen(c->words) + 1 + strlen(c->arguments));
        width = begins_with(c, first) && length > width ? length : width;
    }
    width = width > 34 ? 34 : width;
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        char text[HELP_BYTES], sentence[LINE_CHARS * 4];
        if (!begins_with(c, first))
            continue;
        snprintf(text, sizeof(text), "%s %s", c->words, c->arguments);
        snprintf(sentence, sizeof(sentence), "%.*s", help_first_sentence(c->sentence), c->sentence);
        if (fprintf(to, "  %-*s  ", width, text) > width + 4)
            fprintf(to, "\n%*s", width + 4, "");
        wrap(to, sentence, width + 4);
    }
}

void
help_print(FILE *to, const struct command_row *command)
{
    if (command != NULL) {
        print_command(to, command);
        return;
    }
    fputs("usage: scripctl COMMAND [ARGUMENT...] [OPTION...]\n\n"
          "Reads, proves and carries the journal of a Scrip deployment.\n\nCommands:\n",
          to);
    print_commands(to, "");
    fputs("\nscripctl COMMAND --help tells the options of a command; each takes --json, --quiet "
          "and --help.\n\n"
          "Environment:\n"
          "  SCRIPCTL_DATABASE   stands for --database: the deployment's PostgreSQL\n"
          "  SCRIPCTL_ARCHIVE    stands for --archive: a folder of segment files\n"
          "  SCRIPCTL_ENDPOINT   stands for --endpoint: where market data answers\n"
          "  SCRIPCTL_LEDGER     stands for --ledger: where ledgers answer\n"
          "  SCRIPCTL_BRIDGE     stands for --bridge: where an exchange bridge answers\n"
          "  SCRIPCTL_REDIS      stands for --redis: what exchanges allow is shared there\n"
          "  NO_COLOR            headings are not set in bold on a terminal\n\n"
          "Exit status: 0 it is so; 1 something is wrong, differs or is not there; 2 the command\n"
          "line makes no sense; 3 it could not be done; 130 it was interrupted.\n",
          to);
}

/* Whether the command is named by the words. */
static bool
is_named(const struct command_row *row, const struct call *c)
{
    char words[HELP_BYTES];
    snprintf(words, sizeof(words), "%s%s%s", c->words[0], c->words_count > 1 ? " " : "",
             c->words_count > 1 ? c->words[1] : "");
    return strcmp(row->words, words) == 0;
}

bool
help_is_group(const struct call *c)
{
    const struct command_row *row;
    for (uint32_t i = 0; c->words_count == 1 && (row = command_at(i)) != NULL; i++)
        if (begins_with(row, c->words[0]))
            return true;
    return false;
}

static void
print_group(FILE *to, const char *first)
{
    fprintf(to, "usage: scripctl %s COMMAND [ARGUMENT...] [OPTION...]\n\n", first);
    print_commands(to, first);
    fprintf(to, "\nscripctl help %s COMMAND tells what one takes.\n", first);
}

enum status
help(const struct call *c)
{
    const struct command_row *row = NULL;
    for (uint32_t i = 0; c->words_count > 0 && (row = command_at(i)) != NULL; i++)
        if (is_named(row, c))
            break;
    if (c->words_count > 0 && row == NULL && !help_is_group(c))
        return refuse(c, STATUS_USAGE, "USAGE", "there is no command '%.40s%s%.40s'", c->words[0],
                      c->words_count > 1 ? " " : "", c->words_count > 1 ? c->words[1] : "");
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    CHECK(to != NULL);
    if (c->words_count > 0 && row == NULL)
        print_group(to, c->words[0]);
    else
        help_print(to, row);
    fclose(to);
    out_whole(c->out, text);
    free(text);
    return STATUS_OK;
}
