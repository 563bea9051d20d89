/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel console`: the serial port of a machine, by the socket that QEMU listens
 * on in the instance's run directory. On a terminal keys go through raw; Ctrl-]
 * or "~." after a line break leaves, and the machine notices nothing.
 */
#include "reconciler/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "model/native.h"
#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/site.h"

enum { KEY_LEAVE = 0x1d /* Ctrl-] */, SILENCE_MS = 1000 };

static int is_log;

static int instance_dir(struct cli *cli, const char **dir, struct error *err)
{
    const struct site *site;
    const struct known *row;
    struct store *store;
    int rc = site_find(cli, &site, err);

    if (rc == 0)
        rc = objects_store(cli, &store, err);
    if (rc < 0)
        return rc;
    rc = object_find(cli->arena, store, kind_find("Instance"), cli->operands[0], &row, err);
    store_close(store);
    if (rc == 0)
        *dir = native_instance_dir(cli->arena, site->state_dir, row->uid);
    return rc;
}

/* A socket's address holds 107 bytes and a state directory may be deep: the run directory
 * is opened first and named by its descriptor. */
static int serial_connect(struct cli *cli, const char *dir, int *fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/serial.sock", at);
    if (at < 0 || made < 0 || connect(made, (struct sockaddr *)&address, sizeof(address)) < 0) {
        rc = error_sys(err, "cannot reach the console of %s", cli->operands[0]);
        error_hint(err,
                   "'spinel get instance %s' tells whether it runs; 'spinel console --log %s' "
                   "shows what it printed.",
                   cli->operands[0], cli->operands[0]);
        if (made >= 0)
            close(made);
    }
    if (at >= 0)
        close(at);
    if (rc == 0)
        *fd = made;
    return rc;
}

static bool all_write(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Watches the keys for a way out: Ctrl-], or "~." at the start of a line. */
struct escape {
    bool is_line_start;
    bool has_tilde;
};

/* How many of the keys go to the machine; `*is_over` when the rest is the way out. */
static size_t keys_pass(struct escape *escape, const char *keys, size_t len, bool *is_over)
{
    for (size_t i = 0; i < len; i++) {
        if (keys[i] == KEY_LEAVE || (escape->has_tilde && keys[i] == '.')) {
            *is_over = true;
            return i;
        }
        escape->has_tilde = escape->is_line_start && keys[i] == '~';
        escape->is_line_start = keys[i] == '\r' || keys[i] == '\n';
    }
    return len;
}

static bool keys_send(int fd, struct escape *escape, bool is_terminal, bool *is_eof)
{
    char keys[1024];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    bool is_over = false;
    size_t pass;

    if (n <= 0) {
        *is_eof = n == 0;
        return n == 0 || errno == EINTR;
    }
    pass = is_terminal ? keys_pass(escape, keys, (size_t)n, &is_over) : (size_t)n;
    return all_write(fd, keys, pass) && !is_over;
}

static bool output_show(int fd)
{
    char data[4096];
    ssize_t n = read(fd, data, sizeof(data));

    if (n < 0)
        return errno == EINTR;
    return n > 0 && all_write(STDOUT_FILENO, data, (size_t)n);
}

/* The machine never says that it has answered: once the input is over, a second of
 * silence is the end. The port stays open for writing, or QEMU would hang up at once. */
static void console_copy(int fd, bool is_terminal)
{
    struct escape escape = {.is_line_start = true};
    bool is_eof = false;

    while (!*interrupt_flag()) {
        struct pollfd polls[] = {{.fd = fd, .events = POLLIN},
                                 {.fd = is_eof ? -1 : STDIN_FILENO, .events = POLLIN}};
        int ready = poll(polls, 2, is_eof ? SILENCE_MS : -1);

        if (ready == 0 || (ready < 0 && errno != EINTR))
            return;
        if (ready < 0)
            continue;
        if (polls[0].revents && !output_show(fd))
            return;
        if (polls[1].revents && !keys_send(fd, &escape, is_terminal, &is_eof))
            return;
    }
}

static int log_show(const char *dir, struct arena *arena, struct error *err)
{
    const char *path = arena_printf(arena, "%s/serial.log", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, "cannot read %s", path);
    while (output_show(fd))
        continue;
    close(fd);
    return 0;
}

static int console_connect(struct cli *cli, const char *dir, struct error *err)
{
    bool is_terminal = isatty(STDIN_FILENO) == 1;
    struct termios before, raw;
    int fd = -1;
    int rc = serial_connect(cli, dir, &fd, err);

    if (rc < 0)
        return rc;
    interrupt_catch();
    if (is_terminal && tcgetattr(STDIN_FILENO, &before) == 0) {
        note("Connected to %s. Leave with Ctrl-] or ~. after a line break.", cli->operands[0]);
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    console_copy(fd, is_terminal);
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
        note("\nDisconnected; the machine goes on.");
    }
    close(fd);
    return 0;
}

static int console_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const char *dir;
    int rc = instance_dir(cli, &dir, &err);

    if (rc == 0)
        rc = is_log ? log_show(dir, cli->arena, &err) : console_connect(cli, dir, &err);
    return rc < 0 ? fail(cli, &err) : EXIT_OK;
}

static const struct poptOption console_options[] = {
    {"log", 0, POPT_ARG_NONE, &is_log, 0, "show what it has printed so far, and end", NULL},
    POPT_TABLEEND,
};

const struct command console_command = {
    .name = "console",
    .group = "Look",
    .operands = "PROJECT/NAME",
    .help = "connect to a machine's serial port",
    .details = "Ctrl-], or ~. after a line break, leaves. Off a terminal it copies standard\n"
               "input to the port and the port to standard output, and ends when the input is\n"
               "over and the machine has been silent for a second.",
    .options = console_options,
    .least = 1,
    .most = 1,
    .run = console_run,
};
