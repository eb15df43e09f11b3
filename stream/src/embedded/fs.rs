//! The few things that the log asks of a file system, so that tests can put faults below it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// A file system.
pub trait FileSystem: Send + Sync + 'static {
    /// The names in a folder; a missing folder is made, durably.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// The names of the folders in a folder.
    fn folders(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// The whole of a small file; `None` where it is missing.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Opens a file for reading and appending, making it where it is missing; the new name is
    /// durable before the call returns.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Replaces a small file so that after a crash it holds either the old or the new content.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes that can still be written to the disk of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file of a log.
pub trait LogFile: Send + Sync {
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Writes all of `data` at `position`.
    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()>;
    /// Reads into `buffer` from `position`; returns the bytes read, 0 at the end.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealFs;

impl FileSystem for RealFs {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        make_folder(folder)?;
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into()))
            .collect()
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into());
            }
        }
        Ok(names)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if is_new {
            sync_folder(path)?;
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("draft");
        let file = File::create(&draft)?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Makes a folder and those above it; each name is durable before the next is made in it.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(folder),
    }
}

/// A new or renamed file is durable only once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

struct RealFile(File);

impl LogFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, position)
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.sync_all()
    }
}
