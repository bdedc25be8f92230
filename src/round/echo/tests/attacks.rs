//! What is done to packets and echoes in the middle, and who notices.
//!
//! Each attack keeps every number right and every layer sound; so nothing but the comparison of echoes can notice, and
//! the control shows that without it the pass goes through.

use super::cascade::Noticed;
use super::*;

/// Of 6 clients with 2 packets each.
const VICTIM: usize = 5;
const OTHER: usize = 8;

fn differ(cascade: &Cascade, arrivals: &[usize]) -> Result<(), (Noticed, EchoError)> {
    let mut places: Vec<ListPlace> = arrivals.iter().map(|arrival| cascade.places[*arrival]).collect();
    places.sort_unstable();
    Err((Noticed::ByAll, EchoError::Commitments(places)))
}

/// The pass with nothing compared: whether it comes to an end.
fn unchecked(cascade: &Cascade, mut forward: Forward, mut tamper: impl FnMut(u8, &mut Vec<Echo>)) -> bool {
    let mut hop = cascade.geometry.mixes() as u8;
    let mut echoes = first_echoes(cascade.context.round, &forward.exit);
    tamper(hop, &mut echoes);
    while let Some(mut path) = forward.paths.pop() {
        hop -= 1;
        for (place, which) in path.origins.noise() {
            path.noise[which] = echoes[place];
        }
        let Ok((next, _)) = path.back(&echoes) else { return false };
        echoes = next;
        tamper(hop, &mut echoes);
    }
    published(&cascade.places, &echoes).is_ok_and(|echoes| echoes.len() == cascade.list().len())
}

/// Runs `attack` on what `hop` hands on, with the check and without; batches in as many segments as hops are left.
fn forwarded(
    mixes: usize,
    hop: usize,
    attack: impl Fn(&mut Cascade, &Forward, &mut Vec<Vec<u8>>),
) -> (Cascade, Result<(), (Noticed, EchoError)>) {
    let mut cascade = Cascade::new(mixes, 6, 2, 2);
    cascade.segments = mixes - hop;
    let mut run = || {
        cascade.forward(|cascade, forward, packets| {
            if forward.paths.len() == hop {
                attack(cascade, forward, packets);
            }
        })
    };
    let (first, second) = (run(), run());
    let result = cascade.back(first, |_, _| {});
    assert!(unchecked(&cascade, second, |_, _| {}), "the control: hop {hop} of {mixes}");
    (cascade, result)
}

#[test]
fn a_replaced_packet_is_noticed_wherever_it_was_replaced() {
    for mixes in LENGTHS {
        for hop in 1..mixes {
            let (cascade, result) = forwarded(mixes, hop, |cascade, forward, packets| {
                packets[forward.places_at(hop)[VICTIM]] = cascade.onion(hop as u8 + 1);
            });
            assert_eq!(result, differ(&cascade, &[VICTIM]), "hop {hop} of {mixes}");
        }
    }
}

#[test]
fn a_dropped_packet_is_noticed_though_the_number_is_made_up_for() {
    for mixes in LENGTHS {
        for hop in 1..mixes {
            // The rest moves up; a fresh onion at the end makes up the number.
            let (cascade, result) = forwarded(mixes, hop, |cascade, forward, packets| {
                packets.remove(forward.places_at(hop)[VICTIM]);
                packets.push(cascade.onion(hop as u8 + 1));
            });
            let error = result.expect_err("noticed");
            match error {
                (Noticed::ByAll, EchoError::Commitments(places)) => assert!(places.contains(&cascade.places[VICTIM])),
                (Noticed::ByHop(noticed), EchoError::Noise { .. }) => assert!(usize::from(noticed) <= hop),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn two_swapped_clients_are_noticed_both() {
    for mixes in LENGTHS {
        for hop in 1..mixes {
            let (cascade, result) = forwarded(mixes, hop, |_, forward, packets| {
                let places = forward.places_at(hop);
                packets.swap(places[VICTIM], places[OTHER]);
            });
            assert_ne!(cascade.places[VICTIM].client, cascade.places[OTHER].client);
            assert_eq!(result, differ(&cascade, &[VICTIM, OTHER]), "hop {hop} of {mixes}");
        }
    }
}

#[test]
fn two_swapped_packets_of_one_client_are_noticed_too() {
    let (cascade, result) = forwarded(3, 1, |_, forward, packets| {
        let places = forward.places_at(1);
        packets.swap(places[4], places[5]);
    });
    assert_eq!(cascade.places[4].client, cascade.places[5].client);
    assert_eq!(result, differ(&cascade, &[4, 5]));
}

#[test]
fn replaced_noise_is_noticed_by_its_maker_wherever_it_was_replaced() {
    for mixes in LENGTHS {
        for (maker, hop) in (1..mixes).flat_map(|maker| (maker..mixes).map(move |hop| (maker, hop))) {
            let (_, result) = forwarded(mixes, hop, |cascade, forward, packets| {
                packets[forward.noise_at(maker, hop)[1]] = cascade.onion(hop as u8 + 1);
            });
            let Err((noticed, EchoError::Noise { .. })) = result else { panic!("{result:?}") };
            assert_eq!(noticed, Noticed::ByHop(maker as u8), "replaced by hop {hop} of {mixes}");
        }
    }
}

#[test]
fn a_flipped_bit_of_an_echo_is_noticed_at_every_hop_and_place() {
    for mixes in LENGTHS {
        for hop in 1..=mixes as u8 {
            let sizes = 6 + (usize::from(hop) - 1);
            for place in 0..sizes {
                let flip = |at: u8, echoes: &mut Vec<Echo>| {
                    if at == hop {
                        assert_eq!(echoes.len(), sizes);
                        echoes[place][place % 16] ^= 1 << (place % 8);
                    }
                };
                let mut cascade = Cascade::new(mixes, 3, 2, 1);
                let (forward, second) = (cascade.forward(|_, _, _| {}), cascade.forward(|_, _, _| {}));
                let of_client = match hop {
                    1 => Some(place),
                    _ => forward.places_at(usize::from(hop) - 1).iter().position(|at| *at == place),
                };
                let result = cascade.back(forward, flip);
                match of_client {
                    Some(arrival) => assert_eq!(result, differ(&cascade, &[arrival])),
                    None => assert!(matches!(result, Err((Noticed::ByHop(_), EchoError::Noise { .. })))),
                }
                assert!(unchecked(&cascade, second, flip), "the control");
            }
        }
    }
}
