/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What becomes of a difference. The kind's table says the class; what the running
 * thing was booted with, and the instance's policies, weaken or defer it. A live
 * change is never turned into a restart, and nothing is replaced that did not
 * opt in.
 */
#include <string.h>
#include <time.h>

#include "model/invariant.h"
#include "reconciler/plan/fields.h"
#include "reconciler/plan/policy.h"

enum { DAY_S = 86400 };

static bool is_kind(const struct subject *subject, const char *name)
{
    return strcmp(subject->kind->name, name) == 0;
}

/* The spec whose policies count: the Instance's own, or that of a NIC's or Seed's. */
static const struct value *policies(const struct subject *subject)
{
    return subject->owner ? subject->owner->spec : subject->spec;
}

static void verdict(struct plan_field *field, enum change change, enum disposition disposition,
                    const char *reason)
{
    invariant(change >= CHANGE_LIVE && change <= CHANGE_REFUSE, "%s has class %d", field->path,
              change);
    invariant(disposition == RUN || (reason && reason[0]), "%s is %s without a reason", field->path,
              disposition_text(disposition));
    field->change = change;
    field->disposition = disposition;
    field->reason = reason;
}

/* ---- time --------------------------------------------------------------------------- */

const char *time_words(struct arena *arena, int64_t at)
{
    char text[32];
    time_t seconds = (time_t)at;
    struct tm parts;

    if (!gmtime_r(&seconds, &parts)) /* beyond what a calendar holds */
        return "later";
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    return arena_text(arena, text);
}

static int64_t clock_seconds(const char *text)
{
    invariant(strlen(text) == 5 && text[2] == ':', "'%s' is no time of the day", text);
    return ((text[0] - '0') * 10 + (text[1] - '0')) * 3600 +
           ((text[3] - '0') * 10 + (text[4] - '0')) * 60;
}

/* Whether the daily window is open; if not, when it opens next. */
static bool window_is_open(const struct value *spec, int64_t now, int64_t *opens)
{
    const char *start = value_at_text(spec, "updatePolicy.window.start", "02:00");
    int64_t duration = value_at_int(spec, "updatePolicy.window.duration", 7200);
    int64_t since = (now % DAY_S - clock_seconds(start) + DAY_S) % DAY_S;

    *opens = now - since + DAY_S;
    return since < duration;
}

/* ---- restart ------------------------------------------------------------------------ */

static void judge_window(const struct states *states, struct plan_field *field)
{
    int64_t opens;

    if (window_is_open(policies(states->subject), states->match->input->now, &opens))
        verdict(field, CHANGE_RESTART, RUN, "the window is open");
    else
        verdict(field, CHANGE_RESTART, DEFERRED,
                arena_printf(states->arena, "waits for the window, which opens %s",
                             time_words(states->arena, opens)));
}

static void judge_running_restart(const struct states *states, struct plan_field *field)
{
    const char *when =
        value_at_text(policies(states->subject), "updatePolicy.restart", "onNextStop");

    if (strcmp(when, "window") == 0)
        judge_window(states, field);
    else if (strcmp(when, "immediate") == 0)
        verdict(field, CHANGE_RESTART, RUN, "updatePolicy.restart is immediate");
    else if (strcmp(when, "never") == 0)
        verdict(field, CHANGE_RESTART, REPORTED,
                "needs a restart, and updatePolicy.restart is never");
    else
        verdict(field, CHANGE_RESTART, DEFERRED, "waits until the machine stops by itself");
}

static void judge_restart(const struct states *states, struct plan_field *field)
{
    const char *why = field->reason;

    if (!states->is_running) {
        verdict(field, CHANGE_LIVE, RUN,
                is_kind(states->subject, "Instance") ? "takes effect at the next start" : NULL);
        return;
    }
    judge_running_restart(states, field);
    if (why)
        field->reason = arena_printf(states->arena, "%s; %s", why, field->reason);
}

/* ---- live, if ----------------------------------------------------------------------- */

static bool is_number(const struct value *value)
{
    return value && value->type == VALUE_INT;
}

static const struct value *booted_bound(const struct states *states, const struct plan_field *field)
{
    const struct value *bound = spec_at(states->booted, field->field->at_most);

    return bound ? bound : spec_at(states->booted, field->path);
}

static void judge_above(const struct states *states, struct plan_field *field)
{
    const struct value *bound = booted_bound(states, field);
    const char *reserved;

    if (!is_number(bound)) /* it is not told how it was started */
        return;
    invariant(is_number(field->to), "%s is bounded at boot, and becomes what is no number",
              field->path);
    reserved = diff_value_text(states->arena, field->field, bound);
    if (field->to->integer <= bound->integer) {
        field->reason = arena_printf(states->arena, "%s reserved at boot", reserved);
        return;
    }
    field->reason = arena_printf(states->arena, "%s > %s reserved at boot",
                                 diff_value_text(states->arena, field->field, field->to), reserved);
    field->means = NULL;
    judge_restart(states, field);
}

/* Below what the driver says that can be had of what runs: true if so. */
static bool judge_below(const struct states *states, struct plan_field *field)
{
    const struct value *bounds = value_get(states->subject->known->observed.status, "bounds");
    const struct value *bound = value_get(bounds, field->path);
    const struct value *least = value_get(bound, "atLeast");

    if (!is_number(least) || field->to->integer >= least->integer)
        return false;
    field->reason = value_get_text(bound, "reason", "the driver cannot take so much from it");
    field->means = NULL;
    judge_restart(states, field);
    return true;
}

static void judge_live_if(const struct states *states, struct plan_field *field)
{
    field->change = CHANGE_LIVE;
    field->disposition = RUN;
    if (states->is_running && field->field->at_most && !judge_below(states, field))
        judge_above(states, field);
}

/* ---- replace, refuse, live ---------------------------------------------------------- */

bool subject_may_be_replaced(const struct subject *subject)
{
    return is_kind(subject, "Instance") &&
           strcmp(value_at_text(subject->spec, "updatePolicy.replace", "never"), "allowed") == 0;
}

static void judge_replace(const struct states *states, struct plan_field *field)
{
    const struct subject *subject = states->subject;

    if (subject->kind->holds_data)
        verdict(field, CHANGE_REFUSE, REPORTED,
                "would lose the data; declare one under another name and copy it over");
    else if (!is_kind(subject, "Instance"))
        verdict(field, CHANGE_REFUSE, REPORTED,
                "needs a new object; declare it under another name");
    else if (subject_may_be_replaced(subject))
        verdict(field, CHANGE_REPLACE, RUN, "updatePolicy.replace is allowed");
    else
        verdict(field, CHANGE_REPLACE, REPORTED,
                "needs a new machine, and updatePolicy.replace is never");
}

static void judge_refuse(const struct states *states, struct plan_field *field)
{
    (void)states;
    verdict(field, CHANGE_REFUSE, REPORTED, "cannot be changed; declare it under another name");
}

static bool shrinks(const struct plan_field *field)
{
    return field->field && field->field->grows_only && is_number(field->from) &&
           field->to->integer < field->from->integer;
}

static void judge_live(const struct states *states, struct plan_field *field)
{
    (void)states;
    invariant(!field->field || !field->field->grows_only || is_number(field->to),
              "%s may only grow, and becomes what is no number", field->path);
    if (shrinks(field))
        verdict(field, CHANGE_REFUSE, REPORTED, "volumes never shrink");
    else
        field->disposition = RUN;
}

/* ---- power -------------------------------------------------------------------------- */

/* QEMU's SHUTDOWN reasons: only these two are a guest's own, orderly doing. A stop
 * that nobody recorded (the host went down) is a failure. */
static bool stopped_in_order(const char *reason)
{
    return strcmp(reason, "guest-shutdown") == 0 || strcmp(reason, "guest-reset") == 0;
}

static void judge_restart_policy(const struct states *states, struct plan_field *field)
{
    const struct known *known = states->subject->known;
    const char *mode = value_at_text(states->subject->spec, "restartPolicy.mode", "always");
    const char *exit = value_at_text(known->observed.status, "exit.reason", "");
    const char *stop = stopped_in_order(exit) ? "the guest shut itself down"
                       : *exit                ? arena_printf(states->arena, "it stopped (%s)", exit)
                                              : "it stopped";

    if (strcmp(mode, "never") == 0 || (strcmp(mode, "onFailure") == 0 && stopped_in_order(exit)))
        verdict(field, CHANGE_LIVE, REPORTED,
                arena_printf(states->arena, "%s, and restartPolicy is %s", stop, mode));
    else if (known->next_start > states->match->input->now)
        verdict(field, CHANGE_LIVE, DEFERRED,
                arena_printf(states->arena, "%s; starts again at %s (stopped %u times in a row)",
                             stop, time_words(states->arena, known->next_start),
                             known->start_failures));
    else
        verdict(field, CHANGE_LIVE, RUN,
                arena_printf(states->arena, "%s; restartPolicy starts it", stop));
}

static bool is_power(const struct states *states, const struct plan_field *field)
{
    return is_kind(states->subject, "Instance") && strcmp(field->path, "spec.power") == 0 &&
           value_is_text(field->to); /* a driver may report anything as damage */
}

static bool turns(const struct plan_field *field, const char *to)
{
    invariant(value_is_text(field->to), "%s turns to what is no text", field->path);
    return strcmp(field->to->text, to) == 0;
}

static void judge_power(const struct states *states, struct plan_field *field)
{
    field->disposition = RUN;
    field->means = turns(field, "on") ? "start" : "shut down, then ended at the deadline";
    if (field->cause == CAUSE_DRIFT && turns(field, "on"))
        judge_restart_policy(states, field);
}

/* ---- one field ---------------------------------------------------------------------- */

static bool means_the_same(const struct states *states, const struct field *field,
                           const struct value *from, const struct value *to);

static bool names_the_same(const struct states *states, const char *kind, const char *from,
                           const char *to)
{
    const char *project = states->subject->project;
    const struct subject *before = match_resolve(states->match, kind, project, from);

    return before && before == match_wanted(states->match, kind, project, to);
}

static bool maps_mean_the_same(const struct states *states, const struct field *field,
                               const struct value *from, const struct value *to)
{
    bool is_same = from->pair_count == to->pair_count;

    for (size_t i = 0; is_same && i < from->pair_count; i++)
        is_same = means_the_same(states, field_child(field, from->pairs[i].key),
                                 from->pairs[i].value, value_get(to, from->pairs[i].key));
    return is_same;
}

static bool lists_mean_the_same(const struct states *states, const struct field *field,
                                const struct value *from, const struct value *to)
{
    bool is_same = from->count == to->count;

    for (size_t i = 0; is_same && i < from->count; i++)
        is_same = means_the_same(states, field->item, from->items[i], to->items[i]);
    return is_same;
}

static bool means_the_same(const struct states *states, const struct field *field,
                           const struct value *from, const struct value *to)
{
    if (!field || !to || from->type != to->type)
        return false;
    if (value_is_map(to))
        return maps_mean_the_same(states, field, from, to);
    if (value_is_list(to))
        return lists_mean_the_same(states, field, from, to);
    invariant(!field->ref || value_is_text(to), "%s is to name a %s otherwise than by text",
              states->subject->name, field->ref);
    return field->ref ? names_the_same(states, field->ref, from->text, to->text)
                      : value_equal(from, to);
}

bool field_leads_to_same(const struct states *states, const struct plan_field *field)
{
    const struct subject *owner = states->subject->owner;

    if (owner && strcmp(field->path, "spec.instance") == 0 && value_is_text(field->from) &&
        value_is_text(field->to))
        return names_the_same(states, owner->kind->name, field->from->text, field->to->text);
    return field->from && means_the_same(states, field->field, field->from, field->to);
}

static bool is_frozen_seed(const struct states *states, const struct plan_field *field)
{
    const struct subject *subject = states->subject;

    return is_kind(subject, "Seed") && states->is_confirmed && field->cause == CAUSE_PENDING &&
           strcmp(value_at_text(subject->owner->spec, "cloudInit.instanceIdPolicy", "frozen"),
                  "frozen") == 0;
}

static void judge_contest(const struct states *states, struct plan_field *field)
{
    const struct contest *contest;

    if (field->disposition != RUN || field->cause != CAUSE_DRIFT)
        return;
    invariant(states->subject->uid, "%s is judged before it has a uid", states->subject->name);
    contest = match_contest(states->match, states->subject->uid, field->path);
    if (!contest || contest->next_try <= states->match->input->now)
        return;
    verdict(field, field->change, CONTESTED,
            arena_printf(states->arena,
                         strncmp(field->path, "status.", 7) == 0
                             ? "came back %u times; next try %s"
                             : "set back %u times by someone else; next try %s",
                         contest->count, time_words(states->arena, contest->next_try)));
}

/* "spec.disks[root].mode" is under "spec.disks[root]" and "spec.disks". */
static bool is_under(const char *path, const char *above, size_t len)
{
    return strncmp(path, above, len) == 0 &&
           (path[len] == '\0' || path[len] == '.' || path[len] == '[');
}

enum disposition drift_disposition(const struct resource *resource, const char *path)
{
    const struct value *policy = resource->drift_policy;
    const char *word = value_get_text(policy, "default", "heal");
    size_t longest = 0;

    for (size_t i = 0; i < policy->pair_count; i++) {
        size_t len = strlen(policy->pairs[i].key);

        if (len <= longest || !is_under(path, policy->pairs[i].key, len))
            continue;
        longest = len;
        word = policy->pairs[i].value->text;
    }
    return strcmp(word, "ignore") == 0 ? IGNORED : strcmp(word, "report") == 0 ? REPORTED : RUN;
}

/* Last, so that a manifest can only weaken what would be done. */
static void judge_drift_policy(const struct states *states, struct plan_field *field)
{
    enum disposition wanted = drift_disposition(states->subject->resource, field->path);

    if (field->cause != CAUSE_DRIFT || wanted == RUN)
        return;
    verdict(field, field->change, wanted,
            wanted == IGNORED ? "driftPolicy is ignore" : "driftPolicy is report");
}

void field_judge(const struct states *states, struct plan_field *field)
{
    static void (*const by_class[])(const struct states *, struct plan_field *) = {
        [CHANGE_LIVE] = judge_live,       [CHANGE_LIVE_IF] = judge_live_if,
        [CHANGE_RESTART] = judge_restart, [CHANGE_REPLACE] = judge_replace,
        [CHANGE_METADATA] = judge_live,   [CHANGE_REFUSE] = judge_refuse,
    };

    invariant(field->path && field->path[0], "%s: a field without a path", states->subject->name);
    invariant(field->change >= CHANGE_LIVE && field->change <= CHANGE_REFUSE, "%s has class %d",
              field->path, field->change);
    invariant(states->subject->resource, "%s: %s of what left Git is judged", states->subject->name,
              field->path);
    if (field_leads_to_same(states, field))
        verdict(field, CHANGE_METADATA, RUN, "the same object under its new name");
    else if (is_frozen_seed(states, field))
        verdict(field, field->change, REPORTED,
                "kept as it was at the first boot; instanceIdPolicy bump applies it");
    else if (is_power(states, field))
        judge_power(states, field);
    else
        by_class[field->change](states, field);
    judge_contest(states, field);
    judge_drift_policy(states, field);
    invariant(field->disposition >= RUN && field->disposition <= FROZEN &&
                  field->disposition != HELD && field->disposition != FROZEN,
              "%s: %s is judged %d", states->subject->name, field->path, field->disposition);
}

/* ---- one field's verdict for the others --------------------------------------------- */

static struct plan_field *find_power(const struct states *states, struct field_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_power(states, &list->items[i]))
            return &list->items[i];
    return NULL;
}

static bool is_of_spec(const struct plan_field *field)
{
    return strncmp(field->path, "spec.", 5) == 0;
}

/* The machine stops in this very step: what needed a restart is there at its next start. */
static void settle_stop(struct field_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].change == CHANGE_RESTART)
            verdict(&list->items[i], CHANGE_LIVE, RUN, "takes effect at the next start");
}

/* A machine that is to run and may not start yet: the rest comes with its start. */
static void settle_waiting_start(struct field_list *list, const struct plan_field *power)
{
    for (size_t i = 0; i < list->count; i++) {
        struct plan_field *field = &list->items[i];

        if (field != power && field->disposition == RUN && is_of_spec(field) &&
            field->change != CHANGE_METADATA)
            verdict(field, field->change, DEFERRED, "comes with the next start");
    }
}

/* Content that is kept back cannot be told from its digest: nothing else of the object
 * is rewritten meanwhile. */
static void settle_secret(struct field_list *list)
{
    const struct plan_field *kept = NULL;

    for (size_t i = 0; i < list->count && !kept; i++)
        if (list->items[i].field && list->items[i].field->is_sensitive &&
            list->items[i].disposition != RUN)
            kept = &list->items[i];
    for (size_t i = 0; kept && i < list->count; i++)
        if (list->items[i].disposition == RUN && list->items[i].change != CHANGE_METADATA)
            verdict(&list->items[i], list->items[i].change, kept->disposition, kept->reason);
}

/* A prefix is never changed, and the router's address is one of that which it was declared with. */
static void settle_prefix(const struct states *states, struct field_list *list)
{
    const struct plan_field *cidr = NULL;

    for (size_t i = 0; is_kind(states->subject, "Subnet") && i < list->count; i++)
        if (strcmp(list->items[i].path, "spec.cidr") == 0)
            cidr = &list->items[i];
    for (size_t i = 0; cidr && i < list->count; i++)
        if (strcmp(list->items[i].path, "spec.gateway") == 0)
            verdict(&list->items[i], cidr->change, cidr->disposition, "goes with the cidr");
}

/* A new machine is made as the manifest says, all of it. */
static void settle_replace(struct field_list *list)
{
    bool is_replaced = false;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].change == CHANGE_REPLACE && list->items[i].disposition == RUN)
            is_replaced = true;
    for (size_t i = 0; is_replaced && i < list->count; i++)
        list->items[i].disposition = RUN;
}

void fields_settle(const struct states *states, struct field_list *list)
{
    const struct plan_field *power = find_power(states, list);

    if (power && power->disposition == RUN && turns(power, "off"))
        settle_stop(list);
    if (power && power->disposition != RUN && turns(power, "on"))
        settle_waiting_start(list, power);
    settle_secret(list);
    settle_prefix(states, list);
    settle_replace(list);
}
