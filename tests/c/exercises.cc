/* What programs of the exercises use, with nothing changed but the include line: as C++. Runs to its end with status 0. */
#include "argonaut.h"

extern uint8_t end[];

uint8_t* heap_top;

struct Counter {
    int value;
    Counter() : value(sys_getpid() > 0 ? 41 : 0) {
    }
};

static Counter counter;

const char* messages[] = {"one message\n", "another message\n"};

void process_main() {
    pid_t p = sys_getpid();
    srand(p);
    heap_top = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(end), PAGESIZE));
    uintptr_t stack_bottom = round_down(rdrsp() - 1, PAGESIZE);
    assert(stack_bottom % PAGESIZE == 0 && min(1, 2) == 1 && max(1, 2) == 2);
    for (int page = 0; page < 4; page++) {
        if (sys_page_alloc(heap_top) < 0) {
            sys_panic("no page");
        }
        *heap_top = p;
        heap_top += PAGESIZE;
    }
    const char* message = messages[rand(0, arraysize(messages) - 1)];
    console_printf(0x0E00, "%zu bytes: %.*s", strlen(message), 3, message);
    console_printf(CPOS(12, 0), 0x0A00, "at a place\n");
    counter.value++;
    printf("the constructor has run: %d\n", counter.value);
    sys_exit();
}
