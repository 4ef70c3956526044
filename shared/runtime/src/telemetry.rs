//! The log and the traces. In flow a format, a default filter and perhaps a collector; out come lines on standard error, never on
//! standard output, which belongs to results, and spans to the collector. What is logged is not known here.

use crate::{
    collector::{self, Collector, Source},
    trace,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::{env, fmt, io::IsTerminal, str::FromStr, time::Duration};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// What is left of the spans at the end is sent within this time, or lost.
const LAST: Duration = Duration::from_secs(1);

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
    /// No spans can be sent.
    #[error("spans can not be sent to the collector: {0}")]
    Collector(String),
}

/// What has to be ended with the process.
#[derive(Debug)]
#[must_use = "the last spans are sent when it is ended"]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts the log of the process, and its traces if there is a collector. `RUST_LOG` says what is logged, else `default`, such as
/// `info`. With a collector it must be called within a tokio runtime.
pub fn init(
    format: Format,
    default: &str,
    collector: Option<&Collector>,
    source: Source,
) -> Result<Telemetry, TelemetryError> {
    let asked = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let filter = parse(asked.as_deref().unwrap_or(default))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => {
            let coloured = coloured();
            let text = format::format().with_ansi(coloured);
            lines.with_ansi(coloured).event_format(Traced { format: text, add: add_to_text }).boxed()
        }
        Format::Json => {
            let json = format::json().flatten_event(true);
            lines.fmt_fields(JsonFields::new()).event_format(Traced { format: json, add: add_to_json }).boxed()
        }
    };
    let provider = collector
        .map(|collector| collector::start(collector, source))
        .transpose()
        .map_err(TelemetryError::Collector)?;
    let mut layers = vec![lines.with_filter(filter).boxed()];
    layers.extend(provider.as_ref().map(|provider| spans(provider.tracer(env!("CARGO_PKG_NAME"))).boxed()));
    tracing_subscriber::registry().with(layers).try_init().map_err(|_| TelemetryError::Started)?;
    Ok(Telemetry(provider))
}

impl Telemetry {
    /// Sends the last spans. A collector that does not take them holds this up for a second.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}

/// Takes spans of traces, and nothing else: not those of the connection to the collector.
pub(crate) fn spans(tracer: SdkTracer) -> impl Layer<Registry> + Send + Sync {
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(trace::TARGET, tracing::Level::TRACE))
}

/// A line of the log with the trace and the span whose work it is about.
struct Traced<F> {
    format: F,
    /// Puts them into a finished line.
    add: fn(&str, &str, &str) -> String,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(span) = trace::current() else { return self.format.format_event(context, writer, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let (trace, span) = (span.trace_id().to_string(), span.span_id().to_string());
        writeln!(writer, "{}", (self.add)(line.trim_end(), &trace, &span))
    }
}

fn add_to_text(line: &str, trace: &str, span: &str) -> String {
    format!("{line} trace_id={trace} span_id={span}")
}

fn add_to_json(line: &str, trace: &str, span: &str) -> String {
    let object = line.strip_suffix('}').unwrap_or(line);
    format!(r#"{object},"trace_id":"{trace}","span_id":"{span}"}}"#)
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
        let source = Source { service: "test", version: "1" };
        let outcomes = [init(Format::Json, "off", None, source), init(Format::Text, "off", None, source)];
        assert!(matches!(outcomes, [Ok(Telemetry(None)), Err(TelemetryError::Started)]), "{outcomes:?}");
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

    #[test]
    fn a_line_about_a_call_says_which_trace_it_is_in() {
        assert_eq!(add_to_text("INFO done", "0a", "0b"), "INFO done trace_id=0a span_id=0b");
        let line = add_to_json(r#"{"message":"done {}"}"#, "0a", "0b");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line, serde_json::json!({ "message": "done {}", "trace_id": "0a", "span_id": "0b" }));
    }
}
