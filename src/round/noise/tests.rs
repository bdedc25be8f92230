use crate::wire::{DummyPolicy, NoiseLaw, Parameters};

/// Of some network.
pub(super) fn parameters() -> Parameters {
    Parameters {
        network: "noise".into(),
        messages_per_round: 8,
        start_clients: 4,
        min_clients: 2,
        min_share_permille: 900,
        round_ms: 1000,
        submit_ms: 800,
        mix_delay_ms: (0, 50),
        payload: 256,
        packets_per_client: 2,
        noise_packets: 2,
        noise: NoiseLaw::Constant,
        dummies: DummyPolicy::Uniform,
        dummy_payload: Vec::new(),
        max_message: 1 << 20,
        epoch_rounds: 60,
        verdict_rounds: 6,
        retention_epochs: 10,
        poll_letters: 16,
        mailbox_letters: 64,
        history_rounds: 3840,
        threshold: 3,
        sealed: true,
    }
}
