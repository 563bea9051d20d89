/* SPDX-License-Identifier: MPL-2.0 */
/* Drift for a CI system, which shows test cases: JUnit XML as Jenkins and GitLab read it. */
#include "reconciler/cli/drift_junit.h"

#include "model/json.h"
#include "model/resource.h"
#include "model/text.h"
#include "reconciler/cli/drift_rows.h"
#include "reconciler/cli/report_file.h"

static bool is_failure(const struct value *row)
{
    return drift_is_open(row) && !drift_is_ignored(row);
}

static void attribute_add(struct text *out, const char *name, const char *value)
{
    text_printf(out, " %s=\"", name);
    markup_add(out, value);
    text_add(out, "\"");
}

static void failure_add(struct text *out, struct arena *arena, const struct value *row)
{
    const char *desired = json_text(arena, value_get(row, "desired"));
    const char *observed = json_text(arena, value_get(row, "observed"));

    text_add(out, "><failure type=\"drift\"");
    attribute_add(out, "message", arena_printf(arena, "should be %s, is %s", desired, observed));
    text_add(out, ">");
    markup_add(out, arena_printf(arena, "since %s, probable cause: %s, %s",
                                 value_get_text(row, "since", "?"),
                                 value_get_text(row, "cause", "unknown"),
                                 drift_outcome_text(arena, row)));
    text_add(out, "</failure></testcase>\n");
}

static void case_begin(struct text *out, struct arena *arena, const struct value *object)
{
    text_add(out, "  <testcase");
    attribute_add(out, "classname",
                  identity_label(arena, value_get_text(object, "kind", ""),
                                 value_get_text(object, "project", NULL),
                                 value_get_text(object, "name", "")));
}

static void case_add(struct text *out, struct arena *arena, const struct value *row)
{
    case_begin(out, arena, row);
    attribute_add(out, "name", value_get_text(row, "path", ""));
    if (is_failure(row))
        failure_add(out, arena, row);
    else
        text_add(out, "/>\n");
}

/* A test that could not be run is no test that passed. */
static void unknown_add(struct text *out, struct arena *arena, const struct value *object)
{
    case_begin(out, arena, object);
    text_add(out, " name=\"look\"><error type=\"unknown\" message=\"it could not be looked at: "
                  "nobody can say whether it is as declared\"/></testcase>\n");
}

int drift_junit_write(struct arena *arena, const char *path, const struct value *document,
                      struct error *err)
{
    const struct value *rows = drift_rows_folded(arena, value_get(document, "drift"));
    const struct value *unknown = value_get(document, "unknown");
    size_t unseen = value_is_list(unknown) ? unknown->count : 0;
    size_t count = rows->count + unseen, open = 0;
    struct text text = TEXT_INIT;
    int rc;

    for (size_t i = 0; i < rows->count; i++)
        open += is_failure(rows->items[i]);
    text_printf(&text,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<testsuite name=\"spinel drift\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"",
                count ? count : 1, open, unseen);
    attribute_add(&text, "timestamp", value_get_text(document, "at", ""));
    text_add(&text, ">\n");
    for (size_t i = 0; i < rows->count; i++)
        case_add(&text, arena, rows->items[i]);
    for (size_t i = 0; i < unseen; i++)
        unknown_add(&text, arena, unknown->items[i]);
    if (count == 0)
        text_add(&text, "  <testcase classname=\"rack\" name=\"no drift\"/>\n");
    text_add(&text, "</testsuite>\n");
    rc = report_file_write(arena, path, &text, err);
    text_free(&text);
    return rc;
}
