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
    struct digest_sum *sum;
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
    invariant(content->len > 0, "%s was seen as nothing at all", known->uid);
    text_add_n(row, content->data, content->len);
    text_add_char(row, ']');
}

struct world *world_new(struct arena *arena)
{
    struct world *world = arena_alloc(arena, sizeof(*world));

    world->sum = digest_sum_new(arena);
    for (size_t i = 0; i < KEPT; i++)
        world->kept[i].json = (struct text)TEXT_INIT;
    world->row = (struct text)TEXT_INIT;
    return world;
}

void world_row(struct world *world, const struct known *known, uint8_t digest[DIGEST_BYTES])
{
    row_write(world, known);
    digest_raw(world->row.data, world->row.len, digest);
}

void world_add(struct world *world, const uint8_t digest[DIGEST_BYTES])
{
    char hex[DIGEST_TEXT];

    digest_sum_add(world->sum, digest_hex(digest, hex), DIGEST_TEXT - 1);
}

char *world_end(struct world *world, char *hex)
{
    for (size_t i = 0; i < KEPT; i++)
        text_free(&world->kept[i].json);
    text_free(&world->row);
    return digest_sum_end(world->sum, hex);
}

/* Whoever gives some of the rows knows what all of them came to. */
static void world_take(const struct plan_input *input, struct plan *plan)
{
    invariant(strlen(input->world) < sizeof(plan->world), "a world of digest '%.80s'",
              input->world);
    strncpy(plan->world, input->world, sizeof(plan->world) - 1);
    plan->observed_at = input->world_at;
}

void world_digest(struct arena *arena, const struct plan_input *input, struct plan *plan)
{
    if (input->world) {
        world_take(input, plan);
        return;
    }
    struct world *world = world_new(arena);
    uint8_t digest[DIGEST_BYTES];

    for (size_t i = 0; i < input->known_count; i++) {
        const struct observation *seen = &input->known[i].observed;

        world_row(world, &input->known[i], digest);
        world_add(world, digest);
        if (seen->known && (plan->observed_at == 0 || seen->at < plan->observed_at))
            plan->observed_at = seen->at;
    }
    world_end(world, plan->world);
}
