/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel status`: is the rack as Git says, in one look. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "model/resource.h"
#include "reconciler/cli/follow.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/status.h"
#include "reconciler/cli/terminal.h"

static int is_json;

static void count_print(const struct value *document, const char *path, const char *word,
                        enum paint color)
{
    long long count = (long long)value_at_int(document, path, 0);

    if (count > 0)
        terminal_print(stdout, ", %s%lld %s%s", paint(stdout, color), count, word,
                       paint(stdout, PAINT_PLAIN));
}

static void problem_say(struct follow *out, struct arena *arena, const struct value *problem)
{
    const char *label = identity_label(arena, value_get_text(problem, "kind", ""),
                                       value_get_text(problem, "project", NULL),
                                       value_get_text(problem, "name", ""));

    follow_say(out, 2,
               arena_printf(arena, "! %s: %s failed: %s", label,
                            value_get_text(problem, "verb", ""),
                            value_get_text(problem, "message", "")));
}

/* What keeps it from converging, and when it is tried again. */
static void problems_print(struct arena *arena, const struct value *document)
{
    const struct value *problems = value_get(document, "problems");
    const char *driver = value_get_text(document, "driverProblem", NULL);
    const char *head = value_get_text(document, "headProblem", NULL);
    const char *next = value_get_text(document, "nextTry", NULL);
    struct follow out = {.out = stdout, .width = terminal_columns(stdout)};

    if (head)
        follow_say(&out, 2, arena_printf(arena, "! %s", head));
    if (driver)
        follow_say(&out, 2, arena_printf(arena, "! %s", driver));
    for (size_t i = 0; value_is_list(problems) && i < problems->count; i++)
        problem_say(&out, arena, problems->items[i]);
    if (next && (driver || (value_is_list(problems) && problems->count > 0)))
        terminal_print(stdout, "next try   %s\n", next);
}

static void status_print(struct arena *arena, const struct value *document)
{
    const char *commit = value_get_text(document, "commit", "");
    const struct value *daemon = value_get(document, "daemon");
    bool is_converged = value_get_bool(document, "converged", false);
    bool is_true = value_at_int(document, "resources.pending", 0) == 0 &&
                   value_at_int(document, "resources.drifting", 0) == 0 &&
                   value_at_int(document, "resources.held", 0) == 0;

    terminal_print(stdout, "commit     %.12s\n", commit[0] ? commit : "none yet");
    terminal_print(stdout, "state      %s%s%s\n",
                   paint(stdout, is_converged && is_true ? PAINT_GOOD : PAINT_WARN),
                   value_get_bool(document, "loading", false)
                       ? "loading: the daemon has just started, and what follows is from before"
                   : !is_converged ? "not converged"
                   : is_true       ? "converged"
                             : "nothing left to do, and not as Git says: 'spinel plan' says why",
                   paint(stdout, PAINT_PLAIN));
    terminal_print(stdout, "resources  %lld declared",
                   (long long)value_at_int(document, "resources.total", 0));
    if (value_at(document, "resources.true"))
        terminal_print(stdout, ", %lld true",
                       (long long)value_at_int(document, "resources.true", 0));
    count_print(document, "resources.pending", "pending", PAINT_WARN);
    count_print(document, "resources.drifting", "drifting", PAINT_BAD);
    count_print(document, "resources.held", "held", PAINT_WARN);
    count_print(document, "resources.unknown", "that nobody could look at", PAINT_WARN);
    if (value_is_map(daemon))
        terminal_print(stdout, "\ndaemon     pid %lld since %s\n",
                       (long long)value_get_int(daemon, "pid", 0),
                       value_get_text(daemon, "since", "?"));
    else
        terminal_print(
            stdout, "\ndaemon     %snot running%s: nothing is healed until 'spinel serve' runs\n",
            paint(stdout, PAINT_WARN), paint(stdout, PAINT_PLAIN));
    problems_print(arena, document);
}

static int status_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct value *document;
    int rc = site_find(cli, &site, &err);

    if (rc == 0)
        rc = status_make(cli, site, &document, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (is_json)
        output_json(document);
    else
        status_print(cli->arena, document);
    return EXIT_OK;
}

static const struct poptOption status_options[] = {
    {"json", 0, POPT_ARG_NONE, &is_json, 0, "as JSON", NULL},
    POPT_TABLEEND,
};

const struct command status_command = {
    .name = "status",
    .group = "Look",
    .operands = "",
    .help = "tell whether the rack is as Git says",
    .options = status_options,
    .run = status_run,
};
