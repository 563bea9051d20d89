/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The process. It is started in a session of its own, so that it outlives both
 * the call and the driver; <own>/<vpc>/dnsmasq.json says which process it is, by
 * pid, start time and boot, so that a number used again is never taken for it.
 *
 * A lease of a NIC that is gone would keep its address from the next one: then
 * dnsmasq is stopped, the line removed from its file, and started again.
 */
#include "drivers/linux-vpc/dhcp.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "drivers/lib/proc.h"
#include "drivers/linux-vpc/dhcp_dir.h"
#include "drivers/linux-vpc/netns.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/text.h"

#define PROCESS_FILE "dnsmasq.json"
#define CONF_FILE "--conf-file="

enum { PAUSE_MS = 10, START_TIMEOUT_MS = 10000, STOP_TIMEOUT_MS = 3000, STOPPED_MAX = 8 };

bool dhcp_is_wanted(const struct network *network)
{
    for (size_t i = 0; i < network->subnet_count; i++)
        if (network->subnets[i].has_dhcp || network->subnets[i].has_dns)
            return true;
    return false;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

/* ---- leases ------------------------------------------------------------------------- */

/* A line is "<expiry> <mac> <address> <name> <client id>". */
static bool lease_is_ours(const struct network *network, const char *line)
{
    char mac[MAC_TEXT];
    char address[ADDRESS_MAX_TEXT];
    char want[MAC_TEXT + ADDRESS_MAX_TEXT + 2];
    for (size_t i = 0; i < network->nic_count; i++) {
        const struct network_nic *nic = &network->nics[i];
        snprintf(want, sizeof want, " %s %s ", mac_text(&nic->mac, mac),
                 address_text(&nic->address, address));
        if (strstr(line, want))
            return true;
    }
    return false;
}

/* The leases without those that nobody may hold any more. */
static char *leases_kept(struct arena *arena, const struct network *network, const char *leases)
{
    struct text kept = TEXT_INIT;
    char *rest = arena_text(arena, leases);
    for (char *line = *rest ? strtok_r(rest, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        if (lease_is_ours(network, line))
            text_printf(&kept, "%s\n", line);
    char *copy = arena_text(arena, kept.data);
    text_free(&kept);
    return copy;
}

/* ---- the process -------------------------------------------------------------------- */

static int process_open(struct arena *arena, const char *own_dir, const char *vpc, pid_t *pid)
{
    struct error ignored = ERROR_INIT;
    const struct value *process;
    *pid = 0;
    if (records_read_file(arena, own_dir, vpc, PROCESS_FILE, &process, &ignored) < 0)
        return PROC_UNTOLD;
    *pid = (pid_t)value_get_int(process, "pid", 0);
    return proc_open(*pid, (uint64_t)value_get_int(process, "started", 0),
                     value_get_text(process, "boot", ""));
}

int dhcp_process(struct arena *arena, const char *own_dir, const char *vpc)
{
    pid_t pid;
    return process_open(arena, own_dir, vpc, &pid);
}

/* One that cannot be told about may serve as before; without its note it is looked for when another
 * is to be started. */
pid_t dhcp_pid(struct arena *arena, const char *own_dir, const char *vpc)
{
    pid_t pid;
    int pidfd = process_open(arena, own_dir, vpc, &pid);
    if (pidfd >= 0)
        close(pidfd);
    return pidfd == PROC_GONE ? 0 : pid;
}

struct sought {
    const char *argument;
    const char *program;
    uid_t user;
};

/* Anybody can say that argument: only dnsmasq, run by us or as its own user, is believed. */
static int is_sought(pid_t pid, const void *context)
{
    const struct sought *sought = context;
    uid_t owner;
    int is = proc_has_argument(pid, sought->argument, NULL);
    if (is > 0)
        is = proc_owner(pid, &owner);
    if (is <= 0)
        return is;
    return owner == geteuid() || owner == sought->user ? proc_runs(pid, sought->program) : 0;
}

/* One that serves this VPC: the noted one, or another: who started it may have died before the
 * note. PROC_GONE or PROC_UNTOLD: none is found. */
static int process_find(struct arena *arena, const char *own_dir, const struct network *network,
                        const struct dhcp_settings *settings)
{
    pid_t pid;
    const struct passwd *user = getpwnam(settings->user);
    const struct sought sought = {
        .argument = arena_printf(arena, CONF_FILE "%s", dhcp_path(arena, network, "config")),
        .program = settings->program,
        .user = user ? user->pw_uid : geteuid(),
    };
    int noted = process_open(arena, own_dir, network->records->vpc, &pid);
    if (noted >= 0 && proc_has_argument(pid, sought.argument, NULL) > 0)
        return noted;
    if (noted >= 0)
        close(noted);
    return proc_find(is_sought, &sought, &pid);
}

static int process_note(struct arena *arena, const char *own_dir, const struct network *network,
                        pid_t pid, const char *digest, struct error *err)
{
    char boot[BOOT_ID_TEXT];
    struct value *process = value_map(arena);
    proc_boot_id(boot);
    value_set_int(arena, process, "pid", pid);
    value_set_text(arena, process, "boot", boot);
    value_set_int(arena, process, "started", (int64_t)proc_start_time(pid));
    value_set_text(arena, process, "config", digest);
    return records_write_file(own_dir, network->records->vpc, PROCESS_FILE, process, err);
}

static bool process_stop(int pidfd)
{
    proc_signal(pidfd, SIGTERM);
    if (proc_wait(pidfd, STOP_TIMEOUT_MS))
        return true;
    proc_signal(pidfd, SIGKILL);
    return proc_wait(pidfd, STOP_TIMEOUT_MS);
}

/* All that there are; whoever starts them anew all the time is not raced with. */
static int processes_stop(struct arena *arena, const char *own_dir, const struct network *network,
                          const struct dhcp_settings *settings, struct error *err)
{
    for (int stopped = 0; stopped < STOPPED_MAX; stopped++) {
        int pidfd = process_find(arena, own_dir, network, settings);
        if (pidfd == PROC_UNTOLD)
            return error_set(err, ERR_BUSY, "it cannot be told whether dnsmasq of %s runs",
                             network->netns);
        if (pidfd < 0)
            return 0;
        bool has_ended = process_stop(pidfd);
        close(pidfd);
        if (!has_ended)
            return error_set(err, ERR_BUSY, "dnsmasq of %s does not end", network->netns);
    }
    error_set(err, ERR_BUSY, "dnsmasq of %s comes back each time it is ended", network->netns);
    return error_hint(err, "Find out who starts it; it has the argument " CONF_FILE "%s.",
                      dhcp_path(arena, network, "config"));
}

static void process_exec(const char *netns, const char *program, const char *config)
{
    struct error err = ERROR_INIT;
    int home;
    int null = open("/dev/null", O_RDWR);
    if (setsid() < 0 || netns_enter(netns, &home, &err) < 0 || null < 0)
        _exit(127);
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    if (close_range(3, ~0U, 0) < 0) /* it would hold the driver's own for as long as it lives */
        _exit(127);
    execlp(program, program, arena_printf(arena_new(), CONF_FILE "%s", config), (char *)NULL);
    _exit(127);
}

/* What dnsmasq said last, for the message. */
static const char *last_line(struct arena *arena, const char *path)
{
    char *text = dhcp_file_text(arena, path);
    size_t len = strlen(text);
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    const char *line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

static int process_failed(struct arena *arena, const struct network *network, int status,
                          const char *program, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        error_set(err, ERR_UNSUPPORTED, "cannot run %s", program);
        return error_hint(err, "Install dnsmasq (package dnsmasq-base), or set dnsmasq in the "
                               "driver's settings.");
    }
    error_set(err, ERR_SYSTEM, "%s did not start in %s: %s", program, network->netns,
              last_line(arena, dhcp_path(arena, network, "log")));
    return error_hint(err, "Try it by hand: %s --test --conf-file=%s", program,
                      dhcp_path(arena, network, "config"));
}

/* dnsmasq writes its pid file once its sockets are open; one that served before, and whom this one
 * could not take the place of, keeps its own. */
static bool is_up(struct arena *arena, const char *pid_file, pid_t pid)
{
    return strtol(dhcp_file_text(arena, pid_file), NULL, 10) == pid;
}

static int process_start(struct arena *arena, const struct network *network, const char *program,
                         pid_t *out, struct error *err)
{
    const char *pid_file = dhcp_path(arena, network, "pid");
    const char *config = dhcp_path(arena, network, "config");
    pid_t pid = fork();
    if (pid < 0)
        return error_sys(err, "cannot start %s", program);
    if (pid == 0)
        process_exec(network->netns, program, config);
    for (int waited = 0; waited < START_TIMEOUT_MS; waited += PAUSE_MS) {
        int status;
        if (is_up(arena, pid_file, pid)) {
            *out = pid;
            return 0;
        }
        if (waitpid(pid, &status, WNOHANG) == pid)
            return process_failed(arena, network, status, program, err);
        pause_briefly();
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return error_set(err, ERR_BUSY, "%s did not come up in %s within %d s", program, network->netns,
                     START_TIMEOUT_MS / 1000);
}

/* ---- all together ------------------------------------------------------------------- */

static int process_restart(struct arena *arena, const char *own_dir, const struct network *network,
                           const struct dhcp_settings *settings, const struct passwd *owner,
                           const char *digest, struct error *err)
{
    const char *path = dhcp_path(arena, network, "leases");
    pid_t pid = 0;
    if (processes_stop(arena, own_dir, network, settings, err) < 0)
        return err->code;
    dhcp_unread(arena, network); /* it reads them all at its start */
    const char *kept = leases_kept(arena, network, dhcp_file_text(arena, path));
    if (dhcp_file_update(arena, path, kept, owner, err) < 0 ||
        process_start(arena, network, settings->program, &pid, err) < 0 ||
        process_note(arena, own_dir, network, pid, digest, err) < 0)
        return err->code;
    return dhcp_have_read(arena, network, owner, err);
}

static bool is_same_process(struct arena *arena, const char *own_dir, const struct network *network,
                            const char *digest)
{
    const char *vpc = network->records->vpc;
    struct error ignored = ERROR_INIT;
    const struct value *process;
    if (records_read_file(arena, own_dir, vpc, PROCESS_FILE, &process, &ignored) < 0)
        return false;
    const char *leases = dhcp_file_text(arena, dhcp_path(arena, network, "leases"));
    return dhcp_pid(arena, own_dir, vpc) &&
           strcmp(value_get_text(process, "config", ""), digest) == 0 &&
           strcmp(leases_kept(arena, network, leases), leases) == 0;
}

int dhcp_converge(struct arena *arena, const char *own_dir, const struct network *network,
                  const struct dhcp_settings *settings, struct error *err)
{
    char digest[DIGEST_TEXT];
    if (!dhcp_is_wanted(network))
        return dhcp_remove(arena, own_dir, network, settings, err);
    const struct passwd *owner = getpwnam(settings->user);
    if (!owner) {
        error_set(err, ERR_UNSUPPORTED, "there is no user %s to run dnsmasq as", settings->user);
        return error_hint(err, "Install dnsmasq-base, which makes it, or set dnsmasqUser in the "
                               "driver's settings.");
    }
    if (dhcp_dir_prepare(arena, network, err) < 0)
        return err->code;
    struct text config = TEXT_INIT;
    dhcp_write_config(&config, network, dhcp_path(arena, network, NULL), settings->user);
    digest_bytes(config.data, config.len, digest);
    int changed =
        dhcp_file_update(arena, dhcp_path(arena, network, "config"), config.data, owner, err);
    text_free(&config);
    int reread = changed < 0 ? changed : dhcp_files_update(arena, network, owner, err);
    if (reread < 0)
        return reread;
    if (!is_same_process(arena, own_dir, network, digest))
        return process_restart(arena, own_dir, network, settings, owner, digest, err);
    if (!reread && dhcp_is_read(arena, network))
        return 0;
    int pidfd = dhcp_process(arena, own_dir, network->records->vpc);
    int signalled = pidfd < 0 ? -1 : proc_signal(pidfd, SIGHUP);
    if (signalled < 0)
        error_sys(err, "cannot signal dnsmasq of %s", network->netns);
    if (pidfd >= 0)
        close(pidfd);
    return signalled < 0 ? err->code : dhcp_have_read(arena, network, owner, err);
}

const char *dhcp_damage(struct arena *arena, const struct network *network, pid_t pid)
{
    if (!dhcp_is_wanted(network))
        return NULL;
    if (!pid)
        return "missing";
    return dhcp_files_are_right(arena, network) ? NULL : "out of date";
}

int dhcp_remove(struct arena *arena, const char *own_dir, const struct network *network,
                const struct dhcp_settings *settings, struct error *err)
{
    if (processes_stop(arena, own_dir, network, settings, err) < 0)
        return err->code;
    unlink(arena_printf(arena, "%s/%s/" PROCESS_FILE, own_dir, network->records->vpc));
    return dhcp_dir_remove(arena, network, err);
}
