//! Events held against a JSON Schema that the user keeps for their type.
//!
//! An event is held against the schema as it lies on the raw topic. Schemas are read again when
//! their files change. Patterns are searched for in linear time, and `references` lets none lead in
//! a circle, so that no event makes a schema slow.

mod references;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;

use crate::config::{Config, SchemaMode};
use crate::reload::{File, Reload};

/// Largest schema read, in bytes: a hundred times a usual one.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

/// Most schemas. Each takes some ten kilobytes once compiled.
const MAX_SCHEMAS: usize = 1_000;

/// Largest pattern once compiled, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Most members named of one event; the first few tell what is wrong.
const MAX_NAMES: usize = 20;

/// Longest name of a member that is told, in characters; it comes from the event.
const MAX_NAME_CHARS: usize = 200;

/// The name of what does not fit where it is no single member.
const WHOLE: &str = "*";

/// The schemas by the type of event that they are for.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    by_type: HashMap<String, Arc<File<Validator>>>,
    /// What becomes of events that do not fit.
    pub(crate) mode: SchemaMode,
}

impl Schemas {
    /// Reads and compiles the schemas.
    ///
    /// # Errors
    /// When one cannot be used; names the setting, the file and what is wrong.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        ensure!(
            config.schemas.len() <= MAX_SCHEMAS,
            "[enricher.schema]: more than {MAX_SCHEMAS} schemas"
        );
        let open = |(name, path): (&String, &std::path::PathBuf)| {
            let file = open(path).with_context(|| format!("[enricher.schema] {name:?}"))?;
            Ok((name.clone(), Arc::new(file)))
        };
        Ok(Self {
            by_type: config
                .schemas
                .iter()
                .map(open)
                .collect::<anyhow::Result<_>>()?,
            mode: config.schema_mode,
        })
    }

    /// The files, to be looked at for changes.
    pub(crate) fn files(&self) -> impl Iterator<Item = Arc<dyn Reload>> {
        self.by_type.values().map(|file| file.clone() as _)
    }

    /// The members of an event that do not fit its schema, sorted: `props.plan` for a nested one,
    /// `*` for the event as a whole. `None` where there is no schema for its type.
    pub(crate) fn misfits(&self, event_type: &str, raw: &[u8]) -> Option<Vec<String>> {
        let schema = self.by_type.get(event_type)?.load();
        let Ok(event) = serde_json::from_slice::<Json>(raw) else {
            return Some(vec![WHOLE.into()]);
        };
        if schema.is_valid(&event) {
            return Some(Vec::new());
        }
        let mut names: Vec<_> = schema
            .iter_errors(&event)
            .take(MAX_NAMES)
            .flat_map(|error| names(&error))
            .take(MAX_NAMES)
            .collect();
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

fn open(path: &Path) -> anyhow::Result<File<Validator>> {
    File::open(path, compile)
}

fn compile(text: &str) -> anyhow::Result<Validator> {
    ensure!(text.len() <= MAX_SCHEMA_BYTES, "larger than 256 KiB");
    let schema: Json = serde_json::from_str(text).context("no JSON")?;
    references::check(&schema)?;
    jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        // Newer drafts take formats for mere notes; who writes one wants it kept.
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(&schema)
        .map_err(|error| anyhow::anyhow!("{}: {error}", error.instance_path()))
        .context("no JSON Schema that can be used")
}

/// The members that an error is about.
fn names(error: &ValidationError<'_>) -> Vec<String> {
    let place = dotted(error.instance_path());
    let below = |name: &str| match place.as_str() {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    };
    let names = match error.kind() {
        Kind::Required {
            property: Json::String(name),
        } => vec![below(name)],
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected
                .iter()
                .take(MAX_NAMES)
                .map(|name| below(name))
                .collect()
        }
        _ if place.is_empty() => vec![WHOLE.to_owned()],
        _ => vec![place.clone()],
    };
    let cut = |name: String| name.chars().take(MAX_NAME_CHARS).collect();
    names.into_iter().map(cut).collect()
}

fn dotted(place: &Location) -> String {
    let mut name = String::new();
    for segment in place.segments() {
        if !name.is_empty() {
            name.push('.');
        }
        match segment {
            LocationSegment::Property(member) => name.push_str(&member),
            LocationSegment::Index(number) => name.push_str(&number.to_string()),
        }
    }
    name
}

#[cfg(test)]
mod tests;
