//! Where the program writes: what it is doing goes to standard error, the result to standard output, as tables or as one JSON
//! object.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// The two streams of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Standard output is for a program.
    pub(crate) json: bool,
}

impl Screen {
    /// Says what is being done now.
    pub(crate) fn say(&self, text: &str) {
        // Nobody may be listening.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A part of the result.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// A bar that counts up to `length`; only where somebody sees it.
    pub(crate) fn progress(&self, length: u64, what: &'static str) -> ProgressBar {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("  {bar:40} {human_pos} of {human_len} {msg}, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_message(what);
        style.map_or(bar.clone(), |style| bar.with_style(style))
    }
}
