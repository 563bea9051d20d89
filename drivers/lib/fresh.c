/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/lib/fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int fresh_open(const char *path, int flags)
{
    int all = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags;
    int fd = open(path, all, 0600);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0)
        fd = open(path, all, 0600);
    return fd;
}
