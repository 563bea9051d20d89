/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/engine/probes.h"

#include <string.h>
#include <sys/sdt.h>

#ifdef __clang__ /* the header's macros leave out an argument that ISO C wants */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

static void op_end(const struct event *event)
{
    const char *op = value_get_text(event->data, "op", "");
    const char *verb = value_get_text(event->data, "verb", "");
    int64_t ms = value_get_int(event->data, "ms", 0);
    DTRACE_PROBE5(spinel, op_end, op, event->uid, verb, event->type, ms);
}

static void op_start(const struct event *event)
{
    const char *op = value_get_text(event->data, "op", "");
    const char *verb = value_get_text(event->data, "verb", "");
    DTRACE_PROBE3(spinel, op_start, op, event->uid, verb);
}

static void plan(const struct event *event)
{
    const char *hash = value_get_text(event->data, "hash", "");
    int64_t run = value_at_int(event->data, "summary.run", 0);
    int64_t ms = value_get_int(event->data, "ms", 0);
    DTRACE_PROBE3(spinel, plan, hash, run, ms);
}

static void push(const struct event *event)
{
    const char *commit = value_get_text(event->data, "commit", "");
    const char *who = value_get_text(event->data, "who", "");
    int64_t ms = value_get_int(event->data, "checkMs", 0);
    DTRACE_PROBE3(spinel, push, commit, who, ms);
}

void probes_event(const struct event *event)
{
    static const struct {
        const char *type;
        void (*fire)(const struct event *event);
    } probes[] = {
        {"push.received", push},  {"plan.made", plan},   {"op.started", op_start},
        {"op.confirmed", op_end}, {"op.failed", op_end},
    };
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        if (strcmp(event->type, probes[i].type) == 0)
            probes[i].fire(event);
}

void probes_pass(const struct pass *pass)
{
    if (!pass->has_looked)
        return;
    int64_t ms = pass->look_ms, objects = pass->objects;
    int full = pass->is_full;
    DTRACE_PROBE4(spinel, observe, pass->detected_by, full, ms, objects);
}
