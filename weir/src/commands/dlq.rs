//! `weir dlq`: dead letters.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use event::DeadLetter;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::reach::Reach;
use super::terminal::safe;
use crate::letters::{self, Cursor, Report, Selection, Step};
use crate::plan::Plan;

/// Letters listed at most; the last ones.
const MAX_LISTED: usize = 1_000;

/// A letter as the admin listener hands it out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) time: String,
    pub(crate) stage: String,
    pub(crate) code: String,
    pub(crate) detail: String,
    /// The store's own words where it refused the document.
    #[serde(default)]
    pub(crate) cause: Option<String>,
    /// Bytes of the original, also where it was cut.
    pub(crate) bytes: u64,
    /// The original as text, what is no UTF-8 replaced.
    pub(crate) original: String,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let kept = letter.original.len() as u64;
        Self {
            bytes: letter.cut.as_ref().map_or(kept, |(bytes, _)| *bytes),
            original: String::from_utf8_lossy(&letter.original).into_owned(),
            stage: letter.stage.name().to_owned(),
            code: letter.code.name().to_owned(),
            id: letter.id,
            time: letter.time,
            detail: letter.detail,
            cause: letter.cause,
        }
    }
}

/// The last letters of the selection, oldest first.
pub(crate) async fn find(
    stream: &dyn stream::Stream,
    topic: &str,
    selection: &Selection,
) -> anyhow::Result<Vec<Letter>> {
    let mut found = std::collections::VecDeque::new();
    letters::read(stream, topic, selection, |letter| {
        if found.len() == MAX_LISTED {
            found.pop_front();
        }
        found.push_back(Letter::from(letter));
    })
    .await?;
    let mut found = Vec::from(found);
    found.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(found)
}

async fn ask(reach: &Reach, plan: &Plan, selection: &Selection) -> anyhow::Result<Vec<Letter>> {
    match reach {
        Reach::Stream(stream) => find(&**stream, &plan.enricher.dead_topic, selection).await,
        Reach::Process(process) => process.ask("/dlq/list", selection).await,
    }
}

/// Prints a line per letter.
pub(crate) async fn list(reach: &Reach, plan: &Plan, selection: &Selection) -> anyhow::Result<()> {
    selection.check()?;
    let found = ask(reach, plan, selection).await?;
    for letter in &found {
        println!(
            "{}  {:<8} {:<18} {}  {}",
            safe(&letter.time, 40),
            letter.stage,
            letter.code,
            safe(&letter.id, 300),
            safe(&letter.detail, 200)
        );
    }
    let more = if found.len() == MAX_LISTED {
        ", the last ones"
    } else {
        ""
    };
    eprintln!("{} dead letters{more}", found.len());
    Ok(())
}

/// Prints a letter whole; whether there is one.
pub(crate) async fn show(reach: &Reach, plan: &Plan, id: &str) -> anyhow::Result<bool> {
    let selection = Selection {
        id: Some(id.to_owned()),
        ..Selection::default()
    };
    // A refusal that was repeated after a crash lies there twice, alike.
    let Some(letter) = ask(reach, plan, &selection).await?.pop() else {
        eprintln!("no dead letter has the id {}", safe(id, 300));
        return Ok(false);
    };
    println!("id      {}", safe(&letter.id, 300));
    println!("time    {}", safe(&letter.time, 40));
    println!("stage   {}", letter.stage);
    println!("code    {}", letter.code);
    println!("detail  {}", safe(&letter.detail, 1_000));
    if let Some(cause) = &letter.cause {
        println!("cause   {}", safe(cause, 1_000));
    }
    println!("bytes   {}", letter.bytes);
    println!("{}", safe(&letter.original, 200_000));
    Ok(true)
}

/// How a replay goes.
#[derive(Debug)]
pub(crate) struct Manner {
    /// Count, and send nothing.
    pub(crate) dry_run: bool,
    /// Letters a second at most; 0 is as fast as it goes.
    pub(crate) rate: u32,
    /// File in which the way is kept, so that an interrupted replay can go on.
    pub(crate) progress: Option<PathBuf>,
}

/// Letters of a page where no rate is wanted: some are in flight at once, and an interruption sends
/// no more than these again.
const PAGE: usize = 500;

/// Sends letters back, page by page, and prints how many.
pub(crate) async fn replay(
    reach: &Reach,
    plan: &Plan,
    selection: Selection,
    manner: &Manner,
) -> anyhow::Result<()> {
    selection.check()?;
    let rate = usize::try_from(manner.rate).unwrap_or(PAGE);
    let limit = if rate == 0 { PAGE } else { rate.clamp(1, PAGE) };
    let mut cursor = resume(manner.progress.as_deref())?;
    let mut whole = Report::default();
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos} of {len} letters read, {msg}, {eta} left",
    )?);
    let since = Instant::now();
    loop {
        let step = Step {
            selection: selection.clone(),
            cursor: cursor.take(),
            limit,
            dry_run: manner.dry_run,
        };
        let known = step.cursor.as_ref().map(Cursor::left);
        let page = match reach {
            Reach::Stream(stream) => letters::replay(&**stream, plan, step).await?,
            Reach::Process(process) => process.ask("/dlq/replay", &step).await?,
        };
        whole.add(page);
        let left = whole.cursor.left();
        let before = known.unwrap_or(left + whole.total() + whole.cut + whole.refused);
        if bar.length() == Some(0) {
            bar.set_length(before);
        }
        bar.set_position(bar.length().unwrap_or(0).saturating_sub(left));
        bar.set_message(format!("{} sent", whole.total()));
        if left == 0 {
            break;
        }
        keep(manner, &whole.cursor)?;
        cursor = Some(whole.cursor.clone());
        if manner.rate > 0 && !manner.dry_run {
            let due = f64::from(u32::try_from(whole.total()).unwrap_or(u32::MAX));
            let due = Duration::from_secs_f64(due / f64::from(manner.rate));
            tokio::time::sleep(due.saturating_sub(since.elapsed())).await;
        }
    }
    bar.finish_and_clear();
    if let Some(file) = manner.progress.as_deref().filter(|file| file.exists()) {
        std::fs::remove_file(file).with_context(|| file.display().to_string())?;
    }
    tell(&whole, manner.dry_run);
    Ok(())
}

fn tell(report: &Report, is_dry: bool) {
    let verb = if is_dry { "would be sent" } else { "sent" };
    println!(
        "{} {verb} again, {} cannot: kept in part only",
        report.total(),
        report.cut
    );
    for (code, count) in &report.sent {
        println!("  {code}: {count}");
    }
    if report.refused > 0 {
        println!("  refused by the gateway once more: {}", report.refused);
    }
}

/// Where an interrupted replay stopped.
fn resume(file: Option<&Path>) -> anyhow::Result<Option<Cursor>> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return Ok(None);
    };
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let cursor: Cursor = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no file of a replay", file.display()))?;
    eprintln!("goes on where it stopped: {} letters left", cursor.left());
    Ok(Some(cursor))
}

/// Keeps the way, whole or not at all.
fn keep(manner: &Manner, cursor: &Cursor) -> anyhow::Result<()> {
    let Some(file) = manner.progress.as_deref().filter(|_| !manner.dry_run) else {
        return Ok(());
    };
    let beside = file.with_extension("tmp");
    let text = serde_json::to_vec(cursor)?;
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    written.with_context(|| format!("--progress {}", file.display()))
}
