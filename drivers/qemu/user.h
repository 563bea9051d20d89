/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_USER_H
#define QEMU_USER_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct settings;
struct spinel_host;

/* A user id that no other machine of this rack runs under, kept until it is given
 * back; all machines share the group `user_base`. 0 when machines run as we do. */
int user_take(struct spinel_host *host, const struct settings *settings, const char *uid,
              int64_t *user, struct error *err);
/* All that the instance `uid` has: more than one if `user_base` was changed meanwhile. */
void user_give_back(struct spinel_host *host, const char *uid);

/* Whether only machines run as this user: by what is set now, or because one has it by the claims
 * in the driver's directory. */
bool user_is_machines(const struct settings *settings, const char *own_dir, int64_t user);

#endif
