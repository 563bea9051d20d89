/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_FOLLOW_H
#define RECONCILER_CLI_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "model/arena.h"
#include "model/site.h"
#include "model/value.h"
#include "reconciler/server/control.h"

/*
 * Events as progress: on a terminal one line that is rewritten, with what is done
 * left above it; elsewhere plain lines, for what is done and what failed.
 */
struct follow {
    FILE *out;
    int width;        /* columns to wrap at; 0: no limit */
    bool is_live;     /* rewrite the last line */
    bool has_line;    /* such a line stands there now */
    int64_t revision; /* end at this one's convergence; 0: at any */
};

/* What an event means to someone who waits for the end. */
enum follow_end { FOLLOW_ON, FOLLOW_CONVERGED, FOLLOW_REFUSED };

void follow_init(struct follow *follow, FILE *out);
enum follow_end follow_event(struct follow *follow, const struct value *event);
void follow_finish(struct follow *follow); /* takes the live line away */

/* A paragraph, wrapped at the width, later lines behind `indent` spaces, no trailing spaces. */
void follow_say(struct follow *follow, int indent, const char *text);

/*
 * Calls `show` with each event of the site's daemon after `seq` (NULL: from now on), until
 * someone interrupts, the output is closed, or an error. No daemon is an error.
 */
int follow_each(const struct site *site, struct arena *arena, const int64_t *seq,
                void (*show)(const struct value *event), struct error *err);

/*
 * Follows a daemon's events from after `seq` for at most `wait_s` seconds.
 * FOLLOW_ON: the time is over, or someone interrupted.
 */
int follow_daemon(struct follow *follow, struct control *control, struct arena *arena, int64_t seq,
                  int64_t wait_s, enum follow_end *end, struct error *err);

#endif
