//! A `weir up` in a temporary folder on free ports.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{PATIENCE, Process, client, free_address};

/// A running `weir up`. Dropping it kills the process.
pub struct Weir {
    process: Process,
    folder: TempDir,
    public: String,
    admin: String,
    client: reqwest::Client,
}

impl Weir {
    /// Starts with an empty data folder and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_, _| {}).await
    }

    /// Starts as `set` has it, which gets the command and the data folder.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn start_with(
        set: impl Fn(&mut Command, &Path) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let (public, admin) = (free_address()?, free_address()?);
        let (path, listen) = (folder.path().to_owned(), [public.clone(), admin.clone()]);
        let process = Process::start(move |command| {
            set(command, &path.join("data"));
            up(command, &path, &listen)
        })?;
        let mut weir = Self {
            process,
            folder,
            public,
            admin,
            client: client(),
        };
        weir.process.wait_until_ready(&weir.public).await?;
        Ok(weir)
    }

    /// Kills the process without warning and starts it again on the same data.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.kill_and_restart()?;
        self.process.wait_until_ready(&self.public).await
    }

    /// Stops the process by SIGTERM and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.process.stop()
    }

    /// Waits until the process ends by itself; its status, and what it wrote to its standard error.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait_for_end(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let status = self.process.wait_for_end()?;
        Ok((status, self.process.words()))
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The folder with its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The address of the public listener.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The address of the operators' listener.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Posts a body to the collect route; returns the status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, body: String) -> reqwest::Result<u16> {
        post(&self.client, &self.public, body).await
    }

    /// Searches every daily index.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn search(&self, body: &Value) -> anyhow::Result<Value> {
        let url = format!("http://{}/web-events-*/_search", self.admin);
        search(&self.client, &url, body).await
    }

    /// Waits until the store holds at least `count` documents; returns how many there are.
    ///
    /// # Errors
    /// When they do not come in time.
    pub async fn wait_for_documents(&self, count: u64) -> anyhow::Result<u64> {
        let url = format!("http://{}/web-events-*/_search", self.admin);
        wait_for_documents(&self.client, &url, count).await
    }
}

fn up<'a>(command: &'a mut Command, folder: &Path, listen: &[String; 2]) -> &'a mut Command {
    command
        .current_dir(folder)
        .args(["up", "--listen", &listen[0], "--admin", &listen[1]])
        .arg("--data")
        .arg(folder.join("data"))
        .env("WEIR_EMBEDDED__MIN_FREE_BYTES", "0")
}

/// Posts a JSON body to the collect route of the gateway at `address`; returns the status.
///
/// # Errors
/// When no answer comes.
pub async fn post(client: &reqwest::Client, address: &str, body: String) -> reqwest::Result<u16> {
    let url = format!("http://{address}/collect");
    let request = client.post(url).header("content-type", "application/json");
    Ok(request.body(body).send().await?.status().as_u16())
}

/// Sends a search to `url`.
///
/// # Errors
/// When the answer is not 200.
pub async fn search(client: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = client.post(url).json(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// Waits until a search at `url` counts at least `count` documents; returns how many there are.
///
/// # Errors
/// When they do not come in time.
pub async fn wait_for_documents(
    client: &reqwest::Client,
    url: &str,
    count: u64,
) -> anyhow::Result<u64> {
    let since = Instant::now();
    let body = json!({ "size": 0, "track_total_hits": true });
    loop {
        // An engine refuses to search an index that it is just making.
        let found = match search(client, url, &body).await {
            Ok(answer) => answer["hits"]["total"]["value"].as_u64().context("a total"),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) if found >= count => return Ok(found),
            found if since.elapsed() > PATIENCE => bail!("{found:?} of {count} documents came"),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The value of a metric of the process whose operators' listener is at `admin`.
///
/// # Errors
/// When it does not answer or has no such metric.
pub async fn metric(client: &reqwest::Client, admin: &str, name: &str) -> anyhow::Result<f64> {
    let url = format!("http://{admin}/metrics");
    let text = client.get(url).send().await?.text().await?;
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.find_map(|rest| rest.strip_prefix(' '));
    let value = value.with_context(|| format!("{name} is no metric"))?;
    Ok(value.parse()?)
}

/// How often each of `ids` is among the documents that a search at `url` finds.
///
/// # Errors
/// When a search fails.
pub async fn copies(
    client: &reqwest::Client,
    url: &str,
    ids: &[String],
) -> anyhow::Result<Vec<usize>> {
    let mut copies = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(1_000) {
        let query = json!({
            "query": { "terms": { "event_id": chunk } },
            "size": 10_000,
            "_source": ["event_id"],
        });
        let answer = search(client, url, &query).await?;
        let mut found = std::collections::HashMap::<&str, usize>::new();
        for hit in answer["hits"]["hits"].as_array().context("hits")? {
            let id = hit["_source"]["event_id"].as_str().context("an id")?;
            *found.entry(id).or_default() += 1;
        }
        let count = |id: &String| found.get(id.as_str()).copied().unwrap_or(0);
        copies.extend(chunk.iter().map(count));
    }
    Ok(copies)
}
