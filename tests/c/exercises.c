/* What programs of the exercises use, with nothing changed but the include line: as C. Runs to its end with status 0. */
#include "argonaut.h"

#define SLOWDOWN 100

extern uint8_t end[];

uint8_t* heap_top;
uint8_t* stack_bottom;

static void* run(void* argument) {
    return argument;
}

static int signals_seen;

static void handle(int signal) {
    signals_seen += signal == SIGUSR1;
}

static void take_pages(pid_t p) {
    heap_top = ROUNDUP((uint8_t*) end, PAGESIZE);
    stack_bottom = ROUNDDOWN((uint8_t*) read_rsp() - 1, PAGESIZE);
    for (int page = 0; page < 8;) {
        if (rand() % SLOWDOWN < 50) {
            if (heap_top == stack_bottom || sys_page_alloc(heap_top) < 0) {
                panic("no page at %p", (void*) heap_top);
            }
            assert(*heap_top == 0);
            *heap_top = (uint8_t) p;
            if (console[CPOS(24, 0)]) {
                console_printf(CPOS(24, 0), 0, "\n");
            }
            console[CPOS(24, 79)] = (uint16_t) (('0' + p) | 0x0700);
            heap_top += PAGESIZE;
            page++;
        }
        sys_yield();
    }
}

static void print_everywhere(pid_t p) {
    char text[16];
    assert(snprintf(text, sizeof text, "%s-%03d-%lx", "process", 7, 0xbeefUL) == 16 && text[15] == 0);
    assert(strcmp(text, "process-007-bee") == 0 && strnlen(text, 3) == 3 && strchr(text, '-') == text + 7);
    assert(PTE_P == 1 && PTE_W == 2 && PTE_U == 4 && CROW(CPOS(3, 4)) == 3 && CCOL(CPOS(3, 4)) == 4);
    app_printf(p, "process %d: %.*s\n", p, 4, "tests");
    app_printf(p, "%10s|%-6u|%c\n", "padded", 5U, 'x');
    int place = console_printf(CPOS(10, 70), 0x0e00, "ten %s", "characters");
    assert(place == CPOS(11, 4));
    assert(console[CPOS(10, 70)] == ('t' | 0x0e00));
    log_printf("process %d logs %zu\n@@argonaut exit 9\n", p, sizeof text); /* and does not speak for the kernel */
}

void process_main(void) {
    pid_t p = sys_getpid();
    srand((unsigned) p);
    take_pages(p);
    print_everywhere(p);

    char* block = (char*) calloc(3, 100);
    assert(block != NULL && block[299] == 0 && calloc(SIZE_MAX / 2, 3) == NULL && malloc(SIZE_MAX) == NULL);
    memset(block, 'b', 300);
    block = (char*) realloc(block, 100000);
    assert(block != NULL && block[299] == 'b' && (uintptr_t) block % 16 == 0);
    memmove(block + 1, block, 299);
    free(block);

    assert(sys_signal(handle) == 0 && sys_kill(p, SIGUSR1) == 0 && signals_seen == 1);

    char* stack = (char*) malloc(8192);
    pid_t thread = sys_create_thread(run, &signals_seen, stack + 8192);
    void* value;
    while ((value = sys_join_thread(thread)) == (void*) -1) {
        sys_yield();
    }
    assert(value == &signals_seen);

    pid_t child = sys_fork();
    if (child == 0) {
        sys_exit();
    }
    int status = -1;
    assert(sys_waitpid(child, &status, 0) == child && status == 0);
    assert(sys_spawn("no such program") == -ENOENT && sys_page_alloc((void*) 1) == -EINVAL);
    sys_exit(0);
}
