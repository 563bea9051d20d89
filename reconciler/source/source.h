/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_SOURCE_H
#define RECONCILER_SOURCE_SOURCE_H

#include <stddef.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/report.h"
#include "model/resource.h"
#include "model/site.h"

struct store;

/*
 * Source: a bare repository read by libgit2 from its object database, never
 * checked out. Regular blobs named *.yaml or *.yml (in any case) below the site's subdir are
 * manifests; hidden ones and spinel.yaml are skipped; a symbolic link or a
 * submodule among manifests is refused. No filters, no attributes, no config of
 * the user.
 */
struct source;

int source_open(const struct site *site, struct source **out, struct error *err);
/* As the hook opens it: objects of the push, still in quarantine, are seen too. */
int source_open_quarantine(const struct site *site, struct source **out, struct error *err);
void source_close(struct source *source); /* NULL is allowed */

/* The tip of the site's branch as hex. ERR_NOT_FOUND while the branch has no commit. */
int source_head(struct source *source, char commit[65], struct error *err);
/* A revision as a user types it (a full or short id, a branch, HEAD~1) to hex. */
int source_resolve(struct source *source, const char *rev, char commit[65], struct error *err);

struct commit_info {
    const char *author; /* "Name <mail>" */
    const char *subject;
    int64_t at; /* author's time, unix seconds */
};
int source_commit(struct source *source, struct arena *arena, const char *commit,
                  struct commit_info *out, struct error *err);
/* 1 if `ancestor` is an ancestor of (or equals) `commit`, 0 if not. */
int source_descends(struct source *source, const char *commit, const char *ancestor,
                    struct error *err);

/* One manifest that differs between two trees. */
struct changed {
    const char *path;
    const char *was;  /* hex of the blob before; NULL if it is new, or not told */
    const char *blob; /* hex of the new blob; NULL if it is gone */
    const char *data; /* its bytes, NUL-terminated; NULL if it is gone */
    size_t len;
};

/*
 * Manifests that differ between the trees of two commits, by comparing trees with
 * equal subtrees skipped (their ids tell). `from` NULL or "": everything in `to`.
 * Entries that may not be there (links, submodules, oversized) go to the report.
 */
int source_changes(struct source *source, struct arena *arena, const char *from, const char *to,
                   struct changed **out, size_t *count, struct report *report, struct error *err);

/* 1 if two commits have the same manifests, byte for byte under the same names; 0 if not, or if
 * anything in the second is to be reported. */
int source_same_manifests(struct source *source, const char *from, const char *to,
                          struct error *err);

/* More bytes of manifests than a change may have for the whole commit to stay surely within
 * maxBytes, which counts those that are in no cache; 0: none. */
int64_t source_room(const struct source *source);

/*
 * The set that a commit declares. With a store, parses are taken from and put
 * into its cache (put only if the store is open for writing). Returns 0 with
 * `*set` even if the report has problems: then the set is for messages only.
 */
int source_load(struct source *source, struct store *store, struct arena *arena, const char *commit,
                const struct set **set, struct report *report, struct error *err);

/* One manifest of a commit, read and checked by itself, into a builder: 1, or 0 if the commit has
 * none of this path. `*bytes` counts up to the site's limit over several. */
int source_manifest(struct source *source, const char *commit, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err);
/* The blob of one, in hex: 1, or 0 if the commit has none of this path. */
int source_blob(struct source *source, struct arena *arena, const char *commit, const char *path,
                const char **blob, struct error *err);
/* The same of a manifest that is known by its blob, or by its bytes. */
int source_manifest_blob(struct source *source, const char *blob, const char *path,
                         struct set_builder *builder, struct report *report, int64_t *bytes,
                         struct error *err);
void manifest_add(struct set_builder *builder, const char *path, const char *data, size_t len,
                  struct report *report);

/*
 * Brings the keys of manifests in the store (model/mention.h) to those of a commit, whose set is
 * given and valid: by what differs from the commit that they are of, or all anew. They count
 * only for who made them: `by` tells the program, its kinds and the site's limits.
 */
int source_mentions_put(struct source *source, struct store *store, const char *by,
                        const char *commit, const struct set *set, struct error *err);
/* True if the store has those of a commit; `*files` is how many manifests it has. */
bool source_mentions_are_of(struct store *store, const char *by, const char *commit,
                            int64_t *files);

/* The same over manifests that are given as data: what a push would lead to. `base`
 * are the manifests of the target, `changes` replace or remove some of them. */
int source_overlay(struct source *source, struct store *store, struct arena *arena,
                   const char *base_commit, const struct changed *changes, size_t count,
                   const struct set **set, struct report *report, struct error *err);

/* For `spinel check`: files and directories of the caller's own ("-" is standard
 * input). `*files` counts those read. */
int files_load(struct arena *arena, const char *const *paths, size_t count, const struct set **set,
               size_t *files, struct report *report, struct error *err);

#endif
