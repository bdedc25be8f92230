use super::codec::{CodecError, MAX_MESSAGE, decode, encode};
use super::frame::{self, FrameError};
use super::*;
use crate::crypto::{Digest, Signature};

fn header() -> SignedBatchHeader {
    let header = BatchHeader {
        network: Digest([1; 32]),
        epoch: Digest([2; 32]),
        round: 300,
        hop: 1,
        count: 12,
        noise: 0,
        members: Members::none(9),
        input: Digest([3; 32]),
        output: Digest([4; 32]),
    };
    SignedBatchHeader { header, signature: Signature([5; 64]) }
}

#[test]
fn a_message_decodes_only_from_its_own_encoding() {
    let message = PeerMessage::ForwardBatch(header());
    let bytes = encode(&message);
    assert_eq!(decode::<PeerMessage>(&bytes), Ok(message));
    for cut in 0..bytes.len() {
        assert_eq!(decode::<PeerMessage>(&bytes[..cut]), Err(CodecError::Malformed));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode::<PeerMessage>(&longer), Err(CodecError::Trailing));
    assert_eq!(decode::<PeerMessage>(&vec![0; MAX_MESSAGE + 1]), Err(CodecError::TooLong));
}

#[test]
fn an_over_long_integer_is_not_canonical() {
    let short = encode(&Request::Submit { round: 5 });
    assert_eq!(short, [3, 5]);
    let long = [3, 0xfb, 5, 0];
    assert_eq!(decode::<Request>(&long), Err(CodecError::NotCanonical));
}

#[test]
fn a_length_of_a_terabyte_is_refused_without_allocating() {
    // Ticket: round 0, closes 0, chain of 2^40 documents.
    let bytes = [2, 0, 0, 0xfd, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(decode::<Reply>(&bytes), Err(CodecError::Malformed));
}

#[test]
fn frames_are_bounded_before_they_are_read() {
    assert_eq!(frame::length([0; 4]), Err(FrameError::Length));
    assert_eq!(frame::length([0xff; 4]), Err(FrameError::Length));
    assert_eq!(frame::length((MAX_MESSAGE as u32).to_le_bytes()), Ok(MAX_MESSAGE));
    let bytes = frame::write(&Request::Register);
    assert_eq!(frame::read(&bytes), Ok(Request::Register));
    assert_eq!(frame::read::<Request>(&[bytes.as_slice(), &[0]].concat()), Err(FrameError::Length));
}

#[test]
fn members_are_a_set_over_the_roster() {
    let mut members = Members::none(9);
    assert!(members.fits(9) && !members.fits(17) && members.fits(16));
    assert!(members.insert(8) && !members.insert(8) && members.insert(0));
    assert_eq!(members.count(), 2);
    assert!(members.contains(8) && !members.contains(7) && !members.contains(1000));
    assert_eq!(Vec::from_iter(members.iter()), [0, 8]);
    assert!(members.fits(9) && !members.fits(8));
    let mut beyond = Members::none(16);
    beyond.insert(9);
    assert!(!beyond.fits(9) && beyond.fits(10));
    assert_ne!(members.digest(), Members::none(9).digest());
}
