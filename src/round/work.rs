//! The work on packets: pure functions of their inputs, for the driver to run wherever there is a core.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blame::{Case, CaseFault, Evidence, Exhibits, Ruling};
use crate::crypto::{Csprng, Digest, MailboxId};
use crate::packet::{Commitment, Echo, EnvelopeKey, NO_EXTRA, Peeler, RoundContext, Slots};
use crate::wire::{ListKeys, Network, SignedListHeader, StoredLetter, onion_digests};

use super::batch::{OutgoingBatch, Shuffled};
use super::submission::{Attempt, Judged, Submission, SubmissionFault};
use super::{
    EchoError, HandOverCheck, ListFault, ListRules, NoisePlan, PeeledSegment, ReturnPath, Struck, TakenList,
    check_echoes, first_echoes,
};

/// Work asked for.
pub enum Job {
    /// Judge a client's submission and peel it.
    Submission {
        /// The round.
        round: u64,
        /// The client's roster index.
        client: u32,
        /// What it has sent.
        submission: Submission,
        /// What that is held against.
        attempt: Attempt,
    },
    /// At another mix: judge a submission that a client hands over.
    HandOver {
        /// The round.
        round: u64,
        /// The client's roster index.
        client: u32,
        /// What it has sent.
        submission: Submission,
        /// What that is held against.
        check: Arc<HandOverCheck>,
    },
    /// Digest and peel a piece of a batch.
    Segment {
        /// The round.
        round: u64,
        /// The stream it came on.
        stream: u64,
        /// Its place in the batch.
        segment: usize,
        /// Its packets.
        slots: Slots,
        /// The mix's key.
        peeler: Arc<Peeler>,
    },
    /// Shuffle a whole batch, the mix's own noise among it, and digest it in its new order.
    Shuffle {
        /// The round.
        round: u64,
        /// What all that is random follows from: the engine's draw, used for nothing else.
        rng: Box<Csprng>,
        /// The batch, peeled.
        segments: Vec<Slots>,
        /// What this mix adds.
        noise: Box<NoisePlan>,
    },
    /// Open a shuffled batch of envelopes.
    Open {
        /// The round.
        round: u64,
        /// The batch.
        batch: Shuffled,
        /// The exit's key.
        key: Box<EnvelopeKey>,
    },
    /// Hold a round's first list against its header and its MACs.
    List {
        /// The round.
        round: u64,
        /// What lists are held against.
        rules: ListRules,
        /// This mix, 2 to L.
        hop: u8,
        /// Its keys towards the clients.
        keys: Arc<ListKeys>,
        /// Who has been struck out in the epoch.
        struck: Struck,
        /// The list's.
        header: Box<SignedListHeader>,
        /// What followed it.
        body: Vec<u8>,
    },
    /// Begin the echoes of a batch that the exit has whole.
    FirstEchoes {
        /// The round.
        round: u64,
        /// The batch, peeled.
        segments: Vec<Slots>,
    },
    /// Send echoes back through this mix's shuffle.
    Back {
        /// The round.
        round: u64,
        /// The way.
        path: Box<ReturnPath>,
        /// In the order of the batch handed on.
        echoes: Vec<Echo>,
    },
    /// Hold published echoes against what clients committed to.
    CheckEchoes {
        /// The round.
        round: u64,
        /// What it is bound to.
        context: RoundContext,
        /// In the order of the list: the client and its commitment.
        commitments: Vec<(u32, Commitment)>,
        /// In the same order.
        echoes: Vec<Echo>,
    },
    /// At the entry, of a burnt round: the onions as they were submitted.
    Restore {
        /// The round.
        round: u64,
        /// What the entry handed on.
        batch: Arc<OutgoingBatch>,
        /// Its key.
        peeler: Box<Peeler>,
    },
    /// Hold what was shown of a burnt round against what was signed.
    Case {
        /// The round.
        round: u64,
        /// The network.
        network: Arc<Network>,
        /// What was shown.
        shown: Box<Exhibits>,
    },
    /// Replay a part of a burnt round.
    Replay {
        /// The round.
        round: u64,
        /// What was shown.
        case: Arc<Case>,
        /// The place in the list of the first of these packets.
        first: usize,
        /// Onions as they were submitted.
        onions: Slots,
    },
    /// Replay the mixes' own packets of a burnt round whose clients' are right, and hear the accusers.
    Close {
        /// The round.
        round: u64,
        /// What was shown.
        case: Arc<Case>,
        /// Each mix's noise by its hop, as far as the case needs it.
        noise: BTreeMap<u8, Vec<u8>>,
    },
}

/// Work done.
pub enum Done {
    /// Of [`Job::Submission`].
    Submission {
        /// The round.
        round: u64,
        /// The client's roster index.
        client: u32,
        /// What it has sent.
        judged: Judged,
    },
    /// Of [`Job::HandOver`].
    HandOver {
        /// The round.
        round: u64,
        /// The client's roster index.
        client: u32,
        /// Its packets and records, or why they are not taken.
        result: Result<Vec<u8>, SubmissionFault>,
    },
    /// Of [`Job::Segment`].
    Segment {
        /// The round.
        round: u64,
        /// What has become of it.
        peeled: PeeledSegment,
    },
    /// Of [`Job::Shuffle`].
    Shuffled {
        /// The round.
        round: u64,
        /// The batch.
        batch: Shuffled,
        /// Its digest.
        digest: Digest,
    },
    /// Of [`Job::Open`].
    Open {
        /// The round.
        round: u64,
        /// What the envelopes held.
        letters: Letters,
    },
    /// Of [`Job::List`].
    List {
        /// The round.
        round: u64,
        /// The list, good but for some clients; or why it is none.
        result: Result<Box<TakenList>, ListFault>,
    },
    /// Of [`Job::FirstEchoes`].
    FirstEchoes {
        /// The round.
        round: u64,
        /// The batch.
        segments: Vec<Slots>,
        /// In its order.
        echoes: Vec<Echo>,
    },
    /// Of [`Job::Back`].
    Back {
        /// The round.
        round: u64,
        /// In the order of the batch taken in.
        result: Result<Vec<Echo>, EchoError>,
    },
    /// Of [`Job::CheckEchoes`].
    CheckEchoes {
        /// The round.
        round: u64,
        /// Whether all commitments hold.
        result: Result<(), EchoError>,
    },
    /// Of [`Job::Restore`].
    Restored {
        /// The round.
        round: u64,
        /// Packets of W bytes in the order of the list.
        onions: Vec<u8>,
    },
    /// Of [`Job::Case`].
    Case {
        /// The round.
        round: u64,
        /// Ready to be replayed; or the evidence that is there without it, if any, or who owes something.
        result: Result<Arc<Case>, Result<Box<Evidence>, CaseFault>>,
    },
    /// Of [`Job::Replay`].
    Replayed {
        /// The round.
        round: u64,
        /// How many packets of the list are replayed now.
        until: usize,
        /// The first fault.
        ruling: Option<Ruling>,
    },
    /// Of [`Job::Close`].
    Closed {
        /// The round.
        round: u64,
        /// Against whose noise is wrong, who has touched it, or an accuser who found nothing.
        ruling: Option<Box<Evidence>>,
    },
}

/// The content of a round's envelopes, in shuffled order.
pub struct Letters {
    /// Where each goes.
    pub letters: Vec<(MailboxId, StoredLetter)>,
    /// Envelopes that did not open; dropped, never traced.
    pub unopened: u32,
}

impl Job {
    /// How many packets of a submission there are to peel: 0 of any other job, which is run by itself.
    pub fn submitted(&self) -> usize {
        match self {
            Job::Submission { submission, .. } => submission.packets.len(),
            _ => 0,
        }
    }

    /// Does the work of several jobs, in order; submissions among them are peeled together.
    pub fn run_together(jobs: Vec<Job>) -> Vec<Done> {
        let mut done = Vec::with_capacity(jobs.len());
        let mut submissions = Vec::new();
        for job in jobs {
            match job {
                Job::Submission { round, client, submission, attempt } => {
                    submissions.push((round, client, submission, attempt));
                }
                other => done.push(other.run()),
            }
        }
        let (mut of, mut attempts, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        for (round, client, submission, attempt) in submissions {
            of.push((round, client));
            attempts.push(attempt);
            sent.push(submission);
        }
        let together =
            attempts.iter().zip(&of).zip(sent).map(|((attempt, (_, client)), sent)| (attempt, *client, sent));
        let judged = Attempt::judge_together(together.collect());
        done.extend(of.into_iter().zip(judged).map(|((round, client), judged)| Done::Submission {
            round,
            client,
            judged,
        }));
        done
    }

    /// Does the work.
    pub fn run(self) -> Done {
        match self {
            Job::Submission { round, client, submission, attempt } => {
                Done::Submission { round, client, judged: attempt.judge(client, submission) }
            }
            Job::HandOver { round, client, submission, check } => {
                Done::HandOver { round, client, result: check.check(client, &submission) }
            }
            Job::Segment { round, stream, segment, mut slots, peeler } => {
                let hashes = onion_digests(slots.all_received());
                let result = peeler.peel(&mut slots, NO_EXTRA);
                Done::Segment { round, peeled: PeeledSegment { stream, segment, hashes, slots, result } }
            }
            Job::Shuffle { round, mut rng, segments, noise } => {
                let mut batch = shuffle(&mut rng, segments, &noise);
                Done::Shuffled { round, digest: batch.digest(), batch }
            }
            Job::Open { round, batch, key } => Done::Open { round, letters: open(batch, &key) },
            Job::List { round, rules, hop, keys, struck, header, body } => {
                let taken = TakenList::take(&rules, hop, &keys, &struck, *header, &body);
                Done::List { round, result: taken.map(Box::new) }
            }
            Job::FirstEchoes { round, segments } => {
                let echoes = first_echoes(round, &segments);
                Done::FirstEchoes { round, segments, echoes }
            }
            Job::Back { round, path, echoes } => {
                Done::Back { round, result: path.back(&echoes).map(|(echoes, _)| echoes) }
            }
            Job::CheckEchoes { round, context, commitments, echoes } => {
                Done::CheckEchoes { round, result: check_echoes(&context, &commitments, &echoes) }
            }
            Job::Restore { round, batch, peeler } => Done::Restored { round, onions: restore(&batch, &peeler) },
            Job::Case { round, network, shown } => {
                let mut hops = 1..=shown.batches.len() as u8;
                let found = hops.find_map(|hop| {
                    let header = Case::false_header(&network, &shown, hop);
                    header.or_else(|| Case::false_noise(&network, &shown, hop))
                });
                let result = match found {
                    Some(evidence) => Err(Ok(Box::new(evidence))),
                    None => Case::new(network, *shown).map(Arc::new).map_err(Err),
                };
                Done::Case { round, result }
            }
            Job::Replay { round, case, first, onions } => {
                Done::Replayed { round, until: first + onions.len(), ruling: case.replay(first, &onions) }
            }
            Job::Close { round, case, noise } => Done::Closed { round, ruling: case.close(&noise).map(Box::new) },
        }
    }
}

fn shuffle(rng: &mut Csprng, segments: Vec<Slots>, noise: &NoisePlan) -> Shuffled {
    let (geometry, own) = (noise.builder.geometry(), noise.draw(rng));
    Shuffled::by_a_mix(rng, noise.network.defences, geometry, segments, own)
}

/// The entry's batch has one segment a client, in the order of the list; what does not seal again was never its client's.
fn restore(batch: &OutgoingBatch, peeler: &Peeler) -> Vec<u8> {
    let clients = batch.header.header.members.iter();
    let of_client =
        clients.zip(batch.packets.arrived()).filter_map(|(client, slots)| peeler.restore(slots, client).ok());
    of_client.flat_map(|slots| (0..slots.len()).flat_map(|i| slots.received(i).to_vec()).collect::<Vec<u8>>()).collect()
}

fn open(mut batch: Shuffled, key: &EnvelopeKey) -> Letters {
    let (geometry, context) = (batch.geometry(), key.context());
    let (epoch, round) = (context.epoch, context.round);
    let mut mailboxes = Vec::with_capacity(batch.len());
    key.open_all(geometry, batch.packets_mut(), |opened| mailboxes.push(opened.ok().map(|opened| opened.mailbox)));
    let unopened = mailboxes.iter().filter(|mailbox| mailbox.is_none()).count() as u32;
    // Letters stay where they were opened until they are on the disk: a copy of each would be a batch more.
    let letters = mailboxes.into_iter().zip(batch.into_packets()).filter_map(|(mailbox, packet)| {
        let letter = packet.slice(geometry.letter_in_envelope());
        Some((mailbox?, StoredLetter { epoch, round, letter }))
    });
    Letters { letters: letters.collect(), unopened }
}
