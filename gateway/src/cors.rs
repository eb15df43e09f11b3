//! Tells browsers which pages may read the answer.
//!
//! With `*` any page may, without credentials. With a list, the page's origin is echoed when it is
//! on it, and only then are credentials allowed.

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether a page of the request's origin may send events; a request without origin may.
pub(crate) fn is_allowed(allowed: &[String], request: &HeaderMap) -> bool {
    let Some(origin) = request.get(header::ORIGIN) else {
        return true;
    };
    allowed
        .iter()
        .any(|one| one == "*" || one.as_bytes() == origin.as_bytes())
}

/// Adds the headers that let the page read the answer.
pub(crate) fn allow(allowed: &[String], request: &HeaderMap, response: &mut HeaderMap) {
    // The answer differs by origin even where no origin was sent: a cache must know.
    response.insert(header::VARY, HeaderValue::from_static("Origin"));
    let exposed = HeaderValue::from_static("Retry-After");
    if allowed.iter().any(|one| one == "*") {
        let any = HeaderValue::from_static("*");
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    } else if let Some(origin) = request.get(header::ORIGIN)
        && is_allowed(allowed, request)
    {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Adds what a preflight asks for: the method, the headers, and for how long to remember it.
pub(crate) fn allow_preflight(response: &mut HeaderMap) {
    let methods = HeaderValue::from_static("GET, POST");
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let headers =
        HeaderValue::from_static("content-type, content-encoding, authorization, x-weir-key");
    response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
    // Two hours, the most that Chromium takes.
    response.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("7200"),
    );
}
