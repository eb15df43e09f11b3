//! Which node gets the next request.
//!
//! Requests go round. A node that cannot be reached is set aside for a while that doubles with each
//! failure, and the request goes to the next one at once: every request made here may be repeated,
//! for documents are created by id. A time-out is not repeated elsewhere, so that a call is bounded.

use std::{
    cmp::Reverse,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ::elasticsearch::{
    auth::Credentials,
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Options, fault::transport_fault};
use crate::StoreError;

/// First time for which a failed node is set aside.
const ASIDE_MIN: Duration = Duration::from_secs(1);

/// Longest such time: a node that comes back is used within a minute.
const ASIDE_MAX: Duration = Duration::from_secs(60);

/// Largest answer that is read, where the server announces its length. The engines bound searches
/// themselves (10,000 hits, 65,536 buckets); bulk answers are a few bytes a document.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// A request to whichever node is next.
pub(super) struct Request<'a> {
    method: Method,
    path: &'a str,
    parameters: &'a [(&'a str, &'a str)],
    body: Option<Bytes>,
    content_type: &'static str,
    is_gzip: bool,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self {
            method: Method::Get,
            path,
            parameters: &[],
            body: None,
            content_type: "application/json",
            is_gzip: false,
        }
    }

    pub(super) fn put(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::Put,
            body: Some(body.into()),
            ..Self::get(path)
        }
    }

    pub(super) fn post(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::Post,
            body: Some(body.into()),
            ..Self::get(path)
        }
    }

    pub(super) fn delete(path: &'a str) -> Self {
        Self {
            method: Method::Delete,
            ..Self::get(path)
        }
    }

    pub(super) fn parameters(self, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self { parameters, ..self }
    }

    /// Says that the body is in gzip form.
    pub(super) fn gzip(self) -> Self {
        Self {
            is_gzip: true,
            ..self
        }
    }

    pub(super) fn content_type(self, content_type: &'static str) -> Self {
        Self {
            content_type,
            ..self
        }
    }
}

/// A whole answer.
pub(super) struct Answer {
    /// The address of the node, for messages.
    pub(super) node: String,
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body read as JSON of this shape.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

pub(super) struct Nodes {
    nodes: Vec<Node>,
    next: AtomicUsize,
    timeout: Duration,
}

struct Node {
    /// The address without credentials and without a slash at its end.
    address: String,
    url: Url,
    transport: Transport,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    aside_until: Option<Instant>,
}

impl Nodes {
    /// Reads the certificate file; makes no connection.
    pub(super) fn new(options: &Options) -> Result<Self, StoreError> {
        let nodes: Result<Vec<Node>, StoreError> = options
            .nodes
            .iter()
            .map(|url| Node::new(url, options))
            .collect();
        Ok(Self {
            nodes: nodes?,
            next: AtomicUsize::new(0),
            timeout: options.request_timeout,
        })
    }

    /// Sends to the next healthy node, or to one that was set aside if there is no other.
    ///
    /// # Errors
    /// Only where no node answered; an answer of any status is a success here.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Answer, StoreError> {
        let mut fault = StoreError::Unavailable("no node".into());
        for node in self.in_turn() {
            match node.send(request, self.timeout).await {
                Ok(answer) => {
                    node.record(!matches!(answer.status, 502..=504));
                    return Ok(answer);
                }
                Err(Failure { error, is_final }) => {
                    node.record(false);
                    fault = error;
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(fault)
    }

    /// Healthy nodes from the next in turn, then the others, the longest failed last.
    fn in_turn(&self) -> Vec<&Node> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len();
        let (before, from) = self.nodes.split_at(first);
        let mut nodes: Vec<&Node> = from.iter().chain(before).collect();
        let now = Instant::now();
        nodes.sort_by_key(|node| Reverse(node.aside_until(now).is_none()));
        let aside = nodes.partition_point(|node| node.aside_until(now).is_none());
        nodes[aside..].sort_by_key(|node| node.aside_until(now));
        nodes
    }
}

/// A request that no answer came to.
struct Failure {
    error: StoreError,
    /// Whether another node is not tried.
    is_final: bool,
}

impl Node {
    fn new(url: &Url, options: &Options) -> Result<Self, StoreError> {
        let wrong = |text: String| StoreError::Configuration(text);
        let mut plain = url.clone();
        // Both fail only for addresses that cannot have a host, which the options refuse.
        let _ = plain.set_username("");
        let _ = plain.set_password(None);
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(plain.clone()))
            .disable_proxy()
            .timeout(options.request_timeout);
        if let Some(credentials) = credentials(url, options) {
            builder = builder.auth(credentials);
        }
        if let Some(file) = &options.ca_file {
            let refused =
                |why: String| wrong(format!("[elasticsearch] ca_file {}: {why}", file.display()));
            let pem = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
            let authorities = Certificate::from_pem(&pem)
                .map_err(|_| refused("holds no certificate in PEM form".into()))?;
            builder = builder.cert_validation(CertificateValidation::Full(authorities));
        }
        let transport = builder
            .build()
            .map_err(|error| wrong(format!("[elasticsearch]: {error}")))?;
        Ok(Self {
            address: plain.as_str().trim_end_matches('/').to_owned(),
            url: plain,
            transport,
            health: Mutex::default(),
        })
    }

    async fn send(&self, request: &Request<'_>, timeout: Duration) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        if request.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let sent = self.transport.send(
            request.method,
            request.path,
            headers,
            Some(request.parameters),
            request.body.clone(),
            Some(timeout),
        );
        let failed = |error: ::elasticsearch::Error| Failure {
            is_final: error.is_timeout(),
            error: transport_fault(&self.address, &error, timeout),
        };
        let refused = |error: StoreError| Failure {
            error,
            is_final: false,
        };
        let response = sent.await.map_err(failed)?;
        if response.url().origin() != self.url.origin() {
            let text = format!(
                "{} redirects to {}: name that address",
                self.address,
                response.url().origin().ascii_serialization()
            );
            return Err(refused(StoreError::Configuration(text)));
        }
        if response.content_length() > Some(MAX_ANSWER_BYTES) {
            let text = format!("{}: the answer is too large", self.address);
            return Err(refused(StoreError::Unavailable(text)));
        }
        let status = response.status_code().as_u16();
        let body = response.bytes().await.map_err(failed)?;
        Ok(Answer {
            node: self.address.clone(),
            status,
            body,
        })
    }

    fn aside_until(&self, now: Instant) -> Option<Instant> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.aside_until.filter(|until| *until > now)
    }

    fn record(&self, healthy: bool) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if healthy {
            *health = Health::default();
            return;
        }
        let aside = ASIDE_MIN.saturating_mul(1 << health.failures.min(6));
        health.failures = health.failures.saturating_add(1);
        health.aside_until = Some(Instant::now() + aside.min(ASIDE_MAX));
    }
}

/// The API key, else the user of the options, else the user of the address.
fn credentials(url: &Url, options: &Options) -> Option<Credentials> {
    if let Some(key) = &options.api_key {
        return Some(match key.split_once(':') {
            Some((id, key)) => Credentials::ApiKey(id.to_owned(), key.to_owned()),
            None => Credentials::EncodedApiKey(key.clone()),
        });
    }
    if let (Some(username), Some(password)) = (&options.username, &options.password) {
        return Some(Credentials::Basic(username.clone(), password.clone()));
    }
    let decoded = |text: &str| {
        let pair = format!("v={}", text.replace('+', "%2B"));
        let value = url::form_urlencoded::parse(pair.as_bytes()).next();
        value
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    match url.username() {
        "" => None,
        name => {
            let password = url.password().unwrap_or_default();
            Some(Credentials::Basic(decoded(name), decoded(password)))
        }
    }
}
