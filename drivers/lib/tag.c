/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Ownership tags: one line of canonical JSON with a MAC over itself and over the
 * native id of what carries it. The native id is not in the text, so a tag that was
 * copied along with a file verifies nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/lib/host.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/json.h"

/* It is there for good before anything is signed with it. ERR_CONFLICT: another one was made. */
static int key_make(const char *path, uint8_t key[32], struct error *err)
{
    char hex[32 * 2 + 1], dir[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(dir, sizeof dir, "%.*s/", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_sys(err, "cannot make the key file %s", path);
    randombytes_buf(key, 32);
    sodium_bin2hex(hex, sizeof hex, key, 32);
    hex[64] = '\n';
    int result = file_create(dir_fd, name, hex, sizeof hex, err);
    sodium_memzero(hex, sizeof hex);
    close(dir_fd);
    return result < 0 ? error_wrap(err, "cannot make the key file %s", path) : 0;
}

static int key_parse(const char *path, const char *data, size_t len, uint8_t key[32],
                     struct error *err)
{
    size_t made = 0;
    if (len == 32) {
        memcpy(key, data, 32);
        return 0;
    }
    if (len >= 64 && strspn(data + 64, "\r\n") == len - 64 &&
        sodium_hex2bin(key, 32, data, 64, NULL, &made, NULL) == 0 && made == 32)
        return 0;
    return error_set(err, ERR_CORRUPT, "the key file %s is not 32 bytes, raw or hexadecimal", path);
}

/* Whoever reads it can make tags, and whoever writes it can make all of ours strangers. */
static int key_is_private(const char *path, int fd, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_sys(err, "cannot look at the key file %s", path);
    if ((st.st_mode & 077) == 0)
        return 0;
    error_set(err, ERR_DENIED, "the key file %s is open to others: its mode is %04o", path,
              (unsigned)st.st_mode & 07777);
    return error_hint(err, "See who could have read it, then: chmod 600 %s", path);
}

static int key_read(const char *path, int fd, uint8_t key[32], struct error *err)
{
    char data[80] = "";
    if (key_is_private(path, fd, err) < 0)
        return err->code;
    ssize_t len = read(fd, data, sizeof data - 1); /* of a pipe: nothing, and no waiting */
    int result = len < 0 ? error_sys(err, "cannot read the key file %s", path)
                         : key_parse(path, data, (size_t)len, key, err);
    sodium_memzero(data, sizeof data);
    return result;
}

int key_open(const char *path, uint8_t key[32], struct error *err)
{
    if (sodium_init() < 0)
        return error_set(err, ERR_SYSTEM, "libsodium cannot start");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        if (key_make(path, key, err) != ERR_CONFLICT)
            return err->code;
        *err = (struct error)ERROR_INIT; /* whoever else starts now made it */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0)
        return error_sys(err, "cannot open the key file %s", path);
    int result = key_read(path, fd, key, err);
    close(fd);
    return result;
}

static void tag_mac(struct spinel_host *host, const struct value *tag, const char *native_id,
                    char *mac)
{
    struct text covered = TEXT_INIT;
    json_write_canonical(&covered, tag);
    text_add_char(&covered, '\n');
    text_add(&covered, native_id);
    digest_keyed(host->key, sizeof host->key, covered.data, covered.len, mac);
    text_free(&covered);
}

char *spinel_tag_make(struct spinel_host *host, const struct spinel_op *op, const char *native_id,
                      const struct value *extra)
{
    struct arena *arena = host->arena;
    struct value *tag = value_map(arena);
    char mac[DIGEST_TEXT];
    value_set_text(arena, tag, "rack", host->rack_id);
    value_set_text(arena, tag, "kind", op->kind);
    value_set_text(arena, tag, "project", op->project);
    value_set_text(arena, tag, "name", op->name);
    value_set_text(arena, tag, "uid", op->uid);
    value_set_int(arena, tag, "epoch", (int64_t)op->epoch);
    value_set_bool(arena, tag, "released", op->verb == SPINEL_RELEASE);
    value_set(arena, tag, "extra", extra ? value_copy(arena, extra) : value_map(arena));
    tag_mac(host, tag, native_id, mac);
    value_set_text(arena, tag, "mac", mac);
    return json_text(arena, tag);
}

const struct value *spinel_tag_read(struct spinel_host *host, const char *text,
                                    const char *native_id)
{
    struct error ignored = ERROR_INIT;
    struct value *tag;
    char mac[DIGEST_TEXT], given[DIGEST_TEXT] = "";
    if (json_read(host->arena, text, strlen(text), &tag, &ignored) < 0 || !value_is_map(tag))
        return NULL;
    const char *claimed = value_get_text(tag, "mac", "");
    if (strlen(claimed) != DIGEST_TEXT - 1)
        return NULL;
    memcpy(given, claimed, DIGEST_TEXT);
    value_unset(tag, "mac");
    tag_mac(host, tag, native_id, mac);
    if (sodium_memcmp(mac, given, DIGEST_TEXT) != 0 ||
        strcmp(value_get_text(tag, "rack", ""), host->rack_id) != 0 ||
        value_get_int(tag, "epoch", 0) < 0 || !value_get_text(tag, "uid", NULL))
        return NULL;
    value_set_text(host->arena, tag, "mac", given);
    return tag;
}

char *spinel_digest(struct spinel_host *host, const void *data, size_t len)
{
    char *hex = arena_alloc(host->arena, DIGEST_TEXT);
    return digest_keyed(host->key, sizeof host->key, data, len, hex);
}
