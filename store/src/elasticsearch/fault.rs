//! Failures of a request as a whole, in words that name the setting to change.

use std::{error::Error, io, time::Duration};

use serde_json::Value;

use super::nodes::Answer;
use crate::StoreError;

/// Longest part of an engine's explanation that is passed on, in characters.
const MAX_REASON_CHARS: usize = 300;

/// What a request without an answer means.
pub(super) fn transport_fault(
    node: &str,
    error: &::elasticsearch::Error,
    timeout: Duration,
) -> StoreError {
    if error.is_timeout() {
        return StoreError::Unavailable(format!("{node} did not answer within {timeout:?}"));
    }
    let mut refused = false;
    let mut text = String::new();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        refused |= error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        text = error.to_string();
        cause = error.source();
    }
    // The TLS library is behind two others, so that its errors are known by their words alone.
    if let Some((_, why)) = text.split_once("invalid peer certificate: ") {
        return StoreError::Configuration(format!(
            "the certificate of {node} is not trusted ({why}): [elasticsearch] ca_file must name the authority that signed it"
        ));
    }
    if text.contains("InvalidContentType") {
        return StoreError::Configuration(format!("{node} does not speak TLS: write http://"));
    }
    if refused {
        return StoreError::Unavailable(format!("nothing listens at {node}"));
    }
    if node.starts_with("http://") && text.contains("connection closed before message completed") {
        return StoreError::Unavailable(format!(
            "{node} closed the connection without an answer; if it speaks TLS, write https://"
        ));
    }
    StoreError::Unavailable(format!("{node}: {}", shortened(&text)))
}

/// What an answer other than success means; `subject` says what was asked for.
pub(super) fn answer_fault(answer: &Answer, subject: &str) -> StoreError {
    let Answer { node, status, .. } = answer;
    let reason = reason(answer);
    match status {
        401 => StoreError::Configuration(format!(
            "{node} refuses the credentials (401): check [elasticsearch] username, password, api_key"
        )),
        403 => StoreError::Configuration(format!(
            "{node} forbids {subject} (403): {reason}; check the rights behind [elasticsearch] username, password, api_key"
        )),
        413 => StoreError::TooLarge,
        408 | 429 | 500.. => {
            StoreError::Unavailable(format!("{node} answered {status} to {subject}: {reason}"))
        }
        _ => StoreError::Configuration(format!("{node} refuses {subject} ({status}): {reason}")),
    }
}

/// The engine's explanation, or the start of whatever a proxy said.
pub(super) fn reason(answer: &Answer) -> String {
    let body: Value = answer.json().unwrap_or_default();
    let explained = ["/error/root_cause/0/reason", "/error/reason", "/error"]
        .iter()
        .find_map(|path| body.pointer(path)?.as_str());
    match explained {
        Some(reason) => shortened(reason),
        None => shortened(&String::from_utf8_lossy(&answer.body)),
    }
}

/// One line of bounded length.
pub(super) fn shortened(text: &str) -> String {
    let line = text.trim().chars().take(MAX_REASON_CHARS);
    line.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
