/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Revisions of the repository: its head, what a person types, who made a commit and
 * what it descends from. A revision is parsed here and looked up by id or by exact
 * reference name; text of a user never reaches libgit2's own revision parser.
 */
#include "reconciler/source/source.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>
#include "model/invariant.h"
#include "model/text.h"
#include "reconciler/source/bound.h"
#include "reconciler/source/repository.h"

enum {
    REV_MAX_TEXT = 256,
    REV_MAX_STEPS = 100000,
    SHORT_MIN = 4,   /* hex digits of an abbreviated id */
    SHOWN_MAX = 200, /* bytes of an author or subject that are kept */
};

/* ---- opening ------------------------------------------------------------------------ */

static char *copy(const char *text)
{
    char *copied = memory_need(strdup(text));
    return copied;
}

/* "./a/b/" to "a/b" */
static char *subdir_trim(const char *subdir)
{
    while (subdir[0] == '/' || (subdir[0] == '.' && (subdir[1] == '/' || subdir[1] == '\0')))
        subdir++;
    char *trimmed = copy(subdir);
    for (size_t len = strlen(trimmed); len > 0 && trimmed[len - 1] == '/'; len--)
        trimmed[len - 1] = '\0';
    return trimmed;
}

/* ERR_INVALID names the line of the site file that is wrong. */
static int names_check(struct source *source, struct error *err)
{
    struct text ref = TEXT_INIT;
    int valid = 0;
    text_printf(&ref, "refs/heads/%s", source->branch);
    git_reference_name_is_valid(&valid, ref.data);
    text_free(&ref);
    if (!valid)
        return error_set(err, ERR_INVALID,
                         "spec.repository.branch in the site file, \"%s\", cannot "
                         "be a branch",
                         source->branch);
    if (source->subdir[0] != '\0' && !path_is_fit(source->subdir))
        return error_set(err, ERR_INVALID,
                         "spec.repository.subdir in the site file, \"%s\", cannot "
                         "be a folder of a repository",
                         source->subdir);
    return 0;
}

static struct source *source_new(const struct site *site)
{
    struct source *source = memory_need(calloc(1, sizeof(*source)));
    source->path = copy(site->repository.path);
    source->branch = copy(site->repository.branch);
    source->subdir = subdir_trim(site->repository.subdir ? site->repository.subdir : "");
    source->owner = site->repository.owner ? copy(site->repository.owner) : NULL;
    source->max_files = site->repository.max_files;
    source->max_bytes = site->repository.max_bytes;
    return source;
}

int source_open(const struct site *site, struct source **out, struct error *err)
{
    int users = git_libgit2_init();
    if (users < 0)
        return error_set(err, ERR_SYSTEM, "cannot start libgit2");
    if (users == 1)
        bound_install();
    struct source *source = source_new(site);
    int rc = names_check(source, err);
    if (rc == 0)
        rc = repository_open(source, err);
    if (rc < 0) {
        source_close(source);
        return rc;
    }
    *out = source;
    return 0;
}

int source_open_quarantine(const struct site *site, struct source **out, struct error *err)
{
    struct source *source = NULL;
    int rc = source_open(site, &source, err);
    if (rc < 0)
        return rc;
    rc = quarantine_add(source, err);
    if (rc < 0) {
        source_close(source);
        return rc;
    }
    *out = source;
    return 0;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    repository_close(source);
    free(source->path);
    free(source->branch);
    free(source->subdir);
    free(source->owner);
    free(source);
    git_libgit2_shutdown();
}

/* ---- revisions ---------------------------------------------------------------------- */

static void id_write(const git_oid *id, char commit[65])
{
    git_oid_tostr(commit, GIT_OID_HEXSZ + 1, id);
}

static int reference_find(struct source *source, const char *name, git_oid *id)
{
    return git_reference_name_to_id(id, source->repo, name);
}

/* libgit2 says of a repository that is gone what it says of a branch that is not there. */
static int head_missing(const struct source *source, struct error *err)
{
    if (access(source->path, F_OK) < 0)
        return error_sys(err, "cannot open the repository %s", source->path);
    error_set(err, ERR_NOT_FOUND, "branch %s of %s has no commit yet", source->branch,
              source->path);
    return error_hint(err, "Push one: git push origin HEAD:%s", source->branch);
}

static int head_broken(int rc, const struct source *source, struct error *err)
{
    git_failed(rc, err, "cannot read branch %s of %s", source->branch, source->path);
    return error_hint(err,
                      "`git fsck` in the repository says more. If refs/heads/%s there is a file "
                      "that a power cut left empty: remove it, and push again from a clone.",
                      source->branch);
}

int source_head(struct source *source, char commit[65], struct error *err)
{
    struct text ref = TEXT_INIT;
    git_oid id;
    if (repository_need(source, err) < 0)
        return err->code;
    text_printf(&ref, "refs/heads/%s", source->branch);
    int rc = reference_find(source, ref.data, &id);
    text_free(&ref);
    if (rc == GIT_ENOTFOUND)
        return head_missing(source, err);
    if (rc < 0)
        return head_broken(rc, source, err);
    id_write(&id, commit);
    return 0;
}

static int rev_refused(const char *rev, const char *why, struct error *err)
{
    error_set(err, ERR_INVALID, "\"%.64s\" is not a revision: %s", rev, why);
    return error_hint(err,
                      "A revision is a commit id of at least %d digits, a branch or HEAD, and "
                      "may end in ~N or ^N.",
                      SHORT_MIN);
}

static bool is_hex(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

/* The commit that an id of `len` digits means. */
static int id_resolve(struct source *source, const char *rev, git_oid *id, struct error *err)
{
    git_oid prefix;
    size_t len = strlen(rev);
    git_commit *commit = NULL;
    int rc = git_oid_fromstrn(&prefix, rev, len);
    if (rc == 0)
        rc = git_commit_lookup_prefix(&commit, source->repo, &prefix, len);
    if (rc == GIT_EAMBIGUOUS)
        return rev_refused(rev, "more than one object begins with it", err);
    if (rc < 0) {
        error_set(err, ERR_NOT_FOUND, "%s has no commit %s", source->path, rev);
        return error_hint(err, "`git log` in a clone shows the commits; was it pushed?");
    }
    *id = *git_commit_id(commit);
    git_commit_free(commit);
    return 0;
}

static bool name_resolve(struct source *source, const char *prefix, const char *base, git_oid *id)
{
    struct text name = TEXT_INIT;
    int valid = 0;
    text_printf(&name, "%s%s", prefix, base);
    git_reference_name_is_valid(&valid, name.data);
    bool found = valid && reference_find(source, name.data, id) == 0;
    text_free(&name);
    return found;
}

/* As git has it: a whole id first, then names, then the beginning of an id. */
static int base_resolve(struct source *source, const char *base, git_oid *id, struct error *err)
{
    size_t len = strlen(base);
    bool is_full_name = strncmp(base, "refs/", 5) == 0 || strcmp(base, "HEAD") == 0;
    if (is_hex(base) && len == GIT_OID_HEXSZ)
        return id_resolve(source, base, id, err);
    if (name_resolve(source, "refs/heads/", base, id))
        return 0;
    if (is_full_name && name_resolve(source, "", base, id))
        return 0;
    if (is_hex(base) && len >= SHORT_MIN && len < GIT_OID_HEXSZ)
        return id_resolve(source, base, id, err);
    error_set(err, ERR_NOT_FOUND, "%s has no branch or commit \"%s\"", source->path, base);
    return error_hint(err, "`git branch` in the repository lists its branches.");
}

/* One "~n" or "^n" of a revision. */
static int step_take(struct source *source, char kind, unsigned long n, git_oid *id,
                     struct error *err)
{
    git_commit *commit = NULL, *ancestor = NULL;
    int rc = git_commit_lookup(&commit, source->repo, id);
    if (rc < 0)
        return git_failed(rc, err, "cannot read a commit of %s", source->path);
    if (kind == '~')
        rc = git_commit_nth_gen_ancestor(&ancestor, commit, (unsigned)n);
    else if (n == 0)
        rc = git_commit_dup(&ancestor, commit);
    else
        rc = git_commit_parent(&ancestor, commit, (unsigned)n - 1);
    if (rc == 0)
        *id = *git_commit_id(ancestor);
    git_commit_free(ancestor);
    git_commit_free(commit);
    return rc == 0 ? 0
                   : error_set(err, ERR_NOT_FOUND,
                               "the history of %s does not go back that "
                               "far",
                               source->path);
}

static int steps_take(struct source *source, const char *rev, const char *steps, git_oid *id,
                      struct error *err)
{
    while (*steps != '\0') {
        char kind = *steps++;
        unsigned long n = 1;
        if (isdigit((unsigned char)*steps)) {
            char *end;
            n = strtoul(steps, &end, 10);
            steps = end;
        }
        if (n > REV_MAX_STEPS || (kind != '~' && kind != '^'))
            return rev_refused(rev, "its end is not ~N or ^N", err);
        int rc = step_take(source, kind, n, id, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int source_resolve(struct source *source, const char *rev, char commit[65], struct error *err)
{
    char base[REV_MAX_TEXT];
    git_oid id;
    size_t len = strcspn(rev, "~^");
    if (strlen(rev) >= sizeof(base))
        return rev_refused(rev, "it is too long", err);
    if (len == 0 || rev[0] == '-')
        return rev_refused(rev, "it does not begin with a name or an id", err);
    memcpy(base, rev, len);
    base[len] = '\0';
    if (base[strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-")])
        return rev_refused(rev, "it holds a character that no name of a branch here has", err);
    int rc = base_resolve(source, base, &id, err);
    if (rc == 0)
        rc = steps_take(source, rev, rev + len, &id, err);
    if (rc == 0)
        id_write(&id, commit);
    return rc;
}

/* ---- commits ------------------------------------------------------------------------ */

static int commit_missing(struct source *source, const git_oid *id, const char *hex,
                          struct error *err)
{
    size_t size;
    git_object_t type;
    if (git_odb_read_header(&size, &type, source->odb, id) < 0) {
        error_set(err, ERR_NOT_FOUND, "%s has no commit %.12s", source->path, hex);
        return error_hint(err, "If a branch points at it, the repository is damaged: `git fsck` "
                               "there shows it, and a push from a clone that has it mends it.");
    }
    error_set(err, ERR_NOT_FOUND, "%.12s in %s is a %s, not a commit", hex, source->path,
              git_object_type2string(type));
    return type == GIT_OBJECT_TAG
               ? error_hint(err, "Push what it points at: git push origin TAG^{commit}:%s",
                            source->branch)
               : err->code;
}

static int commit_read(struct source *source, const char *hex, git_commit **commit,
                       struct error *err)
{
    git_oid id;
    if (!is_hex(hex) || strlen(hex) != GIT_OID_HEXSZ || git_oid_fromstr(&id, hex) < 0)
        return error_set(err, ERR_INVALID, "\"%.64s\" is not the id of a commit", hex);
    int rc = repository_need(source, err);
    if (rc == 0)
        rc = size_check(source, &id, COMMIT_MAX_BYTES, "the commit", err);
    if (rc < 0)
        return rc;
    rc = git_commit_lookup(commit, source->repo, &id);
    if (rc == GIT_ENOTFOUND)
        return commit_missing(source, &id, hex, err);
    if (rc < 0)
        git_failed(rc, err, "cannot read commit %.12s from %s", hex, source->path);
    return rc < 0 ? git_hint(err) : 0;
}

/* Commits hold any bytes; what is shown is text of one line. */
static char *text_clean(struct arena *arena, const char *bytes)
{
    struct text out = TEXT_INIT;
    size_t len = strlen(bytes);
    for (size_t at = 0; at < len && out.len < SHOWN_MAX;) {
        bool shown;
        size_t size = text_next_shown(bytes + at, len - at, &shown);
        text_add_shown(&out, bytes + at, size);
        at += size;
    }
    char *clean = arena_text_n(arena, out.data, out.len);
    text_free(&out);
    return clean;
}

int source_commit(struct source *source, struct arena *arena, const char *commit,
                  struct commit_info *out, struct error *err)
{
    git_commit *read = NULL;
    int rc = commit_read(source, commit, &read, err);
    if (rc < 0)
        return rc;
    const git_signature *author = git_commit_author(read);
    const char *summary = git_commit_summary(read);
    char *who =
        arena_printf(arena, "%s <%s>", author ? author->name : "", author ? author->email : "");
    *out = (struct commit_info){
        .author = text_clean(arena, who),
        .subject = text_clean(arena, summary ? summary : ""),
        .at = author ? author->when.time : 0,
    };
    git_commit_free(read);
    return 0;
}

int source_descends(struct source *source, const char *commit, const char *ancestor,
                    struct error *err)
{
    git_commit *younger = NULL, *older = NULL;
    int rc = commit_read(source, commit, &younger, err);
    if (rc == 0)
        rc = commit_read(source, ancestor, &older, err);
    if (rc == 0 && git_oid_equal(git_commit_id(younger), git_commit_id(older)))
        rc = 1;
    else if (rc == 0) {
        rc = git_graph_descendant_of(source->repo, git_commit_id(younger), git_commit_id(older));
        if (rc < 0)
            rc = git_failed(rc, err, "cannot walk the history of %.12s", commit);
    }
    git_commit_free(older);
    git_commit_free(younger);
    return rc;
}

int commit_tree(struct source *source, const char *commit, git_oid *tree, struct error *err)
{
    git_commit *read = NULL;
    git_tree *root = NULL;
    git_tree_entry *entry = NULL;
    if (!commit || commit[0] == '\0')
        return 0;
    int rc = commit_read(source, commit, &read, err);
    if (rc < 0)
        return rc;
    *tree = *git_commit_tree_id(read);
    rc = 1;
    if (source->subdir[0] == '\0')
        goto out;
    rc = git_commit_tree(&root, read);
    if (rc == 0)
        rc = git_tree_entry_bypath(&entry, root, source->subdir);
    if (rc == GIT_ENOTFOUND) {
        rc = 0;
    } else if (rc < 0) {
        rc = git_failed(rc, err, "cannot read folder %s of commit %.12s", source->subdir, commit);
    } else if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
        *tree = *git_tree_entry_id(entry);
        rc = 1;
    }
out:
    git_tree_entry_free(entry);
    git_tree_free(root);
    git_commit_free(read);
    return rc;
}
