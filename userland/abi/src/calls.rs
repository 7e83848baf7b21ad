//! The table of system calls.
//!
//! A later call is one entry at the end of the table: entries are numbered from 0 in the order in which they stand, and
//! a number never changes once programs use it.
//!
//! The paragraph that begins with `Errors:` names all errors of a call but `ENOSYS`: [`SystemCall::errors`] reads it,
//! and `usertests` fails if a call returns another one, or if no test has seen one of them.

/// A process or thread id. Valid ids are positive; 0 and -1 have a meaning in some calls.
pub type Pid = i32;

/// Hands the table of system calls to the macro named by `$callback`.
///
/// The callback gets entries of the form
///
/// ```text
/// $(#[doc = $doc:literal])+
/// $variant:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;
/// ```
///
/// in the order of their numbers. The types are the C side's: each fits one register, pointers are claims of the user.
/// The types named are `i32 u32 i64 u64 usize`, [`Pid`], and raw pointers to those, to `u8`, [`Dirent`](crate::Dirent),
/// [`SysInfo`](crate::SysInfo), [`MappingInfo`](crate::MappingInfo) and [`ThreadRegisters`](crate::ThreadRegisters); a
/// callback that uses them has them in scope. Two callers stand as examples: this crate's own [`TABLE`], and a dispatch
/// table:
///
/// ```
/// mod calls { /* one function a call, with its name */
/// #   macro_rules! stubs { ($($(#[doc = $doc:literal])+ $variant:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
/// #       $(pub(super) fn $name(_: [usize; 6]) -> Result<usize, abi::Errno> { Err(abi::Errno::ENOSYS) })+
/// #   }; }
/// #   abi::for_each_system_call!(stubs);
/// }
/// macro_rules! dispatch_table {
///     ($($(#[doc = $doc:literal])+
///        $variant:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
///         static DISPATCH: [fn([usize; 6]) -> Result<usize, abi::Errno>; abi::Sysno::COUNT] = [$(calls::$name),+];
///     };
/// }
/// abi::for_each_system_call!(dispatch_table);
/// ```
#[macro_export]
macro_rules! for_each_system_call {
    ($callback:ident) => {
        $callback! {
            /// Returns the caller's process id.
            GetPid: fn getpid() -> Pid;

            /// Returns the process id of the caller's parent; 0 for `init`.
            GetPpid: fn getppid() -> Pid;

            /// Returns the caller's thread id; for a process's first thread that is the process id.
            GetTid: fn gettid() -> Pid;

            /// Lets the other runnable threads of this CPU run first. Returns 0.
            Yield: fn r#yield() -> usize;

            /// Ends the calling process, with all of its threads, with the low 8 bits of `status` as its exit code. Its
            /// children become children of `init`. Does not return.
            Exit: fn exit(status: i32) -> usize;

            /// Makes a copy of the calling process: memory (separate from now on), registers, descriptors (with shared
            /// offsets), affinity. Only the calling thread is copied.
            ///
            /// Returns the child's id to the caller and 0 to the child.
            ///
            /// Errors: `ENOMEM`; `EAGAIN` if the process table is full.
            Fork: fn fork() -> Pid;

            /// Starts the program in the file `name` (NUL-terminated) as a child of the caller. The child has the
            /// caller's descriptors 0, 1 and 2 and its affinity, and `name` as its argument string.
            ///
            /// Returns the child's id.
            ///
            /// Errors: `ENOENT` if there is no such file or `name` is empty; `ENOTDIR`; `ENAMETOOLONG`; `EISDIR`;
            /// `ENOEXEC` if the file is no program for this machine; `EFAULT`; `ENOMEM`; `EAGAIN` if the process table
            /// is full.
            Spawn: fn spawn(name: *const u8) -> Pid;

            /// Like `spawn`; the child's argument string is `name`, a space, and the NUL-terminated string `argument`
            /// as it is (only `name`, if `argument` is null or empty).
            ///
            /// Errors: those of `spawn`; `E2BIG` if the argument string is longer than `ARGUMENT_MAX` bytes.
            SpawnWith: fn spawn_with(name: *const u8, argument: *const u8) -> Pid;

            /// Waits until the child `pid` (any child, if it is -1) has ended, stores how it ended in `status` unless
            /// that is null, and forgets the child: its id may be used again, and what it held is free. With the flag
            /// `WNOHANG` (1) returns 0 at once if no such child has ended. `init` has all orphans as children, and so
            /// waits for any child also while it has none.
            ///
            /// Returns the id of the child.
            ///
            /// Errors: `ECHILD` if there is no such child; `EFAULT` for a bad `status` (the child is then not
            /// forgotten); `EINVAL` for any other flag or a `pid` that is neither positive nor -1; `EINTR`.
            WaitPid: fn waitpid(pid: Pid, status: *mut i32, flags: u32) -> Pid;

            /// Sends a signal to the process `pid`: to its first thread if that can take it, else to another that can.
            /// With the id of another thread of a process it goes to that thread. Signal 0 only checks. Returns 0.
            ///
            /// If the process has a handler for it (`signal`), the thread runs that; what it waits for in the kernel
            /// ends with `EINTR`. Without a handler `SIGCHLD` is ignored, and every other signal ends the process, with
            /// the signal as its status; `SIGKILL` (9) always does.
            ///
            /// Errors: `ESRCH` if there is no such process or thread, or it has ended; `EPERM` for `init` and processes
            /// of the kernel; `EINVAL` for a number that is no signal; `EAGAIN` if the thread, or each one of the
            /// process, is in a handler and the signal is not `SIGKILL`: nothing has changed then.
            Kill: fn kill(pid: Pid, signal: i32) -> usize;

            /// Sleeps for at least `duration_ms` milliseconds. Returns 0.
            ///
            /// Errors: `EINTR`.
            SleepMs: fn sleep_ms(duration_ms: u64) -> usize;

            /// Returns the time since boot in nanoseconds. It never goes back, on no CPU.
            ClockNs: fn clock_ns() -> u64;

            /// Returns the number of the CPU that the caller runs on, counted from 0 without gaps. Unless pinned, the
            /// caller may run on another one as soon as it knows.
            GetCpu: fn getcpu() -> usize;

            /// Restricts the thread `tid` (0: the caller) to the CPUs whose bits are set in the `len` bytes at `mask`,
            /// CPU 0 being the lowest bit of the first byte. CPUs that are not there are left out. On return the thread
            /// runs on one of the CPUs or, if it is not the caller, will from its next time slice on. Returns 0.
            ///
            /// Errors: `EINVAL` if no CPU is left or `len` is 0; `ESRCH` if there is no such thread; `EPERM` for a
            /// thread of another process that is not a child of the caller; `EFAULT`.
            SetAffinity: fn set_affinity(tid: Pid, mask: *const u8, len: usize) -> usize;

            /// Stores the CPUs on which the thread `tid` (0: the caller) may run: fills all `len` bytes at `mask`.
            ///
            /// Returns how many of the bytes have a meaning on this machine.
            ///
            /// Errors: `EINVAL` if `len` bytes have no bit for some CPU of the machine; `ESRCH`; `EFAULT`; `EINTR` if a
            /// signal came while very many bytes were filled.
            GetAffinity: fn get_affinity(tid: Pid, mask: *mut u8, len: usize) -> usize;

            /// Maps a fresh page of zeros, readable and writable, at `address`. A page that this call has mapped there
            /// before is replaced. Returns 0.
            ///
            /// Errors: `EINVAL` if `address` is not page-aligned or not in user space; `EEXIST` if something else is
            /// mapped there, such as the program or its stack; `EPERM` if the page there is pinned; `ENOMEM`.
            PageAlloc: fn page_alloc(address: usize) -> usize;

            /// Maps `len_pages` fresh pages of zeros at `address`, as `page_alloc` does: all of them or, after an
            /// error, none, and then nothing has changed. Returns 0.
            ///
            /// Errors: those of `page_alloc`; `EINVAL` if there are no pages, or the range wraps or leaves user space.
            PageAllocRange: fn page_alloc_range(address: usize, len_pages: usize) -> usize;

            /// Opens the file `path` (NUL-terminated) with `flags` (see `OpenFlags`). A directory can be opened for
            /// reading only, for `readdir`.
            ///
            /// Returns the lowest free descriptor.
            ///
            /// Errors: `ENOENT`; `EEXIST`; `EISDIR`; `ENOTDIR`; `ENAMETOOLONG`; `EINVAL` for bad flags; `EMFILE`;
            /// `EFAULT`; `ENOMEM`.
            Open: fn open(path: *const u8, flags: u32) -> i32;

            /// Closes a descriptor. Returns 0.
            ///
            /// Errors: `EBADF`.
            Close: fn close(fd: i32) -> usize;

            /// Reads up to `len` bytes at the descriptor's offset into `buffer` and advances the offset by what it
            /// read. Reading from an empty pipe waits while the pipe has a writer; reading from the console waits for
            /// a line. With `len` 0 it only checks the descriptor.
            ///
            /// Returns how many bytes it read; 0 at the end of the file.
            ///
            /// Errors: `EBADF` if it is not open for reading; `EISDIR`; `EFAULT` if not even the first byte could be
            /// stored; `EINTR` if not a byte was read.
            Read: fn read(fd: i32, buffer: *mut u8, len: usize) -> usize;

            /// Writes up to `len` bytes from `buffer` at the descriptor's offset and advances the offset by what it
            /// wrote. Writing to a full pipe waits until all is written; what several writers write into one pipe with
            /// at most `PIPE_ATOMIC` bytes each is not mixed. With `len` 0 it only checks the descriptor.
            ///
            /// Returns how many bytes it wrote: less than `len` only if an error came after the first byte.
            ///
            /// Errors: `EBADF` if it is not open for writing; `EFAULT`; `EPIPE` if the pipe has no reader (no signal
            /// is sent); `EINTR`; `ENOSPC` or `ENOMEM`; `EFBIG`.
            Write: fn write(fd: i32, buffer: *const u8, len: usize) -> usize;

            /// Sets the offset to `offset` counted from the beginning (`whence` 0), the present offset (1) or the end
            /// (2) of the file. An offset beyond the end is allowed.
            ///
            /// Returns the offset.
            ///
            /// Errors: `EBADF`; `ESPIPE` for pipes and the console; `EINVAL` for a bad `whence` or an offset before
            /// the beginning; `EOVERFLOW`.
            Seek: fn seek(fd: i32, offset: i64, whence: u32) -> u64;

            /// Makes the lowest free descriptor another name for the open file `fd`: they share the offset.
            ///
            /// Returns the new descriptor.
            ///
            /// Errors: `EBADF`; `EMFILE`; `ENOMEM`.
            Dup: fn dup(fd: i32) -> i32;

            /// Stores the next directory entries of `fd`: as many as there are and as fit whole into `len` bytes.
            ///
            /// Returns how many bytes it stored, a multiple of the entry's size; 0 at the end.
            ///
            /// Errors: `EBADF`; `ENOTDIR`; `EINVAL` if not one entry fits; `EFAULT`.
            ReadDir: fn readdir(fd: i32, entries: *mut Dirent, len: usize) -> usize;

            /// Makes a pipe, and stores the descriptors of its reading and its writing end in `fds[0]` and `fds[1]`.
            /// Returns 0.
            ///
            /// Errors: `EMFILE`; `ENOMEM`; `EFAULT` (there is then no new descriptor).
            Pipe: fn pipe(fds: *mut i32) -> usize;

            /// Stores the kernel's accounts: as much of `SysInfo` as both the kernel knows and fits `len` bytes.
            ///
            /// Returns the length of the kernel's own `SysInfo`.
            ///
            /// Errors: `EFAULT`.
            SysInfo: fn sysinfo(info: *mut SysInfo, len: usize) -> usize;

            /// Gives up: writes the NUL-terminated `message` with the caller's name and id to the kernel log and ends
            /// the calling process with `SIGABRT`. A message that cannot be read does not save it. Does not return.
            Panic: fn panic(message: *const u8) -> usize;

            /// Maps `len` bytes of memory at `address`, or where the kernel likes if `address` is 0. The pages come
            /// when they are touched, or now with the flag `EAGER`. `protection` has bits of `Protection`, `flags` of
            /// `MapFlags`.
            ///
            /// With the flag `ANONYMOUS` the memory is zeros, `fd` is -1, and `offset` is 0 unless the mapping grows.
            /// Otherwise it shows the regular file `fd`, which must be open for reading, from `offset` on, and zeros
            /// behind the end of the file. Writes stay private to the process. With the flag `SHARED` they go to the
            /// file, which must then be open for writing too; or, without a file, to every process that has the mapping
            /// from a fork. The file may be closed afterwards.
            ///
            /// With `GROW_DOWN` or `GROW_UP`, which need `ANONYMOUS` and exclude `SHARED` and each other, a touch
            /// outside of the mapping, on that side of it, makes it longer by what is missing: up to `offset` bytes in
            /// all (0: no limit), as long as `GUARD_GAP_LEN` bytes stay free before the next mapping. What the kernel
            /// places may have no room to grow.
            ///
            /// Returns the address.
            ///
            /// Errors: `EINVAL` if `address`, `len` or `offset` is not a multiple of the page size, the range is empty,
            /// wraps or leaves user space, a bit of `protection` or `flags` has no meaning, the flags contradict each
            /// other or what goes with them, or the limit is below `len`; `EEXIST` if something is mapped in the range;
            /// `EBADF`; `EACCES` if the file is not open for what the mapping does; `ENODEV` if it is not a regular
            /// file; `ENOMEM`, also if the process would have more than `REGIONS_MAX` mappings. Nothing has changed
            /// then.
            Map: fn map(address: usize, len: usize, protection: u32, flags: u32, fd: i32, offset: u64) -> usize;

            /// Removes whatever is mapped in the `len` bytes at `address`; of a mapping that lies there in part, that
            /// part. That nothing is mapped there is no error. Returns 0.
            ///
            /// Errors: `EINVAL` if `address` or `len` is not a multiple of the page size, or the range is empty, wraps
            /// or leaves user space; `EPERM` if a part of it is pinned; `ENOMEM` for cutting a mapping in two. Nothing
            /// has changed then.
            Unmap: fn unmap(address: usize, len: usize) -> usize;

            /// Gives the `len` bytes at `address`, all of them mapped, the rights `protection`, and pins them or unpins
            /// them as that says. Takes effect for all threads before it returns. Returns 0.
            ///
            /// Errors: those of `unmap` but `EPERM`; `EINVAL` for a bad `protection`; `EFAULT` if a page of the range
            /// is in no mapping; `EACCES` for writing to a shared mapping of a file that was not open for writing.
            /// Nothing has changed then.
            Protect: fn protect(address: usize, len: usize, protection: u32) -> usize;

            /// Moves the contents of the `len` bytes at `address`, all of them mapped, into other frames of memory,
            /// which the kernel chooses; those of pages that are shared on purpose stay. Programs see nothing of it: no
            /// store is lost, wherever their threads run. Returns 0.
            ///
            /// Errors: those of `unmap`; `EFAULT` if a page of the range is in no mapping; `ENOMEM`. Nothing has
            /// changed then that a program could notice.
            Move: fn r#move(address: usize, len: usize) -> usize;

            /// Says in `info` what is mapped at `address`. Returns 0.
            ///
            /// Errors: `EINVAL` if `address` is not in user space; `EFAULT` if nothing is mapped there, or for a bad
            /// `info`.
            Mapping: fn mapping(address: usize, info: *mut MappingInfo) -> usize;

            /// Gives `len_pages` pages at `address` back, all of them mapped by `page_alloc` or `page_alloc_range`, or
            /// none. Returns 0.
            ///
            /// Errors: `EINVAL` as for `page_alloc_range`; `EFAULT` if a page of the range does not come from
            /// `page_alloc`; `EPERM` if one is pinned; `ENOMEM` for cutting a mapping in two. Nothing has changed then.
            PageFree: fn page_free(address: usize, len_pages: usize) -> usize;

            /// Makes `handler` the process's handler for all signals that can be caught; 0: none. Returns 0.
            ///
            /// The handler is called with three arguments: the signal, the address and the kind of the fault that it
            /// comes from (`FaultKind`; both 0 for a signal that was sent). It runs on the stack of the thread that it
            /// interrupts, at least `RED_ZONE_LEN` bytes below, and when it returns the thread goes on where it was,
            /// with all registers as they were, those of the FPU too. While it runs, the thread takes no other signal;
            /// a fault, or a stack that cannot be written, ends the process.
            ///
            /// Errors: `EINVAL` if `handler` is neither 0 nor in user space; `ENOMEM`.
            Signal: fn signal(handler: usize) -> usize;

            /// Makes `handler` the process's handler for `signal`; 0: none.
            ///
            /// Returns the handler that it had; 0: none.
            ///
            /// Errors: `EINVAL` if `signal` is no signal or `SIGKILL`, or `handler` is neither 0 nor in user space;
            /// `ENOMEM`.
            SigAction: fn sigaction(signal: i32, handler: usize) -> usize;

            /// Ends the handler that the caller is in: it goes on where the signal has interrupted it. Outside of a
            /// handler it does nothing, and returns 0.
            SigReturn: fn sigreturn() -> usize;

            /// Starts a thread in the caller's process, with the caller's affinity, that runs `function` with the one
            /// argument `argument` and the stack pointer `stack_top`. A function expects that stack pointer to be 8
            /// less than a multiple of 16, and to find there the address to which it returns: it can be that of code
            /// that calls `exit_thread` with the result. Everything else in the thread's registers is 0.
            ///
            /// Returns the thread's id.
            ///
            /// Errors: `EINVAL` if `function` or `stack_top` is not in user space (`stack_top` may be just behind it);
            /// `ENOMEM`; `EAGAIN` if the process table is full.
            CreateThread: fn create_thread(function: usize, argument: usize, stack_top: usize) -> Pid;

            /// As `create_thread`, with all registers as given in `registers`, as far as they give no right: see
            /// `ThreadRegisters`.
            ///
            /// Errors: those of `create_thread`; `EINVAL` for a `tls_base` that is not canonical; `EFAULT`.
            CreateThreadRegisters: fn create_thread_registers(registers: *const ThreadRegisters) -> Pid;

            /// Ends the calling thread. Another one of the process can get `value` by `join_thread`. The last thread of
            /// a process ends it, as by `exit` with `value`. Does not return.
            ExitThread: fn exit_thread(value: usize) -> usize;

            /// Asks whether the thread `tid` of the caller's process has ended. If so, forgets it: its id may be used
            /// again.
            ///
            /// Returns the value that the thread gave to `exit_thread`. One that could be an error cannot be told from
            /// it: `join_thread_wait` tells.
            ///
            /// Errors: `EAGAIN` if it has not ended; `ESRCH` if there is no such thread in the process, or it has been
            /// joined; `EDEADLK` for the caller itself.
            JoinThread: fn join_thread(tid: Pid) -> usize;

            /// Waits until the thread `tid` of the caller's process has ended, stores in `value` (unless it is null)
            /// what it gave to `exit_thread`, and forgets it: its id may be used again. Returns 0.
            ///
            /// Errors: those of `join_thread` but `EAGAIN`; `EFAULT` for a bad `value` (the thread is then not
            /// forgotten); `EINTR`.
            JoinThreadWait: fn join_thread_wait(tid: Pid, value: *mut usize) -> usize;

            /// Makes `address` the base of FS for the calling thread: where it finds what is its own. A new thread has
            /// 0, the child of a fork what its parent had. Returns 0.
            ///
            /// Errors: `EINVAL` if `address` is not canonical.
            SetTlsBase: fn set_tls_base(address: usize) -> usize;

            /// If the word at `address` is `value`, waits until another thread calls `futex_wake` for this word. In
            /// shared memory that can be a thread of another process. Returns 0.
            ///
            /// Errors: `EAGAIN` if the word is something else; `EINVAL` if `address` is not a multiple of 4; `EFAULT`;
            /// `EINTR`.
            FutexWait: fn futex_wait(address: *const u32, value: u32) -> usize;

            /// Wakes up to `count` of the threads that wait for the word at `address`, those first that have waited
            /// longest.
            ///
            /// Returns how many.
            ///
            /// Errors: `EINVAL` if `address` is not a multiple of 4; `EFAULT` if nothing is mapped there.
            FutexWake: fn futex_wake(address: *const u32, count: u32) -> usize;

            /// Offers the page at `address` to the process `pid`, which can then map it too, by `attach`. The page
            /// becomes shared memory: if somebody else has had its frame too (after a fork, or as a file), the caller
            /// gets a copy first, and children of later forks share it with the caller. The offer is good as long as
            /// that page is there, also if it is moved, and both processes live. Returns 0.
            ///
            /// Errors: `EINVAL` if `address` is not page-aligned or not in user space, or `pid` is the caller's own;
            /// `ESRCH` if there is no such process, or it has ended; `EFAULT` if nothing is mapped there; `EACCES` if
            /// it is a shared mapping of a file; `EAGAIN` if the caller has `OFFERS_MAX` offers to processes that live;
            /// `ENOMEM`.
            Share: fn share(pid: Pid, address: usize) -> usize;

            /// Maps at `local` the page that the process `pid` has at `remote` and has offered to the caller's process.
            /// It can be written if its owner can write it now, and stays when the owner unmaps it or ends. Returns 0.
            ///
            /// Errors: `EINVAL` if `remote` or `local` is not page-aligned or not in user space, or `pid` is the
            /// caller's own; `ESRCH` if there is no such process, or it has ended; `EPERM` if that page has not been
            /// offered to the caller or is not there any more; `EEXIST` if something is mapped at `local`; `ENOMEM`.
            /// Nothing has changed then.
            Attach: fn attach(pid: Pid, remote: usize, local: usize) -> usize;

            /// Takes up to `len` bytes out of the pipe that all processes have in common, and stores them at `buffer`.
            /// While the pipe is empty it waits; the boot option `pipe=` makes it return instead, or take one byte at a
            /// time. The pipe has no ends that could be closed.
            ///
            /// Returns how many bytes it took; 0 if `len` is 0.
            ///
            /// Errors: `EFAULT` (nothing has been taken then); `EINTR`; with `pipe=noblock`, `EAGAIN` if the pipe is
            /// empty.
            PipeRead: fn piperead(buffer: *mut u8, len: usize) -> usize;

            /// Puts the `len` bytes at `buffer` into the pipe that all processes have in common. Waits until all are in
            /// it; the boot option `pipe=` makes it return instead, or put one byte at a time. Up to `COMMON_PIPE_LEN`
            /// bytes get there in one step.
            ///
            /// Returns how many bytes it put there: less than `len` only by the boot option, or if an error came after
            /// the first byte.
            ///
            /// Errors: `EFAULT`; `EINTR`; with `pipe=noblock`, `EAGAIN` if the pipe is full.
            PipeWrite: fn pipewrite(buffer: *const u8, len: usize) -> usize;

            /// Puts the `len` bytes at `bytes` on the screen as they are, one to a cell, from the cell in `row` and
            /// `column` (from 0) on, in the colours of `attribute`: the foreground in its low four bits, the background
            /// in the next three. The serial line gets them too, with a `?` for what is no printable ASCII. Where other
            /// text goes on does not change. Returns 0.
            ///
            /// Errors: `EINVAL` if the screen of `SCREEN_ROWS` by `SCREEN_COLUMNS` cells does not have all of the cells
            /// in that row, or `attribute` has more bits; `EFAULT`.
            ConsolePut: fn console_put(row: u32, column: u32, attribute: u32, bytes: *const u8, len: usize) -> usize;

            /// Writes the NUL-terminated `message` with the caller's name and id to the kernel log, with U+FFFD for
            /// what is not UTF-8. Returns 0.
            ///
            /// Errors: `E2BIG` if it is longer than `LOG_MAX` bytes; `EFAULT`.
            Log: fn log(message: *const u8) -> usize;
        }
    };
}

/// An argument of a system call.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type as Rust spells it.
    pub kind: &'static str,
}

/// An entry of the table of system calls.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct SystemCall {
    /// Its number.
    pub number: Sysno,
    /// Its name.
    pub name: &'static str,
    /// Its arguments, at most six.
    pub arguments: &'static [Argument],
    /// The type of its result as Rust spells it.
    pub result: &'static str,
    /// What it does, a line each.
    pub documentation: &'static [&'static str],
}

macro_rules! define_table {
    ($($(#[doc = $doc:literal])+
       $variant:ident: fn $name:ident($($argument:ident: $(*$pointer:ident)? $kind:ident),*) -> $result:ident;)+) => {
        /// The number of a system call.
        #[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
        #[repr(usize)]
        pub enum Sysno {
            $($(#[doc = $doc])+ $variant,)+
        }

        /// The system calls, in the order of their numbers.
        pub static TABLE: [SystemCall; Sysno::COUNT] = [$(SystemCall {
            number: Sysno::$variant,
            name: without_raw_prefix(stringify!($name)),
            arguments: &[$(Argument {
                name: stringify!($argument),
                kind: concat!($("*", stringify!($pointer), " ",)? stringify!($kind)),
            }),*],
            result: stringify!($result),
            documentation: &[$($doc),+],
        }),+];

        impl Sysno {
            /// How many system calls there are.
            pub const COUNT: usize = [$(Sysno::$variant),+].len();
        }
    };
}
for_each_system_call!(define_table);

impl Sysno {
    /// The system call with this number, if there is one.
    pub fn from_number(number: usize) -> Option<Sysno> {
        TABLE.get(number).map(|call| call.number)
    }

    /// The number that goes into `rax`.
    pub const fn number(self) -> usize {
        self as usize
    }

    /// The call's name.
    pub fn name(self) -> &'static str {
        TABLE.get(self.number()).map_or("", |call| call.name)
    }
}

/// `r#yield` names a call that is called `yield`.
const fn without_raw_prefix(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sysno, TABLE};

    #[test]
    fn numbers_are_the_positions_in_the_table() {
        for (position, call) in TABLE.iter().enumerate() {
            assert_eq!(call.number.number(), position);
            assert_eq!(Sysno::from_number(position), Some(call.number));
        }
        assert_eq!(Sysno::from_number(TABLE.len()), None);
        assert_eq!(Sysno::from_number(usize::MAX), None);
    }

    #[test]
    fn every_call_is_documented_and_has_registers_for_its_arguments() {
        for call in &TABLE {
            assert!(call.arguments.len() <= 6, "{}", call.name);
            assert!(
                call.documentation.iter().any(|line| line.len() > 10),
                "{}",
                call.name
            );
        }
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let names: Vec<&str> = TABLE.iter().map(|call| call.name).collect();
        let expected = "getpid getppid gettid yield exit fork spawn spawn_with waitpid kill sleep_ms clock_ns getcpu \
                        set_affinity get_affinity page_alloc page_alloc_range open close read write seek dup readdir \
                        pipe sysinfo panic map unmap protect move mapping page_free signal sigaction sigreturn \
                        create_thread create_thread_registers exit_thread join_thread join_thread_wait set_tls_base \
                        futex_wait futex_wake share attach piperead pipewrite console_put log";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn signatures_read_like_rust() {
        let read = TABLE[Sysno::Read.number()];
        let arguments: Vec<String> = read
            .arguments
            .iter()
            .map(|argument| format!("{}: {}", argument.name, argument.kind))
            .collect();
        assert_eq!(arguments.join(", "), "fd: i32, buffer: *mut u8, len: usize");
        assert_eq!(read.result, "usize");
    }
}
