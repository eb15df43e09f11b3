//! Cases about groups: sharing the work, committing, taking over.

use std::collections::BTreeSet;

use super::case::{Case, distinct, next_offsets, record, texts};

pub(super) async fn uncommitted_records_come_again(case: &Case<'_>) {
    let name = case.topic("again", 1).await;
    let records = (0..10).map(|n| record("k", n));
    case.append(&name, records).await;
    let mut first = case.subscribe(&[&name], case.group("g")).await;
    let got = case.take(&mut *first, 10).await;
    assert_eq!(got[0].position.offset, 0, "{case}: from the earliest");
    case.commit(&mut *first, &got[..4]).await;
    drop(first);
    let mut second = case.subscribe(&[&name], case.group("g")).await;
    let got = case.take(&mut *second, 6).await;
    let expected: Vec<_> = (4..10).map(|n| n.to_string()).collect();
    assert_eq!(texts(&got), expected, "{case}: what was not committed");
}

pub(super) async fn are_independent(case: &Case<'_>) {
    let name = case.topic("two-groups", 2).await;
    let records = (0..20).map(|n| record(&n.to_string(), n));
    case.append(&name, records).await;
    for group in ["one", "other"] {
        let mut member = case.subscribe(&[&name], case.group(group)).await;
        let got = case.take(&mut *member, 20).await;
        assert_eq!(distinct(&got).len(), 20, "{case}: {group} gets all");
        case.commit(&mut *member, &got).await;
    }
}

pub(super) async fn members_share_and_take_over(case: &Case<'_>) {
    let name = case.topic("share", 4).await;
    let mut first = case.subscribe(&[&name], case.group("g")).await;
    let mut second = case.subscribe(&[&name], case.group("g")).await;
    let patience = case.patience();
    let (mut by_first, mut by_second) = (BTreeSet::new(), BTreeSet::new());
    let mut sent = 0;
    while by_first.is_empty() || by_second.is_empty() || by_first.union(&by_second).count() < sent {
        patience.check(|| {
            let (first, second) = (by_first.len(), by_second.len());
            format!("of {sent} records one member got {first}, the other {second}")
        });
        if by_first.is_empty() || by_second.is_empty() {
            let records = (0..20).map(|n| record(&format!("k{n}"), sent + n));
            case.append(&name, records).await;
            sent += 20;
        }
        for (consumer, seen) in [(&mut first, &mut by_first), (&mut second, &mut by_second)] {
            let records = case.poll(&mut **consumer, 100).await;
            seen.extend(texts(&records));
            case.commit(&mut **consumer, &records).await;
        }
    }
    drop(first);
    let records = (0..20).map(|n| record(&format!("k{n}"), format!("late {n}")));
    case.append(&name, records).await;
    let patience = case.patience();
    let mut late = BTreeSet::new();
    while late.len() < 20 {
        patience.check(|| format!("the member that is left got {} of 20", late.len()));
        let got = texts(&case.poll(&mut *second, 100).await);
        late.extend(got.into_iter().filter(|text| text.starts_with("late")));
    }
}

pub(super) async fn lag_reaches_zero(case: &Case<'_>) {
    let name = case.topic("lag", 2).await;
    let records = (0..50).map(|n| record(&n.to_string(), n));
    case.append(&name, records).await;
    let mut consumer = case.subscribe(&[&name], case.group("g")).await;
    let mut got = case.take(&mut *consumer, 10).await;
    got.extend(case.take(&mut *consumer, 40).await);
    let patience = case.patience();
    while consumer.lag() > 0 {
        patience.check(|| format!("the lag stays at {}", consumer.lag()));
        case.poll(&mut *consumer, 1).await;
    }
    let committed = consumer.commit(&next_offsets(&got)).await;
    assert_eq!(committed, Ok(()), "{case}");
}
