/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Opening a repository that somebody else may push to. libgit2 is kept from every
 * configuration but the repository's own, and from the environment. Its owner check
 * knows one answer for all paths, so it is off, and this file makes the check for
 * the one repository that the site names. What git and libgit2 would read
 * differently (replaced objects, grafts, borrowed objects) is refused: what a person
 * reviews with git is what Spinel applies.
 */
#include "reconciler/source/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/invariant.h"
#include "model/text.h"

/* Of packs no more is mapped at a time: libgit2 would map them whole, and each page that was read
 * counts as memory of ours. */
enum { CONFIG_MAX_BYTES = 1 << 16, WINDOW_BYTES = 1 << 20, MAPPED_BYTES = 6 << 20 };

/* ---- errors ------------------------------------------------------------------------- */

static enum error_code code_of(int rc, const git_error *last)
{
    if (rc == GIT_ENOTFOUND)
        return ERR_NOT_FOUND;
    if (rc == GIT_EAMBIGUOUS || rc == GIT_EINVALIDSPEC)
        return ERR_INVALID;
    if (rc == GIT_ELOCKED)
        return ERR_BUSY;
    switch (last ? last->klass : GIT_ERROR_NONE) {
    case GIT_ERROR_ODB:
    case GIT_ERROR_OBJECT:
    case GIT_ERROR_ZLIB:
    case GIT_ERROR_TREE:
    case GIT_ERROR_SHA:
        return ERR_CORRUPT;
    default:
        return ERR_SYSTEM;
    }
}

int git_failed(int rc, struct error *err, const char *fmt, ...)
{
    const git_error *last = git_error_last();
    char doing[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(doing, sizeof(doing), fmt, args);
    va_end(args);
    error_set(err, code_of(rc, last), "%s: %s", doing,
              last && last->message ? last->message : "no reason given");
    return err->code;
}

int git_hint(struct error *err)
{
    return err->code != ERR_CORRUPT
               ? err->code
               : error_hint(err,
                            "`git fsck` in the repository shows what is damaged; push or fetch "
                            "the missing objects from a clone that has them.");
}

int git_damaged(int rc, struct error *err, const char *what, const char *where)
{
    git_failed(rc, err, "cannot read %s from %s", what, where);
    err->code = ERR_CORRUPT;
    return git_hint(err);
}

int size_check(struct source *source, const git_oid *id, size_t most, const char *what,
               struct error *err)
{
    size_t size = 0;
    git_object_t type;
    if (git_odb_read_header(&size, &type, source->odb, id) < 0 || size <= most)
        return 0;
    error_set(err, ERR_INVALID, "%s is an object of %zu bytes; at most %zu are read", what, size,
              most);
    return error_hint(err, "Commit it again without what makes it that large.");
}

/* ---- who may own it ----------------------------------------------------------------- */

static int owner_refused(const char *path, uid_t uid, const char *owner, struct error *err)
{
    struct passwd *pw = getpwuid(uid);
    const char *found = pw ? pw->pw_name : "a user without a name";
    error_set(err, ERR_DENIED, "the repository %s belongs to %s (uid %ld), not to %s", path, found,
              (long)uid, owner ? owner : "you or root");
    return error_hint(err, "If that is meant, set spec.repository.owner in the site file to the "
                           "user who owns it.");
}

static int owner_check(const char *path, const char *owner, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        error_sys(err, "cannot open the repository %s", path);
        if (errno == ENOENT)
            err->code = ERR_NOT_FOUND;
        return error_hint(err, "spec.repository.path in the site file names a bare repository; "
                               "`spinel init` makes one.");
    }
    if (st.st_uid == 0 || st.st_uid == geteuid())
        return 0;
    struct passwd *pw = owner ? getpwnam(owner) : NULL;
    if (pw && pw->pw_uid == st.st_uid)
        return 0;
    if (owner && !pw)
        return error_set(err, ERR_INVALID,
                         "spec.repository.owner in the site file is %s, and there is no such user",
                         owner);
    return owner_refused(path, st.st_uid, owner, err);
}

/* ---- what is refused ---------------------------------------------------------------- */

struct refused_file {
    const char *name; /* below the git directory */
    const char *what;
    const char *hint;
};

static const struct refused_file refused_files[] = {
    {"objects/info/alternates", "borrows objects from another one (objects/info/alternates)",
     "Run `git repack -a -d` in it and remove that file."},
    {"info/grafts", "has grafts, which show another history to git than to others",
     "Remove info/grafts."},
    {"shallow", "is shallow: a part of its history is missing", "Run `git fetch --unshallow`."},
};

static int files_check(struct source *source, struct error *err)
{
    const char *dir = git_repository_commondir(source->repo);
    for (size_t i = 0; i < sizeof(refused_files) / sizeof(refused_files[0]); i++) {
        const struct refused_file *file = &refused_files[i];
        struct text path = TEXT_INIT;
        struct stat st;
        text_printf(&path, "%s%s", dir, file->name);
        int rc = stat(path.data, &st);
        text_free(&path);
        if (rc != 0 || st.st_size == 0)
            continue;
        error_set(err, ERR_UNSUPPORTED, "the repository %s %s", source->path, file->what);
        return error_hint(err, "%s", file->hint);
    }
    return 0;
}

static int replaced_found(const char *name, void *context)
{
    (void)name;
    *(bool *)context = true;
    return 1;
}

static int replaced_check(struct source *source, struct error *err)
{
    bool found = false;
    int rc = git_reference_foreach_glob(source->repo, "refs/replace/*", replaced_found, &found);
    if (rc < 0)
        return git_failed(rc, err, "cannot list the references of %s", source->path);
    if (!found)
        return 0;
    error_set(err, ERR_UNSUPPORTED,
              "the repository %s replaces objects (refs/replace): git would "
              "show another content than is applied",
              source->path);
    return error_hint(err, "Remove them with `git replace -d`.");
}

static int sha256_refused(struct source *source, struct error *err)
{
    error_set(err, ERR_UNSUPPORTED,
              "the repository %s has SHA-256 object ids, which libgit2 %s "
              "does not read",
              source->path, LIBGIT2_VERSION);
    return error_hint(err, "Make it with `git init --bare --object-format=sha1`.");
}

/* Looked up before the repository is opened: libgit2 refuses it too, but not in words that
 * help. `below` is where its configuration is. */
static int format_check(struct source *source, const char *below, struct error *err)
{
    git_config *config = NULL;
    git_config_entry *entry = NULL;
    struct text path = TEXT_INIT;
    bool is_sha256 = false;
    text_printf(&path, "%s/%s", source->path, below);
    if (access(path.data, R_OK) == 0 && git_config_open_ondisk(&config, path.data) == 0 &&
        git_config_get_entry(&entry, config, "extensions.objectformat") == 0)
        is_sha256 = strcmp(entry->value, "sha1") != 0;
    git_config_entry_free(entry);
    git_config_free(config);
    text_free(&path);
    return is_sha256 ? sha256_refused(source, err) : 0;
}

/* Read before libgit2 reads them: it would wait for the other end of a pipe, and follow an
 * include to any file that we may read and the repository's owner may not. */
static int plain_check(struct source *source, const char *name, struct error *err)
{
    char data[CONFIG_MAX_BYTES + 1];
    struct text path = TEXT_INIT;
    struct stat st;
    int rc = 0;
    text_printf(&path, "%s/%s", source->path, name);
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
        goto out; /* libgit2 says it better */
    ssize_t got = S_ISREG(st.st_mode) ? read(fd, data, CONFIG_MAX_BYTES) : -1;
    data[got > 0 ? got : 0] = '\0';
    if (got < 0)
        rc = error_set(err, ERR_UNSUPPORTED, "%s is not a regular file", path.data);
    else if (strstr(name, "config") && (got == CONFIG_MAX_BYTES || strcasestr(data, "[include")))
        rc = error_set(err, ERR_UNSUPPORTED, "%s includes other files, or is very long", path.data);
    if (rc < 0)
        error_hint(err, "What the repository needs of its configuration is in its own file, and "
                        "short.");
out:
    if (fd >= 0)
        close(fd);
    text_free(&path);
    return rc;
}

static int plain_files_check(struct source *source, struct error *err)
{
    static const char *const names[] = {"config",    ".git/config", "HEAD",
                                        ".git/HEAD", "packed-refs", ".git/packed-refs"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++)
        rc = plain_check(source, names[i], err);
    return rc;
}

/* ---- opening ------------------------------------------------------------------------ */

static void library_settle(void)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                                 GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)WINDOW_BYTES);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)MAPPED_BYTES);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
}

static int open_failed(struct source *source, int rc, struct error *err)
{
    git_failed(rc, err, "cannot open the repository %s", source->path);
    return error_hint(err, "spec.repository.path in the site file names a bare repository; "
                           "`spinel init` makes one.");
}

int repository_open(struct source *source, struct error *err)
{
    const char *owner = source->owner;
    library_settle();
    int rc = owner_check(source->path, owner, err);
    if (rc == 0)
        rc = plain_files_check(source, err);
    if (rc == 0)
        rc = format_check(source, "config", err);
    if (rc == 0)
        rc = format_check(source, ".git/config", err);
    if (rc < 0)
        return rc;
    rc = git_repository_open_ext(&source->repo, source->path,
                                 GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL);
    if (rc < 0)
        return open_failed(source, rc, err);
    rc = owner_check(git_repository_commondir(source->repo), owner, err);
    if (rc == 0)
        rc = files_check(source, err);
    if (rc == 0)
        rc = replaced_check(source, err);
    if (rc < 0)
        return rc;
    rc = git_repository_odb(&source->odb, source->repo);
    return rc < 0 ? git_failed(rc, err, "cannot open the objects of %s", source->path) : 0;
}

void repository_close(struct source *source)
{
    git_odb_free(source->odb);
    git_repository_free(source->repo);
    source->odb = NULL;
    source->repo = NULL;
}

void repository_rest(struct source *source)
{
    struct error later = ERROR_INIT; /* who asks next opens it, or says why not */
    if (source->is_quarantine) /* it lives as long as a hook, and sees more than it would then */
        return;
    repository_close(source);
    malloc_trim(0); /* what threads have freed lies where no other would use it */
    if (repository_open(source, &later) < 0)
        repository_close(source);
}

int repository_need(struct source *source, struct error *err)
{
    int rc = source->odb ? 0 : repository_open(source, err);
    if (rc < 0)
        repository_close(source);
    return rc;
}

/* ---- quarantine --------------------------------------------------------------------- */

/* git names the directories to its hooks; only one below our own objects is believed. */
static int quarantine_add_one(struct source *source, const char *named, struct error *err)
{
    struct text objects_path = TEXT_INIT;
    text_printf(&objects_path, "%sobjects", git_repository_commondir(source->repo));
    char *objects = realpath(objects_path.data, NULL);
    char *directory = realpath(named, NULL);
    int rc = 0;
    text_free(&objects_path);
    if (!objects || !directory) {
        rc = error_sys(err, "cannot find the pushed objects in %s", named);
        goto out;
    }
    size_t len = strlen(objects);
    if (strcmp(objects, directory) == 0)
        goto out;
    if (strncmp(directory, objects, len) != 0 || directory[len] != '/') {
        rc = error_set(err, ERR_DENIED, "objects in %s are not read: it is not below %s", named,
                       objects);
        goto out;
    }
    rc = git_odb_add_disk_alternate(source->odb, directory);
    if (rc < 0)
        rc = git_failed(rc, err, "cannot read the pushed objects in %s", directory);
out:
    free(objects);
    free(directory);
    return rc;
}

int quarantine_add(struct source *source, struct error *err)
{
    const char *named = getenv("GIT_QUARANTINE_PATH");
    const char *directory = getenv("GIT_OBJECT_DIRECTORY");
    const char *others = getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES");
    int rc = 0;
    source->is_quarantine = true;
    if (named && named[0] != '\0')
        rc = quarantine_add_one(source, named, err);
    if (rc == 0 && directory && directory[0] != '\0' && (!named || strcmp(named, directory) != 0))
        rc = quarantine_add_one(source, directory, err);
    char *list = memory_need(strdup(others ? others : ""));
    char *rest = list;
    for (char *one = strsep(&rest, ":"); rc == 0 && one; one = strsep(&rest, ":"))
        if (one[0] != '\0')
            rc = quarantine_add_one(source, one, err);
    free(list);
    return rc;
}
