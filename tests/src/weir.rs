//! A `weir` process in a temporary folder on free ports.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the process may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `weir up`. Dropping it kills the process.
pub struct Weir {
    child: Child,
    folder: TempDir,
    public: String,
    admin: String,
    client: reqwest::Client,
}

/// The executable under test, built beside the tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn executable() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let path = test
        .ancestors()
        .nth(2)
        .expect("target/PROFILE/deps/TEST")
        .join("weir");
    assert!(
        path.exists(),
        "{} is not there: run make test",
        path.display()
    );
    path
}

/// Runs `weir` with arguments in a folder until it ends.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command
        .current_dir(folder)
        .args(arguments)
        .env("XDG_DATA_HOME", folder);
    command.output().expect("weir can be run")
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Weir {
    /// Starts with an empty data folder and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let (public, admin) = (free_address()?, free_address()?);
        let child = spawn(folder.path(), &public, &admin)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        let mut weir = Self {
            child,
            folder,
            public,
            admin,
            client,
        };
        weir.wait_until_ready().await?;
        Ok(weir)
    }

    /// Kills the process without warning and starts it again on the same data.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(self.folder.path(), &self.public, &self.admin)?;
        self.wait_until_ready().await
    }

    /// Stops the process by SIGTERM and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()?;
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("weir did not stop in time");
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

    /// Posts a body to the collect route; returns the status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, body: String) -> reqwest::Result<u16> {
        let url = format!("http://{}/collect", self.public);
        let answer = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        Ok(answer.send().await?.status().as_u16())
    }

    /// Searches every daily index.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn search(&self, body: &Value) -> anyhow::Result<Value> {
        let url = format!("http://{}/web-events-*/_search", self.admin);
        let answer = self.client.post(url).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until the store holds at least `count` documents; returns how many there are.
    ///
    /// # Errors
    /// When they do not come in time.
    pub async fn wait_for_documents(&self, count: u64) -> anyhow::Result<u64> {
        let since = Instant::now();
        loop {
            let answer = self.search(&json!({ "size": 0 })).await?;
            let found = answer["hits"]["total"]["value"]
                .as_u64()
                .context("a total")?;
            if found >= count {
                return Ok(found);
            }
            ensure!(
                since.elapsed() < PATIENCE,
                "{found} of {count} documents came"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        let url = format!("http://{}/readyz", self.public);
        while since.elapsed() < PATIENCE {
            if self
                .client
                .get(&url)
                .send()
                .await
                .is_ok_and(|a| a.status().is_success())
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("weir ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("weir was not ready in time");
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, public: &str, admin: &str) -> anyhow::Result<Child> {
    let data = folder.join("data");
    let mut child = Command::new(executable())
        .current_dir(folder)
        .arg("up")
        .args(["--listen", public, "--admin", admin, "--data"])
        .arg(data)
        .env("WEIR_EMBEDDED__MIN_FREE_BYTES", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("weir can be started")?;
    // Shown by the test runner when a test fails.
    let stderr = child.stderr.take().context("stderr is piped")?;
    std::thread::spawn(move || {
        BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .for_each(|line| println!("{line}"));
    });
    Ok(child)
}
