/* Takes the messages of pipewriter_c from its standard input, and checks that none is missing or out of its turn. */
#include "argonaut.h"

/* Fills a message. False at the end of the pipe. */
static bool read_message(uint32_t* message) {
    size_t have = 0;
    while (have < sizeof *message) {
        ssize_t len = sys_read(0, (char*) message + have, sizeof *message - have);
        assert(len >= 0);
        if (len == 0) {
            assert(have == 0); /* the writer ends between two messages */
            return false;
        }
        have += (size_t) len;
    }
    return true;
}

int process_main(void) {
    uint32_t expected = 0, message;
    while (read_message(&message)) {
        assert(message == expected);
        expected++;
    }
    printf("The reader has got %u messages, each in its turn.\n", expected);
    return 0;
}
