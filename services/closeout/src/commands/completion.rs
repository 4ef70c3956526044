//! `closeout completion`: what a shell has to know to complete this command line.

use crate::args::Cli;
use crate::failure::Ending;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  closeout completion bash > ~/.local/share/bash-completion/completions/closeout
  closeout completion zsh  > ~/.zfunc/_closeout        (with ~/.zfunc in fpath)
  closeout completion fish > ~/.config/fish/completions/closeout.fish";

/// Flags of `completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// For which shell.
    shell: Shell,
}

/// Prints it. Nothing has to run for it, and `--json` changes nothing: it is for a program anyway.
pub(super) fn run(args: &CompletionArgs) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "closeout", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Ending::Done)
}
