/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drift as one HTML file for a ticket or a mail: no script, no style sheet and no
 * image from anywhere. Everything that comes from the world is escaped.
 */
#include "reconciler/cli/drift_html.h"

#include "model/json.h"
#include "model/text.h"
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
    const char *healed = value_at_text(row, "healed.at", NULL);

    text_add(out, "<tr>");
    cell_add(out, "",
             arena_printf(arena, "%s %s%s%s", value_get_text(row, "kind", ""), project,
                          project[0] ? "/" : "", value_get_text(row, "name", "")),
             "");
    cell_add(out, "<code>", value_get_text(row, "path", ""), "</code>");
    cell_add(out, "<code>", json_text(arena, value_get(row, "desired")), "</code>");
    cell_add(out, "<code>", json_text(arena, value_get(row, "observed")), "</code>");
    cell_add(out, "", value_get_text(row, "since", ""), "");
    cell_add(out, healed ? "<span class=\"healed\">" : "<span class=\"open\">",
             healed ? arena_printf(arena, "healed %s", healed)
                    : value_get_text(row, "disposition", "open"),
             "</span>");
    cell_add(out, "", value_get_text(row, "cause", "unknown"), "");
    text_add(out, "</tr>\n");
}

static void page_add(struct text *out, struct arena *arena, const struct value *document)
{
    const struct value *rows = value_get(document, "drift");

    text_add(out, head);
    text_add(out, "<h1>Drift</h1>\n<p>As of ");
    markup_add(out, value_get_text(document, "at", ""));
    text_add(out, ", commit <code>");
    markup_add(out, value_get_text(document, "commit", "none"));
    text_add(out, "</code></p>\n");
    if (!value_is_list(rows) || rows->count == 0) {
        text_add(out, "<p class=\"healed\">No drift.</p>\n</body></html>\n");
        return;
    }
    text_add(out, "<table><thead><tr><th>Object</th><th>Field</th><th>Expected</th><th>Found</th>"
                  "<th>Since</th><th>State</th><th>Likely cause</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < rows->count; i++)
        row_add(out, arena, rows->items[i]);
    text_add(out, "</tbody></table>\n</body></html>\n");
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
