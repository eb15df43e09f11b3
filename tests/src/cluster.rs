//! Three `weir` processes, a stage each, over a real broker and a real engine.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Process, client, free_address};
use crate::weir;

/// A gateway, an enricher and a sink. Dropping it kills them.
pub struct Cluster {
    /// The gateway, the enricher and the sink, in this order.
    pub stages: Vec<Process>,
    /// The addresses of their operators' listeners, same order.
    pub admin: Vec<String>,
    public: String,
    prefix: String,
    engine: String,
    settings: Arc<Settings>,
    client: reqwest::Client,
}

/// What every process is told.
struct Settings {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    prefix: String,
    /// Number of the groups; another has no offsets.
    groups: AtomicU32,
}

/// The value of a variable that says where a service is.
///
/// # Panics
/// When it is not set.
#[must_use]
pub fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must be set: see tests/run"))
}

/// Runs a script of `tests/services` on the folder that a variable names.
///
/// # Errors
/// When it fails.
pub fn run_script(name: &str, command: &str, folder: &str, more: &[&str]) -> anyhow::Result<()> {
    let path = format!("{}/services/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut script = Command::new(path);
    let status = script
        .args([command, &service(folder)])
        .args(more)
        .status()?;
    anyhow::ensure!(status.success(), "{name} {command}");
    Ok(())
}

/// Sends a signal to the engine that the tests have to themselves.
///
/// # Errors
/// When it does not run.
pub fn signal_engine(signal: &str) -> anyhow::Result<()> {
    let pid = format!("{}/pid", service("WEIR_TEST_ELASTICSEARCH_FOLDER"));
    let pid = std::fs::read_to_string(pid)?;
    let status = Command::new("kill").args([signal, pid.trim()]).status()?;
    anyhow::ensure!(status.success(), "kill {signal}");
    Ok(())
}

impl Cluster {
    /// Makes topics and starts the three over the services that the variables name; topics,
    /// groups and indices have names of their own.
    ///
    /// # Errors
    /// When one does not become ready in time.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(
            &service("WEIR_TEST_KAFKA"),
            &service("WEIR_TEST_ELASTICSEARCH"),
        )
        .await
    }

    /// The same over the given broker and engine.
    ///
    /// # Errors
    /// When one does not become ready in time.
    pub async fn start_with(broker: &str, engine: &str) -> anyhow::Result<Self> {
        let time = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
        let prefix = format!("t{time}");
        let variables = vec![
            ("WEIR_STREAM", format!("kafka://{broker}")),
            ("WEIR_STORE", engine.to_owned()),
            ("WEIR_INDEX_PREFIX", prefix.clone()),
            ("WEIR_TOPICS__RAW", format!("{prefix}-raw")),
            ("WEIR_TOPICS__ENRICHED", format!("{prefix}-enriched")),
            ("WEIR_TOPICS__DEAD", format!("{prefix}-dead")),
            ("WEIR_TOPICS__SALTS", format!("{prefix}-salts")),
            ("WEIR_TOPICS__FORGOTTEN", format!("{prefix}-forgotten")),
            ("WEIR_TOPICS__PARTITIONS", "3".to_owned()),
        ];
        let folder = TempDir::new()?;
        let settings = Arc::new(Settings {
            folder,
            variables,
            prefix: prefix.clone(),
            groups: AtomicU32::default(),
        });
        let public = free_address()?;
        let mut cluster = Self {
            stages: Vec::new(),
            admin: Vec::new(),
            public: public.clone(),
            prefix,
            engine: engine.to_owned(),
            settings,
            client: client(),
        };
        let topics = cluster.command("topics", &[])?;
        let words = String::from_utf8_lossy(&topics.stderr).into_owned();
        anyhow::ensure!(topics.status.success(), "weir topics: {words}");
        for stage in ["gateway", "enricher", "sink"] {
            let admin = free_address()?;
            let mut arguments = vec![stage.to_owned(), "--admin".to_owned(), admin.clone()];
            if stage == "gateway" {
                arguments.extend(["--listen".to_owned(), public.clone()]);
            }
            let settings = cluster.settings.clone();
            cluster.stages.push(Process::start(move |command| {
                settings.apply(command).args(&arguments)
            })?);
            cluster.admin.push(admin);
        }
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// Waits until all three are ready.
    ///
    /// # Errors
    /// When one does not become ready in time.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let names = ["gateway", "enricher", "sink"];
        for ((stage, admin), name) in self.stages.iter_mut().zip(&self.admin).zip(names) {
            stage.wait_until_ready(admin).await.context(name)?;
        }
        Ok(())
    }

    /// Gives the stages other groups at their next start, so that they read from the beginning.
    pub fn forget_offsets(&self) {
        self.settings.groups.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs another command with the same configuration until it ends.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn command(&self, name: &str, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        Ok(self.prepared(name, arguments).output()?)
    }

    /// Another command with the same configuration, not run yet.
    #[must_use]
    pub fn prepared(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = process::weir();
        self.settings.apply(&mut command).arg(name).args(arguments);
        // Some ask the gateway.
        if let Some(gateway) = self.admin.first() {
            command.env("WEIR_ADMIN__LISTEN", gateway);
        }
        command
    }

    /// Memory that each stage holds.
    ///
    /// # Errors
    /// When one does not run.
    pub fn memory_bytes(&self) -> anyhow::Result<Vec<u64>> {
        self.stages.iter().map(Process::memory_bytes).collect()
    }

    /// The topic of the events as received.
    #[must_use]
    pub fn raw_topic(&self) -> String {
        format!("{}-raw", self.prefix)
    }

    /// The topic of what was refused.
    #[must_use]
    pub fn dead_topic(&self) -> String {
        format!("{}-dead", self.prefix)
    }

    /// Whether the gateway tells everybody that it is ready.
    pub async fn public_is_ready(&self) -> bool {
        let url = format!("http://{}/readyz", self.public);
        let answer = self.client.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The value of one of the gateway's metrics.
    ///
    /// # Errors
    /// When the gateway does not answer or has no such metric.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        weir::metric(&self.client, &self.admin[0], name).await
    }

    /// The address of the gateway's public listener.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Posts a body to the collect route; returns the status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, body: String) -> reqwest::Result<u16> {
        weir::post(&self.client, &self.public, body).await
    }

    fn search_url(&self) -> String {
        format!("{}/{}-*/_search", self.engine, self.prefix)
    }

    /// Searches every daily index in the engine itself.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn search(&self, body: &Value) -> anyhow::Result<Value> {
        weir::search(&self.client, &self.search_url(), body).await
    }

    /// Waits until the engine holds at least `count` documents; returns how many there are.
    ///
    /// # Errors
    /// When they do not come in time.
    pub async fn wait_for_documents(&self, count: u64) -> anyhow::Result<u64> {
        weir::wait_for_documents(&self.client, &self.search_url(), count).await
    }

    /// How often each of `ids` is among the documents.
    ///
    /// # Errors
    /// When a search fails.
    pub async fn copies(&self, ids: &[String]) -> anyhow::Result<Vec<usize>> {
        weir::copies(&self.client, &self.search_url(), ids).await
    }

    /// Asks the engine; `PREFIX` in the path is the indices' own.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let path = path.replace("PREFIX", &self.prefix);
        let answer = self.client.get(format!("{}/{path}", self.engine));
        let text = answer.send().await?.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Puts something into the engine; `PREFIX` in the path is the indices' own.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let path = path.replace("PREFIX", &self.prefix);
        let request = self.client.put(format!("{}/{path}", self.engine));
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?;
        let (status, words) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {words}");
        Ok(())
    }

    /// Waits until at least `count` copies of dead letters can be searched; returns how many there
    /// are.
    ///
    /// # Errors
    /// When they do not come in time.
    pub async fn wait_for_copies(&self, count: u64) -> anyhow::Result<u64> {
        let url = format!("{}/dead-{}-*/_search", self.engine, self.prefix);
        weir::wait_for_documents(&self.client, &url, count).await
    }

    /// Deletes what the test left in the engine.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn clean(&self) -> anyhow::Result<()> {
        for kind in ["", "dead-", "health-"] {
            let url = format!("{}/{kind}{}-*", self.engine, self.prefix);
            self.client.delete(url).send().await?;
        }
        Ok(())
    }
}

impl Settings {
    fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let number = self.groups.load(Ordering::SeqCst);
        let group = |stage: &str| format!("{}-{stage}-{number}", self.prefix);
        command
            .current_dir(self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("WEIR_ENRICHER__GROUP", group("enricher"))
            .env("WEIR_SINK__GROUP", group("sink"))
    }
}
