//! A disk in memory that keeps what is durable apart from what is only written, and fails on
//! demand: power is cut at any sync point, syncs fail, room runs out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;

use crate::StreamError;
use crate::embedded::EmbeddedLog;
use crate::embedded::fs::{FileSystem, LogFile};

/// The unit in which a disk writes: of a write that was not synced any sectors may be there.
const SECTOR_BYTES: usize = 512;

/// What is left of writes that were not synced when the power goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tear {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// Their first so many bytes.
    Prefix(usize),
    /// Sectors by the bits of a number, the others as they were before.
    Sectors(u64),
    /// The length, without the bytes: zeros.
    Zeros,
}

/// Cloning gives another handle to the same disk. Copies of it share the folder that its paths are
/// below, which on the real disk holds the log's lock.
#[derive(Clone)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    folder: Arc<TempDir>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    folders: BTreeSet<PathBuf>,
    /// Sync points passed.
    syncs: usize,
    /// The sync point at which the power goes.
    cut_at: Option<usize>,
    is_off: bool,
    syncs_fail: bool,
    is_full: bool,
}

#[derive(Default, Clone)]
struct Content {
    durable: Vec<u8>,
    live: Vec<u8>,
    /// Positions and lengths of writes since the last sync.
    unsynced: Vec<(usize, usize)>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
            folder: Arc::new(TempDir::new().unwrap()),
        }
    }

    /// Opens the log on it.
    pub(super) fn log(&self) -> Result<EmbeddedLog, StreamError> {
        EmbeddedLog::open_on(Arc::new(self.clone()), self.folder.path(), super::options())
    }

    /// A disk whose power goes at its `n`-th sync point, counted from 0.
    pub(super) fn with_cut_at(n: usize) -> Self {
        let disk = Self::new();
        disk.state().cut_at = Some(n);
        disk
    }

    pub(super) fn syncs(&self) -> usize {
        self.state().syncs
    }

    pub(super) fn fail_syncs(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    pub(super) fn fill(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Cuts the power at the `n`-th sync point from here.
    pub(super) fn cut_later(&self, n: usize) {
        let mut state = self.state();
        state.cut_at = Some(state.syncs + n);
    }

    /// The disk as it is after the power cut.
    pub(super) fn after_cut(&self, tear: Tear) -> Self {
        let state = self.state();
        let files = state
            .files
            .iter()
            .map(|(path, content)| (path.clone(), content.torn(tear)));
        let after = State {
            files: files.collect(),
            folders: state.folders.clone(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(after)),
            folder: self.folder.clone(),
        }
    }

    /// The paths of the files whose name ends so, in order.
    pub(super) fn files(&self, end: &str) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.files.keys();
        files
            .filter(|path| path.to_string_lossy().ends_with(end))
            .cloned()
            .collect()
    }

    /// A copy on which `change` is made to the bytes of one file; `None` deletes it.
    pub(super) fn damaged(&self, path: &Path, change: impl FnOnce(&mut Option<Vec<u8>>)) -> Self {
        let copy = self.after_cut(Tear::All);
        {
            let mut state = copy.state();
            let mut bytes = state.files.remove(path).map(|content| content.live);
            change(&mut bytes);
            if let Some(bytes) = bytes {
                let content = Content {
                    durable: bytes.clone(),
                    live: bytes,
                    unsynced: Vec::new(),
                };
                state.files.insert(path.to_owned(), content);
            }
        }
        copy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Content {
    fn torn(&self, tear: Tear) -> Self {
        let mut kept = self.durable.clone();
        let mut sector = 0;
        for (position, length) in &self.unsynced {
            let end = (position + length).min(self.live.len());
            let written = self.live.get(*position..end).unwrap_or_default();
            for (n, piece) in written.chunks(SECTOR_BYTES).enumerate() {
                let at = n * SECTOR_BYTES;
                let take = match tear {
                    Tear::None => 0,
                    Tear::All | Tear::Zeros => piece.len(),
                    Tear::Prefix(bytes) => bytes.saturating_sub(at).min(piece.len()),
                    Tear::Sectors(bits) => {
                        piece.len() * usize::from(bits >> (sector % 64) & 1 == 1)
                    }
                };
                sector += 1;
                if take == 0 {
                    continue;
                }
                let at = position + at;
                kept.resize(kept.len().max(at + take), 0);
                if !matches!(tear, Tear::Zeros) {
                    kept[at..at + take].copy_from_slice(&piece[..take]);
                }
            }
        }
        Self {
            durable: kept.clone(),
            live: kept,
            unsynced: Vec::new(),
        }
    }
}

impl State {
    fn is_on(&self) -> io::Result<()> {
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    /// Passes a sync point; the power may go in the middle of it.
    fn sync_point(&mut self) -> io::Result<()> {
        self.is_on()?;
        if self.syncs_fail {
            return Err(io::Error::other("input/output error"));
        }
        self.is_off = self.cut_at == Some(self.syncs);
        self.syncs += 1;
        self.is_on()
    }
}

impl FileSystem for Disk {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        if !state.folders.contains(folder) {
            state.sync_point()?;
            let above = folder.ancestors().map(Path::to_owned);
            state.folders.extend(above);
        }
        let within = state
            .files
            .keys()
            .filter(|path| path.parent() == Some(folder));
        Ok(within.map(|path| name(path)).collect())
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let within = state
            .folders
            .iter()
            .filter(|path| path.parent() == Some(folder));
        Ok(within.map(|path| name(path)).collect())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let state = self.state();
        state.is_on()?;
        Ok(state.files.get(path).map(|content| content.live.clone()))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state();
        state.is_on()?;
        if !state.files.contains_key(path) {
            state.sync_point()?;
            state.files.insert(path.to_owned(), Content::default());
        }
        Ok(Arc::new(DiskFile {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.sync_point()?;
        let content = Content {
            durable: content.to_vec(),
            live: content.to_vec(),
            unsynced: Vec::new(),
        };
        state.files.insert(path.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.sync_point()?;
        state.files.remove(path);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

struct DiskFile {
    disk: Disk,
    path: PathBuf,
}

impl DiskFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        state.is_on()?;
        let content = state.files.get_mut(&self.path);
        content
            .map(act)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl LogFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        self.with(|content| content.live.len() as u64)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        let is_full = self.disk.state().is_full;
        let written = if is_full { data.len() / 2 } else { data.len() };
        let position = position as usize;
        self.with(|content| {
            let end = position + written;
            content.live.resize(content.live.len().max(end), 0);
            content.live[position..end].copy_from_slice(&data[..written]);
            content.unsynced.push((position, written));
        })?;
        if is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|content| {
            let rest = content.live.get(position as usize..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            length
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().sync_point()?;
        self.with(|content| {
            content.durable = content.live.clone();
            content.unsynced.clear();
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.state().sync_point()?;
        self.with(|content| {
            content.live.truncate(length as usize);
            content.durable = content.live.clone();
            content.unsynced.clear();
        })
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into()
}
