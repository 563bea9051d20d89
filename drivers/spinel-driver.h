/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SPINEL_DRIVER_H
#define SPINEL_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

/*
 * How to write a driver in C.
 *
 * A driver is an executable: one `struct spinel_driver`, the callbacks it names,
 * and SPINEL_DRIVER(...) in place of main(). libspinel-driver.a does the rest:
 * JSON-RPC framing on standard input and output (docs/driver-protocol.md),
 * admission by epoch, the ledger of operations, deadlines, and killing what a
 * call left behind.
 *
 * Callbacks block and are straight-line code. Each `list`, `look` and `apply`
 * runs in a process of its own, forked from the one that ran `start`; so a
 * callback that hangs or crashes costs that call only, calls for different
 * objects run at the same time, and nothing that a callback changes in memory is
 * seen by the next: the truth of a driver is the world (files, processes, the
 * kernel), never its memory. Children that a callback forks die with it, in
 * whatever process group they are, unless they call setsid(): that says that they are
 * to outlive it on purpose (a launcher of VMs, which leaves its cgroup, too).
 * A driver that sets SPINEL_IN_PROCESS is called directly, one call at a time.
 *
 * "Done" from apply means only "asked": the engine looks again before it
 * believes. Every verb is idempotent: after a crash it comes again with the same
 * op, and the answer is what is true then.
 *
 * New members go to the end of each struct, never between.
 */

struct spinel_host; /* what the library lends to callbacks; see below */

enum spinel_verb {
    SPINEL_CREATE,  /* make it, or finish making it; what has its uid is it (docs/model, R5) */
    SPINEL_UPDATE,  /* bring the fields in `changed` (live) and any damage to `spec` */
    SPINEL_RESTART, /* stop it cleanly and start it as `spec` says */
    SPINEL_DELETE,  /* destroy it; absent already is success */
    SPINEL_RELEASE, /* stop managing it, keep it and its data, marked released */
    SPINEL_ADOPT,   /* take back what was released; or take over an epoch after a restore */
};

/* One step to carry out. Everything is borrowed until the callback returns. */
struct spinel_op {
    const char *op;  /* the same text however often this step is sent */
    const char *uid; /* 32 hexadecimal digits */
    uint64_t epoch;
    enum spinel_verb verb;
    const char *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    uint64_t generation;
    bool is_purge;               /* of a delete: a person gave it up, nothing is to be kept */
    const struct value *spec;    /* desired, normalised, with what was chosen; NULL for a
                                  * delete of something that no manifest describes */
    const struct value *changed; /* list of paths, for an update; may be empty */
    const struct value *refs;    /* {"Volume":{"db":{"uid","spec"}}}; docs/driver-protocol.md */
    const struct value *labels;  /* map */
};

/* What a driver says of one object; built in the call's arena. */
struct spinel_object {
    const char *uid;
    const char *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    uint64_t epoch; /* the highest that its tag or the ledger holds; 0 lets the library
                     * fill in the ledger's */
    bool absent;    /* it is not there: only uid and epoch count */
    bool released;
    struct value *spec;   /* the observed fields, in the shape of the desired spec; what was
                           * not looked at is left out, and is not compared */
    struct value *booted; /* how the running thing was started, in the same shape, or NULL */
    struct value *status; /* observed only: {"state":"running","pid":...}; never compared */
    struct value *damage; /* list of {"path","desired","observed"} texts: what is wrong with
                           * it beside its fields ("status.table": "present", "missing") */
    const char *etag;     /* that it would be listed under now, or NULL */
};

/* Where `list` and `look` put what they find. */
struct spinel_list;

/* One owned object, compactly. `etag` is any short text that differs when `look`
 * would answer something else. */
void spinel_list_add(struct spinel_list *list, const char *uid, uint64_t epoch, const char *etag);

/* In look_all: the uids that are asked for, and one of them in full (an object that is
 * not there as `absent`). If not every one is told, all are reported as unknown. */
const char *const *spinel_list_wanted(const struct spinel_list *list, size_t *count);
void spinel_list_object(struct spinel_list *list, const struct spinel_object *object);
/* The same for one that cannot be told, and why. */
void spinel_list_unknown(struct spinel_list *list, const char *uid, const struct error *why);

/* Something in our places that carries no valid tag: reported, never touched. */
void spinel_list_unmanaged(struct spinel_list *list, const char *kind, const char *native,
                           const char *why);

/* What a delete took away and the driver still keeps, until a purge or its time, both in unix
 * seconds; `bytes` on disk. */
void spinel_list_trash(struct spinel_list *list, const char *kind, const char *uid,
                       const char *native, int64_t bytes, int64_t deleted_at, int64_t until);

enum {
    SPINEL_IN_PROCESS = 1 << 0,
    /* An etag covers all that `look` would tell, for this program over all its runs: what
     * was seen before a restart need not be looked at again while its etag is the same. */
    SPINEL_LASTING_ETAGS = 1 << 1,
};

struct spinel_driver {
    const char *name;    /* [a-z][a-z0-9-]* */
    const char *version; /* free text */
    const char *kinds;   /* "Pool Image Volume Seed" */
    unsigned flags;

    /* Once, in the main process, before anything else: check that the machine has
     * what is needed (ERR_UNSUPPORTED with a hint otherwise). `settings` is the
     * driver's part of the site file, may be NULL. `reply` is a map to which
     * capabilities may be added. May be NULL. */
    int (*start)(struct spinel_host *host, const struct value *settings, struct value *reply,
                 struct error *err);

    /* Every object that bears our tag. A partial answer is an error, never a short list. */
    int (*list)(struct spinel_host *host, struct spinel_list *list, struct error *err);

    /* One object in full. `object->uid` is set; what is not there is `absent`, not an
     * error. When the state cannot be told, return ERR_BUSY: unknown is not absent. */
    int (*look)(struct spinel_host *host, struct spinel_object *object, struct error *err);

    /* Carry out one step. ERR_INVALID and ERR_UNSUPPORTED are not retried until the
     * manifest changes; anything else is, with back-off. */
    int (*apply)(struct spinel_host *host, const struct spinel_op *op, struct error *err);

    /* Optional: a descriptor that becomes readable when something may have changed
     * (opened by `start`), and what to do then, in the main process, without
     * blocking: read it and call spinel_changed(). */
    int (*watch_fd)(struct spinel_host *host);
    void (*watch)(struct spinel_host *host);

    /* Optional: more descriptors may be watched with spinel_watch(). */

    /* Optional: several objects in full at once, for drivers that look faster in bulk. */
    int (*look_all)(struct spinel_host *host, struct spinel_list *list, struct error *err);

    /* Optional, both or neither: for a driver whose every step costs what all that is there
     * costs, such as the rules of a network that are written as a whole. `group` tells, in the
     * main process and without blocking, with which others a step may be carried out: those of
     * the same text (in the call's arena; NULL: with none). While one group's steps run, more
     * of it wait, and are then carried out together, in one process, by `apply_all`: in their
     * order, with one outcome each (`outcomes` are without error at first). If that process
     * dies, none of them was acknowledged, and for a while each runs alone, by `apply`. Such a
     * driver is asked to look at many objects at once: it wants look_all, too. */
    const char *(*group)(struct spinel_host *host, const struct spinel_op *op);
    void (*apply_all)(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                      struct error *outcomes);

    /* Optional, for a driver that can know without looking at each object that `list` would say
     * what it said before: a short text, in the call's arena, that is another one whenever it
     * would not. In the process that `list` would be called in; NULL: it cannot be told now. */
    const char *(*unchanged)(struct spinel_host *host);

    /* Optional: the most steps of one process; 0 leaves it to the library. What costs the same for
     * each step gains by fewer: the next ones begin while the engine hears of the first. */
    size_t group_max;

    /* Optional: the kinds of which `group` may tell one, "Volume"; NULL: all. Of the others the
     * driver is sent no more at once than the site allows. */
    const char *group_kinds;

    /* Optional: in the main process, without blocking, before the process of a call is started:
     * what is read here need not be read by each of them. A callback that uses it makes sure that
     * the world still is as it was read. */
    void (*prepare)(struct spinel_host *host);
};

int spinel_driver_main(const struct spinel_driver *driver, int argc, char **argv);

#define SPINEL_DRIVER(driver)                             \
    int main(int argc, char **argv)                       \
    {                                                     \
        return spinel_driver_main(&(driver), argc, argv); \
    }

/* ---- what the library lends --------------------------------------------------------- */

/* The call's arena: dies when the callback returns. In `start`, the process's. */
struct arena *spinel_arena(struct spinel_host *host);

/* Absolute directories without a trailing slash. spinel_state_dir() is the site's
 * stateDir; spinel_own_dir() is "<stateDir>/drivers/<name>", made on start, 0700. */
const char *spinel_state_dir(struct spinel_host *host);
const char *spinel_own_dir(struct spinel_host *host);
const char *spinel_rack(struct spinel_host *host);    /* metadata.name of the site */
const char *spinel_rack_id(struct spinel_host *host); /* 32 hexadecimal digits */

/* Milliseconds left for this call; 0 once it must give up. */
int64_t spinel_remaining_ms(struct spinel_host *host);

/* Progress of the running apply, 0 to 100, with a few words; at most a few a second. */
void spinel_progress(struct spinel_host *host, int percent, const char *what);

/* A line for the daemon's log. */
enum spinel_level { SPINEL_DEBUG, SPINEL_INFO, SPINEL_WARNING };
void spinel_log(struct spinel_host *host, enum spinel_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells the engine to look at `uid` again (NULL: at everything), because of `why`, a
 * few words that end up as the probable cause: "process exited: signal 9". */
void spinel_changed(struct spinel_host *host, const char *uid, const char *why);

/* For a watch: whether a step for `uid` waits, is under way, or is about to be answered. The engine
 * looks at it after that, so what happened to it so far need not be told; if the step fails, the
 * library tells. What happened before a step ended is always watched before its answer leaves. */
bool spinel_is_applying(struct spinel_host *host, const char *uid);

/* Watches one more descriptor in the main process; only from `start` or a watch. */
void spinel_watch(struct spinel_host *host, int fd, void (*ready)(struct spinel_host *, int fd));
void spinel_unwatch(struct spinel_host *host, int fd);
/* One that rests wakes nobody: it is only served before a step is answered. */
void spinel_watch_rests(struct spinel_host *host, int fd, bool rests);

/* The ledger: the highest epoch acknowledged for a uid, also after its delete. */
uint64_t spinel_ledger_epoch(struct spinel_host *host, const char *uid);

/*
 * Ownership tags. A tag is one line of JSON: rack id, kind, project, name, uid,
 * epoch, `extra` (what was chosen, so that a lost store can be rebuilt), and a
 * keyed BLAKE2b over all of it and over the object's native id, so that a tag
 * copied to another object does not verify.
 */
char *spinel_tag_make(struct spinel_host *host, const struct spinel_op *op, const char *native_id,
                      const struct value *extra);
/* The tag's map if it is ours and right for `native_id`; NULL otherwise. */
const struct value *spinel_tag_read(struct spinel_host *host, const char *text,
                                    const char *native_id);
/* The same for a driver that has changed what its native ids are: right for `native_id` or for
 * `former`. Either may be NULL: for none. */
const struct value *spinel_tag_read_either(struct spinel_host *host, const char *text,
                                           const char *native_id, const char *former);

/* Keyed BLAKE2b of bytes under the rack's key, in the arena: for content that may be
 * compared, but neither shown nor guessed at. */
char *spinel_digest(struct spinel_host *host, const void *data, size_t len);

/* Runs a program without a shell, standard input from /dev/null, waits at most
 * until the call's deadline (then kills its group: ERR_BUSY). Output (both streams,
 * at most 64 KiB) goes to `*output` in the arena if not NULL. A non-zero status is
 * ERR_SYSTEM with the last line of output. argv ends with NULL. */
int spinel_run(struct spinel_host *host, const char *const argv[], char **output,
               struct error *err);

#endif
