//! One HTTP/1.1 connection of the driver: the least work that measures an honest server.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// Bytes of an answer's head and body at most.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where to post.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port` to connect to.
    pub address: String,
    head: String,
}

impl Target {
    /// Reads the address of a collect route.
    ///
    /// # Errors
    /// When it is not an `http` address with a host.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).with_context(|| format!("\"{url}\" is no address"))?;
        ensure!(
            url.scheme() == "http",
            "http is spoken, not {}: load a proxy's upstream itself",
            url.scheme()
        );
        let host = url.host_str().context("the address names no host")?;
        let port = url.port_or_known_default().unwrap_or(80);
        let path = match url.path() {
            "/" => "/collect",
            path => path,
        };
        // A gateway may want a key there.
        let query = url
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        Ok(Self {
            address: format!("{host}:{port}"),
            head: format!(
                "POST {path}{query} HTTP/1.1\r\nhost: {host}:{port}\r\nuser-agent: weir-loadgen\r\n"
            ),
        })
    }
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    answer: Vec<u8>,
    is_over: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn open(target: &Target) -> std::io::Result<Self> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            out: Vec::new(),
            answer: Vec::with_capacity(1_024),
            is_over: false,
        })
    }

    /// Whether the server closes after the last answer.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Posts NDJSON and returns the status of the answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP: whether the events were accepted is
    /// not known then.
    pub async fn post(&mut self, target: &Target, body: &[u8]) -> anyhow::Result<u16> {
        self.out.clear();
        self.out.extend_from_slice(target.head.as_bytes());
        let length = format!(
            "content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.out.extend_from_slice(length.as_bytes());
        self.out.extend_from_slice(body);
        self.stream.write_all(&self.out).await?;
        self.read().await
    }

    async fn read(&mut self) -> anyhow::Result<u16> {
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the server closed the connection");
            ensure!(
                self.answer.len() <= MAX_ANSWER_BYTES,
                "the answer is too long"
            );
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = response.parse(&self.answer)? else {
                continue;
            };
            let status = response.code.context("an answer has a status")?;
            let mut length = 0;
            for header in response.headers.iter() {
                let value = std::str::from_utf8(header.value).unwrap_or_default();
                if header.name.eq_ignore_ascii_case("content-length") {
                    length = value.parse()?;
                } else if header.name.eq_ignore_ascii_case("connection") {
                    self.is_over = value.eq_ignore_ascii_case("close");
                } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                    bail!("the answer comes in chunks, which a collect route does not send");
                }
            }
            while self.answer.len() < head + length {
                let read = self.stream.read_buf(&mut self.answer).await?;
                ensure!(read > 0, "the server closed the connection");
                ensure!(
                    self.answer.len() <= MAX_ANSWER_BYTES,
                    "the answer is too long"
                );
            }
            return Ok(status);
        }
    }
}
