//! The program of an operator; everything is in [`mixnet::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mixnet::cli::mixnode(std::env::args_os())
}
