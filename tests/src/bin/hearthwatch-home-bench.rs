//! `cargo xtask bench home` runs this.

use clap::Parser;
use hearthwatch_tests::bench_home::{HomeArguments, run};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    home: HomeArguments,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(&Arguments::parse().home).await
}
