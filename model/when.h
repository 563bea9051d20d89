/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_WHEN_H
#define MODEL_WHEN_H

#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"

/*
 * Times: unix seconds inside, RFC 3339 in UTC for programs, an age for people.
 */
int64_t when_now(void);

/* The last second that RFC 3339 can write, of the year 9999. */
#define WHEN_LAST INT64_C(253402300799)

/* "2026-01-31T23:59:59Z"; "" for 0. */
char *when_rfc3339(struct arena *arena, int64_t at);

/* "2026-01-31T23:59:59.999Z" of unix milliseconds: as long for each, of what lies outside of the
 * years that it can write the nearest. */
char *when_rfc3339_ms(struct arena *arena, int64_t at_ms);

/* "just now", "40s ago", "3m ago", "2h ago", "5d ago"; "never" for 0. */
char *when_age(struct arena *arena, int64_t at, int64_t now);

/* "250ms", "1.2s", "40s", "3m20s" */
char *when_took(struct arena *arena, int64_t ms);

/* A point in time as people type it: RFC 3339 ("2026-01-31T23:59:59Z",
 * "2026-01-31"), or a duration from now. `sign` is 1 for a duration ahead, -1 for one back. */
int when_read(const char *text, int sign, int64_t *at, struct error *err);

#endif
