//! The embedded store: tantivy, one folder a day.
//!
//! A day is written by one writer at a time, and only the days written last keep theirs open. An
//! id is created once: it is looked up among the committed documents and those written since. What
//! was written becomes durable and visible at the next sync, which commits every day that changed.
//! Retention drops whole folders.
//!
//! - `schema` derives a day's schema from the field table
//! - `day` is one day: its writer and its reader
//! - `dsl` and `date_math` read queries
//! - `search` answers them, `aggregate` what they aggregate

mod aggregate;
mod date_math;
mod day;
mod dsl;
mod schema;
mod search;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use event::index;
use jiff::civil::Date;
use serde_json::Value;
use tantivy::schema::Schema;

use crate::{Deleted, Document, Doomed, Indices, Outcome, Query, QueryError, Store, StoreError};
use day::Day;

/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// Days that keep a writer: today, yesterday, and one for late events. Each takes up to
/// [`day::WRITER_BYTES`] of memory.
const OPEN_WRITERS: usize = 3;

/// The embedded store.
pub struct EmbeddedStore {
    core: Arc<Core>,
    _lock: File,
}

struct Core {
    root: PathBuf,
    index_prefix: String,
    /// By which queries are read; every day is written by the same.
    schema: Schema,
    days: Mutex<BTreeMap<String, Arc<Day>>>,
    /// Held while documents are written or synced: a sync covers every write that returned.
    writing: Mutex<Writing>,
}

#[derive(Default)]
struct Writing {
    /// Days that have a writer, the one written last at the end.
    open: Vec<String>,
    /// Why a day lost what was written since the last sync; told by the next one.
    lost: Option<StoreError>,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, making it where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] with one line that names the folder: not writable, held by
    /// another process, written by a newer version.
    pub fn open(folder: &Path, index_prefix: &str) -> Result<Self, StoreError> {
        let unusable = |what: String| {
            StoreError::Configuration(format!("data_dir: cannot use {}: {what}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let lock =
            File::create(folder.join("lock")).map_err(|error| unusable(error.to_string()))?;
        lock.try_lock()
            .map_err(|_| unusable("in use by another process".into()))?;
        let format = folder.join("format");
        match std::fs::read_to_string(&format) {
            Ok(text)
                if text
                    .trim()
                    .parse::<u32>()
                    .is_ok_and(|found| found <= FORMAT) => {}
            Ok(text) => {
                let found: String = text.trim().chars().take(20).collect();
                let words = format!("store format {found}, this version reads up to {FORMAT}");
                return Err(unusable(words));
            }
            Err(_) => std::fs::write(&format, format!("{FORMAT}\n"))
                .map_err(|error| unusable(error.to_string()))?,
        }
        let mut days = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| unusable(error.to_string()))? {
            let entry = entry.map_err(|error| unusable(error.to_string()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if index::day_of(index_prefix, &name).is_some() {
                let day = Day::open(&entry.path()).map_err(|error| unusable(error.to_string()))?;
                days.insert(name, Arc::new(day));
            }
        }
        let core = Core {
            root: folder.to_owned(),
            index_prefix: index_prefix.to_owned(),
            schema: schema::schema(),
            days: Mutex::new(days),
            writing: Mutex::default(),
        };
        Ok(Self {
            core: Arc::new(core),
            _lock: lock,
        })
    }

    /// Runs work that reads and writes files away from the async threads.
    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Core) -> Result<T, E> + Send + 'static,
        ended: impl FnOnce(String) -> E,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let core = self.core.clone();
        match tokio::task::spawn_blocking(move || work(&core)).await {
            Ok(result) => result,
            Err(error) => Err(ended(error.to_string())),
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn prepare(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError> {
        let documents = documents.to_vec();
        self.blocking(move |core| core.write(&documents), StoreError::Storage)
            .await
    }

    async fn sync(&self) -> Result<(), StoreError> {
        self.blocking(Core::sync, StoreError::Storage).await
    }

    async fn query(&self, query: &Query) -> Result<Value, QueryError> {
        let query = query.clone();
        self.blocking(move |core| core.query(&query), QueryError::Unavailable)
            .await
    }

    async fn delete(&self, doomed: &Doomed) -> Result<Deleted, StoreError> {
        let doomed = doomed.clone();
        self.blocking(move |core| core.delete(&doomed), StoreError::Storage)
            .await
    }
}

impl Core {
    fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcomes = Vec::with_capacity(documents.len());
        for document in documents {
            if index::day_of(&self.index_prefix, &document.index).is_none() {
                let kind = "invalid_index_name".into();
                outcomes.push(Outcome::Refused {
                    kind,
                    reason: document.index.clone(),
                });
                continue;
            }
            let written = self
                .open(&mut writing.open, &document.index)
                .and_then(|day| day.write(document).map_err(|error| unavailable(&error)));
            match written {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => {
                    writing.lost = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(outcomes)
    }

    /// The day of this name, as the one written last; the day written longest ago is closed where
    /// too many have a writer.
    fn open(&self, open: &mut Vec<String>, name: &str) -> Result<Arc<Day>, StoreError> {
        let day = self.day(name)?;
        if open.last().is_none_or(|last| last != name) {
            open.retain(|other| other != name);
            open.push(name.to_owned());
            if open.len() > OPEN_WRITERS {
                let oldest = self.day(&open.remove(0))?;
                oldest.close().map_err(|error| unavailable(&error))?;
            }
        }
        Ok(day)
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let days: Vec<_> = self.days().values().cloned().collect();
        days.iter()
            .try_for_each(|day| day.sync())
            .map_err(|error| unavailable(&error))?;
        match writing.lost.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn query(&self, query: &Query) -> Result<Value, QueryError> {
        let (Query::Search { indices, .. }
        | Query::Count { indices, .. }
        | Query::Mapping { indices }) = query;
        let days = self.find(indices)?;
        let schema = &self.schema;
        match query {
            Query::Search { body, .. } => search::search(&days, schema, body),
            Query::Count { body, .. } => search::count(&days, schema, body),
            Query::Mapping { .. } => {
                let names: Vec<_> = days.into_iter().map(|day| day.name).collect();
                Ok(search::mapping(&names))
            }
        }
    }

    fn delete(&self, doomed: &Doomed) -> Result<Deleted, StoreError> {
        let mut deleted = Deleted::default();
        match doomed {
            Doomed::Before(oldest) => deleted.indices = self.retain(*oldest)?,
            Doomed::Of { field, value } => deleted.documents = self.erase(field, value)?,
        }
        Ok(deleted)
    }

    /// Deletes the documents whose field has this value, and writes anew what holds them.
    fn erase(&self, field: &str, value: &str) -> Result<u64, StoreError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = self.days().keys().cloned().collect();
        let mut erased = 0;
        for name in names {
            let day = self.day(&name)?;
            let count = day.erase(field, value).map_err(|error| unavailable(&error));
            match count {
                Ok(0) => {}
                Ok(count) => {
                    erased += count;
                    // The day gave its writer up.
                    writing.open.retain(|other| *other != name);
                }
                Err(error) => {
                    writing.lost = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(erased)
    }

    fn retain(&self, oldest: Date) -> Result<Vec<String>, StoreError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old =
            |name: &String| index::day_of(&self.index_prefix, name).is_some_and(|day| day < oldest);
        let old: Vec<String> = self
            .days()
            .keys()
            .filter(|name| is_old(name))
            .cloned()
            .collect();
        for name in &old {
            writing.open.retain(|other| other != name);
            self.days().remove(name);
            std::fs::remove_dir_all(self.root.join(name))
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(old)
    }

    /// The day of this name, made where it is missing.
    fn day(&self, name: &str) -> Result<Arc<Day>, StoreError> {
        if let Some(day) = self.days().get(name) {
            return Ok(day.clone());
        }
        let day = Day::open(&self.root.join(name)).map_err(|error| unavailable(&error))?;
        let day = Arc::new(day);
        self.days().insert(name.to_owned(), day.clone());
        Ok(day)
    }

    /// The days that are asked for, newest first.
    fn find(&self, indices: &Indices) -> Result<Vec<search::Day>, QueryError> {
        let days = self.days();
        let mut names: Vec<&String> = Vec::new();
        for part in indices.parts() {
            match part.contains('*') {
                true => names.extend(days.keys().filter(|name| matches(part, name))),
                false => match days.get_key_value(part.as_str()) {
                    Some((name, _)) => names.push(name),
                    None => return Err(QueryError::NoSuchIndex(part.clone())),
                },
            }
        }
        names.sort();
        names.dedup();
        let found = |name: &&String| search::Day {
            name: (*name).clone(),
            searcher: days[*name].searcher(),
        };
        Ok(names.iter().rev().map(found).collect())
    }

    fn days(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Day>>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn unavailable(error: &tantivy::TantivyError) -> StoreError {
    StoreError::Unavailable(format!("data_dir: the store cannot be written: {error}"))
}

#[cfg(test)]
mod tests;
