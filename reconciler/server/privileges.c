/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core needs none of root's rights: it reads a repository, keeps a database and
 * talks to drivers. With spec.user it runs as that user. The viewer needs still less:
 * with spec.web.user it has a user of its own, which may read what the core writes.
 */
#include "reconciler/server/privileges.h"

#include <grp.h>
#include <limits.h>
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

/* In whichever order: of the user's own groups and one more, whoever it is of. */
static int groups_take(const struct passwd *user, gid_t more)
{
    gid_t groups[NGROUPS_MAX > 4096 ? 4096 : NGROUPS_MAX];
    int room = (int)(sizeof groups / sizeof *groups) - 1;
    int count = initgroups(user->pw_name, user->pw_gid) < 0 ? -1 : getgroups(room, groups);
    if (count < 0)
        return -1;
    groups[count++] = more;
    return setgroups((size_t)count, groups);
}

static int user_become(const struct passwd *user, gid_t more, struct error *err)
{
    if (groups_take(user, more) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0 ||
        prctl(PR_SET_DUMPABLE, 0) < 0)
        return error_sys(err, "cannot run as user %s", user->pw_name);
    return 0;
}

static int privileges_seal(struct error *err)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
               ? error_sys(err, "cannot give up new privileges")
               : 0;
}

int privileges_drop(const char *user_name, struct error *err)
{
    struct passwd user;
    int status = privileges_seal(err);
    if (status < 0 || !user_name || geteuid() != 0)
        return status;
    status = user_find(user_name, "spec.user", &user, err);
    return status < 0 ? status : user_become(&user, user.pw_gid, err);
}

int privileges_drop_for_viewer(const char *user_name, const char *core_user, struct error *err)
{
    struct passwd core, user;
    if (!user_name || !core_user || geteuid() != 0)
        return privileges_drop(core_user, err);
    int status = privileges_seal(err);
    if (status == 0)
        status = user_find(core_user, "spec.user", &core, err);
    gid_t shared = status == 0 ? core.pw_gid : 0;
    if (status == 0)
        status = user_find(user_name, "spec.web.user", &user, err);
    return status < 0 ? status : user_become(&user, shared, err);
}

int privileges_check(const char *core_user, const char *web_user, struct error *err)
{
    struct passwd user;
    int status = 0;
    if (geteuid() != 0)
        return 0;
    if (core_user)
        status = user_find(core_user, "spec.user", &user, err);
    if (status == 0 && web_user)
        status = user_find(web_user, "spec.web.user", &user, err);
    return status;
}
