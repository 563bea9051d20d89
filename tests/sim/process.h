/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_PROCESS_H
#define TESTS_SIM_PROCESS_H

#include "drivers/lib/call.h"
#include "tests/sim/sim.h"

/* What the parts of a driver's process share: its life (driver.c), its calls (work.c), and what it
 * says (said.c). */

/* What an event about a call refers to: a call that may be gone by then. */
struct call_ref {
    struct sim_driver *driver;
    uint64_t life, number;
};

/* Bytes on their way. */
struct parcel {
    struct sim_driver *driver;
    uint64_t life; /* of the driver, or of the core */
    char *line;
    size_t len;
};

/* Whether this fault comes now, to what this call does. `call` NULL: it is of no call. */
bool faulty(struct sim_driver *driver, enum fault fault, const struct call *call, enum phase phase);

void line_post(struct sim_driver *driver, const char *line, size_t len);
/* The same answer under the number of another request. */
void astray_post(struct sim_driver *driver, const char *line, size_t len);
/* What the library wants to say. */
void output_post(struct sim_driver *driver);
/* What of the ledger is durable, if anything was made so since. */
void synced_note(struct sim_driver *driver, uint64_t syncs_before);

#endif
