use std::collections::HashMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::fs::LogFile;
use super::*;
use crate::{Delivered, conformance};

const TOPIC: &str = "events";

fn options() -> Options {
    Options {
        min_free_bytes: 0,
        segment_bytes: 2_000,
        ..Options::default()
    }
}

fn record(value: impl ToString) -> Record {
    Record {
        value: value.to_string().into(),
        ..Record::default()
    }
}

async fn with_topic(log: EmbeddedLog) -> EmbeddedLog {
    let spec = TopicSpec {
        name: TOPIC.into(),
        partitions: 1,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    log.create_topics(&[spec]).await.unwrap();
    log
}

async fn open(folder: &TempDir) -> EmbeddedLog {
    with_topic(EmbeddedLog::open(folder.path(), options()).unwrap()).await
}

async fn read_all(log: &EmbeddedLog) -> Vec<Delivered> {
    let mut reader = log.subscribe(&[TOPIC], Start::Earliest).await.unwrap();
    let mut all = Vec::new();
    while reader.lag() > 0 {
        all.extend(
            reader
                .poll(1_000, Duration::from_millis(10))
                .await
                .unwrap()
                .records,
        );
    }
    all
}

fn texts(records: &[Delivered]) -> Vec<String> {
    records
        .iter()
        .map(|d| String::from_utf8(d.record.value.to_vec()).unwrap())
        .collect()
}

/// The segment files of the one partition, in order.
fn segments(folder: &TempDir) -> Vec<PathBuf> {
    let folder = folder.path().join(TOPIC).join("0");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

struct Folder(TempDir);

#[async_trait]
impl conformance::Harness for Folder {
    async fn open(&self) -> Box<dyn Stream> {
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        Box::new(EmbeddedLog::open(self.0.path(), options).unwrap())
    }

    fn prefix(&self) -> &str {
        "suite"
    }
}

#[tokio::test]
async fn passes_the_conformance_suite() {
    conformance::run_all(&Folder(TempDir::new().unwrap())).await;
}

#[tokio::test]
async fn second_opener_is_told_the_folder() {
    let folder = TempDir::new().unwrap();
    let _log = open(&folder).await;
    let error = EmbeddedLog::open(folder.path(), options())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("data_dir") && error.contains("in use"),
        "{error}"
    );
}

#[tokio::test]
async fn newer_format_is_refused_with_both_versions() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("format"), "9\n").unwrap();
    let error = EmbeddedLog::open(folder.path(), options())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains('9') && error.contains('1'), "{error}");
}

#[tokio::test]
async fn records_and_offsets_survive_reopening() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    for n in 0..100 {
        log.append(TOPIC, vec![record(n)]).await.unwrap();
    }
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let got = member
        .poll(10, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    let source = got[0].position.source.clone();
    member.commit(&[(source, 10)]).await.unwrap();
    drop(member);
    log.close(Duration::from_secs(5)).await.unwrap();
    drop(log);
    let log = open(&folder).await;
    assert!(
        segments(&folder).len() > 1,
        "the test needs several segments"
    );
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let got = member
        .poll(1_000, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    assert_eq!(
        texts(&got),
        (10..100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    log.append(TOPIC, vec![record("next")]).await.unwrap();
    let got = member
        .poll(1_000, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    assert_eq!(got[0].position.offset, 100);
}

#[tokio::test]
async fn segments_that_every_group_has_finished_are_deleted() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    let mut fast = log
        .subscribe(&[TOPIC], Start::Group("fast".into()))
        .await
        .unwrap();
    let mut slow = log
        .subscribe(&[TOPIC], Start::Group("slow".into()))
        .await
        .unwrap();
    for n in 0..200 {
        log.append(TOPIC, vec![record(n)]).await.unwrap();
    }
    let before = segments(&folder).len();
    let source = TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
    };
    fast.poll(1, Duration::from_secs(1)).await.unwrap();
    fast.commit(&[(source.clone(), 200)]).await.unwrap();
    assert_eq!(
        segments(&folder).len(),
        before,
        "the slow group has read nothing"
    );
    slow.poll(1, Duration::from_secs(1)).await.unwrap();
    slow.commit(&[(source, 200)]).await.unwrap();
    assert_eq!(segments(&folder).len(), 1);
    let info = log.describe(&[TOPIC]).await.unwrap();
    assert!(info[0].as_ref().unwrap().offsets[0].0 > 0);
}

#[tokio::test]
async fn size_cap_refuses_and_room_is_used_again() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 10_000,
        ..options()
    };
    let log = with_topic(EmbeddedLog::open(folder.path(), options).unwrap()).await;
    let mut group = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let mut kept = 0;
    let refusal = loop {
        match log.append(TOPIC, vec![record("x".repeat(500))]).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&refusal, AppendError::Full(r) if r.contains("max_bytes")),
        "{refusal}"
    );
    group.poll(1, Duration::from_secs(1)).await.unwrap();
    let source = TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
    };
    group.commit(&[(source, kept)]).await.unwrap();
    log.append(TOPIC, vec![record("again")]).await.unwrap();
}

#[tokio::test]
async fn torn_tail_is_cut_and_counted() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    log.append(TOPIC, vec![record("a"), record("b")])
        .await
        .unwrap();
    log.close(Duration::from_secs(5)).await.unwrap();
    drop(log);
    let path = segments(&folder).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, bytes).unwrap();
    let log = open(&folder).await;
    assert!(log.recovery().truncated_bytes > 0);
    log.append(TOPIC, vec![record("c")]).await.unwrap();
    assert_eq!(texts(&read_all(&log).await), ["a", "c"]);
}

#[tokio::test]
async fn damage_in_the_middle_costs_only_the_damaged_record() {
    for is_zeroed in [false, true] {
        let folder = TempDir::new().unwrap();
        let log = open(&folder).await;
        log.append(
            TOPIC,
            (0..9).map(|n| record(format!("value {n}"))).collect(),
        )
        .await
        .unwrap();
        log.close(Duration::from_secs(5)).await.unwrap();
        drop(log);
        let path = segments(&folder).pop().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let frame = bytes.len() / 9;
        let hurt = &mut bytes[4 * frame..5 * frame];
        if is_zeroed {
            hurt.fill(0);
        } else {
            hurt[20] ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
        let log = open(&folder).await;
        assert_eq!(log.recovery().damaged_bytes, frame as u64);
        assert_eq!(log.recovery().damaged_blocks, 1);
        let got = read_all(&log).await;
        let offsets: Vec<_> = got.iter().map(|d| d.position.offset).collect();
        assert_eq!(offsets, [0, 1, 2, 3, 5, 6, 7, 8]);
    }
}

#[tokio::test]
async fn missing_segment_is_passed_over() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    for n in 0..200 {
        log.append(TOPIC, vec![record(n)]).await.unwrap();
    }
    log.close(Duration::from_secs(5)).await.unwrap();
    drop(log);
    let files = segments(&folder);
    std::fs::remove_file(&files[1]).unwrap();
    let log = open(&folder).await;
    let got = texts(&read_all(&log).await);
    assert_eq!(got.first().map(String::as_str), Some("0"));
    assert_eq!(got.last().map(String::as_str), Some("199"));
    assert!(got.len() < 200);
}

/// A file system in memory that keeps live and durable bytes apart and can be made to fail.
#[derive(Default)]
struct FaultyFs {
    files: Mutex<HashMap<PathBuf, Arc<FaultyFile>>>,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    disk_is_full: std::sync::atomic::AtomicBool,
    sync_fails: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct FaultyFile {
    live: Mutex<Vec<u8>>,
    durable: Mutex<Vec<u8>>,
    faults: Arc<Faults>,
}

impl FaultyFs {
    /// The disk as it is after a power cut: what was synced, and `torn` bytes of what was not.
    fn after_power_cut(&self, torn: usize) -> Self {
        let files = self.files.lock().unwrap();
        let cut = |(path, file): (&PathBuf, &Arc<FaultyFile>)| {
            let mut kept = file.durable.lock().unwrap().clone();
            let live = file.live.lock().unwrap();
            kept.extend(live.iter().skip(kept.len()).take(torn));
            let new = FaultyFile {
                live: Mutex::new(kept.clone()),
                durable: Mutex::new(kept),
                faults: Arc::default(),
            };
            (path.clone(), Arc::new(new))
        };
        Self {
            files: Mutex::new(files.iter().map(cut).collect()),
            faults: Arc::default(),
        }
    }
}

impl FileSystem for FaultyFs {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock().unwrap();
        let within = files.keys().filter(|path| path.parent() == Some(folder));
        Ok(within
            .map(|path| path.file_name().unwrap().to_string_lossy().into())
            .collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let new = || {
            Arc::new(FaultyFile {
                faults: self.faults.clone(),
                ..FaultyFile::default()
            })
        };
        let mut files = self.files.lock().unwrap();
        Ok(files.entry(path.to_owned()).or_insert_with(new).clone())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        RealFs.replace(path, content)?;
        let file = self.open(path)?;
        file.truncate(0)?;
        file.write_at(0, content)?;
        file.sync()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().unwrap().remove(path);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl LogFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.live.lock().unwrap().len() as u64)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        let mut live = self.live.lock().unwrap();
        let is_full = self.faults.disk_is_full.load(Ordering::SeqCst);
        let data = if is_full {
            &data[..data.len() / 2]
        } else {
            data
        };
        let position = position as usize;
        let length = live.len().max(position + data.len());
        live.resize(length, 0);
        live[position..position + data.len()].copy_from_slice(data);
        if is_full {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let live = self.live.lock().unwrap();
        let rest = live.get(position as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn sync(&self) -> io::Result<()> {
        if self.faults.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        *self.durable.lock().unwrap() = self.live.lock().unwrap().clone();
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.live.lock().unwrap().truncate(length as usize);
        self.sync()
    }
}

#[tokio::test]
async fn full_disk_is_refused_and_leaves_nothing_torn() {
    let folder = TempDir::new().unwrap();
    let fs = Arc::new(FaultyFs::default());
    let log = EmbeddedLog::open_on(fs.clone(), folder.path(), options()).unwrap();
    let log = with_topic(log).await;
    log.append(TOPIC, vec![record("before")]).await.unwrap();
    fs.faults.disk_is_full.store(true, Ordering::SeqCst);
    let refusal = log.append(TOPIC, vec![record("lost")]).await.unwrap_err();
    assert!(matches!(refusal, AppendError::Full(_)), "{refusal}");
    fs.faults.disk_is_full.store(false, Ordering::SeqCst);
    log.append(TOPIC, vec![record("after")]).await.unwrap();
    assert_eq!(texts(&read_all(&log).await), ["before", "after"]);
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_sync() {
    let folder = TempDir::new().unwrap();
    let fs = Arc::new(FaultyFs::default());
    let log = EmbeddedLog::open_on(fs.clone(), folder.path(), options()).unwrap();
    let log = with_topic(log).await;
    fs.faults.sync_fails.store(true, Ordering::SeqCst);
    assert!(log.append(TOPIC, vec![record("a")]).await.is_err());
    fs.faults.sync_fails.store(false, Ordering::SeqCst);
    assert!(
        log.append(TOPIC, vec![record("b")]).await.is_err(),
        "the disk is not trusted again"
    );
    assert!(log.failure().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever part of an unsynced write reaches the disk, every acknowledged record is read back
    /// after a power cut and none is made up.
    #[test]
    fn acknowledged_records_survive_a_power_cut(count in 1..40_usize, torn in 0..200_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            let fs = Arc::new(FaultyFs::default());
            let log = EmbeddedLog::open_on(fs.clone(), folder.path(), options()).unwrap();
            let log = with_topic(log).await;
            for n in 0..count {
                log.append(TOPIC, vec![record(n)]).await.unwrap();
            }
            fs.faults.sync_fails.store(true, Ordering::SeqCst);
            log.append(TOPIC, vec![record("unacknowledged")]).await.unwrap_err();
            drop(log);
            let disk = Arc::new(fs.after_power_cut(torn));
            let log = EmbeddedLog::open_on(disk, folder.path(), options()).unwrap();
            let got = texts(&read_all(&log).await);
            let sent: Vec<_> = (0..count).map(|n| n.to_string()).collect();
            assert_eq!(got[..count], sent);
            assert!(got[count..].iter().all(|text| text == "unacknowledged"));
        });
    }
}
