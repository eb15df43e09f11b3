//! The enrichment of records and addresses, fed with a corpus and with what it mutates to.

use stream::{Position, TopicPartition};

use crate::config::Config;
use crate::enrich::{Enricher, RecordContext, Writer, enrich};
use crate::explain::{Question, explain};

fn enricher() -> Enricher {
    Enricher::new(Config::default()).expect("the demo file")
}

#[test]
fn document() {
    let enricher = enricher();
    let position = Position {
        source: TopicPartition {
            topic: "raw".into(),
            partition: 0,
        },
        offset: 7,
    };
    let context = RecordContext {
        timestamp_ms: 1_772_366_400_000,
        now_ms: 1_772_366_401_000,
        position: &position,
    };
    ::fuzz::check("document", |input| {
        let mut writer = Writer::default();
        let mut outcome = || {
            let enriched = enrich(&enricher, input, context, &mut writer);
            format!("{:?}", enriched.err())
        };
        assert_eq!(outcome(), outcome(), "the same record fares the same");
    });
}

#[test]
fn address_and_agent() {
    let enricher = enricher();
    ::fuzz::check("address", |input| {
        let text = String::from_utf8_lossy(input);
        let question = Question {
            url: Some(&text),
            referrer: Some(&text),
            agent: Some(&text),
            ip: None,
        };
        let findings = explain(&enricher, &question);
        assert!(findings.iter().all(|finding| !finding.field.is_empty()));
    });
}
