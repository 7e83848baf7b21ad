// A QEMU plugin: which cache lines of RAM do several CPUs write, and how often.
//
// CPUs that write only lines of their own do not slow each other down, however many there are. A line is shared if every CPU
// writes to it and none does MAIN percent of the writes; a write is a store or an atomic operation. At the end it prints
//   SHARED N                     for all writes to shared lines
//   INTERRUPTS N                 for interrupts to other CPUs, which it can see in xAPIC mode only (apic=xapic)
//   LINE ADDRESS writes N pc P   for the most written lines; P is an instruction that wrote there
// QEMU tells the CPUs apart only while each has a thread of its own (-accel tcg,thread=multi, and no -icount).
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// What is used of QEMU's interface for plugins, whose header no package of Debian's has.
typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum { NO_REGISTERS = 0, WRITES = 2 };
#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 2;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *), int, int, void *);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *);
void qemu_plugin_outs(const char *);

int qemu_plugin_num_vcpus(void);

enum { LINE_SIZE = 64, CPUS = 32, MAIN = 60, SHOWN = 12 };
#define LINES ((1ull << 30) / LINE_SIZE) // 1 GiB of RAM: the default of run-smp.sh
// Writing there sends an interrupt: the lower half of the interrupt command register.
#define INTERRUPT_COMMAND 0xfee00300

// A row a line: each CPU counts in a place of its own, so that nothing has to be atomic.
static uint32_t (*writes)[CPUS];
// The last instruction that wrote to each line. Any will do.
static uint64_t *pcs;
static atomic_bool is_counting;
static atomic_ulong interrupts;

static void on_write(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *pc) {
    if (!is_counting) return;
    struct qemu_plugin_hwaddr *physical = qemu_plugin_get_hwaddr(info, address);
    if (!physical) return;
    uint64_t target = qemu_plugin_hwaddr_phys_addr(physical);
    if (qemu_plugin_hwaddr_is_io(physical)) {
        if (target == INTERRUPT_COMMAND) interrupts++;
        return;
    }
    uint64_t line = target / LINE_SIZE;
    if (line >= LINES || cpu >= CPUS) return;
    writes[line][cpu]++;
    pcs[line] = (uint64_t)pc;
}

// Counts from the first instruction of a user program on, without the firmware and the boot. Programs are in the upper half of
// the addresses, the kernel's code is in the lower one.
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    if ((int64_t)qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0)) < 0) is_counting = true;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        void *pc = (void *)qemu_plugin_insn_vaddr(instruction);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_write, NO_REGISTERS, WRITES, pc);
    }
}

struct shared {
    uint64_t line, writes;
};

// Whether the line is shared, and how often it was written.
static bool is_shared(uint64_t line, struct shared *found) {
    uint64_t all = 0, most = 0;
    int writers = 0;
    for (int cpu = 0; cpu < CPUS; cpu++) {
        uint32_t count = writes[line][cpu];
        all += count;
        writers += count != 0;
        if (count > most) most = count;
    }
    *found = (struct shared){line, all};
    return writers == qemu_plugin_num_vcpus() && most * 100 < all * MAIN;
}

static void at_exit(qemu_plugin_id_t id, void *unused) {
    // The most written ones, in descending order.
    struct shared top[SHOWN + 1] = {{0}}, found;
    uint64_t all = 0;
    for (uint64_t line = 0; line < LINES; line++) {
        if (!pcs[line] || !is_shared(line, &found)) continue;
        all += found.writes;
        int place = SHOWN;
        for (; place > 0 && top[place - 1].writes < found.writes; place--) top[place] = top[place - 1];
        top[place] = found;
    }
    char text[128];
    snprintf(text, sizeof text, "SHARED %" PRIu64 "\nINTERRUPTS %lu\n", all, interrupts);
    qemu_plugin_outs(text);
    for (int i = 0; i < SHOWN && top[i].writes; i++) {
        snprintf(text, sizeof text, "LINE %#" PRIx64 " writes %" PRIu64 " pc %#" PRIx64 "\n",
                 top[i].line * LINE_SIZE, top[i].writes, pcs[top[i].line]);
        qemu_plugin_outs(text);
    }
}

static void *reserve(size_t bytes) {
    return mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    writes = reserve(LINES * sizeof *writes);
    pcs = reserve(LINES * sizeof *pcs);
    if (writes == MAP_FAILED || pcs == MAP_FAILED) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, at_exit, 0);
    return 0;
}
