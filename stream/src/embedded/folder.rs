//! The log's folder: who holds it, which version wrote it, which topics it has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::fs::FileSystem;
use super::state::{self, Loaded};
use crate::StreamError;

/// Version of the folder's layout.
const FORMAT: u32 = 1;

const TOPICS: &str = "topics.json";

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
pub(super) fn check_format(fs: &dyn FileSystem, folder: &Path) -> Result<(), StreamError> {
    let path = folder.join("format");
    let unusable = |error: io::Error| {
        StreamError::Configuration(format!("data_dir: cannot use {}: {error}", path.display()))
    };
    let Some(content) = fs.read(&path).map_err(unusable)? else {
        let version = format!("{FORMAT}\n");
        return fs.replace(&path, version.as_bytes()).map_err(unusable);
    };
    let text = String::from_utf8_lossy(&content);
    match text.trim().parse::<u32>() {
        Ok(found) if found <= FORMAT => Ok(()),
        found => {
            let found = found.map_or("unknown".to_owned(), |found| found.to_string());
            Err(StreamError::Configuration(format!(
                "data_dir: {} has log format {found}, this version reads up to {FORMAT}",
                folder.display()
            )))
        }
    }
}

/// The topics and their numbers of partitions, and whether the file that names them was damaged;
/// then they are told from their folders.
pub(super) fn read_topics(
    fs: &dyn FileSystem,
    root: &Path,
) -> io::Result<(BTreeMap<String, u32>, bool)> {
    let path = root.join(TOPICS);
    match state::load(fs, &path)? {
        Loaded::Missing => Ok((BTreeMap::new(), false)),
        Loaded::Whole(topics) => Ok((topics, false)),
        Loaded::Damaged => {
            let topics = topics_by_folder(fs, root)?;
            write_topics(fs, root, &topics)?;
            Ok((topics, true))
        }
    }
}

/// Replaces the file that names the topics.
pub(super) fn write_topics(
    fs: &dyn FileSystem,
    root: &Path,
    topics: &BTreeMap<String, u32>,
) -> io::Result<()> {
    state::save(fs, &root.join(TOPICS), topics)
}

fn topics_by_folder(fs: &dyn FileSystem, root: &Path) -> io::Result<BTreeMap<String, u32>> {
    let mut topics = BTreeMap::new();
    for topic in fs.folders(root)? {
        let partitions = fs.folders(&root.join(&topic))?;
        let highest = partitions
            .iter()
            .filter_map(|name| name.parse::<u32>().ok())
            .max();
        if let Some(highest) = highest {
            topics.insert(topic, highest + 1);
        }
    }
    Ok(topics)
}
