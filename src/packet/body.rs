//! The body of a letter: a fragment of a message, or a dummy.

use crate::crypto::{MailboxId, byte_string};

use super::{BODY_HEADER_BYTES, Geometry};

byte_string! {
    /// 16 random bytes that name a message for its recipient, the same at every resend.
    MessageId, 16
}

/// What a body is; only its recipient can tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Cover, dropped by the recipient. It is told by this type, never by its content.
    Dummy,
    /// A fragment of a message.
    Fragment,
}

/// The fields of a body; `data` is at most the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body<'a> {
    /// Dummy or fragment.
    pub kind: Kind,
    /// Which message the fragment belongs to.
    pub message: MessageId,
    /// Which fragment it is, from 0.
    pub index: u32,
    /// How many fragments the message has, at least 1.
    pub count: u32,
    /// The last epoch in which the message may still arrive; its id is remembered until then.
    pub expiry: u64,
    /// The sender's mailbox, if it named itself. Believe it only as far as the letter's tag holds.
    pub sender: Option<MailboxId>,
    /// User bytes.
    pub data: &'a [u8],
}

/// Why a body that opened is still not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// The first byte is not a known kind.
    #[error("unknown kind of body")]
    Kind,
    /// A fragment's index is not below the count.
    #[error("fragment index out of range")]
    Index,
    /// The length exceeds the payload.
    #[error("length above the payload")]
    Length,
    /// Reserved bytes or padding are not zero.
    #[error("padding is not zero")]
    Padding,
}

const ANONYMOUS: MailboxId = MailboxId([0; 16]);
/// Where the sender's tag stands in a body.
pub(super) const TAG_AT: usize = BODY_HEADER_BYTES - 16;

impl<'a> Body<'a> {
    /// A dummy with this random id: the one form of cover, whoever makes it.
    pub fn dummy(message: MessageId, expiry: u64, data: &'a [u8]) -> Self {
        Self { kind: Kind::Dummy, message, index: 0, count: 1, expiry, sender: None, data }
    }

    /// Writes the body into `out`, [`Geometry::body`] bytes, with a sender tag of zero.
    ///
    /// # Panics
    /// If `data` exceeds the payload.
    pub fn write(&self, out: &mut [u8]) {
        let (header, payload) = out.split_at_mut(BODY_HEADER_BYTES);
        header.fill(0);
        header[0] = match self.kind {
            Kind::Dummy => 0,
            Kind::Fragment => 1,
        };
        header[4..20].copy_from_slice(&self.message.0);
        header[20..24].copy_from_slice(&self.index.to_le_bytes());
        header[24..28].copy_from_slice(&self.count.to_le_bytes());
        let length = u32::try_from(self.data.len()).expect("a payload is at most 4 MiB");
        header[28..32].copy_from_slice(&length.to_le_bytes());
        header[32..40].copy_from_slice(&self.expiry.to_le_bytes());
        header[40..56].copy_from_slice(&self.sender.unwrap_or(ANONYMOUS).0);
        let (data, padding) = payload.split_at_mut(self.data.len());
        data.copy_from_slice(self.data);
        padding.fill(0);
    }

    /// Reads a body and its sender tag.
    ///
    /// # Errors
    /// Which rule the bytes break.
    pub fn parse(geometry: Geometry, bytes: &'a [u8]) -> Result<(Self, [u8; 16]), BodyError> {
        debug_assert_eq!(bytes.len(), geometry.body());
        let (header, payload) = bytes.split_at(BODY_HEADER_BYTES);
        let kind = match header[0] {
            0 => Kind::Dummy,
            1 => Kind::Fragment,
            _ => return Err(BodyError::Kind),
        };
        if header[1..4] != [0; 3] {
            return Err(BodyError::Padding);
        }
        let (index, count) = (read_u32(&header[20..]), read_u32(&header[24..]));
        if index >= count {
            return Err(BodyError::Index);
        }
        let length = read_u32(&header[28..]) as usize;
        if length > payload.len() {
            return Err(BodyError::Length);
        }
        if any_from(payload, length) {
            return Err(BodyError::Padding);
        }
        let sender = MailboxId(take(&header[40..]));
        let body = Body {
            kind,
            message: MessageId(take(&header[4..])),
            index,
            count,
            expiry: u64::from_le_bytes(take(&header[32..])),
            sender: (sender != ANONYMOUS).then_some(sender),
            data: &payload[..length],
        };
        Ok((body, take(&header[TAG_AT..])))
    }
}

/// Whether a byte at `start` or behind it is not zero, in a time that does not tell where that is: a dummy has less data than most
/// messages.
fn any_from(payload: &[u8], start: usize) -> bool {
    // A payload is at most 4 MiB, and indices of 32 bits fill vectors twice as well.
    let (start, indices) = (start as u32, 0_u32..);
    payload.iter().zip(indices).fold(0, |all, (byte, index)| all | (byte & u8::from(index >= start).wrapping_neg()))
        != 0
}

fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the header is long enough for its fields")
}

fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(take(bytes))
}
