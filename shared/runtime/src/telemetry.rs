//! The log. In flow a format and a default filter; out come lines on standard error, never on standard output, which belongs to
//! results. What is logged is not known here.

use std::{env, fmt, io::IsTerminal, str::FromStr};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be `text` or `json`".into()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` (or the default) is not understood.
    #[error("`{0}` is not a log filter; write RUST_LOG as info or crm_order=debug,info")]
    Filter(String),
    /// The process has a log already.
    #[error("the log was started already")]
    Started,
}

/// Starts the log of the process. `RUST_LOG` says what is shown, else `default`, such as `info`.
pub fn init(format: Format, default: &str) -> Result<(), TelemetryError> {
    let asked = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let filter = parse(asked.as_deref().unwrap_or(default))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        Format::Text => registry.with(lines.with_ansi(coloured())).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|_| TelemetryError::Started)
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|_| TelemetryError::Filter(filter.to_owned()))
}

fn coloured() -> bool {
    std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_starts_once() {
        let outcomes = [init(Format::Json, "off"), init(Format::Text, "off")];
        assert!(matches!(outcomes, [Ok(()), Err(TelemetryError::Started)]), "{outcomes:?}");
    }

    #[test]
    fn a_filter_that_is_not_understood_is_an_error() {
        assert!(parse("info,crm_order=debug").is_ok());
        assert!(matches!(parse("crm_order=loudly"), Err(TelemetryError::Filter(_))));
    }

    #[test]
    fn formats_read_back() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("xml".parse::<Format>().is_err());
    }
}
