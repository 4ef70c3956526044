//! Where a command writes: tables, headings and progress for people, or one JSON object for programs.
//!
//! With `--json` everything meant for people is left out, so that standard output holds the object and nothing else.

use crate::args::ColorWhen;
use crate::json;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, modifiers, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::Value;
use std::io::{self, BufRead, IsTerminal, Write};

/// How wide a table may be where no terminal says it.
const WIDTH: u16 = 120;

/// How long a line of a text may be.
const LINE: usize = 100;

/// The two streams of the process and how to write on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    json: bool,
    color: bool,
    color_errors: bool,
}

/// How a piece of text shall stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// What matters most.
    Strong,
    /// It went well.
    Good,
    /// It went badly.
    Bad,
    /// It changed.
    Changed,
    /// Less important.
    Dim,
}

impl Screen {
    /// For this process.
    pub(crate) fn new(json: bool, color: ColorWhen) -> Self {
        let wanted = |terminal: bool| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self { json, color: wanted(io::stdout().is_terminal()), color_errors: wanted(io::stderr().is_terminal()) }
    }

    /// True if a program reads standard output.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// The one JSON object of a command.
    pub(crate) fn emit(&self, value: &Value) -> anyhow::Result<()> {
        Ok(writeln!(io::stdout().lock(), "{}", json::readable(value))?)
    }

    /// One of the JSON objects of a command that goes on, on a line of its own.
    pub(crate) fn emit_line(&self, value: &Value) -> anyhow::Result<()> {
        Ok(writeln!(io::stdout().lock(), "{value}")?)
    }

    /// A line for people.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        if !self.json {
            writeln!(io::stdout().lock(), "{text}")?;
        }
        Ok(())
    }

    /// A heading with room above it.
    pub(crate) fn heading(&self, text: &str) -> anyhow::Result<()> {
        self.line(&format!("\n{}", self.paint(Paint::Strong, text)))
    }

    /// Sentences for people, broken between words.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        wrap(text).iter().try_for_each(|line| self.line(line))
    }

    /// A remark, such as what the next table shows.
    pub(crate) fn note(&self, text: &str) -> anyhow::Result<()> {
        wrap(text).iter().try_for_each(|line| self.line(&self.paint(Paint::Dim, line)))
    }

    /// A line on standard error, whoever reads.
    pub(crate) fn complain(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(io::stderr().lock(), "{text}")?)
    }

    /// True if a person sits in front of it who can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && io::stdin().is_terminal()
    }

    /// Asks a person; everything but a yes is a no, and is told.
    pub(crate) fn ask(&self, question: &str) -> anyhow::Result<bool> {
        write!(io::stdout(), "{}", self.paint(Paint::Strong, &format!("{question} [y/N] ")))?;
        io::stdout().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        let yes = matches!(answer.trim(), "y" | "Y" | "yes");
        if !yes {
            self.line("Nothing was changed.")?;
        }
        Ok(yes)
    }

    /// An empty table with these headings, as wide as the terminal at most. The columns `whole` are never broken: names
    /// that people copy, codes.
    pub(crate) fn new_table_keeping(&self, headings: &[&str], whole: &[usize]) -> Table {
        let mut table = self.new_table(headings);
        for &column in whole {
            if let Some(column) = table.column_mut(column) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table
    }

    /// An empty table with these headings, as wide as the terminal at most.
    pub(crate) fn new_table(&self, headings: &[&str]) -> Table {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .apply_modifier(modifiers::UTF8_ROUND_CORNERS)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
        let is_terminal = io::stdout().is_terminal();
        if self.color {
            table.enforce_styling();
        } else if !is_terminal {
            table.force_no_tty();
        } else {
            table.style_text_only();
        }
        if !is_terminal {
            table.set_width(WIDTH);
        }
        table
    }

    /// A cell that stands out.
    pub(crate) fn cell(&self, paint: Paint, text: impl ToString) -> Cell {
        let cell = Cell::new(text);
        if !self.color {
            return cell;
        }
        match paint {
            Paint::Strong => cell.add_attribute(Attribute::Bold),
            Paint::Good => cell.fg(Color::Green),
            Paint::Bad => cell.fg(Color::Red),
            Paint::Changed => cell.fg(Color::Yellow).add_attribute(Attribute::Bold),
            Paint::Dim => cell.add_attribute(Attribute::Dim),
        }
    }

    /// Shows a table.
    pub(crate) fn table(&self, table: &Table) -> anyhow::Result<()> {
        self.line(&table.to_string())
    }

    /// Text for standard output that stands out.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if self.color { escape(paint, text) } else { text.to_owned() }
    }

    /// Text for standard error that stands out.
    pub(crate) fn paint_error(&self, paint: Paint, text: &str) -> String {
        if self.color_errors { escape(paint, text) } else { text.to_owned() }
    }

    /// A count on standard error of which nobody knows how far it goes; it draws nothing unless that is a terminal.
    pub(crate) fn spinner(&self, what: &str) -> ProgressBar {
        let bar = self.progress(0, what);
        bar.unset_length();
        match ProgressStyle::with_template("{spinner} {msg} {human_pos}  {rate}") {
            Ok(style) => bar.with_style(style.with_key("rate", rate)),
            Err(_) => bar,
        }
    }

    /// A progress bar on standard error; it draws nothing unless that is a terminal.
    pub(crate) fn progress(&self, length: u64, what: &str) -> ProgressBar {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target).with_message(what.to_owned());
        match ProgressStyle::with_template("{msg:<14} {bar:36} {human_pos}/{human_len}  {rate}  {eta} left") {
            Ok(style) => bar.with_style(style.with_key("rate", rate)),
            Err(_) => bar, // the default style shows the same, less neatly
        }
    }
}

/// `148/s`. Where it cannot be written there is nobody to read it.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = write!(out, "{:.0}/s", state.per_sec());
}

/// Breaks a text between words, so that it fits any terminal in which the tables do.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < LINE => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escape(paint: Paint, text: &str) -> String {
    let code = match paint {
        Paint::Strong => "1",
        Paint::Good => "32",
        Paint::Bad => "1;31",
        Paint::Changed => "1;33",
        Paint::Dim => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_used_only_where_it_is_wanted() {
        let plain = Screen::new(false, ColorWhen::Never);
        assert_eq!(plain.paint(Paint::Bad, "no"), "no");
        let loud = Screen::new(false, ColorWhen::Always);
        assert_eq!(loud.paint(Paint::Bad, "no"), "\u{1b}[1;31mno\u{1b}[0m");
    }

    #[test]
    fn a_column_that_people_copy_is_never_broken() {
        let name = "opportunities/01900000-0000-7000-8000-000000000001";
        let mut table = Screen::new(false, ColorWhen::Never).new_table_keeping(&["name", "title"], &[0]);
        table.set_width(100).add_row([name.to_owned(), "word ".repeat(40)]);
        assert!(table.to_string().contains(name));
        assert!(table.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn a_long_text_is_broken_between_words() {
        let text = "close-out ".repeat(30);
        let lines = wrap(&text);
        assert_eq!(lines.join(" "), text);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.chars().count() <= LINE));
    }

    #[test]
    fn a_plain_table_holds_no_escape_codes() {
        let screen = Screen::new(false, ColorWhen::Never);
        let mut table = screen.new_table(&["客户", "state"]);
        table.add_row([Cell::new("华东电子"), screen.cell(Paint::Changed, "LOST")]);
        assert!(!table.to_string().contains('\u{1b}'));
    }
}
