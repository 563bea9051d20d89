/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_HOST_H
#define DRIVER_HOST_H

#include <sys/stat.h>
#include <sys/types.h>
#include "drivers/lib/ledger.h"
#include "drivers/lib/wire.h"
#include "drivers/spinel-driver.h"
#include "model/value.h"

struct call;

struct watch {
    int fd;
    bool rests;
    void (*ready)(struct spinel_host *host, int fd);
};

/* Everything that one driver process knows. In the process of a call it is that
 * process's copy: what a callback changes here is not seen by anybody else. */
struct spinel_host {
    const struct spinel_driver *driver;
    struct wire wire;
    struct ledger *ledger; /* NULL before initialize */
    struct arena *forever; /* dies with the process */
    struct arena *arena;   /* of the running callback */
    int64_t deadline_ms;   /* of the running callback, on the monotonic clock */
    const char *op;        /* that it carries out; NULL for a list or a look */
    int call_fd;           /* in the process of a call: its pipe to the main one; else -1 */
    int lock_fd;           /* see lock.h */
    bool is_driving;       /* holds the lock: may apply; else it only observes */
    int signal_fd;
    int guard_fd; /* see guard.h; -1 until the first call */
    const char *state_dir;
    const char *own_dir;
    const char *rack;
    const char *rack_id;
    uint8_t key[32];
    struct call *calls; /* in order of arrival */
    struct watch *watches;
    size_t watch_count;
    int exit_status;         /* -1 while it is to go on */
    uint64_t born_ns;        /* when this process began: tells it from others */
    size_t apply_moves;      /* times that a call to apply began or ended */
    int64_t alone_until_ms;  /* no groups before: one died */
    int64_t strays_until_ms; /* what calls left is waited for; 0: there is nothing */
};

/* Milliseconds of the monotonic clock. */
int64_t host_now_ms(void);

/* Keeps what initialize said, makes the driver's own directory, reads the key (makes
 * it if it is missing) and the ledger. */
int host_open(struct spinel_host *host, const struct value *params, struct error *err);
void host_close(struct spinel_host *host);

/* Whoever else may write to a directory of ours could put links into it, and have us write to what
 * is none of ours: ERR_DENIED if anybody but root and this process's user may. */
int dir_check_own(const char *path, const struct stat *st, struct error *err);

/* "create" and so on, static; verb_read() is -1 if the word is unknown. */
const char *verb_text(enum spinel_verb verb);
int verb_read(const char *word, enum spinel_verb *verb);

/* Fills `key` with the 32 bytes (raw or hexadecimal) of `path`, which is made with
 * fresh random ones, mode 0600, if it is not there and no other key was seen by the driver whose
 * directory `dir` is. ERR_DENIED if one was. */
int key_open(const char *path, const char *dir, uint8_t key[32], struct error *err);

#endif
