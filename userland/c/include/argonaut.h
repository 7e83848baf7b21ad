/* What C and C++ programs of Argonaut include: the system calls (argonaut_calls.h), and the library's functions.

   A program has a function process_main, with arguments or without; docs/c-programs.md says how it is built. The value
   that it returns is the exit status, which is 0 if it returns nothing. The file is C11 and C++17. */
#ifndef ARGONAUT_H
#define ARGONAUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define ARGONAUT_STATIC_ASSERT static_assert
#else
#define ARGONAUT_STATIC_ASSERT _Static_assert
#endif

#define ARGONAUT_PRINTS(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

typedef int pid_t;
typedef long ssize_t;
/* A handler may also have the arguments uintptr_t address and unsigned long kind (FAULT_...); it is cast to this type. */
typedef void (*sighandler_t)(int signal);

/* A directory entry, as sys_readdir stores it. */
struct argonaut_dirent {
    uint64_t len;      /* of the file, in bytes */
    uint32_t kind;     /* KIND_... */
    uint32_t name_len; /* without the NUL */
    char name[112];
};

/* The kernel's accounts, as sys_sysinfo stores them: frames of memory are 4 KiB each. */
struct argonaut_sysinfo {
    uint64_t cpus;
    uint64_t uptime_ns;
    uint64_t total_frames;
    uint64_t free_frames;
    uint64_t pooled_frames; /* kept mapped or formatted for their next user */
    uint64_t kernel_frames;
    uint64_t kernel_heap_frames;
    uint64_t kernel_stack_frames;
    uint64_t page_table_frames;
    uint64_t anonymous_frames;
    uint64_t file_frames;
    uint64_t pipe_frames;
    uint64_t other_frames;
    uint64_t heap_bytes;
    uint64_t table_entries;
    uint64_t table_capacity;
    uint64_t shootdowns_sent;
    uint64_t shootdown_targets;
    uint64_t shootdowns_avoided;
};

/* What is mapped at an address, as sys_mapping stores it. */
struct argonaut_mapping {
    uint64_t start;
    uint64_t len;
    uint64_t page_len;   /* of the page that translates the address; 0: none yet */
    uint32_t protection; /* PROT_... */
    uint32_t flags;      /* MAP_... */
    uint32_t page;       /* PAGE_... */
    uint32_t is_page_alloc;
};

/* All registers with which sys_create_thread_registers starts a thread. cs and ss are ignored. */
struct argonaut_registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, cs, rflags, rsp, ss, tls_base;
};

/* ---- Entering the kernel ---------------------------------------------------------------------------------------- */

static inline long argonaut_enter3(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static inline long argonaut_enter0(long number) {
    return argonaut_enter3(number, 0, 0, 0);
}

static inline long argonaut_enter1(long number, long a) {
    return argonaut_enter3(number, a, 0, 0);
}

static inline long argonaut_enter2(long number, long a, long b) {
    return argonaut_enter3(number, a, b, 0);
}

/* No constraint names r10, r8 and r9. */
static inline long argonaut_enter6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    __asm__ volatile("movq %[d], %%r10\n\tmovq %[e], %%r8\n\tmovq %[f], %%r9\n\tsyscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), [d] "rm"(d), [e] "rm"(e), [f] "rm"(f)
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
    return result;
}

static inline long argonaut_enter4(long number, long a, long b, long c, long d) {
    return argonaut_enter6(number, a, b, c, d, 0, 0);
}

static inline long argonaut_enter5(long number, long a, long b, long c, long d, long e) {
    return argonaut_enter6(number, a, b, c, d, e, 0);
}

#include "argonaut_calls.h"

ARGONAUT_STATIC_ASSERT(sizeof(struct argonaut_dirent) == ARGONAUT_DIRENT_LEN, "as in userland/abi");
ARGONAUT_STATIC_ASSERT(sizeof(struct argonaut_sysinfo) == ARGONAUT_SYSINFO_LEN, "as in userland/abi");
ARGONAUT_STATIC_ASSERT(sizeof(struct argonaut_mapping) == ARGONAUT_MAPPING_LEN, "as in userland/abi");
ARGONAUT_STATIC_ASSERT(sizeof(struct argonaut_registers) == ARGONAUT_REGISTERS_LEN, "as in userland/abi");

/* A status that is not said is 0. */
#define sys_exit(...) (sys_exit)(__VA_ARGS__ + 0)

/* Whether a call that returns a pointer has returned an error instead; -(long) pointer is then its number. */
static inline bool argonaut_is_error(const void* pointer) {
    return (uintptr_t) pointer >= (uintptr_t) -4095;
}

/* ---- Calls that are functions of the library --------------------------------------------------------------------- */

pid_t sys_fork(void);
/* The thread ends when function returns, with what it returns. The stack below stack_top is the caller's to provide; on its
   top the thread keeps its thread-local variables (__thread, _Thread_local). */
pid_t sys_create_thread(void* (*function)(void*), void* argument, void* stack_top);
/* What the thread has ended with; (void*) -1 if it has not ended, or is no thread of this process to be joined. */
void* sys_join_thread(pid_t tid);

/* ---- Printing: each call is one write, up to 512 bytes -------------------------------------------------------------- */

int vprintf(const char* format, va_list arguments) ARGONAUT_PRINTS(1, 0);
int vdprintf(int fd, const char* format, va_list arguments) ARGONAUT_PRINTS(2, 0);
int vsnprintf(char* buffer, size_t len, const char* format, va_list arguments) ARGONAUT_PRINTS(3, 0);
void log_vprintf(const char* format, va_list arguments) ARGONAUT_PRINTS(1, 0);
int console_vprintf(int place, int colour, const char* format, va_list arguments) ARGONAUT_PRINTS(3, 0);
void app_vprintf(int program, const char* format, va_list arguments) ARGONAUT_PRINTS(2, 0);

/* The forms that take their arguments one by one. */

ARGONAUT_PRINTS(1, 2) static inline int printf(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vprintf(format, arguments);
    va_end(arguments);
    return len;
}

ARGONAUT_PRINTS(2, 3) static inline int dprintf(int fd, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vdprintf(fd, format, arguments);
    va_end(arguments);
    return len;
}

/* Returns how long the whole text is, also if not all of it fits. */
ARGONAUT_PRINTS(3, 4) static inline int snprintf(char* buffer, size_t len, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int whole_len = vsnprintf(buffer, len, format, arguments);
    va_end(arguments);
    return whole_len;
}

/* A line in the kernel log. */
ARGONAUT_PRINTS(1, 2) static inline void log_printf(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    log_vprintf(format, arguments);
    va_end(arguments);
}

/* Text on the screen from a place on, in a colour such as 0x0700 (the foreground in the low four bits of the upper byte,
   the background in the next three); %C takes another colour for what follows. Returns the place after it. */
ARGONAUT_PRINTS(3, 4) static inline int console_printf(int place, int colour, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int end_place = console_vprintf(place, colour, format, arguments);
    va_end(arguments);
    return end_place;
}

/* Text on the screen after that of the last call, in a colour that the number of a program picks. */
ARGONAUT_PRINTS(2, 3) static inline void app_printf(int program, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    app_vprintf(program, format, arguments);
    va_end(arguments);
}

static inline int puts(const char* line) {
    return printf("%s\n", line);
}

static inline int putchar(int character) {
    printf("%c", character);
    return (unsigned char) character;
}

/* Places of the screen. */
#define CPOS(row, column) ((row) * CONSOLE_COLUMNS + (column))
#define CROW(place) ((place) / CONSOLE_COLUMNS)
#define CCOL(place) ((place) % CONSOLE_COLUMNS)

/* What this program has put on the screen by these functions (what it stores there itself is not shown), and where
   app_printf goes on. */
extern uint16_t console[CONSOLE_ROWS * CONSOLE_COLUMNS];
extern int cursorpos;

static inline void console_clear(void) {
    for (int row = 0; row < CONSOLE_ROWS; row++) {
        console_printf(CPOS(row, 0), 0x0700, "\n");
    }
    cursorpos = 0;
}

/* ---- The program's beginning and end ---------------------------------------------------------------------------------- */

/* Nothing in an object file says whether a function returns a value. So this macro turns the beginning of process_main's
   definition into three: a function of the same type of result, which is never called; a note of whether that is void, for
   the library; and the beginning of process_main. */
#define process_main ARGONAUT_MAIN(__COUNTER__)
#define ARGONAUT_MAIN(number) ARGONAUT_MAIN_NUMBER(number)
#define ARGONAUT_MAIN_NUMBER(number)                                                                                   \
    argonaut_result_of_main(void);                                                                                     \
    static const bool argonaut_main_returns_nothing_##number                                                           \
        __attribute__((used, section(".argonaut.main_returns_nothing"))) = ARGONAUT_MAIN_IS_VOID;                      \
    __typeof__(argonaut_result_of_main()) process_main
#ifdef __cplusplus
#define ARGONAUT_MAIN_IS_VOID argonaut_is_void<__typeof__(argonaut_result_of_main())>
#else
#define ARGONAUT_MAIN_IS_VOID _Generic(&argonaut_result_of_main, void (*)(void): 1, default: 0)
#endif

/* ---- Giving up ------------------------------------------------------------------------------------------------------- */

/* The message goes to the kernel log, and the process ends with SIGABRT. */
__attribute__((noreturn)) ARGONAUT_PRINTS(1, 2) static inline void panic(const char* format, ...) {
    char message[LOG_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    sys_panic(message);
}

__attribute__((noreturn)) static inline void exit(int status) {
    sys_exit(status);
}

__attribute__((noreturn)) static inline void abort(void) {
    sys_panic("abort");
}

/* A failed assertion goes to the kernel log and to the standard error output. */
__attribute__((noreturn)) static inline void assert_fail(const char* file, int line, const char* condition) {
    dprintf(2, "%s:%d: assertion '%s' failed\n", file, line, condition);
    panic("%s:%d: assertion '%s' failed", file, line, condition);
}

#define assert(condition) ((condition) ? (void) 0 : assert_fail(__FILE__, __LINE__, #condition))

/* ---- Memory and strings ---------------------------------------------------------------------------------------------- */

void* malloc(size_t len);
void* calloc(size_t count, size_t len);
void* realloc(void* block, size_t len);
void free(void* block);

void* memcpy(void* to, const void* from, size_t len);
void* memmove(void* to, const void* from, size_t len);
void* memset(void* to, int value, size_t len);
int memcmp(const void* left, const void* right, size_t len);
void* memchr(const void* bytes, int value, size_t len);
size_t strlen(const char* string);
int strcmp(const char* left, const char* right);
int strncmp(const char* left, const char* right, size_t len);
int strncasecmp(const char* left, const char* right, size_t len);
char* strcpy(char* to, const char* from);
char* strncpy(char* to, const char* from, size_t len);
char* strcat(char* to, const char* from);
char* strchr(const char* string, int character);
char* strrchr(const char* string, int character);
char* strstr(const char* string, const char* part);
size_t strspn(const char* string, const char* accepted);
size_t strcspn(const char* string, const char* rejected);

static inline size_t strnlen(const char* string, size_t len) {
    const char* end = (const char*) memchr(string, 0, len);
    return end != NULL ? (size_t) (end - string) : len;
}

#define arraysize(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Numbers and characters ------------------------------------------------------------------------------------------ */

int abs(int number);
int atoi(const char* string);
long strtol(const char* string, char** end, int base);
long long strtoll(const char* string, char** end, int base);
unsigned long strtoul(const char* string, char** end, int base);
unsigned long long strtoull(const char* string, char** end, int base);
void qsort(void* elements, size_t count, size_t len, int (*compare)(const void*, const void*));
int isalpha(int character);
int isdigit(int character);
int isspace(int character);
int isupper(int character);

#define RAND_MAX 0x7fffffff
int rand(void);
void srand(unsigned seed);

/* ---- Pages and registers --------------------------------------------------------------------------------------------- */

/* Bits of a page-table entry. */
#define PTE_P 1UL
#define PTE_W 2UL
#define PTE_U 4UL

#define PAGEOFFMASK ((uintptr_t) PAGESIZE - 1)
#define PAGENUMBER(address) ((uintptr_t) (address) / PAGESIZE)
#define PAGEADDRESS(number) ((uintptr_t) (number) * PAGESIZE)
/* Both have the type of address. */
#define ROUNDDOWN(address, multiple) ((__typeof__(address)) ((uintptr_t) (address) / (multiple) * (multiple)))
#define ROUNDUP(address, multiple)                                                                                     \
    ((__typeof__(address)) ROUNDDOWN((uintptr_t) (address) + (uintptr_t) (multiple) - 1, (uintptr_t) (multiple)))

/* The end of the program's data: what follows is free. */
extern uint8_t end[];

static inline uintptr_t read_rsp(void) {
    uintptr_t value;
    __asm__ volatile("movq %%rsp, %0" : "=r"(value));
    return value;
}

static inline uintptr_t read_rbp(void) {
    uintptr_t value;
    __asm__ volatile("movq %%rbp, %0" : "=r"(value));
    return value;
}

static inline void pause(void) {
    __asm__ volatile("pause");
}

#ifdef __cplusplus
} /* extern "C" */

template <typename T> constexpr bool argonaut_is_void = false;
template <> constexpr bool argonaut_is_void<void> = true;

/* What the C++ programs of the courses use. */

/* A number from first to last. */
static inline int rand(int first, int last) {
    return first + (int) ((unsigned) rand() % ((unsigned) last - (unsigned) first + 1U));
}

/* Text on the screen where the last one ended. */
ARGONAUT_PRINTS(2, 3) static inline void console_printf(int colour, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    cursorpos = console_vprintf(cursorpos, colour, format, arguments);
    va_end(arguments);
}

template <typename T> constexpr T min(T left, T right) {
    return right < left ? right : left;
}

template <typename T> constexpr T max(T left, T right) {
    return left < right ? right : left;
}

template <typename T> constexpr T round_down(T value, unsigned long multiple) {
    return static_cast<T>(value - value % multiple);
}

template <typename T> constexpr T round_up(T value, unsigned long multiple) {
    return round_down(static_cast<T>(value + multiple - 1), multiple);
}

static inline uintptr_t rdrsp() {
    return read_rsp();
}
#endif

#endif
