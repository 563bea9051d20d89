/* SPDX-License-Identifier: MPL-2.0 */
/* The hand that damages a simulated world: for tests, and for people who try Spinel. */
#include "drivers/sim/damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "drivers/sim/world.h"
#include "model/arena.h"
#include "model/json.h"

static const char usage[] =
    "sim is a Spinel driver that simulates every kind. It is started by spinel and speaks\n"
    "JSON-RPC 2.0, one message a line, on standard input and output.\n"
    "\n"
    "To look at a simulated world (<stateDir>/drivers/sim/world), or to damage it behind\n"
    "Spinel's back:\n"
    "  sim --world FILE list                 every object: uid, kind, project/name, state\n"
    "  sim --world FILE get UID              one object as JSON\n"
    "  sim --world FILE set UID PATH JSON    for example: set UID spec.size 4096\n"
    "  sim --world FILE delete UID\n"
    "\n"
    "Settings in the site file: seed, latencyMs, and faults, each per mille of operations:\n"
    "failBefore, failAfter, hang, lie, partialList, crash.\n";

struct command {
    struct world *world;
    struct arena *arena;
    char **args;
    struct error *err;
};

static const struct thing *thing_need(const struct command *command, struct value **body)
{
    const struct thing *thing = world_find(command->world, command->args[0]);
    if (!thing)
        error_set(command->err, ERR_NOT_FOUND, "no object %s in this world", command->args[0]);
    else if (world_body(command->world, command->arena, thing, body, command->err) < 0)
        return NULL;
    return thing;
}

static int command_list(const struct command *command)
{
    struct error ignored = ERROR_INIT;
    for (const struct thing *thing = NULL; (thing = world_next(command->world, thing));) {
        struct value *body;
        if (world_body(command->world, command->arena, thing, &body, &ignored) < 0)
            continue;
        const char *project = value_get_text(body, "project", NULL);
        printf("%s  %-11s  %s%s%s  %s\n", thing->uid, value_get_text(body, "kind", "?"),
               project ? project : "", project ? "/" : "", value_get_text(body, "name", "?"),
               value_at_text(body, "status.state", "?"));
    }
    return 0;
}

static int command_get(const struct command *command)
{
    struct value *body;
    if (!thing_need(command, &body))
        return command->err->code;
    puts(json_text(command->arena, body));
    return 0;
}

/* The copy of `root` whose member at `path` (keys joined by dots) is `item`. */
static struct value *with_member(struct arena *arena, const struct value *root, const char *path,
                                 struct value *item)
{
    size_t len = strcspn(path, ".");
    const char *key = arena_text_n(arena, path, len);
    struct value *copy = value_is_map(root) ? value_copy(arena, root) : value_map(arena);
    if (path[len] == '.')
        item = with_member(arena, value_get(root, key), path + len + 1, item);
    value_set(arena, copy, key, item);
    return copy;
}

static int command_set(const struct command *command)
{
    struct value *body, *item;
    const struct thing *thing = thing_need(command, &body);
    const char *json = command->args[2];
    if (!thing || json_read(command->arena, json, strlen(json), &item, command->err) < 0)
        return command->err->code;
    body = with_member(command->arena, body, command->args[1], item);
    return world_put(command->world, thing->uid, thing->epoch, body, command->err);
}

static int command_delete(const struct command *command)
{
    struct value *body;
    return thing_need(command, &body) ? world_remove(command->world, command->args[0], command->err)
                                      : command->err->code;
}

static const struct {
    const char *name;
    int arg_count;
    int (*run)(const struct command *command);
} commands[] = {
    {"list", 0, command_list},
    {"get", 1, command_get},
    {"set", 3, command_set},
    {"delete", 1, command_delete},
};

static int (*command_find(int argc, char **argv))(const struct command *)
{
    if (argc < 4 || strcmp(argv[1], "--world") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[3]) == 0 && commands[i].arg_count == argc - 4)
            return commands[i].run;
    return NULL;
}

int damage_main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct world *world = NULL;
    int (*run)(const struct command *) = command_find(argc, argv);
    if (!run) {
        bool is_asked = strcmp(argv[1], "--help") == 0;
        fputs(usage, is_asked ? stdout : stderr);
        return is_asked ? 0 : 64;
    }
    struct arena *arena = arena_new();
    int result = access(argv[2], F_OK) < 0 ? error_sys(&err, "cannot open %s", argv[2])
                                           : world_open(argv[2], &world, &err);
    if (result == 0)
        result = run(&(struct command){world, arena, argv + 4, &err});
    if (result < 0)
        fprintf(stderr, "sim: %s\n", err.message);
    world_free(world);
    arena_free(arena);
    return result < 0;
}
