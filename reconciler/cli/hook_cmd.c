/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel hook pre-receive | post-receive`: what git runs for a push, as the
 * pusher. The first checks the pushed objects while git still has them in
 * quarantine and asks the daemon for the plan; the second hands the new head to
 * the daemon and shows the progress. All that is printed reaches the pusher behind
 * "remote: ", so lines end where 80 columns do.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/report.h"
#include "model/resource.h"
#include "model/text.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/follow.h"
#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/stall.h"
#include "reconciler/cli/problems.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/terminal.h"
#include "reconciler/plan/text.h"
#include "reconciler/source/note.h"
#include "reconciler/source/receive.h"

enum {
    HOOK_COLUMNS = 71, /* 80 without git's "remote: " and one to spare */
    READER_S = 30,     /* beyond pushWait: for a terminal that is stopped for a moment */
};

/* A push as the hooks see it: the site's branch and where it goes. */
struct push {
    const struct site *site;
    struct source *source;
    const struct ref_update *update; /* NULL: nothing for the site's branch */
    struct follow out;
};

static void say(struct push *push, const char *text)
{
    follow_say(&push->out, 2, text);
}

/* Who could write there could say of a commit what never happened. */
static int notes_refuse(const struct ref_update *updates, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(updates[i].ref, NOTES_REF) != 0)
            continue;
        error_set(err, ERR_DENIED, "%s is written by the daemon alone", NOTES_REF);
        return error_hint(err, "Keep notes of your own under another name: git notes --ref=NAME");
    }
    return 0;
}

/* `unread` says what becomes of a push whose words nobody reads. */
static int push_open(struct cli *cli, struct push *push, const char *unread,
                     int (*source_opens)(const struct site *, struct source **, struct error *),
                     struct error *err)
{
    struct ref_update *updates;
    size_t count;
    int rc = site_find(cli, &push->site, err);

    if (rc == 0)
        stall_watch(push->site->push_wait_s + READER_S, unread);
    follow_init(&push->out, stdout);
    push->out.width = HOOK_COLUMNS;
    push->out.is_live = false;
    if (rc == 0)
        rc = receive_read(cli->arena, STDIN_FILENO, &updates, &count, err);
    if (rc == 0)
        rc = notes_refuse(updates, count, err);
    if (rc == 0)
        rc = source_opens(push->site, &push->source, err);
    if (rc == 0)
        rc = receive_branch(push->source, updates, count, &push->update, err);
    return rc;
}

/* ---- before git takes it ------------------------------------------------------------ */

static struct value *changes_value(struct arena *arena, const struct received *received)
{
    struct value *list = value_list(arena);

    for (size_t i = 0; i < received->count; i++) {
        const struct changed *changed = &received->changes[i];
        struct value *entry = value_append(arena, list, value_map(arena));

        value_set_text(arena, entry, "path", changed->path);
        value_set_text(arena, entry, "blob", changed->blob);
        value_set(arena, entry, "data",
                  changed->data ? value_text_n(arena, changed->data, changed->len) : NULL);
    }
    return list;
}

static struct value *check_params(struct arena *arena, const struct received *received)
{
    struct value *params = value_map(arena);

    value_set_text(arena, params, "commit", received->new);
    value_set_text(arena, params, "base", received->old);
    value_set_text(arena, params, "ref", received->ref);
    value_set_bool(arena, params, "forced", received->forced);
    value_set(arena, params, "changes", changes_value(arena, received));
    return params;
}

static void plan_show(const struct value *plan)
{
    const struct plan_text_options options = {
        .color = terminal_has_color(stdout),
        .columns = HOOK_COLUMNS,
    };
    struct text text = TEXT_INIT;

    plan_text(&text, plan, options);
    terminal_write(stdout, text.data, text.len);
    text_free(&text);
    fflush(stdout);
}

/* For the daemon's record; without one there is none. */
static void refusal_tell(struct cli *cli, struct push *push, const struct value *problems,
                         const char *why)
{
    struct arena *arena = cli->arena;
    struct value *params = value_map(arena), *ignored = NULL;
    struct error err = ERROR_INIT;
    struct commit_info info = {0};

    value_set_text(arena, params, "commit", push->update->new);
    value_set_text(arena, params, "who", daemon_who(arena));
    value_set_text(arena, params, "why", why);
    value_set(arena, params, "problems",
              problems ? value_copy(arena, problems) : value_list(arena));
    if (source_commit(push->source, arena, push->update->new, &info, &err) == 0) {
        value_set_text(arena, params, "author", info.author);
        value_set_text(arena, params, "subject", info.subject);
    }
    (void)daemon_ask(push->site, arena, "refused", params, &ignored, &err);
}

static const char *problem_text(struct arena *arena, const struct report *report)
{
    const struct problem *first = &report->problems[0];

    return arena_printf(
        arena, "%s:%d: %s%s", first->at.file, first->at.line, first->message,
        report->count > 1 ? arena_printf(arena, " (and %zu more)", report->count - 1) : "");
}

/* 1 if the daemon judged it, 0 if none is up. An invalid push is ERR_INVALID. */
static int daemon_check(struct cli *cli, struct push *push, const struct received *received,
                        struct error *err)
{
    struct value *result = NULL;
    int rc = daemon_ask(push->site, cli->arena, "check", check_params(cli->arena, received),
                        &result, err);

    if (rc == ERR_INVALID) {
        refusal_tell(cli, push, NULL, err->message);
        return rc;
    }
    if (rc < 0) {
        say(push, arena_printf(cli->arena, "spinel: no plan now: %s", err->message));
        return 1;
    }
    if (!result)
        return 0;
    plan_show(value_get(result, "plan"));
    return 1;
}

static int push_judge(struct cli *cli, struct push *push, struct error *err)
{
    struct received received;
    struct report report;
    int rc;

    report_init(&report, cli->arena);
    rc = receive_judge(push->source, NULL, cli->arena, push->update, &received, &report, err);
    if (rc < 0)
        return rc;
    if (report.count > 0) {
        report_sort(&report);
        refusal_tell(cli, push, report_value(cli->arena, &report),
                     problem_text(cli->arena, &report));
        problems_print_narrow(&report, HOOK_COLUMNS);
        return error_set(err, ERR_INVALID, "%s", problems_count(&report));
    }
    if (received.set->declared == 0 && push->site->repository.subdir[0])
        say(push, arena_printf(cli->arena,
                               "No manifest is below '%s', which spec.repository.subdir in the "
                               "site file names.",
                               push->site->repository.subdir));
    if (received.forced)
        say(push, arena_printf(cli->arena, "History is rewritten; the old tip was %.12s.",
                               received.old ? received.old : "none"));
    rc = daemon_check(cli, push, &received, err);
    if (rc == 0) {
        say(push,
            arena_printf(cli->arena, "spinel: valid, %zu resources.", received.set->declared));
        say(push, "No daemon is up: the push is accepted, and nothing happens until 'spinel serve' "
                  "runs.");
    }
    return rc < 0 ? rc : 0;
}

static int pre_receive(struct cli *cli)
{
    struct push push = {0};
    struct error err = ERROR_INIT;
    int rc = push_open(cli, &push,
                       "\nspinel: nobody read on, and it was waited for long enough.\n"
                       "  Push again and read on, or keep it: git push 2>&1 | tee plan\n"
                       "push refused, nothing was changed\n",
                       source_open_quarantine, &err);

    if (rc == 0 && push.update)
        rc = push_judge(cli, &push, &err);
    if (rc == 0 && stall_is_over()) {
        rc = error_set(&err, ERR_BUSY, "nobody read what was to be said of it");
        refusal_tell(cli, &push, NULL, err.message);
    }
    source_close(push.source);
    if (rc == 0)
        return EXIT_OK;
    say(&push, arena_printf(cli->arena, "spinel: %s", err.message));
    if (err.hint[0])
        say(&push, arena_printf(cli->arena, "  %s", err.hint));
    say(&push, "push refused, nothing was changed");
    (void)stall_is_over();
    return EXIT_ERROR;
}

/* ---- after git took it -------------------------------------------------------------- */

static int push_follow(struct cli *cli, struct push *push, struct control *control,
                       struct error *err)
{
    struct value *params = value_map(cli->arena);
    enum follow_end end;
    struct value *answer;
    int rc;

    value_set_text(cli->arena, params, "commit", push->update->new);
    value_set_text(cli->arena, params, "old", push->update->old);
    value_set_text(cli->arena, params, "who", daemon_who(cli->arena));
    rc = control_call(control, cli->arena, "pushed", params, -1, &answer, NULL, err);
    if (rc < 0)
        return rc;
    push->out.revision = value_get_int(answer, "revision", 0);
    rc = follow_daemon(&push->out, control, cli->arena, value_get_int(answer, "seq", 0),
                       push->site->push_wait_s, &end, err);
    if (rc == 0 && end == FOLLOW_ON)
        say(push, "still converging; it goes on without you: spinel status");
    return rc;
}

/* The push is done, whatever happens here: it ends with 0 and says what it could not do. */
static int post_receive(struct cli *cli)
{
    struct push push = {0};
    struct control *control = NULL;
    struct error err = ERROR_INIT;
    int rc =
        push_open(cli, &push, "\nspinel: nobody read on; it goes on without you: spinel status\n",
                  source_open, &err);

    interrupt_catch();
    if (rc == 0 && push.update)
        rc = daemon_open(push.site, &control, &err);
    if (rc == 0 && control)
        rc = push_follow(cli, &push, control, &err);
    control_close(control);
    source_close(push.source);
    if (rc < 0) {
        say(&push, arena_printf(cli->arena, "spinel: %s", err.message));
        if (err.hint[0])
            say(&push, arena_printf(cli->arena, "  %s", err.hint));
    }
    (void)stall_is_over();
    return EXIT_OK;
}

static int hook_run(struct cli *cli)
{
    if (strcmp(cli->operands[0], "pre-receive") == 0)
        return pre_receive(cli);
    if (strcmp(cli->operands[0], "post-receive") == 0)
        return post_receive(cli);
    return usage_error(cli, "it stands for pre-receive and post-receive, not for '%s'",
                       cli->operands[0]);
}

const struct command hook_command = {
    .name = "hook",
    .group = "Run",
    .operands = "pre-receive|post-receive",
    .help = "what git runs for a push; 'spinel init' puts it in place",
    .details = "It reads the updated references from standard input, as githooks(5) says.",
    .least = 1,
    .most = 1,
    .run = hook_run,
};
