/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Handing over what the core keeps. Root opens files below stateDir by name, so nobody else may
 * put a name there: stateDir is root's, and what the core's user may write to is one directory
 * in it, in which no driver keeps anything.
 */
#include "reconciler/server/handover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reconciler/server/privileges.h"
#include "reconciler/store/home.h"
#include "reconciler/store/store.h"

#define HOME_DRAFT STORE_HOME ".draft"

/* ---- the directories above ---------------------------------------------------------- */

/* If it has too many to tell, then in this one, too. */
static bool is_in_group(const struct passwd *user, gid_t group)
{
    gid_t groups[256];
    int count = sizeof groups / sizeof *groups;
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        return true;
    while (count > 0 && groups[count - 1] != group)
        count--;
    return count > 0;
}

static bool may_rename_in(const struct stat *dir, const struct passwd *user)
{
    if (dir->st_uid == user->pw_uid)
        return true;
    bool is_writable =
        (dir->st_mode & S_IWOTH) || ((dir->st_mode & S_IWGRP) && is_in_group(user, dir->st_gid));
    return is_writable && !(dir->st_mode & S_ISVTX);
}

/* As it is written, and as it is without links: in neither may a part be exchanged. */
static int above_check(const char *path, const struct passwd *user, struct error *err)
{
    char part[PATH_MAX];
    struct stat st;
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strrchr(part, '/'); slash; slash = strrchr(part, '/')) {
        slash[slash == part] = '\0';
        if (lstat(part, &st) == 0 && may_rename_in(&st, user) && !S_ISLNK(st.st_mode)) {
            error_set(err, ERR_DENIED, "%s is in %s, where user %s may put another in its place",
                      path, part, user->pw_name);
            return error_hint(err, "Keep it where only root may write; drivers trust what is "
                                   "there.");
        }
        if (slash == part)
            break;
    }
    return 0;
}

static int place_check(const char *path, const struct passwd *user, struct error *err)
{
    char real[PATH_MAX];
    int status = above_check(path, user, err);
    if (status == 0 && realpath(path, real))
        status = above_check(real, user, err);
    return status;
}

/* ---- the files ---------------------------------------------------------------------- */

/* A file with a second name may be one that root keeps elsewhere: it is left alone. */
static bool is_kept_by_core(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1;
}

/* Calls `each` with every name in the directory until it is not 0. */
static int names_each(int dir, const struct passwd *user,
                      int (*each)(int dir, const char *name, const struct passwd *user,
                                  struct error *err),
                      struct error *err)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    if (!list) {
        if (copy >= 0)
            close(copy);
        return error_sys(err, "cannot read the state directory");
    }
    while (errno = 0, status == 0 && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = each(dir, entry->d_name, user, err);
    if (status == 0 && errno != 0)
        status = error_sys(err, "cannot read the state directory");
    closedir(list);
    return status;
}

/* What is looked at is what is given: the user may exchange names in its own directory. */
static int file_give(int dir, const char *name, const struct passwd *user, struct error *err)
{
    struct stat st;
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), status = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, "cannot open %s of the state", name);
    if (fstat(fd, &st) == 0 && is_kept_by_core(&st) && st.st_uid != user->pw_uid &&
        fchownat(fd, "", user->pw_uid, user->pw_gid, AT_EMPTY_PATH) < 0)
        status = error_sys(err, "cannot give %s of the state to user %s", name, user->pw_name);
    close(fd);
    return status;
}

/* The socket of a former daemon, or what somebody put where drivers are to look. */
static int stranger_check(int dir, const char *name, const struct passwd *user, struct error *err)
{
    struct stat st;
    if (strcmp(name, STORE_HOME) == 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_uid != user->pw_uid || S_ISREG(st.st_mode))
        return 0;
    if (S_ISSOCK(st.st_mode)) {
        unlinkat(dir, name, 0);
        return 0;
    }
    error_set(err, ERR_DENIED, "%s in the state directory belongs to user %s, and should be root's",
              name, user->pw_name);
    return error_hint(err,
                      "The core may have been taken over, or somebody changed it by hand. Look "
                      "at it, then remove it or give it to root.");
}

/* ---- the directory of the core ------------------------------------------------------ */

/*
 * The files come into it by second names in a draft, and one rename makes that the core's: until
 * then the store is whole where it was, from then on where it is now (store/home.h), whenever this
 * process or the power dies. A draft is never more than names, so one that was left is thrown
 * away; what was left of the old names goes before the user is given anything.
 */

static int name_remove(int dir, const char *name, const struct passwd *user, struct error *err)
{
    (void)user;
    return unlinkat(dir, name, 0) < 0 ? error_sys(err, "cannot remove " HOME_DRAFT "/%s", name) : 0;
}

static int draft_remove(int dir, const struct passwd *user, struct error *err)
{
    int draft = openat(dir, HOME_DRAFT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (draft < 0)
        return errno == ENOENT ? 0 : error_sys(err, "cannot open " HOME_DRAFT " of a former start");
    int status = names_each(draft, user, name_remove, err);
    close(draft);
    if (status == 0 && unlinkat(dir, HOME_DRAFT, AT_REMOVEDIR) < 0)
        status = error_sys(err, "cannot remove " HOME_DRAFT " of a former start");
    return status;
}

/* The lock is held meanwhile, and the core makes one of its own. */
static int file_link(int dir, const char *name, const struct passwd *user, struct error *err)
{
    struct stat st;
    char to[NAME_MAX + sizeof HOME_DRAFT + 1];
    (void)user;
    if (strcmp(name, STORE_LOCK) == 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !is_kept_by_core(&st))
        return 0;
    snprintf(to, sizeof to, HOME_DRAFT "/%s", name);
    return linkat(dir, name, dir, to, 0) < 0 ? error_sys(err, "cannot move %s of the state", name)
                                             : 0;
}

static int draft_make(int dir, const struct passwd *user, struct error *err)
{
    if (mkdirat(dir, HOME_DRAFT, 0700) < 0)
        return error_sys(err, "cannot make " HOME_DRAFT " in the state directory");
    int status = names_each(dir, user, file_link, err);
    if (status < 0)
        return status;
    int draft = openat(dir, HOME_DRAFT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (draft < 0 || fsync(draft) < 0)
        status = error_sys(err, "cannot make " HOME_DRAFT " durable");
    if (draft >= 0)
        close(draft);
    return status;
}

/* Not every file system can refuse to take a place; a directory takes none but an empty one's. */
static int draft_put_in_place(int dir, struct error *err)
{
    int status = renameat2(dir, HOME_DRAFT, dir, STORE_HOME, RENAME_NOREPLACE);
    if (status < 0 && errno == EINVAL)
        status = renameat(dir, HOME_DRAFT, dir, STORE_HOME);
    return status < 0 || fsync(dir) < 0
               ? error_sys(err, "cannot make " STORE_HOME " in the state directory")
               : 0;
}

/* Nobody writes to the store meanwhile, and no other start makes a draft. */
static int home_make(const char *state_dir, int dir, const struct passwd *user, struct error *err)
{
    struct stat st;
    int lock = -1;
    int status = store_lock(state_dir, &lock, err);
    if (status < 0)
        return status;
    bool is_made = fstatat(dir, STORE_HOME, &st, AT_SYMLINK_NOFOLLOW) == 0; /* by another start */
    if (!is_made && (status = draft_remove(dir, user, err)) == 0 &&
        (status = draft_make(dir, user, err)) == 0)
        status = draft_put_in_place(dir, err);
    close(lock);
    return status;
}

static int old_name_remove(int dir, const char *name, const struct passwd *user, struct error *err)
{
    struct stat old, now;
    char path[NAME_MAX + sizeof STORE_HOME + 1];
    (void)user;
    snprintf(path, sizeof path, STORE_HOME "/%s", name);
    if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(old.st_mode))
        return 0;
    bool is_moved = fstatat(dir, path, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
                    now.st_dev == old.st_dev && now.st_ino == old.st_ino;
    if (!is_moved && strcmp(name, STORE_LOCK) != 0)
        return 0;
    return unlinkat(dir, name, 0) < 0 ? error_sys(err, "cannot remove the old name %s", name) : 0;
}

static bool has_store(int dir)
{
    struct stat st;
    return fstatat(dir, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The database goes first: who still finds it there finds its log, too. */
static int old_names_remove(int dir, const struct passwd *user, bool *has_moved, struct error *err)
{
    bool had_store = has_store(dir);
    int status = old_name_remove(dir, STORE_FILE, user, err);
    if (status == 0)
        status = names_each(dir, user, old_name_remove, err);
    *has_moved = status == 0 && had_store && !has_store(dir);
    return status;
}

static int home_hand_over(const char *state_dir, int dir, const struct passwd *user,
                          bool *has_moved, struct error *err)
{
    int status = 0;
    int home = openat(dir, STORE_HOME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (home < 0 && errno == ENOENT && (status = home_make(state_dir, dir, user, err)) == 0)
        home = openat(dir, STORE_HOME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (status < 0)
        return status;
    if (home < 0)
        return error_sys(err, "cannot open " STORE_HOME " in the state directory");
    status = old_names_remove(dir, user, has_moved, err);
    if (status == 0 && (fchown(home, user->pw_uid, user->pw_gid) < 0 || fchmod(home, 0750) < 0))
        status = error_sys(err, "cannot give " STORE_HOME " to user %s", user->pw_name);
    if (status == 0)
        status = names_each(home, user, file_give, err);
    close(home);
    return status;
}

/* From here on the user can put nothing into it, whatever it still runs. */
static int state_take(int dir, const struct passwd *user, struct error *err)
{
    struct stat st;
    if (fstat(dir, &st) < 0 || fchown(dir, 0, user->pw_gid) < 0 ||
        fchmod(dir, (st.st_mode & 0755) | S_IXGRP | S_IRGRP) < 0)
        return error_sys(err, "cannot take the state directory for root");
    return 0;
}

int state_hand_over(const char *state_dir, const char *key_file, const char *user_name,
                    bool *has_moved, struct error *err)
{
    struct passwd user;
    *has_moved = false;
    if (!user_name || geteuid() != 0)
        return 0;
    int status = user_find(user_name, "spec.user", &user, err);
    if (status == 0)
        status = place_check(state_dir, &user, err);
    if (status == 0 && key_file)
        status = place_check(key_file, &user, err);
    if (status < 0)
        return status;
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_sys(err, "cannot open the state directory %s", state_dir);
    if ((status = state_take(dir, &user, err)) == 0 &&
        (status = home_hand_over(state_dir, dir, &user, has_moved, err)) == 0)
        status = names_each(dir, &user, stranger_check, err);
    close(dir);
    return status < 0 ? error_wrap(err, "%s", state_dir) : 0;
}
