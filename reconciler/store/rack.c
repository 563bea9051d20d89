/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who this rack is. Its id is in the tag of everything we made, and uids come from its
 * seed: without them a new store would take its own machines for strangers and make them
 * a second time. So they are kept beside the store too, in `rack`, and outlive it. Only
 * where neither is there a new identity is drawn; one that cannot be read is an error.
 */
#include "reconciler/store/query.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/durable.h"
#include "model/invariant.h"

struct rack_identity {
    char id[33], seed[65]; /* hex */
};

enum kept {
    KEPT_NONE,
    KEPT_DAMAGED,
    KEPT_WHOLE,
};

/* A directory's descriptor, or a negative code. */
static int directory_open(const struct store *store, struct error *err)
{
    char dir[PATH_MAX];
    invariant(strrchr(store->path, '/'), "the store %s is in no directory", store->path);
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(store->path, '/') - store->path), store->path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_sys(err, "cannot open the state directory %s", dir) : fd;
}

static bool identity_parse(const char *text, struct rack_identity *rack)
{
    static const char hex[] = "0123456789abcdef";
    int end = 0;
    return sscanf(text, "%32s %64s%n", rack->id, rack->seed, &end) == 2 &&
           strspn(rack->id, hex) == 32 && strspn(rack->seed, hex) == 64 && end == 97 &&
           !text[97 + strspn(text + 97, "\n")];
}

static int file_read(int dir, struct rack_identity *rack, enum kept *kept, struct error *err)
{
    char text[128];
    *kept = KEPT_NONE;
    struct stat st;
    int fd = openat(dir, "rack", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    bool is_other = fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
    ssize_t got = fd >= 0 && !is_other ? read(fd, text, sizeof(text) - 1) : -1;
    if (is_other)
        error_set(err, ERR_CORRUPT,
                  "the rack's identity beside the store, `rack`, is not a regular file");
    else if (got < 0)
        error_sys(err, "cannot read the rack's identity beside the store");
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return err->code;
    text[got] = '\0';
    *kept = identity_parse(text, rack) ? KEPT_WHOLE : KEPT_DAMAGED;
    return 0;
}

static int file_write(int dir, const struct rack_identity *rack, struct error *err)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "%s %s\n", rack->id, rack->seed);
    invariant(len > 0 && (size_t)len < sizeof(text), "an identity of %d bytes", len);
    unlinkat(dir, "rack.new", 0); /* of one that died, or a link to what is not ours to empty */
    int fd = openat(dir, "rack.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && write_all(fd, text, (size_t)len) == 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (is_written && renameat(dir, "rack.new", dir, "rack") == 0 && fsync(dir) == 0)
        return 0;
    return error_sys(err, "cannot write the rack's identity beside the store");
}

static int row_read(struct store *store, struct rack_identity *rack, bool *is_there,
                    struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT id || ' ' || lower(hex(seed)) FROM rack", err);
    *is_there = query_next(&query) > 0;
    const char *text = *is_there ? query_peek(&query) : NULL;
    if (text && !identity_parse(text, rack))
        query.failed = query_error(NULL, SQLITE_CORRUPT, store->path, "open the store", err);
    return query_end(&query);
}

static void identity_draw(struct rack_identity *rack)
{
    uint8_t seed[32], id[16];
    randombytes_buf(seed, sizeof(seed));
    randombytes_buf(id, sizeof(id));
    sodium_bin2hex(rack->id, sizeof(rack->id), id, sizeof(id));
    invariant(strlen(rack->id) == sizeof(rack->id) - 1, "a rack of id '%s'", rack->id);
    sodium_bin2hex(rack->seed, sizeof(rack->seed), seed, sizeof(seed));
}

static int damaged(struct error *err)
{
    error_set(err, ERR_CORRUPT,
              "the rack's identity beside the store does not read as Spinel "
              "wrote it, and the store does not know it either");
    return error_hint(err, "Put `rack` in the state directory back from a backup. Without it this "
                           "rack's machines are strangers; remove it only if there are none.");
}

static int identity_find(struct store *store, int dir, struct rack_identity *rack,
                         struct error *err)
{
    struct rack_identity beside;
    enum kept kept;
    bool has_row = false;
    int rc = file_read(dir, &beside, &kept, err);
    if (rc == 0)
        rc = row_read(store, rack, &has_row, err);
    if (rc < 0)
        return rc;
    if (!has_row && kept == KEPT_DAMAGED)
        return damaged(err);
    if (!has_row && kept == KEPT_WHOLE)
        *rack = beside;
    else if (!has_row)
        identity_draw(rack);
    return kept == KEPT_WHOLE ? 0 : file_write(dir, rack, err);
}

int rack_prepare(struct store *store, struct error *err)
{
    struct rack_identity rack;
    if (sodium_init() < 0)
        return error_set(err, ERR_SYSTEM, "cannot start libsodium: no source of randomness");
    int dir = directory_open(store, err);
    if (dir < 0)
        return dir;
    int rc = identity_find(store, dir, &rack, err);
    close(dir);
    if (rc < 0)
        return rc;
    invariant(strlen(rack.id) == 32 && strlen(rack.seed) == 64, "a rack '%s'", rack.id);
    char sql[256];
    sqlite3_snprintf(sizeof(sql), sql, "INSERT OR IGNORE INTO rack VALUES (1, '%s', x'%s')",
                     rack.id, rack.seed);
    rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : query_error(store->db, rc, store->path, "open the store", err);
}
