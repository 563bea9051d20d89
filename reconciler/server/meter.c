/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/server/meter.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MS INT64_C(1000000)

const int64_t meter_bounds_ns[METER_BUCKETS] = {
    MS / 10,  MS / 2,    MS,        5 * MS,     10 * MS,    50 * MS,    100 * MS,
    500 * MS, 1000 * MS, 5000 * MS, 10000 * MS, 30000 * MS, 60000 * MS, 300000 * MS,
};
const char *const meter_bounds_text[METER_BUCKETS] = {
    "0.0001", "0.0005", "0.001", "0.005", "0.01", "0.05", "0.1",
    "0.5",    "1.0",    "5.0",   "10.0",  "30.0", "60.0", "300.0",
};
const char *const meter_verbs[METER_VERBS] = {"create", "update", "restart", "replace",
                                              "delete", "adopt",  "release", "other"};
const char *const meter_outcomes[METER_OUTCOMES] = {"confirmed", "failed"};

int meter_map(struct meter **out, struct error *err)
{
    void *page =
        mmap(NULL, sizeof(struct meter), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return error_sys(err, "cannot map the page of counters");
    *out = page;
    return 0;
}

static void count_add(uint64_t *count, uint64_t more)
{
    __atomic_fetch_add(count, more, __ATOMIC_RELAXED);
}

void meter_add(struct histogram *histogram, int64_t ns)
{
    size_t i = 0;
    ns = ns < 0 ? 0 : ns;
    while (i < METER_BUCKETS && ns > meter_bounds_ns[i])
        i++;
    count_add(&histogram->sum_ns, (uint64_t)ns);
    count_add(&histogram->counts[i], 1);
}

static void operation_add(struct meter *meter, const struct value *data, size_t outcome)
{
    const char *verb = value_get_text(data, "verb", "");
    size_t i = 0;
    while (i < METER_VERBS - 1 && strcmp(meter_verbs[i], verb) != 0)
        i++;
    meter_add(&meter->operations[i][outcome], value_get_int(data, "ms", 0) * MS);
}

static void driver_add(struct meter *meter, const struct value *data)
{
    const char *name = value_get_text(data, "driver", "");
    for (size_t i = 0; *name && i < METER_DRIVERS; i++) {
        if (!meter->drivers[i].name[0])
            snprintf(meter->drivers[i].name, METER_NAME, "%s", name);
        if (strncmp(meter->drivers[i].name, name, METER_NAME - 1) == 0) {
            count_add(&meter->drivers[i].starts, 1);
            return;
        }
    }
}

void meter_event(struct meter *meter, const struct event *event)
{
    const struct {
        const char *type;
        uint64_t *count;
    } counters[] = {
        {"daemon.started", &meter->core_starts},
        {"drift.found", &meter->drift_found},
        {"drift.healed", &meter->drift_healed},
        {"drift.contested", &meter->contested},
        {"revision.accepted", &meter->revisions_accepted},
        {"revision.refused", &meter->revisions_refused},
    };
    count_add(&meter->events, 1);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (strcmp(event->type, counters[i].type) == 0)
            count_add(counters[i].count, 1);
    if (strcmp(event->type, "op.confirmed") == 0)
        operation_add(meter, event->data, 0);
    else if (strcmp(event->type, "op.failed") == 0)
        operation_add(meter, event->data, 1);
    else if (strcmp(event->type, "driver.started") == 0)
        driver_add(meter, event->data);
}

void meter_pass(struct meter *meter, const struct pass *pass, int64_t now)
{
    if (pass->has_looked)
        meter_add(&meter->looks, pass->look_ms * MS);
    meter_add(&meter->plans, pass->plan_ms * MS);
    __atomic_store_n(&meter->looked_at, now, __ATOMIC_RELAXED);
}
