/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel driver-test`: whether a driver keeps the promises of the protocol. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "reconciler/server/conformance.h"

static int driver_test_run(struct cli *cli)
{
    return conformance_run(cli->operands, stdout) == 0 ? EXIT_OK : EXIT_ERROR;
}

const struct command driver_test_command = {
    .name = "driver-test",
    .group = "Run",
    .operands = "COMMAND [ARGUMENT]...",
    .help = "run the conformance suite on a driver",
    .details = "It starts COMMAND in a temporary state directory, makes and deletes an object,\n"
               "and prints TAP. Options of COMMAND go behind '--'.",
    .least = 1,
    .most = OPERANDS_ANY,
    .run = driver_test_run,
};
