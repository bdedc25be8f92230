//! Confirms, shares and sub-shares that are not what their mix has promised.

use rand::SeedableRng;

use super::statements::honest;
use super::*;
use crate::crypto::{Csprng, Digest, IdentityKey, Signature};
use crate::threshold::{EpochShares, Opening, Scheme, Window};
use crate::wire::{
    Confirm, Grounds, Headers, ListComplete, ListSignature, Release, ReleasedShare, SecretPart, SignedEpoch, Statement,
    SubShares,
};

const ROUND: u64 = 300;

/// What every mix of an honest round can show.
fn grounds(round: &BurntRound) -> Grounds {
    let (context, root) = (round.list_context(), round.root());
    let signatures = round.mixes.iter().map(|mix| ListSignature::sign(mix, &context, root).signature).collect();
    let batches = round.batches.iter().map(|(signed, _)| signed.clone()).collect();
    let echoes = round.echoes.iter().rev().map(|(signed, _)| signed.clone()).collect();
    Grounds {
        list: ListComplete { round: ROUND, root, signatures },
        headers: Headers { round: ROUND, batches, echoes },
    }
}

/// The evidence in what mix `hop` confirms with these grounds; of the transcript that they make, unless it says another.
fn confirmed(round: &BurntRound, hop: u8, grounds: &Grounds, other: Option<Digest>) -> Option<Evidence> {
    let made = grounds.transcript(&round.document.document.digest(), round.mixes.len());
    let transcript = other.or(made).unwrap_or(Digest([1; 32]));
    let confirm = Confirm { slot: round.slot(), transcript, grounds: grounds.digest() };
    let signature = confirm.sign(&round.mixes[usize::from(hop) - 1]);
    Evidence::false_confirm(&round.network, &round.document, hop, (&confirm, grounds, signature))
}

type Named = (&'static str, Evidence, Guilty);

/// One of each, with whom it names.
pub(super) fn every_kind(round: &BurntRound) -> Vec<Named> {
    let mut forged = grounds(round);
    forged.headers.echoes[1].header.digest = Digest([9; 32]);
    let confirm = confirmed(round, 3, &grounds(round), Some(Digest([1; 32]))).expect("guilt");
    let forged = confirmed(round, 3, &forged, None).expect("guilt");
    vec![
        ("confirm, another transcript", confirm, Guilty::Mix(3)),
        ("confirm, forged header", forged, Guilty::Mix(3)),
        ("share", share(round, 2, |share| share[0] ^= 1), Guilty::Mix(2)),
        ("sub-share", sub_share(round, |value| value[0] ^= 1), Guilty::Mix(2)),
    ]
}

/// The secrets of all mixes for the joint keys of its one round.
fn drawn(round: &BurntRound) -> (Window, Vec<(EpochShares, Opening)>) {
    let (mixes, threshold) = (round.mixes.len() as u8, round.network.parameters.threshold as u8);
    let scheme = Scheme::new(threshold, mixes).expect("in range");
    let window = Window::new(round.slot().network, round.slot().epoch, ROUND, 1, scheme).expect("one round");
    let mut rng = Csprng::seed_from_u64(7);
    let drawn = (1..=mixes).map(|mix| EpochShares::draw(&mut rng, window, mix).expect("one of the cascade's"));
    (window, drawn.collect())
}

/// What mix `hop` releases, after a change; the round's document names what all have committed to.
fn share(round: &BurntRound, hop: u8, change: fn(&mut [u8; 32])) -> Evidence {
    let (window, mut drawn) = drawn(round);
    let dealers: Vec<_> = drawn.iter().map(|(shares, opening)| (shares.window(), opening)).collect();
    let commitments = (1..).zip(&dealers).map(|(mix, (window, opening))| opening.commitment(window, mix)).collect();
    let commitments = crate::threshold::Commitments::new(window, commitments).expect("one of each mix");
    let dealings: Vec<_> =
        (1..).zip(&dealers).map(|(mix, (_, opening))| commitments.open(mix, opening).expect("honest")).collect();
    let place = usize::from(hop) - 1;
    if !window.scheme().is_additive() {
        for dealing in &dealings {
            let dealer = usize::from(dealing.mix()) - 1;
            let dealt = (dealer != place).then(|| drawn[dealer].0.sub_share(ROUND, hop).expect("drawn"));
            dealt.iter().for_each(|dealt| drawn[place].0.receive(dealing, ROUND, dealt).expect("right"));
        }
    }
    let mut document = round.document.document.clone();
    for (mix, dealing) in document.mixes.iter_mut().zip(&dealings) {
        mix.dealing = dealing.opening().commitment(&window, dealing.mix());
    }
    let signatures = round.mixes.iter().map(|mix| document.sign(mix)).collect();
    let mut share = *drawn[place].0.share(ROUND).expect("everything is dealt").expose();
    change(&mut share);
    let release = Release { slot: round.slot(), transcript: Digest([5; 32]), share: ReleasedShare::from_bytes(share) };
    let signature = release.sign(&round.mixes[place]);
    let needed = dealings.iter().filter(|dealing| !window.scheme().is_additive() || dealing.mix() == hop);
    let openings: Vec<Opening> = needed.map(|dealing| dealing.opening().clone()).collect();
    let released = (release.transcript, share, signature);
    Evidence::of_share(&SignedEpoch { document, signatures }, (ROUND, hop), released, &openings)
}

/// What mix 2 deals to mix 1, after a change.
fn sub_share(round: &BurntRound, change: fn(&mut [u8; 32])) -> Evidence {
    let (window, drawn) = drawn(round);
    let (shares, opening) = &drawn[1];
    let mut value = *shares.sub_share(ROUND, 1).expect("drawn").expose();
    change(&mut value);
    let key: &IdentityKey = &round.mixes[1];
    let dealing = opening.commitment(&window, 2);
    let dealt = SubShares::sign(key, window.network(), window.epoch(), dealing, 1, vec![SecretPart(value)]);
    Evidence::of_sub_share(&window, (2, 1), ROUND, opening, dealt)
}

#[test]
fn a_confirm_that_nobodys_signatures_make_names_its_mix() {
    let round = honest();
    for hop in 1..=3 {
        let found = |grounds: &Grounds, other| {
            let evidence = confirmed(&round, hop, grounds, other)?;
            let evidence = Evidence::from_file(&evidence.to_file()).expect("its own file");
            let finding = evidence.verify(&round.network).expect("it verifies");
            assert_eq!(finding.slot, round.slot());
            Some((finding.guilty, finding.offence))
        };
        assert_eq!(found(&grounds(&round), None), None, "an honest confirm");
        let guilty = Some((Guilty::Mix(hop), Offence::Confirm));
        assert_eq!(found(&grounds(&round), Some(Digest([1; 32]))), guilty, "another transcript");
        let changes: [fn(&mut Grounds); 10] = [
            |grounds| grounds.list.root.0[0] ^= 1,
            |grounds| grounds.list.round += 1,
            |grounds| grounds.list.signatures[1] = Signature([3; 64]),
            |grounds| grounds.list.signatures.truncate(2),
            |grounds| grounds.headers.batches[0].header.output.0[0] ^= 1,
            |grounds| grounds.headers.batches[0].signature = Signature([3; 64]),
            |grounds| grounds.headers.batches.truncate(1),
            |grounds| grounds.headers.echoes[2].header.digest.0[0] ^= 1,
            |grounds| grounds.headers.echoes.swap(0, 1),
            |grounds| grounds.headers.echoes = vec![grounds.headers.echoes[0].clone(); 300],
        ];
        for change in changes {
            let mut changed = grounds(&round);
            change(&mut changed);
            assert_eq!(found(&changed, None), guilty, "something that is not signed");
        }
    }
}

#[test]
fn a_confirm_cannot_be_shown_with_other_grounds() {
    let round = honest();
    let (own, mut other) = (grounds(&round), grounds(&round));
    other.headers.echoes[0].header.digest.0[0] ^= 1;
    let transcript = own.transcript(&round.document.document.digest(), 3).expect("one of each hop");
    let confirm = Confirm { slot: round.slot(), transcript, grounds: own.digest() };
    let signature = confirm.sign(&round.mixes[1]);
    let shown = |grounds| Evidence::false_confirm(&round.network, &round.document, 2, (&confirm, grounds, signature));
    assert_eq!(shown(&own), None);
    assert_eq!(shown(&other), None);
}

#[test]
fn a_wrong_share_names_its_mix_and_the_right_one_nobody() {
    for mixes in [2, 3] {
        let round = BurntRound::new(&plan(mixes));
        for hop in 1..=mixes as u8 {
            let wrong = share(&round, hop, |share| share[3] ^= 8);
            let wrong = Evidence::from_file(&wrong.to_file()).expect("its own file");
            let finding = wrong.verify(&round.network).expect("it verifies");
            assert_eq!((finding.guilty, finding.offence), (Guilty::Mix(hop), Offence::Share));
            assert_eq!(finding.slot, round.slot());
            assert_eq!(share(&round, hop, |_| {}).verify(&round.network), Err(EvidenceFault::Innocent));
        }
    }
}

#[test]
fn a_wrong_sub_share_names_its_dealer_and_the_right_one_nobody() {
    let round = BurntRound::new(&plan(3));
    let wrong = sub_share(&round, |value| value[31] ^= 1);
    let wrong = Evidence::from_file(&wrong.to_file()).expect("its own file");
    let finding = wrong.verify(&round.network).expect("it verifies");
    assert_eq!((finding.guilty, finding.offence), (Guilty::Mix(2), Offence::SubShare));
    assert_eq!((finding.slot.epoch, finding.slot.round), (round.slot().epoch, ROUND));
    assert_eq!(sub_share(&round, |_| {}).verify(&round.network), Err(EvidenceFault::Innocent));
}
