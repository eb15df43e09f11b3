//! What clients tell of the cluster, and errors sorted for the seam.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::StreamError;

/// The context of clients that have no callbacks: remembers what went wrong last, for librdkafka
/// answers a question with "timed out" and tells the reason apart.
#[derive(Default)]
pub(super) struct Context {
    trouble: Trouble,
}

impl Context {
    /// Sorts an error, explained by the trouble of late.
    pub(super) fn sort(&self, error: &KafkaError) -> StreamError {
        self.trouble.sort(error)
    }

    /// Whether the trouble is known to be one that must be mended by hand.
    pub(super) fn is_explained(&self) -> bool {
        matches!(self.trouble.last(), Some(StreamError::Configuration(_)))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&error, reason);
    }
}

impl ConsumerContext for Context {}

/// The trouble of late with a cluster; errors without news value are left out.
#[derive(Default)]
pub(super) struct Trouble(Mutex<Option<StreamError>>);

impl Trouble {
    pub(super) fn note(&self, error: &KafkaError, reason: &str) {
        let sorted = match error.rdkafka_error_code() {
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
                StreamError::Configuration(format!(
                    "kafka: the cluster refuses the credentials (kafka.username, kafka.password): {reason}"
                ))
            }
            Some(Code::SSL | Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => {
                StreamError::Configuration(format!("kafka: {reason}"))
            }
            // Follows the errors of each broker and names none of them.
            Some(Code::AllBrokersDown) if self.last().is_some() => return,
            _ => StreamError::Unavailable(reason.to_owned()),
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What must be mended by hand explains more than what it leads to.
        let is_explained = matches!(*last, Some(StreamError::Configuration(_)))
            && matches!(sorted, StreamError::Unavailable(_));
        if !is_explained {
            if *last != Some(sorted.clone()) {
                tracing::warn!(reason, "trouble with kafka");
            }
            *last = Some(sorted);
        }
    }

    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn last(&self) -> Option<StreamError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The trouble of late where there is any, else the error itself.
    pub(super) fn sort(&self, error: &KafkaError) -> StreamError {
        self.last()
            .unwrap_or_else(|| StreamError::Unavailable(error.to_string()))
    }
}

/// librdkafka's log lines, at the level at which they help someone who looks for trouble: what
/// matters is told by errors too.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(facility, "librdkafka: {message}");
        }
        _ => tracing::debug!(facility, "librdkafka: {message}"),
    }
}
