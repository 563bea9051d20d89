/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_COMMAND_H
#define RECONCILER_CLI_COMMAND_H

#include <popt.h>
#include <stddef.h>
#include "model/arena.h"
#include "model/error.h"

/*
 * A subcommand is one row of data and one function. Parsing, `--help`, `spinel
 * help` and shell completion all read the row, so they cannot disagree.
 */

/* What the program exits with; docs/man/spinel.1.scd tells people. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_ERROR = 1,      /* it could not be done, or the input is wrong */
    EXIT_OPEN = 2,       /* something would run, or drift is open */
    EXIT_HELD = 3,       /* the guard holds what is left */
    EXIT_BAD_USAGE = 64, /* sysexits.h: the command line is wrong; nothing was done */
};

struct command;

/* One run of the program. Everything in it lives until the process ends. */
struct cli {
    const char *program; /* argv[0] */
    const struct command *command;
    const struct command *const *commands; /* all, NULL at the end */
    const char *const *operands;           /* what is left when the options are taken */
    size_t operand_count;
    const char *site_file; /* --site, or NULL */
    struct arena *arena;
    poptContext contexts[2]; /* own the operands; command.c frees them */
    size_t context_count;
};

enum { OPERANDS_ANY = 1000000 };

struct command {
    const char *name;
    const char *group;    /* heading in `spinel --help` */
    const char *operands; /* as the usage line shows them, "" if none */
    const char *help;     /* one line without a full stop */
    const char *details;  /* paragraphs for --help, wrapped by hand at 78 columns, or NULL */
    const struct poptOption *options; /* ends with POPT_TABLEEND; NULL if none */
    size_t least, most;               /* operands */
    int (*run)(struct cli *cli);      /* returns an exit status */
};

extern const struct command init_command, check_command, plan_command, apply_command, serve_command,
    status_command, get_command, describe_command, explain_command, schema_command, drift_command,
    history_command, events_command, trace_command, top_command, console_command, approve_command,
    freeze_command, purge_command, demo_command, hook_command, driver_test_command, version_command,
    help_command;

/* Options that every command takes. */
extern const struct poptOption common_options[];

/* Parses the command line, runs the command and returns the exit status. */
int command_main(int argc, const char **argv, const struct command *const *commands);

/* By name, or NULL. */
const struct command *command_find(const struct command *const *commands, const char *name);

/* "spinel frobnicate: no such command; did you mean ..." on standard error. Returns EXIT_BAD_USAGE.
 */
int command_unknown(const struct command *const *commands, const char *name);

/* The help of one command, of the program; to standard output. */
void help_command_print(const struct command *command);
void help_program_print(const struct command *const *commands);

/* A mistake on the command line: one sentence on standard error. Returns EXIT_BAD_USAGE. */
int usage_error(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says `err` and its hint on standard error. Returns EXIT_ERROR. */
int fail(const struct cli *cli, const struct error *err);

/* A remark on standard error. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
