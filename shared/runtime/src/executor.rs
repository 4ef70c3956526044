//! What runs the tasks of a process. On one thread no task is ever handed from one processor to another, which costs more than most
//! calls do; so that is how a service runs unless it is told otherwise.

use std::{io, num::NonZero};
use tokio::runtime::{Builder, Runtime};

/// Runs tasks on so many threads.
pub fn new(threads: NonZero<usize>) -> io::Result<Runtime> {
    let mut builder = if threads.get() == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads.get() > 1 {
        builder.worker_threads(threads.get());
    }
    builder.enable_all().build()
}
