//! Writing, and the outcome of each document.
//!
//! A bulk request is two lines a document: the operation `create` with index and id, and the
//! document. The answer has one item a document in the same order, each with an HTTP status. The
//! status decides, for the names of errors differ between engines and versions. Only the refusals
//! that an engine words like a bad document, though the index is at fault, are known by name: they
//! must never become refusals of documents, and they concern the documents of that index alone.
//!
//! Where a request fails, the call fails: what was written is a duplicate the next time.

use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use serde::Deserialize;

use super::{
    Compression,
    fault::{answer_fault, shortened},
    nodes::{Answer, Nodes, Request},
};
use crate::{Document, Outcome, StoreError};

/// Both engines refuse a whole request over one id that is longer, in bytes.
const MAX_ID_BYTES: usize = 512;

/// Only what decides the outcomes is asked for; items without error are 25 bytes each.
const PARAMETERS: &[(&str, &str)] = &[(
    "filter_path",
    "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason",
)];

/// Error names under status 400 that blame the index or the cluster, not the document: a closed
/// index, the limit of shards, a template or an alias gone wrong.
const INDEX_FAULTS: &[&str] = &[
    "alias_not_found_exception",
    "cluster_block_exception",
    "index_closed_exception",
    "index_create_block_exception",
    "index_not_found_exception",
    "invalid_alias_name_exception",
    "invalid_index_name_exception",
    "invalid_index_template_exception",
    "settings_exception",
    "validation_exception",
];

/// Starts of explanations of `illegal_argument_exception` that blame the index.
const INDEX_FAULT_REASONS: &[&str] = &[
    "pipeline with id [",
    "no write index is defined",
    "unknown setting [",
];

/// How bulk requests are made.
pub(super) struct Bulk {
    compression: Compression,
    /// Most bytes of a request; falls when the server says that a request is too large.
    limit: AtomicUsize,
}

impl Bulk {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            limit: AtomicUsize::new(usize::MAX),
        }
    }
}

/// Writes documents in as many requests as the server's limit of a request's size makes necessary.
pub(super) async fn write(
    nodes: &Nodes,
    bulk: &Bulk,
    documents: &[Document],
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(documents.len());
    let mut sendable = Vec::with_capacity(documents.len());
    for document in documents {
        let refused = unfit(document)?;
        if refused.is_none() {
            sendable.push(document);
        }
        outcomes.push(refused);
    }
    let mut sent = send(nodes, bulk, &sendable).await?.into_iter();
    let filled = outcomes
        .into_iter()
        .map(|known| known.or_else(|| sent.next()));
    // `send` answers for each document it was given.
    filled
        .collect::<Option<Vec<Outcome>>>()
        .ok_or_else(|| StoreError::Unavailable("an outcome is missing".into()))
}

/// Sends parts in order, halving those that are too large.
async fn send(
    nodes: &Nodes,
    bulk: &Bulk,
    documents: &[&Document],
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(documents.len());
    while outcomes.len() < documents.len() {
        let rest = &documents[outcomes.len()..];
        let mut part = &rest[..fitting(rest, bulk.limit.load(Ordering::Relaxed))];
        loop {
            let body = encode(part);
            let bytes = body.len();
            let request = match bulk.compression {
                Compression::None => Request::post("/_bulk", body),
                Compression::Gzip => Request::post("/_bulk", zipped(body).await?).gzip(),
            };
            let request = request
                .parameters(PARAMETERS)
                .content_type("application/x-ndjson");
            let answer = nodes.send(&request).await?;
            match answer.status {
                200 => {
                    outcomes.extend(read(&answer, part.len())?);
                    break;
                }
                413 if part.len() > 1 => {
                    bulk.limit.fetch_min(bytes / 2, Ordering::Relaxed);
                    part = &part[..part.len() / 2];
                }
                413 => {
                    outcomes.push(Outcome::Refused {
                        kind: "request_too_large".into(),
                        reason: format!("the server takes no request of {bytes} bytes"),
                    });
                    break;
                }
                _ => return Err(answer_fault(&answer, "writing")),
            }
        }
    }
    Ok(outcomes)
}

/// How many of the first documents go into a request of `limit` bytes; at least one.
fn fitting(documents: &[&Document], limit: usize) -> usize {
    let mut bytes = 0;
    let over = documents.iter().position(|document| {
        bytes += encoded_bytes(document);
        bytes > limit
    });
    over.unwrap_or(documents.len()).max(1)
}

/// An upper bound that is exact for ids without escapes.
fn encoded_bytes(document: &Document) -> usize {
    const FRAME: usize = r#"{"create":{"_index":"","_id":""}}"#.len() + 2;
    FRAME + document.index.len() + document.id.len() + document.source.len()
}

/// Why a document cannot be sent, where sending it would make the engine refuse its neighbours.
///
/// # Errors
/// For an index name that no index can have: names are made by the program, not by events.
fn unfit(document: &Document) -> Result<Option<Outcome>, StoreError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let index = document.index.as_bytes();
    if !(1..=255).contains(&index.len())
        || !index.iter().copied().all(plain)
        || b"-_.".contains(&index[0])
    {
        let name = shortened(&document.index);
        return Err(StoreError::Configuration(format!(
            "no index can be named [{name}]"
        )));
    }
    let refused = |kind: &str, reason: &str| {
        Ok(Some(Outcome::Refused {
            kind: kind.into(),
            reason: reason.into(),
        }))
    };
    if !(1..=MAX_ID_BYTES).contains(&document.id.len()) {
        return refused("invalid_id", "an id must have 1 to 512 bytes");
    }
    let first = document.source.iter().find(|b| !b.is_ascii_whitespace());
    if first != Some(&b'{') {
        return refused("not_an_object", "the document is not a JSON object");
    }
    Ok(None)
}

/// The lines of a request. A line break inside a document can only stand between its members, where
/// a blank means the same.
pub(super) fn encode(documents: &[&Document]) -> Bytes {
    let bytes = documents.iter().map(|document| encoded_bytes(document));
    let mut lines = Vec::with_capacity(bytes.sum());
    for document in documents {
        lines.extend_from_slice(br#"{"create":{"_index":""#);
        lines.extend_from_slice(document.index.as_bytes());
        lines.extend_from_slice(br#"","_id":"#);
        quote(&document.id, &mut lines);
        lines.extend_from_slice(b"}}\n");
        let start = lines.len();
        lines.extend_from_slice(&document.source);
        for byte in &mut lines[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
        lines.push(b'\n');
    }
    lines.into()
}

/// The body in gzip form. Level 1: the fastest already saves most of what JSON repeats. On a thread
/// of its own kind, for 5 MiB take some 30 ms.
async fn zipped(body: Bytes) -> Result<Bytes, StoreError> {
    let zip = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
        encoder.write_all(&body)?;
        encoder.finish()
    };
    let failed = |error: String| StoreError::Unavailable(format!("compressing: {error}"));
    let zipped = tokio::task::spawn_blocking(zip).await;
    let zipped = zipped.map_err(|error| failed(error.to_string()))?;
    zipped
        .map(Bytes::from)
        .map_err(|error| failed(error.to_string()))
}

fn quote(id: &str, out: &mut Vec<u8>) {
    let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if id.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(id.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(id).to_string().as_bytes());
    }
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    #[serde(default)]
    error: Cause,
}

#[derive(Deserialize, Default)]
struct Cause {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Box<Cause>>,
}

/// Reads the answer to a request of `count` documents.
pub(super) fn read(answer: &Answer, count: usize) -> Result<Vec<Outcome>, StoreError> {
    let unclear = |what: String| {
        let text = format!(
            "{}: {what}, so that nothing is known of the documents",
            answer.node
        );
        StoreError::Unavailable(text)
    };
    let reply: Reply = serde_json::from_slice(&answer.body)
        .map_err(|_| unclear("the answer to a bulk request is broken".into()))?;
    if reply.items.len() != count {
        let items = reply.items.len();
        return Err(unclear(format!("{items} answers to {count} documents")));
    }
    let items = reply.items.into_iter();
    items
        .map(|item| outcome(&answer.node, item.create))
        .collect()
}

fn outcome(node: &str, item: Created) -> Result<Outcome, StoreError> {
    let kind = item.error.kind;
    let mut reason = item.error.reason.unwrap_or_default();
    if let Some(cause) = item.error.caused_by.and_then(|cause| cause.reason) {
        reason = format!("{reason}: {cause}");
    }
    let explanation = || format!("{kind}: {}", shortened(&reason));
    match item.status {
        200 | 201 => Ok(Outcome::Created),
        409 => Ok(Outcome::Duplicate),
        500 => Ok(Outcome::Failed(explanation())),
        408 | 429 | 501.. => Ok(Outcome::Retry(explanation())),
        // Two writers of a day's first document made its index at the same time.
        _ if kind == "resource_already_exists_exception" => Ok(Outcome::Retry(explanation())),
        401 => Err(StoreError::Configuration(format!(
            "{node} refuses the credentials (401): check [elasticsearch] username, password, api_key"
        ))),
        403 if kind != "cluster_block_exception" => Ok(Outcome::Held(format!(
            "{node} forbids writing to it (403): {}; check the rights behind [elasticsearch] username, password, api_key",
            explanation()
        ))),
        status if matches!(status, 403 | 404) || blames_index(&kind, &reason) => Ok(Outcome::Held(
            format!("{node} cannot write to it ({status}): {}", explanation()),
        )),
        _ => Ok(Outcome::Refused { kind, reason }),
    }
}

fn blames_index(kind: &str, reason: &str) -> bool {
    let starts = |start: &&str| reason.starts_with(*start);
    INDEX_FAULTS.contains(&kind)
        || (kind == "illegal_argument_exception" && INDEX_FAULT_REASONS.iter().any(starts))
}
