/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Every call that can fail, failing. The linker's --wrap sends the fallible calls of our own
 * objects through wraps.c; a page of memory that all processes of a run share says which of
 * them fails: a function, called from one place (the addresses that its callers would return
 * to), for the nth time; that once, or it and every later call of the function.
 *
 * A run without failures records the places. Then each place has its turn.
 */
enum torture_mode {
    TORTURE_OFF,
    TORTURE_RECORD,
    TORTURE_ONCE,
    TORTURE_LASTING,
};

/* Which program's calls count. */
enum torture_role {
    ROLE_CORE,
    ROLE_DRIVER,
};

enum { TORTURE_FRAMES = 6, TORTURE_SITES = 8192 };

struct torture_site {
    char name[40]; /* of the function */
    uint64_t stack;
    uint32_t count;
    uint32_t frames[TORTURE_FRAMES]; /* from the start of the program */
};

struct torture {
    enum torture_mode mode;
    enum torture_role role;
    char program[16]; /* of the drivers the one whose calls count; "" for any */
    char name[40];
    uint64_t stack;
    uint32_t nth;
    uint32_t seen, fired; /* calls at that place; failures */
    uint32_t lock;
    uint32_t site_count, site_missed;
    struct torture_site sites[TORTURE_SITES];
};

/* NULL in a program that nobody tortures. Mapped from the file that $TORTURE names. */
extern struct torture *torture;
extern void *torture_floor; /* of the stack: what is above it is torture's own; NULL: nothing is */
extern enum torture_role torture_role; /* of this program; drivers are told by wraps.c */

/* Whether this call is to fail. `frame` is the wrapper's own. */
bool torture_fails(const char *name, void *frame);

/* SQLite and Jansson allocate by themselves; this makes them ask, too. */
void torture_libraries(void);

#endif
