/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel events`: what happened, and with --follow what happens. */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/cli/follow.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/store/documents.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/terminal.h"
#include "model/when.h"

static struct {
    int json;
    int follow;
    char *since;
    int limit;
} options = {.limit = 100};

static enum paint type_paint(const char *type)
{
    static const struct {
        const char *end;
        enum paint paint;
    } looks[] = {
        {".failed", PAINT_BAD},  {".refused", PAINT_BAD}, {".found", PAINT_WARN},
        {".raised", PAINT_WARN}, {".healed", PAINT_GOOD}, {"converged", PAINT_GOOD},
    };

    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        size_t len = strlen(looks[i].end);

        if (strlen(type) >= len && strcmp(type + strlen(type) - len, looks[i].end) == 0)
            return looks[i].paint;
    }
    return PAINT_PLAIN;
}

static void event_print(const struct value *event)
{
    const char *type = value_get_text(event, "type", "");
    enum paint color = type_paint(type);

    if (options.json) {
        output_json_line(event);
        return;
    }
    terminal_print(stdout, "%.19s  %s%-18s%s %s\n", value_get_text(event, "at", ""),
                   color == PAINT_PLAIN ? "" : paint(stdout, color), type,
                   color == PAINT_PLAIN ? "" : paint(stdout, PAINT_PLAIN),
                   value_get_text(event, "text", ""));
    fflush(stdout);
}

/* The stored ones; `*seq` is the last one's number. */
static int events_past(struct cli *cli, int64_t since, struct value *items, int64_t *seq,
                       struct error *err)
{
    struct store *store;
    struct event *events = NULL;
    size_t count = 0;
    int rc = objects_store(cli, &store, err);

    if (rc < 0)
        return rc;
    if (store)
        rc = store_events(store, cli->arena, options.since ? 0 : -1,
                          options.since ? 1000000 : (size_t)options.limit, &events, &count, err);
    store_close(store);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        *seq = events[i].seq;
        if (events[i].at_ms / 1000 >= since)
            value_append(cli->arena, items, event_value(cli->arena, &events[i]));
    }
    return rc;
}

static int events_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct value *items = value_list(cli->arena);
    struct value *document = value_map(cli->arena);
    const struct site *site;
    int64_t seq = 0, since = 0;
    int rc;

    if (options.limit < 1)
        return usage_error(cli, "--limit takes a number from 1");
    if (options.since && when_read(options.since, -1, &since, &err) < 0)
        return usage_error(cli, "--since: %s", err.message);
    rc = site_find(cli, &site, &err);
    if (rc == 0)
        rc = events_past(cli, since, items, &seq, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (options.json && !options.follow) {
        value_set(cli->arena, document, "events", items);
        output_json(document);
        return EXIT_OK;
    }
    for (size_t i = 0; i < items->count; i++)
        event_print(items->items[i]);
    if (options.follow && follow_each(site, cli->arena, &seq, event_print, &err) < 0)
        return fail(cli, &err);
    return EXIT_OK;
}

static const struct poptOption events_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "as JSON; with --follow one document a line",
     NULL},
    {"follow", 'f', POPT_ARG_NONE, &options.follow, 0, "go on with what happens, until Ctrl-C",
     NULL},
    {"since", 0, POPT_ARG_STRING, &options.since, 0, "from a time, or a duration ago such as 2h",
     "TIME"},
    {"limit", 'n', POPT_ARG_INT, &options.limit, 0, "the newest N without --since; 100", "N"},
    POPT_TABLEEND,
};

const struct command events_command = {
    .name = "events",
    .group = "Look",
    .operands = "",
    .help = "show what happened, and what happens",
    .options = events_options,
    .run = events_run,
};
