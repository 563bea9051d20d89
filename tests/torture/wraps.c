/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One line a function: what it returns when it fails, and errno. The Makefile reads the
 * names from here for the linker's --wrap.
 */
#include "tests/torture/torture.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <ftw.h>
#include <git2.h>
#include <grp.h>
#include <jansson.h>
#include <libmnl/libmnl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <pthread.h>
#include <popt.h>
#include <pwd.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <yaml.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define WRAP(name, type, failed, code, params, args)            \
    type __real_##name params;                                  \
    type __wrap_##name params                                   \
    {                                                           \
        if (torture_fails(#name, __builtin_frame_address(0))) { \
            errno = code;                                       \
            return failed;                                      \
        }                                                       \
        return __real_##name args;                              \
    }

/* clang-format off */

/* ---- memory ---- */
WRAP(malloc, void *, NULL, ENOMEM, (size_t n), (n))
WRAP(calloc, void *, NULL, ENOMEM, (size_t n, size_t m), (n, m))
WRAP(realloc, void *, NULL, ENOMEM, (void *p, size_t n), (p, n))
WRAP(reallocarray, void *, NULL, ENOMEM, (void *p, size_t n, size_t m), (p, n, m))
WRAP(strdup, char *, NULL, ENOMEM, (const char *s), (s))
WRAP(strndup, char *, NULL, ENOMEM, (const char *s, size_t n), (s, n))
WRAP(mmap, void *, MAP_FAILED, ENOMEM, (void *a, size_t n, int p, int f, int fd, off_t o), (a, n, p, f, fd, o))
WRAP(regcomp, int, REG_ESPACE, ENOMEM, (regex_t *r, const char *p, int f), (r, p, f))
WRAP(regexec, int, REG_ESPACE, ENOMEM, (const regex_t *r, const char *s, size_t n, regmatch_t *m, int f), (r, s, n, m, f))
WRAP(setenv, int, -1, ENOMEM, (const char *n, const char *v, int o), (n, v, o))
WRAP(poptGetContext, poptContext, NULL, ENOMEM, (const char *n, int c, const char **v, const struct poptOption *o, unsigned f), (n, c, v, o, f))

/* ---- files ---- */
WRAP(read, ssize_t, -1, EIO, (int fd, void *p, size_t n), (fd, p, n))
WRAP(write, ssize_t, -1, ENOSPC, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(pread, ssize_t, -1, EIO, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(pwrite, ssize_t, -1, ENOSPC, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(lseek, off_t, -1, EIO, (int fd, off_t o, int w), (fd, o, w))
WRAP(copy_file_range, ssize_t, -1, EIO, (int a, off_t *o, int b, off_t *q, size_t n, unsigned f), (a, o, b, q, n, f))
WRAP(sendfile, ssize_t, -1, EIO, (int a, int b, off_t *o, size_t n), (a, b, o, n))
WRAP(fsync, int, -1, EIO, (int fd), (fd))
WRAP(fdatasync, int, -1, EIO, (int fd), (fd))
WRAP(fallocate, int, -1, ENOSPC, (int fd, int m, off_t o, off_t n), (fd, m, o, n))
WRAP(ftruncate, int, -1, EIO, (int fd, off_t n), (fd, n))
WRAP(truncate, int, -1, EIO, (const char *a, off_t n), (a, n))
WRAP(futimens, int, -1, EIO, (int fd, const struct timespec t[2]), (fd, t))
WRAP(rename, int, -1, ENOSPC, (const char *a, const char *b), (a, b))
WRAP(renameat, int, -1, ENOSPC, (int d, const char *a, int e, const char *b), (d, a, e, b))
WRAP(renameat2, int, -1, ENOSPC, (int d, const char *a, int e, const char *b, unsigned f), (d, a, e, b, f))
WRAP(symlink, int, -1, ENOSPC, (const char *a, const char *b), (a, b))
WRAP(unlink, int, -1, EIO, (const char *a), (a))
WRAP(linkat, int, -1, ENOSPC, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f))
WRAP(mkdirat, int, -1, ENOSPC, (int d, const char *a, mode_t m), (d, a, m))
WRAP(unlinkat, int, -1, EIO, (int d, const char *a, int f), (d, a, f))
WRAP(remove, int, -1, EIO, (const char *a), (a))
WRAP(rmdir, int, -1, EIO, (const char *a), (a))
WRAP(mkdir, int, -1, ENOSPC, (const char *a, mode_t m), (a, m))
WRAP(mkdtemp, char *, NULL, ENOSPC, (char *a), (a))
WRAP(mkostemp, int, -1, ENOSPC, (char *a, int f), (a, f))
WRAP(memfd_create, int, -1, EMFILE, (const char *a, unsigned f), (a, f))
WRAP(stat, int, -1, EIO, (const char *a, struct stat *s), (a, s))
WRAP(lstat, int, -1, EIO, (const char *a, struct stat *s), (a, s))
WRAP(fstat, int, -1, EIO, (int fd, struct stat *s), (fd, s))
WRAP(fstatat, int, -1, EIO, (int d, const char *a, struct stat *s, int f), (d, a, s, f))
WRAP(statvfs, int, -1, EIO, (const char *a, struct statvfs *s), (a, s))
WRAP(fstatfs, int, -1, EIO, (int fd, struct statfs *s), (fd, s))
WRAP(fsetxattr, int, -1, ENOSPC, (int fd, const char *n, const void *p, size_t l, int f), (fd, n, p, l, f))
WRAP(fremovexattr, int, -1, EIO, (int fd, const char *n), (fd, n))
WRAP(lgetxattr, ssize_t, -1, EIO, (const char *a, const char *n, void *p, size_t l), (a, n, p, l))
WRAP(access, int, -1, EIO, (const char *a, int m), (a, m))
WRAP(readlink, ssize_t, -1, EIO, (const char *a, char *p, size_t n), (a, p, n))
WRAP(readlinkat, ssize_t, -1, EIO, (int d, const char *a, char *p, size_t n), (d, a, p, n))
WRAP(realpath, char *, NULL, EIO, (const char *a, char *p), (a, p))
WRAP(chmod, int, -1, EIO, (const char *a, mode_t m), (a, m))
WRAP(fchmod, int, -1, EIO, (int fd, mode_t m), (fd, m))
WRAP(fchmodat, int, -1, EIO, (int d, const char *a, mode_t m, int f), (d, a, m, f))
WRAP(fchown, int, -1, EIO, (int fd, uid_t u, gid_t g), (fd, u, g))
WRAP(fchownat, int, -1, EIO, (int d, const char *a, uid_t u, gid_t g, int f), (d, a, u, g, f))
WRAP(flock, int, -1, ENOLCK, (int fd, int o), (fd, o))
WRAP(dup, int, -1, EMFILE, (int fd), (fd))
WRAP(dup2, int, -1, EIO, (int a, int b), (a, b))
WRAP(opendir, DIR *, NULL, EMFILE, (const char *a), (a))
WRAP(fdopendir, DIR *, NULL, ENOMEM, (int fd), (fd))
WRAP(readdir, struct dirent *, NULL, EIO, (DIR *d), (d))
WRAP(scandir, int, -1, EIO, (const char *a, struct dirent ***l, int (*f)(const struct dirent *), int (*c)(const struct dirent **, const struct dirent **)), (a, l, f, c))
WRAP(nftw, int, -1, EIO, (const char *a, int (*f)(const char *, const struct stat *, int, struct FTW *), int n, int g), (a, f, n, g))
WRAP(fopen, FILE *, NULL, EMFILE, (const char *a, const char *m), (a, m))
WRAP(fdopen, FILE *, NULL, ENOMEM, (int fd, const char *m), (fd, m))
WRAP(fopencookie, FILE *, NULL, ENOMEM, (void *c, const char *m, cookie_io_functions_t f), (c, m, f))
WRAP(fflush, int, EOF, ENOSPC, (FILE *f), (f))
WRAP(inotify_init1, int, -1, EMFILE, (int f), (f))
WRAP(inotify_add_watch, int, -1, ENOSPC, (int fd, const char *a, uint32_t m), (fd, a, m))
WRAP(inotify_rm_watch, int, -1, EINVAL, (int fd, int w), (fd, w))
WRAP(timerfd_create, int, -1, EMFILE, (int c, int f), (c, f))
WRAP(timerfd_settime, int, -1, EINVAL, (int fd, int f, const struct itimerspec *a, struct itimerspec *b), (fd, f, a, b))
WRAP(chdir, int, -1, EIO, (const char *a), (a))

/* ---- processes ---- */
WRAP(fork, pid_t, -1, EAGAIN, (void), ())
WRAP(pthread_create, int, EAGAIN, EAGAIN, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x), (t, a, f, x))
WRAP(pipe2, int, -1, EMFILE, (int p[2], int f), (p, f))
WRAP(waitpid, pid_t, -1, ECHILD, (pid_t p, int *s, int o), (p, s, o))
WRAP(waitid, int, -1, ECHILD, (idtype_t t, id_t p, siginfo_t *s, int o), (t, p, s, o))
WRAP(pidfd_open, int, -1, EMFILE, (pid_t p, unsigned f), (p, f))
WRAP(pidfd_send_signal, int, -1, EPERM, (int p, int s, siginfo_t *i, unsigned f), (p, s, i, f))
WRAP(execv, int, -1, ENOENT, (const char *a, char *const v[]), (a, v))
WRAP(execve, int, -1, ENOENT, (const char *a, char *const v[], char *const e[]), (a, v, e))
WRAP(execvp, int, -1, ENOENT, (const char *a, char *const v[]), (a, v))
WRAP(posix_spawn, int, EAGAIN, EAGAIN, (pid_t *p, const char *a, const posix_spawn_file_actions_t *x, const posix_spawnattr_t *y, char *const v[], char *const e[]), (p, a, x, y, v, e))
WRAP(posix_spawnp, int, EAGAIN, EAGAIN, (pid_t *p, const char *a, const posix_spawn_file_actions_t *x, const posix_spawnattr_t *y, char *const v[], char *const e[]), (p, a, x, y, v, e))
WRAP(posix_spawn_file_actions_adddup2, int, ENOMEM, ENOMEM, (posix_spawn_file_actions_t *x, int a, int b), (x, a, b))
WRAP(posix_spawn_file_actions_addopen, int, ENOMEM, ENOMEM, (posix_spawn_file_actions_t *x, int fd, const char *a, int f, mode_t m), (x, fd, a, f, m))
WRAP(setuid, int, -1, EPERM, (uid_t u), (u))
WRAP(setgid, int, -1, EPERM, (gid_t g), (g))
WRAP(setresuid, int, -1, EPERM, (uid_t u, uid_t v, uid_t w), (u, v, w))
WRAP(setresgid, int, -1, EPERM, (gid_t u, gid_t v, gid_t w), (u, v, w))
WRAP(setgroups, int, -1, EPERM, (size_t n, const gid_t *g), (n, g))
WRAP(initgroups, int, -1, EPERM, (const char *n, gid_t g), (n, g))
WRAP(getgrouplist, int, -1, EIO, (const char *n, gid_t g, gid_t *l, int *c), (n, g, l, c))
WRAP(setpriority, int, -1, EPERM, (__priority_which_t w, id_t p, int n), (w, p, n))
WRAP(unshare, int, -1, EPERM, (int f), (f))
WRAP(setns, int, -1, EPERM, (int fd, int t), (fd, t))
WRAP(mount, int, -1, EPERM, (const char *a, const char *b, const char *t, unsigned long f, const void *d), (a, b, t, f, d))
WRAP(umount2, int, -1, EBUSY, (const char *a, int f), (a, f))
WRAP(setpgid, int, -1, EPERM, (pid_t a, pid_t b), (a, b))
WRAP(setsid, pid_t, -1, EPERM, (void), ())
WRAP(setrlimit, int, -1, EPERM, (__rlimit_resource_t r, const struct rlimit *l), (r, l))
WRAP(signalfd, int, -1, EMFILE, (int fd, const sigset_t *s, int f), (fd, s, f))
WRAP(getpwuid, struct passwd *, NULL, EIO, (uid_t u), (u))
WRAP(getpwnam, struct passwd *, NULL, EIO, (const char *n), (n))
WRAP(getgrnam, struct group *, NULL, EIO, (const char *n), (n))

/* ---- sockets ---- */
WRAP(socket, int, -1, EMFILE, (int d, int t, int p), (d, t, p))
WRAP(socketpair, int, -1, EMFILE, (int d, int t, int p, int f[2]), (d, t, p, f))
WRAP(bind, int, -1, EADDRINUSE, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(listen, int, -1, EADDRINUSE, (int fd, int n), (fd, n))
WRAP(accept4, int, -1, EMFILE, (int fd, struct sockaddr *a, socklen_t *n, int f), (fd, a, n, f))
WRAP(connect, int, -1, ECONNREFUSED, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(send, ssize_t, -1, ECONNRESET, (int fd, const void *p, size_t n, int f), (fd, p, n, f))
WRAP(recv, ssize_t, -1, ECONNRESET, (int fd, void *p, size_t n, int f), (fd, p, n, f))
WRAP(sendmsg, ssize_t, -1, ECONNRESET, (int fd, const struct msghdr *m, int f), (fd, m, f))
WRAP(sendto, ssize_t, -1, ECONNRESET, (int fd, const void *p, size_t n, int f, const struct sockaddr *a, socklen_t l), (fd, p, n, f, a, l))
WRAP(recvmsg, ssize_t, -1, ECONNRESET, (int fd, struct msghdr *m, int f), (fd, m, f))
WRAP(getsockopt, int, -1, EIO, (int fd, int l, int o, void *p, socklen_t *n), (fd, l, o, p, n))
WRAP(setsockopt, int, -1, EIO, (int fd, int l, int o, const void *p, socklen_t n), (fd, l, o, p, n))
WRAP(getaddrinfo, int, EAI_MEMORY, ENOMEM, (const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r), (n, s, h, r))
WRAP(if_nametoindex, unsigned, 0, ENODEV, (const char *n), (n))
WRAP(ev_default_loop, struct ev_loop *, NULL, EMFILE, (unsigned f), (f))
WRAP(ev_loop_new, struct ev_loop *, NULL, EMFILE, (unsigned f), (f))

/* ---- SQLite ---- */
WRAP(sqlite3_open_v2, int, SQLITE_CANTOPEN, EMFILE, (const char *a, sqlite3 **d, int f, const char *v), (a, d, f, v))
WRAP(sqlite3_prepare_v3, int, SQLITE_IOERR, EIO, (sqlite3 *d, const char *q, int n, unsigned f, sqlite3_stmt **s, const char **t), (d, q, n, f, s, t))
WRAP(sqlite3_step, int, SQLITE_IOERR, EIO, (sqlite3_stmt *s), (s))
WRAP(sqlite3_exec, int, SQLITE_FULL, ENOSPC, (sqlite3 *d, const char *q, int (*f)(void *, int, char **, char **), void *c, char **e), (d, q, f, c, e))
WRAP(sqlite3_bind_int64, int, SQLITE_NOMEM, ENOMEM, (sqlite3_stmt *s, int i, sqlite3_int64 n), (s, i, n))
WRAP(sqlite3_bind_text, int, SQLITE_NOMEM, ENOMEM, (sqlite3_stmt *s, int i, const char *t, int n, void (*f)(void *)), (s, i, t, n, f))
WRAP(sqlite3_bind_null, int, SQLITE_NOMEM, ENOMEM, (sqlite3_stmt *s, int i), (s, i))
WRAP(sqlite3_file_control, int, SQLITE_IOERR, EIO, (sqlite3 *d, const char *n, int o, void *p), (d, n, o, p))

/* ---- libgit2 ---- */
WRAP(git_libgit2_init, int, -1, ENOMEM, (void), ())
WRAP(git_repository_open_ext, int, -1, EIO, (git_repository **r, const char *a, unsigned f, const char *c), (r, a, f, c))
WRAP(git_repository_odb, int, -1, EIO, (git_odb **o, git_repository *r), (o, r))
WRAP(git_odb_add_disk_alternate, int, -1, EIO, (git_odb *o, const char *a), (o, a))
WRAP(git_odb_read, int, -1, EIO, (git_odb_object **b, git_odb *o, const git_oid *i), (b, o, i))
WRAP(git_odb_read_header, int, -1, EIO, (size_t *n, git_object_t *t, git_odb *o, const git_oid *i), (n, t, o, i))
WRAP(git_commit_lookup, int, -1, EIO, (git_commit **c, git_repository *r, const git_oid *i), (c, r, i))
WRAP(git_commit_lookup_prefix, int, -1, EIO, (git_commit **c, git_repository *r, const git_oid *i, size_t n), (c, r, i, n))
WRAP(git_commit_dup, int, -1, ENOMEM, (git_commit **c, git_commit *s), (c, s))
WRAP(git_commit_parent, int, -1, EIO, (git_commit **c, const git_commit *s, unsigned n), (c, s, n))
WRAP(git_commit_nth_gen_ancestor, int, -1, EIO, (git_commit **c, const git_commit *s, unsigned n), (c, s, n))
WRAP(git_commit_tree, int, -1, EIO, (git_tree **t, const git_commit *c), (t, c))
WRAP(git_tree_lookup, int, -1, EIO, (git_tree **t, git_repository *r, const git_oid *i), (t, r, i))
WRAP(git_tree_entry_bypath, int, -1, EIO, (git_tree_entry **e, const git_tree *t, const char *a), (e, t, a))
WRAP(git_reference_name_to_id, int, -1, EIO, (git_oid *i, git_repository *r, const char *n), (i, r, n))
WRAP(git_reference_foreach_glob, int, -1, EIO, (git_repository *r, const char *g, git_reference_foreach_name_cb f, void *c), (r, g, f, c))
WRAP(git_graph_descendant_of, int, -1, EIO, (git_repository *r, const git_oid *a, const git_oid *b), (r, a, b))
WRAP(git_note_create, int, -1, ENOSPC, (git_oid *i, git_repository *r, const char *n, const git_signature *a, const git_signature *c, const git_oid *o, const char *t, int f), (i, r, n, a, c, o, t, f))
WRAP(git_note_read, int, -1, EIO, (git_note **n, git_repository *r, const char *f, const git_oid *i), (n, r, f, i))
WRAP(git_signature_now, int, -1, ENOMEM, (git_signature **s, const char *n, const char *e), (s, n, e))
WRAP(git_config_open_ondisk, int, -1, EIO, (git_config **c, const char *a), (c, a))
WRAP(git_config_get_entry, int, -1, EIO, (git_config_entry **e, const git_config *c, const char *n), (e, c, n))
WRAP(git_oid_fromstr, int, -1, EIO, (git_oid *i, const char *t), (i, t))
WRAP(git_oid_fromstrn, int, -1, EIO, (git_oid *i, const char *t, size_t n), (i, t, n))
WRAP(git_odb_hash, int, -1, EIO, (git_oid *i, const void *p, size_t n, git_object_t t), (i, p, n, t))
WRAP(git_reference_name_is_valid, int, -1, ENOMEM, (int *v, const char *n), (v, n))
WRAP(git_commit_summary, const char *, NULL, ENOMEM, (git_commit *c), (c))

/* ---- libsodium ---- */
WRAP(sodium_init, int, -1, EIO, (void), ())
WRAP(crypto_generichash, int, -1, EIO, (unsigned char *o, size_t n, const unsigned char *p, unsigned long long m, const unsigned char *k, size_t l), (o, n, p, m, k, l))
WRAP(crypto_generichash_init, int, -1, EIO, (crypto_generichash_state *s, const unsigned char *k, size_t l, size_t n), (s, k, l, n))
WRAP(crypto_generichash_update, int, -1, EIO, (crypto_generichash_state *s, const unsigned char *p, unsigned long long m), (s, p, m))
WRAP(crypto_generichash_final, int, -1, EIO, (crypto_generichash_state *s, unsigned char *o, size_t n), (s, o, n))
WRAP(sodium_hex2bin, int, -1, EIO, (unsigned char *o, size_t n, const char *h, size_t m, const char *i, size_t *l, const char **e), (o, n, h, m, i, l, e))
WRAP(sodium_base642bin, int, -1, EIO, (unsigned char *o, size_t n, const char *t, size_t m, const char *i, size_t *l, const char **e, int v), (o, n, t, m, i, l, e, v))

/* ---- libyaml ---- */
WRAP(yaml_parser_initialize, int, 0, ENOMEM, (yaml_parser_t *p), (p))

/* ---- libmicrohttpd ---- */
WRAP(MHD_create_response_from_buffer, struct MHD_Response *, NULL, ENOMEM, (size_t n, void *p, enum MHD_ResponseMemoryMode m), (n, p, m))
WRAP(MHD_create_response_from_callback, struct MHD_Response *, NULL, ENOMEM, (uint64_t n, size_t b, MHD_ContentReaderCallback f, void *c, MHD_ContentReaderFreeCallback g), (n, b, f, c, g))
WRAP(MHD_add_response_header, enum MHD_Result, MHD_NO, ENOMEM, (struct MHD_Response *r, const char *h, const char *t), (r, h, t))
WRAP(MHD_queue_response, enum MHD_Result, MHD_NO, ENOMEM, (struct MHD_Connection *c, unsigned s, struct MHD_Response *r), (c, s, r))
WRAP(MHD_run, enum MHD_Result, MHD_NO, EIO, (struct MHD_Daemon *d), (d))

/* ---- libmnl and libnftables ---- */
WRAP(mnl_socket_open2, struct mnl_socket *, NULL, EMFILE, (int b, int f), (b, f))
WRAP(mnl_socket_bind, int, -1, ENOMEM, (struct mnl_socket *n, unsigned g, pid_t p), (n, g, p))
WRAP(mnl_socket_sendto, ssize_t, -1, ENOBUFS, (const struct mnl_socket *n, const void *p, size_t l), (n, p, l))
WRAP(mnl_socket_recvfrom, ssize_t, -1, ENOBUFS, (const struct mnl_socket *n, void *p, size_t l), (n, p, l))
WRAP(mnl_cb_run, int, -1, ENOMEM, (const void *p, size_t n, unsigned s, unsigned i, mnl_cb_t f, void *c), (p, n, s, i, f, c))
WRAP(nft_ctx_new, struct nft_ctx *, NULL, ENOMEM, (uint32_t f), (f))
WRAP(nft_ctx_buffer_output, int, -1, ENOMEM, (struct nft_ctx *c), (c))
WRAP(nft_ctx_buffer_error, int, -1, ENOMEM, (struct nft_ctx *c), (c))
WRAP(nft_run_cmd_from_buffer, int, -1, ENOBUFS, (struct nft_ctx *c, const char *t), (c, t))

/* ---- libcurl ---- */
WRAP(curl_global_init, CURLcode, CURLE_FAILED_INIT, ENOMEM, (long f), (f))
WRAP(curl_easy_init, CURL *, NULL, ENOMEM, (void), ())
WRAP(curl_easy_perform, CURLcode, CURLE_RECV_ERROR, ECONNRESET, (CURL *c), (c))
WRAP(curl_url, CURLU *, NULL, ENOMEM, (void), ())
WRAP(curl_url_get, CURLUcode, CURLUE_OUT_OF_MEMORY, ENOMEM, (const CURLU *u, CURLUPart w, char **p, unsigned f), (u, w, p, f))
WRAP(curl_url_set, CURLUcode, CURLUE_OUT_OF_MEMORY, ENOMEM, (CURLU *u, CURLUPart w, const char *p, unsigned f), (u, w, p, f))
/* clang-format on */

/* ---- those with a tail of their own ---- */

/* Arguments behind the last named one, whatever they are: none is a floating point number, so
 * each is a word. Words that nobody passed are read and passed on, too. */
#define WRAP_MORE(name, type, failed, code, params, last, words, ...)                           \
    type __real_##name params;                                                                  \
    __attribute__((no_sanitize("address", "undefined"))) type __wrap_##name params              \
    {                                                                                           \
        va_list args;                                                                           \
        long more[16] = {0};                                                                    \
        va_start(args, last);                                                                   \
        for (int word = 0; word < words; word++)                                                \
            more[word] = va_arg(args, long);                                                    \
        va_end(args);                                                                           \
        if (torture_fails(#name, __builtin_frame_address(0))) {                                 \
            errno = code;                                                                       \
            return failed;                                                                      \
        }                                                                                       \
        return __real_##name(__VA_ARGS__, more[0], more[1], more[2], more[3], more[4], more[5], \
                             more[6], more[7], more[8], more[9], more[10], more[11], more[12],  \
                             more[13], more[14], more[15]);                                     \
    }

/* clang-format off */
#undef curl_easy_setopt
#undef curl_easy_getinfo
WRAP_MORE(ioctl, int, -1, EIO, (int fd, unsigned long n, ...), n, 1, fd, n)
WRAP_MORE(prctl, int, -1, EINVAL, (int o, ...), o, 4, o)
WRAP_MORE(syscall, long, -1, ENOSYS, (long n, ...), n, 6, n)
WRAP_MORE(curl_easy_setopt, CURLcode, CURLE_OUT_OF_MEMORY, ENOMEM, (CURL *c, CURLoption o, ...), o, 1, c, o)
WRAP_MORE(curl_easy_getinfo, CURLcode, CURLE_BAD_FUNCTION_ARGUMENT, EINVAL, (CURL *c, CURLINFO i, ...), i, 1, c, i)
WRAP_MORE(sqlite3_db_config, int, SQLITE_ERROR, EIO, (sqlite3 *d, int o, ...), o, 3, d, o)
WRAP_MORE(MHD_start_daemon, struct MHD_Daemon *, NULL, EADDRINUSE, (unsigned f, uint16_t p, MHD_AcceptPolicyCallback a, void *x, MHD_AccessHandlerCallback h, void *y, ...), y, 16, f, p, a, x, h, y)
/* clang-format on */

/* As SQLite does: a text that cannot be bound is freed at once. */
int __real_sqlite3_bind_text64(sqlite3_stmt *s, int i, const char *t, sqlite3_uint64 n,
                               void (*f)(void *), unsigned char e);
int __wrap_sqlite3_bind_text64(sqlite3_stmt *s, int i, const char *t, sqlite3_uint64 n,
                               void (*f)(void *), unsigned char e)
{
    if (!torture_fails("sqlite3_bind_text64", __builtin_frame_address(0)))
        return __real_sqlite3_bind_text64(s, i, t, n, f, e);
    if (f != SQLITE_STATIC && f != SQLITE_TRANSIENT)
        f((void *)(uintptr_t)t);
    return SQLITE_NOMEM;
}

int __wrap_vasprintf(char **text, const char *format, va_list args);
int __real_vasprintf(char **text, const char *format, va_list args);
int __wrap_vasprintf(char **text, const char *format, va_list args)
{
    if (!torture_fails("vasprintf", __builtin_frame_address(0)))
        return __real_vasprintf(text, format, args);
    errno = ENOMEM;
    return -1;
}

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list args;
    if (torture_fails("asprintf", __builtin_frame_address(0))) {
        errno = ENOMEM;
        return -1;
    }
    va_start(args, format);
    int len = __real_vasprintf(text, format, args);
    va_end(args);
    return len;
}

/* What ferror() asks of glibc. */
static void stream_fail(FILE *file)
{
    file->_flags |= 0x20;
    errno = EIO;
}

size_t __real_fread(void *p, size_t size, size_t count, FILE *file);
size_t __wrap_fread(void *p, size_t size, size_t count, FILE *file)
{
    if (!torture_fails("fread", __builtin_frame_address(0)))
        return __real_fread(p, size, count, file);
    stream_fail(file);
    return 0;
}

char *__real_fgets(char *p, int size, FILE *file);
char *__wrap_fgets(char *p, int size, FILE *file)
{
    if (!torture_fails("fgets", __builtin_frame_address(0)))
        return __real_fgets(p, size, file);
    stream_fail(file);
    return NULL;
}

int __wrap___isoc99_fscanf(FILE *file, const char *format, ...)
    __attribute__((format(scanf, 2, 3)));
int __wrap___isoc99_fscanf(FILE *file, const char *format, ...)
{
    va_list args;
    if (torture_fails("fscanf", __builtin_frame_address(0))) {
        stream_fail(file);
        return EOF;
    }
    va_start(args, format);
    int count = vfscanf(file, format, args);
    va_end(args);
    return count;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (torture_fails("open", __builtin_frame_address(0))) {
        errno = EMFILE;
        return -1;
    }
    return __real_open(path, flags, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (torture_fails("openat", __builtin_frame_address(0))) {
        errno = EMFILE;
        return -1;
    }
    return __real_openat(dir, path, flags, mode);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    long value = va_arg(args, long);
    va_end(args);
    if (torture_fails("fcntl", __builtin_frame_address(0))) {
        errno = EIO;
        return -1;
    }
    return __real_fcntl(fd, command, value);
}

int __wrap_dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_dprintf(int fd, const char *format, ...)
{
    va_list args;
    if (torture_fails("dprintf", __builtin_frame_address(0))) {
        errno = ENOSPC;
        return -1;
    }
    va_start(args, format);
    int len = vdprintf(fd, format, args);
    va_end(args);
    return len;
}

int __wrap_execlp(const char *path, const char *first, ...)
{
    char *argv[32] = {(char *)(uintptr_t)first};
    va_list args;
    if (torture_fails("execlp", __builtin_frame_address(0))) {
        errno = ENOENT;
        return -1;
    }
    va_start(args, first);
    for (int i = 1; i < 31 && (argv[i] = va_arg(args, char *)); i++)
        continue;
    va_end(args);
    return execvp(path, argv);
}

int __wrap_execl(const char *path, const char *first, ...)
{
    char *argv[32] = {(char *)(uintptr_t)first};
    va_list args;
    if (torture_fails("execl", __builtin_frame_address(0))) {
        errno = ENOENT;
        return -1;
    }
    va_start(args, first);
    for (int i = 1; i < 31 && (argv[i] = va_arg(args, char *)); i++)
        continue;
    va_end(args);
    return execv(path, argv);
}

/* The descriptor is gone all the same, as on Linux; the error says that writing failed. */
int __real_close(int fd);
int __wrap_close(int fd)
{
    bool fails = torture_fails("close", __builtin_frame_address(0));
    int rc = __real_close(fd);
    if (!fails)
        return rc;
    errno = EIO;
    return -1;
}

int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file)
{
    bool fails = torture_fails("fclose", __builtin_frame_address(0));
    int rc = __real_fclose(file);
    if (!fails)
        return rc;
    errno = ENOSPC;
    return EOF;
}

/* A parser that has no memory says so in the parser, as libyaml does. */
int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
    if (!torture_fails("yaml_parser_parse", __builtin_frame_address(0)))
        return __real_yaml_parser_parse(parser, event);
    memset(event, 0, sizeof(*event));
    parser->error = YAML_MEMORY_ERROR;
    return 0;
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (!torture_fails("poll", __builtin_frame_address(0)))
        return __real_poll(fds, count, timeout_ms);
    usleep(1000); /* one that fails for good is no reason to use the CPU up */
    errno = ENOMEM;
    return -1;
}

/* What fails for good is waited for: plans wait two minutes for their drivers. Time runs ten
 * times as fast for our own objects then. */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = __real_clock_gettime(clock, now);
    if (!torture || torture->mode != TORTURE_LASTING || clock != CLOCK_MONOTONIC)
        return rc;
    int64_t ns = ((int64_t)now->tv_sec * 1000000000 + now->tv_nsec) % 100000000000000000 * 10;
    *now = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return rc;
}

/* ---- what libraries allocate -------------------------------------------------------- */

static sqlite3_mem_methods sqlite_own;

static void *sqlite_malloc(int size)
{
    return torture_fails("sqlite alloc", __builtin_frame_address(0)) ? NULL
                                                                     : sqlite_own.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
    return torture_fails("sqlite realloc", __builtin_frame_address(0))
               ? NULL
               : sqlite_own.xRealloc(memory, size);
}

static void *jansson_malloc(size_t size)
{
    return torture_fails("jansson alloc", __builtin_frame_address(0)) ? NULL : __real_malloc(size);
}

void torture_libraries(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own);
    sqlite3_mem_methods methods = sqlite_own;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    json_set_alloc_funcs(jansson_malloc, free);
}

/* libgit2 keeps its own memory: what it loses when that runs out is not ours to mend. The calls to
 * it fail, above. */
void __wrap_bound_install(void);
void __wrap_bound_install(void)
{
}
