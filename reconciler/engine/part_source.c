/* SPDX-License-Identifier: MPL-2.0 */
/* A part's manifests, read from the repository (source.h) by the keys that the store has of them.
 */
#include "reconciler/engine/part.h"
#include "model/invariant.h"

static bool has_keys(void *context, const char *commit, int64_t *files)
{
    const struct part_source *from = context;
    invariant(from->store && from->by && commit[0], "keys of commit '%s' without a store", commit);
    return source_mentions_are_of(from->store, from->by, commit, files);
}

static int changes(void *context, struct arena *arena, const char *from, const char *to,
                   struct changed **out, size_t *count, struct report *report, struct error *err)
{
    const struct part_source *read = context;
    invariant(read->source && from[0] && to[0], "no source has '%s' to '%s'", from, to);
    return source_changes(read->source, arena, from, to, out, count, report, err);
}

static int manifest(void *context, const char *commit, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err)
{
    const struct part_source *read = context;
    invariant(read->source && path[0] && path[0] != '/', "manifest '%s' of commit '%s'", path,
              commit);
    return source_manifest(read->source, commit, path, builder, report, bytes, err);
}

static int blob(void *context, const char *id, const char *path, struct set_builder *builder,
                struct report *report, int64_t *bytes, struct error *err)
{
    const struct part_source *read = context;
    invariant(read->source && id[0] && path[0], "blob '%s' of manifest '%s'", id, path);
    return source_manifest_blob(read->source, id, path, builder, report, bytes, err);
}

const struct part_reader part_reader_source = {has_keys, changes, manifest, blob};
