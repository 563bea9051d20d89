/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The subcommands, in the order in which `spinel --help` lists them. A new one
 * is a file NAME_cmd.c, its name in command.h and a line here.
 */
#include <sodium.h>

#include "model/hash.h"
#include "reconciler/cli/command.h"

static const struct command *const commands[] = {
    &init_command,    &serve_command,       &demo_command,    &check_command,    &explain_command,
    &schema_command,  &plan_command,        &apply_command,   &approve_command,  &freeze_command,
    &purge_command,   &status_command,      &get_command,     &describe_command, &drift_command,
    &history_command, &events_command,      &trace_command,   &top_command,      &console_command,
    &hook_command,    &driver_test_command, &version_command, &help_command,     NULL,
};

int main(int argc, const char **argv)
{
    unsigned char key[HASH_KEY_BYTES];

    randombytes_buf(key, sizeof(key));
    hash_key_set(key);
    return command_main(argc, argv, commands);
}
