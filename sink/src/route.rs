//! A record's document id and index.
//!
//! The enricher writes both beside the record, so that the sink need not read the document. A
//! record of another producer has neither: then the document is read.

use std::time::Duration;

use bytes::Bytes;
use event::header::{self, Format};
use event::{Code, index, time};
use jiff::Timestamp;
use serde_json::Value;
use store::Document;
use stream::{Delivered, Record};

/// Makes the document of a record.
///
/// # Errors
/// The code of the dead letter, for a record that is no document.
pub(crate) fn document(
    delivered: &Delivered,
    index_prefix: &str,
    max_event_age: Duration,
) -> Result<Document, Code> {
    let record = &delivered.record;
    let format = record.header(header::FORMAT_NAME);
    if Format::of(format.map(AsRef::as_ref)) != Format::Known {
        return Err(Code::UnsupportedFormat);
    }
    let id = text(record, header::ID).filter(|id| index::is_fit_id(id));
    let day = text(record, header::DAY).and_then(index::parse_day);
    match (id, day) {
        (Some(id), Some(day)) => Ok(Document {
            id: id.to_owned(),
            index: index::name(index_prefix, day),
            source: record.value.clone(),
        }),
        _ => read(delivered, index_prefix, max_event_age),
    }
}

fn text<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record
        .header(name)
        .and_then(|value| std::str::from_utf8(value).ok())
}

fn read(delivered: &Delivered, prefix: &str, max_age: Duration) -> Result<Document, Code> {
    let record = &delivered.record;
    let value: Value = serde_json::from_slice(&record.value).map_err(|_| Code::BadJson)?;
    let object = value.as_object().ok_or(Code::NotAnObject)?;
    let sent_id = object.get("event_id").and_then(Value::as_str);
    let id = match sent_id.filter(|id| index::is_fit_id(id)) {
        Some(id) => id.to_owned(),
        None => index::derived_id(delivered.position.to_string().as_bytes()).to_string(),
    };
    let received = object
        .get("received_at")
        .and_then(time::parse)
        .or_else(|| Timestamp::from_millisecond(record.timestamp_ms).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let client_time = object.get("event_timestamp").and_then(time::parse);
    let day = index::day(client_time, sent_id, received, max_age);
    // Written anew, for a bulk body has no room for line breaks inside a document.
    let source = Bytes::from(value.to_string());
    Ok(Document {
        id,
        index: index::name(prefix, day),
        source,
    })
}

#[cfg(test)]
mod tests {
    use stream::{Header, Position, TopicPartition};

    use super::*;

    fn delivered(value: &'static str, headers: &[(&'static str, &'static str)]) -> Delivered {
        let header = |(name, value): &(&'static str, &'static str)| Header {
            name: (*name).into(),
            value: Bytes::from_static(value.as_bytes()),
        };
        Delivered {
            position: Position {
                source: TopicPartition {
                    topic: "enriched".into(),
                    partition: 2,
                },
                offset: 7,
            },
            record: Record {
                value: Bytes::from_static(value.as_bytes()),
                headers: headers.iter().map(header).collect(),
                timestamp_ms: 1_767_323_045_000,
                ..Record::default()
            },
        }
    }

    fn route(delivered: &Delivered) -> Result<(String, String), Code> {
        document(delivered, "web-events", Duration::from_secs(86_400)).map(|d| (d.id, d.index))
    }

    #[test]
    fn headers_decide_without_reading_the_document() {
        let record = delivered("{}", &[("weir-id", "a"), ("weir-day", "2026.01.02")]);
        assert_eq!(
            route(&record),
            Ok(("a".into(), "web-events-2026.01.02".into()))
        );
    }

    #[test]
    fn record_without_headers_is_read() {
        let record = delivered(
            "{\"event_id\":\"b\",\n\"event_timestamp\":\"2026-01-01 12:00:00\"}",
            &[("weir-day", "../../etc")],
        );
        assert_eq!(
            route(&record),
            Ok(("b".into(), "web-events-2026.01.01".into()))
        );
        let document = document(&record, "web-events", Duration::from_secs(86_400)).unwrap();
        assert!(!document.source.contains(&b'\n'));
    }

    #[test]
    fn record_without_id_gets_one_from_its_place() {
        let (id, _) = route(&delivered("{}", &[])).unwrap();
        assert_eq!(Ok(id), route(&delivered("{}", &[])).map(|(id, _)| id));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        assert_eq!(route(&delivered("{", &[])), Err(Code::BadJson));
        assert_eq!(route(&delivered("[1]", &[])), Err(Code::NotAnObject));
        let strange = delivered("{}", &[("weir-format", "x")]);
        assert_eq!(route(&strange), Err(Code::UnsupportedFormat));
    }
}
