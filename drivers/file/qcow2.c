/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The header of a qcow2 file, read by ourselves: QEMU opens what a header names (a
 * backing file, a data file) before anybody can look at it, so a hostile image must
 * be refused before any QEMU program sees it.
 */
#include "drivers/file/qcow2.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "model/json.h"

/* Offsets and bits of docs/interop/qcow2.txt in QEMU. */
enum {
    AT_VERSION = 4,
    AT_BACKING_OFFSET = 8,
    AT_SIZE = 24,
    AT_CRYPT_METHOD = 32,
    AT_INCOMPATIBLE = 72,
    HEADER_BYTES = 104,
};
enum { FEATURE_COMPRESSION = 1 << 3, FEATURE_EXTENDED_L2 = 1 << 4 };
#define SIZE_MAX_BYTES ((uint64_t)64 << 40)

static uint64_t read64(const unsigned char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof number);
    return be64toh(number);
}

static uint32_t read32(const unsigned char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return be32toh(number);
}

static int header_read(const char *path, const char *what, unsigned char *header, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "cannot open %s", what);
    memset(header, 0, HEADER_BYTES);
    ssize_t got = pread(fd, header, HEADER_BYTES, 0);
    close(fd);
    if (got < AT_INCOMPATIBLE || memcmp(header, "QFI\xfb", 4) != 0)
        return error_set(err, ERR_INVALID, "%s is not a qcow2 file", what);
    return 0;
}

int qcow2_size(const char *path, uint64_t *size_bytes, struct error *err)
{
    unsigned char header[HEADER_BYTES];
    int result = header_read(path, path, header, err);
    if (result == 0)
        *size_bytes = read64(header + AT_SIZE);
    return result;
}

static const char *header_fault(const unsigned char *header)
{
    uint32_t version = read32(header + AT_VERSION);
    uint64_t known = FEATURE_COMPRESSION | FEATURE_EXTENDED_L2;
    if (version != 2 && version != 3)
        return "is of an unknown version";
    if (read64(header + AT_BACKING_OFFSET) != 0)
        return "names a backing file";
    if (read32(header + AT_CRYPT_METHOD) != 0)
        return "is encrypted";
    if (version == 3 && (read64(header + AT_INCOMPATIBLE) & ~known) != 0)
        return "has an external data file, is damaged, or needs features that are not known";
    if (read64(header + AT_SIZE) > SIZE_MAX_BYTES)
        return "claims a virtual size above 64 TiB";
    return NULL;
}

int qcow2_check(struct spinel_host *host, const char *path, const char *what, struct error *err)
{
    const char *const argv[] = {
        "prlimit", "--as=2147483648", "--cpu=20",      "--core=0", "qemu-img", "info",
        "-f",      "qcow2",           "--output=json", path,       NULL};
    unsigned char header[HEADER_BYTES];
    struct value *info;
    char *output = NULL;
    int result = header_read(path, what, header, err);
    if (result < 0)
        return result;
    const char *fault = header_fault(header);
    if (fault)
        return error_set(err, ERR_INVALID, "%s %s and is refused", what, fault);
    result = spinel_run(host, argv, &output, err);
    if (result < 0)
        return error_wrap(err, "%s", what);
    if (json_read(spinel_arena(host), output, strlen(output), &info, err) < 0)
        return error_wrap(err, "qemu-img on %s", what);
    if (strcmp(value_get_text(info, "format", ""), "qcow2") != 0)
        return error_set(err, ERR_INVALID, "qemu-img does not describe %s as a qcow2 image", what);
    if (value_get(info, "backing-filename") || value_get(info, "full-backing-filename") ||
        value_at(info, "format-specific.data.data-file"))
        return error_set(err, ERR_INVALID, "%s leads to another file and is refused", what);
    return 0;
}
