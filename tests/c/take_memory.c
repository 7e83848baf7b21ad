/* Takes MEGABYTES of memory when it gets a line, gives it back at the next one, and ends at the one after that. */
#include "argonaut.h"

static void wait_for_line(const char* what_is_so) {
    char line[16];
    printf("%s\n", what_is_so);
    assert(sys_read(0, line, sizeof line) > 0);
}

int process_main(int argc, char** argv) {
    assert(argc == 2);
    size_t len = (size_t) atoi(argv[1]) << 20;
    wait_for_line("Nothing is taken.");
    char* memory = (char*) sys_map(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1, 0);
    assert(!argonaut_is_error(memory));
    memset(memory, 'x', len);
    wait_for_line("All is taken.");
    assert(sys_unmap(memory, len) == 0);
    wait_for_line("All is given back.");
    return 0;
}
