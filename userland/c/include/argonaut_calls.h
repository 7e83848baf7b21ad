/* System calls and constants: made from userland/abi by its test c_header, which also says whether this is up to
   date. Programs include argonaut.h. */
#ifndef ARGONAUT_CALLS_H
#define ARGONAUT_CALLS_H

/* Errors: a call returns one with a minus. */
#define EPERM 1 /* operation not permitted */
#define ENOENT 2 /* no such file */
#define ESRCH 3 /* no such process */
#define EINTR 4 /* interrupted by a signal */
#define EIO 5 /* input/output error */
#define E2BIG 7 /* argument string too long */
#define ENOEXEC 8 /* not an executable program */
#define EBADF 9 /* bad file descriptor */
#define ECHILD 10 /* no such child process */
#define EAGAIN 11 /* temporarily unavailable */
#define ENOMEM 12 /* out of memory */
#define EACCES 13 /* permission denied */
#define EFAULT 14 /* bad address */
#define EBUSY 16 /* busy */
#define EEXIST 17 /* exists already */
#define ENODEV 19 /* no such device */
#define ENOTDIR 20 /* not a directory */
#define EISDIR 21 /* is a directory */
#define EINVAL 22 /* invalid argument */
#define ENFILE 23 /* too many open files in the system */
#define EMFILE 24 /* too many open files */
#define ENOTTY 25 /* not a terminal */
#define ETXTBSY 26 /* program file is being run */
#define EFBIG 27 /* file too large */
#define ENOSPC 28 /* no space left */
#define ESPIPE 29 /* cannot seek in this file */
#define EROFS 30 /* read-only file system */
#define EPIPE 32 /* pipe has no reader */
#define ERANGE 34 /* result out of range */
#define EDEADLK 35 /* would deadlock */
#define ENAMETOOLONG 36 /* name too long */
#define ENOSYS 38 /* no such system call */
#define ENOTEMPTY 39 /* directory not empty */
#define EOVERFLOW 75 /* value too large */
#define ETIMEDOUT 110 /* timed out */

/* Signals, and what a handler's third argument says about the fault. */
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGCHLD 17
#define FAULT_NONE 0
#define FAULT_MISSING_PAGE 1
#define FAULT_PERMISSION 2
#define FAULT_PRIVILEGE 3
#define FAULT_NO_MEMORY 4
#define FAULT_UNREADABLE 5

#define PROT_READ 0x1
#define PROT_WRITE 0x2
#define PROT_EXECUTE 0x4
#define PROT_PIN 0x8

#define MAP_SHARED 0x1
#define MAP_ANONYMOUS 0x20
#define MAP_GROW_DOWN 0x100
#define MAP_GROW_UP 0x200
#define MAP_EAGER 0x8000

#define PAGE_PRESENT 0x1
#define PAGE_WRITABLE 0x2
#define PAGE_SHARED 0x4

#define WNOHANG 0x1

/* Files. */
#define O_RDONLY 0x0
#define O_WRONLY 0x1
#define O_RDWR 0x2
#define O_CREAT 0x40
#define O_EXCL 0x80
#define O_TRUNC 0x200
#define O_APPEND 0x400
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define KIND_FILE 1
#define KIND_DIRECTORY 2
#define KIND_DEVICE 3
#define ARGONAUT_NAME_MAX 111
#define ARGONAUT_PATH_MAX 1023
#define ARGONAUT_PIPE_ATOMIC 512

/* Memory, screen and log. */
#define PAGESIZE 4096
#define USER_START 0xffff800000000000UL
#define USER_START_5_LEVEL 0xff00000000000000UL
#define USER_END 0xfffffffffffff000UL
#define PROGRAM_BASE 0xffff800000200000UL
#define STACK_TOP 0xffff8000001ff000UL
#define STACK_BOTTOM 0xffff8000001bf000UL
#define HEAP_BASE 0xffff810000000000UL
#define ARGUMENT_MAX 4095
#define GUARD_GAP_LEN 65536
#define CONSOLE_ROWS 25
#define CONSOLE_COLUMNS 80
#define LOG_MAX 255
#define INIT_PID 1
#define WAIT_ANY (-1)
#define NO_FILE (-1)

/* The structures' lengths, with which argonaut.h compares its own. */
#define ARGONAUT_DIRENT_LEN 128
#define ARGONAUT_SYSINFO_LEN 152
#define ARGONAUT_MAPPING_LEN 40
#define ARGONAUT_REGISTERS_LEN 168

/* The calls' numbers. */
#define SYSCALL_GETPID 0
#define SYSCALL_GETPPID 1
#define SYSCALL_GETTID 2
#define SYSCALL_YIELD 3
#define SYSCALL_EXIT 4
#define SYSCALL_FORK 5
#define SYSCALL_SPAWN 6
#define SYSCALL_SPAWN_WITH 7
#define SYSCALL_WAITPID 8
#define SYSCALL_KILL 9
#define SYSCALL_SLEEP_MS 10
#define SYSCALL_CLOCK_NS 11
#define SYSCALL_GETCPU 12
#define SYSCALL_SET_AFFINITY 13
#define SYSCALL_GET_AFFINITY 14
#define SYSCALL_PAGE_ALLOC 15
#define SYSCALL_PAGE_ALLOC_RANGE 16
#define SYSCALL_OPEN 17
#define SYSCALL_CLOSE 18
#define SYSCALL_READ 19
#define SYSCALL_WRITE 20
#define SYSCALL_SEEK 21
#define SYSCALL_DUP 22
#define SYSCALL_READDIR 23
#define SYSCALL_PIPE 24
#define SYSCALL_SYSINFO 25
#define SYSCALL_PANIC 26
#define SYSCALL_MAP 27
#define SYSCALL_UNMAP 28
#define SYSCALL_PROTECT 29
#define SYSCALL_MOVE 30
#define SYSCALL_MAPPING 31
#define SYSCALL_PAGE_FREE 32
#define SYSCALL_SIGNAL 33
#define SYSCALL_SIGACTION 34
#define SYSCALL_SIGRETURN 35
#define SYSCALL_CREATE_THREAD 36
#define SYSCALL_CREATE_THREAD_REGISTERS 37
#define SYSCALL_EXIT_THREAD 38
#define SYSCALL_JOIN_THREAD 39
#define SYSCALL_JOIN_THREAD_WAIT 40
#define SYSCALL_SET_TLS_BASE 41
#define SYSCALL_FUTEX_WAIT 42
#define SYSCALL_FUTEX_WAKE 43
#define SYSCALL_SHARE 44
#define SYSCALL_ATTACH 45
#define SYSCALL_PIPEREAD 46
#define SYSCALL_PIPEWRITE 47
#define SYSCALL_CONSOLE_PUT 48
#define SYSCALL_LOG 49

/* Calls that are functions of the library. */
/* fork: Makes a copy of the calling process: memory (separate from now on), registers, descriptors (with shared
   offsets), affinity. Only the calling thread is copied.

   Returns the child's id to the caller and 0 to the child.

   Errors: ENOMEM; EAGAIN if the process table is full. */

/* create_thread: Starts a thread in the caller's process, with the caller's affinity, that runs function with the one
   argument argument and the stack pointer stack_top. A function expects that stack pointer to be 8
   less than a multiple of 16, and to find there the address to which it returns: it can be that of code
   that calls exit_thread with the result. Everything else in the thread's registers is 0.

   Returns the thread's id.

   Errors: EINVAL if function or stack_top is not in user space (stack_top may be just behind it);
   ENOMEM; EAGAIN if the process table is full. */

/* join_thread: Asks whether the thread tid of the caller's process has ended. If so, forgets it: its id may be used
   again.

   Returns the value that the thread gave to exit_thread. One that could be an error cannot be told from
   it: join_thread_wait tells.

   Errors: EAGAIN if it has not ended; ESRCH if there is no such thread in the process, or it has been
   joined; EDEADLK for the caller itself. */


/* getpid: Returns the caller's process id. */
static inline pid_t sys_getpid(void) {
    return (pid_t) argonaut_enter0(SYSCALL_GETPID);
}

/* getppid: Returns the process id of the caller's parent; 0 for init. */
static inline pid_t sys_getppid(void) {
    return (pid_t) argonaut_enter0(SYSCALL_GETPPID);
}

/* gettid: Returns the caller's thread id; for a process's first thread that is the process id. */
static inline pid_t sys_gettid(void) {
    return (pid_t) argonaut_enter0(SYSCALL_GETTID);
}

/* yield: Lets the other runnable threads of this CPU run first. Returns 0. */
static inline int sys_yield(void) {
    return (int) argonaut_enter0(SYSCALL_YIELD);
}

/* exit: Ends the calling process, with all of its threads, with the low 8 bits of status as its exit code. Its
   children become children of init. Does not return. */
__attribute__((noreturn)) static inline void sys_exit(int status) {
    (void) argonaut_enter1(SYSCALL_EXIT, (long) status);
    __builtin_unreachable();
}

/* spawn: Starts the program in the file name (NUL-terminated) as a child of the caller. The child has the
   caller's descriptors 0, 1 and 2 and its affinity, and name as its argument string.

   Returns the child's id.

   Errors: ENOENT if there is no such file or name is empty; ENOTDIR; ENAMETOOLONG; EISDIR;
   ENOEXEC if the file is no program for this machine; EFAULT; ENOMEM; EAGAIN if the process table
   is full. */
static inline pid_t sys_spawn(const char* name) {
    return (pid_t) argonaut_enter1(SYSCALL_SPAWN, (long) name);
}

/* spawn_with: Like spawn; the child's argument string is name, a space, and the NUL-terminated string argument
   as it is (only name, if argument is null or empty).

   Errors: those of spawn; E2BIG if the argument string is longer than ARGUMENT_MAX bytes. */
static inline pid_t sys_spawn_with(const char* name, const char* argument) {
    return (pid_t) argonaut_enter2(SYSCALL_SPAWN_WITH, (long) name, (long) argument);
}

/* waitpid: Waits until the child pid (any child, if it is -1) has ended, stores how it ended in status unless
   that is null, and forgets the child: its id may be used again, and what it held is free. With the flag
   WNOHANG (1) returns 0 at once if no such child has ended. init has all orphans as children, and so
   waits for any child also while it has none.

   Returns the id of the child.

   Errors: ECHILD if there is no such child; EFAULT for a bad status (the child is then not
   forgotten); EINVAL for any other flag or a pid that is neither positive nor -1; EINTR. */
static inline pid_t sys_waitpid(pid_t pid, int* status, uint32_t flags) {
    return (pid_t) argonaut_enter3(SYSCALL_WAITPID, (long) pid, (long) status, (long) flags);
}

/* kill: Sends a signal to the process pid: to its first thread if that can take it, else to another that can.
   With the id of another thread of a process it goes to that thread. Signal 0 only checks. Returns 0.

   If the process has a handler for it (signal), the thread runs that; what it waits for in the kernel
   ends with EINTR. Without a handler SIGCHLD is ignored, and every other signal ends the process, with
   the signal as its status; SIGKILL (9) always does.

   Errors: ESRCH if there is no such process or thread, or it has ended; EPERM for init and processes
   of the kernel; EINVAL for a number that is no signal; EAGAIN if the thread, or each one of the
   process, is in a handler and the signal is not SIGKILL: nothing has changed then. */
static inline int sys_kill(pid_t pid, int signal) {
    return (int) argonaut_enter2(SYSCALL_KILL, (long) pid, (long) signal);
}

/* sleep_ms: Sleeps for at least duration_ms milliseconds. Returns 0.

   Errors: EINTR. */
static inline int sys_sleep_ms(uint64_t duration_ms) {
    return (int) argonaut_enter1(SYSCALL_SLEEP_MS, (long) duration_ms);
}

/* clock_ns: Returns the time since boot in nanoseconds. It never goes back, on no CPU. */
static inline uint64_t sys_clock_ns(void) {
    return (uint64_t) argonaut_enter0(SYSCALL_CLOCK_NS);
}

/* getcpu: Returns the number of the CPU that the caller runs on, counted from 0 without gaps. Unless pinned, the
   caller may run on another one as soon as it knows. */
static inline ssize_t sys_getcpu(void) {
    return (ssize_t) argonaut_enter0(SYSCALL_GETCPU);
}

/* set_affinity: Restricts the thread tid (0: the caller) to the CPUs whose bits are set in the len bytes at mask,
   CPU 0 being the lowest bit of the first byte. CPUs that are not there are left out. On return the thread
   runs on one of the CPUs or, if it is not the caller, will from its next time slice on. Returns 0.

   Errors: EINVAL if no CPU is left or len is 0; ESRCH if there is no such thread; EPERM for a
   thread of another process that is not a child of the caller; EFAULT. */
static inline int sys_set_affinity(pid_t tid, const void* mask, size_t len) {
    return (int) argonaut_enter3(SYSCALL_SET_AFFINITY, (long) tid, (long) mask, (long) len);
}

/* get_affinity: Stores the CPUs on which the thread tid (0: the caller) may run: fills all len bytes at mask.

   Returns how many of the bytes have a meaning on this machine.

   Errors: EINVAL if len bytes have no bit for some CPU of the machine; ESRCH; EFAULT; EINTR if a
   signal came while very many bytes were filled. */
static inline ssize_t sys_get_affinity(pid_t tid, void* mask, size_t len) {
    return (ssize_t) argonaut_enter3(SYSCALL_GET_AFFINITY, (long) tid, (long) mask, (long) len);
}

/* page_alloc: Maps a fresh page of zeros, readable and writable, at address. A page that this call has mapped there
   before is replaced. Returns 0.

   Errors: EINVAL if address is not page-aligned or not in user space; EEXIST if something else is
   mapped there, such as the program or its stack; EPERM if the page there is pinned; ENOMEM. */
static inline int sys_page_alloc(void* address) {
    return (int) argonaut_enter1(SYSCALL_PAGE_ALLOC, (long) address);
}

/* page_alloc_range: Maps len_pages fresh pages of zeros at address, as page_alloc does: all of them or, after an
   error, none, and then nothing has changed. Returns 0.

   Errors: those of page_alloc; EINVAL if there are no pages, or the range wraps or leaves user space. */
static inline int sys_page_alloc_range(void* address, size_t len_pages) {
    return (int) argonaut_enter2(SYSCALL_PAGE_ALLOC_RANGE, (long) address, (long) len_pages);
}

/* open: Opens the file path (NUL-terminated) with flags (see OpenFlags). A directory can be opened for
   reading only, for readdir.

   Returns the lowest free descriptor.

   Errors: ENOENT; EEXIST; EISDIR; ENOTDIR; ENAMETOOLONG; EINVAL for bad flags; EMFILE;
   EFAULT; ENOMEM. */
static inline int sys_open(const char* path, uint32_t flags) {
    return (int) argonaut_enter2(SYSCALL_OPEN, (long) path, (long) flags);
}

/* close: Closes a descriptor. Returns 0.

   Errors: EBADF. */
static inline int sys_close(int fd) {
    return (int) argonaut_enter1(SYSCALL_CLOSE, (long) fd);
}

/* read: Reads up to len bytes at the descriptor's offset into buffer and advances the offset by what it
   read. Reading from an empty pipe waits while the pipe has a writer; reading from the console waits for
   a line. With len 0 it only checks the descriptor.

   Returns how many bytes it read; 0 at the end of the file.

   Errors: EBADF if it is not open for reading; EISDIR; EFAULT if not even the first byte could be
   stored; EINTR if not a byte was read. */
static inline ssize_t sys_read(int fd, void* buffer, size_t len) {
    return (ssize_t) argonaut_enter3(SYSCALL_READ, (long) fd, (long) buffer, (long) len);
}

/* write: Writes up to len bytes from buffer at the descriptor's offset and advances the offset by what it
   wrote. Writing to a full pipe waits until all is written; what several writers write into one pipe with
   at most PIPE_ATOMIC bytes each is not mixed. With len 0 it only checks the descriptor.

   Returns how many bytes it wrote: less than len only if an error came after the first byte.

   Errors: EBADF if it is not open for writing; EFAULT; EPIPE if the pipe has no reader (no signal
   is sent); EINTR; ENOSPC or ENOMEM; EFBIG. */
static inline ssize_t sys_write(int fd, const void* buffer, size_t len) {
    return (ssize_t) argonaut_enter3(SYSCALL_WRITE, (long) fd, (long) buffer, (long) len);
}

/* seek: Sets the offset to offset counted from the beginning (whence 0), the present offset (1) or the end
   (2) of the file. An offset beyond the end is allowed.

   Returns the offset.

   Errors: EBADF; ESPIPE for pipes and the console; EINVAL for a bad whence or an offset before
   the beginning; EOVERFLOW. */
static inline int64_t sys_seek(int fd, int64_t offset, uint32_t whence) {
    return (int64_t) argonaut_enter3(SYSCALL_SEEK, (long) fd, (long) offset, (long) whence);
}

/* dup: Makes the lowest free descriptor another name for the open file fd: they share the offset.

   Returns the new descriptor.

   Errors: EBADF; EMFILE; ENOMEM. */
static inline int sys_dup(int fd) {
    return (int) argonaut_enter1(SYSCALL_DUP, (long) fd);
}

/* readdir: Stores the next directory entries of fd: as many as there are and as fit whole into len bytes.

   Returns how many bytes it stored, a multiple of the entry's size; 0 at the end.

   Errors: EBADF; ENOTDIR; EINVAL if not one entry fits; EFAULT. */
static inline ssize_t sys_readdir(int fd, struct argonaut_dirent* entries, size_t len) {
    return (ssize_t) argonaut_enter3(SYSCALL_READDIR, (long) fd, (long) entries, (long) len);
}

/* pipe: Makes a pipe, and stores the descriptors of its reading and its writing end in fds[0] and fds[1].
   Returns 0.

   Errors: EMFILE; ENOMEM; EFAULT (there is then no new descriptor). */
static inline int sys_pipe(int* fds) {
    return (int) argonaut_enter1(SYSCALL_PIPE, (long) fds);
}

/* sysinfo: Stores the kernel's accounts: as much of SysInfo as both the kernel knows and fits len bytes.

   Returns the length of the kernel's own SysInfo.

   Errors: EFAULT. */
static inline ssize_t sys_sysinfo(struct argonaut_sysinfo* info, size_t len) {
    return (ssize_t) argonaut_enter2(SYSCALL_SYSINFO, (long) info, (long) len);
}

/* panic: Gives up: writes the NUL-terminated message with the caller's name and id to the kernel log and ends
   the calling process with SIGABRT. A message that cannot be read does not save it. Does not return. */
__attribute__((noreturn)) static inline void sys_panic(const char* message) {
    (void) argonaut_enter1(SYSCALL_PANIC, (long) message);
    __builtin_unreachable();
}

/* map: Maps len bytes of memory at address, or where the kernel likes if address is 0. The pages come
   when they are touched, or now with the flag EAGER. protection has bits of Protection, flags of
   MapFlags.

   With the flag ANONYMOUS the memory is zeros, fd is -1, and offset is 0 unless the mapping grows.
   Otherwise it shows the regular file fd, which must be open for reading, from offset on, and zeros
   behind the end of the file. Writes stay private to the process. With the flag SHARED they go to the
   file, which must then be open for writing too; or, without a file, to every process that has the mapping
   from a fork. The file may be closed afterwards.

   With GROW_DOWN or GROW_UP, which need ANONYMOUS and exclude SHARED and each other, a touch
   outside of the mapping, on that side of it, makes it longer by what is missing: up to offset bytes in
   all (0: no limit), as long as GUARD_GAP_LEN bytes stay free before the next mapping. What the kernel
   places may have no room to grow.

   Returns the address.

   Errors: EINVAL if address, len or offset is not a multiple of the page size, the range is empty,
   wraps or leaves user space, a bit of protection or flags has no meaning, the flags contradict each
   other or what goes with them, or the limit is below len; EEXIST if something is mapped in the range;
   EBADF; EACCES if the file is not open for what the mapping does; ENODEV if it is not a regular
   file; ENOMEM, also if the process would have more than REGIONS_MAX mappings. Nothing has changed
   then. */
static inline void* sys_map(void* address, size_t len, uint32_t protection, uint32_t flags, int fd, uint64_t offset) {
    return (void*) argonaut_enter6(SYSCALL_MAP, (long) address, (long) len, (long) protection, (long) flags, (long) fd, (long) offset);
}

/* unmap: Removes whatever is mapped in the len bytes at address; of a mapping that lies there in part, that
   part. That nothing is mapped there is no error. Returns 0.

   Errors: EINVAL if address or len is not a multiple of the page size, or the range is empty, wraps
   or leaves user space; EPERM if a part of it is pinned; ENOMEM for cutting a mapping in two. Nothing
   has changed then. */
static inline int sys_unmap(void* address, size_t len) {
    return (int) argonaut_enter2(SYSCALL_UNMAP, (long) address, (long) len);
}

/* protect: Gives the len bytes at address, all of them mapped, the rights protection, and pins them or unpins
   them as that says. Takes effect for all threads before it returns. Returns 0.

   Errors: those of unmap but EPERM; EINVAL for a bad protection; EFAULT if a page of the range
   is in no mapping; EACCES for writing to a shared mapping of a file that was not open for writing.
   Nothing has changed then. */
static inline int sys_protect(void* address, size_t len, uint32_t protection) {
    return (int) argonaut_enter3(SYSCALL_PROTECT, (long) address, (long) len, (long) protection);
}

/* move: Moves the contents of the len bytes at address, all of them mapped, into other frames of memory,
   which the kernel chooses; those of pages that are shared on purpose stay. Programs see nothing of it: no
   store is lost, wherever their threads run. Returns 0.

   Errors: those of unmap; EFAULT if a page of the range is in no mapping; ENOMEM. Nothing has
   changed then that a program could notice. */
static inline int sys_move(void* address, size_t len) {
    return (int) argonaut_enter2(SYSCALL_MOVE, (long) address, (long) len);
}

/* mapping: Says in info what is mapped at address. Returns 0.

   Errors: EINVAL if address is not in user space; EFAULT if nothing is mapped there, or for a bad
   info. */
static inline int sys_mapping(void* address, struct argonaut_mapping* info) {
    return (int) argonaut_enter2(SYSCALL_MAPPING, (long) address, (long) info);
}

/* page_free: Gives len_pages pages at address back, all of them mapped by page_alloc or page_alloc_range, or
   none. Returns 0.

   Errors: EINVAL as for page_alloc_range; EFAULT if a page of the range does not come from
   page_alloc; EPERM if one is pinned; ENOMEM for cutting a mapping in two. Nothing has changed then. */
static inline int sys_page_free(void* address, size_t len_pages) {
    return (int) argonaut_enter2(SYSCALL_PAGE_FREE, (long) address, (long) len_pages);
}

/* signal: Makes handler the process's handler for all signals that can be caught; 0: none. Returns 0.

   The handler is called with three arguments: the signal, the address and the kind of the fault that it
   comes from (FaultKind; both 0 for a signal that was sent). It runs on the stack of the thread that it
   interrupts, at least RED_ZONE_LEN bytes below, and when it returns the thread goes on where it was,
   with all registers as they were, those of the FPU too. While it runs, the thread takes no other signal;
   a fault, or a stack that cannot be written, ends the process.

   Errors: EINVAL if handler is neither 0 nor in user space; ENOMEM. */
static inline int sys_signal(sighandler_t handler) {
    return (int) argonaut_enter1(SYSCALL_SIGNAL, (long) handler);
}

/* sigaction: Makes handler the process's handler for signal; 0: none.

   Returns the handler that it had; 0: none.

   Errors: EINVAL if signal is no signal or SIGKILL, or handler is neither 0 nor in user space;
   ENOMEM. */
static inline ssize_t sys_sigaction(int signal, sighandler_t handler) {
    return (ssize_t) argonaut_enter2(SYSCALL_SIGACTION, (long) signal, (long) handler);
}

/* sigreturn: Ends the handler that the caller is in: it goes on where the signal has interrupted it. Outside of a
   handler it does nothing, and returns 0. */
static inline ssize_t sys_sigreturn(void) {
    return (ssize_t) argonaut_enter0(SYSCALL_SIGRETURN);
}

/* create_thread_registers: As create_thread, with all registers as given in registers, as far as they give no right: see
   ThreadRegisters.

   Errors: those of create_thread; EINVAL for a tls_base that is not canonical; EFAULT. */
static inline pid_t sys_create_thread_registers(const struct argonaut_registers* registers) {
    return (pid_t) argonaut_enter1(SYSCALL_CREATE_THREAD_REGISTERS, (long) registers);
}

/* exit_thread: Ends the calling thread. Another one of the process can get value by join_thread. The last thread of
   a process ends it, as by exit with value. Does not return. */
__attribute__((noreturn)) static inline void sys_exit_thread(void* value) {
    (void) argonaut_enter1(SYSCALL_EXIT_THREAD, (long) value);
    __builtin_unreachable();
}

/* join_thread_wait: Waits until the thread tid of the caller's process has ended, stores in value (unless it is null)
   what it gave to exit_thread, and forgets it: its id may be used again. Returns 0.

   Errors: those of join_thread but EAGAIN; EFAULT for a bad value (the thread is then not
   forgotten); EINTR. */
static inline int sys_join_thread_wait(pid_t tid, void** value) {
    return (int) argonaut_enter2(SYSCALL_JOIN_THREAD_WAIT, (long) tid, (long) value);
}

/* set_tls_base: Makes address the base of FS for the calling thread: where it finds what is its own. A new thread has
   0, the child of a fork what its parent had. Returns 0.

   Errors: EINVAL if address is not canonical. */
static inline int sys_set_tls_base(void* address) {
    return (int) argonaut_enter1(SYSCALL_SET_TLS_BASE, (long) address);
}

/* futex_wait: If the word at address is value, waits until another thread calls futex_wake for this word. In
   shared memory that can be a thread of another process. Returns 0.

   Errors: EAGAIN if the word is something else; EINVAL if address is not a multiple of 4; EFAULT;
   EINTR. */
static inline int sys_futex_wait(const uint32_t* address, uint32_t value) {
    return (int) argonaut_enter2(SYSCALL_FUTEX_WAIT, (long) address, (long) value);
}

/* futex_wake: Wakes up to count of the threads that wait for the word at address, those first that have waited
   longest.

   Returns how many.

   Errors: EINVAL if address is not a multiple of 4; EFAULT if nothing is mapped there. */
static inline ssize_t sys_futex_wake(const uint32_t* address, uint32_t count) {
    return (ssize_t) argonaut_enter2(SYSCALL_FUTEX_WAKE, (long) address, (long) count);
}

/* share: Offers the page at address to the process pid, which can then map it too, by attach. The page
   becomes shared memory: if somebody else has had its frame too (after a fork, or as a file), the caller
   gets a copy first, and children of later forks share it with the caller. The offer is good as long as
   that page is there, also if it is moved, and both processes live. Returns 0.

   Errors: EINVAL if address is not page-aligned or not in user space, or pid is the caller's own;
   ESRCH if there is no such process, or it has ended; EFAULT if nothing is mapped there; EACCES if
   it is a shared mapping of a file; EAGAIN if the caller has OFFERS_MAX offers to processes that live;
   ENOMEM. */
static inline int sys_share(pid_t pid, void* address) {
    return (int) argonaut_enter2(SYSCALL_SHARE, (long) pid, (long) address);
}

/* attach: Maps at local the page that the process pid has at remote and has offered to the caller's process.
   It can be written if its owner can write it now, and stays when the owner unmaps it or ends. Returns 0.

   Errors: EINVAL if remote or local is not page-aligned or not in user space, or pid is the
   caller's own; ESRCH if there is no such process, or it has ended; EPERM if that page has not been
   offered to the caller or is not there any more; EEXIST if something is mapped at local; ENOMEM.
   Nothing has changed then. */
static inline int sys_attach(pid_t pid, void* remote, void* local) {
    return (int) argonaut_enter3(SYSCALL_ATTACH, (long) pid, (long) remote, (long) local);
}

/* piperead: Takes up to len bytes out of the pipe that all processes have in common, and stores them at buffer.
   While the pipe is empty it waits; the boot option pipe= makes it return instead, or take one byte at a
   time. The pipe has no ends that could be closed.

   Returns how many bytes it took; 0 if len is 0.

   Errors: EFAULT (nothing has been taken then); EINTR; with pipe=noblock, EAGAIN if the pipe is
   empty. */
static inline ssize_t sys_piperead(void* buffer, size_t len) {
    return (ssize_t) argonaut_enter2(SYSCALL_PIPEREAD, (long) buffer, (long) len);
}

/* pipewrite: Puts the len bytes at buffer into the pipe that all processes have in common. Waits until all are in
   it; the boot option pipe= makes it return instead, or put one byte at a time. Up to COMMON_PIPE_LEN
   bytes get there in one step.

   Returns how many bytes it put there: less than len only by the boot option, or if an error came after
   the first byte.

   Errors: EFAULT; EINTR; with pipe=noblock, EAGAIN if the pipe is full. */
static inline ssize_t sys_pipewrite(const void* buffer, size_t len) {
    return (ssize_t) argonaut_enter2(SYSCALL_PIPEWRITE, (long) buffer, (long) len);
}

/* console_put: Puts the len bytes at bytes on the screen as they are, one to a cell, from the cell in row and
   column (from 0) on, in the colours of attribute: the foreground in its low four bits, the background
   in the next three. The serial line gets them too, with a ? for what is no printable ASCII. Where other
   text goes on does not change. Returns 0.

   Errors: EINVAL if the screen of SCREEN_ROWS by SCREEN_COLUMNS cells does not have all of the cells
   in that row, or attribute has more bits; EFAULT. */
static inline int sys_console_put(uint32_t row, uint32_t column, uint32_t attribute, const void* bytes, size_t len) {
    return (int) argonaut_enter5(SYSCALL_CONSOLE_PUT, (long) row, (long) column, (long) attribute, (long) bytes, (long) len);
}

/* log: Writes the NUL-terminated message with the caller's name and id to the kernel log, with U+FFFD for
   what is not UTF-8. Returns 0.

   Errors: E2BIG if it is longer than LOG_MAX bytes; EFAULT. */
static inline int sys_log(const char* message) {
    return (int) argonaut_enter1(SYSCALL_LOG, (long) message);
}

#endif
