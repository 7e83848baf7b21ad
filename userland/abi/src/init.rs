//! What the kernel asks of `init`, the process that is always there.
//!
//! Two descriptors of `init` are pipes whose other ends the kernel has. Through the first comes a request: a program's
//! name and, behind a blank, its argument string, in one piece. To the second `init` writes numbers, each an `i32` in
//! the order of the machine's bytes. The first is [`READY`], when it has begun to wait for requests. For each it starts
//! the program and writes two: at once the child's id, or an error as of a system call, and then nothing more; and the
//! [`ExitStatus`](crate::ExitStatus) when the child has ended. The next request comes after that.

/// Where `init` reads what the kernel asks for.
pub const REQUESTS: i32 = 3;

/// Where `init` writes its answers.
pub const ANSWERS: i32 = 4;

/// The first answer, before any request.
pub const READY: i32 = 0;

/// The longest request in bytes: a pipe moves it in one piece.
pub const REQUEST_MAX: usize = crate::PIPE_ATOMIC;
