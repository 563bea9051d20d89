/* SPDX-License-Identifier: MPL-2.0 */
/* OpenMetrics 1.0: what a rack is watched by. */
#include "reconciler/server/web.h"

#include <string.h>
#include "model/kind.h"
#include "model/when.h"
#include "version.h"

static void family(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* A family whose name ends in its unit says so. */
static void family_in(struct text *out, const char *name, const char *type, const char *unit,
                      const char *help)
{
    text_printf(out, "# TYPE %s %s\n# UNIT %s %s\n# HELP %s %s\n", name, type, name, unit, name,
                help);
}

static void resources_write(struct text *out, const struct value *status)
{
    static const char *const marks[] = {"true", "unknown", "pending", "drifting", "held"};
    family(out, "spinel_resources", "gauge", "Objects by how they compare with Git.");
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const struct value *resources = value_get(status, "resources");
        text_printf(out, "spinel_resources{mark=\"%s\"} %lld\n", marks[i],
                    (long long)value_get_int(resources, marks[i], 0));
    }
}

static void drift_write(struct text *out, const struct open_drift *drift)
{
    family(out, "spinel_drift_open", "gauge", "Fields that differ from Git now.");
    text_printf(out, "spinel_drift_open %lld\n", (long long)drift->fields);
    family_in(out, "spinel_drift_oldest_seconds", "gauge", "seconds",
              "Age of the oldest of these.");
    text_printf(out, "spinel_drift_oldest_seconds %lld\n",
                (long long)(drift->oldest ? when_now() - drift->oldest : 0));
    family(out, "spinel_drift_ignored", "gauge", "Fields that differ and are not to be looked at.");
    text_printf(out, "spinel_drift_ignored %lld\n", (long long)drift->ignored);
}

static void revision_write(struct text *out, const struct value *status,
                           const struct revision *good)
{
    family(out, "spinel_revision", "gauge", "Number of the revision that is the target.");
    text_printf(out, "spinel_revision %lld\n",
                (long long)value_at_int(status, "revision.revision", 0));
    family(out, "spinel_revision_good", "gauge",
           "Number of the last revision that the rack was true to; 0 if there is none.");
    text_printf(out, "spinel_revision_good %lld\n", (long long)good->id);
    family_in(out, "spinel_revision_good_timestamp_seconds", "gauge", "seconds",
              "When the rack was first true to it.");
    if (good->id)
        text_printf(out, "spinel_revision_good_timestamp_seconds %lld\n",
                    (long long)good->converged_at);
    family(out, "spinel_converged", "gauge", "1 if the rack is as Git says.");
    bool is_true = value_get_bool(status, "converged", false) &&
                   value_at_int(status, "resources.pending", 0) == 0 &&
                   value_at_int(status, "resources.drifting", 0) == 0 &&
                   value_at_int(status, "resources.held", 0) == 0;
    text_printf(out, "spinel_converged %d\n", is_true);
}

/* ---- what the core counts ----------------------------------------------------------- */

static uint64_t seen(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* `labels` as in `verb="create",`, or "". */
static void histogram_write(struct text *out, const char *name, const char *labels,
                            const struct histogram *histogram)
{
    uint64_t sum = 0, ns = seen(&histogram->sum_ns);
    int len = (int)strlen(labels);
    for (size_t i = 0; i <= METER_BUCKETS; i++) {
        sum += seen(&histogram->counts[i]);
        text_printf(out, "%s_bucket{%sle=\"%s\"} %llu\n", name, labels,
                    i < METER_BUCKETS ? meter_bounds_text[i] : "+Inf", (unsigned long long)sum);
    }
    const char *open = len ? "{" : "", *close = len ? "}" : "";
    len = len ? len - 1 : 0; /* without the last comma */
    text_printf(out, "%s_count%s%.*s%s %llu\n", name, open, len, labels, close,
                (unsigned long long)sum);
    text_printf(out, "%s_sum%s%.*s%s %llu.%09llu\n", name, open, len, labels, close,
                (unsigned long long)(ns / 1000000000), (unsigned long long)(ns % 1000000000));
}

static bool is_empty(const struct histogram *histogram)
{
    for (size_t i = 0; i <= METER_BUCKETS; i++)
        if (seen(&histogram->counts[i]))
            return false;
    return true;
}

static void operations_write(struct text *out, struct arena *arena, const struct meter *meter)
{
    static const char name[] = "spinel_operation_duration_seconds";
    family_in(out, name, "histogram", "seconds",
              "Operations that ended, by verb and outcome: from sent until read back.");
    for (size_t v = 0; v < METER_VERBS; v++)
        for (size_t o = 0; o < METER_OUTCOMES; o++)
            if (!is_empty(&meter->operations[v][o]))
                histogram_write(out, name,
                                arena_printf(arena, "verb=\"%s\",outcome=\"%s\",", meter_verbs[v],
                                             meter_outcomes[o]),
                                &meter->operations[v][o]);
}

static void durations_write(struct text *out, const struct meter *meter)
{
    const struct {
        const char *name, *help;
        const struct histogram *histogram;
    } rows[] = {
        {"spinel_observe_duration_seconds", "Looks at the world.", &meter->looks},
        {"spinel_plan_duration_seconds", "Plans that the daemon made.", &meter->plans},
        {"spinel_store_commit_duration_seconds", "Durable commits of the store.", &meter->commits},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        family_in(out, rows[i].name, "histogram", "seconds", rows[i].help);
        histogram_write(out, rows[i].name, "", rows[i].histogram);
    }
}

static void counters_write(struct text *out, const struct meter *meter)
{
    const struct {
        const char *name, *help;
        const uint64_t *count;
    } rows[] = {
        {"spinel_core_starts", "Times that the core was started.", &meter->core_starts},
        {"spinel_events", "Events on record.", &meter->events},
        {"spinel_drift_found", "Times that a field was found to differ.", &meter->drift_found},
        {"spinel_drift_healed", "Times that a field was as Git says again.", &meter->drift_healed},
        {"spinel_drift_contested", "Fields given up for a while, being set back again and again.",
         &meter->contested},
        {"spinel_revisions_accepted", "Commits that became the target.",
         &meter->revisions_accepted},
        {"spinel_revisions_refused", "Commits that did not.", &meter->revisions_refused},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        family(out, rows[i].name, "counter", rows[i].help);
        text_printf(out, "%s_total %llu\n", rows[i].name, (unsigned long long)seen(rows[i].count));
    }
}

static void drivers_write(struct text *out, const struct meter *meter)
{
    family(out, "spinel_driver_restarts", "counter", "Starts of a driver after its first.");
    for (size_t i = 0; i < METER_DRIVERS && meter->drivers[i].name[0]; i++) {
        uint64_t starts = seen(&meter->drivers[i].starts);
        text_printf(out, "spinel_driver_restarts_total{driver=\"%s\"} %llu\n",
                    meter->drivers[i].name, (unsigned long long)(starts ? starts - 1 : 0));
    }
}

static void gauges_write(struct text *out, const struct meter *meter)
{
    const struct {
        const char *state;
        const int64_t *value;
    } rows[] = {
        {"queued", &meter->queued}, {"under_way", &meter->under_way}, {"blocked", &meter->blocked}};
    family(out, "spinel_operations", "gauge", "Operations that have not ended, by state.");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        text_printf(out, "spinel_operations{state=\"%s\"} %lld\n", rows[i].state,
                    (long long)__atomic_load_n(rows[i].value, __ATOMIC_RELAXED));
    family_in(out, "spinel_pass_timestamp_seconds", "gauge", "seconds",
              "When the daemon last looked and planned; 0 before the first time.");
    text_printf(out, "spinel_pass_timestamp_seconds %lld\n",
                (long long)__atomic_load_n(&meter->looked_at, __ATOMIC_RELAXED));
}

static void build_write(struct text *out)
{
    family(out, "spinel_build", "info", "The program that answers.");
    text_printf(out, "spinel_build_info{version=\"%s\",kinds=\"%.16s\"} 1\n", SPINEL_VERSION,
                kinds_digest());
}

void metrics_write(struct asked *asked, struct answer *answer)
{
    struct error err = ERROR_INIT;
    struct text *out = &answer->body;
    const struct meter *meter = asked->web->meter;
    const struct value *status = view_status(asked->web->view, asked->arena, &err);
    struct open_drift drift = {0};
    struct revision good = {0};
    if (!status || view_open_drift(asked->web->view, asked->arena, &drift, &err) < 0 ||
        view_good(asked->web->view, asked->arena, &good, &err) < 0) {
        answer_problem(answer, asked->arena, MHD_HTTP_SERVICE_UNAVAILABLE, err.message);
        return;
    }
    build_write(out);
    resources_write(out, status);
    drift_write(out, &drift);
    revision_write(out, status, &good);
    if (meter) {
        gauges_write(out, meter);
        operations_write(out, asked->arena, meter);
        durations_write(out, meter);
        counters_write(out, meter);
        drivers_write(out, meter);
    }
    text_add(out, "# EOF\n");
    answer->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}
