//! The executable: command line and order of work.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgGroup, Parser};
use jiff::Timestamp;
use loadgen::connection::Target;
use loadgen::drive::{self, Load};
use loadgen::simulation::Simulation;
use loadgen::{Addresses, Events, kafka, report, verify};

/// Fake visitors of a shop: load for a gateway, NDJSON for a file, records for a topic.
#[derive(Debug, Parser)]
#[command(version, about, group(ArgGroup::new("target").required(true).args(["url", "stdout", "kafka"])))]
struct Cli {
    /// The collect route, such as http://127.0.0.1:8080/collect.
    url: Option<String>,
    /// Print NDJSON instead.
    #[arg(long)]
    stdout: bool,
    /// Produce to a topic of these brokers instead.
    #[arg(long, value_name = "BROKERS")]
    kafka: Option<String>,
    /// The topic for --kafka.
    #[arg(long, default_value = "raw-web-events")]
    topic: String,
    /// Events a second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// For how long: 500ms, 10s, 5m.
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Events in all, with --stdout; as fast as can be.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// With --stdout: days of a simulated clock that starts now, busy by day and quiet by night.
    #[arg(
        long,
        value_name = "DAYS",
        requires = "stdout",
        conflicts_with = "count"
    )]
    simulate: Option<u32>,
    /// Sessions of a simulated day.
    #[arg(long, default_value_t = 500)]
    sessions_per_day: u32,
    /// Repeats the visitors and the ids of a run [default: another each time, printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Visitors.
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Events a request.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Give visitors addresses of 198.18.0.0/15, which the demo GeoIP file knows.
    #[arg(long)]
    demo_addresses: bool,
    /// Then look every acknowledged event up in this store, such as http://127.0.0.1:9600.
    #[arg(long, value_name = "STORE_URL", conflicts_with = "stdout")]
    verify: Option<String>,
    /// The indices to look in.
    #[arg(long, default_value = "web-events-*")]
    index: String,
    /// How long the store may take for the last event.
    #[arg(long, default_value = "60s", value_parser = duration)]
    verify_timeout: Duration,
    /// Fail when the 99th percentile of latency is above this.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_p99: Option<Duration>,
    /// Fail when a larger share of requests than this is not acknowledged, such as 0.01.
    #[arg(long, value_name = "SHARE")]
    max_errors: Option<f64>,
    /// Write the figures to a file as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let words = || format!("\"{text}\" is no duration such as 500ms, 10s, 5m or 1h");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let count: u64 = text[..digits].parse().map_err(|_| words())?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(words()),
    };
    let millis = count.checked_mul(millis).ok_or_else(words)?;
    Ok(Duration::from_millis(millis))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            failures
                .iter()
                .for_each(|failure| eprintln!("loadgen: {failure}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs; returns the targets that were missed.
fn run(cli: &Cli) -> anyhow::Result<Vec<String>> {
    anyhow::ensure!(
        cli.rate > 0.0 && cli.rate.is_finite(),
        "--rate: more than 0 is wanted"
    );
    anyhow::ensure!(
        (1..=1_000).contains(&cli.batch),
        "--batch: 1 to 1000 is wanted"
    );
    let seed = match cli.seed {
        Some(seed) => seed,
        None => u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0),
    };
    let addresses = match cli.demo_addresses {
        true => Addresses::Benchmark,
        false => Addresses::Public,
    };
    let events = Events::new(seed, cli.users, addresses);
    if cli.stdout {
        print(cli, events)?;
        return Ok(Vec::new());
    }
    if cli.seed.is_none() {
        eprintln!("seed          {seed}");
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(brokers) = &cli.kafka {
        let count = (cli.rate * cli.duration.as_secs_f64()).ceil() as u64;
        let ids = kafka::run(brokers, &cli.topic, events, count, cli.rate)?;
        println!("acknowledged  {} events", ids.len());
        let verdict = runtime.block_on(look_up(cli, &ids))?;
        return Ok(verdict.iter().filter_map(complaint).collect());
    }
    let url = cli.url.as_deref().context("a target is required")?;
    let load = Load {
        rate: cli.rate,
        duration: cli.duration,
        batch: cli.batch,
        connections: cli.connections,
        keep_ids: cli.verify.is_some(),
    };
    let target = Target::new(url)?;
    let outcome = runtime.block_on(drive::run(&target, events, &load))?;
    let verdict = runtime.block_on(look_up(cli, &outcome.ids))?;
    print!("{}", report::text(&outcome, verdict.as_ref()));
    if let Some(file) = &cli.report {
        let json = report::json(&load, seed, &outcome, verdict.as_ref());
        std::fs::write(file, format!("{json:#}\n")).with_context(|| file.display().to_string())?;
    }
    let mut failures: Vec<String> = verdict.iter().filter_map(complaint).collect();
    let p99 = Duration::from_micros(outcome.latency_us.value_at_percentile(99.0));
    if let Some(max) = cli.max_p99.filter(|max| p99 > *max) {
        failures.push(format!("--max-p99: {p99:?} is above {max:?}"));
    }
    let errors = outcome.error_share();
    if let Some(max) = cli.max_errors.filter(|max| errors > *max) {
        failures.push(format!("--max-errors: {errors} is above {max}"));
    }
    if outcome.acknowledged == 0 {
        failures.push("nothing was acknowledged".into());
    }
    Ok(failures)
}

async fn look_up(cli: &Cli, ids: &[uuid::Uuid]) -> anyhow::Result<Option<verify::Verdict>> {
    let Some(store) = &cli.verify else {
        return Ok(None);
    };
    let verdict = verify::run(store, &cli.index, ids, cli.verify_timeout).await;
    verdict.map(Some).context("--verify")
}

fn complaint(verdict: &verify::Verdict) -> Option<String> {
    (!verdict.is_good()).then(|| {
        let (missing, doubled) = (verdict.missing.len(), verdict.doubled.len());
        format!("--verify: {missing} events are missing, {doubled} are there more than once")
    })
}

/// Prints until done or until the reader goes.
fn print(cli: &Cli, mut events: Events) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut lines = Vec::with_capacity(1 << 17);
    let written = match cli.simulate {
        Some(days) => {
            let start = Timestamp::now();
            let end = start + jiff::SignedDuration::from_hours(24 * i64::from(days));
            let mut simulation = Simulation::new(events, start, cli.sessions_per_day);
            loop {
                simulation.step(&mut lines);
                if let Err(error) = out.write_all(&lines) {
                    break Err(error);
                }
                lines.clear();
                if simulation.clock() >= end {
                    break Ok(());
                }
            }
        }
        None => {
            let by_rate = (cli.rate * cli.duration.as_secs_f64()).ceil() as u64;
            let count = cli.count.unwrap_or(by_rate);
            let mut left = count;
            loop {
                let now = Timestamp::now();
                for _ in 0..left.min(100) {
                    events.write(now, &mut lines);
                    lines.push(b'\n');
                }
                left = left.saturating_sub(100);
                if let Err(error) = out.write_all(&lines) {
                    break Err(error);
                }
                lines.clear();
                if left == 0 {
                    break Ok(());
                }
            }
        }
    };
    match written.and_then(|()| out.flush()) {
        // `| head` takes what it wants and goes.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
