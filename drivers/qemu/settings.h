/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_SETTINGS_H
#define QEMU_SETTINGS_H

#include <stdint.h>

struct arena;
struct error;
struct value;

/* This driver's part of the site file. */
struct settings {
    const char *binary;    /* "qemu": path of QEMU; found in PATH if it has no slash */
    int64_t user_base;     /* "uidBase": first user id for machines, 0 to stay who we are */
    int64_t spare_ports;   /* "sparePorts": root ports kept free for hotplug */
    int64_t canary_ms;     /* "canaryTimeout": milliseconds that KVM has to prove itself */
    const char *firmware;  /* "firmware": UEFI code image */
    const char *variables; /* "firmwareVariables": the variables that a new machine gets */
};

/* ERR_UNSUPPORTED with a hint when QEMU is not installed. `value` may be NULL. */
int settings_read(struct arena *arena, const struct value *value, struct settings *settings,
                  struct error *err);

#endif
