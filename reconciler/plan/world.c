/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The digest of the world that a plan was made from: of the digests of all rows' observations,
 * in order. Rows share values (the store keeps equal ones once), so the JSON of the last few
 * specs is kept and not written again for each row.
 */
#include <string.h>

#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/plan/steps.h"

enum { KEPT = 256 };

/* What was seen of an object beside its state: spec, booted and damage, as JSON. */
struct content {
    const struct value *spec;
    const struct value *booted;
    const struct value *damage;
    struct text json; /* empty: not written yet */
};

struct world {
    struct content kept[KEPT];
    struct text row;
};

static struct content *content_slot(struct world *world, const struct observation *seen)
{
    uintptr_t mixed =
        (uintptr_t)seen->spec ^ (uintptr_t)seen->booted << 3 ^ (uintptr_t)seen->damage << 5;

    return &world->kept[(mixed >> 4 ^ mixed >> 12) % KEPT];
}

static const struct text *content_json(struct world *world, const struct observation *seen)
{
    struct content *content = content_slot(world, seen);

    if (content->json.len > 0 && content->spec == seen->spec && content->booted == seen->booted &&
        content->damage == seen->damage)
        return &content->json;
    content->spec = seen->spec;
    content->booted = seen->booted;
    content->damage = seen->damage;
    text_reset(&content->json);
    json_write_canonical(&content->json, seen->spec);
    text_add_char(&content->json, ',');
    json_write_canonical(&content->json, seen->booted);
    text_add_char(&content->json, ',');
    json_write_canonical(&content->json, seen->damage);
    return &content->json;
}

static void integer_add(struct text *out, int64_t integer)
{
    json_write(out, &(struct value){.type = VALUE_INT, .integer = integer});
    text_add_char(out, ',');
}

static void boolean_add(struct text *out, bool boolean)
{
    text_add(out, boolean ? "true," : "false,");
}

/* [uid, life, epoch, known, absent, released, spec, booted, damage] */
static void row_write(struct world *world, const struct known *known)
{
    const struct observation *seen = &known->observed;
    const struct text *content = content_json(world, seen);
    struct text *row = &world->row;

    invariant(known->uid && known->uid[0], "a row of the world without a uid");
    text_reset(row);
    text_add_char(row, '[');
    json_write(row, &(struct value){
                        .type = VALUE_STRING, .text = known->uid, .text_len = strlen(known->uid)});
    text_add_char(row, ',');
    integer_add(row, known->life);
    integer_add(row, (int64_t)seen->epoch);
    boolean_add(row, seen->known);
    boolean_add(row, seen->absent);
    boolean_add(row, seen->released);
    text_add_n(row, content->data, content->len);
    text_add_char(row, ']');
}

static struct world *world_new(struct arena *arena)
{
    struct world *world = arena_alloc(arena, sizeof(*world));

    for (size_t i = 0; i < KEPT; i++)
        world->kept[i].json = (struct text)TEXT_INIT;
    world->row = (struct text)TEXT_INIT;
    return world;
}

static void world_free(struct world *world)
{
    for (size_t i = 0; i < KEPT; i++)
        text_free(&world->kept[i].json);
    text_free(&world->row);
}

/* Whoever gives some of the rows knows what all of them came to. */
static void world_take(const struct plan_input *input, struct plan *plan)
{
    strncpy(plan->world, input->world, sizeof(plan->world) - 1);
    plan->observed_at = input->world_at;
}

void world_digest(struct arena *arena, const struct plan_input *input, struct plan *plan)
{
    if (input->world) {
        world_take(input, plan);
        return;
    }
    struct digest_sum *sum = digest_sum_new(arena);
    struct world *world = world_new(arena);
    char digest[DIGEST_TEXT];

    for (size_t i = 0; i < input->known_count; i++) {
        const struct observation *seen = &input->known[i].observed;

        row_write(world, &input->known[i]);
        digest_bytes(world->row.data, world->row.len, digest);
        digest_sum_add(sum, digest, DIGEST_TEXT - 1);
        if (seen->known && (plan->observed_at == 0 || seen->at < plan->observed_at))
            plan->observed_at = seen->at;
    }
    digest_sum_end(sum, plan->world);
    world_free(world);
}
