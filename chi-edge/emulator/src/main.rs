//! `hearthwatch-emulator`: the emulated world on one machine. Without a subcommand it is the newcomer's demo.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use hearthwatch_emulator::cli::Arguments;
use hearthwatch_provision::pipe;

fn main() -> ExitCode {
    // Under that program's name this one is what homes of the demonstration train with: `cargo run` builds no second program.
    let name = std::env::args_os().next().and_then(|path| Path::new(&path).file_name().map(ToOwned::to_owned));
    if name.is_some_and(|name| name == hearthwatch_train_round::PROGRAM) {
        return hearthwatch_train_round::run();
    }
    pipe::end_quietly();
    // tough and rmqtt both bring a provider; without a chosen default rustls would panic at the first handshake.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match hearthwatch_emulator::cli::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => pipe::exit("hearthwatch-emulator", &error),
    }
}
