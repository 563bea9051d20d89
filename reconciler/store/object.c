/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Objects (their reading is in object_read.c): one row for each uid ever chosen, and in the same
 * row what was last seen of it. The two halves are written apart (an intent never touches the
 * observation, an observation never the record) and read together. A GONE row
 * stays: it is the tombstone that a later object of the name counts from.
 */
#include "reconciler/store/query.h"

#include <stdlib.h>
#include <string.h>
#include "model/digest.h"
#include "model/invariant.h"

static void known_check(const struct known *known)
{
    invariant(known->uid && known->uid[0] && known->kind && known->name, "a row of nobody");
    invariant(digest_is_uid(known->uid), "%s %s has uid '%.80s'", known->kind, known->name,
              known->uid);
    invariant(known->next_start >= 0 && known->stopped_by_guest_at >= 0,
              "%s %s: next start at %lld, stopped at %lld", known->kind, known->name,
              (long long)known->next_start, (long long)known->stopped_by_guest_at);
    invariant(known->epoch <= INT64_MAX && known->generation <= INT64_MAX,
              "%s %s: epoch %llu, generation %llu", known->kind, known->name,
              (unsigned long long)known->epoch, (unsigned long long)known->generation);
    invariant(known->life >= LIFE_NEW && known->life <= LIFE_GONE, "%s %s has life %d", known->kind,
              known->name, known->life);
    invariant(known->life != LIFE_LIVE || value_is_map(known->chosen),
              "%s %s lives, and nothing was chosen for it", known->kind, known->name);
}

int store_object_put(struct store *store, const struct known *known, struct error *err)
{
    known_check(known);
    struct query query;
    query_start(&query, store,
                "INSERT INTO object (uid, kind, project, name, life, generation, epoch, protect,"
                " remove_deletes, chosen, applied, tried, labels, stopped_by_guest_at,"
                " start_failures, next_start)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (uid) DO UPDATE SET kind = excluded.kind,"
                " project = excluded.project, name = excluded.name, life = excluded.life,"
                " generation = excluded.generation, epoch = excluded.epoch,"
                " protect = excluded.protect, remove_deletes = excluded.remove_deletes,"
                " chosen = excluded.chosen, applied = excluded.applied, tried = excluded.tried,"
                " labels = excluded.labels,"
                " stopped_by_guest_at = excluded.stopped_by_guest_at,"
                " start_failures = excluded.start_failures, next_start = excluded.next_start",
                err);
    query_bind_text(&query, known->uid);
    query_bind_text(&query, known->kind);
    query_bind_text(&query, known->project);
    query_bind_text(&query, known->name);
    query_bind_int(&query, known->life);
    query_bind_int(&query, (int64_t)known->generation);
    query_bind_int(&query, (int64_t)known->epoch);
    query_bind_int(&query, known->protect);
    query_bind_int(&query, known->remove_deletes);
    query_bind_json(&query, known->chosen);
    query_bind_json(&query, known->applied);
    query_bind_json(&query, known->tried);
    query_bind_json(&query, known->labels);
    query_bind_int(&query, known->stopped_by_guest_at);
    query_bind_int(&query, known->start_failures);
    query_bind_int(&query, known->next_start);
    return query_run(&query, NULL);
}

/* Released, or a volume that is in a trash, or is lost and may come back. */
#define CAN_BE_PURGED "uid = ? AND (life = ? OR life = ? AND kind = 'Volume')"

static void purgeable_bind(struct query *query, const char *uid)
{
    query_bind_text(query, uid);
    query_bind_int(query, LIFE_RELEASED);
    query_bind_int(query, LIFE_GONE);
}

static int purge_refused(struct store *store, const char *uid, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT 1 FROM object WHERE " CAN_BE_PURGED, err);
    purgeable_bind(&query, uid);
    bool is_protected = query_next(&query) > 0;
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    if (is_protected) {
        error_set(err, ERR_DENIED, "%s is protected", uid);
        return error_hint(err, "Commit it again without 'protect', let that be applied, and remove "
                               "it in a later commit.");
    }
    error_set(err, ERR_NOT_FOUND, "nothing that was released has the uid %s", uid);
    return error_hint(err, "List what is released: spinel purge");
}

int store_object_purge(struct store *store, const char *uid, struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(uid, "a purge of nobody");
    query_start(
        &query, store,
        "UPDATE object SET life = ?, remove_deletes = 1 WHERE protect = 0 AND " CAN_BE_PURGED, err);
    query_bind_int(&query, LIFE_RELEASED);
    purgeable_bind(&query, uid);
    int rc = query_run(&query, &changes);
    invariant(changes <= 1, "%lld objects have uid %s", (long long)changes, uid);
    return rc == 0 && changes == 0 ? purge_refused(store, uid, err) : rc;
}

int store_observation_put(struct store *store, const char *uid,
                          const struct observation *observation, const char *etag,
                          struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(uid && uid[0], "an observation of nobody");
    invariant(observation->epoch <= INT64_MAX && observation->at >= 0,
              "%s was seen at %lld with epoch %llu", uid, (long long)observation->at,
              (unsigned long long)observation->epoch);
    invariant(observation->known || !(observation->absent || observation->spec),
              "%s is unknown, and something is known of it", uid);
    invariant(!observation->absent || !(observation->spec || observation->booted),
              "%s is not there, and has a form", uid);
    query_start(&query, store,
                "UPDATE object SET seen = ?, seen_absent = ?, seen_released = ?, seen_epoch = ?,"
                " seen_at = ?, seen_spec = ?, seen_booted = ?, seen_status = ?, seen_damage = ?,"
                " seen_etag = ? WHERE uid = ?",
                err);
    query_bind_int(&query, observation->known);
    query_bind_int(&query, observation->absent);
    query_bind_int(&query, observation->released);
    query_bind_int(&query, (int64_t)observation->epoch);
    query_bind_int(&query, observation->at);
    query_bind_json(&query, observation->spec);
    query_bind_json(&query, observation->booted);
    query_bind_json(&query, observation->status);
    query_bind_json(&query, observation->damage);
    query_bind_text(&query, etag);
    query_bind_text(&query, uid);
    int rc = query_run(&query, &changes);
    invariant(changes <= 1, "%lld objects with uid %s were seen", (long long)changes, uid);
    if (rc == 0 && changes == 0)
        return error_set(err, ERR_NOT_FOUND, "no object with uid %s is recorded", uid);
    return rc;
}

int store_observed_at(struct store *store, int64_t *at, struct error *err)
{
    struct query query;
    query_start(&query, store,
                "SELECT coalesce(min(seen_at), 0) FROM object WHERE life <> 3 AND seen <> 0", err);
    int64_t found = query_next(&query) > 0 ? query_int(&query) : 0;
    int rc = query_end(&query);
    if (rc == 0)
        *at = found;
    return rc;
}

int store_etags_drop(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "UPDATE object SET seen_etag = NULL WHERE seen_etag IS NOT NULL",
                err);
    return query_run(&query, NULL);
}
