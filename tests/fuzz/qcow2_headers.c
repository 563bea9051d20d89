/* SPDX-License-Identifier: MPL-2.0 */
/* The header of an image that somebody made, before any program of QEMU's sees it. */
#include <sys/mman.h>
#include "drivers/file/qcow2.c"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char header[HEADER_BYTES];
    struct error err = ERROR_INIT;
    char path[64];
    uint64_t bytes;
    int fd = memfd_create("image", MFD_CLOEXEC);
    MUST(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (header_read(path, "image", header, &err) == 0 && !header_fault(header)) {
        /* What is let through names no other file and no size that cannot be. */
        MUST(qcow2_size(path, &bytes, &err) == 0 && bytes <= SIZE_MAX_BYTES);
        MUST(read64(header + AT_BACKING_OFFSET) == 0 && read32(header + AT_CRYPT_METHOD) == 0);
    }
    close(fd);
    return 0;
}
