//! Flags that both programs have.

use std::path::PathBuf;

use clap::Args;

use crate::config;

use super::error::{CliError, Exit};

/// Flags of every command, before or behind its name.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "With every command")]
pub(super) struct GlobalArgs {
    /// The directory of settings, keys and messages [default: ~/.mixnode or ~/.mixclient]
    #[arg(long, global = true, env = "MIXNET_HOME", hide_env_values = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Write JSON, one object a line, each with "schema":1
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl GlobalArgs {
    /// The home asked for, or `name` in the user's home directory.
    ///
    /// # Errors
    /// If neither is known.
    pub(super) fn home(&self, name: &str) -> Result<PathBuf, CliError> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let user = std::env::var_os("HOME").filter(|home| !home.is_empty());
        user.map(|home| PathBuf::from(home).join(name)).ok_or_else(|| {
            CliError::new(Exit::Usage, "no home directory is known\nhelp: give --home DIR, or set MIXNET_HOME")
        })
    }
}

/// Settings over those of `config.yaml` and of the environment.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings, over MIXNET_* variables, over config.yaml")]
pub(super) struct SettingArgs {
    /// The name under which the network file lists this daemon
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// The network file
    #[arg(long, value_name = "FILE")]
    network: Option<String>,
    /// The directory of the secret key files
    #[arg(long, value_name = "DIR")]
    keys: Option<String>,
    /// Where a mix listens, if not at its address in the network file
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The control socket
    #[arg(long, value_name = "PATH")]
    control: Option<String>,
    /// The largest datagram that is tried on a path, 1200 to 6000
    #[arg(long, value_name = "BYTES")]
    mtu: Option<String>,
    /// Megabits a second at which a mix hands a batch on, 0: as fast as the link takes it
    #[arg(long, value_name = "MBIT")]
    emission_mbit: Option<String>,
    /// Bytes that may wait in a client's outbox
    #[arg(long, value_name = "BYTES")]
    outbox_bytes: Option<String>,
    /// Bytes beyond which a client's inbox forgets what was read
    #[arg(long, value_name = "BYTES")]
    inbox_bytes: Option<String>,
    /// Clients in a round below which a client's `status` warns, 0: never
    #[arg(long, value_name = "CLIENTS")]
    privacy_floor: Option<String>,
    /// Rounds that a client's message waits on average before it leaves, 0: none
    #[arg(long, value_name = "ROUNDS")]
    wait_rounds: Option<String>,
    /// Where /metrics and /healthz are served: 127.0.0.1:PORT, or off
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<String>,
    /// Whether metrics may be served beyond loopback
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    metrics_public: Option<String>,
    /// The form of log lines: text or json
    #[arg(long, value_name = "FORM")]
    log: Option<String>,
    /// The least severe log lines: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Keep the keys in memory only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ephemeral: Option<String>,
    /// What a mix computes X25519 with: auto, ifma, lanes, lanes4, aws-lc or dalek
    #[arg(long, value_name = "BACKEND")]
    x25519: Option<String>,
}

impl SettingArgs {
    /// What goes over `config.yaml`: the environment's, then these.
    pub(super) fn overrides(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("id", &self.id),
            ("network", &self.network),
            ("keys", &self.keys),
            ("listen", &self.listen),
            ("control", &self.control),
            ("mtu", &self.mtu),
            ("emission_mbit", &self.emission_mbit),
            ("outbox_bytes", &self.outbox_bytes),
            ("inbox_bytes", &self.inbox_bytes),
            ("privacy_floor", &self.privacy_floor),
            ("wait_rounds", &self.wait_rounds),
            ("metrics", &self.metrics),
            ("metrics_public", &self.metrics_public),
            ("log", &self.log),
            ("log_level", &self.log_level),
            ("ephemeral", &self.ephemeral),
            ("x25519", &self.x25519),
        ];
        let given = flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        config::environment(std::env::vars_os()).into_iter().chain(given).collect()
    }
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) settings: SettingArgs,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub(super) die_with_stdin: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_flag_for_every_setting() {
        let command = SettingArgs::augment_args(clap::Command::new("any"));
        let mut flags: Vec<String> =
            command.get_arguments().filter_map(|arg| Some(arg.get_long()?.replace('-', "_"))).collect();
        flags.sort_unstable();
        let mut settings = config::SETTINGS.to_vec();
        settings.sort_unstable();
        assert_eq!(flags, settings);
        let all = SettingArgs { id: Some("x".into()), ..SettingArgs::default() };
        assert!(all.overrides().contains(&("id", "x".into())));
    }
}
