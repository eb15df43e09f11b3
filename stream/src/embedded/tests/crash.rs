//! Power cuts at every sync point, and disks that refuse.
//!
//! A workload runs on a disk whose power goes at its n-th sync point, for every n. What is left of
//! unsynced writes is varied. The log then opens on what the disk holds, and keeps its word.

use std::collections::BTreeSet;

use super::disk::{Disk, Tear};
use super::*;

const TEARS: [Tear; 8] = [
    Tear::None,
    Tear::All,
    Tear::Prefix(1),
    Tear::Prefix(77),
    Tear::Prefix(600),
    Tear::Sectors(0x5555_5555_5555_5555),
    Tear::Sectors(0xcccc_cccc_cccc_cccc),
    Tear::Zeros,
];

/// What the workload was told before the power went.
#[derive(Default, Debug)]
struct Told {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    /// What the group had read when it last asked to commit: it need not come again, and where no
    /// other group reads it may be deleted.
    finished: BTreeSet<String>,
}

/// Appends, reads and commits over several segments until it is done or the disk fails.
async fn work(disk: &Disk) -> Told {
    let mut told = Told::default();
    let _ended_by_the_cut = try_work(disk, &mut told).await;
    told
}

async fn try_work(disk: &Disk, told: &mut Told) -> Result<(), StreamError> {
    let failed = |error: AppendError| StreamError::Storage(error.to_string());
    let log = disk.log()?;
    log.create_topics(&[spec(2)]).await?;
    let mut member = log.subscribe(&[TOPIC], Start::Group("g".into())).await?;
    let mut read = BTreeSet::new();
    for round in 0..8 {
        // Longer than a sector, so that one record can be torn; three in one write.
        let values: Vec<_> = (0..3)
            .map(|n| format!("{round} {n} {}", "x".repeat(300)))
            .collect();
        told.sent.extend(values.iter().cloned());
        let keyed = |value: &String| Record {
            key: Some(value.clone().into()),
            ..record(value)
        };
        let records: Vec<_> = values.iter().map(keyed).collect();
        log.append(TOPIC, &records).await.map_err(failed)?;
        told.acknowledged.extend(values);
        if round % 2 == 1 {
            let batch = member.poll(4, Duration::from_secs(5)).await?;
            read.extend(texts(&batch.records));
            let next = next_offsets(&batch.records);
            told.finished.clone_from(&read);
            member.commit(&next).await?;
        }
    }
    drop(member);
    log.close(Duration::from_secs(5)).await
}

fn next_offsets(records: &[Delivered]) -> Vec<(TopicPartition, u64)> {
    crate::next_offsets(records).into_iter().collect()
}

/// Opens the log on what is left, and holds it to what was told.
async fn check(disk: &Disk, told: &Told, at: &str) {
    let log = disk.log();
    let log = log.unwrap_or_else(|error| panic!("{at}: does not open: {error}"));
    log.create_topics(&[spec(2)]).await.unwrap();
    let kept = read_all(&log).await;
    let texts_kept = texts(&kept);
    let distinct: BTreeSet<_> = texts_kept.iter().cloned().collect();
    assert_eq!(distinct.len(), texts_kept.len(), "{at}: a record twice");
    let gone = |id: &&String| !distinct.contains(*id) && !told.finished.contains(*id);
    let gone: Vec<_> = told.acknowledged.iter().filter(gone).collect();
    assert!(
        gone.is_empty(),
        "{at}: acknowledged records are gone: {gone:?}"
    );
    assert!(
        distinct.is_subset(&told.sent),
        "{at}: a record that nobody sent"
    );
    for pair in kept.windows(2) {
        let (before, after) = (&pair[0].position, &pair[1].position);
        let is_ordered = before.source != after.source || before.offset < after.offset;
        assert!(is_ordered, "{at}: {before:?} before {after:?}");
    }
    // The group goes on where it was, or earlier, and does not pass over a record.
    log.append(TOPIC, &[record("after")]).await.unwrap();
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let mut read = told.finished.clone();
    loop {
        let batch = member.poll(1_000, Duration::from_millis(1)).await.unwrap();
        read.extend(texts(&batch.records));
        if member.lag() == 0 {
            break;
        }
    }
    assert!(
        told.acknowledged.is_subset(&read),
        "{at}: the group passes over a record"
    );
    assert!(
        read.contains("after"),
        "{at}: the group passes over a new record"
    );
}

#[tokio::test]
async fn acknowledged_records_survive_a_power_cut_at_every_sync_point() {
    let whole = Disk::new();
    let told = work(&whole).await;
    assert_eq!(
        told.acknowledged.len(),
        24,
        "without a cut the workload is done"
    );
    let points = whole.syncs();
    assert!(
        whole.files(".log").len() > 2 && points > 20,
        "{points} sync points"
    );
    for n in 0..points {
        let disk = Disk::with_cut_at(n);
        let told = work(&disk).await;
        for tear in TEARS {
            let at = format!("sync point {n} of {points}, {tear:?}");
            check(&disk.after_cut(tear), &told, &at).await;
        }
    }
}

#[tokio::test]
async fn power_cut_while_a_cut_is_repaired_loses_nothing() {
    let whole = Disk::new();
    work(&whole).await;
    let last = whole.syncs() - 3;
    let disk = Disk::with_cut_at(last);
    let told = work(&disk).await;
    for n in 0..4 {
        let repaired = disk.after_cut(Tear::Prefix(77));
        repaired.cut_later(n);
        // It may or may not open; what it leaves is looked at.
        drop(repaired.log());
        check(
            &repaired.after_cut(Tear::None),
            &told,
            &format!("sync point {n} of the repair"),
        )
        .await;
    }
}

#[tokio::test]
async fn full_disk_is_refused_and_leaves_nothing_torn() {
    let disk = Disk::new();
    let log = disk.log().unwrap();
    let log = with_topic(log).await;
    log.append(TOPIC, &[record("before")]).await.unwrap();
    disk.fill(true);
    let refusal = log.append(TOPIC, &[record("lost")]).await.unwrap_err();
    assert!(matches!(refusal, AppendError::Full(_)), "{refusal}");
    disk.fill(false);
    log.append(TOPIC, &[record("after")]).await.unwrap();
    assert_eq!(texts(&read_all(&log).await), ["before", "after"]);
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_sync_and_its_file_is_named() {
    let disk = Disk::new();
    let log = disk.log().unwrap();
    let log = with_topic(log).await;
    disk.fail_syncs(true);
    assert!(log.append(TOPIC, &[record("a")]).await.is_err());
    disk.fail_syncs(false);
    assert!(
        log.append(TOPIC, &[record("b")]).await.is_err(),
        "the disk is not trusted again"
    );
    let failure = log.failure().unwrap();
    assert!(failure.contains("00000000000000000000.log"), "{failure}");
}
