//! Libraries in C (`faults/`) that are preloaded into a process and make its calls to the system
//! misbehave on demand.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

/// Compiles `faults/NAME.c` into `folder`; returns the library.
///
/// # Errors
/// When there is no C compiler, or it refuses.
pub fn compile(name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let source = format!("{}/faults/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    compiler.arg(&library).args([&source, "-ldl"]);
    ensure!(compiler.status()?.success(), "{source} does not compile");
    Ok(library)
}
