//! Bytes to a listener as no client would send them.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::PATIENCE;

/// What came back on a connection until it ended.
#[derive(Debug)]
pub struct Came {
    /// Every byte.
    pub text: String,
    /// Whether the server closed the connection.
    pub is_closed: bool,
}

impl Came {
    /// The status of each answer, in order.
    #[must_use]
    pub fn statuses(&self) -> Vec<u16> {
        let lines = self.text.match_indices("HTTP/1.1 ");
        let status = |at: usize| self.text.get(at + 9..at + 12)?.parse().ok();
        lines.filter_map(|(at, _)| status(at)).collect()
    }

    /// The value of a header of the first answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().take_while(|line| !line.is_empty());
        lines.find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Connects.
///
/// # Errors
/// When the listener does not take the connection in time.
pub async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let connecting = TcpStream::connect(address);
    Ok(tokio::time::timeout(PATIENCE, connecting).await??)
}

/// Reads what comes until the server closes, or nothing has come for `quiet`.
pub async fn listen(stream: &mut TcpStream, quiet: Duration) -> Came {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
    let is_closed = loop {
        match tokio::time::timeout(quiet, stream.read(&mut piece)).await {
            // A reset is a close that throws away what was not read.
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(read)) => bytes.extend_from_slice(&piece[..read]),
            Err(_) => break false,
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Came { text, is_closed }
}

/// Sends bytes on a connection of their own and reads until the server closes it.
///
/// # Errors
/// When the server does not take the connection, or does not close it in time.
pub async fn exchange(address: &str, bytes: &[u8]) -> anyhow::Result<Came> {
    let mut stream = connect(address).await?;
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        // The server may close before it has read all.
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let read = async {
        // A reset after the answer is still an answer.
        let _ = reading.read_to_end(&mut answer).await;
    };
    let both = async {
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    };
    let ended = tokio::time::timeout(PATIENCE, both).await;
    ended.context("the server closes in time")?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    Ok(Came {
        text,
        is_closed: true,
    })
}

/// A POST of `body` to the collect route, which asks the server to close.
#[must_use]
pub fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /collect HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}
