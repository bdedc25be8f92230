//! Test vectors of the echo pass: `echo.json`.
//!
//! A round of three mixes from the packets as submitted to the published echoes, with every secret and every order; and
//! each of its echoes with a bit flipped, and who notices. The independent decoder in `tests/decoder` does the same.

use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::*;
use crate::crypto::vectors::{Hex, check};
use crate::crypto::{Backend, Csprng, Digest, IdentityKey, Label, MailboxId, PublicKey, SecretKey, derive};
use crate::packet::{Address, Body, Builder, Geometry, MessageId, NO_EXTRA, Peeler, Recipe, commitment, permutation};
use crate::round::{Noise, Shuffled};
use crate::wire::{EchoHeader, echoes_digest};

#[derive(Deserialize, Serialize)]
struct File {
    round: Round,
    failures: Vec<Failure>,
}

#[derive(Deserialize, Serialize)]
struct Round {
    name: String,
    inputs: Inputs,
    /// In order of the cascade.
    hops: Vec<Hop>,
    /// The entry's echoes in the order of the list.
    published: Vec<Hex>,
}

#[derive(Deserialize, Serialize)]
struct Inputs {
    mixes: usize,
    payload: usize,
    network: Hex,
    epoch: u64,
    /// The digest of the epoch document.
    document: Hex,
    round: u64,
    /// Of hops 1 to L.
    onion_secrets: Vec<Hex>,
    /// Of the mixes' Ed25519 keys.
    seeds: Vec<Hex>,
    /// In order of arrival.
    submissions: Vec<Submission>,
    /// Of hops 1 to L - 1: the mix's own packets, as handed to the next hop.
    noise: Vec<Vec<Own>>,
    /// Of hops 1 to L - 1: for each place of the batch handed on, the place in the batch taken in; behind all of these
    /// the mix's own.
    orders: Vec<Vec<u32>>,
}

#[derive(Deserialize, Serialize)]
struct Submission {
    client: u32,
    packets: Vec<Hex>,
    commitments: Vec<Hex>,
}

#[derive(Deserialize, Serialize)]
struct Own {
    packet: Hex,
    /// What the next hop must hand back.
    echo: Hex,
}

#[derive(Deserialize, Serialize)]
struct Hop {
    hop: u8,
    /// In the order of the batch taken in, as the next two.
    echo_keys: Vec<Hex>,
    echoes: Vec<Hex>,
    /// Of what is handed back: by hop 1 the published echoes.
    digest: Hex,
    /// The signed layout of the header.
    signed: Hex,
    identity: Hex,
    signature: Hex,
}

/// An echo with its first bit flipped, and what comes of it.
#[derive(Deserialize, Serialize)]
struct Failure {
    /// Who hands it back.
    hop: u8,
    place: usize,
    changed: Hex,
    /// The mix whose own packet it is, and that packet's place in the batch which that mix handed on.
    noise: Option<(u8, usize)>,
    /// Else the client and which of its packets.
    record: Option<(u32, u32)>,
}

/// A round whose packets are at the exit, with what it is on the way back.
struct Pass {
    context: RoundContext,
    paths: Vec<ReturnPath>,
    exit: Vec<Slots>,
    /// The digest of the batch that the exit takes in.
    batch: Digest,
    /// Of every hop, in order of arrival.
    keys: Vec<Vec<Hex>>,
}

/// Each hop's echoes in order of arrival, hop 1 first.
type Echoes = Vec<Vec<Echo>>;

impl Inputs {
    fn places(&self) -> Vec<ListPlace> {
        let of_client = |submission: &Submission| {
            let client = submission.client;
            (0..submission.packets.len() as u32).map(move |packet| ListPlace { client, packet })
        };
        self.submissions.iter().flat_map(of_client).collect()
    }

    /// The commitments of the list.
    fn list(&self) -> Vec<(u32, Commitment)> {
        let mut clients: Vec<&Submission> = self.submissions.iter().collect();
        clients.sort_by_key(|submission| submission.client);
        let of_client = |submission: &&Submission| {
            let client = submission.client;
            submission.commitments.iter().map(|h| (client, h.array())).collect::<Vec<_>>()
        };
        clients.iter().flat_map(of_client).collect()
    }

    fn pass(&self) -> Pass {
        let geometry = Geometry::new(self.mixes, self.payload).expect("a vector's parameters are valid");
        let context = RoundContext { network: Digest(self.network.array()), epoch: self.epoch, round: self.round };
        let peel = |hop: u8, packets: &[u8], index| {
            let secret = SecretKey::from_bytes(self.onion_secrets[usize::from(hop) - 1].array());
            let mut slots = Slots::from_packets(geometry, packets).expect("whole packets");
            let peeler = Peeler::new(geometry, context, hop, &secret, Backend::Dalek);
            peeler.peel(&mut slots, index).expect("honest packets peel");
            slots
        };
        let bytes = |submission: &Submission| submission.packets.iter().flat_map(|packet| packet.0.clone()).collect();
        let enter = |submission: &Submission| {
            let packets: Vec<u8> = bytes(submission);
            peel(1, &packets, submission.client)
        };
        let keys = |segments: &[Slots]| segments.iter().flat_map(Slots::echo_keys).map(|key| Hex::of(key.0)).collect();
        let mut exit: Vec<Slots> = self.submissions.iter().map(enter).collect();
        let batch = Digest([0; 32]);
        let mut pass = Pass { context, paths: Vec::new(), exit: Vec::new(), batch, keys: vec![keys(&exit)] };
        for (hop, (own, order)) in (2..).zip(self.noise.iter().zip(&self.orders)) {
            let echoes = Zeroizing::new(own.iter().map(|own| own.echo.array()).collect());
            let mut packets = Slots::zeroed(geometry, own.len());
            own.iter().enumerate().for_each(|(i, own)| packets.peeled_mut(i).copy_from_slice(&own.packet.0));
            let mut batch = Shuffled::ordered(geometry, exit, Noise { packets, echoes }, order.clone());
            pass.paths.extend(batch.take_return_path());
            pass.batch = batch.digest();
            let packets: Vec<u8> = batch.packets().flatten().copied().collect();
            exit = vec![peel(hop, &packets, NO_EXTRA)];
            pass.keys.push(keys(&exit));
        }
        Pass { exit, ..pass }
    }

    /// The way back, with a change to what one hop hands back; the hop at which it ends.
    fn back(
        &self,
        pass: Pass,
        mut change: impl FnMut(u8, &mut [Echo]),
    ) -> Result<(Echoes, Vec<Echo>), (u8, EchoError)> {
        let mut hop = self.mixes as u8;
        let mut echoes = first_echoes(self.round, &pass.exit);
        change(hop, &mut echoes);
        let mut all = vec![echoes];
        for path in pass.paths.into_iter().rev() {
            hop -= 1;
            let (mut echoes, _) = path.back(&all[0]).map_err(|error| (hop, error))?;
            change(hop, &mut echoes);
            all.insert(0, echoes);
        }
        let published = published(&self.places(), &all[0]).map_err(|error| (hop, error))?;
        check_echoes(&pass.context, &self.list(), &published).map_err(|error| (0, error))?;
        Ok((all, published))
    }

    fn header(&self, hop: u8, input: Digest, echoes: &[Echo]) -> EchoHeader {
        let digest = echoes_digest(echoes);
        let (network, epoch) = (Digest(self.network.array()), Digest(self.document.array()));
        EchoHeader { network, epoch, round: self.round, hop, input, count: echoes.len() as u32, digest }
    }
}

impl Round {
    fn compute(name: String, inputs: Inputs) -> Self {
        let pass = inputs.pass();
        let keys = pass.keys.iter().map(|keys| keys.to_vec()).collect::<Vec<_>>();
        let batch = pass.batch;
        let (all, published) = inputs.back(pass, |_, _| {}).expect("an honest round");
        let hops = (1u8..)
            .zip(keys.into_iter().zip(&all))
            .map(|(hop, (echo_keys, echoes))| {
                let key = IdentityKey::from_seed(&inputs.seeds[usize::from(hop) - 1].array());
                let handed_back = if hop == 1 { &published } else { echoes };
                let input = all.get(usize::from(hop)).map_or(batch, |next: &Vec<Echo>| echoes_digest(next));
                let signed = inputs.header(hop, input, handed_back).sign(&key);
                assert!(signed.is_signed_by(&key.identity()));
                Hop {
                    hop,
                    echo_keys,
                    echoes: echoes.iter().map(Hex::of).collect(),
                    digest: Hex::of(signed.header.digest.0),
                    signed: Hex::of(signed.signed_bytes()),
                    identity: Hex::of(key.identity().0),
                    signature: Hex::of(signed.signature.0),
                }
            })
            .collect();
        Self { name, inputs, hops, published: published.iter().map(Hex::of).collect() }
    }
}

impl Failure {
    fn compute(round: &Round, hop: u8, place: usize) -> Self {
        let inputs = &round.inputs;
        let mut changed = Hex(Vec::new());
        let failed = inputs.back(inputs.pass(), |at, echoes| {
            if at == hop {
                echoes[place][0] ^= 1;
                changed = Hex::of(echoes[place]);
            }
        });
        let (noise, record) = match failed.expect_err("it is noticed") {
            (maker, EchoError::Noise { place }) => (Some((maker, place)), None),
            (0, EchoError::Commitments(places)) => match places.as_slice() {
                [one] => (None, Some((one.client, one.packet))),
                more => panic!("{more:?}"),
            },
            other => panic!("{other:?}"),
        };
        Self { hop, place, changed, noise, record }
    }
}

impl File {
    fn compute(round: Round) -> Self {
        let places = round.hops.iter().flat_map(|hop| (0..hop.echoes.len()).map(|place| (hop.hop, place)));
        let failures = places.map(|(hop, place)| Failure::compute(&round, hop, place)).collect();
        Self { round, failures }
    }
}

/// Two clients with two packets each, the later on the roster arriving first, and one packet of the entry's own.
fn inputs() -> Inputs {
    const MIXES: usize = 3;
    let mut rng = Csprng::seed_from_u64(31);
    let mut draw = |n: usize| {
        let mut bytes = vec![0; n];
        rng.fill_bytes(&mut bytes);
        Hex(bytes)
    };
    let secrets: Vec<Hex> = (0..MIXES).map(|_| draw(32)).collect();
    let mut inputs = Inputs {
        mixes: MIXES,
        payload: 256,
        network: Hex::of(derive(Label::Network, b"vectors").0),
        epoch: 34,
        document: draw(32),
        round: 31_007,
        onion_secrets: secrets,
        seeds: (0..MIXES).map(|_| draw(32)).collect(),
        submissions: Vec::new(),
        noise: Vec::new(),
        orders: vec![permutation(&mut rng, 5), permutation(&mut rng, 5)],
    };
    let context = RoundContext { network: Digest(inputs.network.array()), epoch: inputs.epoch, round: inputs.round };
    let onion_keys: Vec<PublicKey> =
        inputs.onion_secrets.iter().map(|secret| SecretKey::from_bytes(secret.array()).public_key()).collect();
    let envelope_key = SecretKey::random(&mut rng).public_key();
    let geometry = Geometry::new(MIXES, inputs.payload).expect("valid");
    let builder = Builder::new(geometry, context, Backend::default(), onion_keys, envelope_key);
    let to = Address { mailbox: MailboxId([8; 16]), letter_key: SecretKey::random(&mut rng).public_key() };
    let recipe = |number| Recipe { to, body: Body::dummy(MessageId([number; 16]), 40, b"dummy"), sender: None };
    for client in [300, 7] {
        let mut submission = Submission { client, packets: Vec::new(), commitments: Vec::new() };
        for number in 0..2 {
            let mut packet = Vec::new();
            let echo = builder.client_packet(&mut rng, client, &recipe(number), &mut packet);
            submission.packets.push(Hex(packet));
            submission.commitments.push(Hex::of(commitment(&context, client, &echo)));
        }
        inputs.submissions.push(submission);
    }
    let mut packet = Vec::new();
    let echo = builder.noise_packet(&mut rng, 2, &recipe(9), &mut packet);
    inputs.noise = vec![vec![Own { packet: Hex(packet), echo: Hex::of(echo) }], Vec::new()];
    inputs
}

#[test]
fn echo_passes_are_those_of_the_vectors() {
    let name = "three mixes, two clients, a packet of the entry's own";
    let fresh = || File::compute(Round::compute(name.into(), inputs()));
    check("echo.json", fresh, |File { round, .. }| File::compute(Round::compute(round.name, round.inputs)));
}
