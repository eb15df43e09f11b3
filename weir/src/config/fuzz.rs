//! The configuration file, fed with a corpus and with what it mutates to.

use super::{Sources, load, show};
use crate::plan::Plan;

#[test]
fn file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weir.toml");
    ::fuzz::check("config", |input| {
        std::fs::write(&path, input).expect("a file");
        let sources = Sources {
            file: Some(path.clone()),
            ..Sources::default()
        };
        match load(&sources) {
            Ok(loaded) => {
                assert!(!show(&loaded).is_empty());
                if let Err(errors) = Plan::new(&loaded.settings) {
                    assert!(!errors.is_empty());
                }
            }
            Err(errors) => assert!(!errors.is_empty(), "an error is told"),
        }
    });
}
