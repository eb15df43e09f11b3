//! Tells browsers which pages may read the answer.
//!
//! With `*` any page may, without credentials. With a list, the page's origin is echoed when it is
//! on it, and only then are credentials allowed.

use axum::http::{HeaderName, HeaderValue, header};
use runtime::http::Fields;

/// Whether a page of the request's origin may send events; a request without origin may.
pub(crate) fn is_allowed(allowed: &[String], request: Fields<'_>) -> bool {
    let Some(origin) = request.get("origin") else {
        return true;
    };
    allowed
        .iter()
        .any(|one| one == "*" || one.as_bytes() == origin)
}

/// The fields that let the page read the answer.
pub(crate) fn allow(allowed: &[String], request: Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let fixed = HeaderValue::from_static;
    let mut fields = Vec::with_capacity(4);
    // The answer differs by origin even where no origin was sent: a cache must know.
    fields.push((header::VARY, fixed("Origin")));
    let exposed = (header::ACCESS_CONTROL_EXPOSE_HEADERS, fixed("Retry-After"));
    if allowed.iter().any(|one| one == "*") {
        fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*")));
        fields.push(exposed);
    } else if let Some(origin) = request.get("origin")
        && is_allowed(allowed, request)
        && let Ok(origin) = HeaderValue::from_bytes(origin)
    {
        fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        fields.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true")));
        fields.push(exposed);
    }
    fields
}

/// What a preflight asks for: the method, the headers, and for how long to remember it.
pub(crate) fn allow_preflight() -> [(HeaderName, HeaderValue); 3] {
    let headers = "content-type, content-encoding, authorization, x-weir-key";
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, headers),
        // Two hours, the most that Chromium takes.
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    fields.map(|(name, value)| (name, HeaderValue::from_static(value)))
}
