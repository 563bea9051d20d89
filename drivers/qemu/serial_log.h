/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_SERIAL_LOG_H
#define QEMU_SERIAL_LOG_H

#include <stdbool.h>

/*
 * Keeps what a guest writes on its serial port from filling the disk. Once serial.log is larger
 * than SERIAL_LOG_MAX, its newest SERIAL_LOG_KEPT bytes go to serial.log.old, and it begins anew;
 * QEMU appends, so it goes on at the beginning. A guest that writes without pause is looked
 * at once a second, a silent one never.
 */
enum { SERIAL_LOG_MAX = 16 << 20, SERIAL_LOG_KEPT = 8 << 20, SERIAL_LOG_REST_MS = 1000 };

struct serial_log {
    int dir;     /* the run directory; borrowed */
    int file;    /* serial.log; -1: there is none, and nothing is done */
    int inotify; /* readable when the guest wrote */
    int watch;
    bool is_resting; /* it wrote a moment ago: call serial_log_look() after SERIAL_LOG_REST_MS */
};

/* Descriptors are made at `least` or above. */
void serial_log_open(struct serial_log *log, int dir, int least);
/* The inotify descriptor became readable. */
void serial_log_written(struct serial_log *log);
/* Cuts the log if it is too large, and watches it again. */
void serial_log_look(struct serial_log *log);

#endif
