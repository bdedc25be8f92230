//! Peeling and opening allocate nothing for a packet: what a call allocates does not grow with the packets.
//!
//! A binary of its own, for it counts what goes to the allocator. aws-lc allocates by itself, in C, which is not seen here, and
//! aws-lc-rs twice for each key agreement; so a backend that goes through it alone is left out.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mixnet::crypto::{BATCH, Backend, Csprng, Digest, MailboxId, SecretKey};
use mixnet::packet::{Address, Body, Builder, EnvelopeKey, Geometry, MessageId, Peeler, Recipe, RoundContext, Slots};
use rand::SeedableRng;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches a constant-initialised cell only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Whole vectors: what is left over goes to aws-lc.
const FEW: usize = 64;
/// More than a group.
const MANY: usize = BATCH + 64;
const CONTEXT: RoundContext = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };

#[test]
fn what_peeling_and_opening_allocate_does_not_grow_with_the_packets() {
    let mut rng = Csprng::seed_from_u64(1);
    let geometry = Geometry::new(2, 256).expect("in range");
    let secrets: Vec<SecretKey> = (0..4).map(|_| SecretKey::random(&mut rng)).collect();
    let onions = secrets[..2].iter().map(SecretKey::public_key).collect();
    let builder = Builder::new(geometry, CONTEXT, Backend::AwsLc, onions, secrets[2].public_key());
    let to = Address { mailbox: MailboxId([2; 16]), letter_key: secrets[3].public_key() };
    let recipe = |_| Recipe { to, body: Body::dummy(MessageId([0; 16]), 1, b""), sender: None };
    let mut packets = Vec::new();
    builder.client_packets(&mut rng, 0, (0..MANY).map(recipe), &mut packets);

    let backends = [Backend::Lanes, Backend::Dalek].into_iter();
    for backend in backends.filter(|backend| backend.is_available()) {
        let peelers = [1, 2].map(|hop| Peeler::new(geometry, CONTEXT, hop, &secrets[usize::from(hop) - 1], backend));
        let envelopes = EnvelopeKey::new(CONTEXT, &secrets[2], backend);
        let counts = [FEW, MANY].map(|count| {
            let mut slots =
                Slots::from_packets(geometry, &packets[..count * geometry.packet()]).expect("whole packets");
            // Once before, so that what is made once and for all is there.
            let first = allocations(|| peelers[0].peel(&mut slots, 0).expect("own packets peel"));
            let handed_on: Vec<u8> = (0..count).flat_map(|i| slots.peeled(i).to_vec()).collect();
            let mut slots = Slots::from_packets(geometry, &handed_on).expect("whole packets");
            let second = allocations(|| peelers[1].peel(&mut slots, 0).expect("own packets peel"));
            let mut opened = 0;
            let open = || envelopes.open_all(geometry, slots.all_peeled_mut(), |it| opened += usize::from(it.is_ok()));
            let opening = allocations(open);
            assert_eq!(opened, count, "{backend}");
            [first, second, opening]
        });
        println!("{backend}: allocations of a call {counts:?}");
        assert_eq!(counts[0][1..], counts[1][1..], "{backend}");
        assert!(counts[1].iter().all(|count| *count < 16), "{backend}: {counts:?}");
    }
}
