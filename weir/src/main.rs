//! The executable: command line, configuration, wiring.
//!
//! - [`cli`]: commands and flags
//! - [`config`]: settings and their sources
//! - [`plan`]: settings checked and turned into what each stage takes
//! - [`backend`]: the only list of back ends
//! - [`process`]: running all stages or one of them
//! - [`banner`]: what the process says of itself
//! - [`operate`]: what a running process offers to commands
//! - [`commands`]: those that ask, look and mend
//! - [`kibana`]: data views, dashboards and alert rules
//! - [`letters`]: dead letters, read and sent back
//! - [`forget`]: forgetting a visitor

mod backend;
mod banner;
mod cli;
mod commands;
mod config;
mod forget;
mod kibana;
mod letters;
mod operate;
mod plan;
mod process;

use std::process::ExitCode;

use clap::Parser as _;
use tikv_jemallocator::Jemalloc;

use cli::{Cli, Command, ConfigCommand, DlqCommand, GeoCommand, SpoolCommand};
use commands::reach::reach;
use commands::{dlq, spool};
use config::Loaded;
use plan::{Plan, StreamPlan};
use process::Role;

/// Takes the place of malloc in librdkafka too. Records are taken by one thread and given back by another,
/// and most are larger than what glibc keeps at hand.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit status for a configuration that cannot work (`EX_CONFIG` of sysexits).
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    commands::terminal::end_with_the_reader();
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
    let demo = cli.demo();
    let role = match &cli.command {
        None | Some(Command::Up(_)) => Role::All,
        Some(Command::Gateway(_)) => Role::Gateway,
        Some(Command::Enricher(_)) => Role::Enricher,
        Some(Command::Sink(_)) => Role::Sink,
        Some(_) => return finish(command(cli.command, &plan)),
    };
    start(&loaded, plan, role, demo)
}

/// Runs a command that ends by itself.
fn command(command: Option<Command>, plan: &Plan) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match command {
            Some(Command::Check { running: true, .. }) => {
                return Ok(ExitCode::from(u8::from(
                    !commands::check::running(plan).await?,
                )));
            }
            Some(Command::Check { connect, .. }) => {
                let is_good = commands::check::run(plan, connect).await?;
                return Ok(ExitCode::from(if is_good { 0 } else { CONFIGURATION }));
            }
            Some(Command::Topics) => commands::topics::run(plan).await?,
            Some(Command::Setup(setup)) => commands::setup::run(plan, &setup).await?,
            Some(Command::Send { file, url }) => {
                // Another's gateway gets neither our key nor our trust.
                let (client, url) = match url {
                    Some(url) => (reqwest::Client::builder().no_proxy().build()?, url),
                    None => (plan.client()?, plan.collect_url()),
                };
                commands::send::run(&client, &url, file.as_deref()).await?;
            }
            Some(Command::Tail { topic, wanted }) => {
                let topic = topic.unwrap_or_else(|| plan.enricher.enriched_topic.clone());
                commands::tail::run(&reach(plan)?, &topic, &wanted).await?;
            }
            Some(Command::Dlq(letters)) => {
                let reach = reach(plan)?;
                match letters {
                    DlqCommand::List(select) => dlq::list(&reach, plan, &select.into()).await?,
                    DlqCommand::Show { id } => {
                        let is_there = dlq::show(&reach, plan, &id).await?;
                        return Ok(ExitCode::from(u8::from(!is_there)));
                    }
                    DlqCommand::Replay {
                        select,
                        dry_run,
                        rate,
                        progress,
                    } => {
                        let manner = dlq::Manner {
                            dry_run,
                            rate,
                            progress,
                        };
                        dlq::replay(&reach, plan, select.into(), &manner).await?;
                    }
                }
            }
            Some(Command::Forget {
                user,
                export,
                for_all_time,
            }) => {
                let wish = forget::Wish { user, for_all_time };
                commands::forget::run(plan, &wish, export).await?;
            }
            Some(Command::Spool(command)) => match command {
                SpoolCommand::List => spool::list(plan).await?,
                SpoolCommand::Drain => {
                    let is_empty = spool::drain(plan).await?;
                    return Ok(ExitCode::from(u8::from(!is_empty)));
                }
                SpoolCommand::Export => spool::export(plan).await?,
            },
            Some(Command::Explain {
                url,
                referrer,
                agent,
                ip,
            }) => {
                let (url, referrer, agent) =
                    (url.as_deref(), referrer.as_deref(), agent.as_deref());
                commands::explain::run(plan, url, referrer, agent, ip)?;
            }
            Some(Command::Geo(GeoCommand::Fetch { edition, to, url })) => {
                let source = plan.geo.source(&edition, url);
                let file = || plan.data_dir.join(format!("geo/{edition}.mmdb"));
                commands::geo::fetch(&source, &to.unwrap_or_else(file)).await?;
            }
            Some(Command::Geo(GeoCommand::Lookup { ip })) => {
                commands::explain::run(plan, None, None, None, Some(ip))?;
            }
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn start(loaded: &Loaded, plan: Plan, role: Role, demo: Option<f64>) -> ExitCode {
    if role != Role::All && matches!(plan.stream, StreamPlan::Embedded(_)) {
        return refuse(&[format!(
            "stream: \"embedded\" is for one process; weir {} wants kafka://host:9092",
            role.name()
        )]);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::from);
    let run =
        |runtime: tokio::runtime::Runtime| runtime.block_on(process::run(loaded, plan, role, demo));
    finish(runtime.and_then(run).map(|()| ExitCode::SUCCESS))
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("weir: {error:#}");
        ExitCode::FAILURE
    })
}

fn refuse(errors: &[String]) -> ExitCode {
    errors.iter().for_each(|error| eprintln!("weir: {error}"));
    ExitCode::from(CONFIGURATION)
}
