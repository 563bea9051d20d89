/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What lies in the run directory of a machine and what QEMU says, after a crash, by another
 * version, or from a QEMU that a guest took over. The parts of an input are parted by a line
 * "====":
 *
 *   record.json   as it is; a map gets a true tag
 *   process.json
 *   exit.json
 *   qemu.log
 *   what its monitor says, to a look, to the watch and to the launcher
 *
 * What the driver tells of it is an object of the protocol; how a machine ended can be read back.
 */
#include <fcntl.h>
#include "drivers/lib/host.h"
#include "drivers/lib/list.h"
#include "drivers/qemu/launch.c"
#include "drivers/qemu/look.c"
#include "drivers/qemu/watch.c"
#include "model/hash.h"
#include "tests/fuzz/fuzz.h"

#define UID "0123456789abcdef0123456789abcdef"

enum { PARTS = 5, SAID_MAX = 64 << 10 };

static char directory[64];
static struct spinel_host host = {
    .state_dir = directory, .own_dir = directory, .rack_id = "r1", .key = {1, 2, 3}};

struct part {
    const char *text;
    size_t len;
};

static void parts_find(const char *text, size_t len, struct part parts[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        const char *end = i + 1 < PARTS ? memmem(text, len, "\n====\n", 6) : NULL;
        size_t part_len = end ? (size_t)(end - text) : len;
        parts[i] = (struct part){text, part_len};
        text += part_len + (end ? 6 : 0);
        len -= part_len + (end ? 6 : 0);
    }
}

static void file_put(int dir, const char *name, struct part part)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, part.text, part.len) == (ssize_t)part.len);
    close(fd);
}

/* The rest of a record is no part of what its tag covers. */
static struct part tagged(struct part part)
{
    static const struct spinel_op op = {
        .uid = UID, .epoch = 5, .kind = "Instance", .project = "shop", .name = "web"};
    struct error err = ERROR_INIT;
    struct value *record = NULL;
    if (json_read(host.arena, part.text, part.len, &record, &err) < 0 || !value_is_map(record))
        return part;
    value_set_text(host.arena, record, "tag", spinel_tag_make(&host, &op, UID, NULL));
    const char *text = json_text(host.arena, record);
    return (struct part){text, strlen(text)};
}

static int run_dir_make(const struct part parts[PARTS])
{
    char path[160];
    struct error err = ERROR_INIT;
    int dir = -1;
    snprintf(path, sizeof path, "%s/instances/" UID, directory);
    MUST(rundir_make(path, &dir, &err) == 0);
    file_put(dir, "record.json", tagged(parts[0]));
    file_put(dir, "process.json", parts[1]);
    file_put(dir, "exit.json", parts[2]);
    file_put(dir, "qemu.log", parts[3]);
    return dir;
}

static void object_check(const struct spinel_object *object)
{
    struct text out = TEXT_INIT;
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    MUST(value_is_map(object->spec) && value_is_map(object->status));
    object_write(&host, &out, object);
    MUST(json_read(host.arena, out.data, out.len, &value, &err) == 0);
    text_free(&out);
}

/* ---- a look -------------------------------------------------------------------------- */

/* The end of a connection at whose other end all of this was said already. */
static int said_end(struct part said, int *other)
{
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(said.len == 0 || send(ends[1], said.text, said.len, MSG_DONTWAIT) == (ssize_t)said.len);
    shutdown(ends[1], SHUT_WR);
    *other = ends[1];
    return ends[0];
}

static void monitor_try(struct instance *instance, struct part said)
{
    struct arena *arena = host.arena;
    struct error err = ERROR_INIT;
    struct spinel_object object = {.uid = UID, .kind = "Instance", .name = "web", .epoch = 1};
    struct qmp *qmp = NULL;
    int other;
    object.spec = value_map(arena);
    object.status = value_map(arena);
    object.damage = value_list(arena);
    if (qmp_start(arena, said_end(said, &other), 1000, &qmp, &err) == 0) {
        status_basics(instance, object.status);
        if (monitor_look(instance, qmp, &object, &err) == 0)
            object_check(&object);
        else
            MUST(err.message[0]);
        qmp_close(qmp);
    }
    close(other);
}

static void instance_try(struct part said)
{
    struct error err = ERROR_INIT;
    struct instance instance;
    struct spinel_object object = {.uid = UID};
    if (instance_open(&host, UID, &instance, &err) < 0) {
        MUST(err.message[0]);
        return;
    }
    MUST(instance.pidfd < 0 || instance.has_process);
    MUST(instance_etag(&instance)[0] && instance_exit_text(&instance)[0]);
    MUST(instance_last_words(&instance));
    if (instance.pidfd < 0 && instance_look(&instance, &object, &err) == 0)
        object_check(&object);
    monitor_try(&instance, said);
    instance_close(&instance);
}

/* ---- those who only listen ----------------------------------------------------------- */

static void watch_try(struct part said)
{
    struct watched watched = {.uid = UID, .events = -1, .input = TEXT_INIT};
    struct fuzz_lines lines = fuzz_lines((const uint8_t *)said.text, said.len);
    const char *line;
    size_t len;
    while (fuzz_line(&lines, &line, &len))
        event_take(&host, &watched, line, len);
    text_reset(&host.wire.output);
}

static void launcher_try(int dir, struct part said)
{
    static char last[LINE_ROOM];
    const struct process process = {.pid = 7};
    struct process_exit ended;
    struct error err = ERROR_INIT;
    struct serial_log log = {.dir = -1, .file = -1, .inotify = -1, .watch = -1};
    int other, own = said_end(said, &other);
    last[0] = '\0';
    follow_monitor(own, &log, last);
    close(own);
    close(other);
    MUST(process_write_exit(dir, process.pid, 3 << 8, last[0] ? last : NULL, &err) == 0);
    MUST(process_read_exit(host.arena, dir, &process, &ended) && ended.code == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct part parts[PARTS];
    if (!directory[0])
        fuzz_directory(directory);
    char *text = fuzz_text(data, size);
    host.call_fd = -1;
    host.arena = arena_new();
    parts_find(text, size, parts);
    parts[4].len = parts[4].len < SAID_MAX ? parts[4].len : SAID_MAX;
    int dir = run_dir_make(parts);
    instance_try(parts[4]);
    watch_try(parts[4]);
    launcher_try(dir, parts[4]);
    close(dir);
    free(text);
    arena_free(host.arena);
    return 0;
}
