//! The echo pass: proof, backwards through all shuffles, that every client's packet is in the round.

use std::time::Duration;

use bytes::Bytes;

use crate::blame::SignedStatement;
use crate::crypto::{Defence, Digest};
use crate::packet::{Echo, RoundContext, Slots};
use crate::round::seal::Stage;
use crate::round::{EchoError, Job, Pieces, ReturnPath, pieces, published};
use crate::wire::{
    AbortReason, EchoHeader, EpochDocument, Mismatch, PeerMessage, Piece, SignedBatchHeader, SignedEchoHeader,
    echoes_digest, transcript,
};

use super::super::transit::Transit;
use super::super::{Action, Mix};
use super::{Sealing, To};

/// Bytes of an echo.
const ECHO: usize = size_of::<Echo>();

impl Mix {
    /// This mix's batch is made: the way back is kept, and everybody hears which batch it is.
    pub(in crate::mix) fn keep_path(&mut self, round: u64, path: Option<ReturnPath>, header: &SignedBatchHeader) {
        let own = self.own;
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        sealing.path = path;
        sealing.batches[own] = Some(header.clone());
        self.say(round, To::All, PeerMessage::BatchHeader(header.clone()));
    }

    /// A mix tells which batch it hands on.
    pub(in crate::mix) fn batch_told(&mut self, now: Duration, from: usize, signed: SignedBatchHeader) {
        let header = &signed.header;
        let document = self.epochs.document(header.round).map(EpochDocument::digest);
        let sound = from < self.exit_index()
            && usize::from(header.hop) == from + 1
            && header.network == self.network.id()
            && Some(header.epoch) == document
            && header.members.fits(self.network.roster.clients.len())
            && signed.is_signed_by(&self.identities[from]);
        if !sound {
            return self.reject("bad_batch", 1);
        }
        if self.numbers_hold(from, &signed) && self.note_batch(from, &signed) {
            self.advance(now, signed.header.round);
        }
    }

    /// At the exit: the batch is whole and its echoes are made.
    pub(in crate::mix) fn echoes_begun(&mut self, now: Duration, round: u64, segments: Vec<Slots>, echoes: &[Echo]) {
        if !self.transit.get(&round).is_some_and(Transit::is_digesting) {
            // Voided meanwhile.
            return;
        }
        self.seal_envelopes(round, segments);
        self.hand_back(now, round, echoes);
        self.handed_on(now, round);
    }

    /// This mix's echoes go to the mix before; the entry's to all.
    fn hand_back(&mut self, now: Duration, round: u64, echoes: &[Echo]) {
        let Some(document) = self.epochs.document(round) else { return };
        let input = match self.is_exit() {
            true => self.transit.get(&round).map(Transit::input),
            false => self
                .sealings
                .get(&round)
                .and_then(|sealing| sealing.echoes[self.own + 1].as_ref())
                .map(|it| it.header.digest),
        };
        let Some(input) = input else { return };
        let header = EchoHeader {
            network: document.network,
            epoch: document.digest(),
            round,
            hop: self.own as u8 + 1,
            input,
            count: echoes.len() as u32,
            digest: echoes_digest(echoes),
        };
        let header = header.sign(&self.key);
        let own = self.own;
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        sealing.echoes[own] = Some(header.clone());
        let to = own.checked_sub(1).map_or(To::All, To::One);
        for piece in pieces(Bytes::copy_from_slice(echoes.as_flattened())) {
            self.say(round, to, PeerMessage::Echoes { header: header.clone(), piece });
        }
        if own > 0 {
            self.say(round, To::All, PeerMessage::EchoHeader(header));
        } else if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.published = Some(echoes.to_vec());
        }
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.kept.echoes.insert(own as u8 + 1, echoes.to_vec());
        }
        self.advance(now, round);
    }

    /// Takes a mix's echo header; whether its echoes are still of use.
    fn echo_header(&mut self, from: usize, signed: &SignedEchoHeader) -> bool {
        let header = &signed.header;
        let round = header.round;
        let document = self.epochs.document(round).map(EpochDocument::digest);
        let sound = usize::from(header.hop) == from + 1
            && header.network == self.network.id()
            && Some(header.epoch) == document
            && signed.is_signed_by(&self.identities[from]);
        if !sound {
            self.reject("bad_echo", 1);
            return false;
        }
        let Some(sealing) = self.sealing(round) else { return false };
        match &sealing.echoes[from] {
            Some(known) if known.header != *header => {
                let (known, told) = (SignedStatement::Echo(known.clone()), SignedStatement::Echo(signed.clone()));
                let subject = header.subject(&sealing.root().unwrap_or(Digest([0; 32])));
                self.reject("bad_echo", 1);
                self.accuse(round, Mismatch::Equivocation { hop: header.hop }, subject);
                self.compare(self.epochs.document(round).cloned(), known, told);
                false
            }
            known => {
                if known.is_none() {
                    sealing.echoes[from] = Some(signed.clone());
                }
                true
            }
        }
    }

    /// A mix tells which echoes it hands back.
    pub(in crate::mix) fn echoes_told(&mut self, now: Duration, from: usize, signed: &SignedEchoHeader) {
        if self.echo_header(from, signed) {
            self.advance(now, signed.header.round);
        }
    }

    /// A piece of echoes: of the next mix's, for this one's batch; of the entry's, for all.
    pub(in crate::mix) fn echoes_come(&mut self, now: Duration, from: usize, signed: &SignedEchoHeader, piece: &Piece) {
        let round = signed.header.round;
        let is_published = from == 0 && self.own != 0;
        let most = self.network.roster.clients.len() * self.network.parameters.packets_per_client as usize;
        if !is_published && from != self.own + 1 || !self.echo_header(from, signed) {
            return self.reject("unexpected", 1);
        }
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let count = signed.header.count as usize;
        let wanted = match is_published {
            true => sealing.published.is_none() && (1..=most).contains(&count),
            false => sealing.path.as_ref().is_some_and(|path| path.outputs() == count && count > 0),
        };
        if !wanted {
            // Said again, or not what was handed on: then the count shows it where it is checked.
            return;
        }
        let (_, coming) = match &mut sealing.coming {
            Some(coming) if coming.0 == from => coming,
            other => other.insert((from, Pieces::new(count * ECHO))),
        };
        let whole = match coming.take(piece) {
            Ok(None) => return,
            Ok(Some(whole)) => whole,
            Err(_) => return self.reject("bad_echo", 1),
        };
        sealing.coming = None;
        let echoes: Vec<Echo> = whole.as_chunks().0.to_vec();
        if echoes_digest(&echoes) != signed.header.digest {
            return self.reject("bad_echo", 1);
        }
        sealing.kept.echoes.insert(signed.header.hop, echoes.clone());
        if is_published {
            sealing.published = Some(echoes);
            return self.advance(now, round);
        }
        let checks = self.network.defences.stands(Defence::EchoCheck);
        if let Some(path) = sealing.path.take() {
            let path = if checks { path } else { path.unchecked(&echoes) };
            self.actions.push_back(Action::Work(Job::Back { round, path: Box::new(path), echoes }));
        }
    }

    /// The echoes have gone back through this mix's shuffle.
    pub(in crate::mix) fn echoes_returned(&mut self, now: Duration, round: u64, result: Result<Vec<Echo>, EchoError>) {
        let Some(sealing) = self.sealings.get(&round) else { return };
        let echoes = match result {
            Ok(echoes) if self.own == 0 => published(&sealing.places, &echoes),
            other => other,
        };
        match echoes {
            Ok(echoes) => self.hand_back(now, round, &echoes),
            Err(error) => {
                self.reject("bad_echo", 1);
                match self.wrong_noise(round, &error) {
                    Some((mismatch, subject)) => self.accuse(round, mismatch, subject),
                    None => self.void(round, AbortReason::BadEcho),
                }
            }
        }
    }

    /// The next mix has handed back another echo for this one's own noise than it causes.
    fn wrong_noise(&self, round: u64, error: &EchoError) -> Option<(Mismatch, Digest)> {
        let EchoError::Noise { place } = error else { return None };
        let sealing = self.sealings.get(&round)?;
        let header = &sealing.echoes.get(self.own + 1)?.as_ref()?.header;
        let mismatch = Mismatch::Noise { hop: header.hop, place: u32::try_from(*place).ok()? };
        Some((mismatch, header.subject(&sealing.root()?)))
    }

    /// Holds what the entry published against the list, once both are there.
    pub(super) fn check_published(&mut self, round: u64) {
        let Some(context) = self.epochs.context(round) else { return };
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        if sealing.list().is_none() || sealing.checked {
            return;
        }
        let Some(echoes) = sealing.published.as_mut().filter(|echoes| !echoes.is_empty()).map(std::mem::take) else {
            return;
        };
        let commitments = sealing
            .list()
            .map(|list| list.records().iter().map(|record| (record.index, record.commitment)).collect::<Vec<_>>());
        let Some(commitments) = commitments else { return };
        let context = RoundContext { ..context };
        self.actions.push_back(Action::Work(Job::CheckEchoes { round, context, commitments, echoes }));
    }

    /// Whether every client's packet has come through.
    pub(in crate::mix) fn echoes_checked(&mut self, now: Duration, round: u64, result: Result<(), EchoError>) {
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        match result {
            _ if !self.network.defences.stands(Defence::EchoCheck) => {
                sealing.checked = true;
                self.advance(now, round);
            }
            Ok(()) => {
                sealing.checked = true;
                self.advance(now, round);
            }
            Err(error) => {
                self.reject("bad_echo", 1);
                match self.wrong_echo(round, &error) {
                    Some((place, subject)) => self.accuse(round, Mismatch::Echo { place }, subject),
                    None => self.void(round, AbortReason::BadEcho),
                }
            }
        }
    }

    /// The place in the list of the first published echo that is wrong, and how an accusation names what it is about.
    fn wrong_echo(&self, round: u64, error: &EchoError) -> Option<(u32, Digest)> {
        let sealing = self.sealings.get(&round)?;
        let header = &sealing.echoes[0].as_ref()?.header;
        let place = match error {
            EchoError::Commitments(places) => {
                let wrong = places.first()?;
                let first = sealing.list()?.records().partition_point(|record| record.index < wrong.client);
                first as u32 + wrong.packet
            }
            // As many echoes as the entry has signed for: the first that is missing, or too much.
            EchoError::Count { packets, found } => *packets.min(found) as u32,
            EchoError::Noise { .. } => return None,
        };
        Some((place, header.subject(&sealing.root()?)))
    }

    /// The digest of all that was signed on the round's way, once it is all there and every echo is checked.
    pub(super) fn transcript(&self, round: u64) -> Option<Digest> {
        let sealing: &Sealing = self.sealings.get(&round)?;
        if !sealing.checked || sealing.seal.stage() != Stage::Echo {
            return None;
        }
        let batches = sealing.batches.iter().map(|signed| Some(signed.as_ref()?.header.clone()));
        let batches = batches.collect::<Option<Vec<_>>>()?;
        // From hop L to 1, as they were handed back.
        let echoes = sealing.echoes.iter().rev().map(|signed| Some(signed.as_ref()?.signed_bytes()));
        let echoes = echoes.collect::<Option<Vec<_>>>()?;
        Some(transcript(&self.epochs.document(round)?.digest(), &sealing.root()?, &batches, &echoes))
    }
}
