/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel serve`: the daemon, in the foreground. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "reconciler/cli/site.h"
#include "reconciler/engine/shell.h"

static int serve_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct shell *shell;
    int rc = site_find(cli, &site, &err);

    if (rc == 0)
        rc = shell_open(site, SHELL_SERVE, cli->program, &shell, &err);
    if (rc < 0)
        return fail(cli, &err);
    rc = shell_serve(shell, &err);
    shell_close(shell);
    return rc < 0 ? fail(cli, &err) : EXIT_OK;
}

const struct command serve_command = {
    .name = "serve",
    .group = "Run",
    .operands = "",
    .help = "run the daemon that keeps the rack true to Git",
    .details = "It stays in the foreground and ends with SIGTERM or Ctrl-C; the machines go on\n"
               "running. Its log goes to standard error.",
    .run = serve_run,
};
