/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_CALL_H
#define DRIVER_CALL_H

#include <stdbool.h>
#include <sys/types.h>
#include "drivers/spinel-driver.h"
#include "model/error.h"
#include "model/text.h"

/*
 * A call is one request at work: list, look or apply.
 *
 *     WAITING --start--> RUNNING --exit, deadline, cancel--> DYING --group empty--> answered
 *        \__________________cancel, superseded___________________________________/
 *
 * It runs in a process that leads a process group of its own. Whatever ends it, the
 * whole group is killed, and the request is answered only when nobody is left in it.
 */
enum call_kind { CALL_LIST, CALL_LOOK, CALL_APPLY };
enum call_state { CALL_WAITING, CALL_RUNNING, CALL_DYING };

struct waiter {
    const char *id; /* of a cancel request */
    struct waiter *next;
};

struct call {
    struct call *next;
    enum call_kind kind;
    enum call_state state;
    struct arena *arena; /* holds the request; the call is in it too */
    const char *id;      /* of the request, as JSON */
    struct spinel_op op; /* apply */
    const char *group;   /* of an apply, see struct spinel_driver; NULL: none */
    /* Of the first of a group that runs: all of them, itself the first. The others are
     * is_member: they have its pid, no pipe, and their own deadline, answer and end. */
    struct call **members;
    size_t member_count;
    bool is_member;
    const char *since; /* list: token of the one that the asker has; NULL: none */
    const char **uids; /* look; `done` of them are answered */
    size_t uid_count, done, deaths;
    int64_t timeout_ms; /* of a callback: an apply, a list, each look */
    int64_t deadline_ms;
    pid_t pid;
    int fd;            /* our end of its pipe; -1 when closed */
    struct text input; /* frames that are not whole yet */
    struct text answer;
    bool is_answered;
    bool has_unsaid;  /* a watch had something to tell of it, and did not: an apply */
    struct error err; /* why there is no answer; code 0 while there is none */
    struct waiter *waiters;
};

/* Takes over `arena`; the new call waits at the end of host's list. */
struct call *call_new(struct spinel_host *host, struct arena *arena, enum call_kind kind,
                      const char *id);

/* Starts every waiting call that may: at most so many processes at a time, one apply a uid, one
 * process a group. */
void calls_start(struct spinel_host *host);

/* Reads what the call's process sent: answers, and notices which it passes on. */
void call_read(struct spinel_host *host, struct call *call);

/* Ends the call with this reason, whatever state it is in. */
void call_kill(struct spinel_host *host, struct call *call, const struct error *why);

/* Kills what is past its deadline; milliseconds until the next look is due, -1: never. */
int calls_expire(struct spinel_host *host);

/* Reaps every child that ended. Whether a step ended, or is about to: what it did is watched before
 * it is answered. */
bool calls_reap(struct spinel_host *host);

/* Answers the calls whose groups are empty. */
void calls_answer(struct spinel_host *host);

/* Kills and reaps all, answering nobody. */
void calls_end(struct spinel_host *host);

/* What a call's process sends to the main one. */
enum frame {
    FRAME_RESULT = 'r',
    FRAME_ERROR = 'e',
    FRAME_OBJECT = 'o',
    FRAME_NOTICE = 'n',
    FRAME_OUTCOME = 'u', /* of one of a group: struct outcome */
};
void frame_send(int fd, enum frame frame, const char *data, size_t len);

#endif
