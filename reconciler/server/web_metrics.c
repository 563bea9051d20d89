/* SPDX-License-Identifier: MPL-2.0 */
/* OpenMetrics 1.0: what a rack is watched by. */
#include "reconciler/server/web.h"

#include <string.h>
#include "model/when.h"

static void family(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void resources_write(struct text *out, const struct value *status)
{
    static const char *const marks[] = {"true", "pending", "drifting", "held"};
    family(out, "spinel_resources", "gauge", "Objects by how they compare with Git.");
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const struct value *resources = value_get(status, "resources");
        text_printf(out, "spinel_resources{mark=\"%s\"} %lld\n", marks[i],
                    (long long)value_get_int(resources, marks[i], 0));
    }
}

static int64_t oldest_since(const struct value *drift, int64_t *open)
{
    const struct value *list = value_get(drift, "drift");
    struct error ignored = ERROR_INIT;
    int64_t oldest = 0, at;
    for (size_t i = 0; value_is_list(list) && i < list->count; i++) {
        const struct value *row = list->items[i];
        if (value_is_map(value_get(row, "healed")) ||
            when_read(value_get_text(row, "since", ""), -1, &at, &ignored) < 0)
            continue;
        ++*open;
        oldest = oldest && oldest < at ? oldest : at;
    }
    return oldest;
}

static void drift_write(struct text *out, const struct value *drift)
{
    int64_t open = 0, oldest = oldest_since(drift, &open);
    family(out, "spinel_drift_open", "gauge", "Fields that differ from Git now.");
    text_printf(out, "spinel_drift_open %lld\n", (long long)open);
    family(out, "spinel_drift_oldest_seconds", "gauge", "Age of the oldest open drift.");
    text_printf(out, "spinel_drift_oldest_seconds %lld\n",
                (long long)(oldest ? when_now() - oldest : 0));
}

static void revision_write(struct text *out, const struct value *status)
{
    struct error ignored = ERROR_INIT;
    int64_t at = 0;
    const char *converged = value_at_text(status, "revision.convergedAt", "");
    if (when_read(converged, -1, &at, &ignored) < 0)
        at = 0;
    family(out, "spinel_revision", "gauge", "Number of the revision that is the target.");
    text_printf(out, "spinel_revision %lld\n",
                (long long)value_at_int(status, "revision.revision", 0));
    family(out, "spinel_revision_converged_timestamp_seconds", "gauge",
           "When the target was first true; 0 if it was not yet.");
    text_printf(out, "spinel_revision_converged_timestamp_seconds %lld\n", (long long)at);
    family(out, "spinel_converged", "gauge", "1 if the rack is as Git says.");
    text_printf(out, "spinel_converged %d\n", value_get_bool(status, "converged", false));
}

void metrics_write(struct asked *asked, struct answer *answer)
{
    struct error err = ERROR_INIT;
    const struct value *status = view_status(asked->web->view, asked->arena, &err);
    const struct value *drift = status ? view_drift(asked->web->view, asked, &err) : NULL;
    if (!drift) {
        answer_problem(answer, asked->arena, MHD_HTTP_SERVICE_UNAVAILABLE, err.message);
        return;
    }
    resources_write(&answer->body, status);
    drift_write(&answer->body, drift);
    revision_write(&answer->body, status);
    text_add(&answer->body, "# EOF\n");
    answer->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}
