/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel trace`: what a revision spent its time on, as a waterfall. With --publish it
 * goes where the site wants it: a note in the repository, a collector of traces. The daemon
 * runs that once a revision has ended.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"
#include "model/text.h"
#include "model/when.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/pipe.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/terminal.h"
#include "reconciler/source/note.h"
#include "reconciler/store/trace.h"
#include "version.h"

enum { NAME_COLUMNS = 36, TOOK_COLUMNS = 9, BAR_LEAST = 16, COLUMNS_ELSE = 100 };

static struct {
    int json, otlp, publish;
} options;

/* ---- the waterfall ------------------------------------------------------------------ */

/* The revision, what it came through, and the parts of an operation. */
static unsigned depth_of(const struct value *spans, const struct value *span)
{
    const char *parent = value_get_text(span, "parent", NULL);
    if (!parent)
        return 0;
    return strcmp(parent, value_get_text(spans->items[0], "span", "")) == 0 ? 1 : 2;
}

static enum paint status_paint(const char *status)
{
    return strcmp(status, "ok") == 0      ? PAINT_GOOD
           : strcmp(status, "error") == 0 ? PAINT_BAD
                                          : PAINT_WARN;
}

static void bar_print(const struct value *span, int64_t whole_ms, int width)
{
    const char *status = value_get_text(span, "status", "");
    bool is_open = strcmp(status, "open") == 0;
    int64_t offset = value_get_int(span, "offset", 0);
    int64_t ms = is_open ? whole_ms - offset : value_get_int(span, "ms", 0);
    int from = (int)(offset * width / whole_ms),
        len = (int)((ms * width + whole_ms - 1) / whole_ms);
    from = from >= width ? width - 1 : from;
    len = len < 1 ? 1 : len > width - from ? width - from : len;
    terminal_print(stdout, "%*s%s", from, "", paint(stdout, status_paint(status)));
    for (int i = 0; i < len; i++)
        putchar(is_open ? '>' : '=');
    terminal_print(stdout, "%s%*s", paint(stdout, PAINT_PLAIN), width - from - len, "");
}

static void span_print(struct arena *arena, const struct value *spans, const struct value *span,
                       int64_t whole_ms, int width)
{
    const char *status = value_get_text(span, "status", "");
    unsigned indent = 2 * depth_of(spans, span);
    const char *took =
        strcmp(status, "open") == 0 ? "open" : when_took(arena, value_get_int(span, "ms", 0));
    terminal_print(stdout, "%*s%-*.*s  ", (int)indent, "", NAME_COLUMNS - (int)indent,
                   NAME_COLUMNS - (int)indent, value_get_text(span, "name", ""));
    bar_print(span, whole_ms, width);
    terminal_print(stdout, "  %*s\n", TOOK_COLUMNS, took);
    const char *why = value_at_text(span, "attributes.error", NULL);
    if (why)
        terminal_print(stdout, "%*s%s%s%s\n", (int)indent + 2, "", paint(stdout, PAINT_BAD), why,
                       paint(stdout, PAINT_PLAIN));
}

static int64_t whole_of(const struct value *spans)
{
    int64_t whole = 1;
    for (size_t i = 0; i < spans->count; i++) {
        int64_t end =
            value_get_int(spans->items[i], "offset", 0) + value_get_int(spans->items[i], "ms", 0);
        whole = end > whole ? end : whole;
    }
    return whole;
}

static void trace_print(struct cli *cli, const struct value *trace)
{
    const struct value *spans = value_get(trace, "spans");
    int columns = terminal_columns(stdout);
    int width = (columns ? columns : COLUMNS_ELSE) - NAME_COLUMNS - TOOK_COLUMNS - 5;
    const char *who = value_at_text(trace, "revision.pushedBy", NULL);
    terminal_print(stdout, "revision %lld, %.12s%s%s: %s%s\n",
                   (long long)value_at_int(trace, "revision.revision", 0),
                   value_at_text(trace, "revision.commit", ""), who ? ", pushed by " : "",
                   who ? who : "", value_get_text(trace, "outcome", ""),
                   value_get_int(trace, "failures", 0)
                       ? arena_printf(cli->arena, ", %lld failures",
                                      (long long)value_get_int(trace, "failures", 0))
                       : "");
    terminal_print(stdout, "trace %s\n\n", value_get_text(trace, "trace", ""));
    int64_t whole_ms = whole_of(spans);
    for (size_t i = 0; i < spans->count; i++)
        span_print(cli->arena, spans, spans->items[i], whole_ms,
                   width < BAR_LEAST ? BAR_LEAST : width);
}

/* ---- to where it belongs ------------------------------------------------------------ */

static int collector_send(const char *url, struct value *request, struct error *err)
{
    const char *const argv[] = {
        "curl",     "--silent",  "--show-error",  "--fail",   "--max-time",
        "10",       "--proto",   "=http,https",   "--header", "Content-Type: application/json",
        "--output", "/dev/null", "--data-binary", "@-",       "--url",
        url,        NULL};
    struct text body = TEXT_INIT;
    json_write(&body, request);
    int rc = pipe_run(argv, body.data, body.len, err);
    text_free(&body);
    if (rc < 0)
        error_hint(err, "spec.traces.otlp in the site file names the collector: %s", url);
    return rc;
}

static int publish(struct cli *cli, const struct site *site, const struct value *trace,
                   const char *rack, struct error *err)
{
    const char *commit = value_at_text(trace, "revision.commit", "");
    if (strcmp(value_get_text(trace, "outcome", ""), "open") == 0)
        return error_set(err, ERR_BUSY,
                         "the revision has not ended yet; there is nothing to publish");
    int rc = note_write(site, commit, trace_note(cli->arena, trace), err);
    if (rc == 0 && site->traces_otlp)
        rc = collector_send(site->traces_otlp, trace_otlp(cli->arena, trace, rack, SPINEL_VERSION),
                            err);
    return rc;
}

static int trace_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const char *rev = cli->operand_count ? cli->operands[0] : "";
    const struct site *site;
    struct store *store = NULL;
    struct revision revision;
    struct value *trace = NULL;
    char rack[33] = "";
    int rc = site_find(cli, &site, &err);
    if (rc == 0)
        rc = objects_store(cli, &store, &err);
    if (rc == 0 && !store)
        rc = error_set(&err, ERR_NOT_FOUND, "there is no revision yet; push one");
    if (rc == 0)
        rc = revision_find(store, cli->arena, rev, &revision, &err);
    if (rc == 0)
        rc = store_rack_id(store, rack, &err);
    if (rc == 0)
        rc = trace_make(store, cli->arena, &revision, &trace, &err);
    store_close(store);
    if (rc == 0 && options.publish)
        rc = publish(cli, site, trace, rack, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (options.otlp)
        output_json(trace_otlp(cli->arena, trace, rack, SPINEL_VERSION));
    else if (options.json)
        output_json(trace);
    else if (!options.publish)
        trace_print(cli, trace);
    return EXIT_OK;
}

static const struct poptOption trace_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "as JSON", NULL},
    {"otlp", 0, POPT_ARG_NONE, &options.otlp, 0, "as OTLP/HTTP JSON, for a collector of traces",
     NULL},
    {"publish", 0, POPT_ARG_NONE, &options.publish, 0,
     "write the note in Git and send it to the collector", NULL},
    POPT_TABLEEND,
};

const struct command trace_command = {
    .name = "trace",
    .group = "Look",
    .operands = "[REVISION]",
    .help = "show what a revision spent its time on, from push to converged",
    .details = "REVISION is a number of 'spinel history', or a commit; without it the newest.",
    .options = trace_options,
    .most = 1,
    .run = trace_run,
};
