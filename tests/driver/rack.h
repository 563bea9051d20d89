/* SPDX-License-Identifier: MPL-2.0 */
/* A driver in a directory of its own, for tests: starting it, asking it, cleaning up. */
#ifndef TESTS_DRIVER_RACK_H
#define TESTS_DRIVER_RACK_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "reconciler/server/subject.h"

struct rack {
    struct subject subject;
    struct arena *arena;
    const char *dir; /* of the test; the state directory is "<dir>/state" */
    const char *argv[2];
    const struct value *started;
};

/* "0...0n": the uid of the n-th object of a test. */
static inline const char *uid_of(struct rack *rack, unsigned n)
{
    return arena_printf(rack->arena, "%032x", n);
}

static inline struct value *json_of(struct arena *arena, const char *text)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    if (json_read(arena, text, strlen(text), &value, &err) < 0)
        fail_msg("%s: %s", err.message, text);
    return value;
}

static inline struct rack *rack_new(const char *driver)
{
    struct arena *arena = arena_new();
    struct rack *rack = arena_alloc(arena, sizeof *rack);
    const char *build = getenv("BUILD");
    rack->arena = arena;
    rack->dir = mkdtemp(arena_text(arena, "/tmp/spinel-driver-XXXXXX"));
    rack->argv[0] = arena_printf(arena, "%s/drivers/%s", build ? build : "build", driver);
    rack->subject = (struct subject){.argv = rack->argv,
                                     .arena = arena,
                                     .in = -1,
                                     .out = -1,
                                     .lines = LINES_INIT,
                                     .state_dir = arena_printf(arena, "%s/state", rack->dir)};
    return rack;
}

static inline void rack_start(struct rack *rack, const char *settings)
{
    rack->subject.settings = settings ? json_of(rack->arena, settings) : NULL;
    rack->started = subject_start(&rack->subject);
    if (!value_get(rack->started, "result"))
        fail_msg("%s", json_text(rack->arena, rack->started));
}

static inline int entry_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static inline void rack_free(struct rack *rack)
{
    subject_kill(&rack->subject);
    nftw(rack->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    lines_free(&rack->subject.lines);
    arena_free(rack->arena);
}

/* Of an apply; `rest` is JSON whose members are added to or replace the usual ones. */
static inline struct value *rack_params(struct rack *rack, unsigned n, int epoch, const char *verb,
                                        const char *kind, const char *rest)
{
    struct arena *arena = rack->arena;
    struct value *params = json_of(arena, "{\"project\":\"shop\",\"name\":\"x\",\"generation\":1,"
                                          "\"labels\":{},\"refs\":{},\"deadline\":30}");
    const struct value *more = json_of(arena, rest);
    value_set(arena, params, "op", value_printf(arena, "%u-%d-%s", n, epoch, verb));
    value_set_text(arena, params, "uid", uid_of(rack, n));
    value_set_int(arena, params, "epoch", epoch);
    value_set_text(arena, params, "verb", verb);
    value_set_text(arena, params, "kind", kind);
    for (size_t i = 0; i < more->pair_count; i++)
        value_set(arena, params, more->pairs[i].key, more->pairs[i].value);
    return params;
}

static inline int rack_send(struct rack *rack, unsigned n, int epoch, const char *verb,
                            const char *kind, const char *rest)
{
    return subject_send(&rack->subject, "apply", rack_params(rack, n, epoch, verb, kind, rest));
}

static inline const struct value *rack_apply(struct rack *rack, unsigned n, int epoch,
                                             const char *verb, const char *kind, const char *rest)
{
    return subject_receive(&rack->subject, rack_send(rack, n, epoch, verb, kind, rest));
}

static inline void assert_applied(struct rack *rack, const struct value *message)
{
    if (!value_get(message, "result"))
        fail_msg("%s", json_text(rack->arena, message));
}

/* The answer is an error of this kind whose message has `part` in it. */
static inline void assert_refused(struct rack *rack, const struct value *message, const char *kind,
                                  const char *part)
{
    if (strcmp(value_at_text(message, "error.data.kind", ""), kind) != 0 ||
        !strstr(value_at_text(message, "error.message", ""), part))
        fail_msg("not %s with \"%s\": %s", kind, part, json_text(rack->arena, message));
}

static inline const struct value *rack_look(struct rack *rack, unsigned n)
{
    struct value *params = value_map(rack->arena), *uids = value_list(rack->arena);
    value_append(rack->arena, uids, value_text(rack->arena, uid_of(rack, n)));
    value_set(rack->arena, params, "uids", uids);
    const struct value *message = subject_call(&rack->subject, "observe", params);
    const struct value *objects = value_at(message, "result.objects");
    if (!value_is_list(objects) || objects->count != 1)
        fail_msg("%s", json_text(rack->arena, message));
    return objects->items[0];
}

/* What all that is there is told as; `since` may be NULL. */
static inline const struct value *rack_list(struct rack *rack, const char *since)
{
    struct value *params = value_map(rack->arena);
    value_set_text(rack->arena, params, "since", since);
    const struct value *message = subject_call(&rack->subject, "observe", params);
    assert_true(value_at_bool(message, "result.complete", false));
    return value_get(message, "result");
}

/* The token of the whole list, of which there are so many rows. */
static inline const char *rack_token(struct rack *rack, const char *since, size_t count)
{
    const struct value *result = rack_list(rack, since);
    assert_null(value_get(result, "unchanged"));
    assert_int_equal(value_get(result, "list")->count, count);
    return value_get_text(result, "token", "");
}

static inline void assert_unchanged(struct rack *rack, const char *token)
{
    const struct value *result = rack_list(rack, token);
    assert_null(value_get(result, "list"));
    assert_string_equal(value_get_text(result, "unchanged", ""), token);
}

static inline bool is_absent(const struct value *object)
{
    return value_get_bool(object, "absent", false);
}

static inline void file_write(const char *path, const void *data, size_t len, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

#endif
