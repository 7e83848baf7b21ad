/* Prints a greeting with the CPU that it runs on, in C. */
#include "argonaut.h"

int process_main(int argc, char** argv) {
    struct argonaut_sysinfo info;
    sys_sysinfo(&info, sizeof info);
    printf("Hello from C, process %d on CPU %zd of %lu!\n", sys_getpid(), sys_getcpu(), info.cpus);
    for (int i = 1; i < argc; i++) {
        printf("I was given: %s\n", argv[i]);
    }
    return 0;
}
