/* Sends MESSAGES messages (10) to pipereader_c, through the pipe that all processes have in common, and counts its calls.

   pipewriter_c [MESSAGES [--alone]]: --alone if there is a pipereader_c already. */
#include "pipe_partners.h"

/* Sends all of a message. Returns how many calls it took. */
static unsigned long send(const char* message) {
    unsigned long calls = 0;
    for (size_t sent = 0; sent < MESSAGE_LEN; calls++) {
        ssize_t len = sys_pipewrite(message + sent, MESSAGE_LEN - sent);
        assert(len > 0 || len == -EAGAIN); /* the pipe is full, and pipe=noblock */
        sent += len > 0 ? (size_t) len : 0;
    }
    return calls;
}

int process_main(int argc, char** argv) {
    struct meeting meeting = meet(argc, argv, "pipereader_c");
    unsigned long calls = 0;
    for (unsigned number = 1; number <= meeting.messages; number++) {
        char message[MESSAGE_LEN + 1];
        write_message(message, number);
        calls += send(message);
    }
    return part(meeting, "pipewriter_c", calls);
}
