//! What the targets share: an allocator that refuses what no input may cause, and a network to check messages against.

use std::alloc::{GlobalAlloc, Layout, System};

use mixnet::crypto::{IdentityKey, MailboxId, SecretKey};
use mixnet::wire::{ClientEntry, DummyPolicy, MailboxEntry, MixEntry, Network, NoiseLaw, Parameters, Roster};

/// No input below makes anything allocate more than this at once: the longest file that is read has 16 MiB, and the
/// largest message has one.
const MOST: usize = 64 << 20;

/// The system's allocator with a limit; what exceeds it aborts the run as a finding.
struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn check(size: usize) {
    if size > MOST {
        std::process::abort();
    }
}

/// A network of three mixes and five clients.
pub fn network() -> Network {
    let key = |seed: u8| IdentityKey::from_seed(&[seed; 32]).identity();
    let point = |seed: u8| SecretKey::from_bytes([seed; 32]).public_key();
    let mixes = (0..3).map(|i| MixEntry {
        id: format!("mix-{}", i + 1),
        address: format!("127.0.0.1:{}", 9001 + u16::from(i)),
        identity: key(10 + i),
    });
    let clients =
        (0..5).map(|i| ClientEntry { id: format!("client-{}", i + 1), identity: key(20 + i), list_key: point(30 + i) });
    let mailboxes = (0..5).map(|i| MailboxEntry { id: MailboxId([i; 16]), letter_key: point(40 + i) });
    Network {
        defences: mixnet::crypto::Defences::default(),
        parameters: Parameters {
            network: "fuzzed".into(),
            messages_per_round: 10,
            start_clients: 5,
            min_clients: 2,
            min_share_permille: 500,
            round_ms: 1000,
            submit_ms: 800,
            mix_delay_ms: (0, 50),
            payload: 256,
            packets_per_client: 2,
            noise_packets: 2,
            noise: NoiseLaw::Constant,
            dummies: DummyPolicy::Uniform,
            dummy_payload: b"dummy".to_vec(),
            max_message: 64 << 20,
            epoch_rounds: 60,
            verdict_rounds: 6,
            retention_epochs: 1440,
            poll_letters: 7,
            mailbox_letters: 1000,
            history_rounds: 16_384,
            threshold: 2,
            sealed: true,
        },
        roster: Roster { mixes: mixes.collect(), clients: clients.collect(), mailboxes: mailboxes.collect() },
    }
}
