//! The log's folder: who holds it, which version wrote it, which topics it has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::fs::{FileSystem as _, RealFs};
use crate::StreamError;

/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// Takes the folder for this process.
pub(super) fn lock(folder: &Path) -> Result<File, StreamError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| {
        StreamError::Configuration(format!(
            "data_dir: cannot write in {}: {error}",
            folder.display()
        ))
    })?;
    file.try_lock().map_err(|_| {
        let folder = folder.display();
        StreamError::Configuration(format!("data_dir: {folder} is in use by another process"))
    })?;
    Ok(file)
}

/// Refuses a folder that a newer version wrote; writes the version into a fresh one.
pub(super) fn check_format(folder: &Path) -> Result<(), StreamError> {
    let path = folder.join("format");
    let unusable = |error: io::Error| {
        StreamError::Configuration(format!("data_dir: cannot use {}: {error}", path.display()))
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if found <= FORMAT => Ok(()),
            found => {
                let found = found.map_or("unknown".to_owned(), |found| found.to_string());
                Err(StreamError::Configuration(format!(
                    "data_dir: {} has log format {found}, this version reads up to {FORMAT}",
                    folder.display()
                )))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => RealFs
            .replace(&path, format!("{FORMAT}\n").as_bytes())
            .map_err(unusable),
        Err(error) => Err(unusable(error)),
    }
}

/// The topics and their numbers of partitions.
pub(super) fn read_topics(folder: &Path) -> io::Result<BTreeMap<String, u32>> {
    match std::fs::read(folder.join("topics.json")) {
        Ok(content) => Ok(serde_json::from_slice(&content)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
