/* SPDX-License-Identifier: MPL-2.0 */
/* Ctrl-C ends a wait. */
#include "reconciler/cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile int interrupted;

static void interrupt_note(int number)
{
    (void)number;
    interrupted = 1;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = interrupt_note, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

const volatile int *interrupt_flag(void)
{
    return &interrupted;
}
