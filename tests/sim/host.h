/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_HOST_H
#define TESTS_SIM_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include "reconciler/engine/core.h"
#include "tests/sim/disk.h"

struct sim;

/*
 * The machine that the daemon runs on. Every call of the core to the outside is
 * counted and can be its last: from then on nothing that it does reaches anybody, as
 * after kill -9, and once it has returned it is swept away and started again.
 */
struct host {
    char dir[64]; /* of the drivers; the store lies on `disk` */
    struct sim_disk disk;
    enum sim_loss loss;  /* what a loss of power does to what was not synced */
    struct store *store; /* NULL: the daemon is down */
    struct core *core;
    struct env env;
    struct ledger ledger;
    struct core_config config;
    char rack_id[33], key_file[96];
    uint64_t life;
    bool is_booting;         /* it opens the store */
    bool is_dead;            /* killed, and not yet swept away */
    bool has_no_power;       /* it was the power */
    bool is_writing;         /* the core, to the store */
    uint64_t failed_in_life; /* of the core, of which a write failed, and 1; 0: of none */

    uint64_t calls, crash_at; /* 0: never */
    uint64_t again_at; /* it dies once more, at this call after its next death; 0: it does not */
    bool again_has_no_power;
    unsigned storm_left; /* deaths to come, each within so many calls of the last restart */
    uint64_t storm_span, storm_state;
    uint64_t deaths;      /* at a call */
    uint64_t swept_calls; /* when the last dead one was swept away */
    uint64_t timer;       /* number of the timer that counts */
    uint64_t writes;      /* to the store */
    uint64_t applies;     /* sent */
    uint64_t looks_asked;
    int64_t seq;       /* of the last event */
    bool may_skip;     /* the store is another: sequences begin anew */
    bool has_begun;    /* what the process before recorded last it may not have told */
    bool was_restored; /* an old copy of the store was put back, at some time */
    bool is_damaged; /* the store reads otherwise than it was written, and no start has read it yet
                      */
    bool is_misled;  /* a start has believed such a store, at some time */
    char accepted[65];       /* last target that the store made durable */
    int64_t accepted_ms;     /* when it was */
    char accepting[65];      /* in the batch that is open */
    char maybe[65];          /* in the batch that was open when the daemon died */
    char said_converged[65]; /* the commit of the last "converged" */
    uint64_t booted_at_calls;
    int64_t booted_ms;
    char *saved[2]; /* an old copy of the store: the file and its log */
    size_t saved_len[2];
};

void daemon_open(struct sim *sim);
void daemon_close(struct sim *sim);
void daemon_boot(struct sim *sim);
/* What the store made durable as the target. */
void host_accept(struct sim *sim, const char *commit);
/* To be called after whatever brought the core news. */
void daemon_pump(struct sim *sim);
/* Now, as by kill -9 or by the power. */
void daemon_crash(struct sim *sim, bool has_no_power);
void daemon_head(struct sim *sim); /* the branch has moved, or may have */
void daemon_store_lose(struct sim *sim);
void daemon_store_save(struct sim *sim);
bool daemon_store_restore(struct sim *sim); /* false: there is no copy */
bool daemon_is_up(const struct sim *sim);

/* The disk is full, or one call of it fails. */
void daemon_disk_fills(struct sim *sim);
void daemon_disk_fails(struct sim *sim);
void daemon_disk_stiffens(struct sim *sim); /* it can be read only */
void daemon_disk_busy(struct sim *sim);     /* somebody else holds a lock of the store */
/* One of the reads to come ends before what was asked for. */
void daemon_disk_reads_short(struct sim *sim);
void daemon_disk_heals(struct sim *sim);
/* The daemon ends, and before it starts again one bit of the store's files is another. */
void daemon_bit_flips(struct sim *sim);
/* Another version of the program has had the store: an older one, whose schema is to be brought up
 * to date, or a newer one, which this one must leave alone. */
void daemon_version_changes(struct sim *sim);

/* seam.c: what the core calls. */
void seam_bind(struct sim *sim);
extern const char store_dir[];

#endif
