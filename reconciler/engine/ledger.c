/* SPDX-License-Identifier: MPL-2.0 */
/* The real store behind the seam, function by function. */
#include "reconciler/engine/env.h"

const struct ledger ledger_store = {
    .begin = store_begin,
    .commit = store_commit,
    .rollback = store_rollback,
    .revision_add = store_revision_add,
    .revision_state = store_revision_state,
    .revision_target = store_revision_target,
    .objects = store_objects,
    .objects_named = store_objects_named,
    .objects_renamed = store_objects_renamed,
    .object_put = store_object_put,
    .observation_put = store_observation_put,
    .etags_drop = store_etags_drop,
    .observed_at = store_observed_at,
    .incarnations = store_incarnations,
    .intent_put = store_intent_put,
    .intents_open = store_intents_open,
    .destroyed_since = store_destroyed_since,
    .plan_put = store_plan_put,
    .hold_put = store_hold_put,
    .hold_drop = store_hold_drop,
    .holds = store_holds,
    .freezes = store_freezes,
    .event_add = store_event_add,
    .drift_seen = store_drift_seen,
    .drift_healed = store_drift_healed,
    .drifts = store_drifts,
    .fact_put = store_fact_put,
    .fact_get = store_fact_get,
};
