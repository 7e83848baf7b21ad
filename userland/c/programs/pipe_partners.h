/* What pipewriter_c and pipereader_c have in common: the messages, how to find each other, and what they tell. */
#include "argonaut.h"

enum { MESSAGE_LEN = 32 };

/* How many messages, and the partner, if it was started here; 0 otherwise. */
struct meeting {
    unsigned messages;
    pid_t partner;
};

/* Starts the partner, unless the arguments ([MESSAGES [--alone]]) say that it is there. */
static inline struct meeting meet(int argc, char** argv, const char* partner) {
    struct meeting meeting = {argc > 1 ? (unsigned) atoi(argv[1]) : 10, 0};
    if (argc < 3 || strcmp(argv[2], "--alone") != 0) {
        char argument[32];
        snprintf(argument, sizeof argument, "%u --alone", meeting.messages);
        meeting.partner = sys_spawn_with(partner, argument);
        assert(meeting.partner > 0);
    }
    return meeting;
}

/* The text of a message; text has room for a NUL too. */
static inline void write_message(char* text, unsigned number) {
    int len = snprintf(text, MESSAGE_LEN + 1, "%06u from writer to reader...\n", number);
    assert(len == MESSAGE_LEN);
}

/* Tells how many calls it took, and waits for the partner, which must have fared well. */
static inline int part(struct meeting meeting, const char* program, unsigned long calls) {
    double per_message = meeting.messages > 0 ? (double) calls / meeting.messages : 0;
    printf("%s: %u messages in %lu calls, %g a message\n", program, meeting.messages, calls, per_message);
    int status = 0;
    if (meeting.partner != 0) {
        assert(sys_waitpid(meeting.partner, &status, 0) == meeting.partner);
    }
    return status;
}
