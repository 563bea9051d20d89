/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/qemu/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char root[] = "/sys/fs/cgroup";
static const char group[] = "spinel.vms";

/* `hierarchy` is "" for the unified one, else the folder of a version 1 hierarchy. */
static void move_in(const char *hierarchy)
{
    char dir[256], procs[300];
    snprintf(dir, sizeof dir, "%s/%s%s%s", root, hierarchy, hierarchy[0] ? "/" : "", group);
    snprintf(procs, sizeof procs, "%s/cgroup.procs", dir);
    mkdir(dir, 0755);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0)
        rmdir(dir);
    close(fd);
}

void cgroup_leave(void)
{
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *name = strchr(line, ':');
        char *path = name ? strchr(name + 1, ':') : NULL;
        if (!path || strcmp(path, ":/") == 0)
            continue; /* already at the top: nobody's service */
        *path = '\0';
        name++;
        move_in(strncmp(name, "name=", 5) == 0 ? name + 5 : name);
    }
    if (file)
        fclose(file);
}
