/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Stopping. The guest is asked, and asked again: a press of the power button while it
 * boots is lost. QEMU's monitor is held only for each press, never while waiting, so
 * that the machine can be looked at meanwhile. What is asked for is written down
 * first: after a crash the next call neither starts the wait anew nor takes the end of
 * the machine for the guest's own doing.
 */
#include "drivers/qemu/power.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/qmp.h"
#include "drivers/spinel-driver.h"
#include "model/value.h"

enum {
    ANSWER_MS = 5000,
    PRESS_AGAIN_MS = 4000,
    QUIT_MS = 5000,
    KILL_MS = 10000,
    RESERVE_MS = 3000
};

struct stop stop_read(const struct spinel_op *op, const struct instance *instance)
{
    const struct value *spec = op->spec ? op->spec : instance->booted;
    return (struct stop){
        .ask = strcmp(value_at_text(spec, "shutdown.method", "acpi"), "acpi") == 0,
        .grace_s = value_at_int(spec, "shutdown.timeout", 60),
    };
}

/* One press of the power button. False if there is nobody to press it for. */
static bool press_button(struct instance *instance)
{
    struct error ignored = ERROR_INIT;
    const struct value *status;
    struct qmp *qmp;
    if (instance_monitor(instance, ANSWER_MS, &qmp, &ignored) < 0)
        return false;
    bool running = qmp_call(qmp, "query-status", NULL, &status, &ignored) == 0 &&
                   strcmp(value_get_text(status, "status", ""), "running") == 0;
    bool pressed = running && qmp_call(qmp, "system_powerdown", NULL, NULL, &ignored) == 0;
    qmp_close(qmp);
    return pressed;
}

static int mark_stopping(struct instance *instance, struct error *err)
{
    if (instance->stopping_since > 0)
        return 0;
    instance->stopping_since = time(NULL);
    return instance_save(instance, err);
}

/* 1 if it ended, 0 if its time is up, ERR_BUSY if this call's time is up first. */
static int await_guest(struct instance *instance, int64_t grace_s, struct error *err)
{
    for (;;) {
        int64_t left_ms = (instance->stopping_since + grace_s - time(NULL)) * 1000;
        if (left_ms <= 0 || !press_button(instance))
            return proc_wait(instance->pidfd, 0);
        int64_t call_ms = spinel_remaining_ms(instance->host) - RESERVE_MS;
        if (call_ms <= 0) {
            error_set(err, ERR_BUSY, "the guest has %lld s left to shut down",
                      (long long)(left_ms / 1000));
            return error_hint(err, "It was asked by ACPI; it will be ended after that.");
        }
        spinel_progress(instance->host, 50, "waiting for the guest to shut down");
        int64_t wait_ms = left_ms < PRESS_AGAIN_MS ? left_ms : PRESS_AGAIN_MS;
        if (proc_wait(instance->pidfd, wait_ms < call_ms ? wait_ms : call_ms))
            return 1;
    }
}

static int end_process(struct instance *instance, struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct qmp *qmp;
    if (instance_monitor(instance, ANSWER_MS, &qmp, &ignored) == 0) {
        int asked = qmp_quit(qmp, &ignored);
        qmp_close(qmp);
        if (asked == 0 && proc_wait(instance->pidfd, QUIT_MS))
            return 0;
    }
    proc_signal(instance->pidfd, SIGKILL);
    if (proc_wait(instance->pidfd, KILL_MS))
        return 0;
    return error_set(err, ERR_BUSY, "QEMU process %d does not die", (int)instance->process.pid);
}

/* The launcher writes how it ended right after it ended. */
static void await_launcher(const struct instance *instance)
{
    int launcher = process_open_launcher(&instance->process);
    if (launcher >= 0) {
        proc_wait(launcher, ANSWER_MS);
        close(launcher);
    }
}

int power_off(struct instance *instance, struct stop stop, struct error *err)
{
    if (instance->pidfd < 0)
        return 0;
    if (mark_stopping(instance, err) < 0)
        return err->code;
    int ended = stop.ask ? await_guest(instance, stop.grace_s, err) : 0;
    if (ended < 0)
        return ended;
    if (!ended && end_process(instance, err) < 0)
        return err->code;
    await_launcher(instance);
    return instance_refresh(instance, err);
}
