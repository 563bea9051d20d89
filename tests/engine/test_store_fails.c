/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Each call of the core to its store fails, once, at each of its turns in a history with
 * drift, holds and approvals. Then nothing more is sent, the core says that it has failed
 * and why, and the next one, whose store works again, makes the rack as declared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

static struct {
    const char *call; /* the one that fails; NULL: none */
    unsigned nth, seen;
    bool has_struck;
    unsigned sent_after; /* messages to drivers since then */
    void (*send)(void *context, const char *driver, const struct value *message);
} plan_of_failure;

static bool strikes(const char *call, struct error *err)
{
    if (!plan_of_failure.call || strcmp(call, plan_of_failure.call) != 0 ||
        ++plan_of_failure.seen != plan_of_failure.nth)
        return false;
    plan_of_failure.has_struck = true;
    error_set(err, ERR_SYSTEM, "the store fails in %s", call);
    return true;
}

static void send_counted(void *context, const char *driver, const struct value *message)
{
    plan_of_failure.sent_after += plan_of_failure.has_struck;
    plan_of_failure.send(context, driver, message);
}

/* clang-format off */
#define EACH_CALL(X) \
    X(begin, (struct store *s, struct error *err), (s, err)) \
    X(commit, (struct store *s, struct error *err), (s, err)) \
    X(revision_add, (struct store *s, const struct revision *r, int64_t *id, struct error *err), (s, r, id, err)) \
    X(revision_state, (struct store *s, int64_t id, const char *state, int64_t at, struct error *err), (s, id, state, at, err)) \
    X(objects, (struct store *s, struct arena *a, struct known **o, size_t *n, struct error *err), (s, a, o, n, err)) \
    X(object_put, (struct store *s, const struct known *k, struct error *err), (s, k, err)) \
    X(observation_put, (struct store *s, const char *uid, const struct observation *o, const char *etag, struct error *err), (s, uid, o, etag, err)) \
    X(etags_drop, (struct store *s, struct error *err), (s, err)) \
    X(observed_at, (struct store *s, int64_t *at, struct error *err), (s, at, err)) \
    X(incarnations, (struct store *s, const char *kind, const char *project, const char *name, uint64_t *n, struct error *err), (s, kind, project, name, n, err)) \
    X(intent_put, (struct store *s, const struct intent *i, struct error *err), (s, i, err)) \
    X(intents_open, (struct store *s, struct arena *a, struct intent **o, size_t *n, struct error *err), (s, a, o, n, err)) \
    X(destroyed_since, (struct store *s, struct arena *a, int64_t since, struct loss **l, size_t *n, struct error *err), (s, a, since, l, n, err)) \
    X(left_since, (struct store *s, int64_t since, int64_t *n, struct error *err), (s, since, n, err)) \
    X(leavings_forget, (struct store *s, struct error *err), (s, err)) \
    X(plan_put, (struct store *s, const char *h, const char *c, int64_t at, const struct value *d, struct error *err), (s, h, c, at, d, err)) \
    X(hold_put, (struct store *s, const char *id, const char *rule, const char *why, int64_t at, struct error *err), (s, id, rule, why, at, err)) \
    X(hold_drop, (struct store *s, const char *id, struct error *err), (s, id, err)) \
    X(holds, (struct store *s, struct arena *a, struct value **l, struct error *err), (s, a, l, err)) \
    X(freezes, (struct store *s, struct arena *a, struct freeze **o, size_t *n, struct error *err), (s, a, o, n, err)) \
    X(event_add, (struct store *s, const struct event *e, int64_t *seq, struct error *err), (s, e, seq, err)) \
    X(drift_seen, (struct store *s, const struct drift_row *r, struct error *err), (s, r, err)) \
    X(drift_healed, (struct store *s, const char *uid, const char *path, int64_t at, const char *by, struct error *err), (s, uid, path, at, by, err)) \
    X(drifts, (struct store *s, struct arena *a, int64_t since, struct drift_row **o, size_t *n, struct error *err), (s, a, since, o, n, err)) \
    X(fact_put, (struct store *s, const char *key, const char *text, struct error *err), (s, key, text, err)) \
    X(fact_get, (struct store *s, struct arena *a, const char *key, const char **text, struct error *err), (s, a, key, text, err))

#define DEFINE(name, params, args) \
    static int failing_##name params { return strikes(#name, err) ? err->code : ledger_store.name args; }
EACH_CALL(DEFINE)
/* clang-format on */

#define NAME(name, params, args) #name,
static const char *const calls[] = {EACH_CALL(NAME)};

static struct rack *rack_with_failures(void)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT VOLUME("db", "1GiB") VPC("net") VOLUME("old", "1GiB");
    rack->commits[2] = POOL PROJECT VOLUME("db", "2GiB") VPC("net") VPC("more");
    rack->commits[3] = POOL;
    rack->commits[4] = POOL PROJECT VOLUME("db", "2GiB") VPC("net");
#define BIND(name, params, args) rack->ledger.name = failing_##name;
    EACH_CALL(BIND)
    rack->config.made_by = "a test"; /* so that a settled plan is recorded */
    rack->etags = "v1";
    plan_of_failure.send = rack->env.driver_send;
    rack->env.driver_send = send_counted;
    return rack;
}

static void all_approved(struct rack *rack)
{
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    struct value *holds = NULL;
    if (store_holds(rack->store, arena, &holds, &err) == 0)
        for (size_t i = 0; i < holds->count; i++)
            (void)store_hold_approve(rack->store, value_get_text(holds->items[i], "id", ""), "ann",
                                     1, &err);
    arena_free(arena);
    core_policy_changed(rack->core);
}

static bool target(struct rack *rack, const char *commit)
{
    struct error err = ERROR_INIT;
    return core_target(rack->core, commit, "ann", NULL, NULL, &err) == 0 && rack_run(rack, 120000);
}

/* Makes, changes, loses and heals, is asked for too much, is approved, and refuses. */
static void history(struct rack *rack)
{
    struct error err = ERROR_INIT;
    const struct refusal refusal = {.commit = "0123456789012345678901234567890123456789",
                                    .who = "bob",
                                    .why = "it is not valid"};
    rack_boot(rack, "1");
    plan_of_failure.seen = 0;
    if (!rack_run(rack, 120000) || !target(rack, "2"))
        return;
    struct rack_object *net = rack_object(rack, "VPC", "net");
    net->exists = false;
    rack_notice(rack, "net", net->uid, "somebody deleted it");
    if (!rack_run(rack, 120000) || core_refused(rack->core, &refusal, &err) < 0 ||
        !target(rack, "3"))
        return;
    all_approved(rack);
    if (rack_run(rack, 120000))
        (void)target(rack, "4");
}

/* True if the call was made often enough to fail. */
static bool failure_tried(const char *call, unsigned nth)
{
    struct rack *rack = rack_with_failures();
    struct error err = ERROR_INIT;
    plan_of_failure.has_struck = false;
    plan_of_failure.call = call;
    plan_of_failure.nth = nth;
    plan_of_failure.sent_after = 0;
    plan_of_failure.seen = 1000000; /* not while it boots */
    history(rack);
    bool has_struck = plan_of_failure.has_struck;
    plan_of_failure.call = NULL;
    if (has_struck) {
        core_pump(rack->core);
        if (!core_has_failed(rack->core, &err) || !strstr(err.message, "the store fails in"))
            fail_msg("%s %u failed, and the core says: %s", call, nth, err.message);
        if (plan_of_failure.sent_after > 0)
            fail_msg("%s %u failed, and %u messages were sent after it", call, nth,
                     plan_of_failure.sent_after);
    }
    plan_of_failure.has_struck = false;
    rack_boot(rack, "4");
    if (!rack_run(rack, 600000) || !core_is_converged(rack->core)) {
        all_approved(rack); /* what was held before the failure still is */
        assert_true(rack_run(rack, 600000));
    }
    if (!core_is_converged(rack->core) || rack_count(rack, "Volume", "db") != 1 ||
        rack_count(rack, "VPC", "net") != 1)
        fail_msg("%s %u failed, and the next core does not converge", call, nth);
    rack_free(rack);
    return has_struck;
}

static void no_failure_of_the_store_is_survived_in_silence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        unsigned nth = 1;
        for (unsigned step = 1; failure_tried(calls[i], nth); step += step / 4 + 1)
            nth += step;
        print_message("# %s: called fewer than %u times\n", calls[i], nth);
        if (nth == 1)
            fail_msg("%s was never called", calls[i]);
    }
}

/* With none, so that the history is one that comes to its end. */
static void without_a_failure_it_converges(void **state)
{
    (void)state;
    struct rack *rack = rack_with_failures();
    plan_of_failure.call = NULL;
    plan_of_failure.nth = 0;
    plan_of_failure.has_struck = false;
    history(rack);
    assert_false(core_has_failed(rack->core, NULL));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack_count(rack, "VPC", "more"), 0);
    rack_free(rack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_failure_it_converges),
        cmocka_unit_test(no_failure_of_the_store_is_survived_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
