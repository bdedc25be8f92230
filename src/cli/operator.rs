//! `readmit` and `resume`: what operators decide when somebody was proven guilty.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::control::{Answer, Ask};

use super::error::CliError;
use super::{local, output};

/// The arguments of `readmit`.
#[derive(Args, Debug)]
pub(super) struct ReadmitArgs {
    /// The client's name in the network file
    client: String,
}

#[derive(Serialize)]
struct Decided<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    readmitted: Option<&'a str>,
    resumed: bool,
}

/// Lets a client in again at the mix of `home`. Each operator decides for their own mix.
///
/// # Errors
/// If no such client is out, or the daemon does not answer.
pub(super) async fn readmit(args: &ReadmitArgs, home: &Path, json: bool) -> Result<(), CliError> {
    let client = args.client.as_str();
    tell(home, &Ask::Readmit { client: client.into() }).await?;
    let words = format!("{client} is let in again by this mix; it takes part when all mixes have done so");
    let decided = Decided { readmitted: Some(client), resumed: false };
    output::line(&if json { output::json(&decided) } else { words })
}

/// Goes on after a mix was proven guilty, at the mix of `home`.
///
/// # Errors
/// If nothing stands still, or the daemon does not answer.
pub(super) async fn resume(home: &Path, json: bool) -> Result<(), CliError> {
    tell(home, &Ask::Resume).await?;
    let decided = Decided { readmitted: None, resumed: true };
    let words = "this mix goes on; rounds run when all mixes do".to_owned();
    output::line(&if json { output::json(&decided) } else { words })
}

async fn tell(home: &Path, ask: &Ask) -> Result<(), CliError> {
    let mut daemon = local::connect(&local::open_home(home)?).await?;
    match local::ask(&mut daemon, ask).await? {
        Answer::Done => Ok(()),
        _ => Err(local::unexpected()),
    }
}
