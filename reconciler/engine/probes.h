/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_PROBES_H
#define RECONCILER_ENGINE_PROBES_H

#include "reconciler/engine/env.h"

/*
 * USDT probes of the daemon (systemtap-sdt), for bpftrace, perf and SystemTap; a probe that
 * nobody watches is one no-op instruction. Provider "spinel"; arguments in this order:
 *
 *   push      commit, who, ms that the check took
 *   observe   detected by, full look or not, ms, objects known
 *   plan      plan hash, steps to run, ms
 *   op_start  op, uid, verb
 *   op_end    op, uid, verb, outcome ("op.confirmed", "op.failed"), ms
 *
 *   bpftrace -e 'usdt:/usr/bin/spinel:spinel:op_end { printf("%s %d ms\n", str(arg2), arg4); }'
 */
void probes_event(const struct event *event);
void probes_pass(const struct pass *pass);

#endif
