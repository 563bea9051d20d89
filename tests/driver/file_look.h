/* SPDX-License-Identifier: MPL-2.0 */
/* What a test makes beside the file driver, and what it asks it and its directories. */
#ifndef TESTS_DRIVER_FILE_LOOK_H
#define TESTS_DRIVER_FILE_LOOK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/xattr.h>
#include "tests/driver/file_rack.h"

enum { MIB = 1 << 20 };

#define VOLUME(bytes, format) "{\"spec\":{\"size\":" bytes ",\"format\":\"" format "\"}}"

static inline const char *path_of(struct rack *rack, unsigned n)
{
    return value_at_text(rack_look(rack, n), "status.path", "");
}

/* Names in a directory, hidden ones too. */
static inline int names_count(const char *path)
{
    DIR *dir = opendir(path);
    int count = -2;
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A file of `len` bytes that differ from place to place, and its sha256 as hex. */
static inline const char *source_make(struct rack *rack, const char *name, size_t len, char hex[65])
{
    const char *path = arena_printf(rack->arena, "%s/%s", rack->dir, name);
    unsigned char hash[32], *bytes = calloc(1, len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    file_write(path, bytes, len, 0644);
    crypto_hash_sha256(hash, bytes, len);
    sodium_bin2hex(hex, 65, hash, sizeof hash);
    free(bytes);
    return path;
}

static inline const char *image_json(struct rack *rack, const char *key, const char *source,
                                     const char *hex)
{
    return arena_printf(rack->arena,
                        "{\"spec\":{\"%s\":\"%s\",\"digest\":\"sha256:%s\",\"format\":\"raw\"}}",
                        key, source, hex);
}

/* With its tag, as 'cp --preserve=all' makes it: the bytes, the attributes, and another inode. */
static inline void copy_make(struct rack *rack, const char *from, const char *to)
{
    char tag[4096], bytes[64] = "";
    ssize_t len = getxattr(from, "user.spinel", tag, sizeof tag);
    struct stat st;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && read(fd, bytes, sizeof bytes) > 0);
    close(fd);
    file_write(to, bytes, sizeof bytes, 0600);
    assert_int_equal(truncate(to, st.st_size), 0);
    if (len > 0) {
        assert_int_equal(setxattr(to, "user.spinel", tag, (size_t)len, 0), 0);
        return;
    }
    from = arena_printf(rack->arena, "%s.tag", from);
    fd = open(from, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? -1 : read(fd, tag, sizeof tag);
    assert_true(len > 0);
    close(fd);
    file_write(arena_printf(rack->arena, "%s.tag", to), tag, (size_t)len, 0600);
}

static inline void copy_in_place(struct rack *rack, const char *path)
{
    const char *copy = arena_printf(rack->arena, "%s/copy", rack->dir);
    copy_make(rack, path, copy);
    assert_int_equal(rename(copy, path), 0);
    if (access(arena_printf(rack->arena, "%s.tag", copy), F_OK) == 0)
        assert_int_equal(rename(arena_printf(rack->arena, "%s.tag", copy),
                                arena_printf(rack->arena, "%s.tag", path)),
                         0);
}

static inline bool is_unknown(const struct value *object)
{
    return value_get_bool(object, "unknown", false) && !is_absent(object);
}

/* Of an object that cannot be told: what is said of it. */
static inline const char *doubt_of(struct rack *rack, unsigned n)
{
    const struct value *object = rack_look(rack, n);
    if (!is_unknown(object))
        fail_msg("%s", json_text(rack->arena, object));
    return value_at_text(object, "error.message", "");
}

/* What is listed as not ours. */
static inline const char *strangers_of(struct rack *rack)
{
    return json_text(rack->arena, value_get(rack_list(rack, NULL), "unmanaged"));
}

#endif
