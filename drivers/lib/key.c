/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The key that ownership tags are made with. With another key all that is ours is a stranger's:
 * volumes would be said to be lost, and machines made a second time. So a digest of the key is
 * kept beside the driver's ledger, and a key that is gone or another one is refused; it is made
 * only where no tag can have been.
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

/* ---- the key ------------------------------------------------------------------------ */

static int parent_open(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    *name = slash ? slash + 1 : path;
    snprintf(dir, sizeof dir, "%.*s/", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* It is there for good before anything is signed with it. Of those who make it at once, the first
 * wins. */
static int key_make(const char *path, struct error *err)
{
    uint8_t key[32];
    char hex[32 * 2 + 1];
    const char *name;
    int dir = parent_open(path, &name);
    if (dir < 0)
        return error_sys(err, "cannot make the key file %s", path);
    randombytes_buf(key, sizeof key);
    sodium_bin2hex(hex, sizeof hex, key, sizeof key);
    hex[64] = '\n';
    int result = file_create(dir, name, hex, sizeof hex, err);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(key, sizeof key);
    close(dir);
    if (result == ERR_CONFLICT)
        *err = (struct error)ERROR_INIT;
    else if (result < 0)
        return error_wrap(err, "cannot make the key file %s", path);
    return 0;
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
    int result = key_is_private(path, fd, err);
    if (result < 0)
        return result;
    ssize_t len = read(fd, data, sizeof data - 1); /* of a pipe: nothing, and no waiting */
    result = len < 0 ? error_sys(err, "cannot read the key file %s", path)
                     : key_parse(path, data, (size_t)len, key, err);
    sodium_memzero(data, sizeof data);
    return result;
}

/* ---- whether it is the one ---------------------------------------------------------- */

/* "" if there is none. What a power cut left of one is none. */
static void print_read(const char *path, char print[DIGEST_TEXT])
{
    print[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    ssize_t len = read(fd, print, DIGEST_TEXT - 1);
    close(fd);
    print[len == DIGEST_TEXT - 1 ? len : 0] = '\0';
}

static int key_missed(const char *path, const char *print_path, const char *what, struct error *err)
{
    error_set(err, ERR_DENIED, "the key file %s %s, and what is here was marked with it", path,
              what);
    return error_hint(err,
                      "Put it back from a backup. Without it all of this is a stranger's, and "
                      "would be made anew: only if that is meant, remove %s.",
                      print_path);
}

/* What cannot be written on a full disk is at a later start. */
static void print_write(const char *path, const char *print)
{
    struct error ignored = ERROR_INIT;
    const char *name;
    int dir = parent_open(path, &name);
    if (dir < 0)
        return;
    (void)file_replace(dir, name, print, strlen(print), &ignored);
    close(dir);
}

static int print_check(const char *path, const char *print_path, const char *known,
                       const uint8_t key[32], struct error *err)
{
    static const char what[] = "print of a key";
    char print[DIGEST_TEXT];
    digest_keyed(key, 32, what, sizeof what, print);
    if (known[0] && strcmp(known, print) != 0)
        return key_missed(path, print_path, "is another one", err);
    if (known[0])
        return 0;
    print_write(print_path, print);
    return 0;
}

int key_open(const char *path, const char *dir, uint8_t key[32], struct error *err)
{
    char print_path[PATH_MAX], known[DIGEST_TEXT];
    if (sodium_init() < 0)
        return error_set(err, ERR_SYSTEM, "libsodium cannot start");
    snprintf(print_path, sizeof print_path, "%s/key-print", dir);
    print_read(print_path, known);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && known[0])
        return key_missed(path, print_path, "is gone", err);
    if (fd < 0 && errno == ENOENT) {
        if (key_make(path, err) < 0)
            return err->code;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0)
        return error_sys(err, "cannot open the key file %s", path);
    int result = key_read(path, fd, key, err);
    close(fd);
    return result < 0 ? result : print_check(path, print_path, known, key, err);
}
