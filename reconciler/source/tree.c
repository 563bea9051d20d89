/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two trees side by side. Entries of both are in git's order, so one merge finds
 * what differs, and a pair of equal ids is not opened: the cost follows the change
 * and not the repository. libgit2's own diff reads every tree, and flattens names.
 *
 * A pushed tree is hostile input: its order, names, depth, modes and the number of
 * visits (a few trees can name each other into millions of paths) are checked here,
 * and only regular files become manifests.
 */
#include "reconciler/source/repository.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

enum { DEPTH_MAX = 64, PATH_MAX_BYTES = 4096, VISITS_MIN = 50000 };

struct walk {
    struct source *source;
    struct arena *arena;
    struct report *report;
    tree_found *found;
    void *context;
    struct error *err;
    int64_t visits_left;
    int64_t files_left;
    unsigned depth;
};

/* ---- names -------------------------------------------------------------------------- */

static bool text_is_fit(const char *text)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (*at != '\0') {
        utf8proc_int32_t c;
        if (*at >= 0x20 && *at < 0x7f && *at != '\\') {
            at++;
            continue;
        }
        utf8proc_ssize_t n = utf8proc_iterate(at, -1, &c);
        if (n <= 0 || c == '\\')
            return false;
        utf8proc_category_t category = utf8proc_category(c);
        if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF)
            return false;
        at += n;
    }
    return true;
}

/* Past the format characters, which HFS+ leaves out when it compares names. */
static const char *format_skip(const char *at, const char *end)
{
    utf8proc_int32_t c;
    while (at < end && (unsigned char)*at >= 0x80) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, end - at, &c);
        if (n <= 0 || utf8proc_category(c) != UTF8PROC_CATEGORY_CF)
            break;
        at += n;
    }
    return at;
}

/* Where the name goes on after `wanted`; NULL if it begins otherwise. */
static const char *name_after(const char *name, const char *end, const char *wanted)
{
    for (; *wanted != '\0'; wanted++, name++) {
        name = format_skip(name, end);
        if (name == end || strncasecmp(name, wanted, 1) != 0)
            return NULL;
    }
    return name;
}

/* Where somebody checks out, HFS+ or NTFS may take a name for ".git" (by its short name, without
 * dots and spaces at the end, or as the name of a stream): git's verify_path() refuses these. */
static bool name_is_git(const char *name, size_t len)
{
    const char *end = name + len;
    const char *at = name_after(name, end, ".git");
    if (!at)
        at = name_after(name, end, "git~1");
    if (!at)
        return false;
    while ((at = format_skip(at, end)) < end && (*at == '.' || *at == ' '))
        at++;
    return at == end || *at == ':' || *at == '\\';
}

static bool name_is_fit(const char *name, size_t len)
{
    if (len == 0 || name[len - 1] == '.' || name[len - 1] == ' ')
        return false;
    return !name_is_git(name, len);
}

bool path_is_fit(const char *path)
{
    if (strlen(path) > PATH_MAX_BYTES || !text_is_fit(path))
        return false;
    for (const char *name = path;; name++) {
        size_t len = strcspn(name, "/");
        if (!name_is_fit(name, len))
            return false;
        name += len;
        if (*name == '\0')
            return true;
    }
}

bool name_is_manifest(const char *name)
{
    const char *end = strrchr(name, '.');
    if (name[0] == '.' || !end || strcmp(name, "spinel.yaml") == 0)
        return false;
    return strcasecmp(end, ".yaml") == 0 || strcasecmp(end, ".yml") == 0;
}

/* ---- one side of the merge ---------------------------------------------------------- */

struct side {
    git_tree *tree;
    size_t next;
    const git_tree_entry *entry; /* the current one, NULL at the end */
};

static bool is_tree(const git_tree_entry *entry)
{
    return git_tree_entry_filemode_raw(entry) == GIT_FILEMODE_TREE;
}

/* Git's order: bytewise, a tree as if its name ended in a slash. */
static int entry_compare(const git_tree_entry *a, const git_tree_entry *b)
{
    const char *a_name = git_tree_entry_name(a), *b_name = git_tree_entry_name(b);
    size_t a_len = strlen(a_name), b_len = strlen(b_name);
    size_t len = a_len < b_len ? a_len : b_len;
    int by = memcmp(a_name, b_name, len);
    if (by != 0)
        return by;
    int a_end = a_len > len ? (unsigned char)a_name[len] : (is_tree(a) ? '/' : 0);
    int b_end = b_len > len ? (unsigned char)b_name[len] : (is_tree(b) ? '/' : 0);
    return a_end - b_end;
}

static int side_open(struct walk *walk, struct side *side, const git_oid *id, const char *path)
{
    *side = (struct side){0};
    if (!id)
        return 0;
    if (walk->visits_left-- <= 0) {
        error_set(walk->err, ERR_INVALID, "the commit has too many folders to be read");
        return error_hint(walk->err, "Raise spec.repository.maxFiles in the site file if that is "
                                     "meant.");
    }
    walk->source->trees_read++;
    const char *what = path[0] ? path : "the root folder";
    int rc = size_check(walk->source, id, TREE_MAX_BYTES, what, walk->err);
    if (rc < 0)
        return rc;
    rc = git_tree_lookup(&side->tree, walk->source->repo, id);
    if (rc < 0)
        return git_damaged(rc, walk->err, what, walk->source->path);
    side->entry = git_tree_entry_byindex(side->tree, 0);
    return 0;
}

/* An order that git would not have written could hide entries from the merge. */
static int side_advance(struct walk *walk, struct side *side, const char *path)
{
    const git_tree_entry *last = side->entry;
    side->entry = git_tree_entry_byindex(side->tree, ++side->next);
    if (!side->entry || entry_compare(last, side->entry) < 0)
        return 0;
    error_set(walk->err, ERR_INVALID, "folder \"%s\" of the commit is not sorted as git sorts it",
              path);
    return error_hint(walk->err, "Commit it again with git itself; `git fsck` shows the tree.");
}

/* ---- what an entry is --------------------------------------------------------------- */

enum role { ROLE_NONE, ROLE_TREE, ROLE_MANIFEST, ROLE_BAD_NAME, ROLE_LINK, ROLE_MODULE, ROLE_MODE };

static enum role entry_role(const git_tree_entry *entry)
{
    const char *name = git_tree_entry_name(entry);
    unsigned mode = (unsigned)git_tree_entry_filemode_raw(entry);
    if (!name_is_fit(name, strlen(name)) || strchr(name, '/'))
        return ROLE_BAD_NAME;
    if (name[0] == '.')
        return ROLE_NONE;
    if (mode == GIT_FILEMODE_COMMIT)
        return ROLE_MODULE;
    if (mode != GIT_FILEMODE_TREE && !name_is_manifest(name))
        return ROLE_NONE;
    if (!text_is_fit(name))
        return ROLE_BAD_NAME;
    if (mode == GIT_FILEMODE_TREE)
        return ROLE_TREE;
    if (mode == GIT_FILEMODE_LINK)
        return ROLE_LINK;
    return mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE ? ROLE_MANIFEST
                                                                             : ROLE_MODE;
}

/* A path that may be shown: what is not fit is written as \xNN. */
static const char *path_shown(struct arena *arena, const char *path)
{
    char *shown = arena_alloc(arena, strlen(path) * 4 + 1);
    char *to = shown;
    for (; *path != '\0'; path++) {
        if ((unsigned char)*path >= 0x20 && (unsigned char)*path < 0x7f && *path != '\\')
            *to++ = *path;
        else
            to += sprintf(to, "\\x%02x", (unsigned char)*path);
    }
    return shown;
}

static void role_report(struct walk *walk, enum role role, const char *path)
{
    struct position at = {.file = path, .line = 1, .column = 1};
    if (!walk->report)
        return;
    switch (role) {
    case ROLE_BAD_NAME:
        at.file = path_shown(walk->arena, path);
        report_add(
            walk->report, at, "bad-name",
            "this name may not be in the repository: \"..\", \".git\" and what a file system "
            "takes for it, a dot or a space at the end, backslashes, control characters and "
            "invalid UTF-8 are refused");
        break;
    case ROLE_LINK:
        report_add(walk->report, at, "not-a-file",
                   "a symbolic link is not followed; put the manifest itself here");
        break;
    case ROLE_MODULE:
        report_add(walk->report, at, "not-a-file",
                   "a submodule is not followed; put the manifests themselves here");
        break;
    case ROLE_MODE:
        report_add(walk->report, at, "not-a-file",
                   "its mode is not that of a regular file (100644 or 100755)");
        break;
    default:
        break;
    }
}

/* ---- the merge ---------------------------------------------------------------------- */

static int pair_walk(struct walk *walk, const git_oid *before, const git_oid *after,
                     const char *path);

static int files_count(struct walk *walk)
{
    if (walk->files_left-- > 0)
        return 0;
    error_set(walk->err, ERR_INVALID, "the commit has more than %lld manifests",
              (long long)walk->source->max_files);
    return error_hint(walk->err, "Raise spec.repository.maxFiles in the site file if that is "
                                 "meant.");
}

static const git_oid *id_in_role(const git_tree_entry *entry, enum role role, enum role wanted)
{
    return entry && role == wanted ? git_tree_entry_id(entry) : NULL;
}

static const char *path_join(struct arena *arena, const char *folder, const char *name)
{
    size_t folder_len = strlen(folder), name_len = strlen(name);
    if (folder_len == 0)
        return arena_text(arena, name);
    char *path = arena_text_room(arena, folder_len + 1 + name_len);
    char *end = mempcpy(path, folder, folder_len);
    *end++ = '/';
    memcpy(end, name, name_len + 1);
    return path;
}

/* Two entries of one name, or one and NULL. */
static int entry_visit(struct walk *walk, const git_tree_entry *before, const git_tree_entry *after,
                       const char *folder)
{
    enum role was = before ? entry_role(before) : ROLE_NONE;
    enum role is = after ? entry_role(after) : ROLE_NONE;
    if (was == ROLE_NONE && is == ROLE_NONE)
        return 0;
    const char *name = git_tree_entry_name(after ? after : before);
    const char *path = path_join(walk->arena, folder, name);
    if (strlen(path) > PATH_MAX_BYTES)
        return error_set(walk->err, ERR_INVALID, "the path %.80s... is too long", path);
    role_report(walk, is, path);
    if (was == ROLE_TREE || is == ROLE_TREE)
        return pair_walk(walk, id_in_role(before, was, ROLE_TREE), id_in_role(after, is, ROLE_TREE),
                         path);
    const git_oid *old = id_in_role(before, was, ROLE_MANIFEST);
    const git_oid *new = id_in_role(after, is, ROLE_MANIFEST);
    if ((!old && !new) || (old && new &&git_oid_equal(old, new)))
        return 0;
    int rc = files_count(walk);
    return rc < 0 ? rc : walk->found(walk->context, path, old, new, walk->err);
}

static int sides_merge(struct walk *walk, struct side *a, struct side *b, const char *path)
{
    int rc = 0;
    while (rc == 0 && (a->entry || b->entry)) {
        int by = !a->entry ? 1 : !b->entry ? -1 : entry_compare(a->entry, b->entry);
        const git_tree_entry *before = by <= 0 ? a->entry : NULL;
        const git_tree_entry *after = by >= 0 ? b->entry : NULL;
        bool is_same = before && after &&
                       git_oid_equal(git_tree_entry_id(before), git_tree_entry_id(after)) &&
                       git_tree_entry_filemode_raw(before) == git_tree_entry_filemode_raw(after);
        if (!is_same)
            rc = entry_visit(walk, before, after, path);
        if (rc == 0 && before)
            rc = side_advance(walk, a, path);
        if (rc == 0 && after)
            rc = side_advance(walk, b, path);
    }
    return rc;
}

static int pair_walk(struct walk *walk, const git_oid *before, const git_oid *after,
                     const char *path)
{
    struct side a = {0}, b = {0};
    if (before && after && git_oid_equal(before, after))
        return 0;
    if (walk->depth >= DEPTH_MAX)
        return error_set(walk->err, ERR_INVALID, "folders of the commit are nested deeper than %d",
                         DEPTH_MAX);
    walk->depth++;
    int rc = side_open(walk, &a, before, path);
    if (rc == 0)
        rc = side_open(walk, &b, after, path);
    if (rc == 0)
        rc = sides_merge(walk, &a, &b, path);
    git_tree_free(a.tree);
    git_tree_free(b.tree);
    walk->depth--;
    return rc;
}

int tree_compare(struct source *source, struct arena *arena, const git_oid *before,
                 const git_oid *after, struct report *report, tree_found *found, void *context,
                 struct error *err)
{
    int64_t visits = source->max_files / 4;
    struct walk walk = {
        .source = source,
        .arena = arena,
        .report = report,
        .found = found,
        .context = context,
        .err = err,
        .visits_left = visits > VISITS_MIN ? visits : VISITS_MIN,
        .files_left = source->max_files,
    };
    return pair_walk(&walk, before, after, source->subdir);
}
