/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel apply`: makes the branch's head true, or does exactly what a saved plan
 * says. With a daemon up it hands over and follows; without one it locks the
 * state and does the work itself.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "model/arena.h"
#include "model/unit.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/follow.h"
#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/planning.h"
#include "reconciler/cli/saved.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/terminal.h"
#include "reconciler/engine/shell.h"

static struct {
    int json;
    int yes;
    char *wait;
} options;

static void event_follow(void *context, const struct value *event)
{
    follow_event(context, event);
}

static int apply_here(struct cli *cli, const struct site *site, const struct agreed *agreed,
                      int64_t wait_s, struct value **after, struct error *err)
{
    struct follow follow;
    struct shell *shell;
    int rc = shell_open(site, SHELL_WRITE, cli->program, &shell, err);

    if (rc < 0)
        return rc;
    follow_init(&follow, stderr);
    rc = shell_apply(shell, cli->arena, agreed, wait_s, interrupt_flag(), event_follow, &follow,
                     after, err);
    follow_finish(&follow);
    shell_close(shell);
    if (rc == 0 && *interrupt_flag())
        note("spinel apply: interrupted; what had begun is taken up again by the next "
             "'spinel apply' or 'spinel serve'");
    return rc;
}

static int daemon_follow(struct cli *cli, struct control *control, const struct value *answer,
                         int64_t wait_s, struct error *err)
{
    struct follow follow;
    enum follow_end end;
    int rc;

    follow_init(&follow, stderr);
    follow.revision = value_get_int(answer, "revision", 0);
    rc = follow_daemon(&follow, control, cli->arena, value_get_int(answer, "seq", 0), wait_s, &end,
                       err);
    if (rc == 0 && end == FOLLOW_ON)
        note("spinel apply: %s; the daemon goes on without you: spinel status",
             *interrupt_flag() ? "interrupted" : "still converging");
    return rc;
}

/* 1 if a daemon was there and did it, 0 if there is none. */
static int apply_by_daemon(struct cli *cli, const struct site *site, const struct agreed *agreed,
                           const struct value *saved, int64_t wait_s, struct error *err)
{
    struct value *params = value_map(cli->arena);
    struct control *control;
    struct value *answer;
    int rc = daemon_open(site, &control, err);

    if (rc < 0 || !control)
        return rc;
    value_set(cli->arena, params, "saved", saved ? value_copy(cli->arena, saved) : NULL);
    if (agreed && !agreed->is_saved) {
        struct value *shown = value_set(cli->arena, params, "shown", value_map(cli->arena));

        value_set_text(cli->arena, shown, "commit", agreed->commit);
        value_set_text(cli->arena, shown, "hash", agreed->hash);
    }
    rc = control_call(control, cli->arena, "apply", params, -1, &answer, NULL, err);
    if (rc == 0)
        rc = daemon_follow(cli, control, answer, wait_s, err);
    control_close(control);
    return rc < 0 ? rc : 1;
}

/* Of a store that was lost each look at the world takes more back, so that the first plan is not
 * the second one; the hold keeps all of it from running. */
static bool is_rebuilt(const struct value *plan)
{
    return value_find(value_get(plan, "holds"), "id", "rebuild") != NULL;
}

/* The plan that a person says yes to, what names it, and its exit status. It is shown and
 * forgotten: of a first apply it would be a good part of all memory. */
static int plan_show(struct cli *cli, const struct site *site, const struct value *saved,
                     struct agreed *agreed, int *status, struct error *err)
{
    struct cli shown = *cli;
    const struct value *plan = value_get(saved, "plan");
    struct value *fresh = NULL;
    int rc = 0;

    shown.arena = arena_new();
    if (!saved)
        rc = planning_make(&shown, site, NULL, false, &fresh, err);
    if (fresh)
        plan = fresh;
    if (rc == 0 && !options.json)
        planning_print(plan);
    if (rc == 0) {
        *status = planning_status(plan);
        *agreed = (struct agreed){
            .commit = arena_text(cli->arena, value_get_text(plan, "commit", "")),
            .hash =
                is_rebuilt(plan) ? "" : arena_text(cli->arena, value_get_text(plan, "hash", "")),
            .world = arena_text(cli->arena, value_get_text(plan, "world", "")),
            .is_saved = saved != NULL,
        };
    }
    arena_free(shown.arena);
    return rc;
}

enum { WAIT_MAX_S = 30 * 86400 };

static int apply_do(struct cli *cli, const struct site *site, const struct agreed *agreed,
                    const struct value *saved, int64_t wait_s)
{
    struct error err = ERROR_INIT;
    struct value *after = NULL;
    int rc;

    interrupt_catch();
    rc = apply_by_daemon(cli, site, agreed, saved, wait_s, &err);
    if (rc == 1)
        rc = planning_make(cli, site, NULL, false, &after, &err);
    else if (rc == 0)
        rc = apply_here(cli, site, agreed, wait_s, &after, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (options.json)
        output_json(after);
    else
        planning_print(after);
    return planning_exit(after);
}

static int apply_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct value *saved = NULL;
    struct agreed agreed;
    int64_t wait_s = 600;
    int rc, status = EXIT_OK;

    if (options.wait && duration_read(options.wait, &wait_s, &err) < 0)
        return usage_error(cli, "--wait: %s", err.message);
    if (wait_s > WAIT_MAX_S)
        return usage_error(cli, "--wait: %s is more than 30d", options.wait);
    if (!options.yes && !terminal_can_ask())
        return usage_error(cli, "nobody can be asked here, so it needs --yes; nothing was done");
    rc = site_find(cli, &site, &err);
    if (rc == 0 && cli->operand_count > 0)
        rc = saved_read(cli->arena, cli->operands[0], &saved, &err);
    if (rc == 0)
        rc = plan_show(cli, site, saved, &agreed, &status, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (status == EXIT_OPEN && !options.yes && !terminal_ask("Do this?")) {
        note("spinel apply: nothing was done");
        return EXIT_OPEN;
    }
    return apply_do(cli, site, saved || !options.yes ? &agreed : NULL, saved, wait_s);
}

static const struct poptOption apply_options[] = {
    {"wait", 0, POPT_ARG_STRING, &options.wait, 0, "how long to follow it; 10m", "DURATION"},
    {"yes", 'y', POPT_ARG_NONE, &options.yes, 0, "do not ask", NULL},
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the plan document as it is afterwards", NULL},
    POPT_TABLEEND,
};

const struct command apply_command = {
    .name = "apply",
    .group = "Change",
    .operands = "[FILE]",
    .help = "make the world as Git says, or do exactly what a saved plan says",
    .details = "With a daemon up it hands over and follows; Ctrl-C ends the following only.\n"
               "FILE is - for standard input.\n"
               "Exit status as of spinel plan afterwards; 64 without --yes where nobody can be\n"
               "asked.",
    .options = apply_options,
    .most = 1,
    .run = apply_run,
};
