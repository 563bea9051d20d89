/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel drift`: what differs from Git without Git having moved, since when and why. */
#include "reconciler/cli/command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/digest.h"
#include "model/diff.h"
#include "model/resource.h"
#include "reconciler/cli/drift.h"
#include "reconciler/cli/drift_rows.h"
#include "reconciler/cli/drift_html.h"
#include "reconciler/cli/drift_junit.h"
#include "reconciler/cli/report_file.h"
#include "reconciler/cli/follow.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/table.h"
#include "reconciler/cli/terminal.h"
#include "model/when.h"

static struct {
    int json;
    int watch;
    int ignored;
    char *html;
    char *junit;
    char *since;
    char *resource; /* "volume/shop/db" or "image/base" */
    char uid[UID_TEXT];
} options;

static bool is_asked(const struct value *row)
{
    return !options.resource || strcmp(value_get_text(row, "uid", ""), options.uid) == 0;
}

/* Which object --resource means; one that is not there is an error, and never "No drift." */
static int resource_find(struct cli *cli, struct error *err)
{
    const char *slash = options.resource ? strchr(options.resource, '/') : NULL;
    const struct kind *kind;
    const struct known *row;
    struct store *store;
    int rc;

    if (!options.resource)
        return 0;
    kind = slash ? kind_find_loose(arena_text_n(cli->arena, options.resource,
                                                (size_t)(slash - options.resource)))
                 : NULL;
    if (!kind)
        return error_set(err, ERR_INVALID, "--resource takes KIND/PROJECT/NAME, not '%s'",
                         options.resource);
    rc = objects_store(cli, &store, err);
    if (rc < 0)
        return rc;
    rc = object_find(cli->arena, store, kind, slash + 1, &row, err);
    if (rc == 0)
        snprintf(options.uid, sizeof options.uid, "%s", row->uid);
    store_close(store);
    return rc;
}

static struct value *rows_asked(struct arena *arena, const struct value *rows, int64_t since)
{
    struct value *list = value_list(arena);

    for (size_t i = 0; value_is_list(rows) && i < rows->count; i++) {
        const char *healed = value_at_text(rows->items[i], "healed.at", NULL);

        if (!is_asked(rows->items[i]) || (drift_is_ignored(rows->items[i]) && !options.ignored))
            continue;
        if (!healed || (options.since && strcmp(healed, when_rfc3339(arena, since)) >= 0))
            value_append(arena, list, value_copy(arena, rows->items[i]));
    }
    return list;
}

/* Who could not be looked at, among those that were asked for: of these, no drift says nothing. */
static struct value *unknown_asked(struct arena *arena, const struct value *unknown)
{
    struct value *list = value_list(arena);

    for (size_t i = 0; value_is_list(unknown) && i < unknown->count; i++)
        if (is_asked(unknown->items[i]))
            value_append(arena, list, value_copy(arena, unknown->items[i]));
    return list;
}

static void drift_print(struct arena *arena, const struct value *rows)
{
    static const char *const titles[] = {"OBJECT", "FIELD", "EXPECTED",    "FOUND",
                                         "SINCE",  "STATE", "LIKELY CAUSE"};
    struct table *table = table_new(arena, titles, 7);

    for (size_t i = 0; i < rows->count; i++) {
        const struct value *row = rows->items[i];
        const char *project = value_get_text(row, "project", "");
        const char **cells = table_row(table);

        cells[0] = arena_printf(arena, "%s %s%s%s", value_get_text(row, "kind", ""), project,
                                project[0] ? "/" : "", value_get_text(row, "name", ""));
        cells[1] = value_get_text(row, "path", "");
        cells[2] = drift_side_text(arena, row, "desired");
        cells[3] = drift_side_text(arena, row, "observed");
        cells[4] = drift_age_text(arena, row); /* the whole time is in the details */
        cells[5] = drift_state_text(arena, row);
        cells[6] = value_get_text(row, "cause", "unknown");
        table_paint(table, 3, drift_is_open(row) ? PAINT_BAD : PAINT_PLAIN);
        table_paint(table, 5, drift_is_open(row) ? PAINT_WARN : PAINT_GOOD);
    }
    table_print(table, stdout);
}

static void details_print(struct arena *arena, const struct value *row)
{
    const char *project = value_get_text(row, "project", "");

    terminal_print(stdout, "\n%s%s %s%s%s, %s%s\n", paint(stdout, PAINT_STRONG),
                   value_get_text(row, "kind", ""), project, project[0] ? "/" : "",
                   value_get_text(row, "name", ""), value_get_text(row, "path", ""),
                   paint(stdout, PAINT_PLAIN));
    terminal_print(stdout, "  should be   %s\n", drift_side_text(arena, row, "desired"));
    terminal_print(stdout, "  is          %s\n", drift_side_text(arena, row, "observed"));
    terminal_print(stdout, "  since       %s, last seen %s, found by %s\n",
                   value_get_text(row, "since", ""), value_get_text(row, "lastSeen", ""),
                   value_get_text(row, "detectedBy", ""));
    terminal_print(stdout, "  cause       %s\n", value_get_text(row, "cause", "unknown"));
    terminal_print(stdout, "  %-11s %s\n", drift_is_open(row) ? "then" : "ended",
                   drift_outcome_text(arena, row));
}

/* All that is known of what is open, and with --resource of what was healed too. */
static void details_of(struct arena *arena, const struct value *rows)
{
    enum { DETAILS_MAX = 20 };
    size_t told = 0;

    for (size_t i = 0; i < rows->count; i++) {
        if (!options.resource && (!drift_is_open(rows->items[i]) || told == DETAILS_MAX))
            continue;
        details_print(arena, rows->items[i]);
        told++;
    }
}

static void strangers_print(const struct value *document, const char *key, const char *what)
{
    const struct value *list = value_get(document, key);

    for (size_t i = 0; value_is_list(list) && i < list->count; i++)
        note("%s: %s %s, left alone: %s", what, value_get_text(list->items[i], "kind", ""),
             value_get_text(list->items[i], "native", value_get_text(list->items[i], "uid", "")),
             value_get_text(list->items[i], "why", ""));
}

static void rows_print(struct arena *arena, const struct value *rows)
{
    const struct value *folded = drift_rows_folded(arena, rows);

    drift_print(arena, folded);
    details_of(arena, folded);
}

static const char *none_text(const struct value *document, const struct value *unknown)
{
    if (!value_get_text(document, "commit", "")[0])
        return "No drift: nothing is the target yet. 'spinel status' tells more.";
    return unknown->count ? "No drift in what could be looked at." : "No drift.";
}

static void unknown_print(struct arena *arena, const struct value *unknown)
{
    if (!unknown->count)
        return;
    const struct value *first = unknown->items[0];
    const char *label =
        identity_label(arena, value_get_text(first, "kind", ""),
                       value_get_text(first, "project", NULL), value_get_text(first, "name", ""));

    if (unknown->count == 1)
        note("spinel drift: %s could not be looked at: nobody can say whether it is as declared",
             label);
    else
        note("spinel drift: %s and %zu more could not be looked at: nobody can say whether they "
             "are as declared",
             label, unknown->count - 1);
    note("  'spinel status' tells which driver has a problem.");
}

static int drift_show(struct cli *cli, const struct site *site, const struct value *found,
                      int64_t since)
{
    struct value *document = value_copy(cli->arena, found);
    struct value *rows = rows_asked(cli->arena, value_get(found, "drift"), since);
    struct value *unknown = unknown_asked(cli->arena, value_get(found, "unknown"));
    struct error err = ERROR_INIT;
    size_t open = 0;

    for (size_t i = 0; i < rows->count; i++)
        open += drift_is_open(rows->items[i]) && !drift_is_ignored(rows->items[i]);
    value_set(cli->arena, document, "drift", rows);
    value_set(cli->arena, document, "unknown", unknown);
    value_set_text(cli->arena, document, "rack", site->name);
    if (options.html && drift_html_write(cli->arena, options.html, document, &err) < 0)
        return fail(cli, &err);
    if (options.junit && drift_junit_write(cli->arena, options.junit, document, &err) < 0)
        return fail(cli, &err);
    if (options.json)
        output_json(document);
    else if (file_is_stdout(options.html) || file_is_stdout(options.junit))
        ; /* standard output is taken */
    else if (rows->count > 0)
        rows_print(cli->arena, rows);
    else
        puts(none_text(document, unknown));
    if (!options.json) {
        strangers_print(document, "unmanaged", "not ours");
        strangers_print(document, "orphans", "orphan");
    }
    unknown_print(cli->arena, unknown);
    return open > 0 ? EXIT_OPEN : unknown->count ? EXIT_ERROR : EXIT_OK;
}

static void watch_show(const struct value *event)
{
    if (strncmp(value_get_text(event, "type", ""), "drift.", 6) != 0 || !is_asked(event))
        return;
    if (options.json)
        output_json_line(event);
    else
        terminal_print(stdout, "%.19sZ  %s\n", value_get_text(event, "at", ""),
                       value_get_text(event, "text", ""));
    fflush(stdout);
}

static int drift_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct value *document;
    int64_t since = when_now();
    int rc;

    if (options.json + file_is_stdout(options.html) + file_is_stdout(options.junit) > 1)
        return usage_error(cli, "only one of --json, --html=- and --junit=- can have standard "
                                "output");
    if (options.since && when_read(options.since, -1, &since, &err) < 0)
        return usage_error(cli, "--since: %s", err.message);
    rc = site_find(cli, &site, &err);
    if (rc == 0)
        rc = resource_find(cli, &err);
    if (rc == ERR_INVALID)
        return usage_error(cli, "%s", err.message);
    if (rc == 0 && options.watch)
        rc = follow_each(site, cli->arena, NULL, watch_show, &err);
    else if (rc == 0)
        rc = drift_make(cli, site, since, &document, &err);
    if (rc < 0)
        return fail(cli, &err);
    return options.watch ? EXIT_OK : drift_show(cli, site, document, since);
}

static const struct poptOption drift_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the drift document (spinel/drift/v1)", NULL},
    {"html", 0, POPT_ARG_STRING, &options.html, 0,
     "a self-contained HTML file, too; - is standard output", "FILE"},
    {"junit", 0, POPT_ARG_STRING, &options.junit, 0,
     "a JUnit XML file for CI, too; - is standard output", "FILE"},
    {"watch", 0, POPT_ARG_NONE, &options.watch, 0,
     "drift as the daemon finds and heals it, until Ctrl-C", NULL},
    {"ignored", 0, POPT_ARG_NONE, &options.ignored, 0, "and what driftPolicy says to ignore", NULL},
    {"since", 0, POPT_ARG_STRING, &options.since, 0, "and what was healed since, such as 2h",
     "TIME"},
    {"resource", 0, POPT_ARG_STRING, &options.resource, 0, "of one object only",
     "KIND/PROJECT/NAME"},
    POPT_TABLEEND,
};

const struct command drift_command = {
    .name = "drift",
    .group = "Look",
    .operands = "",
    .help = "show what in the world differs from Git, since when and why",
    .details = "It looks at the world anew. Exit status: 0 no open drift, 2 open drift, 1 error,\n"
               "or none is open but an object could not be looked at.",
    .options = drift_options,
    .run = drift_run,
};
