//! Tells browsers which pages may read the answer.
//!
//! With `*` any page may, without credentials. With a list, the page's origin is echoed when it is
//! on it, and only then are credentials allowed.

use std::borrow::Cow;

use axum::http::{HeaderValue, header};
use runtime::http::{Fields, ReplyField};

/// Whether a page of the request's origin may send events; a request without origin may.
pub(crate) fn is_allowed(allowed: &[String], request: Fields<'_>) -> bool {
    let Some(origin) = request.get("origin") else {
        return true;
    };
    allowed
        .iter()
        .any(|one| one == "*" || one.as_bytes() == origin)
}

/// The answer differs by origin even where no origin was sent: a cache must know.
const VARY: ReplyField = (header::VARY, HeaderValue::from_static("Origin"));

const EXPOSED: ReplyField = (
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderValue::from_static("Retry-After"),
);

static FOR_ANY: [ReplyField; 3] = [
    VARY,
    (
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    ),
    EXPOSED,
];

static FOR_NONE: [ReplyField; 1] = [VARY];

/// The fields that let the page read the answer.
pub(crate) fn allow(allowed: &[String], request: Fields<'_>) -> Cow<'static, [ReplyField]> {
    if allowed.iter().any(|one| one == "*") {
        return Cow::Borrowed(&FOR_ANY);
    }
    let origin = request.get("origin").map(HeaderValue::from_bytes);
    match origin {
        Some(Ok(origin)) if is_allowed(allowed, request) => {
            let yes = HeaderValue::from_static("true");
            Cow::Owned(vec![
                VARY,
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
                (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes),
                EXPOSED,
            ])
        }
        _ => Cow::Borrowed(&FOR_NONE),
    }
}

/// What a preflight asks for: the method, the headers, and for how long to remember it.
pub(crate) fn allow_preflight() -> Cow<'static, [ReplyField]> {
    let headers = "content-type, content-encoding, authorization, x-weir-key";
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, headers),
        // Two hours, the most that Chromium takes.
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
    fields.to_vec().into()
}
