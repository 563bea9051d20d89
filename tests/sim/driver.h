/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_DRIVER_H
#define TESTS_SIM_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include "drivers/spinel-driver.h"
#include "model/text.h"
#include "reconciler/engine/lines.h"

struct sim;
struct spinel_host;
struct thing;
struct truth;

/*
 * A driver: the real library (admission, ledger, tags, framing) around callbacks that
 * change the truth, in a process that only seems to be one. What it says travels as
 * lines of JSON, in virtual time; faults strike it on the way and at work.
 */
enum driver_id { DRIVER_DISK, DRIVER_NET, DRIVER_VM, DRIVERS };

enum { ASKED_MAX = 512 };

/* Of what the protocol leaves to a driver. */
struct able {
    bool groups;      /* steps of a pool, and of a network, go together */
    size_t group_max; /* as struct spinel_driver has it */
    bool etags;       /* they last, over all runs of its program */
    bool tells_etag;  /* in a look */
    bool knows;       /* that a list would say the same, without one */
};

struct asked {
    int64_t id;
    char op[65];
};

struct sim_driver {
    struct spinel_driver interface;
    struct sim *sim;
    enum driver_id id;
    struct able able;
    uint64_t program;         /* that it runs: another number is another one */
    struct spinel_host *host; /* NULL: no process */
    uint64_t life;            /* of the process: what belongs to an earlier one is void */
    uint64_t calls;
    bool is_asked_for;                /* it is being started */
    struct text waiting;              /* sent before it was up */
    struct lines said;                /* to the core, which reads it line by line */
    int64_t to_driver_ms, to_core_ms; /* a pipe keeps the order */
    int64_t synced_bytes;             /* of its ledger */
    int64_t last_request;
    struct asked asked[ASKED_MAX]; /* the last applies, by their request's number */
    bool has_lied;                 /* its last list left things out and was said to be whole */
    bool has_told;                 /* to the core that runs: its last list was complete */
};

extern const char *const driver_names[DRIVERS];

void sim_driver_open(struct sim_driver *driver, struct sim *sim, enum driver_id id);
/* What it announces from now on. */
void sim_driver_able(struct sim_driver *driver, const struct able *able);
void sim_driver_start(struct sim_driver *driver);
void sim_driver_send(struct sim_driver *driver, const char *line, size_t len);
void sim_driver_asked(struct sim_driver *driver, int64_t id, const char *op);
void sim_driver_kill(struct sim_driver *driver); /* the core asked for it */
/* Its process ends, now, and nobody is told: the core is gone, or the power. */
void sim_driver_end(struct sim_driver *driver);
/* It dies by itself; the core will hear of it. */
void sim_driver_crash(struct sim_driver *driver, const char *why);
/* What was not synced of its ledger is lost. */
void sim_driver_power_loss(struct sim_driver *driver);
/* Something changed by another's hand: a notice, if it takes note. */
void sim_driver_notice(struct sim_driver *driver, const char *uid, const char *why);
/* One about what has not changed, is not there, or is another driver's. */
void sim_driver_notice_false(struct sim_driver *driver);
struct sim_driver *sim_driver_of_kind(struct sim *sim, const char *kind);

/* truth's side, effect.c: the callbacks. `part`: only some of it is done. */
int effect_apply(struct sim_driver *driver, const struct spinel_op *op, bool is_part,
                 struct error *err);
/* What a machine does of an operation that nobody carries out any more. */
void effect_handed_over(struct sim_driver *driver, const struct spinel_op *op,
                        struct thing *machine);
/* Who has a disk open that the operation would open: QEMU's locks would refuse it. */
const struct thing *effect_holder(const struct truth *truth, const struct spinel_op *op,
                                  const struct thing *machine, const char **volume);
int effect_list(struct spinel_host *host, struct spinel_list *list, struct error *err);
int effect_look(struct spinel_host *host, struct spinel_object *object, struct error *err);

#endif
