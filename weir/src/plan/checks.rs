//! Gathering what is wrong.

use std::net::SocketAddr;

/// Gathers errors, so that all are told at once.
pub(super) struct Checks(pub(super) Vec<String>);

impl Checks {
    pub(super) fn take<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|error| self.0.push(format!("{key}: {error}")))
            .ok()
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        value: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let found = choices
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, choice)| *choice);
        let words = || format!("\"{value}\" is none of {}", names.join(", "));
        self.take(key, found.ok_or_else(words))
    }

    pub(super) fn address(&mut self, key: &str, value: &str) -> Option<SocketAddr> {
        let words = |_| format!("\"{value}\" is no address such as 127.0.0.1:8080");
        self.take(key, value.parse().map_err(words))
    }

    /// A secret, from its key or from the file that its `_file` key names.
    pub(super) fn secret(&mut self, key: &str, value: &str, file: &str) -> Option<String> {
        if file.is_empty() {
            return (!value.is_empty()).then(|| value.to_owned());
        }
        let read = std::fs::read_to_string(file).map(|text| text.trim().to_owned());
        self.take(
            &format!("{key}_file"),
            read.map_err(|error| format!("{file}: {error}")),
        )
    }
}
