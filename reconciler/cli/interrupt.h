/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_INTERRUPT_H
#define RECONCILER_CLI_INTERRUPT_H

/*
 * From interrupt_catch() on, SIGINT and SIGTERM end a wait and not the program:
 * the flag rises, blocking calls return early. A second one kills as usual.
 */
void interrupt_catch(void);
const volatile int *interrupt_flag(void);

#endif
