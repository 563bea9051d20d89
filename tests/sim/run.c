/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SEED_CPU_S = 900 };

struct slot {
    pid_t pid; /* 0: free */
    struct outcome outcome;
};

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

struct tally *tally_share(void)
{
    return share(sizeof(struct tally));
}

static void slot_start(struct slot *slot, uint64_t seed, const struct options *options,
                       struct tally *tally)
{
    const rlim_t cpu_s = options->cpu_s ? options->cpu_s : SEED_CPU_S;
    const struct rlimit limit = {cpu_s, cpu_s + 1}; /* SIGXCPU says that it was this */
    slot->outcome = (struct outcome){.seed = seed, .has_died = true};
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        setrlimit(RLIMIT_CPU, &limit);
        slot->outcome.verdict = sim_run(seed, options, tally);
        slot->outcome.has_died = false;
        fflush(NULL);
        _exit(0);
    }
    slot->pid = pid;
}

static void outcome_explain(struct outcome *outcome, int status)
{
    if (!outcome->has_died)
        return;
    outcome->verdict.violated = 0;
    outcome->is_too_long = WTERMSIG(status) == SIGXCPU;
    snprintf(outcome->verdict.message, sizeof outcome->verdict.message,
             "the process ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

static struct slot *slot_ended(struct slot *slots, unsigned jobs)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    for (unsigned i = 0; i < jobs; i++)
        if (slots[i].pid == pid && pid > 0) {
            slots[i].pid = 0;
            outcome_explain(&slots[i].outcome, status);
            return &slots[i];
        }
    return NULL;
}

void run_seeds(uint64_t from, uint64_t count, int64_t seconds, unsigned jobs,
               const struct options *options, struct tally *tally,
               void (*report)(void *context, const struct outcome *outcome), void *context)
{
    struct slot *slots = share(JOBS_MAX * sizeof *slots);
    int64_t until = seconds ? time(NULL) + seconds : INT64_MAX;
    uint64_t next = from;
    unsigned running = 0;
    for (;;) {
        for (unsigned i = 0; i < jobs && next < from + count && time(NULL) < until; i++)
            if (!slots[i].pid) {
                slot_start(&slots[i], next++, options, tally);
                running++;
            }
        if (!running)
            break;
        const struct slot *slot = slot_ended(slots, jobs);
        if (!slot)
            continue;
        running--;
        report(context, &slot->outcome);
    }
    munmap(slots, JOBS_MAX * sizeof *slots);
}

static void keep(void *context, const struct outcome *outcome)
{
    *(struct outcome *)context = *outcome;
}

struct outcome run_one(uint64_t seed, const struct options *options, struct tally *tally)
{
    struct outcome outcome = {.has_died = true};
    run_seeds(seed, 1, 0, 1, options, tally, keep, &outcome);
    return outcome;
}
