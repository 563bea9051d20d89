/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_ENGINE_PART_TEXT_H
#define TESTS_ENGINE_PART_TEXT_H

/*
 * Parts (reconciler/engine/part.h) of racks whose commits are texts, of one manifest each: it is
 * read as it was and as it is, and what differs in it is the change.
 */
#include <string.h>
#include "reconciler/engine/env.h"
#include "reconciler/engine/part.h"

struct part_text {
    /* NULL: it cannot be read. */
    const char *(*text_of)(void *context, const char *commit);
    void *context;
};

#define PART_FN static __attribute__((unused))

PART_FN bool part_text_has_keys(void *context, const char *commit, int64_t *files)
{
    const struct part_text *from = context;
    *files = 1;
    return from->text_of(from->context, commit) != NULL;
}

PART_FN int part_text_changes(void *context, struct arena *arena, const char *from, const char *to,
                              struct changed **out, size_t *count, struct report *report,
                              struct error *err)
{
    const struct part_text *read = context;
    const char *text = read->text_of(read->context, to);
    (void)report;
    if (!text)
        return error_set(err, ERR_CORRUPT, "commit %s cannot be read", to);
    *count = strcmp(text, read->text_of(read->context, from)) != 0;
    *out = arena_array(arena, 1, sizeof(**out));
    **out = (struct changed){.path = "rack.yaml",
                             .was = arena_text(arena, from),
                             .blob = arena_text(arena, to),
                             .data = arena_text(arena, text),
                             .len = strlen(text)};
    return 0;
}

/* There is no other manifest. */
PART_FN int part_text_manifest(void *context, const char *commit, const char *path,
                               struct set_builder *builder, struct report *report, int64_t *bytes,
                               struct error *err)
{
    (void)context;
    (void)commit;
    (void)path;
    (void)builder;
    (void)report;
    (void)bytes;
    (void)err;
    return 0;
}

PART_FN int part_text_blob(void *context, const char *blob, const char *path,
                           struct set_builder *builder, struct report *report, int64_t *bytes,
                           struct error *err)
{
    const struct part_text *read = context;
    const char *text = read->text_of(read->context, blob);
    (void)bytes;
    (void)err;
    manifest_add(builder, path, text, strlen(text), report);
    return 0;
}

PART_FN const struct part_reader part_reader_text = {part_text_has_keys, part_text_changes,
                                                     part_text_manifest, part_text_blob};

/* `text` lives as long as the part. */
PART_FN bool part_text_make(struct part_text *text, struct store *store, struct arena *arena,
                            const struct part_change *change, struct part *part)
{
    const struct part_ask ask = {
        .reader = &part_reader_text,
        .context = text,
        .store = store,
        .from = change->from,
        .declared = change->declared,
        .to = change->to,
        .max_files = 1,
        .max_bytes = 1 << 20,
    };
    return part_make(arena, &ask, part);
}

#endif
