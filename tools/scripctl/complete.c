/*
 * complete.c - scripts by which bash and zsh complete scripctl's command lines, from the tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/msg.h"
#include "scripctl/table.h"

/* The words that may follow `prefix`, each once: ("journal " -> list show tail). */
static void
print_next_words(FILE *to, const char *prefix)
{
    const struct command_row *c, *before;
    size_t length = strlen(prefix);
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        if (strncmp(c->words, prefix, length) != 0)
            continue;
        const char *word = c->words + length;
        size_t size = strcspn(word, " ");
        bool is_told = false;
        for (uint32_t k = 0; k < i && (before = command_at(k)) != NULL && !is_told; k++)
            is_told = strncmp(before->words, c->words, length + size) == 0 &&
                      (before->words[length + size] == ' ' || before->words[length + size] == 0);
        if (!is_told)
            fprintf(to, "%.*s ", (int)size, word);
    }
}

static void
print_flags(FILE *to, const struct command_row *c)
{
    const struct option_row *o;
    char name[OPTION_NAME_BYTES];
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++)
        if (command_takes(c, i))
            fprintf(to, "--%s%s ", option_name(o, name), o->kind == OPTION_IS_FLAG ? "" : "=");
}

/* Commands of two words begin with a word that is none itself. */
static void
print_groups(FILE *to)
{
    const struct command_row *c, *before;
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        size_t size = strcspn(c->words, " ");
        bool is_told = c->words[size] == 0;
        for (uint32_t k = 0; k < i && (before = command_at(k)) != NULL && !is_told; k++)
            is_told = strncmp(before->words, c->words, size + 1) == 0;
        if (is_told)
            continue;
        char prefix[OPTION_NAME_BYTES];
        snprintf(prefix, sizeof(prefix), "%.*s ", (int)size, c->words);
        fprintf(to, "    '%.*s') choices='", (int)size, c->words);
        print_next_words(to, prefix);
        fputs("' ;;\n", to);
    }
}

/* "--limit | -n": what is followed by a value. */
static void
print_valued(FILE *to)
{
    const struct option_row *o;
    char name[OPTION_NAME_BYTES];
    const char *before = "";
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->kind == OPTION_IS_FLAG)
            continue;
        fprintf(to, "%s--%s", before, option_name(o, name));
        if (o->letter != 0)
            fprintf(to, " | -%c", o->letter);
        before = " | ";
    }
}

/* Kinds of records, for --kind. */
static void
print_kinds(FILE *to)
{
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
        if (strcmp(l->effect, "MUTATES") == 0 && strcmp(l->to, "LEDGER") == 0)
            fprintf(to, "%s ", l->name);
}

/* What has been typed: the command's words in `command`, without options and their values. Shells
 * break words at '='. */
static void
print_reading(FILE *to)
{
    fputs("    local word command='' at=1 choices='' flags='' before\n"
          "    local typed=\"${COMP_WORDS[COMP_CWORD]}\"\n"
          "    COMPREPLY=()\n"
          "    while [ \"$at\" -lt \"$COMP_CWORD\" ]; do\n"
          "        word=${COMP_WORDS[at]}\n"
          "        case $word in\n"
          "        ",
          to);
    print_valued(to);
    fputs(")\n"
          "            at=$((at + 1))\n"
          "            [ \"${COMP_WORDS[at]}\" != = ] || at=$((at + 1))\n"
          "            ;;\n"
          "        -*) ;;\n"
          "        *) command=\"${command:+$command }$word\" ;;\n"
          "        esac\n"
          "        at=$((at + 1))\n"
          "    done\n"
          "    before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    [ \"$before\" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    [ \"$typed\" != = ] || typed=''\n"
          "    case $before in\n"
          "    --kind | -k)\n"
          "        COMPREPLY=($(compgen -W '",
          to);
    print_kinds(to);
    fputs("' -- \"$typed\"))\n"
          "        return\n"
          "        ;;\n"
          "    ",
          to);
    print_valued(to);
    fputs(") return ;;\n    esac\n", to);
}

/* What a command takes: its options, and words where its argument is one of a few. */
static void
print_command(FILE *to, const struct command_row *c)
{
    fprintf(to, "    '%s' | '%s '*) flags='", c->words, c->words);
    print_flags(to, c);
    bool is_choice = strchr(c->arguments, '|') != NULL &&
                     strspn(c->arguments, "abcdefghijklmnopqrstuvwxyz|") == strlen(c->arguments);
    if (is_choice) {
        fputs("' choices='", to);
        for (const char *at = c->arguments; *at != 0; at++)
            fputc(*at == '|' ? ' ' : *at, to);
    }
    fputs("' ;;\n", to);
}

/* Both shells run the same function; zsh reads bash's with bashcompinit, where `words` is its own.
 */
static void
print_function(FILE *to)
{
    const struct command_row *c;
    fputs("_scripctl() {\n", to);
    print_reading(to);
    fputs("    case $command in\n    '') choices='", to);
    print_next_words(to, "");
    fputs("' flags='--help --version ' ;;\n", to);
    print_groups(to);
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++)
        print_command(to, c);
    fputs("    esac\n"
          "    case $typed in\n"
          "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$typed\")) ;;\n"
          "    *) [ -z \"$choices\" ] || COMPREPLY=($(compgen -W \"$choices\" -- \"$typed\")) ;;\n"
          "    esac\n"
          "    case ${COMPREPLY[0]:-} in\n"
          "    *=) compopt -o nospace 2>/dev/null || true ;;\n"
          "    esac\n"
          "}\n",
          to);
}

enum status
completion(const struct call *c)
{
    bool is_zsh = strcmp(c->words[0], "zsh") == 0;
    if (!is_zsh && strcmp(c->words[0], "bash") != 0)
        return refuse(c, STATUS_USAGE, "USAGE", "completion is for bash or zsh, not '%.40s'",
                      c->words[0]);
    char *script = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&script, &length);
    CHECK(to != NULL);
    fputs(is_zsh ? "#compdef scripctl\nautoload -U +X bashcompinit && bashcompinit\n"
                 : "# bash completion of scripctl; made by `scripctl completion bash`\n",
          to);
    print_function(to);
    fputs("complete -o default -F _scripctl scripctl\n", to);
    fclose(to);
    out_whole(c->out, script);
    free(script);
    return STATUS_OK;
}
