/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drift as one HTML file for a ticket or a mail: no script, no style sheet and no
 * image from anywhere. Everything that comes from the world is escaped.
 */
#include "reconciler/cli/drift_html.h"

#include <stdlib.h>

#include "model/text.h"
#include "model/when.h"
#include "reconciler/cli/drift_rows.h"
#include "reconciler/cli/report_file.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Spinel drift</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #8884;"
    "vertical-align:top}\n"
    "code{font-size:90%}.open{color:#b00020}.healed{color:#1b7f3b}\n"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}.open{color:#ff6b81}"
    ".healed{color:#6fd08c}}\n"
    "@media print{@page{size:A4 landscape;margin:12mm}body{margin:0;max-width:none;"
    "font-size:9pt;color:#000;background:#fff}.open{color:#000;font-weight:bold}.healed{color:#000}"
    "thead{display:table-header-group}tr{break-inside:avoid}h2{break-after:avoid}"
    "code{overflow-wrap:anywhere}}\n"
    "</style></head><body>\n";

static void cell_add(struct text *out, const char *before, const char *text, const char *after)
{
    text_printf(out, "<td>%s", before);
    markup_add(out, text);
    text_printf(out, "%s</td>", after);
}

static void row_add(struct text *out, struct arena *arena, const struct value *row)
{
    const char *project = value_get_text(row, "project", "");
    bool is_bad = drift_is_open(row) && !drift_is_ignored(row);

    text_add(out, "<tr>");
    cell_add(out, "",
             arena_printf(arena, "%s %s%s%s", value_get_text(row, "kind", ""), project,
                          project[0] ? "/" : "", value_get_text(row, "name", "")),
             "");
    cell_add(out, "<code>", value_get_text(row, "path", ""), "</code>");
    cell_add(out, "<code>", drift_side_text(arena, row, "desired"), "</code>");
    cell_add(out, "<code>", drift_side_text(arena, row, "observed"), "</code>");
    cell_add(out, "", value_get_text(row, "since", ""), "");
    cell_add(out, is_bad ? "<span class=\"open\">" : "<span class=\"healed\">",
             drift_state_text(arena, row), "</span>");
    cell_add(out, "", drift_outcome_text(arena, row), "");
    cell_add(out, "", value_get_text(row, "cause", "unknown"),
             arena_printf(arena, " (%s)", value_get_text(row, "detectedBy", "")));
    text_add(out, "</tr>\n");
}

enum group { GROUP_OPEN, GROUP_HEALED, GROUP_IGNORED };

static enum group group_of(const struct value *row)
{
    return !drift_is_open(row) ? GROUP_HEALED : drift_is_ignored(row) ? GROUP_IGNORED : GROUP_OPEN;
}

static size_t group_count(const struct value *rows, enum group group)
{
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++)
        count += group_of(rows->items[i]) == group;
    return count;
}

/* Returns how many there are. */
static size_t group_add(struct text *out, struct arena *arena, const struct value *rows,
                        enum group group, const char *title)
{
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++) {
        if (group_of(rows->items[i]) != group)
            continue;
        if (!count++)
            text_printf(out,
                        "<h2>%s</h2>\n<table><thead><tr><th scope=\"col\">Object</th>"
                        "<th scope=\"col\">Field</th><th scope=\"col\">Expected</th>"
                        "<th scope=\"col\">Found</th><th scope=\"col\">Since</th>"
                        "<th scope=\"col\">State</th><th scope=\"col\">What is done</th>"
                        "<th scope=\"col\">Likely cause</th></tr>"
                        "</thead><tbody>\n",
                        title);
        row_add(out, arena, rows->items[i]);
    }
    if (count)
        text_add(out, "</tbody></table>\n");
    return count;
}

static void strangers_add(struct text *out, const struct value *list, const char *title)
{
    if (!value_is_list(list) || !list->count)
        return;
    text_printf(out,
                "<h2>%s</h2>\n<table><thead><tr><th scope=\"col\">Kind</th><th scope=\"col\">"
                "Which</th><th scope=\"col\">Why it is left alone</th></tr></thead><tbody>\n",
                title);
    for (size_t i = 0; i < list->count; i++) {
        const struct value *one = list->items[i];

        text_add(out, "<tr>");
        cell_add(out, "", value_get_text(one, "kind", ""), "");
        cell_add(out, "<code>", value_get_text(one, "native", value_get_text(one, "uid", "")),
                 "</code>");
        cell_add(out, "", value_get_text(one, "why", ""), "");
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody></table>\n");
}

/* When it was made; https://reproducible-builds.org/specs/source-date-epoch/ sets it, so that the
 * same state gives the same file. */
static const char *made_at(struct arena *arena, const struct value *document)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end;
    long long at = epoch ? strtoll(epoch, &end, 10) : 0;

    return epoch && *epoch && !*end && at >= 0 && at <= WHEN_LAST
               ? when_rfc3339(arena, at)
               : value_get_text(document, "at", "");
}

static size_t count_of(const struct value *list)
{
    return value_is_list(list) ? list->count : 0;
}

static void unknown_add(struct text *out, const struct value *unknown)
{
    if (!count_of(unknown))
        return;
    text_add(out, "<h2 class=\"open\">Could not be looked at</h2>\n<p>Nobody can say whether these "
                  "are as declared.</p>\n<ul>\n");
    for (size_t i = 0; i < unknown->count; i++) {
        const struct value *one = unknown->items[i];
        const char *project = value_get_text(one, "project", "");

        text_add(out, "<li>");
        markup_add(out, value_get_text(one, "kind", ""));
        text_add(out, " ");
        markup_add(out, project);
        text_add(out, project[0] ? "/" : "");
        markup_add(out, value_get_text(one, "name", ""));
        text_add(out, "</li>\n");
    }
    text_add(out, "</ul>\n");
}

static void page_add(struct text *out, struct arena *arena, const struct value *document)
{
    const struct value *unknown = value_get(document, "unknown");
    const struct value *found = value_get(document, "drift");
    const struct value *rows = drift_rows_folded(
        arena, value_is_list(found) ? found : (const struct value *)value_list(arena));

    text_add(out, head);
    text_add(out, "<h1>Drift of ");
    markup_add(out, value_get_text(document, "rack", "a rack"));
    text_add(out, "</h1>\n<p>As of ");
    markup_add(out, made_at(arena, document));
    text_add(out, ", commit <code>");
    markup_add(out, value_get_text(document, "commit", "none"));
    text_printf(out, "</code>: %zu open, %zu healed, %zu ignored</p>\n",
                group_count(rows, GROUP_OPEN), group_count(rows, GROUP_HEALED),
                group_count(rows, GROUP_IGNORED));
    if (!group_add(out, arena, rows, GROUP_OPEN, "Open") && !count_of(unknown))
        text_add(out, "<p class=\"healed\">No drift.</p>\n");
    unknown_add(out, unknown);
    group_add(out, arena, rows, GROUP_HEALED, "Healed");
    group_add(out, arena, rows, GROUP_IGNORED, "Ignored, as the manifests ask");
    strangers_add(out, value_get(document, "unmanaged"), "Not ours");
    strangers_add(out, value_get(document, "orphans"), "Orphans");
    text_add(out, "</body></html>\n");
}

int drift_html_write(struct arena *arena, const char *path, const struct value *document,
                     struct error *err)
{
    struct text text = TEXT_INIT;
    int rc;

    page_add(&text, arena, document);
    rc = report_file_write(arena, path, &text, err);
    text_free(&text);
    return rc;
}
