/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_CANARY_H
#define QEMU_CANARY_H

#include <stdbool.h>

struct error;
struct settings;
struct spinel_host;

/*
 * Whether KVM works here, found out by running a small machine under it (canary.S)
 * with a deadline; that /dev/kvm opens says little. Run once for each boot, kernel and
 * QEMU binary, and remembered in the driver's own directory.
 */
struct accel {
    const char *used;   /* "kvm" or "tcg"; static */
    const char *reason; /* one sentence, in the call's arena */
};

/* Begins to find out in the background, if it is not known yet: the canary takes seconds where
 * KVM hangs, and the first machine need not wait for them. The child ends with this process. */
void accel_prepare(struct spinel_host *host, const struct settings *settings);

/* `wanted` is auto, kvm or tcg. ERR_UNSUPPORTED if kvm is wanted and does not work. */
int accel_choose(struct spinel_host *host, const struct settings *settings, const char *wanted,
                 struct accel *accel, struct error *err);

#endif
