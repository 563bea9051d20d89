/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/table.h"

#include <inttypes.h>
#include <stdio.h>
#include "tests/sim/invariants.h"

#define YEAR_MS (365.25 * 86400000.0)

static void speed_print(const struct tally *tally, double seconds)
{
    double years = (double)tally->simulated_ms / YEAR_MS;
    printf("seeds       %" PRIu64 " in %.0f s: %.1f a second\n", tally->seeds, seconds,
           (double)tally->seeds / seconds);
    printf("simulated   %.2f years: %.1f an hour; %" PRIu64 " events, %" PRIu64
           " starts of the daemon, %" PRIu64 " commits\n",
           years, years * 3600 / seconds, tally->events, tally->restarts, tally->commits);
}

static void faults_print(const struct tally *tally)
{
    uint64_t all = 0;
    for (int i = 0; i < FAULT_COUNT; i++)
        all += tally->faults[i];
    printf("faults      %" PRIu64 " (of those that wait for a call: how many it met)\n", all);
    for (int i = 0; i < FAULT_COUNT; i++) {
        char count[48];
        int len = snprintf(count, sizeof count, "%" PRIu64, tally->faults[i]);
        if (tally->armed[i])
            snprintf(count + len, sizeof count - (size_t)len, "/%" PRIu64, tally->armed[i]);
        printf("  %-22s %10s%s", fault_names[i], count,
               i % 3 == 2 || i == FAULT_COUNT - 1 ? "\n" : "");
    }
}

static void flips_print(const struct tally *tally)
{
    const uint64_t *flips = tally->flips;
    printf("bits turned %" PRIu64 " harmless, %" PRIu64 " an older store, %" PRIu64
           " refused, %" PRIu64 " believed\n",
           flips[FLIP_HARMLESS], flips[FLIP_OLDER], flips[FLIP_REFUSED], flips[FLIP_BELIEVED]);
}

static void ops_print(const struct tally *tally)
{
    printf("operations        sent   confirmed     effects\n");
    for (int i = 0; i < VERBS; i++)
        printf("  %-10s %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "\n", verb_names[i],
               tally->ops[i], tally->confirmed[i], tally->effects[i]);
}

/* Those that strike an operation, and so have cells. */
static void kinds_print(void)
{
    unsigned count = 0;
    for (int f = 0; f < FAULT_COUNT; f++)
        count += fault_phases((enum fault)f) != 0;
    printf("            %u of %d kinds of fault take part, those that strike one operation:\n",
           count, FAULT_COUNT);
    for (int f = 0, nth = 0; f < FAULT_COUNT; f++)
        if (fault_phases((enum fault)f))
            printf(++nth % 6 && nth < (int)count ? "  %-20s" : "  %s\n", fault_names[f]);
}

static void cells_print(const struct tally *tally)
{
    unsigned hit = 0, missed = 0;
    for (int f = 0; f < FAULT_COUNT; f++)
        for (int v = 0; v < VERBS; v++)
            for (int p = 0; p < PHASES; p++) {
                if (!(fault_phases((enum fault)f) >> p & 1))
                    continue;
                if (tally->cells[v][p][f])
                    hit++;
                else
                    missed++;
            }
    printf("cells       %u of %u (operation, phase, fault) met\n", hit, hit + missed);
    kinds_print();
    printf("  missed:\n");
    for (int f = 0; f < FAULT_COUNT; f++)
        for (int v = 0; v < VERBS; v++)
            for (int p = 0; p < PHASES; p++)
                if ((fault_phases((enum fault)f) >> p & 1) && !tally->cells[v][p][f])
                    printf("  %s %s %s\n", verb_names[v], phase_names[p], fault_names[f]);
}

static void invariants_print(const struct tally *tally)
{
    printf("invariants      checked  violated\n");
    for (int i = 0; i < invariant_count; i++)
        printf("  %-4s %14" PRIu64 "  %8" PRIu64 "  %s\n", invariants[i].id, tally->checks[i],
               tally->violations[i], invariants[i].sentence);
}

void table_print(const struct tally *tally, double seconds)
{
    speed_print(tally, seconds);
    faults_print(tally);
    flips_print(tally);
    ops_print(tally);
    cells_print(tally);
    invariants_print(tally);
}
