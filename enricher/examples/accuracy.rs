//! Prints how often enrichment is right: channels over the committed vectors, agents over the
//! committed panel with woothee alone beside it, bots over a list of agents with isbot's verdicts.
//!
//! ```sh
//! make ua-report
//! ```
//!
//! Exits 1 where a figure is below its bar.

use std::collections::BTreeMap;
use std::process::ExitCode;

use enricher::agent::{self, AgentParser as _, WootheeParser};
use enricher::{Config, Enriched, Enricher, RecordContext, Writer, enrich};
use serde_json::{Value, json};
use stream::{Position, TopicPartition};

const VECTORS: &str = include_str!("../src/source/vectors.tsv");
const PANEL: &str = include_str!("../src/agent/panel.tsv");

fn main() -> anyhow::Result<ExitCode> {
    let mut failures = Vec::new();
    channels(&mut failures)?;
    agents(&mut failures);
    match std::env::args().nth(1) {
        Some(path) => bots(&std::fs::read_to_string(path)?, &mut failures),
        None => println!("\nbots: no file of verdicts is named; make ua-report makes one"),
    }
    for failure in &failures {
        println!("below its bar: {failure}");
    }
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

/// The rows of a table, `-` read as nothing.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let cells = line.split('\t');
        cells
            .map(|cell| if cell == "-" { "" } else { cell })
            .collect()
    })
}

fn channels(failures: &mut Vec<String>) -> anyhow::Result<()> {
    let enricher = Enricher::new(Config::default())?;
    let mut tally: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows(VECTORS) {
        let [query, referrer, category, channel, reason] = row[..] else {
            anyhow::bail!("five cells a row, not {row:?}");
        };
        let event = json!({"event_type": "pageview", "referer_url": referrer,
            "page_url": format!("https://www.shop.example/{query}")});
        let found = enriched(&enricher, &event)?;
        let text = |name: &str| found[name].as_str().unwrap_or_default();
        let seen = [
            text("source_category"),
            text("channel"),
            text("channel_reason"),
        ];
        let entry = tally.entry(channel).or_default();
        entry.1 += 1;
        match seen == [category, channel, reason] {
            true => entry.0 += 1,
            false => wrong.push(format!("  {query} {referrer}: {seen:?}")),
        }
    }
    println!("{:<28}{:>7}{:>7}", "channel", "right", "of");
    for (channel, (right, of)) in &tally {
        let name = if channel.is_empty() {
            "(within a visit)"
        } else {
            channel
        };
        println!("{name:<28}{right:>7}{of:>7}");
    }
    wrong.iter().for_each(|line| println!("{line}"));
    let of: u32 = tally.values().map(|(_, of)| of).sum();
    println!("{:<28}{:>7}{of:>7}", "all", of as usize - wrong.len());
    if !wrong.is_empty() || of < 80 {
        failures.push("channels: every one of at least 80 vectors".into());
    }
    Ok(())
}

fn enriched(enricher: &Enricher, event: &Value) -> anyhow::Result<Value> {
    let position = Position {
        source: TopicPartition {
            topic: "raw-web-events".into(),
            partition: 0,
        },
        offset: 0,
    };
    let context = RecordContext {
        timestamp_ms: 1_767_312_000_000,
        now_ms: 1_767_312_000_000,
        position: &position,
    };
    match enrich(
        enricher,
        event.to_string().as_bytes(),
        context,
        &mut Writer::default(),
    ) {
        Ok(Enriched::Document(document)) => Ok(serde_json::from_slice(&document.value)?),
        other => anyhow::bail!("{event}: {other:?}"),
    }
}

fn agents(failures: &mut Vec<String>) {
    let (mut ours, mut alone, mut of) = ([0; 3], [0; 3], 0);
    let mut wrong = Vec::new();
    for row in rows(PANEL) {
        let [text, browser, os, device] = row[..] else {
            failures.push(format!("four cells a row, not {row:?}"));
            continue;
        };
        of += 1;
        let agent = WootheeParser.parse(text);
        let seen = [
            agent.browser_name.as_deref().unwrap_or_default(),
            agent.os.as_deref().unwrap_or_default(),
            agent.device_type.unwrap_or_default(),
        ];
        let plain = woothee_alone(text);
        // woothee tells the family of the system; that it is right is all that is asked of it.
        let family_is_right = !plain[1].is_empty() && os.starts_with(&plain[1]);
        let right = [plain[0] == browser, family_is_right, plain[2] == device];
        for (place, expected) in [browser, os, device].into_iter().enumerate() {
            ours[place] += u32::from(seen[place] == expected);
            alone[place] += u32::from(right[place]);
        }
        if seen != [browser, os, device] {
            wrong.push(format!("  {text}\n    {seen:?}"));
        }
    }
    println!(
        "\n{:<28}{:>10}{:>16}",
        "agents of people", "weir", "woothee alone"
    );
    let percent = |count: u32| 100.0 * f64::from(count) / f64::from(of.max(1));
    for (place, (name, bar)) in [
        ("browser", 97.0),
        ("operating system", 97.0),
        ("device", 95.0),
    ]
    .into_iter()
    .enumerate()
    {
        let (own, other) = (percent(ours[place]), percent(alone[place]));
        println!("{name:<28}{own:>8.1} %{other:>14.1} %");
        if own < bar {
            failures.push(format!("agents: {name} {own:.1} %, wanted {bar} %"));
        }
    }
    println!("{of} agents");
    wrong.iter().for_each(|line| println!("{line}"));
}

/// What woothee alone says, in our words.
fn woothee_alone(text: &str) -> [String; 3] {
    let Some(parsed) = woothee::parser::Parser::new().parse(text) else {
        return Default::default();
    };
    let browser = match parsed.name {
        "Webview" => "WebView",
        "UNKNOWN" => "",
        name => name,
    };
    let os = match parsed.os {
        "iPhone" | "iPod" => "iOS",
        "iPad" => "iPadOS",
        "Mac OSX" => "macOS",
        "UNKNOWN" => "",
        os => os,
    };
    let device = match parsed.category {
        "pc" => "Computer",
        "smartphone" | "mobilephone" => "Mobile",
        "appliance" => "Console",
        _ => "",
    };
    [browser.into(), os.into(), device.into()]
}

/// `verdicts` are lines of set, isbot's verdict, agent.
fn bots(verdicts: &str, failures: &mut Vec<String>) {
    let (mut crawlers, mut found, mut alone) = (0_u32, 0_u32, 0_u32);
    let (mut people, mut accused, mut differing) = (0_u32, 0_u32, 0_u32);
    let mut wrong = Vec::new();
    for line in verdicts.lines() {
        let mut cells = line.splitn(3, '\t');
        let (Some(set), Some(verdict), Some(text)) = (cells.next(), cells.next(), cells.next())
        else {
            failures.push(format!("three cells a line, not {line:?}"));
            continue;
        };
        if agent::is_listed(text) != (verdict == "true") {
            differing += 1;
            wrong.push(format!("  isbot says {verdict}: {text}"));
        }
        let is_bot = WootheeParser.parse(text).bot.is_some();
        if set == "panel" {
            people += 1;
            accused += u32::from(is_bot);
            if is_bot {
                wrong.push(format!("  accused: {text}"));
            }
            continue;
        }
        crawlers += 1;
        found += u32::from(is_bot);
        let parsed = woothee::parser::Parser::new().parse(text);
        alone += u32::from(parsed.is_some_and(|parsed| parsed.category == "crawler"));
    }
    let percent = |count: u32| 100.0 * f64::from(count) / f64::from(crawlers.max(1));
    let recall = percent(found);
    println!("\n{:<28}{:>10}{:>16}", "bots", "weir", "woothee alone");
    println!("{:<28}{recall:>8.1} %{:>14.1} %", "found", percent(alone));
    println!(
        "{crawlers} agents of crawler-user-agents; people accused: {accused} of {people}; verdicts other than isbot's: {differing}"
    );
    wrong.iter().for_each(|line| println!("{line}"));
    if recall < 99.0 || crawlers < 1_000 {
        failures.push(format!("bots: {recall:.1} % found, wanted 99 %"));
    }
    if accused > 0 || people < 120 {
        failures.push("bots: no agent of the panel may be accused".into());
    }
    if differing > 0 {
        failures.push("bots: the patterns must say what isbot says".into());
    }
}
