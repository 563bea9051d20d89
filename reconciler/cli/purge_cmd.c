/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel purge`: lists what left Git and was kept; with uids, gives them up. That
 * makes them objects that are to be deleted, no more: the plan shows it, and the
 * guard has its say as with any deletion.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "model/unit.h"
#include "model/when.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/table.h"
#include "reconciler/cli/terminal.h"

static struct {
    int json;
    int yes;
} options;

static void released_print(struct arena *arena, const struct value *items)
{
    static const char *const titles[] = {"RELEASED", "UID", "PATH"};
    struct table *table = table_new(arena, titles, 3);

    for (size_t i = 0; i < items->count; i++) {
        const struct value *item = items->items[i];
        const char **cells = table_row(table);

        cells[0] = arena_printf(arena, "%s %s/%s", value_get_text(item, "kind", ""),
                                value_at_text(item, "metadata.project", ""),
                                value_at_text(item, "metadata.name", ""));
        cells[1] = value_at_text(item, "metadata.uid", "");
        cells[2] = value_at_text(item, "status.path", "-");
    }
    table_print(table, stdout);
    note("\nTo restore one, commit its manifest again. To destroy one: spinel purge UID");
}

static void trash_print(struct arena *arena, const struct value *items)
{
    static const char *const titles[] = {"IN THE TRASH", "UID", "SIZE", "UNTIL", "PATH"};
    struct table *table = table_new(arena, titles, 5);

    for (size_t i = 0; i < items->count; i++) {
        const struct value *item = items->items[i];
        const char **cells = table_row(table);
        char size[UNIT_MAX_TEXT];

        cells[0] = value_get_text(item, "kind", "");
        cells[1] = value_get_text(item, "uid", "");
        cells[2] = arena_text(arena, size_text(value_get_int(item, "bytes", 0), size));
        cells[3] = value_get_text(item, "until", "");
        cells[4] = value_get_text(item, "native", "");
    }
    table_print(table, stdout);
    note("\nTo empty it of one before its time: spinel purge UID");
}

/* What deletes took away and drivers still keep, as they last said. */
static int trash_read(struct cli *cli, struct store *store, struct value **items, struct error *err)
{
    int rc = store_fact_list(store, cli->arena, "trash", items, err);

    for (size_t i = 0; rc == 0 && i < (*items)->count; i++) {
        struct value *item = (*items)->items[i];
        static const char *const times[] = {"deletedAt", "until"};

        for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++)
            value_set_text(cli->arena, item, times[t],
                           when_rfc3339(cli->arena, value_get_int(item, times[t], 0)));
    }
    return rc;
}

static void lists_print(struct arena *arena, const struct value *released,
                        const struct value *trash)
{
    if (released->count == 0 && trash->count == 0)
        note("spinel purge: nothing is released, and nothing lies in the trash");
    if (released->count > 0)
        released_print(arena, released);
    if (released->count > 0 && trash->count > 0)
        putc('\n', stderr);
    if (trash->count > 0)
        trash_print(arena, trash);
}

static int released_list(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct value *document = value_map(cli->arena);
    struct value *items = value_set(cli->arena, document, "released", value_list(cli->arena));
    struct value *trash = value_list(cli->arena);
    struct known *rows = NULL;
    struct store *store;
    size_t count = 0;
    int rc = objects_store(cli, &store, &err);

    if (rc == 0 && store)
        rc = store_objects(store, cli->arena, &rows, &count, &err);
    if (rc == 0 && store)
        rc = trash_read(cli, store, &trash, &err);
    store_close(store);
    if (rc < 0)
        return fail(cli, &err);
    value_set(cli->arena, document, "trash", trash);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].life == LIFE_RELEASED)
            value_append(cli->arena, items, object_value(cli->arena, &rows[i]));
    }
    if (options.json)
        output_json(document);
    else
        lists_print(cli->arena, items, trash);
    return EXIT_OK;
}

/* The deed and who asked for it are one transaction. */
static int purge_record(struct cli *cli, struct store *store, const char *uid, struct error *err)
{
    const char *who = daemon_who(cli->arena);
    struct event event = {
        .at_ms = when_now() * 1000,
        .type = "purge.asked",
        .text = arena_printf(cli->arena, "%s asked to destroy what was released as %s", who, uid),
        .uid = uid,
    };
    int64_t seq;
    int rc = store_begin(store, err);

    if (rc == 0)
        rc = store_object_purge(store, uid, err);
    if (rc == 0)
        rc = store_event_add(store, &event, &seq, err);
    if (rc == 0)
        return store_commit(store, err);
    store_rollback(store);
    return rc;
}

static int purge_stored(struct cli *cli, const struct site *site, const char *uid,
                        struct error *err)
{
    struct store *store;
    int rc = store_open(site->state_dir, STORE_WRITE, &store, err);

    if (rc < 0)
        return rc;
    rc = purge_record(cli, store, uid, err);
    store_close(store);
    return rc;
}

static int uid_purge(struct cli *cli, const struct site *site, const char *uid, struct error *err)
{
    struct value *params = value_map(cli->arena);
    struct value *answer;
    int rc;

    value_set_text(cli->arena, params, "uid", uid);
    value_set_text(cli->arena, params, "who", daemon_who(cli->arena));
    rc = daemon_ask(site, cli->arena, "purge", params, &answer, err);
    if (rc == 0 && !answer)
        rc = purge_stored(cli, site, uid, err);
    if (rc == 0)
        printf("%s: given up; %s\n", uid,
               answer ? "the daemon deletes it, unless the guard holds that"
                      : "the next 'spinel apply' deletes it, unless the guard holds that");
    return rc;
}

static int purge_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    int rc;

    if (cli->operand_count == 0)
        return released_list(cli);
    if (!options.yes && !terminal_can_ask())
        return usage_error(cli, "nobody can be asked here, so it needs --yes; nothing was done");
    if (!options.yes && !terminal_ask("Destroy this, with its data, for good?")) {
        note("spinel purge: nothing was done");
        return EXIT_OK;
    }
    rc = site_find(cli, &site, &err);
    for (size_t i = 0; rc == 0 && i < cli->operand_count; i++)
        rc = uid_purge(cli, site, cli->operands[i], &err);
    return rc < 0 ? fail(cli, &err) : EXIT_OK;
}

static const struct poptOption purge_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the list as JSON", NULL},
    {"yes", 'y', POPT_ARG_NONE, &options.yes, 0, "do not ask", NULL},
    POPT_TABLEEND,
};

const struct command purge_command = {
    .name = "purge",
    .group = "Change",
    .operands = "[UID]...",
    .help = "list what left Git and was kept, or give it up for good by its uid",
    .details = "What is given up is deleted by the next plan; a freeze, a protection or the\n"
               "deletion budget holds that as it holds any deletion. What a delete took away\n"
               "lies in its pool's trash for a while, is listed too, and goes at once by its\n"
               "uid.",
    .most = OPERANDS_ANY,
    .options = purge_options,
    .run = purge_run,
};
