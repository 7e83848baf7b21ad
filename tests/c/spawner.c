/* Starts each of the programs that it is given, and says what came of it: an error's number, or how the program ended. */
#include "argonaut.h"

enum { PATIENCE_MS = 200 };

/* How the child has ended; it is killed when it has had its time. */
static int end_of(pid_t child) {
    int status;
    for (int waited_ms = 0; sys_waitpid(child, &status, WNOHANG) == 0; waited_ms++) {
        if (waited_ms == PATIENCE_MS) {
            sys_kill(child, SIGKILL);
        }
        sys_sleep_ms(1);
    }
    return status;
}

int process_main(int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
        pid_t child = sys_spawn(argv[i]);
        if (child < 0) {
            printf("%s: error %d\n", argv[i], -child);
        } else {
            printf("%s: ended with %d\n", argv[i], end_of(child));
        }
    }
    printf("All %d have been tried.\n", argc - 1);
    return 0;
}
