/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel help` and every `--help`, written from the commands' own tables. With
 * --words it prints bare words for the shell's completion from the same tables.
 */
#include "reconciler/cli/command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_COLUMN = 22 };

static bool is_last(const struct poptOption *option)
{
    return !option->longName && !option->shortName && !option->arg;
}

static void option_print(const struct poptOption *option)
{
    char left[64];
    int len = option->shortName ? snprintf(left, sizeof(left), "-%c", option->shortName)
                                : snprintf(left, sizeof(left), "    ");

    if (option->shortName && option->longName)
        len += snprintf(left + len, sizeof(left) - (size_t)len, ", ");
    if (option->longName)
        len += snprintf(left + len, sizeof(left) - (size_t)len, "--%s", option->longName);
    if (option->argDescrip)
        snprintf(left + len, sizeof(left) - (size_t)len, "%c%s", option->longName ? '=' : ' ',
                 option->argDescrip);
    printf("  %-*s  %s\n", OPTION_COLUMN, left, option->descrip);
}

static void options_print(const char *heading, const struct poptOption *options)
{
    if (!options)
        return;
    printf("\n%s:\n", heading);
    for (; !is_last(options); options++)
        option_print(options);
}

void help_command_print(const struct command *command)
{
    printf("Usage: spinel %s%s%s%s\n\n%c%s.\n", command->name,
           command->options ? " [OPTION]..." : "", command->operands[0] ? " " : "",
           command->operands,
           command->help[0] >= 'a' ? command->help[0] - 'a' + 'A' : command->help[0],
           command->help + 1);
    if (command->details)
        printf("\n%s\n", command->details);
    options_print("Options", command->options);
    options_print("Common options", common_options);
    printf("\nThe manual: man spinel-%s\n", command->name);
}

static bool is_first_of_group(const struct command *const *commands, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(commands[i]->group, commands[index]->group) == 0)
            return false;
    return true;
}

static void group_print(const struct command *const *commands, const char *group)
{
    printf("\n%s:\n", group);
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->group, group) == 0)
            printf("  %-12s %s\n", commands[i]->name, commands[i]->help);
}

void help_program_print(const struct command *const *commands)
{
    printf("Usage: spinel [--site=FILE] COMMAND [OPTION]... [OPERAND]...\n\n"
           "Keeps a rack true to its Git repository.\n");
    for (size_t i = 0; commands[i]; i++)
        if (is_first_of_group(commands, i))
            group_print(commands, commands[i]->group);
    options_print("Common options", common_options);
    printf("  -V, --%-*s  show the version\n", OPTION_COLUMN - 6, "version");
    printf("\n'spinel COMMAND --help' tells more. "
           "Exit status: 0 done, 1 error, 2 something\n"
           "would change or drift is open, 3 the guard holds the rest, 64 wrong usage.\n");
}

static void words_print(const struct poptOption *options)
{
    for (; options && !is_last(options); options++) {
        if (options->longName)
            printf("--%s%s\n", options->longName, options->argDescrip ? "=" : "");
    }
}

static int words;

static int help_words(struct cli *cli)
{
    const struct command *command;

    if (cli->operand_count == 0) {
        for (size_t i = 0; cli->commands[i]; i++)
            puts(cli->commands[i]->name);
        return EXIT_OK;
    }
    command = command_find(cli->commands, cli->operands[0]);
    if (!command)
        return EXIT_BAD_USAGE;
    words_print(command->options);
    words_print(common_options);
    return EXIT_OK;
}

static int help_run(struct cli *cli)
{
    const struct command *command;

    if (words)
        return help_words(cli);
    if (cli->operand_count == 0) {
        help_program_print(cli->commands);
        return EXIT_OK;
    }
    command = command_find(cli->commands, cli->operands[0]);
    if (!command)
        return command_unknown(cli->commands, cli->operands[0]);
    help_command_print(command);
    return EXIT_OK;
}

static const struct poptOption help_options[] = {
    {"words", 0, POPT_ARG_NONE, &words, 0, "bare words, for the shell's completion", NULL},
    POPT_TABLEEND,
};

const struct command help_command = {
    .name = "help",
    .group = "This program",
    .operands = "[COMMAND]",
    .help = "show the commands, or the options of one",
    .options = help_options,
    .most = 1,
    .run = help_run,
};
