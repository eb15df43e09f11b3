//! `weir dlq`: dead letters.

use event::DeadLetter;
use serde::{Deserialize, Serialize};

use super::reach::Reach;
use super::terminal::safe;
use crate::letters::{self, Report, Selection};
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
        }
    }
}

/// A replay as the admin listener takes it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replay {
    pub(crate) selection: Selection,
    pub(crate) dry_run: bool,
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
    println!("bytes   {}", letter.bytes);
    println!("{}", safe(&letter.original, 200_000));
    Ok(true)
}

/// Sends letters back and prints how many.
pub(crate) async fn replay(
    reach: &Reach,
    plan: &Plan,
    selection: Selection,
    dry_run: bool,
) -> anyhow::Result<()> {
    selection.check()?;
    let report: Report = match reach {
        Reach::Stream(stream) => letters::replay(&**stream, plan, &selection, dry_run).await?,
        Reach::Process(process) => {
            let question = Replay { selection, dry_run };
            process.ask("/dlq/replay", &question).await?
        }
    };
    let verb = if dry_run { "would be sent" } else { "sent" };
    println!(
        "{} {verb} again, {} cannot: kept in part only",
        report.replayed, report.cut
    );
    Ok(())
}
