//! The closed table of refusals, each answered as `application/problem+json` with a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use event::Code;
use runtime::http::Reply;
use serde_json::json;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The body is not JSON.
    BadJson,
    /// The body is not UTF-8, or cannot be inflated.
    BadEncoding,
    /// The request makes no sense.
    BadRequest,
    /// The request carries no write key, or none that is known.
    UnknownKey,
    /// The page's origin may not send events.
    OriginRefused,
    /// Nothing is served here.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body took too long.
    TooSlow,
    /// The body as sent is larger than the limit.
    BodyTooLarge,
    /// The inflated body is larger than the limit.
    InflatedTooLarge,
    /// The body holds more events than the limit.
    TooManyEvents,
    /// The content type is not one that is read.
    UnsupportedMediaType,
    /// The content encoding is not one that is read.
    UnsupportedEncoding,
    /// Every event is unfit: index and code of each.
    Unfit(Vec<(usize, Code)>),
    /// The client, or all clients of its source, sent too much; for so many seconds.
    RateLimited(u64),
    /// The events could not be made durable.
    NotDurable,
    /// The stream has no room.
    SpoolFull,
    /// Too much is under way.
    Overloaded,
    /// The process is stopping.
    ShuttingDown,
}

impl Problem {
    /// Status, stable code, and a sentence for people.
    fn row(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadJson => (400, "bad_json", "The body is not valid JSON."),
            Self::BadEncoding => (400, "bad_encoding", "The body cannot be decoded."),
            Self::BadRequest => (400, "bad_request", "The request makes no sense."),
            Self::UnknownKey => (401, "unknown_key", "A write key that is known is needed."),
            Self::OriginRefused => (403, "origin_refused", "This origin may not send events."),
            Self::NotFound => (404, "not_found", "Nothing is served here."),
            Self::MethodNotAllowed => (405, "method_not_allowed", "Send events by POST."),
            Self::TooSlow => (408, "too_slow", "The body took too long."),
            Self::BodyTooLarge => (413, "body_too_large", "The body is larger than the limit."),
            Self::InflatedTooLarge => (
                413,
                "inflated_too_large",
                "The inflated body is larger than the limit.",
            ),
            Self::TooManyEvents => (413, "too_many_events", "The body holds too many events."),
            Self::UnsupportedMediaType => (
                415,
                "unsupported_media_type",
                "Send JSON, NDJSON or JSON as text/plain.",
            ),
            Self::UnsupportedEncoding => (
                415,
                "unsupported_encoding",
                "Send gzip, deflate, br, zstd or none.",
            ),
            Self::Unfit(_) => (
                422,
                "unfit",
                "No event of the request is fit; none was kept.",
            ),
            Self::RateLimited(_) => (429, "rate_limited", "Too many events were sent."),
            Self::NotDurable => (503, "not_durable", "The events could not be made durable."),
            Self::SpoolFull => (503, "spool_full", "There is no room for events."),
            Self::Overloaded => (503, "overloaded", "Too many events are under way."),
            Self::ShuttingDown => (503, "shutting_down", "This server is stopping."),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().1
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// Seconds after which the client may try again, where that can help.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited(seconds) => Some(*seconds),
            // A disk or a broker in trouble takes seconds to come back.
            Self::NotDurable | Self::SpoolFull => Some(5),
            Self::Overloaded | Self::ShuttingDown => Some(1),
            _ => None,
        }
    }

    /// The answer that tells it.
    pub(crate) fn reply(&self) -> Reply {
        let (status, code, detail) = self.row();
        let status = StatusCode::from_u16(status).expect("the table holds valid statuses");
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        if let Self::Unfit(events) = &self {
            body["events"] = events
                .iter()
                .map(|(index, code)| json!({ "index": index, "code": code.name() }))
                .collect();
        }
        let fixed = HeaderValue::from_static;
        let mut reply = Reply::new(status)
            .with_body("application/problem+json", body.to_string())
            .with(header::CACHE_CONTROL, fixed("no-store"))
            .with(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        if *self == Self::UnknownKey {
            let challenge = fixed("Bearer realm=\"weir\"");
            reply = reply.with(header::WWW_AUTHENTICATE, challenge);
        }
        match self.retry_after() {
            Some(seconds) => reply.with(header::RETRY_AFTER, HeaderValue::from(seconds)),
            None => reply,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.reply().into_response()
    }
}
