/* Thread-local variables: each thread has its own, with their initial values. */
#include "argonaut.h"

enum { THREADS = 4, STACK_LEN = 16 * 1024, ROUNDS = 1000 };

static __thread int number = 42;
static __thread char text[5] = "tls!";
_Thread_local uint64_t zero; /* not static: another file could see it */
static __thread struct {
    _Alignas(64) char bytes[64];
} aligned;
static __thread int* own_number;

static void check_initial_values(void) {
    assert(number == 42 && zero == 0 && strcmp(text, "tls!") == 0);
    assert((uintptr_t) &aligned % 64 == 0 && aligned.bytes[63] == 0);
    own_number = &number;
}

static void* count(void* argument) {
    check_initial_values();
    int part = (int) (uintptr_t) argument;
    number = part;
    for (int i = 0; i < ROUNDS; i++) {
        zero += (uint64_t) number;
        (*own_number)++;
        if (i % 100 == 0) {
            sys_yield(); /* others run on this CPU */
        }
    }
    assert(number == part + ROUNDS && own_number == &number);
    return (void*) zero;
}

static void check_threads(void) {
    pid_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        char* stack = (char*) malloc(STACK_LEN);
        memset(stack, 0x5a, STACK_LEN); /* what was there before is no initial value */
        /* Where a stack ends need not be aligned. */
        threads[i] = sys_create_thread(count, (void*) (uintptr_t) i, stack + STACK_LEN - i);
        assert(threads[i] > 0);
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        void* sum;
        assert(sys_join_thread_wait(threads[i], &sum) == 0);
        assert((uint64_t) sum == ROUNDS * i + (uint64_t) ROUNDS * (ROUNDS - 1) / 2);
    }
}

static void check_fork(void) {
    number = 7;
    pid_t child = sys_fork();
    if (child == 0) {
        assert(number == 7 && own_number == &number);
        number = 8;
        check_threads(); /* with the initial values, not the parent's */
        sys_exit(number);
    }
    int status;
    assert(sys_waitpid(child, &status, 0) == child && status == 8 && number == 7);
}

/* Returns nothing, which is status 0, whatever the last call has left in a register. */
void process_main(void) {
    check_initial_values();
    check_threads();
    assert(number == 42 && zero == 0);
    check_fork();
    printf("%d threads, %g rounds each: nobody has seen another's\n", THREADS, (double) ROUNDS);
}
