/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SERVER_SUBJECT_H
#define SERVER_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "model/value.h"
#include "reconciler/engine/lines.h"

/* A driver under test: its process, and a conversation with it, one answer at a time. */
struct subject {
    const char *const *argv;
    const char *state_dir;
    const struct value *settings;
    struct arena *arena; /* holds every answer */
    pid_t pid;           /* 0 when it does not run */
    int in, out;         /* our ends */
    int next_id;
    struct lines lines;  /* what it said and was not read yet */
    bool is_mute;        /* the last wait for an answer was in vain */
    struct value *early; /* map of answers that nobody has waited for yet, by id */
};

/* Starts it; the answer to initialize, or NULL. */
const struct value *subject_start(struct subject *subject);
/* Closes its standard input; its exit status, 128 and more for a signal, -1 if it does not
 * end (and is killed). */
int subject_end(struct subject *subject);
void subject_kill(struct subject *subject);

/* Sends bytes as they are; false if it does not take them. */
bool subject_write(struct subject *subject, const char *data, size_t len);

/* Sends a request; its id. */
int subject_send(struct subject *subject, const char *method, const struct value *params);
/* The message with this id, in whatever order answers come; notices are passed over
 * unless one is asked for. NULL when none comes in time. */
enum { SUBJECT_NULL_ID = -1, SUBJECT_NOTICE = -2 };
const struct value *subject_receive(struct subject *subject, int id);
/* Both: the whole message with "result" or "error". */
const struct value *subject_call(struct subject *subject, const char *method,
                                 const struct value *params);

#endif
