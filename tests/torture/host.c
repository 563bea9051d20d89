/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/torture/host.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool is_open;

static volatile pid_t inner;

static void pass_on(int signal)
{
    kill(inner, signal);
}

static void inner_wait(void)
{
    int status = 0;
    host_signals(pass_on);
    while (waitpid(inner, &status, 0) < 0)
        if (errno != EINTR)
            _exit(2);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

void host_signals(void (*handler)(int signal))
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &action, NULL);
}

void host_enter(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
        return;
    inner = fork();
    if (inner > 0)
        inner_wait();
    if (inner != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0) {
        perror("torture: a PID namespace");
        exit(2);
    }
}

const char *host_open(void)
{
    char pid[16];
    if (is_open)
        return NULL;
    if (geteuid() != 0)
        return "needs root";
    if (access("/dev/net/tun", R_OK | W_OK) != 0)
        return "needs /dev/net/tun";
    if (system("for tool in nft ip dnsmasq jq qemu-system-x86_64 python3; do command -v $tool "
               ">/dev/null || exit 1; done") != 0)
        return "needs nft, ip, dnsmasq, jq, qemu-system-x86_64 and python3";
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("run", "/run", "tmpfs", 0, "mode=755") != 0)
        return "needs namespaces";
    if (system("nft list tables >/dev/null 2>&1") != 0)
        return "needs nf_tables";
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("TORTURE_HOST", pid, 1); /* world.sh looks at its children */
    is_open = true;
    return NULL;
}

/* What one leaves behind becomes ours as it ends. */
static void children_end(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    for (int turn = 0; turn < 200; turn++) {
        FILE *in = fopen(path, "re");
        int pid = 0, count = 0;
        while (in && fscanf(in, "%d", &pid) == 1) {
            kill(pid, SIGKILL);
            count++;
        }
        if (in)
            fclose(in);
        if (count == 0)
            return;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
}

void host_close(void)
{
    if (is_open)
        children_end();
}

void host_renew(void)
{
    children_end();
    umount2("/run", MNT_DETACH);
    if (mount("run", "/run", "tmpfs", 0, "mode=755") != 0 || unshare(CLONE_NEWNET) != 0 ||
        system("ip link set lo up") != 0) {
        perror("torture: a fresh host");
        exit(2);
    }
}
