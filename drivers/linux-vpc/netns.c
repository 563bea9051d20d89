/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A namespace lives as long as something refers to it; the something is a bind
 * mount of /proc/thread-self/ns/net on an empty file. /run/netns has to be a
 * shared mount before the first one, or a namespace deleted here would live on
 * in the mount namespaces of other processes.
 */
#include "drivers/linux-vpc/netns.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "model/error.h"

#define NETNS_DIR "/run/netns"
#define NETNS_SELF "/proc/thread-self/ns/net"

static void netns_path(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, NETNS_DIR "/%s", name);
}

static int netns_dir_prepare(struct error *err)
{
    if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
        return error_sys(err, "cannot make %s", NETNS_DIR);
    if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
        return 0;
    if (errno != EINVAL)
        return error_sys(err, "cannot share the mount %s", NETNS_DIR);
    if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
        return error_sys(err, "cannot make %s a mount", NETNS_DIR);
    if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
        return error_sys(err, "cannot share the mount %s", NETNS_DIR);
    return 0;
}

int netns_open(const char *name, struct error *err)
{
    char path[PATH_MAX];
    struct statfs fs;
    netns_path(name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "there is no network namespace %s", name);
    if (fd < 0)
        return error_sys(err, "cannot open network namespace %s", name);
    if (fstatfs(fd, &fs) < 0) {
        error_sys(err, "cannot tell what %s is", path);
        close(fd);
        return err->code;
    }
    if (fs.f_type == NSFS_MAGIC)
        return fd;
    close(fd);
    return error_set(err, ERR_NOT_FOUND, "%s is a file and no network namespace", path);
}

int netns_find(const char *name, uint64_t *inode, struct error *err)
{
    struct error why = ERROR_INIT;
    struct stat st;
    *inode = 0;
    int fd = netns_open(name, &why);
    if (fd < 0 && why.code == ERR_NOT_FOUND)
        return 0;
    if (fd < 0) {
        *err = why;
        return why.code;
    }
    int result = fstat(fd, &st);
    if (result < 0)
        error_sys(err, "cannot tell which network namespace %s is", name);
    close(fd);
    *inode = result < 0 ? 0 : st.st_ino;
    return result < 0 ? err->code : 0;
}

uint64_t netns_inode(const char *name)
{
    struct error ignored = ERROR_INIT;
    uint64_t inode;
    return netns_find(name, &inode, &ignored) < 0 ? 0 : inode;
}

/* Makes a namespace, pins it at `path` and comes home. */
static int netns_make(const char *path, int home, struct error *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return error_sys(err, "cannot make a network namespace");
    int result = 0;
    if (mount(NETNS_SELF, path, "none", MS_BIND, NULL) < 0)
        result = error_sys(err, "cannot pin a network namespace at %s", path);
    if (setns(home, CLONE_NEWNET) < 0) {
        perror("cannot go back to the network namespace of the host");
        abort();
    }
    return result;
}

int netns_create(const char *name, struct error *err)
{
    char path[PATH_MAX];
    uint64_t there;
    int result = netns_find(name, &there, err);
    if (result < 0 || there) /* one that cannot be told about would be hidden below the new one */
        return result;
    result = netns_dir_prepare(err);
    if (result < 0)
        return result;
    netns_path(name, path);
    int home = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return error_sys(err, "cannot open %s", NETNS_SELF);
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0)
        result = error_sys(err, "cannot make %s", path);
    else
        result = netns_make(path, home, err);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        unlink(path);
    close(home);
    return result;
}

int netns_delete(const char *name, struct error *err)
{
    char path[PATH_MAX];
    netns_path(name, path);
    if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
        return error_sys(err, "cannot unmount %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return 0;
}

int netns_enter(const char *name, int *home, struct error *err)
{
    int fd = netns_open(name, err);
    if (fd < 0)
        return fd;
    int result = 0;
    int back = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
    if (back < 0)
        result = error_sys(err, "cannot open %s", NETNS_SELF);
    else if (setns(fd, CLONE_NEWNET) < 0)
        result = error_sys(err, "cannot enter network namespace %s", name);
    close(fd);
    if (result < 0 && back >= 0)
        close(back);
    if (result == 0)
        *home = back;
    return result;
}

/* A process that cannot come home would do the next thing in the wrong network. */
void netns_leave(int home)
{
    if (setns(home, CLONE_NEWNET) < 0) {
        perror("cannot go back to the network namespace of the host");
        abort();
    }
    close(home);
}
