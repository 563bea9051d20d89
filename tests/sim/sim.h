/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/value.h"
#include "tests/sim/book.h"
#include "tests/sim/driver.h"
#include "tests/sim/events.h"
#include "tests/sim/git.h"
#include "tests/sim/host.h"
#include "tests/sim/prng.h"
#include "tests/sim/tally.h"
#include "tests/sim/trace.h"
#include "tests/sim/truth.h"
#include "tests/sim/wish.h"

/*
 * One seed's whole world: a clock that jumps from event to event, a host with the real
 * core and the real store on it, drivers with the real library in them, what really
 * exists, who commits, and who interferes.
 *
 *      git ──► host (core, store) ◄──► drivers ──► truth ◄── actors
 *                      ▲                             │
 *                    faults                      invariants
 */
struct swarm {
    unsigned rates[FAULT_COUNT]; /* per mille of opportunities; 0: not in this run */
    int64_t active_ms;           /* how long faults last */
    int64_t edit_every_ms, act_every_ms, fault_every_ms;
    enum wish_taste taste; /* what edits are mostly about */
    unsigned near_rate;    /* per mille of operations that a misfortune aims at */
    int64_t resync_ms;
    int64_t hop_ms;  /* a message on its way */
    int64_t work_ms; /* an operation, typically */
    struct able able[DRIVERS];
};

struct sim {
    uint64_t seed;
    struct prng workload, faults, schedule, latency, chance, extra, later, groups;
    struct events events;
    struct arena *arena;
    int64_t now_ms, wall_ms; /* wall: added to now */
    int64_t frozen_ms;       /* what the wall clock stands at; 0: it goes */
    int64_t drift_ppm;       /* what it gains in a million */
    struct swarm swarm;
    int64_t second_until_ms; /* a second daemon goes on trying until then; 0: there is none */
    bool is_quiet;           /* no more faults */
    struct truth truth;
    struct git git;
    struct sim_driver drivers[DRIVERS];
    struct host host;
    struct book book;
    struct trace trace;
    struct tally *tally;
    uint64_t events_run;
    uint64_t faults_met[FAULT_COUNT];
    bool is_armed[FAULT_COUNT]; /* by the disk's rules, and no call has met it yet */

    /* the first violation, and how to get out of wherever it was found */
    int violated; /* index into the table of invariants; -1: none */
    char message[MESSAGE_MAX];
    jmp_buf *out;
};

/* Whether this fault comes now. `verb` and `phase` say what it strikes; VERBS: no operation. */
bool sim_fault(struct sim *sim, enum fault fault, enum verb verb, enum phase phase);
/* Counts one that was decided elsewhere, against all operations under way. */
void sim_fault_note(struct sim *sim, enum fault fault);

/* A rule of the disk's waits for a call, which counts when it comes: the first that meets it. */
void sim_fault_arm(struct sim *sim, enum fault fault);
void sim_fault_met(struct sim *sim, enum fault fault);

/* The same for operations of this driver only, of a fault that was counted already. */
void sim_fault_strikes(struct sim *sim, enum fault fault, const struct sim_driver *driver);
/* Something is under way: a misfortune of the host's may come before it has ended. */
void sim_misfortune_near(struct sim *sim, enum verb verb);

/* What the wall clock says. */
int64_t sim_wall_ms(const struct sim *sim);
void sim_clock_steadies(struct sim *sim);
/* One event, if one is due before `until_ms`; else the clock goes there, and it is false. */
bool sim_step(struct sim *sim, int64_t until_ms);

#define TRACE(sim, ...) trace_line(&(sim)->trace, (sim)->now_ms, __VA_ARGS__)

/* Runs one seed; `out` gets the trace's hash. The index of the broken invariant, or -1. */
struct verdict {
    int violated;
    char message[MESSAGE_MAX];
    char hash[17];
    uint64_t events, lines;       /* how long the run was */
    int64_t now_ms;               /* virtual time of its end */
    uint64_t faults[FAULT_COUNT]; /* that it met */
};
struct options {
    bool is_shown;
    uint64_t without[1]; /* bits of faults that are left out */
    int64_t active_ms;   /* 0: as the seed says */
    unsigned cpu_s;      /* that it may take; 0: 15 minutes */
};
/* A world without faults on `first`, up and converged; false: it did not. */
bool sim_begin_calm(struct sim *sim, const struct wish *first, const struct able *able,
                    bool is_shown, struct tally *tally);
void sim_end(struct sim *sim);
struct swarm sim_swarm(uint64_t seed); /* what the seed chooses, before anything is left out */
struct verdict sim_run(uint64_t seed, const struct options *options, struct tally *tally);

#endif
