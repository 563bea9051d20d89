/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The push, as git's hooks see it. Only one branch is ever applied, so a push to any
 * other would look accepted and do nothing: it is refused with the command that does
 * what was meant. Tags say nothing about the rack and pass.
 */
#include "reconciler/source/receive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "model/text.h"
#include "reconciler/source/repository.h"

enum { INPUT_MAX_BYTES = 8 << 20 };

/* ---- reading ------------------------------------------------------------------------ */

static int input_read(int fd, struct text *input, struct error *err)
{
    char chunk[4096];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return error_sys(err, "cannot read what is pushed");
        if (got > 0)
            text_add_n(input, chunk, (size_t)got);
        if (input->len > INPUT_MAX_BYTES)
            return error_set(err, ERR_INVALID, "too many references are pushed at once");
    }
}

/* Copies an id: NULL for git's all-zero one. False if it is none. */
static bool id_take(struct arena *arena, const char *text, const char **id)
{
    size_t len = strspn(text, "0123456789abcdef");
    if (text[len] != '\0' || (len != GIT_OID_HEXSZ && len != 64))
        return false;
    *id = strspn(text, "0") == len ? NULL : arena_text(arena, text);
    return true;
}

static int line_read(struct arena *arena, char *line, struct ref_update *update, struct error *err)
{
    char *rest = line;
    const char *old = strsep(&rest, " ");
    const char *new = strsep(&rest, " ");
    if (!new || !rest || rest[0] == '\0' || !id_take(arena, old, &update->old) ||
        !id_take(arena, new, &update->new)) {
        error_set(err, ERR_INVALID, "cannot read what git says is pushed");
        return error_hint(err, "git runs this as a hook, with lines of old id, new id and "
                               "reference on standard input.");
    }
    update->ref = arena_text(arena, rest);
    return 0;
}

static int lines_read(struct arena *arena, char *input, struct ref_update **updates, size_t *count,
                      struct error *err)
{
    size_t lines = 0, n = 0;
    for (const char *at = input; (at = strchr(at, '\n')); at++)
        lines++;
    struct ref_update *rows = arena_array(arena, lines + 1, sizeof(*rows));
    char *rest = input;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        int rc = line[0] == '\0' ? 0 : line_read(arena, line, &rows[n], err);
        if (rc < 0)
            return rc;
        n += line[0] != '\0';
    }
    *updates = rows;
    *count = n;
    return 0;
}

int receive_read(struct arena *arena, int fd, struct ref_update **updates, size_t *count,
                 struct error *err)
{
    struct text input = TEXT_INIT;
    int rc = input_read(fd, &input, err);
    if (rc == 0)
        rc = lines_read(arena, arena_text_n(arena, input.data, input.len), updates, count, err);
    text_free(&input);
    return rc;
}

/* ---- judging ------------------------------------------------------------------------ */

static int other_refused(struct source *source, const char *ref, struct error *err)
{
    const char *branch = strncmp(ref, "refs/heads/", 11) == 0 ? ref + 11 : NULL;
    if (branch)
        error_set(err, ERR_DENIED, "only %s is applied here, and %s would do nothing",
                  source->branch, branch);
    else
        error_set(err, ERR_DENIED, "only %s is applied here, and %s is refused", source->branch,
                  ref);
    return error_hint(err, "To apply it: git push origin %s:%s", branch ? branch : "HEAD",
                      source->branch);
}

static int deletion_refused(struct source *source, struct error *err)
{
    error_set(err, ERR_DENIED, "%s is the branch that is applied, and is not deleted",
              source->branch);
    return error_hint(err, "To remove resources, commit without them; the plan shows what that "
                           "does.");
}

int receive_branch(struct source *source, const struct ref_update *updates, size_t count,
                   const struct ref_update **update, struct error *err)
{
    const struct ref_update *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *ref = updates[i].ref;
        if (strncmp(ref, "refs/tags/", 10) == 0)
            continue;
        if (strncmp(ref, "refs/heads/", 11) != 0 || strcmp(ref + 11, source->branch) != 0) {
            if (!updates[i].new) /* what is never applied may go */
                continue;
            return other_refused(source, ref, err);
        }
        if (!updates[i].new)
            return deletion_refused(source, err);
        found = &updates[i];
    }
    *update = found;
    return 0;
}

int receive_judge(struct source *source, struct store *store, struct arena *arena,
                  const struct ref_update *update, struct received *out, struct report *report,
                  struct error *err)
{
    struct received received = {.ref = update->ref, .old = update->old, .new = update->new};
    int rc = update->old ? source_descends(source, update->new, update->old, err) : 1;
    if (rc < 0)
        return rc;
    received.forced = rc == 0;
    struct report seen; /* the whole set is looked at next, and says it all again */
    report_init(&seen, arena);
    rc = source_changes(source, arena, update->old, update->new, &received.changes, &received.count,
                        &seen, err);
    if (rc == 0)
        rc = source_load(source, store, arena, update->new, &received.set, report, err);
    if (rc == 0)
        *out = received;
    return rc;
}
