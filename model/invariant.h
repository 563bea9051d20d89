/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_INVARIANT_H
#define MODEL_INVARIANT_H

/*
 * How a process ends that must not go on. Both print one line to standard error and abort;
 * what was committed is in the store, what was sent is looked at again, and the next start
 * recovers. Neither ever answers input: what comes from outside gets an error.
 */

/*
 * States what our own code has made true, and holds in every build:
 *
 *     invariant(step->epoch > seen, "step %zu of plan %s has epoch %llu", ...);
 *
 * The text says what is wrong when it does not hold, with the values that a bug report needs;
 * no secret may be among them. Evaluated once.
 */
#define invariant(holds, ...) \
    ((holds) ? (void)0 : invariant_broken(__FILE__, __LINE__, __func__, #holds, __VA_ARGS__))

_Noreturn void invariant_broken(const char *file, int line, const char *function,
                                const char *condition, const char *fmt, ...)
    __attribute__((cold, format(printf, 5, 6)));

/* Returns what malloc() or its like gave; does not return if that is NULL. */
void *memory_need(void *memory);
_Noreturn void memory_out(void) __attribute__((cold));

#endif
