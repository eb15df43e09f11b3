//! An answer before it is written, by whichever way.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

/// Name and value of a field of an answer.
pub type ReplyField = (HeaderName, HeaderValue);

/// An answer with a short body, or without one.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, but for those that say how long it is and when it was written.
    pub fields: Cow<'static, [ReplyField]>,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// An answer that is a status.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            fields: Cow::Borrowed(&[]),
            body: Bytes::new(),
        }
    }

    /// The same with another field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.to_mut().push((name, value));
        self
    }

    /// The same with these fields too.
    #[must_use]
    pub fn with_all(mut self, fields: Cow<'static, [ReplyField]>) -> Self {
        match self.fields.is_empty() {
            true => self.fields = fields,
            false => self.fields.to_mut().extend_from_slice(&fields),
        }
        self
    }

    /// The same with a body of this media type.
    #[must_use]
    pub fn with_body(mut self, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static(media_type),
        )
    }

    /// As HTTP/1.1 writes it; `is_last` tells the client that the connection ends.
    pub(super) fn written(&self, is_last: bool) -> Vec<u8> {
        // Head and body of most answers: one allocation.
        let mut whole = Vec::with_capacity(512 + self.body.len());
        let out = &mut whole;
        let reason = self.status.canonical_reason().unwrap_or_default();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in self.fields.iter() {
            field(name.as_str(), value.as_bytes(), out);
        }
        if is_last {
            field("connection", b"close", out);
        }
        if self.status != StatusCode::NO_CONTENT {
            field(
                "content-length",
                self.body.len().to_string().as_bytes(),
                out,
            );
        }
        with_date(|date| field("date", date.as_bytes(), out));
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        whole
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(http::header::CONTENT_TYPE);
        for (name, value) in self.fields.into_owned() {
            headers.append(name, value);
        }
        response
    }
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Now in the form of RFC 9110, which each thread writes once a second.
fn with_date(write: impl FnOnce(&str)) {
    thread_local! {
        static WRITTEN: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let second = since.unwrap_or_default().as_secs();
    WRITTEN.with_borrow_mut(|(written, date)| {
        if *written != second || date.is_empty() {
            *written = second;
            *date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        write(date);
    });
}
