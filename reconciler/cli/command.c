/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command line: `spinel [COMMON]... COMMAND [OPTION | OPERAND]...`. popt
 * reads the tables; what is wrong is said with the nearest right word, and
 * nothing has been done yet when it is.
 *
 * Standard output is for the result. A reader that goes away (`| head`) is no
 * error of ours; a disk that is full is, and is found when the output is flushed.
 */
#include "reconciler/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/invariant.h"
#include "model/report.h"
#include "reconciler/cli/terminal.h"

static struct {
    char *site;
    char *color;
    int help;
    int version;
} common;

const struct poptOption common_options[] = {
    {"site", 0, POPT_ARG_STRING, &common.site, 0, "the site file", "FILE"},
    {"color", 0, POPT_ARG_STRING, &common.color, 0, "when to use colors: auto, always, never",
     "WHEN"},
    {"help", 'h', POPT_ARG_NONE, &common.help, 0, "show this help", NULL},
    POPT_TABLEEND,
};

static const struct poptOption version_options[] = {
    {"version", 'V', POPT_ARG_NONE, &common.version, 0, "show the version", NULL},
    POPT_TABLEEND,
};

const struct command *command_find(const struct command *const *commands, const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

int usage_error(const struct cli *cli, const char *fmt, ...)
{
    const char *name = cli->command ? cli->command->name : NULL;
    va_list args;

    terminal_print(stderr, "spinel%s%s: ", name ? " " : "", name ? name : "");
    va_start(args, fmt);
    terminal_vprint(stderr, fmt, args);
    va_end(args);
    terminal_print(stderr, "\n  see 'spinel%s%s --help'\n", name ? " " : "", name ? name : "");
    return EXIT_BAD_USAGE;
}

int fail(const struct cli *cli, const struct error *err)
{
    const char *name = cli->command ? cli->command->name : NULL;

    fflush(stdout);
    terminal_print(stderr, "spinel%s%s: %s%s%s\n", name ? " " : "", name ? name : "",
                   paint(stderr, PAINT_BAD), err->message, paint(stderr, PAINT_PLAIN));
    if (err->hint[0])
        terminal_print(stderr, "  %s\n", err->hint);
    return EXIT_ERROR;
}

void note(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    terminal_vprint(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

int command_unknown(const struct command *const *commands, const char *name)
{
    const char *names[64];
    const char *nearest;
    size_t count = 0;

    for (; count < sizeof(names) / sizeof(names[0]) && commands[count]; count++)
        names[count] = commands[count]->name;
    nearest = report_nearest(name, names, count);
    terminal_print(stderr, "spinel: there is no command '%s'%s%s%s\n  see 'spinel --help'\n", name,
                   nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_BAD_USAGE;
}

static size_t option_names(const struct poptOption *table, const char **names, size_t room)
{
    size_t count = 0;

    for (; table && (table->longName || table->shortName || table->arg); table++) {
        if ((table->argInfo & POPT_ARG_MASK) == POPT_ARG_INCLUDE_TABLE)
            count += option_names(table->arg, names + count, room - count);
        else if (table->longName && count < room)
            names[count++] = table->longName;
    }
    return count;
}

/* What popt stumbled over, with the nearest option that there is. */
static int option_error(const struct cli *cli, poptContext context, const struct poptOption *table,
                        int code)
{
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    const char *names[32];
    const char *nearest = NULL;
    char word[64] = "";

    if (code != POPT_ERROR_BADOPT)
        return usage_error(cli, "%s: %s", bad, poptStrerror(code));
    if (strncmp(bad, "--", 2) == 0) {
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(bad + 2, "="), bad + 2);
        nearest = report_nearest(word, names, option_names(table, names, 32));
    }
    return usage_error(cli, "there is no option '%s'%s%s%s", bad,
                       nearest ? ", did you mean '--" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
}

/* Takes the options of `table` from argv; what is left goes to `*rest`. */
static int options_read(struct cli *cli, int argc, const char **argv,
                        const struct poptOption *table, unsigned flags, const char *const **rest,
                        size_t *count)
{
    poptContext context = memory_need(poptGetContext("spinel", argc, argv, table, flags));
    const char **left;
    int code = poptGetNextOpt(context);

    cli->contexts[cli->context_count++] = context;
    if (code < -1)
        return option_error(cli, context, table, code);
    left = poptGetArgs(context);
    *count = 0;
    while (left && left[*count])
        (*count)++;
    *rest = (const char *const *)left;
    return 0;
}

static int color_read(const struct cli *cli)
{
    static const char *const words[] = {"auto", "always", "never"};

    if (!common.color)
        return 0;
    for (int i = 0; i < 3; i++) {
        if (strcmp(common.color, words[i]) == 0) {
            terminal_set_color((enum color_when)i);
            return 0;
        }
    }
    return usage_error(cli, "--color takes auto, always or never, not '%s'", common.color);
}

static int operands_check(const struct cli *cli)
{
    const struct command *command = cli->command;

    if (cli->operand_count < command->least)
        return usage_error(cli, "%s is missing", command->operands);
    if (cli->operand_count > command->most)
        return usage_error(cli, "'%s' is one operand too many", cli->operands[command->most]);
    return 0;
}

static int command_run(struct cli *cli, int argc, const char **argv)
{
    const struct poptOption table[] = {
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, (void *)(size_t)common_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, (void *)(size_t)cli->command->options, 0, NULL, NULL},
        POPT_TABLEEND,
    };
    int status = options_read(cli, argc, argv, cli->command->options ? table : common_options, 0,
                              &cli->operands, &cli->operand_count);

    if (status == 0)
        status = color_read(cli);
    if (status)
        return status;
    if (common.help) {
        help_command_print(cli->command);
        return EXIT_OK;
    }
    cli->site_file = common.site;
    status = operands_check(cli);
    return status ? status : cli->command->run(cli);
}

/* What precedes the command, the command, and the rest. */
static int program_run(struct cli *cli, int argc, const char **argv)
{
    const struct poptOption table[] = {
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, (void *)(size_t)common_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, (void *)(size_t)version_options, 0, NULL, NULL},
        POPT_TABLEEND,
    };
    const char *const *rest;
    size_t count;
    int status = options_read(cli, argc, argv, table, POPT_CONTEXT_POSIXMEHARDER, &rest, &count);

    if (status)
        return status;
    if (common.version)
        return version_command.run(cli);
    if (common.help || count == 0) {
        help_program_print(cli->commands);
        return common.help ? EXIT_OK : EXIT_BAD_USAGE;
    }
    cli->command = command_find(cli->commands, rest[0]);
    if (!cli->command)
        return command_unknown(cli->commands, rest[0]);
    return command_run(cli, (int)count, (const char **)(size_t)rest);
}

static bool reader_has_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

/* A result that did not reach its reader is an error, unless the reader left. What failed
 * earlier, in the middle of the output, left a mark and no reason. */
static int output_finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE || reader_has_left())
        return status;
    terminal_print(stderr, "spinel: cannot write the output%s%s\n", errno ? ": " : "",
                   errno ? strerror(errno) : "");
    return EXIT_ERROR;
}

/* Started without one of the three, the next file that is opened would have its number, and be
 * what errors are written to. What stands in cannot be used: nobody shall think that a result
 * reached its reader. */
static void streams_need(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int command_main(int argc, const char **argv, const struct command *const *commands)
{
    struct cli cli = {
        .program = argc > 0 ? argv[0] : "spinel",
        .commands = commands,
        .arena = arena_new(),
    };
    int status;

    streams_need();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is told like a full disk */
    terminal_init();
    status = output_finish(program_run(&cli, argc, argv));
    while (cli.context_count > 0)
        poptFreeContext(cli.contexts[--cli.context_count]);
    arena_free(cli.arena);
    return status;
}
