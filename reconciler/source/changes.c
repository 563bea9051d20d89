/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a push changes: the manifests that differ between two commits, with their new
 * bytes. A rename is one gone and one new; a change of mode alone is none.
 */
#include "reconciler/source/repository.h"

#include <string.h>

struct collection {
    struct source *source;
    struct arena *arena;
    struct report *report;
    struct changed *items;
    size_t count;
    size_t room;
    int64_t bytes;
};

int bytes_count(struct source *source, int64_t *bytes, size_t more, struct error *err)
{
    *bytes += (int64_t)more;
    if (*bytes <= source->max_bytes)
        return 0;
    error_set(err, ERR_INVALID, "the manifests of the commit hold more than %lld bytes",
              (long long)source->max_bytes);
    return error_hint(err, "Raise spec.repository.maxBytes in the site file if that is meant.");
}

int blob_read(struct source *source, struct arena *arena, const git_oid *id, const char *path,
              int64_t *bytes, struct report *report, const char **data, size_t *len,
              struct error *err)
{
    size_t size = 0;
    git_object_t type;
    git_odb_object *object = NULL;
    if (repository_need(source, err) < 0)
        return err->code;
    int rc = git_odb_read_header(&size, &type, source->odb, id);
    if (rc == 0 && size > BLOB_MAX_BYTES) {
        report_add(report, (struct position){.file = path, .line = 1, .column = 1}, "too-big",
                   "%zu bytes are too many for a manifest; at most %d are read", size,
                   BLOB_MAX_BYTES);
        *data = NULL;
        *len = 0;
        return 0;
    }
    if (rc == 0 && type != GIT_OBJECT_BLOB)
        return error_set(err, ERR_INVALID, "%s is a %s of git's and no file", path,
                         git_object_type2string(type));
    if (rc == 0)
        rc = git_odb_read(&object, source->odb, id);
    if (rc < 0)
        return git_damaged(rc, err, path, source->path);
    source->blobs_read++;
    rc = bytes_count(source, bytes, git_odb_object_size(object), err);
    if (rc == 0) {
        *len = git_odb_object_size(object);
        *data = arena_text_n(arena, git_odb_object_data(object), *len);
    }
    git_odb_object_free(object);
    return rc;
}

static struct changed *changed_new(struct collection *to)
{
    to->items = arena_grow(to->arena, to->items, to->count, &to->room, sizeof(*to->items));
    return &to->items[to->count++];
}

static int changed_found(void *context, const char *path, const git_oid *before,
                         const git_oid *after, struct error *err)
{
    struct collection *to = context;
    struct changed changed = {.path = path};
    char hex[GIT_OID_HEXSZ + 1];
    if (before)
        changed.was = arena_text(to->arena, git_oid_tostr(hex, sizeof(hex), before));
    if (after) {
        int rc = blob_read(to->source, to->arena, after, path, &to->bytes, to->report,
                           &changed.data, &changed.len, err);
        if (rc < 0 || !changed.data)
            return rc;
        changed.blob = arena_text(to->arena, git_oid_tostr(hex, sizeof(hex), after));
    }
    *changed_new(to) = changed;
    return 0;
}

int source_changes(struct source *source, struct arena *arena, const char *from, const char *to,
                   struct changed **out, size_t *count, struct report *report, struct error *err)
{
    struct collection found = {.source = source, .arena = arena, .report = report};
    git_oid before, after;
    int has_before = commit_tree(source, from, &before, err);
    if (has_before < 0)
        return has_before;
    int has_after = commit_tree(source, to, &after, err);
    if (has_after < 0)
        return has_after;
    int rc = tree_compare(source, arena, has_before ? &before : NULL, has_after ? &after : NULL,
                          report, changed_found, &found, err);
    if (rc < 0)
        return rc;
    *out = found.items;
    *count = found.count;
    return 0;
}

static int difference_found(void *context, const char *path, const git_oid *before,
                            const git_oid *after, struct error *err)
{
    (void)path;
    (void)before;
    (void)after;
    *(bool *)context = true;
    return error_set(err, ERR_CONFLICT, "the commits differ"); /* no need to go on */
}

int source_same_manifests(struct source *source, const char *from, const char *to,
                          struct error *err)
{
    struct arena *arena = arena_new();
    struct error stopped = ERROR_INIT;
    struct report report;
    git_oid before, after;
    bool differ = false;
    report_init(&report, arena);
    int has_before = commit_tree(source, from, &before, err);
    int has_after = has_before < 0 ? has_before : commit_tree(source, to, &after, err);
    int rc = has_after < 0 ? has_after : 0;
    if (rc == 0)
        rc = tree_compare(source, arena, has_before ? &before : NULL, has_after ? &after : NULL,
                          &report, difference_found, &differ, &stopped);
    if (rc < 0 && !differ && has_after >= 0)
        *err = stopped;
    bool is_same = rc == 0 && report.count == 0;
    arena_free(arena);
    return rc < 0 && !differ ? rc : is_same;
}
