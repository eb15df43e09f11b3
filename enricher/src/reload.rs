//! Tables in files that may change while they serve.
//!
//! A file counts as changed when its inode, length or time of change differ. What is read of it
//! replaces the old as a whole; a file that cannot be read is told and the old one goes on serving.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use arc_swap::{ArcSwap, Guard};
use runtime::{Component, Shutdown};

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// The present version; `None` where there is no file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// Largest table read, in bytes: it is kept in memory as a whole.
const MAX_FILE_BYTES: u64 = 256 << 20;

type Read<T> = Box<dyn Fn(&str) -> anyhow::Result<T> + Send + Sync>;

/// A table and the file that it is read from.
pub(crate) struct File<T> {
    path: PathBuf,
    read: Read<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    /// Why the present file is refused.
    refused: Option<String>,
}

impl<T> File<T> {
    /// Reads the file by `read`, which turns its text into a table.
    ///
    /// # Errors
    /// When it cannot be read; names the path.
    pub(crate) fn open(
        path: &Path,
        read: impl Fn(&str) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let stamp = Stamp::of(path);
        let table = read_file(path, &read)?;
        Ok(Self {
            path: path.to_owned(),
            read: Box::new(read),
            current: ArcSwap::from_pointee(table),
            seen: Mutex::new(Seen {
                stamp,
                refused: None,
            }),
        })
    }

    /// The table as it is.
    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        self.current.load()
    }
}

/// A file that is looked at for changes.
pub(crate) trait Reload: Send + Sync {
    /// Looks once; returns why the present file is refused, where it is.
    fn look(&self) -> Option<String>;
}

impl<T: Send + Sync> Reload for File<T> {
    fn look(&self) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path);
        if stamp != seen.stamp {
            seen.stamp = stamp;
            match read_file(&self.path, &self.read) {
                Ok(table) => {
                    self.current.store(Arc::new(table));
                    seen.refused = None;
                    tracing::info!(path = %self.path.display(), "table replaced");
                }
                Err(error) => {
                    let reason = format!("{error:#}; the old table goes on serving");
                    tracing::warn!(reason, "table refused");
                    seen.refused = Some(reason);
                }
            }
        }
        seen.refused.clone()
    }
}

impl<T> fmt::Debug for File<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read_file<T>(path: &Path, read: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let read = || {
        ensure!(
            fs::metadata(path)?.len() <= MAX_FILE_BYTES,
            "larger than 256 MiB"
        );
        read(&fs::read_to_string(path)?)
    };
    read().with_context(|| format!("file {}", path.display()))
}

/// Looks at the files at every interval until shutdown starts.
pub(crate) async fn watch(
    files: Vec<Arc<dyn Reload>>,
    interval: Duration,
    health: Component,
    shutdown: Shutdown,
) {
    health.ready();
    if files.is_empty() {
        return shutdown.started().await;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.started() => return,
        }
        let files = files.clone();
        let looked = tokio::task::spawn_blocking(move || {
            // Every file, for each has its own changes to take.
            let refused: Vec<String> = files.iter().filter_map(|file| file.look()).collect();
            refused.into_iter().next()
        });
        match looked.await {
            Ok(None) => health.ready(),
            Ok(Some(reason)) => health.not_ready(&reason),
            // The old tables go on serving; without a watcher they are merely not replaced.
            Err(_) => return health.not_ready("the watcher of the tables ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_file_is_taken_and_a_broken_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, &path).unwrap();
        };
        replace("1");
        let file = File::open(&path, |text| Ok(text.parse::<u32>()?)).unwrap();
        assert_eq!(file.look(), None);
        replace("22");
        assert_eq!((file.look(), **file.load()), (None, 22));
        replace("two");
        let refused = file.look().unwrap();
        assert!(
            refused.contains("number") && refused.contains("invalid digit"),
            "{refused}"
        );
        assert_eq!(**file.load(), 22);
        assert_eq!(
            file.look().as_deref(),
            Some(&*refused),
            "told until it is mended"
        );
        replace("333");
        assert_eq!((file.look(), **file.load()), (None, 333));
        fs::remove_file(&path).unwrap();
        assert!(file.look().is_some());
        assert_eq!(**file.load(), 333);
    }
}
