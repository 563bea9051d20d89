/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The header of a qcow2 file, read by ourselves: QEMU opens what a header names (a
 * backing file, a data file) before anybody can look at it, so a hostile image must
 * be refused before any QEMU program sees it. An empty one is written by ourselves, too:
 * starting a program for each of a thousand takes longer than all the rest.
 */
#include "drivers/file/qcow2.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "model/json.h"

#define MAGIC 0x514649fbu /* "QFI" and a byte that no text has */

/* Offsets and bits of docs/interop/qcow2.txt in QEMU. */
enum {
    AT_VERSION = 4,
    AT_BACKING_OFFSET = 8,
    AT_CLUSTER_BITS = 20,
    AT_SIZE = 24,
    AT_CRYPT_METHOD = 32,
    AT_L1_SIZE = 36,
    AT_L1_OFFSET = 40,
    AT_REFCOUNT_OFFSET = 48,
    AT_REFCOUNT_CLUSTERS = 56,
    AT_INCOMPATIBLE = 72,
    AT_REFCOUNT_ORDER = 96,
    AT_HEADER_LENGTH = 100,
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
    if (got < AT_INCOMPATIBLE || read32(header) != MAGIC)
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

/* ---- an empty one ------------------------------------------------------------------- */

/* A file of clusters: the header, the table of refcount blocks, the first of these, which is enough
 * for a file of 2 GiB, and the L1 table, whose entries lead to 512 MiB of the disk each. */
enum {
    CLUSTER_BITS = 16,
    CLUSTER = 1 << CLUSTER_BITS,
    L1_AT = 3, /* cluster */
    L1_ENTRY_BYTES = 8,
    L1_MAX_BYTES = 32 << 20, /* QEMU opens no larger one */
    REFCOUNT_ORDER = 4,      /* 16 bits each */
    SECTOR = 512,
};
#define L1_COVERS ((uint64_t)(CLUSTER / 8) << CLUSTER_BITS)

static void write32(unsigned char *at, uint32_t number)
{
    number = htobe32(number);
    memcpy(at, &number, sizeof number);
}

static void write64(unsigned char *at, uint64_t number)
{
    number = htobe64(number);
    memcpy(at, &number, sizeof number);
}

static void header_fill(unsigned char header[HEADER_BYTES], uint64_t size_bytes, uint32_t l1_size)
{
    memset(header, 0, HEADER_BYTES);
    write32(header, MAGIC);
    write32(header + AT_VERSION, 3);
    write32(header + AT_CLUSTER_BITS, CLUSTER_BITS);
    write64(header + AT_SIZE, size_bytes);
    write32(header + AT_L1_SIZE, l1_size);
    write64(header + AT_L1_OFFSET, L1_AT * CLUSTER);
    write64(header + AT_REFCOUNT_OFFSET, 1 * CLUSTER);
    write32(header + AT_REFCOUNT_CLUSTERS, 1);
    write32(header + AT_REFCOUNT_ORDER, REFCOUNT_ORDER);
    write32(header + AT_HEADER_LENGTH, HEADER_BYTES);
}

static bool write_at(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at) == (ssize_t)len;
}

int qcow2_create(int fd, uint64_t size_bytes, struct error *err)
{
    unsigned char header[HEADER_BYTES], block_at[8];
    uint16_t counts[L1_AT + L1_MAX_BYTES / CLUSTER];
    size_bytes += (SECTOR - size_bytes % SECTOR) % SECTOR;
    uint64_t l1_size = size_bytes / L1_COVERS + (size_bytes % L1_COVERS != 0);
    if (l1_size > L1_MAX_BYTES / L1_ENTRY_BYTES)
        return error_set(err, ERR_INVALID, "a qcow2 image holds at most 2 PiB");
    size_t clusters = L1_AT + (l1_size * L1_ENTRY_BYTES + CLUSTER - 1) / CLUSTER;
    header_fill(header, size_bytes, (uint32_t)l1_size);
    write64(block_at, 2 * CLUSTER);
    for (size_t i = 0; i < clusters; i++)
        counts[i] = htobe16(1);
    if (ftruncate(fd, (off_t)clusters * CLUSTER) < 0 || !write_at(fd, header, sizeof header, 0) ||
        !write_at(fd, block_at, sizeof block_at, 1 * CLUSTER) ||
        !write_at(fd, counts, clusters * sizeof *counts, 2 * CLUSTER))
        return error_sys(err, "cannot write an empty image");
    return 0;
}

/* ---- somebody else's ---------------------------------------------------------------- */

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
