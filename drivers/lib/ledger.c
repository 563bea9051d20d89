/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The ledger is a file of lines, appended to, and rewritten whole when it is claimed and most
 * of it is old:
 *
 *     spinel-ledger 1
 *     admit <uid> <epoch>
 *     done <uid> <epoch> <verb> <op>
 *
 * Lines only ever raise a number, so reading them in order, or some of them twice,
 * gives the same table. A line counts when its newline is there.
 */
#include "drivers/lib/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/lib/host.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/invariant.h"
#include "model/packed.h"
#include "model/text.h"

#define HEADER "spinel-ledger 1\n"
enum { OP_MAX = 128, COMPACT_SLACK = 1000 };

/* There is one for each object that was ever changed, so it is small: the op is nearly always a
 * digest. */
enum op_form { OP_NONE, OP_DIGEST, OP_TEXT };
struct entry {
    unsigned char uid[UID_BYTES];
    uint64_t admitted;
    uint64_t acknowledged;
    union {
        unsigned char digest[DIGEST_BYTES];
        char *text;
    } op;         /* that was acknowledged */
    uint8_t verb; /* enum spinel_verb, of it */
    uint8_t form; /* enum op_form */
};

struct ledger {
    struct packed entries;
    size_t open_count; /* entries that ledger_is_open() */
    char *dir;
    char *path;
    int fd; /* -1 without a claim */
    off_t size;
    size_t line_count;
    bool is_torn; /* as it was read: its last line has no end */
    bool is_dirty;
    ino_t inode;      /* of the file as it was read */
    off_t read_bytes; /* of it */
};

bool ledger_takes(const char *op)
{
    size_t len = strlen(op);
    if (len == 0 || len > OP_MAX)
        return false;
    for (const char *c = op; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return true;
}

static struct entry *entry_find(const struct ledger *ledger, const char *uid)
{
    unsigned char key[UID_BYTES];
    return hex_read(uid, key, sizeof key) ? packed_find(&ledger->entries, key) : NULL;
}

static struct entry *entry_need(struct ledger *ledger, const char *uid)
{
    unsigned char key[UID_BYTES];
    bool is_uid = hex_read(uid, key, sizeof key);
    invariant(is_uid, "a ledger of '%.80s'", uid);
    struct entry *entry = packed_find(&ledger->entries, key);
    return entry ? entry : packed_add(&ledger->entries, key);
}

/* ---- the op of an entry ------------------------------------------------------------- */

static void op_forget(struct entry *entry)
{
    if (entry->form == OP_TEXT)
        free(entry->op.text);
    entry->form = OP_NONE;
}

static void op_keep(struct entry *entry, const char *op)
{
    op_forget(entry);
    if (hex_read(op, entry->op.digest, sizeof entry->op.digest)) {
        entry->form = OP_DIGEST;
        return;
    }
    entry->op.text = memory_need(strdup(op));
    entry->form = OP_TEXT;
}

/* `hex` is room for a digest. */
static const char *op_text(const struct entry *entry, char hex[DIGEST_TEXT])
{
    invariant(entry->form != OP_NONE, "an op at epoch %" PRIu64 " is read, and none has ended",
              entry->admitted);
    return entry->form == OP_TEXT ? entry->op.text
                                  : hex_write(entry->op.digest, sizeof entry->op.digest, hex);
}

/* ---- entries ------------------------------------------------------------------------ */

static bool is_open(const struct entry *entry)
{
    return entry->admitted > entry->acknowledged;
}

static struct entry *entry_admit(struct ledger *ledger, const char *uid, uint64_t epoch)
{
    struct entry *entry = entry_need(ledger, uid);
    ledger->open_count -= is_open(entry);
    if (epoch > entry->admitted)
        entry->admitted = epoch;
    ledger->open_count += is_open(entry);
    invariant(ledger->open_count <= ledger->entries.count, "%zu of %zu entries are open",
              ledger->open_count, ledger->entries.count);
    return entry;
}

static void entry_acknowledge(struct ledger *ledger, const char *uid, uint64_t epoch,
                              enum spinel_verb verb, const char *op)
{
    struct entry *entry = entry_admit(ledger, uid, epoch);
    if (epoch < entry->acknowledged)
        return;
    op_keep(entry, op);
    ledger->open_count -= is_open(entry);
    entry->acknowledged = epoch;
    ledger->open_count += is_open(entry);
    entry->verb = (uint8_t)verb;
    invariant(entry->acknowledged <= entry->admitted,
              "%s: epoch %" PRIu64 " was ended, and only %" PRIu64 " was let in", uid,
              entry->acknowledged, entry->admitted);
}

static void entries_free(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->entries.count; i++)
        op_forget(packed_row(&ledger->entries, i));
    packed_clear(&ledger->entries);
    ledger->open_count = 0;
}

/* ---- reading ------------------------------------------------------------------------ */

/* The next word of a line, ended where its space was; NULL if there is none. */
static char *word_take(char **line)
{
    char *word = *line, *space;
    if (!word || *word == '\0' || *word == ' ')
        return NULL;
    space = strchr(word, ' ');
    if (space)
        *space++ = '\0';
    *line = space;
    return word;
}

static bool uid_take(char **line, const char **uid)
{
    *uid = word_take(line);
    return *uid && strlen(*uid) == UID_TEXT - 1 && (*uid)[strspn(*uid, "0123456789abcdef")] == '\0';
}

/* As we write it: no sign, no leading zero, nothing that an epoch cannot be. */
static bool epoch_take(char **line, uint64_t *epoch)
{
    char *end, *word = word_take(line);
    if (!word || *word < '1' || *word > '9' || strlen(word) > 19)
        return false;
    *epoch = strtoull(word, &end, 10);
    return *end == '\0' && *epoch <= INT64_MAX;
}

static int line_read(struct ledger *ledger, char *line)
{
    const char *uid, *what = word_take(&line);
    uint64_t epoch;
    enum spinel_verb verb;
    if (!what || !uid_take(&line, &uid) || !epoch_take(&line, &epoch))
        return -1;
    if (strcmp(what, "admit") == 0 && !line) {
        entry_admit(ledger, uid, epoch);
        return 0;
    }
    const char *word = word_take(&line), *op = word_take(&line);
    if (strcmp(what, "done") != 0 || !op || line || !ledger_takes(op) || verb_read(word, &verb) < 0)
        return -1;
    entry_acknowledge(ledger, uid, epoch, verb, op);
    return 0;
}

static int lines_read(struct ledger *ledger, char *data, size_t len, struct error *err)
{
    char *line = data;
    for (char *end; (end = memchr(line, '\n', len - (size_t)(line - data))); line = end + 1) {
        *end = '\0';
        ledger->line_count++;
        bool is_header = line == data;
        if (is_header ? strncmp(line, HEADER, strlen(HEADER) - 1) != 0
                      : line_read(ledger, line) < 0) {
            error_set(err, ERR_CORRUPT, "%s:%zu: not a line of a ledger", ledger->path,
                      ledger->line_count);
            return error_hint(err,
                              "Move the file away; epochs are then taken from the objects' tags.");
        }
    }
    ledger->is_torn = line != data + len;
    return 0;
}

static int file_read(const char *path, char **data, size_t *len, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat st;
    *data = NULL;
    *len = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, "cannot open %s", path);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(err, ERR_CORRUPT, "%s is not a regular file", path);
    }
    if (fstat(fd, &st) < 0 || !(*data = malloc((size_t)st.st_size + 1)))
        goto fail;
    for (ssize_t got; *len < (size_t)st.st_size; *len += (size_t)got) {
        got = read(fd, *data + *len, (size_t)st.st_size - *len);
        if (got < 0)
            goto fail;
        if (got == 0)
            break;
    }
    close(fd);
    return 0;
fail:
    error_sys(err, "cannot read %s", path);
    free(*data);
    close(fd);
    return err->code;
}

/* A ledger only grows, or is another file under its name. */
static bool is_read(const struct ledger *ledger, struct stat *st)
{
    *st = (struct stat){0};
    return stat(ledger->path, st) == 0 && st->st_ino == ledger->inode &&
           st->st_size == ledger->read_bytes;
}

int ledger_refresh(struct ledger *ledger, struct error *err)
{
    char *data;
    size_t len;
    struct stat st;
    if (ledger->fd >= 0 || is_read(ledger, &st))
        return 0;
    int result = file_read(ledger->path, &data, &len, err);
    if (result < 0 || !data)
        return result;
    ledger->line_count = 0;
    result = lines_read(ledger, data, len, err);
    free(data);
    if (result == 0) {
        ledger->inode = st.st_ino;
        ledger->read_bytes = (off_t)len;
    }
    return result;
}

int ledger_open(const char *dir, struct ledger **out, struct error *err)
{
    struct ledger *ledger = memory_need(calloc(1, sizeof *ledger));
    ledger->entries = (struct packed)PACKED_OF(struct entry, uid);
    ledger->fd = -1;
    ledger->dir = memory_need(strdup(dir));
    if (asprintf(&ledger->path, "%s/ledger", dir) < 0)
        memory_out();
    int result = ledger_refresh(ledger, err);
    if (result < 0)
        ledger_free(ledger);
    else
        *out = ledger;
    return result;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    entries_free(ledger);
    if (ledger->fd >= 0)
        close(ledger->fd);
    free(ledger->dir);
    free(ledger->path);
    free(ledger);
}

/* ---- writing ------------------------------------------------------------------------ */

static void done_line(struct text *out, const struct entry *entry, const char *uid)
{
    char hex[DIGEST_TEXT];
    invariant(entry->form != OP_NONE && entry->acknowledged > 0, "%s has ended nothing", uid);
    text_printf(out, "done %s %" PRIu64 " %s %s\n", uid, entry->acknowledged,
                verb_text((enum spinel_verb)entry->verb), op_text(entry, hex));
}

static size_t ledger_text(const struct ledger *ledger, struct text *out)
{
    size_t lines = 1;
    text_add(out, HEADER);
    for (size_t i = 0; i < ledger->entries.count; i++) {
        const struct entry *entry = packed_row(&ledger->entries, i);
        char uid[UID_TEXT];
        hex_write(entry->uid, sizeof entry->uid, uid);
        if (entry->form != OP_NONE) {
            done_line(out, entry, uid);
            lines++;
        }
        if (is_open(entry)) {
            text_printf(out, "admit %s %" PRIu64 "\n", uid, entry->admitted);
            lines++;
        }
    }
    return lines;
}

static bool is_compact(const struct ledger *ledger)
{
    return ledger->inode && ledger->line_count > 0 && !ledger->is_torn &&
           ledger->line_count <= 2 * ledger->entries.count + COMPACT_SLACK;
}

/* Goes on in the file as it is. Its last lines may have been written by a process that died
 * before it made them durable: the next sync does. */
static bool ledger_continue(struct ledger *ledger)
{
    struct stat st;
    ledger->fd = open(ledger->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (ledger->fd >= 0 && fstat(ledger->fd, &st) == 0 && st.st_ino == ledger->inode &&
        st.st_size == ledger->read_bytes) {
        ledger->size = st.st_size;
        ledger->is_dirty = true;
        return true;
    }
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = -1;
    return false;
}

int ledger_claim(struct ledger *ledger, struct error *err)
{
    struct text whole = TEXT_INIT;
    char *fresh = NULL;
    int fd = -1, result = ledger_refresh(ledger, err);
    if (result < 0)
        return result;
    if (is_compact(ledger) && ledger_continue(ledger))
        return 0;
    if (asprintf(&fresh, "%s.new", ledger->path) < 0)
        memory_out();
    size_t lines = ledger_text(ledger, &whole);
    fd = fresh_open(AT_FDCWD, fresh, O_WRONLY | O_APPEND);
    if (fd < 0 || write_all(fd, whole.data, whole.len) < 0 || fsync(fd) < 0 ||
        rename(fresh, ledger->path) < 0)
        result = error_sys(err, "cannot write %s", fresh);
    else
        result = directory_sync(ledger->dir, err);
    if (result < 0) {
        if (fd >= 0)
            close(fd);
        goto out;
    }
    invariant(ledger->fd < 0 && lines > ledger->open_count, "%s is claimed twice, by %zu lines",
              ledger->path, lines);
    ledger->fd = fd;
    ledger->size = (off_t)whole.len;
    ledger->line_count = lines;
out:
    text_free(&whole);
    free(fresh);
    return result;
}

static int line_append(struct ledger *ledger, const char *line, size_t len, struct error *err)
{
    invariant(ledger->fd >= 0, "%s is written, and was not claimed", ledger->path);
    invariant(len > 0 && line[len - 1] == '\n', "%s: a line of %zu bytes that does not end",
              ledger->path, len);
    if (write_all(ledger->fd, line, len) < 0) {
        int result = error_sys(err, "cannot write %s", ledger->path);
        /* Half a line would hide the next one. */
        if (ftruncate(ledger->fd, ledger->size) < 0) {
            fprintf(stderr, "%s, nor take back what was written\n", err->message);
            abort();
        }
        return result;
    }
    ledger->size += (off_t)len;
    ledger->is_dirty = true;
    return 0;
}

int ledger_admit(struct ledger *ledger, const struct spinel_op *op, struct error *err)
{
    char line[128];
    uint64_t admitted = ledger_admitted(ledger, op->uid);
    invariant(op->epoch >= admitted, "%s: epoch %" PRIu64 " is let in after %" PRIu64, op->uid,
              op->epoch, admitted);
    if (op->epoch == admitted)
        return 0;
    int len = snprintf(line, sizeof line, "admit %s %" PRIu64 "\n", op->uid, op->epoch);
    int result = line_append(ledger, line, (size_t)len, err);
    if (result == 0)
        entry_admit(ledger, op->uid, op->epoch);
    return result;
}

int ledger_acknowledge(struct ledger *ledger, const struct spinel_op *op, struct error *err)
{
    char line[OP_MAX + 128];
    invariant(ledger_takes(op->op) && op->epoch > 0, "op '%.130s' ends at epoch %" PRIu64, op->op,
              op->epoch);
    int len = snprintf(line, sizeof line, "done %s %" PRIu64 " %s %s\n", op->uid, op->epoch,
                       verb_text(op->verb), op->op);
    int result = line_append(ledger, line, (size_t)len, err);
    if (result == 0)
        entry_acknowledge(ledger, op->uid, op->epoch, op->verb, op->op);
    return result;
}

int ledger_sync(struct ledger *ledger, struct error *err)
{
    if (!ledger->is_dirty)
        return 0;
    invariant(ledger->fd >= 0, "%s has changes, and was not claimed", ledger->path);
    if (fdatasync(ledger->fd) < 0)
        return error_sys(err, "cannot make %s durable", ledger->path);
    ledger->is_dirty = false;
    return 0;
}

/* ---- questions ---------------------------------------------------------------------- */

uint64_t ledger_admitted(const struct ledger *ledger, const char *uid)
{
    const struct entry *entry = entry_find(ledger, uid);
    return entry ? entry->admitted : 0;
}

uint64_t ledger_acknowledged(const struct ledger *ledger, const char *uid)
{
    const struct entry *entry = entry_find(ledger, uid);
    return entry ? entry->acknowledged : 0;
}

void ledger_stamp(const struct ledger *ledger, struct text *out)
{
    text_printf(out, "%jx.%jx.%jx ", (uintmax_t)ledger->inode, (uintmax_t)ledger->read_bytes,
                (uintmax_t)ledger->size);
}

bool ledger_is_open(const struct ledger *ledger, const char *uid)
{
    const struct entry *entry = ledger->open_count ? entry_find(ledger, uid) : NULL;
    return entry && is_open(entry);
}

bool ledger_has_deleted(const struct ledger *ledger, const struct spinel_op *op)
{
    const struct entry *entry = entry_find(ledger, op->uid);
    char hex[DIGEST_TEXT];
    return entry && entry->form != OP_NONE && op->verb == SPINEL_DELETE &&
           entry->verb == SPINEL_DELETE && entry->acknowledged == op->epoch &&
           entry->admitted == op->epoch && strcmp(op_text(entry, hex), op->op) == 0;
}
