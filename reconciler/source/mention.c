/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The keys of the target's manifests, kept in the store so that who has something in common with a
 * manifest is found without reading the others. A key follows from its own manifest alone: a new
 * target costs the manifests that it changes, whose former keys are read from what they were.
 */
#include "reconciler/source/repository.h"

#include <stdlib.h>
#include <string.h>
#include "model/hash.h"
#include "model/json.h"
#include "model/mention.h"
#include "model/sort.h"
#include "model/yaml.h"
#include "reconciler/store/store.h"

/* Beyond so many changed manifests all keys are made anew, from the set that is there already. */
enum { CHANGES_MAX = 1000 };

/* ---- one manifest ------------------------------------------------------------------- */

void manifest_add(struct set_builder *builder, const char *path, const char *data, size_t len,
                  struct report *report)
{
    struct arena *scratch = arena_new();
    struct value *documents = NULL;
    yaml_read(scratch, path, data, len, &documents, report);
    for (size_t i = 0; documents && i < documents->count; i++)
        set_builder_add(builder, documents->items[i]);
    arena_free(scratch);
}

static int blob_add(struct source *source, const git_oid *id, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err)
{
    struct arena *scratch = arena_new();
    const char *data = NULL;
    size_t len = 0;
    int rc = blob_read(source, scratch, id, path, bytes, report, &data, &len, err);
    if (rc == 0 && data)
        manifest_add(builder, path, data, len, report);
    arena_free(scratch);
    return rc;
}

int source_manifest_blob(struct source *source, const char *blob, const char *path,
                         struct set_builder *builder, struct report *report, int64_t *bytes,
                         struct error *err)
{
    git_oid id;
    if (git_oid_fromstr(&id, blob) < 0)
        return error_set(err, ERR_INVALID, "\"%.64s\" is not the id of a blob", blob);
    return blob_add(source, &id, path, builder, report, bytes, err);
}

static int blob_find(struct source *source, const char *commit, const char *path, git_oid *id,
                     struct error *err)
{
    git_oid commit_id;
    git_commit *read = NULL;
    git_tree *root = NULL;
    git_tree_entry *entry = NULL;
    int rc = git_oid_fromstr(&commit_id, commit);
    if (rc == 0)
        rc = git_commit_lookup(&read, source->repo, &commit_id);
    if (rc == 0)
        rc = git_commit_tree(&root, read);
    if (rc == 0)
        rc = git_tree_entry_bypath(&entry, root, path);
    if (rc == 0)
        *id = *git_tree_entry_id(entry);
    git_tree_entry_free(entry);
    git_tree_free(root);
    git_commit_free(read);
    if (rc == GIT_ENOTFOUND)
        return 0;
    return rc < 0 ? git_failed(rc, err, "cannot read %s of commit %.12s", path, commit) : 1;
}

int source_blob(struct source *source, struct arena *arena, const char *commit, const char *path,
                const char **blob, struct error *err)
{
    git_oid id;
    int rc = blob_find(source, commit, path, &id, err);
    if (rc > 0)
        *blob = arena_text(arena, git_oid_tostr_s(&id));
    return rc;
}

int source_manifest(struct source *source, const char *commit, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err)
{
    git_oid id;
    int rc = blob_find(source, commit, path, &id, err);
    if (rc <= 0)
        return rc;
    rc = blob_add(source, &id, path, builder, report, bytes, err);
    return rc < 0 ? rc : 1;
}

/* ---- what they are of --------------------------------------------------------------- */

static const struct value *fact_read(struct store *store, struct arena *arena, const char *by)
{
    struct error ignored = ERROR_INIT;
    struct value *fact = NULL;
    const char *text = NULL;
    if (store_fact_get(store, arena, "mentions", &text, &ignored) < 0 || !text ||
        json_read_own(arena, text, strlen(text), &fact, &ignored) < 0)
        return NULL;
    return strcmp(value_get_text(fact, "by", ""), by) == 0 ? fact : NULL;
}

bool source_mentions_are_of(struct store *store, const char *by, const char *commit, int64_t *files)
{
    struct arena *arena = arena_new();
    const struct value *fact = fact_read(store, arena, by);
    bool is_it = strcmp(value_get_text(fact, "commit", ""), commit) == 0;
    *files = value_get_int(fact, "files", 0);
    arena_free(arena);
    return is_it;
}

static int fact_write(struct store *store, struct arena *arena, const char *by, const char *commit,
                      int64_t files, struct error *err)
{
    struct value *fact = value_map(arena);
    value_set_text(arena, fact, "by", by);
    value_set_text(arena, fact, "commit", commit);
    value_set_int(arena, fact, "files", files);
    return store_fact_put(store, "mentions", json_text(arena, fact), err);
}

/* ---- by what differs ---------------------------------------------------------------- */

struct blob_change {
    const char *path;
    git_oid before, after;
    bool was, is;
};

struct update {
    struct source *source;
    struct store *store;
    struct arena *arena;
    struct blob_change *items;
    size_t count;
    int64_t files;
    const char *path; /* whose keys are written */
    int (*write)(struct store *store, int64_t key, const char *path, struct error *err);
    int rc;
    struct error *err;
};

static int change_found(void *context, const char *path, const git_oid *before,
                        const git_oid *after, struct error *err)
{
    struct update *update = context;
    if (update->count == CHANGES_MAX)
        return error_set(err, ERR_CONFLICT, "too much has changed");
    struct blob_change *item = &update->items[update->count++];
    *item = (struct blob_change){.path = path, .was = before != NULL, .is = after != NULL};
    if (before)
        item->before = *before;
    if (after)
        item->after = *after;
    update->files += (after != NULL) - (before != NULL);
    return 0;
}

/* False if it cannot be told: then they are made anew. */
static bool differences_find(struct update *update, const char *from, const char *to)
{
    struct error ignored = ERROR_INIT;
    git_oid before, after;
    int has_before = commit_tree(update->source, from, &before, &ignored);
    int has_after = commit_tree(update->source, to, &after, &ignored);
    update->items = arena_array(update->arena, CHANGES_MAX, sizeof(*update->items));
    return has_before > 0 && has_after > 0 &&
           tree_compare(update->source, update->arena, &before, &after, NULL, change_found, update,
                        &ignored) == 0;
}

static void key_write(void *context, const struct mentioned *mentioned)
{
    struct update *update = context;
    if (update->rc == 0)
        update->rc = update->write(update->store, mentioned->key, update->path, update->err);
}

static int keys_write(struct update *update, const git_oid *blob, const char *path,
                      int (*write)(struct store *, int64_t, const char *, struct error *))
{
    struct arena *arena = arena_new();
    struct report report;
    report_init(&report, arena);
    struct set_builder *builder = set_builder_new(arena, &report);
    int64_t bytes = 0;
    size_t count = 0;
    update->path = path;
    update->write = write;
    update->rc = blob_add(update->source, blob, path, builder, &report, &bytes, update->err);
    struct resource *const *added = set_builder_added(builder, &count);
    for (size_t i = 0; i < count; i++)
        mentions_each(added[i], key_write, update);
    set_builder_drop(builder);
    arena_free(arena);
    return update->rc;
}

static int differences_write(struct update *update)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < update->count; i++) {
        const struct blob_change *item = &update->items[i];
        if (item->was)
            rc = keys_write(update, &item->before, item->path, store_mention_drop);
        if (rc == 0 && item->is)
            rc = keys_write(update, &item->after, item->path, store_mention_put);
    }
    return rc;
}

/* ---- all anew ----------------------------------------------------------------------- */

struct entry {
    int64_t key;
    const char *path;
};

struct entries {
    struct entry *items; /* heap */
    size_t count, room;
    const char *path;
};

static void entry_add(void *context, const struct mentioned *mentioned)
{
    struct entries *entries = context;
    if (entries->count == entries->room) {
        entries->room = entries->room ? entries->room * 2 : 1024;
        entries->items =
            memory_need(reallocarray(entries->items, entries->room, sizeof(struct entry)));
    }
    entries->items[entries->count++] = (struct entry){mentioned->key, entries->path};
}

static int entry_compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* In the table's own order: each row goes to its end. */
static int set_write(struct store *store, const struct set *set, struct error *err)
{
    struct entries entries = {0};
    for (size_t i = 0; i < set->count; i++) {
        entries.path = set->resources[i]->at.file;
        if (!set->resources[i]->owner)
            mentions_each(set->resources[i], entry_add, &entries);
    }
    if (entries.count > 0)
        sort_items(entries.items, entries.count, sizeof(struct entry), entry_compare);
    int rc = store_mentions_clear(store, err);
    for (size_t i = 0; rc == 0 && i < entries.count; i++)
        rc = store_mention_put(store, entries.items[i].key, entries.items[i].path, err);
    free(entries.items);
    return rc;
}

static int file_count(void *context, const char *path, const git_oid *before, const git_oid *after,
                      struct error *err)
{
    (void)path;
    (void)before;
    (void)after;
    (void)err;
    ++*(int64_t *)context;
    return 0;
}

static int files_count(struct source *source, struct arena *arena, const char *commit,
                       int64_t *files, struct error *err)
{
    git_oid tree;
    int has = commit_tree(source, commit, &tree, err);
    *files = 0;
    return has <= 0 ? has : tree_compare(source, arena, NULL, &tree, NULL, file_count, files, err);
}

/* ---- both --------------------------------------------------------------------------- */

static int mentions_write(struct update *update, const struct value *fact, const char *by,
                          const char *commit, const struct set *set, struct error *err)
{
    int rc;
    update->files = value_get_int(fact, "files", 0);
    if (fact && differences_find(update, value_get_text(fact, "commit", ""), commit)) {
        rc = differences_write(update);
    } else {
        rc = files_count(update->source, update->arena, commit, &update->files, err);
        if (rc == 0)
            rc = set_write(update->store, set, err);
        if (rc == 0)
            repository_rest(update->source);
    }
    return rc < 0 ? rc : fact_write(update->store, update->arena, by, commit, update->files, err);
}

int source_mentions_put(struct source *source, struct store *store, const char *by,
                        const char *commit, const struct set *set, struct error *err)
{
    struct update update = {.source = source, .store = store, .arena = arena_new(), .err = err};
    const struct value *fact = fact_read(store, update.arena, by);
    bool own = !store_in_batch(store);
    int rc = 0;
    if (fact && strcmp(value_get_text(fact, "commit", ""), commit) == 0)
        goto out;
    rc = own ? store_begin(store, err) : 0;
    if (rc == 0)
        rc = mentions_write(&update, fact, by, commit, set, err);
    if (own && rc == 0)
        rc = store_commit(store, err);
    else if (own && store_in_batch(store))
        store_rollback(store);
out:
    arena_free(update.arena);
    return rc;
}
