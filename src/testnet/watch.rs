//! Whether a network runs, as its own processes see it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::control::{Answer, Ask, Stream};

use super::{Layout, TestnetError};

/// Time for everybody to start and for a round to come through, beside what rounds take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds that may pass before the first is stored.
const ROUNDS: u32 = 10;
/// How often it is asked.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A daemon that answers later has something else to do.
const ANSWER: Duration = Duration::from_secs(2);

/// Waits until every client takes part and the exit has stored a round.
///
/// # Errors
/// If that takes longer than a minute and ten rounds.
pub async fn ready(layout: &Layout) -> Result<(), TestnetError> {
    let patience = PATIENCE + Duration::from_secs_f64(layout.network.round_seconds) * ROUNDS;
    let until = Instant::now() + patience;
    let mut waiting: Vec<_> = layout.clients.iter().collect();
    loop {
        let mut still = Vec::new();
        for home in waiting {
            if !status(&home.control).await.is_some_and(|status| status["connected"] == true) {
                still.push(home);
            }
        }
        waiting = still;
        let missing = match (waiting.first(), layout.mixes.last()) {
            (Some(client), _) => {
                format!("{} of {} clients, {} first, are not connected", waiting.len(), layout.clients.len(), client.id)
            }
            (None, Some(exit)) => {
                let stored = status(&exit.control).await.and_then(|status| status["rounds"]["stored"].as_u64());
                if stored.is_some_and(|stored| stored > 0) {
                    return Ok(());
                }
                format!("{} has stored none", exit.id)
            }
            (None, None) => return Ok(()),
        };
        if Instant::now() > until {
            let (seconds, dir) = (patience.as_secs(), layout.dir.clone());
            return Err(TestnetError::NotReady { seconds, missing, dir });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The state of the daemon that listens at `control`; `None` if it does not answer.
pub async fn status(control: &Path) -> Option<Value> {
    let asked = async {
        let mut stream = Stream::connect(control).await.ok()?;
        stream.send(&Ask::Status).await.ok()?;
        match stream.receive().await.ok()? {
            Answer::Status(json) => serde_json::from_str(&json).ok(),
            _ => None,
        }
    };
    tokio::time::timeout(ANSWER, asked).await.ok().flatten()
}
