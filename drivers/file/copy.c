/* SPDX-License-Identifier: MPL-2.0 */
/* Copying a disk: shared, else sparse. */
#include "drivers/file/copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_CHUNK = 16 << 20, PLAIN_CHUNK = 1 << 18 };

/* Between file systems of different types the kernel does not copy by itself. */
static ssize_t plain_copy(int from, off_t *in, int to, off_t *out, size_t len)
{
    char chunk[PLAIN_CHUNK];
    ssize_t got = pread(from, chunk, len < sizeof chunk ? len : sizeof chunk, *in);
    for (ssize_t done = 0, n; done < got; done += n) {
        n = pwrite(to, chunk + done, (size_t)(got - done), *out + done);
        if (n < 0)
            return -1;
    }
    *in += got > 0 ? got : 0;
    *out += got > 0 ? got : 0;
    return got;
}

static int extent_copy(struct spinel_host *host, int from, const char *from_path, int to,
                       off_t start, off_t end, struct error *err)
{
    off_t in = start, out = start;
    while (in < end) {
        size_t len = end - in < COPY_CHUNK ? (size_t)(end - in) : COPY_CHUNK;
        ssize_t n = copy_file_range(from, &in, to, &out, len, 0);
        if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL))
            n = plain_copy(from, &in, to, &out, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, "cannot copy %s", from_path);
        if (n == 0)
            return error_set(err, ERR_BUSY, "%s became shorter while it was copied", from_path);
        if (spinel_remaining_ms(host) == 0)
            return error_set(err, ERR_BUSY, "time was up while %s was copied", from_path);
    }
    return 0;
}

int file_copy(struct spinel_host *host, int from, const char *from_path, int to, struct error *err)
{
    struct stat st;
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
        return error_sys(err, "cannot copy %s", from_path);
    for (off_t data = 0, hole; data < st.st_size; data = hole) {
        data = lseek(from, data, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : error_sys(err, "cannot copy %s", from_path);
        hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return error_sys(err, "cannot copy %s", from_path);
        int result = extent_copy(host, from, from_path, to, data, hole, err);
        if (result < 0)
            return result;
        spinel_progress(host, (int)(hole * 100 / st.st_size), "copying image");
    }
    return 0;
}
