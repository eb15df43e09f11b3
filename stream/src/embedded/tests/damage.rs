//! Damage of every file of the log: it opens, keeps every whole record before and after the damage,
//! and counts what it passed over.

use std::path::Path;

use super::disk::{Disk, Tear};
use super::*;

const RECORDS: usize = 30;

/// A log of several segments that was closed.
async fn written() -> Disk {
    let disk = Disk::new();
    let log = disk.log().unwrap();
    let log = with_topic(log).await;
    for n in 0..RECORDS {
        log.append(TOPIC, &[value(n)]).await.unwrap();
    }
    log.close(Duration::from_secs(5)).await.unwrap();
    assert!(
        disk.files(".log").len() > 2,
        "the tests need several segments"
    );
    disk.after_cut(Tear::None)
}

/// All of one length, so that the n-th frame's place is known.
fn value(n: usize) -> Record {
    record(format!("value {n:04} {}", "x".repeat(100)))
}

struct Found {
    /// Numbers of the values that are left, in order.
    kept: Vec<usize>,
    report: RecoveryReport,
    damaged_bytes: u64,
}

/// Opens the log on a damaged disk, reads it twice, and appends to it.
async fn open_damaged(disk: &Disk, at: &str) -> Found {
    let log = disk.log();
    let log = log.unwrap_or_else(|error| panic!("{at}: does not open: {error}"));
    let number = |text: &String| text.split(' ').nth(1).unwrap().parse().unwrap();
    let kept = texts(&read_all(&log).await).iter().map(number).collect();
    let damaged_bytes = log.damaged_bytes();
    log.append(TOPIC, &[value(9_999)]).await.unwrap();
    let again = texts(&read_all(&log).await);
    assert_eq!(again.last().map(number), Some(9_999), "{at}");
    assert_eq!(
        log.damaged_bytes(),
        damaged_bytes,
        "{at}: each place is counted once"
    );
    Found {
        kept,
        report: log.recovery(),
        damaged_bytes,
    }
}

fn all_but(missing: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..RECORDS).filter(|n| !missing(*n)).collect()
}

/// The frames before the segment of a path, and the bytes of a frame.
async fn layout(disk: &Disk, path: &Path) -> (usize, usize) {
    let name = path.file_stem().unwrap().to_string_lossy();
    let mut bytes = 0;
    disk.damaged(path, |content| bytes = content.as_ref().unwrap().len());
    let first: usize = name.parse().unwrap();
    let bases = disk.files(".log");
    let after = bases.iter().find(|other| *other > &path.to_path_buf());
    let next = after.map_or(RECORDS, |path| {
        path.file_stem().unwrap().to_string_lossy().parse().unwrap()
    });
    (first, bytes / (next - first))
}

#[tokio::test]
async fn flipped_bit_costs_only_its_record_wherever_it_is() {
    let disk = written().await;
    for path in disk.files(".log") {
        let (first, frame) = layout(&disk, &path).await;
        let is_last = Some(&path) == disk.files(".log").last();
        let mut length = 0;
        disk.damaged(&path, |bytes| length = bytes.as_ref().unwrap().len());
        // A step that is no divisor of the frame meets every part of it.
        for at in (0..length).step_by(7) {
            let hurt = disk.damaged(&path, |bytes| bytes.as_mut().unwrap()[at] ^= 1 << (at % 8));
            let words = format!("byte {at} of {}", path.display());
            let found = open_damaged(&hurt, &words).await;
            let record = first + at / frame;
            assert_eq!(found.kept, all_but(|n| n == record), "{words}");
            let is_tail = is_last && record == RECORDS - 1;
            let (cut, passed) = if is_tail { (frame, 0) } else { (0, frame) };
            assert_eq!(found.report.truncated_bytes, cut as u64, "{words}");
            assert_eq!(found.damaged_bytes, passed as u64, "{words}");
        }
    }
}

#[tokio::test]
async fn zeroed_block_costs_only_the_records_it_touches() {
    let disk = written().await;
    for path in disk.files(".log") {
        let (first, frame) = layout(&disk, &path).await;
        let mut length = 0;
        disk.damaged(&path, |bytes| length = bytes.as_ref().unwrap().len());
        for from in (0..length).step_by(512) {
            let to = (from + 512).min(length);
            let hurt = disk.damaged(&path, |bytes| bytes.as_mut().unwrap()[from..to].fill(0));
            let words = format!("bytes {from} to {to} of {}", path.display());
            let found = open_damaged(&hurt, &words).await;
            let touched = first + from / frame..=first + (to - 1) / frame;
            assert_eq!(found.kept, all_but(|n| touched.contains(&n)), "{words}");
            let counted = found.report.truncated_bytes + found.damaged_bytes;
            assert_eq!(counted, (touched.count() * frame) as u64, "{words}");
        }
    }
}

#[tokio::test]
async fn missing_segment_costs_only_its_records() {
    let disk = written().await;
    let paths = disk.files(".log");
    for (n, path) in paths.iter().enumerate() {
        let base = |path: &std::path::PathBuf| -> usize {
            path.file_stem().unwrap().to_string_lossy().parse().unwrap()
        };
        let lost = base(path)..paths.get(n + 1).map_or(RECORDS, base);
        let hurt = disk.damaged(path, |bytes| *bytes = None);
        let words = format!("without {}", path.display());
        let found = open_damaged(&hurt, &words).await;
        assert_eq!(found.kept, all_but(|n| lost.contains(&n)), "{words}");
    }
}

#[tokio::test]
async fn file_cut_anywhere_keeps_what_is_whole() {
    let disk = written().await;
    let paths = disk.files(".log");
    let path = paths.last().unwrap();
    let (first, frame) = layout(&disk, path).await;
    let mut length = 0;
    disk.damaged(path, |bytes| length = bytes.as_ref().unwrap().len());
    for left in (0..length).step_by(3) {
        let hurt = disk.damaged(path, |bytes| bytes.as_mut().unwrap().truncate(left));
        let words = format!("{left} bytes left");
        let found = open_damaged(&hurt, &words).await;
        assert_eq!(
            found.kept,
            all_but(|n| n >= first + left / frame),
            "{words}"
        );
        assert_eq!(
            found.report.truncated_bytes,
            (left % frame) as u64,
            "{words}"
        );
    }
}

#[tokio::test]
async fn garbage_behind_the_end_is_cut() {
    let disk = written().await;
    let path = disk.files(".log").pop().unwrap();
    for garbage in [
        &b"WLR\x01"[..],
        &[0; 5_000],
        b"WLR\x01\xff\xff\xff\x7f garbage",
        &[0xff; 3],
    ] {
        let hurt = disk.damaged(&path, |bytes| bytes.as_mut().unwrap().extend(garbage));
        let found = open_damaged(&hurt, "garbage").await;
        assert_eq!(found.kept, all_but(|_| false));
        assert_eq!(found.report.truncated_bytes, garbage.len() as u64);
    }
}

#[tokio::test]
async fn damaged_file_of_topics_is_made_anew_from_the_folders() {
    let disk = written().await;
    let path = disk.files("topics.json").pop().unwrap();
    for content in [&b""[..], b"{", b"[1]", &[0; 40]] {
        let hurt = disk.damaged(&path, |bytes| *bytes = Some(content.to_vec()));
        let found = open_damaged(&hurt, "topics").await;
        assert_eq!(found.kept, all_but(|_| false));
        assert_eq!(found.report.damaged_state_files, 1);
    }
}

#[tokio::test]
async fn group_whose_offsets_are_damaged_reads_from_the_earliest() {
    let disk = written().await;
    let log = disk.log().unwrap();
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let batch = member.poll(3, Duration::from_secs(5)).await.unwrap();
    let source = batch.records[0].position.source.clone();
    member.commit(&[(source, 3)]).await.unwrap();
    drop((member, log));
    let path = disk.files("groups.json").pop().unwrap();
    for flip in [None, Some(1_usize)] {
        let hurt = disk.damaged(&path, |bytes| {
            let bytes = bytes.as_mut().unwrap();
            match flip {
                None => bytes.clear(),
                // A digit of the offset becomes another: only the seal tells.
                Some(_) => {
                    let digit = bytes.iter().position(|b| *b == b'3').unwrap();
                    bytes[digit] = b'7';
                }
            }
        });
        let log = hurt.log().unwrap();
        assert_eq!(log.recovery().damaged_state_files, 1);
        let mut member = log
            .subscribe(&[TOPIC], Start::Group("g".into()))
            .await
            .unwrap();
        let batch = member.poll(1, Duration::from_secs(5)).await.unwrap();
        assert_eq!(batch.records[0].position.offset, 0);
        assert_eq!(
            hurt.files("groups.json.damaged").len(),
            1,
            "it was set aside"
        );
    }
}

#[tokio::test]
async fn offsets_below_a_commit_are_not_given_out_again() {
    let disk = written().await;
    let log = disk.log().unwrap();
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    member.poll(RECORDS, Duration::from_secs(5)).await.unwrap();
    let source = TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
    };
    member.commit(&[(source, RECORDS as u64)]).await.unwrap();
    drop((member, log));
    // The last records go, as they may with `durability = os`; the commit stays.
    let path = disk.files(".log").pop().unwrap();
    let hurt = disk.damaged(&path, |bytes| bytes.as_mut().unwrap().truncate(10));
    let log = hurt.log().unwrap();
    log.append(TOPIC, &[record("new")]).await.unwrap();
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let batch = member.poll(10, Duration::from_secs(5)).await.unwrap();
    assert_eq!(texts(&batch.records), ["new"]);
}
