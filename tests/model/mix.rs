//! An honest mix: its seal, its disk, and what it makes of what happens to it.

use mixnet::round::Seal;
use mixnet::round::seal::{Ending, Event, Fact, Message, SealError, Secret, Step};
use mixnet::wire::Mismatch;

use super::plan::{A, B, ENDINGS, Knob, Plan};

/// An honest mix.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Mix {
    pub(crate) seal: Seal,
    pub(crate) disk: Vec<Fact>,
    /// Facts on their way to the disk, in order.
    pub(crate) queue: Vec<Fact>,
    pub(crate) crashes: u8,
    /// Which secrets this process has erased, or never had: share, onion key.
    pub(crate) erased: [bool; 2],
}

/// What can happen to a mix.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// Something of its own: the batch, the echoes, the clock.
    Own(Event),
    /// It hears a mix.
    Hear(usize, Message),
    /// The oldest fact on its way is on disk, and the mix is told.
    Disk,
    /// The disk does not take the letters.
    DiskFull,
    /// It dies when so many facts on the way had reached the disk, and starts again.
    Crash(usize),
}

/// A mix behind an input, what it says thereby, and the error if it refuses.
pub(crate) type Outcome = (Mix, u64, Option<SealError>);

impl Mix {
    /// A round that opens. With three mixes list and batch are behind it, as nothing but the way to the echoes depends on them;
    /// with two the search begins at the list.
    pub(crate) fn new(plan: &Plan, own: usize) -> Self {
        let mut seal = Seal::new(plan.position(own));
        if plan.mixes > 2 {
            for event in [Event::Listed, Event::Forwarded] {
                assert_eq!(seal.handle(event), Ok(Vec::new()));
            }
        }
        if plan.knob == Knob::OneBurntLess {
            let next = (own + 1) % plan.mixes;
            assert_eq!(seal.handle(Event::Burnt { from: next }), Ok(Vec::new()));
        }
        Self { seal, disk: Vec::new(), queue: Vec::new(), crashes: 0, erased: [false; 2] }
    }

    /// What it does with an input; none if that cannot happen now.
    pub(crate) fn take(&mut self, plan: &Plan, own: usize, input: Input) -> Result<Vec<Step>, SealError> {
        let event = match input {
            Input::Own(event) => event,
            Input::Hear(from, message) => match heard(from, message) {
                Some(event) => event,
                None => return Ok(Vec::new()),
            },
            Input::Disk => {
                let fact = self.queue.remove(0);
                self.disk.push(fact);
                if plan.knob == Knob::SayBeforeDisk {
                    return Ok(Vec::new());
                }
                Event::Persisted(fact)
            }
            Input::DiskFull => {
                let stored = Fact::Ended(Ending::Stored);
                if self.queue.first() != Some(&stored) {
                    return Ok(Vec::new());
                }
                self.queue.remove(0);
                Event::NotStored
            }
            Input::Crash(written) => return Ok(self.crash(plan, own, written)),
        };
        let mut steps = self.seal.handle(event)?;
        if let (Knob::OneConfirmLess, Event::Echoed(transcript)) = (plan.knob, event) {
            let from = (own + 1) % plan.mixes;
            steps.extend(self.seal.handle(Event::Confirm { from, transcript })?);
        }
        self.write(plan, &mut steps);
        for (erased, secret) in self.erased.iter_mut().zip([Secret::Share, Secret::OnionKey]) {
            *erased |= steps.contains(&Step::Erase(secret));
        }
        Ok(steps)
    }

    /// What can happen to it besides messages of honest ones.
    pub(crate) fn inputs(&self, plan: &Plan, own: usize) -> Vec<Input> {
        let mut all = vec![Input::Own(Event::Listed), Input::Own(Event::Forwarded), Input::Own(Event::Echoed(A))];
        all.push(Input::Own(Event::Opened));
        if plan.trouble {
            all.push(Input::Own(Event::Mismatch(Mismatch::Echo { place: 0 })));
            all.push(Input::Own(Event::TimedOut));
        }
        if plan.trouble && own == plan.mixes - 1 {
            all.push(Input::DiskFull);
        }
        if !self.queue.is_empty() {
            all.push(Input::Disk);
        }
        if self.crashes < plan.crashes.0 {
            all.extend((0..=self.queue.len()).map(Input::Crash));
        }
        if let Some(liar) = plan.malicious {
            // Its echoes may look good under another transcript to some.
            all.push(Input::Own(Event::Echoed(B)));
            let accusation = Message::Accusation(Mismatch::Echo { place: 0 });
            let any = [Message::Confirm(A), Message::Confirm(B), accusation, Message::Burnt, Message::OnionKey];
            all.extend(any.map(|message| Input::Hear(liar, message)));
            if own == plan.mixes - 1 {
                all.push(Input::Hear(liar, Message::Share));
            }
            if liar == plan.mixes - 1 {
                all.extend(ENDINGS.map(|ending| Input::Hear(liar, Message::Ending(ending))));
            }
        }
        all
    }

    fn crash(&mut self, plan: &Plan, own: usize, written: usize) -> Vec<Step> {
        self.disk.extend(self.queue.drain(..).take(written));
        if plan.knob == Knob::ForgetfulDisk {
            self.disk.clear();
        }
        let (seal, mut steps) = match plan.knob {
            Knob::KeysOnDisk => (Self::new(plan, own).seal, Vec::new()),
            _ => Seal::restarted(plan.position(own), &self.disk),
        };
        let (disk, crashes) = (std::mem::take(&mut self.disk), self.crashes + 1);
        let erased = [plan.knob != Knob::KeysOnDisk; 2];
        *self = Self { seal, disk, queue: Vec::new(), crashes, erased };
        self.write(plan, &mut steps);
        steps
    }

    /// Takes what goes to the disk out of `steps`.
    fn write(&mut self, plan: &Plan, steps: &mut Vec<Step>) {
        let mut at = 0;
        while at < steps.len() {
            let Step::Persist(fact) = steps[at] else {
                at += 1;
                continue;
            };
            steps.remove(at);
            self.queue.push(fact);
            if plan.knob == Knob::SayBeforeDisk {
                steps.extend(self.seal.handle(Event::Persisted(fact)).expect("it was asked for"));
            }
        }
    }
}

/// Whether a mix only remembers what it heard.
pub(crate) fn is_quiet(before: &Mix, (after, says, refused): &Outcome) -> bool {
    let same = after.queue == before.queue && after.disk == before.disk && after.erased == before.erased;
    same && *says == 0 && refused.is_none() && after.seal.stage() == before.seal.stage()
}

/// What a mix's word is to another's seal.
fn heard(from: usize, message: Message) -> Option<Event> {
    match message {
        Message::Confirm(transcript) => Some(Event::Confirm { from, transcript }),
        Message::Share => Some(Event::Share { from }),
        Message::Accusation(_) => Some(Event::Accusation { from }),
        Message::Burnt => Some(Event::Burnt { from }),
        Message::OnionKey => Some(Event::OnionKey { from }),
        Message::Ending(ending) => Some(Event::Decision(ending)),
        // A lost mix's silence shows in time-outs, whenever they fire.
        Message::Lost => None,
    }
}
