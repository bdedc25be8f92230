//! Everything that a mix can send wrong, and that exactly this mix is named.

use curve25519_dalek::constants::EIGHT_TORSION;

use super::possession::PROOF_BYTES;
use super::*;

fn fault<T>(mix: u8, cause: FaultCause) -> Result<T, JointKeyError> {
    Err(Fault { mix, cause }.into())
}

/// What everybody finds if `mix` commits to `bytes` and opens them.
fn opened(all: &Mixes, mix: u8, bytes: Vec<u8>) -> Result<(), JointKeyError> {
    let mut openings = all.openings.clone();
    openings[usize::from(mix) - 1] = Opening::from_bytes(bytes);
    let commitments = commitments(all.window, &openings);
    commitments.open(mix, &openings[usize::from(mix) - 1]).map(drop)
}

fn bytes_of(all: &Mixes, mix: u8) -> Vec<u8> {
    all.openings[usize::from(mix) - 1].as_bytes().to_vec()
}

#[test]
fn an_opening_that_was_not_committed_to_names_its_mix() {
    let mut rng = Csprng::seed_from_u64(31);
    for (threshold, mixes) in SCHEMES {
        let all = Mixes::new(&mut rng, window(threshold, mixes, 2));
        let commitments = commitments(all.window, &all.openings);
        for mix in 1..=mixes {
            let honest = bytes_of(&all, mix);
            for at in 0..honest.len() {
                let mut bytes = honest.clone();
                bytes[at] ^= 1 << (at % 8);
                let found = commitments.open(mix, &Opening::from_bytes(bytes)).map(drop);
                assert_eq!(found, fault(mix, FaultCause::Commitment));
            }
        }
        // Another mix's opening, with the commitment copied too: it is bound to its mix.
        let copied = vec![all.openings[0].commitment(&all.window, 1); usize::from(mixes)];
        let copied = Commitments::new(all.window, copied).expect("one of each");
        assert_eq!(copied.open(2, &all.openings[0]).map(drop), fault(2, FaultCause::Commitment));
        assert_eq!(copied.open(0, &all.openings[0]).map(drop), Err(JointKeyError::UnknownMix(0)));
        assert_eq!(copied.open(mixes + 1, &all.openings[0]).map(drop), Err(JointKeyError::UnknownMix(mixes + 1)));
        let few = Commitments::new(all.window, vec![Digest([0; 32]); usize::from(mixes) - 1]);
        assert_eq!(few.map(drop), Err(JointKeyError::Contributions), "nobody opens before all committed");
    }
}

#[test]
fn an_opening_of_another_length_names_its_mix() {
    let mut rng = Csprng::seed_from_u64(32);
    let all = Mixes::new(&mut rng, window(2, 3, 2));
    let honest = bytes_of(&all, 2);
    assert_eq!(honest.len(), 2 * (2 * 32 + PROOF_BYTES));
    let lengths = [vec![], honest[..honest.len() - 1].to_vec(), honest[..128].to_vec(), [&honest[..], &[0]].concat()];
    for bytes in lengths {
        assert_eq!(opened(&all, 2, bytes), fault(2, FaultCause::Length));
    }
    assert_eq!(opened(&all, 2, honest), Ok(()));
}

#[test]
fn bad_points_name_their_mix_at_every_place() {
    let mut rng = Csprng::seed_from_u64(33);
    let random = SecretScalar::random(&mut rng).point();
    // y = p + 1 is the identity again, y = 2 is no point, and the identity's x = 0 has no negative.
    let mut above = [0xff; 32];
    (above[0], above[31]) = (0xee, 0x7f);
    let mut no_point = [0; 32];
    no_point[0] = 2;
    let mut minus_zero = [0; 32];
    (minus_zero[0], minus_zero[31]) = (1, 0x80);
    let mut cases = vec![
        (above, PointFault::NonCanonical),
        (no_point, PointFault::NonCanonical),
        (minus_zero, PointFault::NonCanonical),
        ([0xff; 32], PointFault::NonCanonical),
    ];
    for (i, torsion) in EIGHT_TORSION.iter().enumerate() {
        let alone = if i == 0 { PointFault::Identity } else { PointFault::Torsion };
        cases.push((torsion.compress().to_bytes(), alone));
        if i > 0 {
            cases.push(((random + torsion).compress().to_bytes(), PointFault::Torsion));
        }
    }
    for (threshold, mixes) in [(2, 2), (3, 5)] {
        let all = Mixes::new(&mut rng, window(threshold, mixes, 2));
        let coefficients = all.window.scheme().coefficients();
        for (bytes, why) in &cases {
            assert_eq!(point::decode(bytes), Err(*why), "{bytes:?}");
            for round in 0..2 {
                for k in 0..coefficients {
                    let mut opening = bytes_of(&all, 2);
                    let at = round * (32 * coefficients + PROOF_BYTES) + 32 * k;
                    opening[at..at + 32].copy_from_slice(bytes);
                    let cause = FaultCause::Point { round: FIRST + round as u64, fault: *why };
                    assert_eq!(opened(&all, 2, opening), fault(2, cause));
                }
            }
        }
    }
    assert_eq!(point::decode(&random.compress().to_bytes()), Ok(random));
}

#[test]
fn a_changed_or_borrowed_proof_names_its_mix() {
    let mut rng = Csprng::seed_from_u64(34);
    let all = Mixes::new(&mut rng, window(3, 3, 2));
    let wrong = |round| fault(2, FaultCause::Possession { round });
    let honest = bytes_of(&all, 2);
    for at in 32..32 + PROOF_BYTES {
        for bit in 0..8 {
            let mut bytes = honest.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(opened(&all, 2, bytes), wrong(FIRST), "byte {at}");
        }
    }
    // z + l is a second spelling of z.
    let mut bytes = honest.clone();
    let mut carry = 0u16;
    let minus_one = minus_one().to_bytes();
    for (i, add) in minus_one.iter().enumerate() {
        let sum = u16::from(bytes[64 + i]) + u16::from(*add) + u16::from(i == 0) + carry;
        (bytes[64 + i], carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    assert_eq!(opened(&all, 2, bytes), wrong(FIRST));
    // Another mix's key with its proof, and the same mix's of another round.
    assert_eq!(opened(&all, 2, bytes_of(&all, 1)), wrong(FIRST));
    let (first, second) = honest.split_at(32 + PROOF_BYTES);
    assert_eq!(opened(&all, 2, [second, first].concat()), wrong(FIRST));
    assert_eq!(opened(&all, 2, [first, first].concat()), wrong(FIRST + 1));
    // Another epoch, network and number of mixes.
    let scheme = all.window.scheme();
    let wider = Scheme::new(4, 4).expect("valid");
    for other in [
        Window::new(Digest([9; 32]), 4, FIRST, 2, scheme),
        Window::new(Digest([8; 32]), 3, FIRST, 2, scheme),
        Window::new(Digest([9; 32]), 3, FIRST, 2, wider),
    ] {
        let mut elsewhere = Mixes::new(&mut rng, other.expect("valid"));
        elsewhere.openings[1] = all.openings[1].clone();
        assert_eq!(opened(&elsewhere, 2, honest.clone()), wrong(FIRST));
    }
}

#[test]
fn a_rogue_key_has_no_proof_and_would_own_the_round_without() {
    let mut rng = Csprng::seed_from_u64(35);
    for (threshold, mixes) in SCHEMES {
        let all = Mixes::new(&mut rng, window(threshold, mixes, 1));
        let x = SecretScalar::random(&mut rng);
        let honest = &all.dealings[..usize::from(mixes) - 1];
        let others: EdwardsPoint = honest.iter().map(|dealing| dealing.coefficients(FIRST).expect("known")[0]).sum();
        let rogue = x.point() - others;
        // The control: with this A_L the sum is X, whose secret the last mix knows.
        assert_eq!(others + rogue, x.point());

        let mut bytes = bytes_of(&all, mixes);
        bytes[..32].copy_from_slice(&rogue.compress().to_bytes());
        let proof_at = bytes.len() - PROOF_BYTES;
        let point = rogue.compress().to_bytes();
        let mut proofs = vec![[0; PROOF_BYTES]];
        // Of x, of its own coefficient (it stands there already), of the first mix, and with R chosen for one guess of c.
        proofs.push(possession::prove(&mut rng, &all.window, FIRST, mixes, &x, &point));
        proofs.push(bytes[proof_at..].try_into().expect("a proof"));
        let first = all.openings[0].as_bytes();
        proofs.push(first[first.len() - PROOF_BYTES..].try_into().expect("a proof"));
        let (z, c) = (SecretScalar::random(&mut rng), SecretScalar::random(&mut rng));
        let mut simulated = [0; PROOF_BYTES];
        simulated[..32].copy_from_slice(&(z.point() - rogue * c.0).compress().to_bytes());
        simulated[32..].copy_from_slice(z.0.as_bytes());
        proofs.push(simulated);
        for proof in proofs {
            bytes[proof_at..].copy_from_slice(&proof);
            assert_eq!(opened(&all, mixes, bytes.clone()), fault(mixes, FaultCause::Possession { round: FIRST }));
        }
    }
}

#[test]
fn parts_that_cancel_out_or_do_not_belong_together_make_no_key() {
    let mut rng = Csprng::seed_from_u64(36);
    let window = window(2, 2, 1);
    let all = Mixes::new(&mut rng, window);
    let a = all.secrets[0].share(FIRST).expect("drawn").scalar().expect("canonical");
    let minus = secret_of(-a.0);
    let point = minus.point().compress().to_bytes();
    let proof = possession::prove(&mut rng, &window, FIRST, 2, &minus, &point);
    let openings = [all.openings[0].clone(), Opening::from_bytes([&point[..], &proof].concat())];
    let commitments = commitments(window, &openings);
    let dealings: Vec<_> =
        (1..).zip(&openings).map(|(mix, opening)| commitments.open(mix, opening).expect("proven")).collect();
    assert_eq!(JointKeys::new(dealings).map(drop), Err(JointKeyError::NoKey(FIRST)));

    let other = Mixes::new(&mut rng, super::window(2, 2, 2));
    let (one, two) = (&all.dealings[0], &all.dealings[1]);
    let wrong: [&[&Dealing]; 6] = [&[], &[one], &[two, one], &[one, one], &[one, two, two], &[one, &other.dealings[1]]];
    for dealings in wrong {
        let made = JointKeys::new(dealings.iter().copied().cloned().collect());
        assert_eq!(made.map(drop), Err(JointKeyError::Contributions));
    }
}

#[test]
fn a_wrong_sub_share_names_its_dealer_and_a_right_one_nobody() {
    let mut rng = Csprng::seed_from_u64(37);
    for (threshold, mixes) in [(2, 3), (3, 5), (2, 7)] {
        let mut all = Mixes::new(&mut rng, window(threshold, mixes, 2));
        let right = all.secrets[1].sub_share(FIRST, 1).expect("drawn");
        let mut wrong: Vec<[u8; 32]> = (0..256).map(|bit| flipped(right.expose(), bit)).collect();
        wrong.push([0; 32]);
        wrong.push(*all.secrets[1].sub_share(FIRST, 3).expect("drawn").expose());
        wrong.push(*all.secrets[1].sub_share(FIRST + 1, 1).expect("drawn").expose());
        wrong.push(*all.secrets[2].sub_share(FIRST, 1).expect("drawn").expose());
        let guilty = Fault { mix: 2, cause: FaultCause::SubShare { round: FIRST, receiver: 1 } };
        for bytes in wrong {
            let sub_share = SubShare::from_bytes(bytes);
            let (secrets, dealing) = (&mut all.secrets[0], &all.dealings[1]);
            assert_eq!(secrets.receive(dealing, FIRST, &sub_share), Err(guilty.into()));
            let judged = is_owed_sub_share(dealing.window(), dealing.opening(), FIRST, 1, &sub_share);
            assert_eq!(judged, Some(false));
            let missing = JointKeyError::MissingSubShare { dealer: 2, round: FIRST };
            assert_eq!(secrets.share(FIRST).map(drop), Err(missing), "nothing wrong is kept");
        }
        let judge = |round, receiver| {
            let dealing = &all.dealings[1];
            is_owed_sub_share(dealing.window(), dealing.opening(), round, receiver, &right)
        };
        assert_eq!(judge(FIRST, 1), Some(true));
        assert_eq!(judge(FIRST, 0), None, "there is no such mix");
        assert_eq!(judge(FIRST + 2, 1), None, "there is no such round");
        let other = Mixes::new(&mut rng, window(threshold, mixes, 3));
        assert_eq!(all.secrets[0].receive(&other.dealings[1], FIRST, &right), Err(JointKeyError::Contributions));
        assert_eq!(all.secrets[0].receive(&all.dealings[1], FIRST, &right), Ok(()));
        assert_eq!(all.secrets[0].receive(&all.dealings[1], FIRST, &right), Ok(()), "again changes nothing");
    }
    let all = Mixes::new(&mut rng, window(3, 3, 1));
    assert_eq!(all.secrets[0].sub_share(FIRST, 2).map(drop), Err(JointKeyError::NothingDealt));
    let dealing = &all.dealings[0];
    let judged = is_owed_sub_share(dealing.window(), dealing.opening(), FIRST, 2, &SubShare::from_bytes([0; 32]));
    assert_eq!(judged, None, "nothing is dealt");
}

#[test]
fn a_wrong_released_share_names_its_sender() {
    let mut rng = Csprng::seed_from_u64(38);
    for (threshold, mixes) in SCHEMES {
        let (all, keys) = Mixes::ready(&mut rng, window(threshold, mixes, 2));
        let set: Vec<u8> = (mixes - threshold + 1..=mixes).collect();
        for guilty in set.clone() {
            let right = all.secrets[usize::from(guilty) - 1].share(FIRST).expect("dealt");
            let mut wrong: Vec<[u8; 32]> = (0..256).map(|bit| flipped(right.expose(), bit)).collect();
            wrong.push([0; 32]);
            wrong.push([0xff; 32]);
            wrong.push((-right.scalar().expect("canonical").0).to_bytes());
            wrong.push(*all.secrets[usize::from(guilty) - 1].share(FIRST + 1).expect("dealt").expose());
            wrong.push(*all.secrets[usize::from(guilty % mixes)].share(FIRST).expect("dealt").expose());
            for bytes in wrong {
                let mut shares = all.shares(FIRST, &set);
                let place = shares.iter().position(|(mix, _)| *mix == guilty).expect("in the set");
                shares[place].1 = Share::from_bytes(bytes);
                let named = fault(guilty, FaultCause::Share { round: FIRST });
                assert_eq!(keys.check_share(FIRST, guilty, &shares[place].1), named);
                assert_eq!(outcome(keys.open(FIRST, &shares)), named);
            }
            assert_eq!(keys.check_share(FIRST, guilty, &right), Ok(()));
        }
        // Two that cancel out join to the right secret, and still the first of them is named.
        let mut shares = all.shares(FIRST, &set);
        for (share, by) in shares.iter_mut().zip([Scalar::ONE, minus_one()]) {
            share.1 = Share::of(&(share.1.scalar().expect("canonical").0 + by));
        }
        assert_eq!(outcome(keys.open(FIRST, &shares)), fault(set[0], FaultCause::Share { round: FIRST }));

        let mut twice = all.shares(FIRST, &set);
        twice.extend(all.shares(FIRST, &set[..1]));
        assert_eq!(outcome(keys.open(FIRST, &twice)), Err(JointKeyError::RepeatedShare(set[0])));
        let mut stranger = all.shares(FIRST, &set);
        stranger[0].0 = mixes + 1;
        assert_eq!(outcome(keys.open(FIRST, &stranger)), Err(JointKeyError::UnknownMix(mixes + 1)));
        let unknown = JointKeyError::UnknownRound(FIRST - 1);
        assert_eq!(outcome(keys.open(FIRST - 1, &all.shares(FIRST, &set))), Err(unknown));
    }
}

fn flipped(bytes: &[u8; 32], bit: usize) -> [u8; 32] {
    let mut bytes = *bytes;
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn whoever_has_the_openings_can_tell_a_wrong_share() {
    let mut rng = Csprng::seed_from_u64(38);
    for (threshold, mixes) in [(2, 2), (3, 3), (2, 3), (3, 5)] {
        let mut all = Mixes::new(&mut rng, window(threshold, mixes, 2));
        if threshold < mixes {
            all.deal(FIRST + 1);
        }
        let joint = JointKeys::new(all.dealings.clone()).expect("one of each mix");
        for mix in 1..=mixes {
            let openings = joint.openings(mix);
            let share = all.secrets[usize::from(mix) - 1].share(FIRST + 1).expect("drawn and dealt");
            let judge = |openings: &[Opening], round, mix, share: &Share| {
                is_owed_share(joint.window(), openings, round, mix, share)
            };
            assert_eq!(judge(&openings, FIRST + 1, mix, &share), Some(true));
            assert_eq!(joint.check_share(FIRST + 1, mix, &share), Ok(()));
            for bit in [0, 100, 251, 255] {
                let wrong = Share::from_bytes(flipped(share.expose(), bit));
                assert_eq!(judge(&openings, FIRST + 1, mix, &wrong), Some(false));
            }
            assert_eq!(judge(&openings, FIRST, mix, &share), Some(false), "of another round");
            assert_eq!(judge(&openings, FIRST + 2, mix, &share), None, "there is no such round");
            assert_eq!(judge(&openings[1..], FIRST + 1, mix, &share), None, "an opening is missing");
            assert_eq!(judge(&openings, FIRST + 1, mixes + 1, &share), None, "there is no such mix");
            let mut short = openings.clone();
            short[0] = Opening::from_bytes(short[0].as_bytes()[1..].to_vec());
            assert_eq!(judge(&short, FIRST + 1, mix, &share), None, "an opening is too short");
        }
    }
}
