//! Requests of the plainest kind, which are most of those that bring events: a POST to one path, its
//! head in one piece, its body short and of a length told once. Reading and answering them costs half
//! of what it does by hyper. At the first request that is anything else the connection is hyper's, with
//! what was read of it: whatever needs a judgement (transfer codings, two lengths, folded lines, other
//! versions) is judged in one place. The tests give the same bytes to both and compare the answers.

mod input;

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use httparse::{Request, Status};
use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::deadlines::Timed;
use super::fields::{Field, Fields, is_named};
use super::{Answer, LAST_REQUEST, Limits, Posts, Reply, Serving};
use crate::shutdown::Watch;
use input::Input;

/// The longest body: what browsers let a page send when it is left, or 50 events.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The most fields; browsers behind proxies send about half as many.
const MAX_FIELDS: usize = 48;

/// How long the rest of a body is read that nobody wanted, so that its sender sees the answer instead of
/// a reset.
const LINGER: Duration = Duration::from_secs(1);

static END_OF_HEAD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// The head of a plain request.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// What stands behind the path and its question mark.
    pub query: Option<&'a str>,
    /// Its fields.
    pub fields: Fields<'a>,
}

/// The body of a plain request, which may be still on its way.
#[derive(Debug)]
pub struct Body<'a, S> {
    stream: &'a mut S,
    /// What came with the head.
    here: &'a [u8],
    /// Bytes that are not read yet.
    left: usize,
}

/// A body that was read.
#[derive(Debug)]
pub enum Held<'a> {
    /// It lies in the connection's buffer.
    Here(&'a [u8]),
    /// It has bytes of its own.
    Own(Bytes),
}

impl<S: AsyncRead + Unpin> Body<'_, S> {
    /// Bytes that it has, all of them before it is read.
    #[must_use]
    pub fn bytes_left(&self) -> usize {
        self.here.len() + self.left
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// When the connection ends or fails first.
    pub async fn read(&mut self) -> io::Result<Held<'_>> {
        if self.left == 0 {
            return Ok(Held::Here(self.here));
        }
        let mut whole = BytesMut::with_capacity(self.bytes_left());
        whole.extend_from_slice(self.here);
        while self.left > 0 {
            let mut rest = (&mut *self.stream).take(self.left as u64);
            match rest.read_buf(&mut whole).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.left -= read,
            }
        }
        Ok(Held::Own(whole.freeze()))
    }
}

/// Answers plain requests until the connection ends, by either side or shortly after shutdown starts:
/// `None`. Or until there is one of another kind, and hands out what was read of that.
pub(super) fn connection<'a, S: AsyncRead + AsyncWrite + Unpin + Send, A: Answer, P: Posts>(
    stream: &'a mut Timed<S>,
    peer: SocketAddr,
    posts: &'a P,
    serving: &'a Serving<A, P>,
) -> impl Future<Output = Option<Vec<u8>>> + Send + 'a {
    let mut input = Input::default();
    let mut shutdown = serving.shutdown.watch();
    async move {
        loop {
            if !next(stream, &mut input, &mut shutdown).await {
                return None;
            }
            let (mut taken, read, left) = {
                let Some(end) = END_OF_HEAD.find(input.bytes()) else {
                    return Some(input.bytes().to_vec());
                };
                let (head, behind) = input.bytes().split_at(end + END_OF_HEAD.needle().len());
                let Some(plain) = Plain::read(head, posts.path(), &serving.limits) else {
                    return Some(input.bytes().to_vec());
                };
                if behind.len() < plain.length && !input.is_own() {
                    input.give_back();
                    continue;
                }
                let here = &behind[..behind.len().min(plain.length)];
                stream.answering();
                let mut body = Body {
                    stream: &mut *stream,
                    here,
                    left: plain.length - here.len(),
                };
                let taken = posts.take(plain.head(), &mut body, peer).await;
                (taken, head.len() + here.len(), body.left)
            };
            input.take(read);
            input.give_back();
            let reply = posts.reply(&mut taken).await;
            let is_last = serving.shutdown.has_started() || left > 0;
            stream.write_all(&reply.written(is_last)).await.ok()?;
            stream.flush().await.ok()?;
            if is_last {
                let mut rest = (&mut *stream).take(left as u64);
                let mut nowhere = tokio::io::sink();
                let copying = tokio::io::copy(&mut rest, &mut nowhere);
                let _ = Box::pin(timeout(LINGER, copying)).await;
                return None;
            }
            stream.answered();
        }
    }
}

/// Waits for the next request; false at the end of the connection, and where none comes in time once
/// shutdown started.
async fn next(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut Input,
    shutdown: &mut Watch<'_>,
) -> bool {
    let mut filling = pin!(input.fill(stream));
    tokio::select! {
        biased;
        came = filling.as_mut() => came,
        () = shutdown => {
            let last = Box::pin(timeout(LAST_REQUEST, filling));
            last.await.unwrap_or(false)
        }
    }
}

/// Who takes no plain requests.
#[derive(Debug)]
pub(super) enum Nobody {}

impl Posts for Nobody {
    type Taken = Self;

    fn path(&self) -> &str {
        match *self {}
    }

    async fn take<S: AsyncRead + Unpin + Send>(
        &self,
        _head: Head<'_>,
        _body: &mut Body<'_, S>,
        _peer: SocketAddr,
    ) -> Self {
        match *self {}
    }

    async fn reply(&self, taken: &mut Self) -> Reply {
        match *taken {}
    }
}

/// What the head of a plain request says.
struct Plain<'a> {
    query: Option<&'a str>,
    fields: Vec<Field<'a>>,
    /// Bytes of the body behind it.
    length: usize,
}

impl<'a> Plain<'a> {
    /// Reads a head; `None` for one that is not plain.
    fn read(head: &'a [u8], path: &str, limits: &Limits) -> Option<Self> {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(head, &mut fields).ok()?;
        // It may end earlier, by lines that end in a line feed only.
        let is_whole = parsed == Status::Complete(head.len());
        let is_whole = is_whole && head.len() <= limits.max_header_bytes;
        if !is_whole || request.method != Some("POST") || request.version != Some(1) {
            return None;
        }
        let target = request.path?;
        if target.len() > limits.max_uri_bytes {
            return None;
        }
        let query = match target.strip_prefix(path)? {
            "" => None,
            rest => {
                // What is no target is refused elsewhere.
                PathAndQuery::try_from(target).ok()?;
                Some(rest.strip_prefix('?').filter(|rest| !rest.contains('#'))?)
            }
        };
        Some(Self {
            query,
            length: length(request.headers)?,
            fields: request.headers.to_vec(),
        })
    }

    fn head(&self) -> Head<'_> {
        Head {
            query: self.query,
            fields: Fields::from(&*self.fields),
        }
    }
}

/// The length of the body, where the fields say nothing else of it and are those of a plain request.
fn length(fields: &[Field<'_>]) -> Option<usize> {
    let (mut hosts, mut length) = (0, None);
    for field in fields {
        let is = |name| is_named(field, name);
        // By length first: none of most fields' names is compared.
        match field.name.len() {
            4 if is("host") => hosts += 1,
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            10 if is("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") => {
                return None;
            }
            14 if is("content-length") => match length {
                None => length = Some(digits(field.value)?),
                Some(_) => return None,
            },
            16 if is("content-encoding") => return None,
            17 if is("transfer-encoding") => return None,
            _ => {}
        }
    }
    length.filter(|length| hosts == 1 && *length <= MAX_BODY_BYTES)
}

fn digits(value: &[u8]) -> Option<usize> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok()
}

impl std::ops::Deref for Held<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests;
