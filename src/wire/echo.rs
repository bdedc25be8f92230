//! Echoes on their way back: what a mix says, signed, about them, and how they are read.

use crate::crypto::{Digest, Identity, IdentityKey, Label, PRF_BYTES, Signature, derive, derive_parts};

use super::Layout;
use super::codec::{Decode, Encode};

/// What one mix hands back in one round: an echo for each packet that it took in. Its digest makes them *the* echoes of
/// that round and hop: a second header with another is evidence against its signer.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct EchoHeader {
    /// The network's identifier.
    pub network: Digest,
    /// The digest of the epoch document.
    pub epoch: Digest,
    /// The round.
    pub round: u64,
    /// The hop that signs, 1 to L. Of hop 1 the echoes go to everybody, in the order of the list; of the others to the
    /// hop before, in the order in which it handed on the packets.
    pub hop: u8,
    /// What it was made from: [`echoes_digest`] of those that the mix at the next hop handed back; at the exit the digest
    /// of the batch that it took in.
    pub input: Digest,
    /// How many echoes follow.
    pub count: u32,
    /// [`echoes_digest`] of those that follow.
    pub digest: Digest,
}

impl EchoHeader {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        Layout::new("mixnet v1 echo header")
            .digest(&self.network)
            .digest(&self.epoch)
            .u64(self.round)
            .u8(self.hop)
            .digest(&self.input)
            .u32(self.count)
            .digest(&self.digest)
            .finish()
    }

    /// How an accusation about it and the list with this root names both.
    pub fn subject(&self, list: &Digest) -> Digest {
        derive_parts(Label::Subject, &[&self.signed_bytes(), &list.0])
    }

    /// The header with its mix's signature.
    pub fn sign(self, key: &IdentityKey) -> SignedEchoHeader {
        let signature = key.sign(&self.signed_bytes());
        SignedEchoHeader { header: self, signature }
    }
}

/// A header and its mix's signature.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedEchoHeader {
    /// The header.
    pub header: EchoHeader,
    /// Of the mix at `header.hop`.
    pub signature: Signature,
}

impl SignedEchoHeader {
    /// The bytes under the signature: part of a round's transcript.
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.header.signed_bytes()
    }

    /// Whether it is `identity`'s.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity) -> bool {
        identity.verify(&self.signed_bytes(), &self.signature)
    }
}

/// Of echoes, in order.
pub fn echoes_digest(echoes: &[[u8; PRF_BYTES]]) -> Digest {
    derive(Label::Echoes, echoes.as_flattened())
}

/// Why what follows a header is not what it announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EchoStreamError {
    /// The header announces another number than there are packets.
    #[error("{announced} echoes are announced for {packets} packets")]
    Count {
        /// By the header.
        announced: u32,
        /// That have left, or are listed.
        packets: u32,
    },
    /// More bytes came than the header announced.
    #[error("more echoes than announced")]
    TooMany,
    /// The bytes ended before the last echo.
    #[error("fewer echoes than announced")]
    TooFew,
    /// All are there, and not the header's.
    #[error("the echoes are not those of their header")]
    Mismatch,
}

/// The echoes behind a header, while they come in: 16 bytes each, exactly as many as announced, of exactly that digest.
pub struct EchoReader {
    wanted: usize,
    digest: Digest,
    bytes: Vec<u8>,
}

impl EchoReader {
    /// Begins behind a verified header, where `packets` echoes are due. Memory is taken as bytes come.
    ///
    /// # Errors
    /// If the header announces another number.
    pub fn new(header: &EchoHeader, packets: u32) -> Result<Self, EchoStreamError> {
        if header.count != packets {
            return Err(EchoStreamError::Count { announced: header.count, packets });
        }
        Ok(Self { wanted: packets as usize * PRF_BYTES, digest: header.digest, bytes: Vec::new() })
    }

    /// The next bytes of the stream, cut anywhere.
    ///
    /// # Errors
    /// If they are more than announced.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EchoStreamError> {
        if bytes.len() > self.wanted - self.bytes.len() {
            return Err(EchoStreamError::TooMany);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The stream has ended: the echoes, in order.
    ///
    /// # Errors
    /// If some are missing, or they are not the header's.
    pub fn finish(self) -> Result<Vec<[u8; PRF_BYTES]>, EchoStreamError> {
        if self.bytes.len() < self.wanted {
            return Err(EchoStreamError::TooFew);
        }
        let echoes = self.bytes.as_chunks().0.to_vec();
        if echoes_digest(&echoes) == self.digest { Ok(echoes) } else { Err(EchoStreamError::Mismatch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{decode, encode};

    fn echoes() -> Vec<[u8; 16]> {
        (0..5).map(|i| [i; 16]).collect()
    }

    fn header() -> EchoHeader {
        let [network, epoch, input] = [1, 2, 3].map(|byte| Digest([byte; 32]));
        EchoHeader { network, epoch, round: 300, hop: 2, input, count: 5, digest: echoes_digest(&echoes()) }
    }

    /// Reads `bytes` in pieces of `piece`.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<[u8; 16]>, EchoStreamError> {
        let mut reader = EchoReader::new(&header(), 5)?;
        bytes.chunks(piece).try_for_each(|piece| reader.push(piece))?;
        reader.finish()
    }

    #[test]
    fn echoes_are_read_however_they_are_cut() {
        let bytes = echoes().concat();
        for piece in 1..=bytes.len() {
            assert_eq!(read(&bytes, piece), Ok(echoes()));
        }
    }

    #[test]
    fn only_the_headers_very_echoes_are_read() {
        let bytes = echoes().concat();
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut], 7), Err(EchoStreamError::TooFew));
        }
        for longer in [1, 16] {
            assert_eq!(read(&[bytes.as_slice(), &vec![0; longer]].concat(), 7), Err(EchoStreamError::TooMany));
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(read(&flipped, 7), Err(EchoStreamError::Mismatch));
        }
        let swapped: Vec<_> = echoes().into_iter().rev().collect();
        assert_eq!(read(&swapped.concat(), 7), Err(EchoStreamError::Mismatch));
        let refused = EchoReader::new(&header(), 6).err();
        assert_eq!(refused, Some(EchoStreamError::Count { announced: 5, packets: 6 }));
    }

    #[test]
    fn a_header_of_4_billion_echoes_costs_nothing_until_they_come() {
        let announced = EchoHeader { count: u32::MAX, ..header() };
        let reader = EchoReader::new(&announced, u32::MAX).expect("as many as there are packets");
        assert_eq!(reader.bytes.capacity(), 0);
    }

    #[test]
    fn a_signature_holds_for_every_field() {
        let key = IdentityKey::from_seed(&[7; 32]);
        let signed = header().sign(&key);
        assert!(signed.is_signed_by(&key.identity()));
        assert_eq!(decode::<SignedEchoHeader>(&encode(&signed)), Ok(signed.clone()));
        let others = [
            EchoHeader { network: Digest([9; 32]), ..header() },
            EchoHeader { epoch: Digest([9; 32]), ..header() },
            EchoHeader { round: 301, ..header() },
            EchoHeader { hop: 3, ..header() },
            EchoHeader { input: Digest([9; 32]), ..header() },
            EchoHeader { count: 6, ..header() },
            EchoHeader { digest: Digest([9; 32]), ..header() },
        ];
        for header in others {
            assert!(!SignedEchoHeader { header, signature: signed.signature }.is_signed_by(&key.identity()));
        }
    }
}
