/* Several processes take memory page by page behind the program's data, in C, until each has its limit or none is left.

   allocator_c [PROCESSES] [LIMIT]: 4 processes, 1000 pages each. A page must be zero when it arrives, and keep what its
   owner has written whatever the others do. */
#include "argonaut.h"

static uint64_t mark(pid_t process, long page) {
    return (uint64_t) process << 32 | (uint64_t) page;
}

static uint64_t* words_of(uint8_t* start, long page) {
    return (uint64_t*) (start + page * PAGESIZE);
}

/* Takes pages, and returns how many. */
static long take_pages(uint8_t* start, long limit, pid_t process) {
    for (long page = 0; page < limit; page++) {
        int error = sys_page_alloc(start + page * PAGESIZE);
        if (error != 0) {
            assert(error == -ENOMEM);
            return page;
        }
        uint64_t* words = words_of(start, page);
        for (size_t i = 0; i < PAGESIZE / sizeof *words; i++) {
            assert(words[i] == 0);
        }
        words[0] = mark(process, page);
        if (rand() % 16 == 0) {
            sys_yield();
        }
    }
    return limit;
}

static void run_worker(long limit) {
    pid_t process = sys_getpid();
    uint8_t* start = ROUNDUP((uint8_t*) end, PAGESIZE);
    srand((unsigned) process);
    long pages = take_pages(start, limit, process);
    for (long page = 0; page < pages; page++) {
        assert(words_of(start, page)[0] == mark(process, page));
    }
    printf("Process %d has %ld pages from %p on, and each is as it left it.\n", process, pages, (void*) start);
    sys_exit(0);
}

int process_main(int argc, char** argv) {
    int processes = argc > 1 ? atoi(argv[1]) : 4;
    long limit = argc > 2 ? atoi(argv[2]) : 1000;
    for (int i = 0; i < processes; i++) {
        pid_t child = sys_fork();
        if (child == 0) {
            run_worker(limit);
        }
        assert(child > 0);
    }
    for (int i = 0; i < processes; i++) {
        int status;
        pid_t child = sys_waitpid(WAIT_ANY, &status, 0);
        assert(child > 0 && status == 0);
    }
    printf("All %d are done.\n", processes);
    return 0;
}
