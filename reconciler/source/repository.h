/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_REPOSITORY_H
#define RECONCILER_SOURCE_REPOSITORY_H

#include <git2.h>
#include <stdbool.h>
#include <stdint.h>
#include "reconciler/source/source.h"

/* What the files of this folder share: an open repository and what was read of it. */
struct source {
    git_repository *repo;
    git_odb *odb;
    char *path;   /* as the site names it */
    char *branch; /* "main" */
    char *subdir; /* "" or "a/b": no slash at either end */
    char *owner;  /* as the site names it; NULL: whoever runs us */
    bool is_quarantine;
    int ahead_threads; /* that read ahead (ahead.h); 0: as many as help. Negative: none, for tests
                        */
    int64_t max_files;
    int64_t max_bytes;
    int64_t loaded_bytes; /* that the last load of a whole commit counted */
    uint64_t trees_read;  /* since it was opened: shows that equal subtrees cost nothing */
    uint64_t blobs_read;
};

enum { BLOB_MAX_BYTES = 16 << 20, COMMIT_MAX_BYTES = 1 << 20, TREE_MAX_BYTES = 64 << 20 };

/*
 * ERR_INVALID if the object is larger than that: what has a message of a gigabyte is refused
 * before it is read. What cannot be looked at passes; reading it says why.
 */
int size_check(struct source *source, const git_oid *id, size_t most, const char *what,
               struct error *err);

/* Fills `err` from libgit2's last error and its return code. */
int git_failed(int rc, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* An object of the repository is missing or not what its id says: ERR_CORRUPT. */
int git_damaged(int rc, struct error *err, const char *what, const char *where);
/* Says how to mend it, if the error is of a damaged repository. Returns the error's code. */
int git_hint(struct error *err);

/* Opens and checks the repository; refuses what git and libgit2 would read differently. */
int repository_open(struct source *source, struct error *err);

void repository_close(struct source *source);

/* Closes and opens it again, after very much was read: libgit2 keeps what it has unpacked, and the
 * pages of its packs, for as long as they are open. */
void repository_rest(struct source *source);
/* Opens it if it could not be opened again; else does nothing. */
int repository_need(struct source *source, struct error *err);

/* Makes the objects of a push seen that git still keeps apart. */
int quarantine_add(struct source *source, struct error *err);

/* Hex of a commit to the tree of the site's subdir: 1 with `*tree`, 0 if the commit has no
 * such folder. NULL or "" is the commit before the first: 0. */
int commit_tree(struct source *source, const char *commit, git_oid *tree, struct error *err);

/* True for a path that a manifest may have: relative, no "..", no ".git", no backslash, no
 * control character, valid UTF-8. */
bool path_is_fit(const char *path);
/* "*.yaml" or "*.yml" in any case, not hidden, not spinel.yaml. `name` is the last part
 * of a path. */
bool name_is_manifest(const char *name);

/* Counts bytes that were read up to the site's limit over one operation. */
int bytes_count(struct source *source, int64_t *bytes, size_t more, struct error *err);

/*
 * A blob's bytes, in the arena and NUL-terminated. What is larger than BLOB_MAX_BYTES is
 * reported as a problem of `path` without being read: then 0, and `*data` is NULL.
 * `*bytes` counts up to the site's limit over one operation.
 */
int blob_read(struct source *source, struct arena *arena, const git_oid *id, const char *path,
              int64_t *bytes, struct report *report, const char **data, size_t *len,
              struct error *err);

/* Called with a manifest that differs; `before` or `after` is NULL where there is none. */
typedef int tree_found(void *context, const char *path, const git_oid *before, const git_oid *after,
                       struct error *err);

/* Walks what differs between two trees (NULL: nothing there). Entries of `after` that may not
 * be there are reported. Paths are from the root of the repository, in the arena. */
int tree_compare(struct source *source, struct arena *arena, const git_oid *before,
                 const git_oid *after, struct report *report, tree_found *found, void *context,
                 struct error *err);

#endif
