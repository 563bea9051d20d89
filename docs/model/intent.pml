/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The protocol of intents, for SPIN: docs/model/README.md says how to run it and what it shows.
 *
 * One name, which Git wants present (1), absent (2), present again (3). Two controllers over one
 * store: each may crash, and each may be held up at any point while the other takes the lock (a
 * pause). One driver, which admits in order but carries out late, by a child for each call; it may
 * die with what it holds. Somebody may remove the object behind everybody's back.
 *
 * Each rule can be taken away by -DNO_R1 ... -DNO_R9: then a property fails.
 */
#define LIMIT 12 /* epochs */
#define NONE 0
#define CREATE 1
#define DELETE 2

/* Git */
byte gen = 1;

/* the store: durable */
byte uid = 1;              /* of the name's present object */
bool has_row[3], gone[3];  /* of a uid; gone: its delete was confirmed */
byte epoch[3];             /* of the last intent */
byte intent[3];            /* the open one's verb */
byte seen;                 /* generation that was confirmed */
byte holder;               /* of the writer lock */

/* the driver: durable */
byte admitted[3], acknowledged[3], done[3];

/* the world */
byte objects[3];

/* what is under way */
#ifndef WIRE
#define WIRE 2
#endif
chan wire = [WIRE] of { byte, byte, byte }; /* uid, verb, epoch */
byte call_uid[2], call_verb[2], call_epoch[2];

byte crashes, steals, accidents;
bool resurrected;

inline call_clear(c) { call_uid[c] = 0; call_verb[c] = NONE; call_epoch[c] = 0 }

/* ---- somebody commits, somebody breaks things ---------------------------------------- */

active proctype git()
{
    atomic { seen == 1 -> gen = 2 }
    atomic { seen == 2 -> gen = 3 }
}

active proctype stranger()
{
    if
    :: atomic { objects[1] > 0 -> objects[1]--; accidents++ }
    :: atomic { objects[2] > 0 -> objects[2]--; accidents++ }
    :: skip
    fi
}

/* ---- a controller -------------------------------------------------------------------- */

#ifdef NO_R1
#define MAY_WRITE true
#else
#define MAY_WRITE (holder == _pid) /* R1: the writer lock, checked by each transaction */
#endif

#ifdef NO_R6
#define IS_MADE(u) true /* the driver took it */
#else
#define IS_MADE(u) (objects[u] > 0 && acknowledged[u] >= epoch[u])
#endif

#ifdef NO_R7
#define IS_REMOVED(u) (objects[u] == 0)
#else
#define IS_REMOVED(u) (objects[u] == 0 && acknowledged[u] >= epoch[u])
#endif

proctype controller()
{
    byte u, verb, e, wanted;
    bool there;
    do
    /* Takes the lock; the kernel frees it when its holder dies. The one that loses it by a
     * pause does not know. */
    :: atomic { holder == 0 -> holder = _pid }
    :: atomic { holder != 0 && holder != _pid && steals < 1 -> steals++; holder = _pid }

    /* A pass: look, plan. What was seen may be old when the next step comes. */
    :: atomic { holder == _pid && !(gen == 3 && seen == 3 && objects[uid] > 0 && intent[uid] == NONE) ->
            u = uid; there = objects[u] > 0; wanted = gen; verb = NONE; e = 0 };
        atomic {
            if
            /* confirm: R6, R7. What was taken and is not true is sent again, as after a crash. */
            :: intent[u] == CREATE && MAY_WRITE && IS_MADE(u) ->
                assert(acknowledged[u] >= epoch[u]); /* nothing is said done that was not carried out */
                intent[u] = NONE
            :: intent[u] == DELETE && MAY_WRITE && IS_REMOVED(u) ->
                intent[u] = NONE; gone[u] = true
            :: else -> skip
            fi;
            if
            :: intent[u] == NONE && MAY_WRITE && wanted != 2 && there && !gone[u] && has_row[u] -> seen = wanted
            :: intent[u] == NONE && MAY_WRITE && wanted == 2 && (gone[u] || !has_row[u]) -> seen = 2
            :: else -> skip
            fi
        };
        /* plan: what is to be sent, if anything */
        if
        :: wanted != 2 && gone[u] && u == 1 ->
#ifdef NO_R8
            verb = CREATE /* the same uid again */
#else
            u = 2; there = objects[2] > 0; verb = CREATE /* R8: a new object is a new uid */
#endif
        :: wanted != 2 && !gone[u] && !there -> verb = CREATE
        :: wanted != 2 && !gone[u] && there && intent[u] == CREATE -> verb = CREATE
        :: wanted == 2 && has_row[u] && !gone[u] -> verb = DELETE
        :: else -> skip
        fi;
        if
        :: verb == NONE -> skip
        :: else ->
#ifdef NO_R2
            e = (intent[u] == verb -> epoch[u] : epoch[u] + 1);
            if :: e <= LIMIT && nfull(wire) -> wire!u,verb,e :: else -> skip fi; /* sent before it is on record */
#endif
            atomic {
                if
                :: MAY_WRITE && (intent[u] == verb || epoch[u] < LIMIT) ->
                    if
                    :: intent[u] == verb -> skip /* the same intent is sent again */
#ifdef NO_R3
                    :: intent[u] != verb && verb == DELETE && has_row[u] -> intent[u] = verb /* under the epoch that it has */
                    :: intent[u] != verb && !(verb == DELETE && has_row[u]) -> epoch[u]++; intent[u] = verb
#else
                    :: else -> epoch[u]++; intent[u] = verb /* R2, R3: durable, and the next epoch */
#endif
                    fi;
                    has_row[u] = true; uid = u;
                    e = epoch[u]
                :: else -> verb = NONE /* not the writer any more */
                fi
            };
#ifndef NO_R2
            if
            :: verb != NONE && nfull(wire) -> wire!u,verb,e /* however late */
            :: verb == NONE || full(wire) -> skip
            fi
#endif
        fi;
        verb = NONE; e = 0; u = 0; there = false; wanted = 0

    /* kill -9: memory is lost, and the lock with it */
    :: atomic { crashes < 1 && holder == _pid -> crashes++; holder = 0; u = 0; verb = NONE; e = 0 }

    :: atomic { gen == 3 && seen == 3 && intent[uid] == NONE && objects[uid] > 0 && empty(wire) -> break }
    od;
    if :: holder == _pid -> holder = 0 :: else -> skip fi
}

/* ---- the driver ---------------------------------------------------------------------- */

/* Admission: in the order of arrival, the epoch on disk before anything begins. */
active proctype driver()
{
    byte u, verb, e, c;
end:
    do
    :: atomic {
        wire?u,verb,e ->
        if
#ifndef NO_R4
        :: e < admitted[u] -> skip /* R4: the fence */
        :: else ->
#else
        :: true ->
#endif
            if :: e > admitted[u] -> admitted[u] = e :: else -> skip fi;
#ifndef NO_R9
            /* R9: what runs for this uid is dead before the next begins. (A repeat leaves the same
             * op running: this controller would repeat for ever, where a real one waits.) */
            if :: call_uid[0] == u && call_epoch[0] < e -> call_clear(0) :: else -> skip fi;
            if :: call_uid[1] == u && call_epoch[1] < e -> call_clear(1) :: else -> skip fi;
#endif
            if
            :: (call_uid[0] == u && call_epoch[0] == e) || (call_uid[1] == u && call_epoch[1] == e) -> skip
            :: !(call_uid[0] == u && call_epoch[0] == e) && !(call_uid[1] == u && call_epoch[1] == e) && call_uid[0] == 0 ->
                call_uid[0] = u; call_verb[0] = verb; call_epoch[0] = e
            :: !(call_uid[0] == u && call_epoch[0] == e) && call_uid[0] != 0 && call_uid[1] == 0 ->
                call_uid[1] = u; call_verb[1] = verb; call_epoch[1] = e
            :: else -> skip /* it is sent again */
            fi
        fi;
        u = 0; verb = NONE; e = 0
      }
    /* It dies; what it had not begun is lost, and its children die with it. */
    :: atomic { crashes < 1 && nempty(wire) -> crashes++; wire?u,verb,e; u = 0; verb = NONE; e = 0;
#ifndef NO_R9
        call_clear(0); call_clear(1);
#endif
      }
    od
}

/* A call's own process: it may take its time. */
active [2] proctype call()
{
    byte me = _pid - 3; /* git, stranger, driver come first */
    byte u;
end:
    do
    :: atomic {
        call_uid[me] != 0 ->
        u = call_uid[me];
        assert(call_epoch[me] <= epoch[u]); /* nothing is done that is not on record */
        if
        :: call_verb[me] == DELETE && done[u] == call_epoch[me] -> skip /* the same delete again: nothing to do */
        :: else ->
            if
#ifdef NO_R5
            :: call_verb[me] == CREATE && objects[u] < 3 -> objects[u]++
            :: call_verb[me] == CREATE && objects[u] >= 3 -> skip
#else
            :: call_verb[me] == CREATE && objects[u] == 0 -> objects[u]++ /* R5: found by its uid */
            :: call_verb[me] == CREATE && objects[u] > 0 -> skip
#endif
            :: call_verb[me] == DELETE -> objects[u] = 0
            fi;
            done[u] = call_epoch[me]
        fi;
        if :: call_epoch[me] > acknowledged[u] -> acknowledged[u] = call_epoch[me] :: else -> skip fi;
        if :: gone[u] && objects[u] > 0 -> resurrected = true :: else -> skip fi;
        call_clear(me); u = 0
      }
    od
}

init { atomic { run controller(); run controller() } }

/* At most one real object of the name, of one uid. */
ltl single { [] (objects[1] + objects[2] <= 1) }
/* What is confirmed gone stays gone. */
ltl no_resurrection { [] !resurrected }
/* What Git wants in the end comes true, and stays. */
ltl converges { <> (seen == 3) }
