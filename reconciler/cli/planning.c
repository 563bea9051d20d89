/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where a plan document comes from. Daemon or not, it is the same function over
 * the same inputs, so the caller need not know.
 */
#include "reconciler/cli/planning.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "model/text.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/terminal.h"
#include "reconciler/engine/shell.h"
#include "reconciler/plan/text.h"
#include "reconciler/source/source.h"

/* One line after a second of silence, by a timer: the work itself may block. */
static void patience_say(int number)
{
    static const char line[] = "spinel: looking at the world...\n";

    (void)number;
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        return;
}

static void patience_set(int seconds)
{
    struct sigaction action = {.sa_handler = patience_say, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    alarm((unsigned)seconds);
}

static int revision_resolve(const struct site *site, const char *rev, char commit[65],
                            struct error *err)
{
    struct source *source = NULL;
    int rc = source_open(site, &source, err);

    if (rc == 0)
        rc = source_resolve(source, rev, commit, err);
    source_close(source);
    return rc;
}

static int plan_by_daemon(struct cli *cli, const struct site *site, const char *commit,
                          bool is_cached, struct value **document, struct error *err)
{
    struct value *params = value_map(cli->arena);

    value_set_text(cli->arena, params, "commit", commit);
    value_set_bool(cli->arena, params, "cached", is_cached);
    return daemon_ask(site, cli->arena, "plan", params, document, err);
}

/* `*shell` is NULL or open already. */
static int plan_here(struct cli *cli, const struct site *site, struct shell **shell,
                     const char *commit, bool is_cached, struct value **document, struct error *err)
{
    int rc = *shell ? 0 : shell_open(site, SHELL_READ, cli->program, shell, err);

    return rc < 0 ? rc : shell_plan(*shell, cli->arena, commit, is_cached, document, err);
}

/* Fast paths: true with the document while nothing but manifests has changed since the rack was as
 * declared, and not too many of them. */
static bool plan_is_settled(struct cli *cli, const struct site *site, struct shell **shell,
                            const char *commit, struct value **document)
{
    struct error ignored = ERROR_INIT;

    return shell_open(site, SHELL_READ, cli->program, shell, &ignored) == 0 &&
           (shell_settled(*shell, cli->arena, commit, document) > 0 ||
            shell_change(*shell, cli->arena, commit, NULL, document) > 0);
}

int planning_make(struct cli *cli, const struct site *site, const char *rev, bool is_cached,
                  struct value **document, struct error *err)
{
    char commit[65] = "";
    const char *wanted = NULL;
    struct shell *shell = NULL;
    int rc;

    if (rev) {
        rc = revision_resolve(site, rev, commit, err);
        if (rc < 0)
            return rc;
        wanted = commit;
    }
    if (is_cached && plan_is_settled(cli, site, &shell, wanted, document)) {
        shell_close(shell);
        return 0;
    }
    patience_set(1);
    rc = plan_by_daemon(cli, site, wanted, is_cached, document, err);
    if (rc == 0 && !*document)
        rc = plan_here(cli, site, &shell, wanted, is_cached, document, err);
    shell_close(shell);
    alarm(0);
    return rc;
}

int planning_status(const struct value *document)
{
    if (value_at_int(document, "summary.run", 0) > 0)
        return EXIT_OPEN;
    if (value_at_int(document, "summary.held", 0) > 0)
        return EXIT_HELD;
    return value_at_int(document, "observed.unknown", 0) > 0 ? EXIT_ERROR : EXIT_OK;
}

/* Nothing to do, as far as could be seen, is not the same as nothing to do. */
int planning_exit(const struct value *document)
{
    int status = planning_status(document);
    long long unknown = value_at_int(document, "observed.unknown", 0);

    if (status == EXIT_ERROR)
        note("spinel: %lld object%s could not be looked at: nobody can say that the rack is as "
             "declared",
             unknown, unknown == 1 ? "" : "s");
    return status;
}

void planning_print(const struct value *document)
{
    const struct plan_text_options options = {
        .color = terminal_has_color(stdout),
        .columns = terminal_columns(stdout),
    };
    struct text text = TEXT_INIT;

    plan_text(&text, document, options);
    terminal_write(stdout, text.data, text.len);
    fflush(stdout);
    text_free(&text);
}
