//! Asking the daemon of a home.

use std::path::Path;

use crate::config::Home;
use crate::control::{Answer, Ask, ControlError, Stream};

use super::args::SettingArgs;
use super::error::{CliError, Exit};

/// The home in `dir` with the environment over its settings.
///
/// # Errors
/// If there is none, or its settings are wrong.
pub(super) fn open_home(dir: &Path) -> Result<Home, CliError> {
    Ok(Home::open(dir, SettingArgs::default().overrides())?)
}

/// A connection to the daemon of `home`.
///
/// # Errors
/// If none answers: exit code 75.
pub(super) async fn connect(home: &Home) -> Result<Stream, CliError> {
    Stream::connect(&home.control).await.map_err(|error| match error {
        ControlError::NotRunning(_) => CliError::new(
            Exit::TryAgain,
            format!(
                "no daemon answers at {}\nhelp: start it with `run --home {}`, or wait until it has all keys",
                home.control.display(),
                home.dir.display()
            ),
        ),
        other => other.into(),
    })
}

/// Asks, and takes a failure for an error.
///
/// # Errors
/// If the daemon goes away, or refuses.
pub(super) async fn ask(stream: &mut Stream, ask: &Ask) -> Result<Answer, CliError> {
    stream.send(ask).await?;
    answer(stream).await
}

/// The next answer; a failure is an error.
///
/// # Errors
/// As [`ask`].
pub(super) async fn answer(stream: &mut Stream) -> Result<Answer, CliError> {
    match stream.receive().await? {
        Answer::Failed(failure) => Err(failure.into()),
        answer => Ok(answer),
    }
}

/// For an answer that is none to what was asked.
pub(super) fn unexpected() -> CliError {
    CliError::new(
        Exit::Network,
        "the daemon gave another answer than was asked for\nhelp: restart it after an update, so that both are of one version",
    )
}
