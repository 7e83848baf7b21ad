// The operations of Argonaut's `bench` (userland/programs/src/bin/bench) on Linux: one static program that is Linux's init,
// prints a row `BENCH name value unit` for each and powers off. Names, units, counts and methods are the same there.
// Time is CLOCK_MONOTONIC, in nanoseconds per operation.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ncpu;
static long scale = 1;
static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void pin(int cpu) {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(cpu, &s);
    sched_setaffinity(0, sizeof s, &s);
}
// The best of many short rounds, so that timer ticks and deferred work stay out of the figure:
// a round times n / 4 iterations of per operations each.
#define ROUNDS 20
static void row(const char *name, double v, const char *unit) {
    printf("BENCH %-28s %12.1f %s\n", name, v, unit);
    fflush(stdout);
}
#define BEST(name, n, body) BEST_PER(name, n, 1, body)
#define BEST_PER(name, n, per, body) do { double best = 1e18; \
    for (int r_ = 0; r_ < ROUNDS; r_++) { long n_ = (n) / 4 + 1; uint64_t t0_ = now(); \
        for (long i_ = 0; i_ < n_; i_++) { body; } \
        double d_ = (double)(now() - t0_) / n_ / (per); if (d_ < best) best = d_; } \
    row(name, best, "ns/op"); } while (0)

static void on_sig(int s) { (void)s; }
static void *thread_nop(void *a) { return a; }
static _Atomic int stop;
static void *spinner(void *a) {
    pin((int)(long)a);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) { __asm__ volatile("pause"); }
    return 0;
}
static void fork_wait(void) {
    pid_t p = fork();
    if (p == 0) _exit(0);
    waitpid(p, 0, 0);
}
static void pingpong(const char *name, int c0, int c1, long n) {
    int a[2], b[2];
    if (pipe(a) || pipe(b)) exit(1);
    pid_t p = fork();
    char ch = 0;
    if (p == 0) {
        pin(c1);
        while (read(a[0], &ch, 1) == 1 && ch != 'q') if (write(b[1], &ch, 1) != 1) break;
        _exit(0);
    }
    pin(c0);
    BEST(name, n, { ch = 'x'; if (write(a[1], &ch, 1) != 1 || read(b[0], &ch, 1) != 1) exit(1); });
    ch = 'q';
    if (write(a[1], &ch, 1)) {}
    waitpid(p, 0, 0);
    close(a[0]); close(a[1]); close(b[0]); close(b[1]);
}
static void fault_64(void) {
    char *m = mmap(0, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(m, 64 * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < 64; i++) m[i * 4096] = 1;
    munmap(m, 64 * 4096);
}
static void create_join(void) {
    pthread_t t;
    pthread_create(&t, 0, thread_nop, 0);
    pthread_join(t, 0);
}
// N processes, spread over the CPUs, that all do the same; per counts of it are one operation.
static void parallel(const char *name, const char *unit, int n, long ops, int per, void (*op)(void)) {
    pid_t ps[64];
    uint64_t t0 = now();
    for (int i = 0; i < n; i++) {
        ps[i] = fork();
        if (ps[i] == 0) { pin(i % ncpu); for (long k = 0; k < ops; k++) op(); _exit(0); }
    }
    for (int i = 0; i < n; i++) waitpid(ps[i], 0, 0);
    double dt = (double)(now() - t0);
    char nm[64];
    snprintf(nm, sizeof nm, "%s%d", name, n);
    row(nm, (double)n * ops * per * 1e9 / dt, unit);
}
extern char **environ;
int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "nop")) return 0;
    if (getpid() == 1) {
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, 0);
    }
    if (getenv("KB_SCALE")) scale = atol(getenv("KB_SCALE"));
    ncpu = sysconf(_SC_NPROCESSORS_ONLN);
    printf("BENCH-START cpus %d\n", ncpu);
    pin(0);
    BEST("syscall_null", 20000 / scale, syscall(SYS_getppid));
    signal(SIGUSR1, on_sig);
    pid_t self = getpid();
    BEST("signal_self", 3000 / scale, kill(self, SIGUSR1));
    // fork+exit+wait by resident size
    BEST("fork_exit_wait", 300 / scale, fork_wait());
    size_t sizes[] = {1 << 20, 16 << 20};
    for (int k = 0; k < 2; k++) {
        char *m = mmap(0, sizes[k], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(m, sizes[k], MADV_NOHUGEPAGE);
        memset(m, 1, sizes[k]);
        char nm[64];
        snprintf(nm, sizeof nm, "fork_exit_wait_%zuMiB", sizes[k] >> 20);
        BEST(nm, (k ? 40 : 150) / scale + 1, fork_wait());
        munmap(m, sizes[k]);
    }
    // fork then child writes 64 of 256 pages (copy-on-write)
    {
        char *m = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(m, 1 << 20, MADV_NOHUGEPAGE);
        memset(m, 1, 1 << 20);
        BEST("fork_cow64", 100 / scale + 1, {
            pid_t p = fork();
            if (p == 0) { for (int i = 0; i < 64; i++) m[i * 4096] = 2; _exit(0); }
            waitpid(p, 0, 0);
        });
        munmap(m, 1 << 20);
    }
    // spawn a new program image and wait for it
    {
        char *av[] = {"/init", "nop", 0};
        BEST("spawn_exit_wait", 150 / scale + 1, {
            pid_t p;
            if (posix_spawn(&p, "/init", 0, 0, av, environ)) exit(2);
            waitpid(p, 0, 0);
        });
    }
    BEST("thread_create_join", 400 / scale + 1, create_join());
    // yield between two processes on one cpu
    {
        pid_t p = fork();
        if (p == 0) { for (;;) sched_yield(); }
        BEST("yield_switch_pair", 4000 / scale, sched_yield());
        kill(p, SIGKILL);
        waitpid(p, 0, 0);
    }
    pingpong("pipe_pingpong_same_cpu", 0, 0, 2000 / scale + 1);
    if (ncpu > 1) pingpong("pipe_pingpong_cross_cpu", 0, 1, 1000 / scale + 1);
    pin(0);
    // pipe bandwidth, 64 KiB writes
    {
        int a[2];
        if (pipe(a)) exit(1);
        static char buf[65536];
        long total = 64l * 1024 * 1024 / scale;
        pid_t p = fork();
        if (p == 0) { close(a[0]); pin(ncpu > 1 ? 1 : 0); for (long d = 0; d < total; d += sizeof buf) if (write(a[1], buf, sizeof buf) < 0) break; _exit(0); }
        close(a[1]);
        uint64_t t0 = now();
        long got = 0, r;
        while ((r = read(a[0], buf, sizeof buf)) > 0) got += r;
        row("pipe_bandwidth", (double)got / 1048576.0 * 1e9 / (now() - t0), "MiB/s");
        waitpid(p, 0, 0);
        close(a[0]);
    }
    // anonymous page faults: touch 1024 fresh pages
    BEST_PER("page_fault_anon", 20 / scale + 1, 1024, {
        char *m = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(m, 4 << 20, MADV_NOHUGEPAGE);
        for (int i = 0; i < 1024; i++) m[i * 4096] = 1;
        munmap(m, 4 << 20);
    });
    BEST("map_touch_unmap", 1500 / scale + 1, {
        char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *m = 1;
        munmap(m, 4096);
    });
    // shootdowns: k spinner threads on other cpus share the address space
    for (int k = 0; k < ncpu && k <= 7; k++) {
        pthread_t t[8];
        atomic_store(&stop, 0);
        for (int i = 0; i < k; i++) pthread_create(&t[i], 0, spinner, (void *)(long)(i + 1));
        usleep(20000);
        char *m = mmap(0, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(m, 64 * 4096, MADV_NOHUGEPAGE);
        memset(m, 1, 64 * 4096);
        char nm[64];
        snprintf(nm, sizeof nm, "protect_page_%dremote", k);
        int w = 0;
        BEST(nm, 1000 / scale + 1, { mprotect(m, 4096, w ? PROT_READ | PROT_WRITE : PROT_READ); w = !w; });
        mprotect(m, 4096, PROT_READ | PROT_WRITE);
        snprintf(nm, sizeof nm, "unmap_page_%dremote", k);
        BEST(nm, 500 / scale + 1, {
            char *q = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            *q = 1;
            munmap(q, 4096);
        });
        snprintf(nm, sizeof nm, "unmap_64pages_%dremote", k);
        BEST(nm, 60 / scale + 1, fault_64());
        munmap(m, 64 * 4096);
        atomic_store(&stop, 1);
        for (int i = 0; i < k; i++) pthread_join(t[i], 0);
    }
    for (int n = 1; n <= 2 * ncpu && n <= 64; n *= 2) {
        parallel("fork_parallel_", "forks/s", n, 200 / scale + 1, 1, fork_wait);
        parallel("fault_parallel_", "faults/s", n, 100 / scale + 1, 64, fault_64);
        parallel("thread_parallel_", "threads/s", n, 200 / scale + 1, 1, create_join);
    }
    printf("BENCH-END\n");
    fflush(stdout);
    if (getpid() == 1) reboot(RB_POWER_OFF);
    return 0;
}
