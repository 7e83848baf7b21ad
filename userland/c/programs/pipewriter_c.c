/* Sends messages through a pipe to pipereader_c, which it starts, in C.

   pipewriter_c [MESSAGES]: 1000 messages of one number each. */
#include "argonaut.h"

/* Starts the reader with the pipe as its standard input, and keeps the other end. */
static int start_reader(pid_t* reader) {
    int ends[2];
    assert(sys_pipe(ends) == 0);
    /* What is started gets the descriptors 0, 1 and 2 only; a duplicate takes the lowest that is free. */
    assert(sys_close(0) == 0 && sys_dup(ends[0]) == 0 && sys_close(ends[0]) == 0);
    *reader = sys_spawn("pipereader_c");
    assert(*reader > 0);
    assert(sys_close(0) == 0); /* so that writing fails once the reader has gone */
    return ends[1];
}

int process_main(int argc, char** argv) {
    uint32_t messages = argc > 1 ? (uint32_t) atoi(argv[1]) : 1000;
    pid_t reader;
    int pipe = start_reader(&reader);
    for (uint32_t message = 0; message < messages; message++) {
        assert(sys_write(pipe, &message, sizeof message) == sizeof message);
    }
    sys_close(pipe);
    int status;
    assert(sys_waitpid(reader, &status, 0) == reader);
    printf("The writer has sent %u messages; the reader ends with %d.\n", messages, status);
    return status;
}
