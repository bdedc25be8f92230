//! The program of a user; everything is in [`mixnet::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mixnet::cli::mixclient(std::env::args_os())
}
