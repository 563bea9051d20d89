/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a commit to the set that it declares. Each manifest is looked up in the parse
 * cache by its blob, and read and checked only if it is not there. What was read
 * and had no problem of its own is put there, but for manifests that set a sensitive
 * field: no secret is written anywhere. The cache is keyed by the bytes' own hash, so
 * nobody can plant a parse under another manifest's id.
 */
#include "reconciler/source/repository.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/kind.h"
#include "model/sort.h"
#include "model/yaml.h"
#include "reconciler/source/ahead.h"
#include "reconciler/store/store.h"

enum { MANY_FILES = 1000 };

struct manifest_file {
    const char *path;
    const struct changed *given; /* its bytes are the caller's; NULL: in the repository */
    git_oid blob;
    bool is_gone;
    bool has_source; /* its problems have their lines */
};

struct loader {
    struct source *source;
    struct store *store; /* NULL: no cache */
    bool has_parses;     /* the cache is not empty */
    struct arena *arena;
    struct arena *scratch; /* of the file that is read */
    struct report *report;
    struct set_builder *builder;
    struct value *normals;       /* of the file that is read; NULL: nobody wants them */
    bool is_sensitive;           /* it sets a field that is */
    bool has_put;                /* something into the cache */
    struct manifest_file *files; /* ordered by path once all are known; heap */
    size_t count;
    size_t room;
    int64_t bytes;
};

/* ---- which files -------------------------------------------------------------------- */

static struct manifest_file *file_new(struct loader *loader)
{
    if (loader->count == loader->room) {
        loader->room = loader->room ? loader->room * 2 : 64;
        loader->files =
            memory_need(reallocarray(loader->files, loader->room, sizeof(*loader->files)));
    }
    return &loader->files[loader->count++];
}

static int file_found(void *context, const char *path, const git_oid *before, const git_oid *after,
                      struct error *err)
{
    (void)before;
    (void)err;
    *file_new(context) = (struct manifest_file){.path = path, .blob = *after};
    return 0;
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->path, ((const struct manifest_file *)b)->path);
}

static struct manifest_file *file_find(struct loader *loader, size_t count, const char *path)
{
    struct manifest_file wanted = {.path = path};
    return count == 0 ? NULL : bsearch(&wanted, loader->files, count, sizeof(wanted), path_compare);
}

static void files_sort(struct loader *loader)
{
    if (loader->count > 0)
        sort_items(loader->files, loader->count, sizeof(*loader->files), path_compare);
}

static int files_list(struct loader *loader, const char *commit, struct error *err)
{
    git_oid tree;
    int rc = commit_tree(loader->source, commit, &tree, err);
    if (rc > 0)
        rc = tree_compare(loader->source, loader->arena, NULL, &tree, loader->report, file_found,
                          loader, err);
    files_sort(loader);
    return rc < 0 ? rc : 0;
}

/* ---- changes over them -------------------------------------------------------------- */

/* A claimed id is not believed where there are bytes to hash. */
static int file_change(struct manifest_file *file, const struct changed *changed, struct error *err)
{
    *file = (struct manifest_file){.path = changed->path};
    int rc = 0;
    if (changed->data) {
        file->given = changed;
        rc = git_odb_hash(&file->blob, changed->data, changed->len, GIT_OBJECT_BLOB);
    } else if (changed->blob) {
        rc = git_oid_fromstr(&file->blob, changed->blob);
    } else {
        file->is_gone = true;
    }
    return rc < 0 ? error_set(err, ERR_INVALID, "\"%.64s\" is not the id of a blob",
                              changed->blob ? changed->blob : "")
                  : 0;
}

static bool change_is_fit(struct loader *loader, const struct changed *changed)
{
    const char *slash = strrchr(changed->path, '/');
    if (path_is_fit(changed->path) && name_is_manifest(slash ? slash + 1 : changed->path))
        return true;
    report_add(loader->report, (struct position){.file = changed->path, .line = 1, .column = 1},
               "bad-name", "a manifest may not have this name");
    return false;
}

static int files_overlay(struct loader *loader, const struct changed *changes, size_t count,
                         struct error *err)
{
    size_t known = loader->count;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!change_is_fit(loader, &changes[i]))
            continue;
        struct manifest_file *file = file_find(loader, known, changes[i].path);
        rc = file_change(file ? file : file_new(loader), &changes[i], err);
    }
    if (rc == 0 && (int64_t)loader->count > loader->source->max_files)
        rc = error_set(err, ERR_INVALID, "there are more than %lld manifests",
                       (long long)loader->source->max_files);
    files_sort(loader);
    return rc;
}

/* ---- parsing ------------------------------------------------------------------------ */

static int cached_add(struct loader *loader, const struct manifest_file *file, struct error *err)
{
    const struct value *documents = NULL;
    char blob[GIT_OID_HEXSZ + 1];
    if (!loader->has_parses)
        return 0;
    git_oid_tostr(blob, sizeof(blob), &file->blob);
    int rc = store_parse_get(loader->store, loader->scratch, blob, &documents, err);
    if (rc < 0 || !value_is_list(documents))
        return rc;
    for (size_t i = 0; i < documents->count; i++) {
        struct value *normal = documents->items[i];
        struct position at = {.file = file->path, .column = 1};
        at.line = (unsigned)value_at_int(normal, "at.line", 1);
        set_builder_add_normal(loader->builder, normal, at);
    }
    return 1;
}

static int data_get(struct loader *loader, struct arena *arena, const struct manifest_file *file,
                    const char **data, size_t *len, struct error *err)
{
    if (file->given) {
        *data = file->given->data;
        *len = file->given->len;
        return 0;
    }
    return blob_read(loader->source, arena, &file->blob, file->path, &loader->bytes, loader->report,
                     data, len, err);
}

/* ---- caching ------------------------------------------------------------------------ */

static bool holds_sensitive(const struct field *field, const struct value *value)
{
    if (!field || !value || value->type == VALUE_NULL)
        return false;
    if (field->is_sensitive)
        return true;
    if (value->type == VALUE_LIST)
        for (size_t i = 0; i < value->count; i++)
            if (holds_sensitive(field->item, value->items[i]))
                return true;
    if (value->type == VALUE_MAP)
        for (size_t i = 0; i < value->pair_count; i++)
            if (holds_sensitive(field->is_open ? field->item
                                               : field_child(field, value->pairs[i].key),
                                value->pairs[i].value))
                return true;
    return false;
}

static bool fills_cache(const struct loader *loader)
{
    return loader->store && store_is_writable(loader->store);
}

/* The normal form of a resource, of the file that is read. */
static void normal_keep(void *context, const struct resource *made)
{
    struct loader *loader = context;
    if (!loader->normals)
        return;
    struct value *normal = resource_value(loader->scratch, made);
    struct value *at = value_set(loader->scratch, normal, "at", value_map(loader->scratch));
    value_set_int(loader->scratch, at, "line", made->at.line);
    /* What it is made of lives in the builder's own scratch, and goes with the document. */
    value_append(loader->scratch, loader->normals, value_copy(loader->scratch, normal));
    loader->is_sensitive |= holds_sensitive(made->kind->spec, made->spec);
}

static int parse_put(struct loader *loader, const struct manifest_file *file, struct error *err)
{
    char blob[GIT_OID_HEXSZ + 1];
    if (loader->is_sensitive)
        return 0;
    git_oid_tostr(blob, sizeof(blob), &file->blob);
    loader->has_put = true;
    return store_parse_put(loader->store, blob, loader->normals, err);
}

/* ---- one file ----------------------------------------------------------------------- */

static int documents_add(struct loader *loader, const struct manifest_file *file, const char *data,
                         size_t len, struct error *err)
{
    size_t problems = loader->report->count;
    struct value *documents = NULL;
    loader->normals = fills_cache(loader) ? value_list(loader->scratch) : NULL;
    loader->is_sensitive = false;
    yaml_read(loader->scratch, file->path, data, len, &documents, loader->report);
    for (size_t i = 0; documents && i < documents->count; i++)
        set_builder_add(loader->builder, documents->items[i]);
    return loader->normals && loader->report->count == problems ? parse_put(loader, file, err) : 0;
}

/* What was read ahead has no problem: the rest is as of a file that is read here. */
static int taken_add(struct loader *loader, const struct manifest_file *file,
                     struct ahead_taken taken, struct error *err)
{
    loader->source->blobs_read++;
    int rc = bytes_count(loader->source, &loader->bytes, taken.bytes, err);
    if (rc < 0)
        return rc;
    loader->normals = fills_cache(loader) ? value_list(loader->scratch) : NULL;
    loader->is_sensitive = false;
    for (size_t i = 0; i < taken.count; i++)
        set_builder_take(loader->builder, &taken.made[i]);
    rc = loader->normals ? parse_put(loader, file, err) : 0;
    arena_reset(loader->scratch);
    return rc;
}

static int file_add(struct loader *loader, const struct manifest_file *file, struct error *err)
{
    const char *data = NULL;
    size_t len = 0;
    int rc = file->is_gone ? 1 : cached_add(loader, file, err);
    if (rc == 0)
        rc = data_get(loader, loader->scratch, file, &data, &len, err);
    if (rc == 0 && data)
        rc = documents_add(loader, file, data, len, err);
    arena_reset(loader->scratch); /* the set has copied what it keeps */
    return rc < 0 ? rc : 0;
}

/* ---- the whole ---------------------------------------------------------------------- */

static int sources_attach(struct loader *loader, struct error *err)
{
    for (size_t i = 0; i < loader->report->kept; i++) {
        const struct problem *problem = &loader->report->problems[i];
        struct manifest_file *file = problem->source || !problem->at.file
                                         ? NULL
                                         : file_find(loader, loader->count, problem->at.file);
        const char *data = NULL;
        size_t len = 0;
        if (!file || file->is_gone || file->has_source)
            continue;
        file->has_source = true;
        size_t before = loader->report->count;
        int rc = data_get(loader, loader->arena, file, &data, &len, err);
        report_forget(loader->report, before); /* that it is too big was said */
        if (rc < 0)
            return rc;
        if (data)
            report_attach_source(loader->report, file->path, data, len);
    }
    return 0;
}

static struct ahead_file file_ahead(const void *context, size_t i)
{
    const struct loader *loader = context;
    const struct manifest_file *file = &loader->files[i];
    return (struct ahead_file){file->path, file->given || file->is_gone ? NULL : &file->blob};
}

static int files_add(struct loader *loader, struct error *err)
{
    int rc = loader->store ? store_has_parses(loader->store, err) : 0;
    loader->has_parses = rc > 0;
    struct ahead *ahead = rc == 0 ? ahead_start(loader->source, loader->count, file_ahead, loader)
                                  : NULL; /* what is cached is not read */
    for (size_t i = 0; rc >= 0 && i < loader->count; i++) {
        struct ahead_taken taken = ahead_take(ahead, i);
        rc = taken.made ? taken_add(loader, &loader->files[i], taken, err)
                        : file_add(loader, &loader->files[i], err);
    }
    ahead_stop(ahead);
    return rc < 0 ? rc : 0;
}

/* In one transaction, of the caller's if there is one: many reads, and what is cached. */
static int files_add_all(struct loader *loader, struct error *err)
{
    struct store *store = loader->store;
    if (!store || store_in_batch(store))
        return files_add(loader, err);
    bool writes = fills_cache(loader);
    int rc = writes ? store_begin(store, err) : store_snapshot_begin(store, err);
    if (rc == 0)
        rc = files_add(loader, err);
    if (rc == 0 && loader->has_put)
        return store_commit(store, err);
    store_rollback(store);
    return rc;
}

static int set_load(struct loader *loader, const struct set **set, struct error *err)
{
    loader->builder = set_builder_new(loader->arena, loader->report);
    set_builder_watch(loader->builder, normal_keep, loader);
    int rc = files_add_all(loader, err);
    if (rc == 0 && loader->count > MANY_FILES) /* of what is cached, trees were read */
        repository_rest(loader->source);
    if (rc < 0) {
        set_builder_drop(loader->builder);
        return rc;
    }
    const struct set *made = set_builder_finish(loader->builder);
    rc = sources_attach(loader, err);
    if (rc == 0)
        *set = made;
    return rc;
}

int64_t source_room(const struct source *source)
{
    int64_t room = source->max_bytes / 2 - source->loaded_bytes;
    return room > 0 ? room : 0;
}

int source_load(struct source *source, struct store *store, struct arena *arena, const char *commit,
                const struct set **set, struct report *report, struct error *err)
{
    return source_overlay(source, store, arena, commit, NULL, 0, set, report, err);
}

int source_overlay(struct source *source, struct store *store, struct arena *arena,
                   const char *base_commit, const struct changed *changes, size_t count,
                   const struct set **set, struct report *report, struct error *err)
{
    struct loader loader = {
        .source = source, .store = store, .arena = arena, .scratch = arena_new(), .report = report};
    int rc = files_list(&loader, base_commit, err);
    if (rc == 0)
        rc = files_overlay(&loader, changes, count, err);
    if (rc == 0)
        rc = set_load(&loader, set, err);
    source->loaded_bytes = loader.bytes;
    arena_free(loader.scratch);
    free(loader.files);
    return rc;
}
