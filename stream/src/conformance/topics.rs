//! Cases about creating and describing topics.

use super::case::{Case, record, spec};
use crate::TopicOutcome;

pub(super) async fn are_created_once(case: &Case<'_>) {
    let name = case.topic("once", 3).await;
    let again = case.stream.create_topics(&[spec(&name, 5)]).await;
    assert_eq!(again, Ok(vec![TopicOutcome::Existed]), "{case}");
    let found = case.stream.describe(&[&name]).await;
    let info = found.expect("describes")[0].clone().expect("it exists");
    assert_eq!(info.name, name, "{case}");
    assert_eq!(info.offsets, [(0, 0); 3], "{case}: as it was");
    case.append(&name, [record("a", 1), record("a", 2)]).await;
    let found = case.stream.describe(&[&name]).await;
    let info = found.expect("describes")[0].clone().expect("it exists");
    let ends: u64 = info.offsets.iter().map(|(_, end)| end).sum();
    assert_eq!(ends, 2, "{case}: two records");
}

pub(super) async fn missing_one_is_described_as_none(case: &Case<'_>) {
    let name = case.topic("there", 1).await;
    let missing = case.topic_name("missing");
    let found = case.stream.describe(&[&missing, &name]).await;
    let found = found.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(found[0], None, "{case}");
    assert!(found[1].is_some(), "{case}");
}

pub(super) async fn bad_name_is_refused(case: &Case<'_>) {
    let good = case.topic_name("good");
    let specs = [spec("no/slash", 1), spec("..", 1), spec(&good, 1)];
    let outcomes = case.stream.create_topics(&specs).await;
    let outcomes = outcomes.unwrap_or_else(|error| panic!("{case}: {error}"));
    for refused in &outcomes[..2] {
        let is_refused = matches!(refused, TopicOutcome::Refused(reason) if !reason.is_empty());
        assert!(is_refused, "{case}: {refused:?}");
    }
    assert_eq!(outcomes[2], TopicOutcome::Created, "{case}");
}
