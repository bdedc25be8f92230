//! Log lines on stderr, as text or as JSON.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, LogLevel};

/// Starts logging; a second call changes nothing.
///
/// Only this program's own lines follow `level`. Those of the libraries below it name addresses of peers and single
/// packets, so nothing but their errors is ever written.
pub(super) fn start(format: LogFormat, level: LogLevel) {
    let targets = Targets::new().with_target(env!("CARGO_CRATE_NAME"), filter(level)).with_default(LevelFilter::ERROR);
    let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(ansi);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // Tests of several daemons in one process start it more than once.
    let _started = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
