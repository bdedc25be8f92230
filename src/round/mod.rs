//! A round at a mix: collecting submissions, taking in a batch, the work on packets, the verdict.
//!
//! These are the parts; [`crate::mix::Mix`] puts them together and talks to the world. A round passes through the
//! [`Phase`]s in order; those of sealed rounds have their places.

mod batch;
mod collect;
mod docket;
mod echo;
mod handover;
mod intake;
mod list;
mod noise;
mod origins;
mod phase;
mod pieces;
pub mod seal;
mod submission;
mod work;

pub use batch::{OutgoingBatch, Shuffled};
pub use collect::{Collected, Collection};
pub use docket::{Docket, Ruling};
pub use echo::{EchoError, ListPlace, ReturnPath, check_echoes, first_echoes, published};
pub use handover::{HandOverCheck, HandOvers};
pub use intake::{Intake, IntakeError, PeeledSegment};
pub use list::{
    AnswerFault, EntryList, Impossible, Inadmissible, List, ListAnswer, ListFault, ListRules, ListRuling, Struck,
    TakenList,
};
pub use noise::{Budget, Noise, NoiseCounts, NoisePlan};
pub use origins::Origins;
pub use phase::Phase;
pub use pieces::{BadPiece, Pieces, piece, pieces};
pub use seal::Seal;
pub use submission::{Admission, Attempt, Judged, Submission, SubmissionFault};
pub use work::{Done, Job, Letters};
