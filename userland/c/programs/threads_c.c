/* Threads in C: each adds up its part of the numbers from 1 to 1000000 and returns the sum; the stacks come from malloc. */
#include "argonaut.h"

enum { THREADS = 4, STACK_LEN = 16 * 1024 };

static const uint64_t LAST = 1000000;

static void* sum_part(void* argument) {
    uintptr_t part = (uintptr_t) argument;
    uint64_t sum = 0;
    for (uint64_t number = part + 1; number <= LAST; number += THREADS) {
        sum += number;
    }
    /* Where to return to has been put on the stack by sys_create_thread (exercise KERN-10G). */
    return (void*) sum;
}

/* The thread's value, asked for again and again. */
static uint64_t poll_join(pid_t thread) {
    void* value;
    while ((value = sys_join_thread(thread)) == (void*) -1) {
        sys_yield();
    }
    return (uint64_t) value;
}

static uint64_t wait_join(pid_t thread) {
    void* value;
    int error = sys_join_thread_wait(thread, &value);
    assert(error == 0);
    return (uint64_t) value;
}

int process_main(void) {
    pid_t threads[THREADS];
    char* stacks[THREADS];
    for (int i = 0; i < THREADS; i++) {
        stacks[i] = (char*) malloc(STACK_LEN);
        assert(stacks[i] != NULL);
        threads[i] = sys_create_thread(sum_part, (void*) (uintptr_t) i, stacks[i] + STACK_LEN);
        assert(threads[i] > 0);
    }
    uint64_t sum = 0;
    for (int i = 0; i < THREADS; i++) {
        uint64_t part = i % 2 == 0 ? poll_join(threads[i]) : wait_join(threads[i]);
        printf("thread %d has found %lu\n", threads[i], part);
        sum += part;
        assert(sys_join_thread(threads[i]) == (void*) -1); /* once only */
        free(stacks[i]);
    }
    printf("together %lu\n", sum);
    assert(sum == LAST * (LAST + 1) / 2);
    return 0;
}
