/* SPDX-License-Identifier: MPL-2.0 */
/* A plan that breaks what each plan keeps ends the process: each way of breaking it. */
#include "tests/plan/world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reconciler/plan/check.h"

#define I(name) INSTANCE(name, "cpus: 1, memory: 256MiB")
#define SEVEN PROJECT I("a") I("b") I("c") I("d") I("e") I("f") VOLUME("v", "size: 1GiB")

/* b's memory changes, five leave (two more than may without approval), v is released. */
static void world_busy(struct world *w)
{
    world_converge(w, SEVEN);
    world_declare(w, PROJECT I("a") INSTANCE("b", "cpus: 1, memory: 512MiB") I("g") I("h"));
    world_plan(w);
}

static struct step *step(struct world *w, const char *kind, const char *name)
{
    const struct step *found = world_step(w, kind, name);

    assert_non_null(found);
    return (struct step *)(size_t)found;
}

static struct plan *plan(struct world *w)
{
    return (struct plan *)(size_t)w->plan;
}

static void nothing(struct world *w)
{
    (void)w;
}

static void what_is_held_runs(struct world *w)
{
    step(w, "Instance", "c")->disposition = RUN;
}

static void a_hold_is_made_up(struct world *w)
{
    step(w, "Instance", "c")->hold = "hold-0";
}

static void a_hold_is_forgotten(struct world *w)
{
    step(w, "Instance", "c")->hold = NULL;
}

static void all_that_is_held_runs_without_a_hold(struct world *w)
{
    for (size_t i = 0; i < w->plan->step_count; i++) {
        struct step *each = &plan(w)->steps[i];

        if (each->disposition != HELD)
            continue;
        each->disposition = RUN;
        each->hold = NULL;
    }
}

static void data_are_deleted(struct world *w)
{
    struct step *volume = step(w, "Volume", "v");

    volume->action = ACTION_DELETE;
    volume->disposition = RUN;
    volume->hold = NULL;
}

static void a_protected_one_is_deleted(struct world *w)
{
    struct step *machine = step(w, "Instance", "c");

    world_row(w, "Instance", "c")->protect = true;
    machine->disposition = RUN;
    machine->hold = NULL;
}

static void a_foreign_one_is_changed(struct world *w)
{
    world_row(w, "Instance", "b")->observed.status = json(w, "{\"foreign\":true}");
    step(w, "Instance", "b")->disposition = RUN;
}

static void an_unseen_one_is_changed(struct world *w)
{
    world_row(w, "Instance", "b")->observed.known = false;
    step(w, "Instance", "b")->disposition = RUN;
}

static void one_waits_for_itself(struct world *w)
{
    struct step *machine = step(w, "Instance", "g");

    machine->after = (unsigned[]){machine->id};
    machine->after_must = (bool[]){true};
    machine->after_count = 1;
    plan_check(w->plan, &w->input);
}

static void the_order_is_another(struct world *w)
{
    unsigned id = plan(w)->steps[0].id;

    plan(w)->steps[0].id = plan(w)->steps[1].id;
    plan(w)->steps[1].id = id;
}

static void a_total_is_wrong(struct world *w)
{
    plan(w)->run++;
}

static void a_report_would_run(struct world *w)
{
    w->input.report_only = true;
}

static void frozen_changes_run(struct world *w)
{
    static const struct freeze freeze = {"changes", "ana", "the fair", 0};

    w->input.freezes = &freeze;
    w->input.freeze_count = 1;
}

static void changes_run_that_are_frozen_until_tomorrow(struct world *w)
{
    static const struct freeze freeze = {"changes", "ana", "the fair", WORLD_START + 86400};

    w->input.freezes = &freeze;
    w->input.freeze_count = 1;
}

static void a_new_one_is_made_over_one_that_is_there(struct world *w)
{
    struct step *machine = step(w, "Instance", "b");

    machine->action = ACTION_CREATE;
    machine->disposition = RUN;
}

static int ending(struct world *w, void (*breaks)(struct world *))
{
    int status = -1;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        breaks(w);
        plan_check(w->plan, &w->input);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_plan_that_breaks_its_promises_ends_the_process(void **state)
{
#define BREAK(name) \
    {               \
#name, name \
    }
    static const struct {
        const char *name;
        void (*breaks)(struct world *);
    } ways[] = {
        BREAK(what_is_held_runs),
        BREAK(a_hold_is_made_up),
        BREAK(a_hold_is_forgotten),
        BREAK(data_are_deleted),
        BREAK(all_that_is_held_runs_without_a_hold),
        BREAK(a_protected_one_is_deleted),
        BREAK(a_foreign_one_is_changed),
        BREAK(an_unseen_one_is_changed),
        BREAK(one_waits_for_itself),
        BREAK(the_order_is_another),
        BREAK(a_total_is_wrong),
        BREAK(a_report_would_run),
        BREAK(frozen_changes_run),
        BREAK(changes_run_that_are_frozen_until_tomorrow),
        BREAK(a_new_one_is_made_over_one_that_is_there),
    };
    struct world *w = *state;

    world_busy(w);
    assert_true(w->plan->run > 0 && w->plan->held > 0);
    assert_int_equal(ending(w, nothing), 0);
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        int status = ending(w, ways[i].breaks);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("nobody noticed that %s", ways[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_that_breaks_its_promises_ends_the_process,
                                        world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
