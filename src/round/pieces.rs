//! What is too long for one message, cut into pieces and put together again.

use bytes::Bytes;

use crate::wire::{PIECE_BYTES, Piece};

/// Pieces that arrive in any order, any of them twice.
pub struct Pieces {
    bytes: Vec<u8>,
    missing: Vec<u32>,
}

/// A piece that does not belong where it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the piece does not fit")]
pub struct BadPiece;

impl Pieces {
    /// None so far of `length` bytes, which the caller has bounded; at least 1.
    pub fn new(length: usize) -> Self {
        let count = u32::try_from(length.div_ceil(PIECE_BYTES)).expect("what is sent has far fewer pieces");
        Self { bytes: vec![0; length], missing: (0..count).collect() }
    }

    /// Which have not come.
    pub fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Takes a piece; the whole once nothing is missing, and only then.
    ///
    /// # Errors
    /// If it is not one of these, or has another length.
    pub fn take(&mut self, piece: &Piece) -> Result<Option<Vec<u8>>, BadPiece> {
        let from = (piece.number as usize).checked_mul(PIECE_BYTES).ok_or(BadPiece)?;
        let to = from.saturating_add(PIECE_BYTES).min(self.bytes.len());
        let place = self.bytes.get_mut(from..to).filter(|place| place.len() == piece.bytes.len()).ok_or(BadPiece)?;
        let Some(at) = self.missing.iter().position(|number| *number == piece.number) else { return Ok(None) };
        self.missing.swap_remove(at);
        place.copy_from_slice(&piece.bytes);
        Ok(self.missing.is_empty().then(|| std::mem::take(&mut self.bytes)))
    }
}

/// Cuts `bytes` into pieces, which share them.
pub fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Piece> {
    let cut = move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE_BYTES)));
    (0..).zip(std::iter::from_fn(cut)).map(|(number, bytes)| Piece { number, bytes })
}

/// The piece of this number alone; `None` if `bytes` have not as many.
pub fn piece(bytes: &[u8], number: u32) -> Option<Piece> {
    let bytes = bytes.chunks(PIECE_BYTES).nth(number as usize)?;
    Some(Piece { number, bytes: Bytes::copy_from_slice(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_in_any_order_and_no_other_way() {
        for length in [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let whole: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let shared = Bytes::from(whole.clone());
            let mut cut: Vec<Piece> = pieces(shared.clone()).collect();
            let at = |piece: &Piece| shared[piece.number as usize * PIECE_BYTES..].as_ptr();
            assert!(cut.iter().all(|piece| piece.bytes.as_ptr() == at(piece)), "nothing is copied");
            let alone = (0..=cut.len() as u32).map_while(|number| piece(&whole, number));
            assert!(alone.eq(cut.iter().cloned()));
            let (mut coming, last) = (Pieces::new(length), cut.remove(0));
            for piece in cut.iter().rev().chain(&cut) {
                assert_eq!(coming.take(piece), Ok(None), "once or twice");
            }
            for wrong in [
                Piece { number: cut.len() as u32 + 1, bytes: last.bytes.clone() },
                Piece { number: u32::MAX, bytes: last.bytes.clone() },
                Piece { number: 0, bytes: Bytes::new() },
                Piece { number: 0, bytes: [&last.bytes[..], &[0]].concat().into() },
            ] {
                assert_eq!(coming.take(&wrong), Err(BadPiece));
            }
            assert_eq!(coming.take(&last), Ok(Some(whole)));
            assert_eq!(coming.take(&last), Err(BadPiece), "it is gone");
        }
    }
}
