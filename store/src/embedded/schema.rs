//! The schema of a day's index, derived from the field table, and documents in it.

use std::net::IpAddr;

use event::{FIELDS, Kind, limits, time};
use serde_json::Value;
use tantivy::schema::{
    DateOptions, DateTimePrecision, Field, IndexRecordOption, JsonObjectOptions, NumericOptions,
    STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{DateTime, TantivyDocument};

use crate::Document;

/// The document's id.
pub(super) const ID: &str = "_id";
/// The document as it was written.
pub(super) const SOURCE: &str = "_source";

/// Builds the schema. Every known field is indexed and columnar, but for places (kept in the
/// document only) and those the table says are only stored.
pub(super) fn schema() -> Schema {
    let mut builder = Schema::builder();
    builder.add_text_field(ID, STRING | STORED);
    builder.add_text_field(SOURCE, STORED);
    let raw = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let keyword = TextOptions::default()
        .set_indexing_options(raw.clone())
        .set_fast("raw");
    let number = NumericOptions::default().set_indexed().set_fast();
    let date = DateOptions::default()
        .set_indexed()
        .set_fast()
        .set_precision(DateTimePrecision::Milliseconds);
    let flattened = JsonObjectOptions::default()
        .set_indexing_options(raw)
        .set_fast("raw");
    for field in FIELDS {
        match field.kind {
            Kind::Keyword | Kind::Ip => builder.add_text_field(field.name, keyword.clone()),
            Kind::Double => builder.add_f64_field(field.name, number.clone()),
            Kind::Long => builder.add_i64_field(field.name, number.clone()),
            Kind::Boolean => builder.add_bool_field(field.name, number.clone()),
            Kind::Date => builder.add_date_field(field.name, date.clone()),
            Kind::Flattened => builder.add_json_field(field.name, flattened.clone()),
            Kind::GeoPoint | Kind::Stored => continue,
        };
    }
    builder.build()
}

/// Makes the index's form of a document. A value that does not fit its field is not indexed and
/// stays in the document. `Err` holds the reason for which it can never be written.
pub(super) fn document(schema: &Schema, document: &Document) -> Result<TantivyDocument, String> {
    let text = std::str::from_utf8(&document.source).map_err(|_| "not UTF-8".to_owned())?;
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let object = value
        .as_object()
        .ok_or_else(|| "not an object".to_owned())?;
    let mut out = TantivyDocument::default();
    out.add_text(field(schema, ID), &document.id);
    out.add_text(field(schema, SOURCE), text);
    for known in FIELDS {
        let Some(value) = object.get(known.name) else {
            continue;
        };
        let Ok(place) = schema.get_field(known.name) else {
            continue;
        };
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            add(&mut out, place, known.kind, value);
        }
    }
    Ok(out)
}

pub(super) fn field(schema: &Schema, name: &str) -> Field {
    schema
        .get_field(name)
        .expect("the schema has its own fields")
}

fn add(out: &mut TantivyDocument, place: Field, kind: Kind, value: &Value) {
    match kind {
        Kind::Keyword => {
            if let Some(text) = keyword(value) {
                out.add_text(place, text);
            }
        }
        Kind::Ip => {
            let address = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
            if let Some(address) = address {
                out.add_text(place, address.to_string());
            }
        }
        Kind::Double => {
            let number = value
                .as_f64()
                .or_else(|| value.as_str()?.trim().parse().ok());
            if let Some(number) = number.filter(|number| number.is_finite()) {
                out.add_f64(place, number);
            }
        }
        Kind::Long => {
            let number = value
                .as_i64()
                .or_else(|| value.as_str()?.trim().parse().ok());
            if let Some(number) = number {
                out.add_i64(place, number);
            }
        }
        Kind::Boolean => {
            if let Some(truth) = value.as_bool() {
                out.add_bool(place, truth);
            }
        }
        Kind::Date => {
            if let Some(at) = time::parse(value) {
                out.add_date(place, DateTime::from_timestamp_millis(at.as_millisecond()));
            }
        }
        Kind::Flattened => {
            let Some(object) = value.as_object() else {
                return;
            };
            let leaves = object.iter().filter_map(|(name, value)| {
                Some((
                    name.clone(),
                    tantivy::schema::OwnedValue::Str(keyword(value)?),
                ))
            });
            out.add_object(place, leaves.collect());
        }
        Kind::GeoPoint | Kind::Stored => {}
    }
}

/// A scalar as the text that is indexed; `None` for what is no scalar or too long for a term.
fn keyword(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    (text.len() <= limits::MAX_KEYWORD_CHARS).then_some(text)
}
