//! The executable: command line, configuration, wiring.
//!
//! - [`cli`]: commands and flags
//! - [`config`]: settings and their sources
//! - [`plan`]: settings checked and turned into what each stage takes
//! - [`backend`]: the only list of back ends
//! - [`up`]: everything in one process

mod backend;
mod cli;
mod config;
mod plan;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command, ConfigCommand};
use config::Loaded;
use plan::Plan;

/// Exit status for a configuration that cannot work (`EX_CONFIG` of sysexits).
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Config(ConfigCommand::Default)) = cli.command {
        print!("{}", config::DEFAULT);
        return ExitCode::SUCCESS;
    }
    let loaded = match config::load(&cli.sources()) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors),
    };
    if let Some(Command::Config(_)) = cli.command {
        print!("{}", config::show(&loaded));
        return ExitCode::SUCCESS;
    }
    let plan = match Plan::new(&loaded.settings) {
        Ok(plan) => plan,
        Err(errors) => return refuse(&errors),
    };
    loaded
        .warnings
        .iter()
        .for_each(|warning| eprintln!("weir: warning: {warning}"));
    match cli.command {
        Some(Command::Check) => {
            println!("the configuration is good");
            ExitCode::SUCCESS
        }
        _ => start(&loaded, plan),
    }
}

fn start(loaded: &Loaded, plan: Plan) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(up::run(loaded, plan))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(errors: &[String]) -> ExitCode {
    errors.iter().for_each(|error| eprintln!("weir: {error}"));
    ExitCode::from(CONFIGURATION)
}
