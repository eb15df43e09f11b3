//! The configuration: flag over variable over file over default.
//!
//! - [`settings`]: every key
//! - [`units`]: durations and sizes
//! - `default.toml`: the defaults, with a comment for each key; the only place they stand

pub(crate) mod settings;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub(crate) use settings::Settings;

/// The commented default file.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

/// The tables whose keys are not ours.
const OPEN_VALUES: [&str; 2] = ["kafka.properties", "enricher.schema"];

/// The table whose tables the user names, each with keys of its own choice.
const OPEN_TABLES: &str = "enricher.lookup";

/// The table of tables whose names are not ours, and what each of them has.
const NAMED_TABLES: &str = "sources";
const NAMED_TABLE: &str =
    "key = ''\nkey_file = ''\norigins = []\nrate_limit = 'off'\nevent_types = []";

/// The effective configuration and where each value came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) settings: Settings,
    /// Key to origin, for keys that are not at their default.
    pub(crate) origins: BTreeMap<String, String>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// Things worth a warning, such as an unknown variable.
    pub(crate) warnings: Vec<String>,
}

/// Where values come from, beside the defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// File named by flag; otherwise `weir.toml` in the working directory, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Variables of the environment.
    pub(crate) variables: Vec<(String, String)>,
    /// Dotted keys set by flags.
    pub(crate) flags: Vec<(&'static str, String)>,
}

/// Loads the configuration.
///
/// # Errors
/// Every error found, one line each: file, line where known, key, and the nearest known key.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Vec<String>> {
    let mut table: Table = DEFAULT.parse().expect("the default file is valid");
    let defaults = table.clone();
    let mut origins = BTreeMap::new();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let file = match &sources.file {
        Some(file) => Some(file.clone()),
        None => Some(PathBuf::from("weir.toml")).filter(|file| file.exists()),
    };
    if let Some(file) = &file {
        match read(file) {
            Ok((text, values)) => {
                merge(&mut table, &values, "", &mut |key, known| match known {
                    true => drop(origins.insert(key.to_owned(), file.display().to_string())),
                    false => {
                        let line = line_of(&text, key);
                        let advice = advice(&defaults, key);
                        errors.push(format!(
                            "{}{line}: unknown key {key}{advice}",
                            file.display()
                        ));
                    }
                });
            }
            Err(error) => errors.push(error),
        }
    }
    for (name, value) in &sources.variables {
        let Some(rest) = name.strip_prefix("WEIR_") else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".");
        match set(&mut table, &key, value) {
            Ok(()) => drop(origins.insert(key, name.clone())),
            Err(None) => warnings.push(format!(
                "unknown variable {name}{}",
                advice(&defaults, &key)
            )),
            Err(Some(error)) => errors.push(format!("{name}: {error}")),
        }
    }
    for (key, value) in &sources.flags {
        match set(&mut table, key, value) {
            Ok(()) => drop(origins.insert((*key).to_owned(), "flag".into())),
            Err(_) => errors.push(format!("flag for {key}: cannot read \"{value}\"")),
        }
    }
    let settings = table.try_into::<Settings>().map_err(|error| {
        let words = error.to_string();
        errors.push(words.split_whitespace().collect::<Vec<_>>().join(" "));
    });
    match settings {
        Ok(settings) if errors.is_empty() => Ok(Loaded {
            settings,
            origins,
            file,
            warnings,
        }),
        _ => Err(errors),
    }
}

fn read(file: &Path) -> Result<(String, Table), String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    let table = text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        format!("{}:{line}: {}", file.display(), error.message())
    })?;
    Ok((text, table))
}

/// Lays `over` on `base`, telling of each key whether it is known.
fn merge(base: &mut Table, over: &Table, path: &str, tell: &mut impl FnMut(&str, bool)) {
    for (name, value) in over {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match (base.get_mut(name), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over, &key, tell),
            (None, Value::Table(over)) if path == NAMED_TABLES => {
                let mut named = named_table();
                merge(&mut named, over, &key, tell);
                base.insert(name.clone(), Value::Table(named));
            }
            (Some(place), value) => {
                *place = value.clone();
                tell(&key, true);
            }
            (None, value) if OPEN_VALUES.contains(&path) && !value.is_table() => {
                base.insert(name.clone(), value.clone());
                tell(&key, true);
            }
            (None, value) if path == OPEN_TABLES && value.is_table() => {
                base.insert(name.clone(), value.clone());
                tell(&key, true);
            }
            (None, _) => tell(&key, false),
        }
    }
}

fn named_table() -> Table {
    NAMED_TABLE.parse().expect("plain TOML")
}

/// Sets a dotted key from text, in the type that the default has. `Err(None)` for an unknown key.
fn set(table: &mut Table, key: &str, text: &str) -> Result<(), Option<String>> {
    let mut place = table;
    let mut parts: Vec<&str> = key.split('.').collect();
    let name = parts.pop().ok_or(None)?;
    if let [NAMED_TABLES, named] = parts[..]
        && named_table().contains_key(name)
    {
        let tables = place.get_mut(NAMED_TABLES).and_then(Value::as_table_mut);
        let tables = tables.ok_or(None)?;
        tables
            .entry(named)
            .or_insert_with(|| Value::Table(named_table()));
    }
    for part in parts {
        place = place
            .get_mut(part)
            .and_then(Value::as_table_mut)
            .ok_or(None)?;
    }
    let value = place.get_mut(name).ok_or(None)?;
    *value = match value {
        Value::Table(_) => return Err(None),
        Value::Integer(_) => Value::Integer(
            text.trim()
                .parse()
                .map_err(|_| Some(format!("\"{text}\" is no number")))?,
        ),
        Value::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    };
    Ok(())
}

/// `: did you mean ..?` for the nearest known key, where one is near.
fn advice(defaults: &Table, key: &str) -> String {
    let mut known = Vec::new();
    keys(defaults, "", &mut known);
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(name, key), name));
    let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.8 => format!(", did you mean {name}?"),
        _ => String::new(),
    }
}

fn keys(table: &Table, path: &str, out: &mut Vec<String>) {
    for (name, value) in table {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match value {
            Value::Table(table) => keys(table, &key, out),
            _ => out.push(key),
        }
    }
}

fn line_of(text: &str, key: &str) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let is_here = |line: &str| line.trim_start().trim_start_matches('[').starts_with(name);
    text.lines()
        .position(is_here)
        .map_or(String::new(), |at| format!(":{}", at + 1))
}

/// The effective values as TOML, each with its origin, secrets masked.
#[must_use]
pub(crate) fn show(loaded: &Loaded) -> String {
    let table = Table::try_from(&loaded.settings).unwrap_or_default();
    let mut out = String::new();
    write_table(&table, "", loaded, &mut out);
    out
}

fn write_table(table: &Table, path: &str, loaded: &Loaded, out: &mut String) {
    let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    for (name, value) in values {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let is_secret = ["token", "password", "key"]
            .iter()
            .any(|secret| name.ends_with(secret));
        let is_set = value.as_str().is_some_and(|text| !text.is_empty());
        let shown = if is_secret && is_set {
            "\"***\"".to_owned()
        } else {
            value.to_string()
        };
        let origin = loaded.origins.get(&key).map_or("default", String::as_str);
        let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = match name.chars().all(is_bare) && !name.is_empty() {
            true => name.clone(),
            false => Value::from(name.as_str()).to_string(),
        };
        out.push_str(&format!("{name} = {shown} # {origin}\n"));
    }
    for (name, value) in tables {
        if let Value::Table(table) = value {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            out.push_str(&format!("\n[{path}]\n"));
            write_table(table, &path, loaded, out);
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
