/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/source/note.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reconciler/source/repository.h"
#include "reconciler/source/source.h"

static int owner_become(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_sys(err, "cannot open the repository %s", path);
    umask(0002 | (st.st_mode & S_IWGRP ? 0 : 0022)); /* a shared repository stays one */
    if (geteuid() != 0 || st.st_uid == 0)
        return 0;
    const struct passwd *pw = getpwuid(st.st_uid);
    if ((pw ? initgroups(pw->pw_name, st.st_gid) : setgroups(0, NULL)) < 0 ||
        setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
        return error_sys(err, "cannot write to %s as its owner", path);
    return 0;
}

static bool is_noted(git_repository *repository, const git_oid *oid, const char *text)
{
    git_note *note = NULL;
    bool is_same = git_note_read(&note, repository, NOTES_REF, oid) == 0 &&
                   strcmp(git_note_message(note), text) == 0;
    git_note_free(note);
    return is_same;
}

int note_write(const struct site *site, const char *commit, const char *text, struct error *err)
{
    struct source *source = NULL;
    git_signature *who = NULL;
    git_oid oid, made;
    int status = owner_become(site->repository.path, err);
    if (status == 0)
        status = source_open(site, &source, err);
    if (status < 0)
        return status;
    int rc = git_oid_fromstr(&oid, commit);
    if (rc == 0)
        rc = git_signature_now(&who, "spinel", "spinel@localhost");
    if (rc == 0 && !is_noted(source->repo, &oid, text))
        rc = git_note_create(&made, source->repo, NOTES_REF, who, who, &oid, text, 1);
    if (rc < 0)
        status = git_failed(rc, err, "cannot note the outcome of commit %.12s", commit);
    git_signature_free(who);
    source_close(source);
    return status;
}
