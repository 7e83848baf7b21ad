/* Receives MESSAGES messages (10) from pipewriter_c, through the pipe that all processes have in common, checks them, and
   counts its calls.

   pipereader_c [MESSAGES [--alone]]: --alone if there is a pipewriter_c already. */
#include "pipe_partners.h"

/* Receives all of a message. Returns how many calls it took. */
static unsigned long receive(char* message) {
    unsigned long calls = 0;
    for (size_t received = 0; received < MESSAGE_LEN; calls++) {
        ssize_t len = sys_piperead(message + received, MESSAGE_LEN - received);
        assert(len > 0 || len == -EAGAIN); /* the pipe is empty, and pipe=noblock */
        received += len > 0 ? (size_t) len : 0;
    }
    return calls;
}

int process_main(int argc, char** argv) {
    struct meeting meeting = meet(argc, argv, "pipewriter_c");
    unsigned long calls = 0;
    for (unsigned number = 1; number <= meeting.messages; number++) {
        char message[MESSAGE_LEN], expected[MESSAGE_LEN + 1];
        calls += receive(message);
        write_message(expected, number);
        assert(memcmp(message, expected, MESSAGE_LEN) == 0);
    }
    return part(meeting, "pipereader_c", calls);
}
