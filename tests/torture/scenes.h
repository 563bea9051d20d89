/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TORTURE_SCENES_H
#define TESTS_TORTURE_SCENES_H

#include <stdbool.h>
#include "tests/torture/torture.h"

/*
 * A scene is a command of spinel on a site that a shell script prepared. It runs in a copy
 * of that, with one call failing; what it may come to is in torture.c.
 */
struct scene {
    const char *name;
    enum torture_role role;
    const char *prepare; /* which site, and which of its drivers are real, as site.sh has it */
    const char *argv[12];
    const char *input;  /* file of standard input, or NULL */
    const char *says;   /* with this in its output it may end well and have done less, or NULL */
    bool changes;       /* it writes: each run needs a copy, and a look at what is left */
    bool serves;        /* the daemon: it is let go until it converged, then ended */
    const char *driver; /* of the real drivers the one whose calls fail, or NULL */
    bool host;          /* it needs networks or a server of its own: root */
    bool lives;         /* what it made cannot be copied: each run begins on a fresh host */
    bool heals;         /* afterwards `apply` has to lead to the reference's world */
};

extern const struct scene scenes[];
extern const unsigned scene_count;

#endif
