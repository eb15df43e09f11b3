//! `weir geo fetch`: downloads a GeoIP file that the user has the right to, verifies it and puts it
//! in its place in one step, so that a running enricher takes it over.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use reqwest::{Client, StatusCode, header};

/// Largest download, and largest file that may come of it.
const MAX_BYTES: u64 = 1 << 30;

/// Times that a download that broke off is taken up again.
const ATTEMPTS: u32 = 5;

/// Longest silence of the server.
const SILENCE: Duration = Duration::from_secs(30);

/// Size of a block of a tar archive.
const BLOCK: usize = 512;

/// Where files come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Addresses, asked in order until one is there.
    pub(crate) urls: Vec<String>,
    /// Name and password for them.
    pub(crate) account: Option<(String, String)>,
}

impl Source {
    /// DB-IP Lite: a file a month, free under CC BY 4.0. At the start of a month the new one may
    /// not be there yet.
    pub(crate) fn db_ip(edition: &str, today: jiff::civil::Date) -> Self {
        let last = today.first_of_month().yesterday().unwrap_or(today);
        let url = |date: jiff::civil::Date| {
            let month = date.strftime("%Y-%m");
            format!("https://download.db-ip.com/free/dbip-{edition}-lite-{month}.mmdb.gz")
        };
        Self {
            urls: vec![url(today), url(last)],
            account: None,
        }
    }

    /// GeoLite, for those who have an account with MaxMind.
    pub(crate) fn max_mind(edition: &str, account: &str, key: &str) -> Self {
        let name = match edition {
            "asn" => "GeoLite2-ASN",
            "country" => "GeoLite2-Country",
            _ => "GeoLite2-City",
        };
        let base = "https://download.maxmind.com/geoip/databases";
        Self {
            urls: vec![format!("{base}/{name}/download?suffix=tar.gz")],
            account: Some((account.to_owned(), key.to_owned())),
        }
    }
}

/// Downloads to `target`.
///
/// # Errors
/// When no address has a usable file; what was at `target` before is there still, and what was
/// downloaded of an unfinished file is kept for the next attempt.
pub(crate) async fn fetch(source: &Source, target: &Path) -> anyhow::Result<()> {
    let client = Client::builder().read_timeout(SILENCE).build()?;
    if let Some(folder) = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let part = beside(target, "part");
    for url in &source.urls {
        if !download(&client, source, url, &part).await? {
            println!("{url}: not there");
            continue;
        }
        println!("{url}: {} bytes", fs::metadata(&part)?.len());
        let (part, unpacked, target) = (part.clone(), beside(target, "new"), target.to_owned());
        // Unpacking and verifying take a second of computing.
        let placed = tokio::task::spawn_blocking(move || {
            let placed = place(&part, &unpacked, &target);
            // A file that cannot be used is not taken up again.
            let _ = fs::remove_file(&part);
            let _ = fs::remove_file(beside(&part, "etag"));
            if placed.is_err() {
                let _ = fs::remove_file(&unpacked);
            }
            placed
        });
        return placed.await.context("unpacking")?;
    }
    bail!("no address has the file")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    name.into()
}

/// Downloads until the file is whole, taking up what is there; `false` where there is no such file.
async fn download(
    client: &Client,
    source: &Source,
    url: &str,
    part: &Path,
) -> anyhow::Result<bool> {
    let mut attempt = 1;
    loop {
        match try_download(client, source, url, part).await {
            Err(error) if attempt < ATTEMPTS && is_passing(&error) => {
                println!("{url}: {error:#}; going on");
                tokio::time::sleep(Duration::from_millis(200) * attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Whether trying again may help: the network broke, not the disk.
fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some() || error.downcast_ref::<Short>().is_some()
}

/// A body that ended before its length.
#[derive(Debug)]
struct Short;

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the download broke off")
    }
}

impl std::error::Error for Short {}

async fn try_download(
    client: &Client,
    source: &Source,
    url: &str,
    part: &Path,
) -> anyhow::Result<bool> {
    let tag_file = beside(part, "etag");
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let tag = fs::read_to_string(&tag_file)
        .ok()
        .filter(|tag| tag.starts_with('"'));
    let mut request = client.get(url);
    if let Some((name, password)) = &source.account {
        request = request.basic_auth(name, Some(password));
    }
    // Without the server's word for this version a rest could be another file's.
    let resumes = have > 0 && tag.is_some();
    if let Some(tag) = tag.filter(|_| resumes) {
        request = request
            .header(header::RANGE, format!("bytes={have}-"))
            .header(header::IF_RANGE, tag);
    }
    let answer = request.send().await?;
    let is_rest = answer.status() == StatusCode::PARTIAL_CONTENT && resumes;
    match answer.status() {
        StatusCode::NOT_FOUND => return Ok(false),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            bail!(
                "{url}: the account or key is refused; are [geo] account_id and license_key right?"
            )
        }
        // Nothing is left to send: it is whole.
        StatusCode::RANGE_NOT_SATISFIABLE if resumes => return Ok(true),
        StatusCode::PARTIAL_CONTENT if is_rest => {}
        StatusCode::OK => {}
        status => bail!("{url}: {status}"),
    }
    let left = answer.content_length();
    let start = if is_rest { have } else { 0 };
    ensure!(
        start.saturating_add(left.unwrap_or(0)) <= MAX_BYTES,
        "{url}: larger than 1 GiB"
    );
    match answer
        .headers()
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
    {
        Some(tag) => fs::write(&tag_file, tag)?,
        None => drop(fs::remove_file(&tag_file)),
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(part)?;
    file.set_len(start)?;
    file.seek(std::io::SeekFrom::End(0))?;
    let mut written = 0;
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        written += chunk.len() as u64;
        ensure!(start + written <= MAX_BYTES, "{url}: larger than 1 GiB");
        file.write_all(&chunk)?;
    }
    file.sync_all()?;
    if left.is_some_and(|left| written < left) {
        return Err(Short.into());
    }
    Ok(true)
}

/// Unpacks a download, verifies the database in it and puts it at `target`.
fn place(part: &Path, unpacked: &Path, target: &Path) -> anyhow::Result<()> {
    let mut out = File::create(unpacked)?;
    unpack(part, &mut out)?;
    out.sync_all()?;
    drop(out);
    let built = enricher::verify_geoip(unpacked)?;
    fs::rename(unpacked, target)?;
    if let Some(folder) = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    println!("{}: {built}", target.display());
    Ok(())
}

/// The database of a plain file, a gzip file, or a gzip file of an archive.
fn unpack(part: &Path, out: &mut File) -> anyhow::Result<()> {
    let mut file = BufReader::new(File::open(part)?);
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind()?;
    if !is_gzip {
        copy(&mut file, out, MAX_BYTES)?;
        return Ok(());
    }
    let mut inflated = GzDecoder::new(file);
    let mut head = vec![0; BLOCK];
    let length = read_up_to(&mut inflated, &mut head)?;
    let is_archive = head.get(257..262) == Some(b"ustar");
    if !is_archive {
        out.write_all(&head[..length])?;
        copy(&mut inflated, out, MAX_BYTES)?;
        return Ok(());
    }
    // An entry is a header block and its content, filled up to whole blocks.
    loop {
        let size = std::str::from_utf8(&head[124..135]).unwrap_or_default();
        let size = size.trim_matches(['\0', ' ']);
        let size = u64::from_str_radix(size, 8).context("the archive is damaged")?;
        let name = head[..100]
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        if name.ends_with(b".mmdb") {
            ensure!(size <= MAX_BYTES, "the database is larger than 1 GiB");
            let copied = copy(&mut inflated.by_ref().take(size), out, size)?;
            ensure!(copied == size, "the archive is cut off");
            return Ok(());
        }
        let padded = size.div_ceil(BLOCK as u64) * BLOCK as u64;
        copy(
            &mut inflated.by_ref().take(padded),
            &mut std::io::sink(),
            padded,
        )?;
        let length = read_up_to(&mut inflated, &mut head)?;
        ensure!(
            length == BLOCK && head[0] != 0,
            "no database is in the archive"
        );
    }
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn copy(from: &mut impl Read, to: &mut impl std::io::Write, most: u64) -> anyhow::Result<u64> {
    let copied = std::io::copy(&mut from.take(most + 1), to).context("the download is damaged")?;
    ensure!(copied <= most, "the database is larger than 1 GiB");
    Ok(copied)
}

#[cfg(test)]
mod tests;
