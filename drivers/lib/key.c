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

/* ---- one small file ----------------------------------------------------------------- */

static int dir_sync_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%.*s", slash && slash > path ? (int)(slash - path) : 1,
             slash ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

/* Whole or not at all, and there after a power cut. */
static int file_make(const char *path, const char *data, size_t len)
{
    char fresh[PATH_MAX];
    snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid());
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    errno = ENOSPC; /* what a short write means, and does not say */
    int result = write(fd, data, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : -1;
    close(fd);
    /* Of those who make it at once, the first wins. */
    if (result == 0 && link(fresh, path) < 0 && errno != EEXIST)
        result = -1;
    int error = errno;
    unlink(fresh);
    errno = error;
    return result < 0 ? -1 : dir_sync_of(path);
}

/* ---- the key ------------------------------------------------------------------------ */

static int key_make(const char *path, struct error *err)
{
    uint8_t key[32];
    char hex[32 * 2 + 1];
    randombytes_buf(key, sizeof key);
    sodium_bin2hex(hex, sizeof hex, key, sizeof key);
    hex[64] = '\n';
    int result = file_make(path, hex, sizeof hex);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(key, sizeof key);
    return result < 0 ? error_sys(err, "cannot make the key file %s", path) : 0;
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
    unlink(print_path);                                /* what cannot be read of one */
    (void)file_make(print_path, print, strlen(print)); /* on a full disk, at a later start */
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
