/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Taps in other network namespaces. A call enters the namespace, does one thing, and
 * comes back; the caller is a process of its own with one thread. Should coming back
 * fail, the process ends: nothing after it may run in the wrong namespace.
 */
#include "drivers/qemu/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model/error.h"

enum { VNET_HEADER_BYTES = 12 }; /* virtio 1: with the number of merged buffers */

/* Enters; `*home` is the way back. */
static int netns_enter(const char *netns, int *home, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        error_set(err, ERR_NOT_FOUND, "network namespace %s is not there", netns);
        return error_hint(err, "The VPC of this NIC has to be made first; see its status.");
    }
    if (fd < 0)
        return error_sys(err, "cannot open %s", path);
    *home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (*home < 0 || setns(fd, CLONE_NEWNET) < 0) {
        error_sys(err, "cannot enter network namespace %s", netns);
        error_hint(err, "Taps are opened by root: run the driver as root.");
        if (*home >= 0)
            close(*home);
        close(fd);
        return err->code;
    }
    close(fd);
    return 0;
}

static void netns_leave(int home)
{
    if (setns(home, CLONE_NEWNET) < 0) {
        perror("cannot go back to the network namespace of the host");
        abort();
    }
    close(home);
}

static int tap_missing(const char *netns, const char *name, struct error *err)
{
    error_set(err, ERR_NOT_FOUND, "tap %s is not there in network namespace %s", name, netns);
    return error_hint(err, "The network driver makes it; see the status of the NIC.");
}

static int tap_attach(int fd, const char *name, struct error *err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return 0;
    if (errno == EBUSY) {
        error_set(err, ERR_BUSY, "tap %s is held by another process", name);
        return error_hint(err, "A QEMU of an earlier run may still be alive.");
    }
    return error_sys(err, "cannot attach to tap %s", name);
}

int tap_open(const char *netns, const char *name, int *fd, struct error *err)
{
    int home, status, tun = -1;
    if (netns_enter(netns, &home, err) < 0)
        return err->code;
    /* TUNSETIFF would make what is missing, without any of its rules. */
    if (if_nametoindex(name) == 0) {
        status = tap_missing(netns, name, err);
    } else if ((tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)) < 0) {
        status = error_sys(err, "cannot open /dev/net/tun");
        error_hint(err, "Load the tun module (modprobe tun) and run the driver as root.");
    } else {
        status = tap_attach(tun, name, err);
    }
    netns_leave(home);
    if (status < 0) {
        if (tun >= 0)
            close(tun);
        return status;
    }
    *fd = tun;
    return 0;
}

int tap_look(const char *netns, const char *name, int64_t *ifindex, struct error *err)
{
    int home;
    if (netns_enter(netns, &home, err) < 0)
        return err->code;
    *ifindex = if_nametoindex(name);
    netns_leave(home);
    return 0;
}

int tap_reattach(int pidfd, int fd, const char *netns, const char *name, struct error *err)
{
    int home, size = VNET_HEADER_BYTES;
    int copy = fd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0)
        return error_set(err, ERR_UNSUPPORTED, "QEMU's descriptor of tap %s cannot be reached",
                         name);
    if (netns_enter(netns, &home, err) < 0) {
        close(copy);
        return err->code;
    }
    int status = if_nametoindex(name) ? tap_attach(copy, name, err) : tap_missing(netns, name, err);
    netns_leave(home);
    if (status == 0 && ioctl(copy, TUNSETVNETHDRSZ, &size) < 0)
        status = error_sys(err, "cannot set up tap %s", name);
    close(copy);
    return status;
}

static bool fdinfo_names(const char *path, const char *name)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        if (strncmp(line, "iff:\t", 5) == 0) {
            line[strcspn(line, "\n")] = '\0';
            found = strcmp(line + 5, name) == 0;
        }
    if (file)
        fclose(file);
    return found;
}

int tap_find_fd(pid_t pid, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)pid);
    DIR *dir = opendir(path);
    int found = -1;
    for (struct dirent *entry; dir && found < 0 && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", (int)pid, entry->d_name);
        if (fdinfo_names(path, name))
            found = atoi(entry->d_name);
    }
    if (dir)
        closedir(dir);
    return found;
}
