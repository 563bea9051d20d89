/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core needs none of root's rights: it reads a repository, keeps a database and
 * talks to drivers. With spec.user it runs as that user, and what it keeps is handed
 * to it first. Directories below belong to drivers, which stay root's.
 */
#include "reconciler/server/privileges.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int user_find(const char *name, struct passwd *user, struct error *err)
{
    const struct passwd *found = getpwnam(name);
    if (!found) {
        error_set(err, ERR_NOT_FOUND, "spec.user: this machine has no user %s", name);
        return error_hint(err, "Make it with 'adduser --system %s', or leave spec.user out.", name);
    }
    *user = *found;
    return 0;
}

/* A file with a second name may be one that root keeps elsewhere: it is left alone. */
static bool is_kept_by_core(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_nlink == 1;
}

static int files_hand_over(int dir, const struct passwd *user, const char **failed)
{
    int copy = dup(dir);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    int rc = list ? 0 : -1;
    while (rc == 0 && (entry = readdir(list)))
        if (is_kept_by_core(dir, entry->d_name))
            rc = fchownat(dir, entry->d_name, user->pw_uid, user->pw_gid, AT_SYMLINK_NOFOLLOW);
    if (list)
        closedir(list);
    else if (copy >= 0)
        close(copy);
    *failed = "files";
    return rc;
}

int state_hand_over(const char *state_dir, const char *user_name, struct error *err)
{
    struct passwd user;
    const char *failed = "directory";
    if (!user_name || geteuid() != 0)
        return 0;
    int status = user_find(user_name, &user, err);
    if (status < 0)
        return status;
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_sys(err, "cannot open the state directory %s", state_dir);
    if (fchown(dir, user.pw_uid, user.pw_gid) < 0 || files_hand_over(dir, &user, &failed) < 0)
        status = error_sys(err, "cannot give the state %s of %s to user %s", failed, state_dir,
                           user_name);
    close(dir);
    return status;
}

int privileges_drop(const char *user_name, struct error *err)
{
    struct passwd user;
    if (!user_name || geteuid() != 0)
        return 0;
    int status = user_find(user_name, &user, err);
    if (status < 0)
        return status;
    if (initgroups(user.pw_name, user.pw_gid) < 0 || setgid(user.pw_gid) < 0 ||
        setuid(user.pw_uid) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return error_sys(err, "cannot run as user %s", user_name);
    return 0;
}
