/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel approve`: lets through what the guard holds. Without an id it lists the holds. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "reconciler/cli/daemon.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/planning.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/table.h"
#include "reconciler/cli/terminal.h"
#include "model/when.h"

static int is_json;

static void holds_print(struct arena *arena, const struct value *holds)
{
    static const char *const titles[] = {"HOLD", "RULE", "STEPS", "APPROVAL", "WHY"};
    struct table *table = table_new(arena, titles, 5);

    for (size_t i = 0; i < holds->count; i++) {
        const struct value *hold = holds->items[i];
        const char **cells = table_row(table);

        cells[0] = value_get_text(hold, "id", "");
        cells[1] = value_get_text(hold, "rule", "");
        cells[2] = arena_printf(arena, "%lld", (long long)value_get_int(hold, "steps", 0));
        cells[3] = value_get_bool(hold, "approvable", false) ? "lifts it" : "cannot lift it";
        cells[4] = value_get_text(hold, "reason", "");
    }
    table_print(table, stdout);
}

/* What the guard holds now: of a fresh plan, not of old records. */
static int holds_list(struct cli *cli, const struct site *site)
{
    struct error err = ERROR_INIT;
    struct value *plan;
    struct value *document = value_map(cli->arena);
    const struct value *holds;

    if (planning_make(cli, site, NULL, false, &plan, &err) < 0)
        return fail(cli, &err);
    holds = value_get(plan, "holds");
    value_set(cli->arena, document, "holds",
              holds ? value_copy(cli->arena, holds) : value_list(cli->arena));
    if (is_json)
        output_json(document);
    else if (value_is_list(holds) && holds->count > 0)
        holds_print(cli->arena, holds);
    else
        note("spinel approve: nothing is held");
    return EXIT_OK;
}

static int approve_stored(struct cli *cli, const struct site *site, const char *hold,
                          const char *who, struct value **told, struct error *err)
{
    struct store *store;
    int rc = store_open(site->state_dir, STORE_WRITE, &store, err);

    if (rc < 0)
        return rc;
    rc = store_hold_get(store, cli->arena, hold, told, err);
    if (rc == 0)
        rc = store_hold_approve(store, hold, who, when_now(), err);
    if (rc == ERR_NOT_FOUND)
        error_hint(err, "'spinel approve' lists what is held; an id is known once an apply or the "
                        "daemon has met it.");
    store_close(store);
    return rc;
}

/* So that whoever meant another one sees it. An older daemon tells nothing. */
static void approval_print(const char *hold, const struct value *told, const char *next)
{
    const char *rule = value_get_text(told, "rule", NULL);
    const char *commit = value_get_text(told, "commit", NULL);
    long long steps = value_get_int(told, "steps", 0);

    terminal_print(stdout, "%s is approved", hold);
    if (rule)
        terminal_print(stdout, ": %s", rule);
    if (commit)
        terminal_print(stdout, ", %lld step%s of %.12s", steps, steps == 1 ? "" : "s", commit);
    if (rule)
        terminal_print(stdout, "\n  %s", value_get_text(told, "reason", ""));
    terminal_print(stdout, "\n%s\n", next);
}

static int approve_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct value *params = value_map(cli->arena);
    struct value *answer, *told = NULL;
    const char *who = daemon_who(cli->arena);
    int rc = site_find(cli, &site, &err);

    if (rc < 0)
        return fail(cli, &err);
    if (cli->operand_count == 0)
        return holds_list(cli, site);
    value_set_text(cli->arena, params, "hold", cli->operands[0]);
    value_set_text(cli->arena, params, "who", who);
    rc = daemon_ask(site, cli->arena, "approve", params, &answer, &err);
    if (rc == 0 && !answer)
        rc = approve_stored(cli, site, cli->operands[0], who, &told, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (answer)
        told = answer;
    value_set_text(cli->arena, told, "hold", cli->operands[0]);
    value_set_text(cli->arena, told, "who", who);
    if (is_json)
        output_json(told);
    else
        approval_print(cli->operands[0], told,
                       answer ? "The daemon goes on with it."
                              : "The next 'spinel apply' or 'spinel serve' goes on with it.");
    return EXIT_OK;
}

static const struct poptOption approve_options[] = {
    {"json", 0, POPT_ARG_NONE, &is_json, 0, "as JSON", NULL},
    POPT_TABLEEND,
};

const struct command approve_command = {
    .name = "approve",
    .group = "Change",
    .operands = "[HOLD-ID]",
    .help = "let through what the guard holds; without an id, list it",
    .options = approve_options,
    .most = 1,
    .run = approve_run,
};
