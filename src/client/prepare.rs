//! Messages of local programs on their way into the outbox.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::sync::{Mutex, PoisonError};

use rand::Rng;

use crate::config::Contact;
use crate::control::{Answer, ControlError, Failure, MessageKind, Outgoing, Stream};
use crate::crypto::{Csprng, MailboxId, os_csprng};
use crate::session::content::Content;
use crate::store::{Accepted, Draft, MessageName, NewMessage};

use super::service::{Service, unreadable};

/// Bytes of a message that are in memory at a time; a shorter message is one commit.
const PIECE: u64 = 4 << 20;

impl Service {
    /// Takes a message: it is on the disk to its last byte when this says that it is accepted.
    ///
    /// A short one is read before anything is said of it, so that the next question is found. A long one is refused
    /// unread, and then the connection ends with the refusal.
    pub(super) async fn prepare(
        &mut self,
        stream: &mut Stream,
        outgoing: Outgoing,
    ) -> Result<Result<Answer, Failure>, ControlError> {
        if outgoing.bytes > self.network.parameters.max_message {
            return Err(refuse(stream, Failure::TooLarge).await);
        }
        if outgoing.bytes <= PIECE {
            let data = stream.bytes(outgoing.bytes).await?;
            return Ok(self.accept(&outgoing, data).await);
        }
        let (contact, draft, name) = match self.begin(&outgoing).await {
            Ok(begun) => begun,
            Err(failure) => return Err(refuse(stream, failure).await),
        };
        let accepted = match self.write(stream, draft, outgoing.bytes).await {
            Ok(Ok(draft)) => self.finish(draft, &contact, outgoing.named, name).await,
            Ok(Err(failure)) => Err(failure),
            Err(error) => {
                let _at_the_next_start = self.on_disk(move |disk| disk.outbox.give_up(&name)).await;
                return Err(error);
            }
        };
        match accepted {
            Ok(answer) => Ok(Ok(answer)),
            Err(failure) => {
                let _at_the_next_start = self.on_disk(move |disk| disk.outbox.give_up(&name)).await;
                Err(refuse(stream, failure).await)
            }
        }
    }

    async fn accept(&self, outgoing: &Outgoing, data: Vec<u8>) -> Result<Answer, Failure> {
        let contact = self.recipient(&outgoing.to).await?;
        let content = content(outgoing, &data)?;
        drop(data);
        let (name, named) = (self.names.next(contact.mailbox, outgoing.named), outgoing.named);
        let payload = self.network.parameters.payload as usize;
        let to = (contact.mailbox, contact.letter_key);
        let accepted =
            self.on_disk(move |disk| disk.outbox.accept(name, &NewMessage { to, named, content: &content }, payload));
        let accepted = accepted.await?;
        Ok(self.accepted(name, accepted).await)
    }

    /// Takes the room of a long message, with the header of its content written.
    async fn begin(&self, outgoing: &Outgoing) -> Result<(Contact, Draft, MessageName), Failure> {
        let contact = self.recipient(&outgoing.to).await?;
        let header = content(outgoing, &[])?;
        let name = self.names.next(contact.mailbox, outgoing.named);
        let (bytes, payload) = (outgoing.bytes, self.network.parameters.payload as usize);
        let draft = self.on_disk(move |disk| {
            let mut draft = disk.outbox.draft(name, header.len() as u64 + bytes, payload)?;
            disk.outbox.append(&mut draft, &header)?;
            Ok(draft)
        });
        Ok((contact, draft.await?, name))
    }

    async fn write(
        &self,
        stream: &mut Stream,
        mut draft: Draft,
        bytes: u64,
    ) -> Result<Result<Draft, Failure>, ControlError> {
        let mut left = bytes;
        while left > 0 {
            let piece = stream.bytes(left.min(PIECE)).await?;
            left -= piece.len() as u64;
            let written = self.on_disk(move |disk| disk.outbox.append(&mut draft, &piece).map(|()| draft));
            draft = match written.await {
                Ok(draft) => draft,
                Err(failure) => return Ok(Err(failure)),
            };
        }
        Ok(Ok(draft))
    }

    async fn finish(&self, draft: Draft, contact: &Contact, named: bool, name: MessageName) -> Result<Answer, Failure> {
        let to = (contact.mailbox, contact.letter_key);
        let accepted = self.on_disk(move |disk| disk.outbox.accept_draft(draft, to, named)).await?;
        Ok(self.accepted(name, accepted).await)
    }

    async fn accepted(&self, message: MessageName, Accepted { packets }: Accepted) -> Answer {
        let earliest_round = self.session().await.map_or(0, |status| status.round) + 1;
        Answer::Accepted { message, packets, earliest_round }
    }

    async fn recipient(&self, name: &str) -> Result<Contact, Failure> {
        let (contacts, name) = (self.contacts.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || contacts.by_name(&name)).await;
        let contact = found.map_err(|_| Failure::Stopping)?.map_err(unreadable)?.ok_or(Failure::UnknownContact)?;
        // One that the daemon has not been told of: it may write back.
        self.know_contacts().await?;
        Ok(contact)
    }
}

/// Answers with a refusal; what ends the connection, whose content nobody reads.
async fn refuse(stream: &mut Stream, failure: Failure) -> ControlError {
    match stream.send(&Answer::Failed(failure)).await {
        Ok(()) => Error::from(ErrorKind::InvalidInput).into(),
        Err(error) => error,
    }
}

/// The content of a message with these bytes.
fn content(outgoing: &Outgoing, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let content = match outgoing.kind {
        MessageKind::Text => Content::Text(data),
        MessageKind::File => Content::File { name: &outgoing.name, data },
    };
    content.encode().map_err(|_| Failure::BadName)
}

/// Names for messages.
///
/// Those of named messages to one recipient ascend while the program runs, so that the recipient can show those of one
/// round in order; by random steps from a random beginning, so that no two programs draw the same. An anonymous
/// message has a name of its own alone: nothing ties it to another.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<MailboxId, u128>>);

impl Names {
    pub(super) fn next(&self, to: MailboxId, named: bool) -> MessageName {
        let mut rng = os_csprng();
        if !named {
            return random(&mut rng);
        }
        // As many as there are contacts, each an integer: nothing in here panics.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // From the lower half of the range, there is room for 2^63 steps.
        let next = match last.get(&to) {
            Some(last) => last.wrapping_add(1 + u128::from(rng.next_u64())),
            None => u128::from_be_bytes(random(&mut rng)) >> 1,
        };
        last.insert(to, next);
        next.to_be_bytes()
    }
}

fn random(rng: &mut Csprng) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ascend_for_each_recipient_and_those_of_anonymous_messages_do_not() {
        let names = Names::default();
        let ascending = |to: u8, named| {
            let drawn: Vec<_> = (0..20).map(|_| names.next(MailboxId([to; 16]), named)).collect();
            drawn.is_sorted_by(|a, b| a < b)
        };
        assert!(ascending(1, true) && ascending(2, true));
        assert!(!ascending(1, false), "one in 2 x 10^18");
    }
}
