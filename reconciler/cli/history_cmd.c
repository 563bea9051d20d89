/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel history`: revisions and what became of them, or the operations of one object. */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/cli/kinds.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/store/documents.h"
#include "reconciler/cli/table.h"
#include "model/when.h"

static struct {
    int json;
    int limit;
} options = {.limit = 30};

static const char *revision_outcome(const struct revision *revision)
{
    if (revision->converged_at > 0)
        return "converged";
    return strcmp(revision->state, "target") == 0 ? "converging" : revision->state;
}

static void revision_row(struct cli *cli, struct table *table, const struct revision *revision)
{
    const char **cells = table_row(table);
    bool has_converged = revision->converged_at > 0;
    int64_t took_s = revision->converged_at - revision->at; /* of whole seconds */

    cells[0] = arena_printf(cli->arena, "%lld", (long long)revision->id);
    cells[1] = arena_printf(cli->arena, "%.10s", revision->commit);
    cells[2] = when_age(cli->arena, revision->at, when_now());
    cells[3] = revision_outcome(revision);
    cells[4] = !has_converged ? "-" : took_s < 1 ? "<1s" : when_took(cli->arena, took_s * 1000);
    cells[5] =
        arena_printf(cli->arena, "%.*s", (int)strcspn(revision->author, "<"), revision->author);
    cells[6] = revision->message[0] ? revision->message : revision->subject;
    table_paint(table, 3,
                has_converged                             ? PAINT_GOOD
                : strcmp(revision->state, "refused") == 0 ? PAINT_BAD
                                                          : PAINT_WARN);
}

static int revisions_show(struct cli *cli, struct store *store, struct error *err)
{
    static const char *const titles[] = {"REV",  "COMMIT", "WHEN",   "OUTCOME",
                                         "TOOK", "AUTHOR", "SUBJECT"};
    struct revision *revisions = NULL;
    struct value *document = value_map(cli->arena);
    struct value *list = value_set(cli->arena, document, "revisions", value_list(cli->arena));
    struct table *table = table_new(cli->arena, titles, 7);
    size_t count = 0;
    int rc = store
                 ? store_revisions(store, cli->arena, (struct page){.limit = (size_t)options.limit},
                                   &revisions, &count, err)
                 : 0;

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        value_append(cli->arena, list, revision_value(cli->arena, &revisions[i]));
        revision_row(cli, table, &revisions[i]);
    }
    if (options.json)
        output_json(document);
    else if (count > 0)
        table_print(table, stdout);
    else
        note("spinel history: no revision yet");
    return 0;
}

/* "spec.size, spec.memory" */
static char *fields_text(struct arena *arena, const struct value *step)
{
    const struct value *fields = value_get(step, "fields");
    char *text = arena_text(arena, "");

    for (size_t i = 0; value_is_list(fields) && i < fields->count; i++)
        text = arena_printf(arena, "%s%s%s", text, i ? ", " : "",
                            value_is_text(fields->items[i])
                                ? fields->items[i]->text
                                : value_get_text(fields->items[i], "path", "?"));
    return text;
}

static void intent_row(struct cli *cli, struct table *table, const struct intent *intent)
{
    const char **cells = table_row(table);
    bool has_error = intent->error && intent->error[0];

    cells[0] = when_age(cli->arena, intent->created_at, when_now());
    cells[1] = intent->verb;
    cells[2] = intent->state;
    cells[3] = arena_printf(cli->arena, "%llu", (unsigned long long)intent->epoch);
    cells[4] = arena_printf(cli->arena, "%u", intent->attempts);
    cells[5] = has_error ? intent->error : fields_text(cli->arena, intent->step);
    table_paint(table, 2, strcmp(intent->state, "confirmed") == 0 ? PAINT_GOOD : PAINT_WARN);
}

static int operations_show(struct cli *cli, struct store *store, const char *uid, struct error *err)
{
    static const char *const titles[] = {"WHEN", "VERB", "STATE", "EPOCH", "TRIES", "WHAT"};
    struct intent *intents = NULL;
    struct value *document = value_map(cli->arena);
    struct value *list = value_set(cli->arena, document, "operations", value_list(cli->arena));
    struct table *table = table_new(cli->arena, titles, 6);
    size_t count = 0;
    int rc = store_intents(store, cli->arena, uid, (struct page){.limit = (size_t)options.limit},
                           &intents, &count, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        value_append(cli->arena, list, intent_value(cli->arena, &intents[i]));
        intent_row(cli, table, &intents[i]);
    }
    if (options.json)
        output_json(document);
    else
        table_print(table, stdout);
    return 0;
}

static int object_history(struct cli *cli, struct store *store, struct error *err)
{
    const struct kind *kind = kind_asked(cli, cli->operands[0]);
    const struct known *row;
    int rc;

    if (!kind)
        return EXIT_BAD_USAGE;
    rc = object_find(cli->arena, store, kind, cli->operands[1], &row, err);
    return rc == 0 ? operations_show(cli, store, row->uid, err) : rc;
}

static int history_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct store *store;
    int rc;

    if (cli->operand_count == 1)
        return usage_error(cli, "after KIND it takes a NAME");
    if (options.limit < 1)
        return usage_error(cli, "--limit takes a number from 1");
    rc = objects_store(cli, &store, &err);
    if (rc < 0)
        return fail(cli, &err);
    rc = cli->operand_count == 2 ? object_history(cli, store, &err)
                                 : revisions_show(cli, store, &err);
    store_close(store);
    return rc < 0 ? fail(cli, &err) : rc;
}

static const struct poptOption history_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "as JSON", NULL},
    {"limit", 'n', POPT_ARG_INT, &options.limit, 0, "the newest N; 30", "N"},
    POPT_TABLEEND,
};

const struct command history_command = {
    .name = "history",
    .group = "Look",
    .operands = "[KIND PROJECT/NAME]",
    .help = "show the revisions and their outcome, or an object's operations",
    .options = history_options,
    .most = 2,
    .run = history_run,
};
