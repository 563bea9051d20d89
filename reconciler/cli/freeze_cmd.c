/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel freeze`: stops changes, healing or deletions until it is lifted or its time is over. */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "model/report.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/table.h"
#include "reconciler/cli/terminal.h"
#include "model/when.h"

static const char *const whats[] = {"changes", "healing", "deletions"};

static struct {
    int json;
    char *why;
    char *until;
    char *lift;
} options;

static int what_check(const struct cli *cli, const char *what)
{
    const char *nearest;

    for (size_t i = 0; i < 3; i++) {
        if (strcmp(what, whats[i]) == 0)
            return 0;
    }
    nearest = report_nearest(what, whats, 3);
    return usage_error(cli, "'%s' cannot be frozen, only changes, healing and deletions%s%s%s",
                       what, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
}

static struct value *freeze_value(struct arena *arena, const struct freeze *freeze)
{
    struct value *value = value_map(arena);

    value_set_text(arena, value, "what", freeze->what);
    value_set_text(arena, value, "who", freeze->who);
    value_set_text(arena, value, "why", freeze->why);
    value_set_text(arena, value, "until",
                   freeze->until > 0 ? when_rfc3339(arena, freeze->until) : NULL);
    return value;
}

static int freezes_list(struct cli *cli, struct error *err)
{
    static const char *const titles[] = {"FROZEN", "WHO", "UNTIL", "WHY"};
    struct value *document = value_map(cli->arena);
    struct value *list = value_set(cli->arena, document, "freezes", value_list(cli->arena));
    struct table *table = table_new(cli->arena, titles, 4);
    struct freeze *freezes = NULL;
    struct store *store;
    size_t count = 0;
    int rc = objects_store(cli, &store, err);

    if (rc == 0 && store)
        rc = store_freezes(store, cli->arena, &freezes, &count, err);
    store_close(store);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        const char **cells = table_row(table);

        value_append(cli->arena, list, freeze_value(cli->arena, &freezes[i]));
        cells[0] = freezes[i].what;
        cells[1] = freezes[i].who;
        cells[2] = freezes[i].until > 0 ? when_rfc3339(cli->arena, freezes[i].until) : "lifted";
        cells[3] = freezes[i].why;
    }
    if (options.json)
        output_json(document);
    else if (count > 0)
        table_print(table, stdout);
    else
        note("spinel freeze: nothing is frozen");
    return EXIT_OK;
}

static int freeze_stored(const struct site *site, const struct freeze *freeze, struct error *err)
{
    struct store *store;
    int rc = store_open(site->state_dir, STORE_WRITE, &store, err);

    if (rc < 0)
        return rc;
    rc = freeze->why ? store_freeze_put(store, freeze, when_now(), err)
                     : store_freeze_lift(store, freeze->what, err);
    store_close(store);
    return rc;
}

/* `why` NULL lifts it. */
static int freeze_set(struct cli *cli, const struct freeze *freeze, struct error *err)
{
    struct value *params = value_map(cli->arena);
    const struct site *site;
    struct value *answer;
    int rc = site_find(cli, &site, err);

    if (rc < 0)
        return rc;
    value_set_text(cli->arena, params, "what", freeze->what);
    if (freeze->why) {
        value_set_text(cli->arena, params, "who", freeze->who);
        value_set_text(cli->arena, params, "why", freeze->why);
        value_set_int(cli->arena, params, "until", freeze->until);
    }
    rc = daemon_ask(site, cli->arena, freeze->why ? "freeze" : "lift", params, &answer, err);
    if (rc == 0 && !answer)
        rc = freeze_stored(site, freeze, err);
    return rc;
}

static int lift_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct freeze freeze = {.what = options.lift};
    int rc = what_check(cli, options.lift);

    if (rc)
        return rc;
    if (cli->operand_count > 0 || options.why || options.until)
        return usage_error(cli, "--lift stands alone");
    if (freeze_set(cli, &freeze, &err) < 0)
        return fail(cli, &err);
    terminal_print(stdout, "%s: no longer frozen\n", freeze.what);
    return EXIT_OK;
}

static int freeze_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct freeze freeze = {.why = options.why};
    int rc;

    if (options.lift)
        return lift_run(cli);
    if (cli->operand_count == 0) {
        rc = freezes_list(cli, &err);
        return rc < 0 ? fail(cli, &err) : rc;
    }
    freeze.what = cli->operands[0];
    rc = what_check(cli, freeze.what);
    if (rc)
        return rc;
    if (!options.why || !options.why[0])
        return usage_error(cli, "it needs --why: the next person will ask");
    if (options.until && when_read(options.until, 1, &freeze.until, &err) < 0)
        return usage_error(cli, "--until: %s", err.message);
    if (options.until && freeze.until <= when_now())
        return usage_error(cli, "--until: %s is over already", options.until);
    freeze.who = daemon_who(cli->arena);
    if (freeze_set(cli, &freeze, &err) < 0)
        return fail(cli, &err);
    terminal_print(stdout, "%s: frozen %s%s; lift it with 'spinel freeze --lift %s'\n", freeze.what,
                   freeze.until ? "until " : "until it is lifted",
                   when_rfc3339(cli->arena, freeze.until), freeze.what);
    return EXIT_OK;
}

static const struct poptOption freeze_options[] = {
    {"why", 0, POPT_ARG_STRING, &options.why, 0, "the reason; it is shown in every plan", "TEXT"},
    {"until", 0, POPT_ARG_STRING, &options.until, 0, "a time, or a duration from now such as 2h",
     "TIME"},
    {"lift", 0, POPT_ARG_STRING, &options.lift, 0, "end a freeze", "WHAT"},
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the freezes as JSON", NULL},
    POPT_TABLEEND,
};

const struct command freeze_command = {
    .name = "freeze",
    .group = "Change",
    .operands = "[WHAT]",
    .help = "stop changes, healing or deletions; without WHAT, list what is frozen",
    .options = freeze_options,
    .most = 1,
    .run = freeze_run,
};
