//! The program that measures; everything is in [`mixnet::cli`] and [`mixnet::load`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mixnet::cli::mixload(std::env::args_os())
}
