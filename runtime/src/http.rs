//! An HTTP/1 accept loop with deadlines and caps, serving an axum router or what stands before one.
//!
//! `axum::serve` has no deadline for headers, and a builder that also speaks HTTP/2 waits for ever
//! for a silent client to say which it speaks. This loop speaks HTTP/1 only: a client that sends
//! nothing or half a header, idles between requests, or does not read its answers is closed at a
//! deadline (`deadlines`). The plainest requests are answered without hyper (`plain`). TLS is spoken
//! where there is a certificate (`tls`); HTTP/2 is the business of a proxy, which may say whom it
//! connects for (`proxy`).

mod deadlines;
mod fields;
mod plain;
mod proxy;
mod reply;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, StatusCode};
pub use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::Shutdown;
use deadlines::Timed;
pub use fields::{Field, Fields, fields, text};
pub use plain::{Body as PlainBody, Head, Held};
pub use reply::{Reply, ReplyField};
pub use tls::Certificate;

/// How long a connection is kept for one more request once shutdown starts. That one is answered, and
/// told that it was the last: who is just writing it cannot know.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// The caps and deadlines of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; above it, new ones wait in the kernel's queue.
    pub max_connections: usize,
    /// From the first byte of a request to the end of its header, and from the start of a connection
    /// to the end of the first.
    pub header_timeout: Duration,
    /// How long a connection is kept for its next request.
    pub idle_timeout: Duration,
    /// How long a client may take to read an answer.
    pub write_timeout: Duration,
    /// Request line and header fields together; above it the answer is 431.
    pub max_header_bytes: usize,
    /// Request target; above it the answer is 414.
    pub max_uri_bytes: usize,
    /// How long open requests may take once shutdown starts.
    pub drain: Duration,
    /// Peers that begin each connection with a header of the PROXY protocol, and are closed without.
    pub proxies: Arc<[IpNet]>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Leaves room below the usual limit of open files on servers, 65,536.
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            // As long as proxies keep theirs by default: one that writes into a connection which is
            // just being closed must answer its client with an error.
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_header_bytes: 32 * 1024,
            // Longer than any browser sends by itself; a pixel's query fits.
            max_uri_bytes: 16 * 1024,
            drain: Duration::from_secs(20),
            proxies: Arc::default(),
        }
    }
}

/// What answers requests.
pub trait Answer: Send + Sync + 'static {
    /// The answer to `request`, which came from `peer`.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// What takes plain requests, POSTs to one path, past hyper. Others of that path come to [`Answer`].
pub trait Posts: Send + Sync + 'static {
    /// A request that was taken, and needs no more what it was read from.
    type Taken: Send;

    /// The path.
    fn path(&self) -> &str;

    /// Takes a request, which came from `peer`.
    fn take<S: AsyncRead + Unpin + Send>(
        &self,
        head: Head<'_>,
        body: &mut PlainBody<'_, S>,
        peer: SocketAddr,
    ) -> impl Future<Output = Self::Taken> + Send;

    /// The answer to it.
    fn reply(&self, taken: &mut Self::Taken) -> impl Future<Output = Reply> + Send;
}

/// Handlers find the peer's address in the extension [`ConnectInfo<SocketAddr>`].
impl Answer for Router {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        match self.clone().oneshot(request).await {
            Ok(response) => response,
            Err(infallible) => match infallible {},
        }
    }
}

/// Serves until shutdown starts, then closes the listener, finishes the requests in flight and those
/// that kept connections bring within half a second, and returns once they are answered or
/// [`Limits::drain`] is over.
pub async fn serve(
    listener: TcpListener,
    answers: impl Answer,
    limits: Limits,
    shutdown: Shutdown,
) {
    let posts = None::<plain::Nobody>;
    serve_with(listener, None, answers, posts, limits, shutdown).await;
}

/// Serves as [`serve`] does, over TLS where there is a certificate, and plain requests apart.
pub async fn serve_with(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    answers: impl Answer,
    posts: Option<impl Posts>,
    limits: Limits,
    shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let serving = Arc::new(Serving {
        certificate,
        answers,
        posts,
        limits: Arc::new(limits),
        shutdown,
    });
    loop {
        let permit = permits
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.shutdown.started() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: let connections end before the next try.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small: Nagle's delay would only add latency.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let serving = serving.clone();
        match serving.certificate.is_none() && serving.limits.proxies.is_empty() {
            true => connections.spawn(serving.connection(stream, peer, Some(permit))),
            false => connections.spawn(serving.wrapped(stream, peer, permit)),
        };
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(serving.limits.drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "requests were cut at the end of the grace"
        );
    }
}

/// What the connections of a listener share.
///
/// Each has a task, which is small: between a request and its answer the others' pass through the
/// processor's caches, and each line of it that is touched again costs a wait for memory. So what most
/// connections do without is boxed, and what they have lies once, captured by a block rather than moved
/// from the parameters of an async function.
struct Serving<A, P> {
    certificate: Option<Arc<Certificate>>,
    answers: A,
    posts: Option<P>,
    limits: Arc<Limits>,
    shutdown: Shutdown,
}

impl<A: Answer, P: Posts> Serving<A, P> {
    /// Serves a connection that starts with a header of the PROXY protocol, or is encrypted, or both.
    async fn wrapped(
        self: Arc<Self>,
        mut stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let patience = self.limits.header_timeout;
        let named = proxy::client(&mut stream, peer, &self.limits.proxies, patience);
        let Ok(peer) = named.await else {
            return;
        };
        let Some(certificate) = &self.certificate else {
            return self.connection(stream, peer, Some(permit)).await;
        };
        // A failure here is the client's, as in `by_hyper`.
        let handshake = certificate.acceptor().accept(stream);
        if let Ok(Ok(stream)) = tokio::time::timeout(patience, handshake).await {
            self.connection(stream, peer, Some(permit)).await;
        }
    }

    fn connection<S>(
        self: Arc<Self>,
        stream: S,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = ()> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = Timed::new(stream, self.limits.clone());
        async move {
            if let Some(posts) = &self.posts {
                let unread = plain::connection(&mut stream, peer, posts, &self).await;
                let Some(unread) = unread else { return };
                stream.unread(unread);
            }
            Box::pin(by_hyper(stream, peer, &self)).await;
            drop(permit);
        }
    }
}

async fn by_hyper<P>(
    mut stream: Timed<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    peer: SocketAddr,
    serving: &Serving<impl Answer, P>,
) {
    let (limits, shutdown) = (&serving.limits, &serving.shutdown);
    let steps = stream.steps();
    let service = service_fn(async |request| {
        steps.step();
        let mut response = match refusal(&request, limits) {
            Some((status, code)) => problem(status, code),
            None => serving.answers.answer(request, peer).await,
        };
        if shutdown.has_started() {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        steps.step();
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        // A head of up to twice the cap is read whole, for a close with unread bytes would take the
        // answer with it.
        .max_buf_size(2 * limits.max_header_bytes)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // An error here is the client's: it closed, timed out or spoke no HTTP. Nobody acts on it.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.watch() => {
            let last = tokio::time::timeout(LAST_REQUEST, connection.as_mut());
            if last.await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// What hyper lets pass: no Host or two, which RFC 9112 refuses, and a head above our caps.
fn refusal(request: &Request<Incoming>, limits: &Limits) -> Option<(StatusCode, &'static str)> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits.max_uri_bytes {
        return Some((StatusCode::URI_TOO_LONG, "uri_too_long"));
    }
    let headers = request.headers();
    let fields: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if target + fields > limits.max_header_bytes {
        return Some((
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
        ));
    }
    let hosts = headers.get_all(HOST).iter().count();
    (hosts != 1).then_some((StatusCode::BAD_REQUEST, "bad_request"))
}

fn problem(status: StatusCode, code: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "code": code });
    (
        status,
        // Who speaks like this may mean another end of the request than we do.
        [
            (CONTENT_TYPE, "application/problem+json"),
            (CONNECTION, "close"),
        ],
        body.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests;
