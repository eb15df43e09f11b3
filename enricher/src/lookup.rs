//! Events completed from a table that the user keeps: a product's name, a customer's plan.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value as Json;

use crate::config;
use crate::document::props::Prop;
use crate::document::{Document, Value};
use crate::reload::File;
use crate::slot::Slot;

/// Most rows read. A row of five short columns takes about 500 bytes.
const MAX_ROWS: usize = 1_000_000;

/// The columns of a row by their names in `props`.
type Row = Vec<(String, Json)>;

/// One table.
#[derive(Debug)]
pub(crate) struct Lookup {
    key: Key,
    pub(crate) file: Arc<File<HashMap<String, Row>>>,
}

#[derive(Debug)]
enum Key {
    Slot(Slot),
    Prop(String),
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A row.
    Hit,
    /// No row.
    Miss,
    /// The event has nothing to look up.
    None,
}

impl Lookup {
    /// Reads the table.
    ///
    /// # Errors
    /// When the file cannot be used; names the setting.
    pub(crate) fn open(settings: &config::Lookup) -> anyhow::Result<Self> {
        let is_json = settings.file.extension().is_some_and(|e| e == "json");
        let wanted = settings.clone();
        let read = move |text: &str| match is_json {
            true => json(text, &wanted),
            false => csv(text, &wanted),
        };
        let file = File::open(&settings.file, read)
            .with_context(|| format!("[enricher.lookup.{}]", settings.name))?;
        let key = match Slot::find(&settings.key) {
            Some(slot) => Key::Slot(slot),
            None => {
                let name = settings.key.strip_prefix("props.");
                Key::Prop(name.unwrap_or(&settings.key).to_owned())
            }
        };
        Ok(Self {
            key,
            file: Arc::new(file),
        })
    }

    /// The step: the row's columns become members of `props`.
    pub(crate) fn apply(&self, document: &mut Document<'_>) -> Outcome {
        let table = self.file.load();
        let found = match &self.key {
            Key::Slot(slot) => match document.value(*slot) {
                Value::Text(text) => Some(table.get(&**text)),
                Value::Long(number) => Some(table.get(&number.to_string())),
                _ => None,
            },
            Key::Prop(name) => match document.props.find(name) {
                Some(Prop::Text(text)) => Some(table.get(&**text)),
                Some(Prop::Json(json)) => Some(table.get(&json.to_string())),
                None => None,
            },
        };
        match found {
            None => Outcome::None,
            Some(None) => Outcome::Miss,
            Some(Some(row)) => {
                for (name, value) in row {
                    let prop = match value {
                        Json::String(text) => Prop::Text(text.clone().into()),
                        plain => Prop::Json(plain.clone()),
                    };
                    document.props.set(name, prop);
                }
                Outcome::Hit
            }
        }
    }
}

fn csv(text: &str, settings: &config::Lookup) -> anyhow::Result<HashMap<String, Row>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers()?.clone();
    let place = |column: &str| {
        let place = heading.iter().position(|name| name == column);
        place.with_context(|| format!("there is no column {column}"))
    };
    let key = match settings.column.as_str() {
        "" => 0,
        column => place(column)?,
    };
    let taken: Vec<usize> = match settings.fields.as_slice() {
        [] => (0..heading.len()).filter(|place| *place != key).collect(),
        fields => fields
            .iter()
            .map(|field| place(field))
            .collect::<anyhow::Result<_>>()?,
    };
    let mut table = HashMap::new();
    for record in reader.records() {
        let record = record?;
        let column = |place: &usize| {
            let value = record.get(*place).filter(|value| !value.is_empty())?;
            Some((
                format!("{}.{}", settings.name, &heading[*place]),
                value.into(),
            ))
        };
        let row = taken.iter().filter_map(column).collect();
        insert(
            &mut table,
            record.get(key).unwrap_or_default().to_owned(),
            row,
        )?;
    }
    Ok(table)
}

fn json(text: &str, settings: &config::Lookup) -> anyhow::Result<HashMap<String, Row>> {
    let mut table = HashMap::new();
    let row = |members: serde_json::Map<String, Json>, key: &str| -> Row {
        let is_taken = |name: &String| {
            settings.fields.is_empty() && name != key || settings.fields.contains(name)
        };
        let plain = members
            .into_iter()
            .filter(|(name, value)| is_taken(name) && !value.is_object() && !value.is_array());
        plain
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (format!("{}.{name}", settings.name), value))
            .collect()
    };
    match serde_json::from_str(text)? {
        Json::Object(rows) if settings.column.is_empty() => {
            for (key, value) in rows {
                let Json::Object(members) = value else {
                    bail!("{key}: an object of columns is wanted");
                };
                insert(&mut table, key, row(members, ""))?;
            }
        }
        Json::Array(rows) if !settings.column.is_empty() => {
            for (number, value) in rows.into_iter().enumerate() {
                let Json::Object(members) = value else {
                    bail!("row {number}: an object of columns is wanted");
                };
                let key = match members.get(&settings.column) {
                    Some(Json::String(text)) => text.clone(),
                    Some(Json::Null) | None => {
                        bail!("row {number}: there is no column {}", settings.column)
                    }
                    Some(other) => other.to_string(),
                };
                insert(&mut table, key, row(members, &settings.column))?;
            }
        }
        _ => {
            bail!("an object of rows by key is wanted, or an array of rows and the setting column")
        }
    }
    Ok(table)
}

fn insert(table: &mut HashMap<String, Row>, key: String, row: Row) -> anyhow::Result<()> {
    ensure!(table.len() < MAX_ROWS, "more than {MAX_ROWS} rows");
    table.insert(key, row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{read, repair, write};

    fn looked_up(file: &str, content: &str, settings: config::Lookup) -> (Outcome, Json) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, content).unwrap();
        let lookup = Lookup::open(&config::Lookup {
            file: path,
            ..settings
        })
        .unwrap();
        let raw = r#"{"event_type":"view","site":"shop","props":{"sku":7}}"#;
        let mut document = read::document(raw.as_bytes()).unwrap();
        repair::repair(&mut document);
        let outcome = lookup.apply(&mut document);
        let written: Json = serde_json::from_slice(&write::json(&document)).unwrap();
        (outcome, written["props"].clone())
    }

    fn products(key: &str, column: &str, fields: &[&str]) -> config::Lookup {
        config::Lookup {
            name: "product".into(),
            file: "".into(),
            key: key.into(),
            column: column.into(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        }
    }

    #[test]
    fn csv_completes_events() {
        let content = "sku,name,price\n7,\"Shoe, red\",9.5\n8,Hat,\n";
        let found = looked_up("p.csv", content, products("props.sku", "", &[]));
        let expected = json!({"sku": 7, "product.name": "Shoe, red", "product.price": "9.5"});
        assert_eq!(found, (Outcome::Hit, expected));
        let found = looked_up("p.csv", content, products("sku", "name", &[]));
        assert_eq!(found.0, Outcome::Miss);
        let found = looked_up("p.csv", content, products("props.other", "", &[]));
        assert_eq!(found.0, Outcome::None);
    }

    #[test]
    fn json_completes_events_in_both_forms() {
        let content = r#"{"shop":{"team":"web","size":3,"deep":{}}}"#;
        let found = looked_up("s.json", content, products("site", "", &[]));
        let expected = json!({"sku": 7, "product.team": "web", "product.size": 3});
        assert_eq!(found, (Outcome::Hit, expected));
        let content = r#"[{"sku":7,"name":"Shoe","size":42}]"#;
        let found = looked_up("s.json", content, products("sku", "sku", &["name"]));
        assert_eq!(found.1, json!({"sku": 7, "product.name": "Shoe"}));
    }

    #[test]
    fn what_cannot_be_read_names_setting_file_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        std::fs::write(&path, "sku,name\n1,a\n").unwrap();
        let settings = config::Lookup {
            file: path,
            ..products("site", "", &["colour"])
        };
        let error = format!("{:#}", Lookup::open(&settings).unwrap_err());
        for part in ["[enricher.lookup.product]", "p.csv", "no column colour"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
