/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core needs none of root's rights: it reads a repository, keeps a database and
 * talks to drivers. With spec.user it runs as that user.
 */
#include "reconciler/server/privileges.h"

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

int user_find(const char *name, const char *field, struct passwd *user, struct error *err)
{
    const struct passwd *found = getpwnam(name);
    if (!found) {
        error_set(err, ERR_NOT_FOUND, "%s: this machine has no user %s", field, name);
        return error_hint(err, "Make it with 'adduser --system %s', or leave %s out.", name, field);
    }
    *user = *found;
    return 0;
}

int privileges_drop(const char *user_name, struct error *err)
{
    struct passwd user;
    if (!user_name || geteuid() != 0)
        return 0;
    int status = user_find(user_name, "spec.user", &user, err);
    if (status < 0)
        return status;
    if (initgroups(user.pw_name, user.pw_gid) < 0 || setgid(user.pw_gid) < 0 ||
        setuid(user.pw_uid) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return error_sys(err, "cannot run as user %s", user_name);
    return 0;
}
