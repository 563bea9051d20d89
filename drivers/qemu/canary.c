/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/qemu/canary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/process.h"
#include "drivers/qemu/rundir.h"
#include "drivers/qemu/settings.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/durable.h"
#include "model/json.h"
#include "model/value.h"

__asm__(".pushsection .rodata\n"
        ".include \"drivers/qemu/canary.S\"\n"
        ".popsection\n");
extern const char canary_image[], canary_image_end[];

enum { ALIVE_STATUS = 42 << 1 | 1, TCG_TIMEOUT_MS = 20000 };

enum canary { CANARY_ALIVE, CANARY_SILENT, CANARY_DEAD };

static _Noreturn void canary_exec(const char *binary, const char *accel, const char *image)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(binary, binary, "-name", "spinel-canary", "-no-user-config", "-nodefaults", "-display",
          "none", "-machine", "q35", "-accel", accel, "-cpu",
          strcmp(accel, "kvm") == 0 ? "host" : "max", "-m", "96", "-kernel", image, "-device",
          "isa-debug-exit,iobase=0xf4,iosize=4", "-sandbox", "on,spawn=deny", (char *)NULL);
    _exit(127);
}

static enum canary canary_run(const char *binary, const char *accel, const char *image,
                              int64_t timeout_ms)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        canary_exec(binary, accel, image);
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return CANARY_DEAD;
    bool ended = proc_wait(pidfd, timeout_ms);
    if (!ended)
        proc_signal(pidfd, SIGKILL);
    close(pidfd);
    waitpid(pid, &status, 0);
    if (!ended)
        return CANARY_SILENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == ALIVE_STATUS ? CANARY_ALIVE : CANARY_DEAD;
}

/* What the answer depends on. */
static const char *canary_key(struct arena *arena, const struct settings *settings)
{
    struct utsname name = {0};
    struct stat st = {0};
    char boot[BOOT_ID_TEXT];
    proc_boot_id(boot);
    uname(&name);
    stat(settings->binary, &st);
    return arena_printf(arena, "%s %s %s %s %jd.%09ld %jd ms %" PRId64, boot, name.release,
                        name.version, settings->binary, (intmax_t)st.st_mtim.tv_sec,
                        st.st_mtim.tv_nsec, (intmax_t)st.st_size, settings->canary_ms);
}

/* NULL if KVM works, else why not. */
static const char *kvm_problem(struct spinel_host *host, const struct settings *settings,
                               const char *image)
{
    struct arena *arena = spinel_arena(host);
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return arena_printf(arena, "/dev/kvm cannot be opened: %s", strerror(errno));
    close(fd);
    switch (canary_run(settings->binary, "kvm", image, settings->canary_ms)) {
    case CANARY_ALIVE:
        return NULL;
    case CANARY_DEAD:
        return "/dev/kvm opens, but a small guest did not survive under KVM";
    case CANARY_SILENT:
        break;
    }
    /* Is it KVM, or would this machine not run the canary at all? */
    if (canary_run(settings->binary, "tcg", image, TCG_TIMEOUT_MS) == CANARY_ALIVE)
        return arena_printf(arena,
                            "/dev/kvm opens, but a small guest made no progress under KVM "
                            "in %" PRId64 " ms, and does under emulation",
                            settings->canary_ms);
    return "a small guest made no progress under KVM, nor under emulation";
}

static const struct value *cache_read(struct arena *arena, int dir, const char *key)
{
    struct error ignored = ERROR_INIT;
    struct value *cache;
    const char *text = rundir_read(arena, dir, "accel.json", &ignored);
    if (!text || json_read(arena, text, strlen(text), &cache, &ignored) < 0 ||
        strcmp(value_get_text(cache, "key", ""), key) != 0)
        return NULL;
    return cache;
}

static int canary_find_out(struct spinel_host *host, const struct settings *settings, int dir,
                           const char *key, const struct value **out, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    if (file_replace(dir, "canary.bin", canary_image, (size_t)(canary_image_end - canary_image),
                     err) < 0)
        return err->code;
    const char *image = arena_printf(arena, "%s/canary.bin", spinel_own_dir(host));
    struct value *cache = value_map(arena);
    value_set_text(arena, cache, "key", key);
    value_set_text(arena, cache, "problem", kvm_problem(host, settings, image));
    const char *text = json_text(arena, cache);
    *out = cache;
    return file_replace(dir, "accel.json", text, strlen(text), err);
}

/* One call finds out, the others wait for it. */
static int canary_ask(struct spinel_host *host, const struct settings *settings,
                      const char **problem, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const char *key = canary_key(arena, settings);
    int dir, status = rundir_open(spinel_own_dir(host), &dir, err);
    if (status < 0)
        return status;
    const struct value *cache = cache_read(arena, dir, key);
    if (!cache) {
        int lock = openat(dir, "accel.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock >= 0)
            flock(lock, LOCK_EX);
        cache = cache_read(arena, dir, key);
        if (!cache)
            status = canary_find_out(host, settings, dir, key, &cache, err);
        if (lock >= 0)
            close(lock);
    }
    close(dir);
    if (status == 0)
        *problem = value_get_text(cache, "problem", NULL);
    return status;
}

static _Noreturn void prepare_main(struct spinel_host *host, const struct settings *settings,
                                   pid_t parent)
{
    struct error ignored = ERROR_INIT;
    const char *problem;
    sigset_t none;
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || null < 0)
        _exit(1);
    dup2(null, STDIN_FILENO); /* these two are the driver's wire */
    dup2(null, STDOUT_FILENO);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(canary_ask(host, settings, &problem, &ignored) < 0);
}

void accel_prepare(struct spinel_host *host, const struct settings *settings)
{
    pid_t parent = getpid();
    if (access("/dev/kvm", R_OK | W_OK) == 0 && fork() == 0)
        prepare_main(host, settings, parent);
}

int accel_choose(struct spinel_host *host, const struct settings *settings, const char *wanted,
                 struct accel *accel, struct error *err)
{
    const char *problem = NULL;
    if (strcmp(wanted, "tcg") == 0) {
        *accel = (struct accel){.used = "tcg", .reason = "the manifest asks for emulation"};
        return 0;
    }
    if (canary_ask(host, settings, &problem, err) < 0)
        return err->code;
    if (!problem) {
        *accel = (struct accel){.used = "kvm", .reason = "a small guest ran under KVM"};
        return 0;
    }
    if (strcmp(wanted, "kvm") == 0) {
        error_set(err, ERR_UNSUPPORTED, "KVM does not work here: %s", problem);
        return error_hint(err, "Set spec.accel to auto or tcg, or see to KVM on this host.");
    }
    *accel = (struct accel){.used = "tcg", .reason = problem};
    return 0;
}
