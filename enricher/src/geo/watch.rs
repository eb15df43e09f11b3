//! Swapping GeoIP files under load.
//!
//! A changed file is read, verified
//! and of the same kind as before, or the old one goes on serving and the reason is shown. Replace
//! files by renaming: one that is seen half written is refused and read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use runtime::{Component, Shutdown};

use super::{Database, Databases};
use crate::reload::Stamp;

/// Watches the files of one set.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Vec<Watched>,
    databases: Arc<ArcSwap<Databases>>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// Why the present file is refused.
    refused: Option<String>,
}

impl Watch {
    /// Watches `paths`, from which `databases` were opened in the same order.
    pub(crate) fn new(paths: &[PathBuf], databases: Arc<ArcSwap<Databases>>) -> Self {
        let files = paths
            .iter()
            .map(|path| Watched {
                path: path.clone(),
                stamp: Stamp::of(path),
                refused: None,
            })
            .collect();
        Self { files, databases }
    }

    /// Looks at every file once and swaps those that changed. Reads and verifies: not for an async
    /// thread.
    pub(crate) fn look(&mut self) {
        for (place, watched) in self.files.iter_mut().enumerate() {
            let stamp = Stamp::of(&watched.path);
            if stamp == watched.stamp {
                continue;
            }
            watched.stamp = stamp;
            let current = self.databases.load_full();
            match reopen(&watched.path, current.files.get(place)) {
                Ok(database) => {
                    let mut files = current.files.clone();
                    files[place] = Arc::new(database);
                    self.databases.store(Arc::new(Databases { files }));
                    watched.refused = None;
                    tracing::info!(path = %watched.path.display(), "GeoIP file replaced");
                }
                Err(error) => {
                    let reason = format!("{error:#}; the old one goes on serving");
                    tracing::warn!(reason, "GeoIP file refused");
                    watched.refused = Some(reason);
                }
            }
        }
    }

    /// Why the first refused file is refused.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.files.iter().find_map(|file| file.refused.as_deref())
    }

    /// Looks at the files at every interval until shutdown starts.
    pub(crate) async fn run(
        mut self,
        interval: Duration,
        health: Component,
        age: Gauge,
        shutdown: Shutdown,
    ) {
        loop {
            age.set(age_seconds(&self.databases.load()));
            match self.refused() {
                Some(reason) => health.not_ready(reason),
                None => health.ready(),
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.started() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(watch) => self = watch,
                // The old files go on serving; without a watcher they are merely not replaced.
                Err(_) => return health.not_ready("the watcher of the GeoIP files ended"),
            }
        }
    }
}

fn reopen(path: &Path, current: Option<&Arc<Database>>) -> anyhow::Result<Database> {
    let database = Database::open(path)?;
    let kind = current.map(|current| current.kind);
    anyhow::ensure!(
        kind.is_none_or(|kind| kind == database.kind),
        "GeoIP file {} became one of kind {:?}",
        path.display(),
        database.kind
    );
    Ok(database)
}

/// Seconds since the oldest file was built.
fn age_seconds(databases: &Databases) -> i64 {
    let age = databases
        .oldest()
        .and_then(|built| SystemTime::now().duration_since(built).ok())
        .unwrap_or_default();
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}
