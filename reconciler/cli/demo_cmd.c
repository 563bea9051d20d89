/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel demo`: becomes the demonstration, a script that comes with the program. */
#include "reconciler/cli/command.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/cli/share.h"

static int is_kept;

static int demo_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const char *script = share_find(cli->arena, "contrib/demo.sh", "demo.sh");
    char *program = arena_text(cli->arena, share_program(cli->arena));
    char *slash = strrchr(program, '/');

    if (!script) {
        error_set(&err, ERR_NOT_FOUND, "the demonstration is not installed beside %s", program);
        error_hint(&err, "In a source tree: make demo.");
        return fail(cli, &err);
    }
    if (slash)
        *slash = '\0';
    setenv("BUILD", program, 1);
    if (is_kept)
        setenv("KEEP", "1", 1);
    signal(SIGPIPE, SIG_DFL);
    execl("/bin/sh", "sh", script, (char *)NULL);
    error_sys(&err, "cannot run %s", script);
    return fail(cli, &err);
}

static const struct poptOption demo_options[] = {
    {"keep", 0, POPT_ARG_NONE, &is_kept, 0, "leave the site running and print what to try", NULL},
    POPT_TABLEEND,
};

const struct command demo_command = {
    .name = "demo",
    .group = "Start",
    .operands = "",
    .help = "show two real machines made, damaged, healed, changed and removed",
    .details = "Needs root. It works in a temporary directory and leaves the host as it was.",
    .options = demo_options,
    .run = demo_run,
};
