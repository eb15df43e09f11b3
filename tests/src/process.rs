//! A `weir` process under test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How long a process may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The executable under test, built beside the tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn executable(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = profile.join(name);
    let is_there = path.exists();
    assert!(is_there, "{} is not there: run make test", path.display());
    path
}

/// The command `weir`, without the variables that are for tests.
#[must_use]
pub fn weir() -> Command {
    let mut command = Command::new(executable("weir"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIR_")) {
        command.env_remove(name);
    }
    command
}

/// Runs `weir` with arguments in a folder until it ends.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = weir();
    command
        .current_dir(folder)
        .args(arguments)
        .env("XDG_DATA_HOME", folder);
    command.output().expect("weir can be run")
}

/// A loopback address that nothing listened on a moment ago. Nothing takes it while a process on it is
/// started again: it is below the ports that Linux gives away by itself, and below those of
/// `tests/services`.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<String> {
    for _ in 0..50 {
        let address = format!("127.0.0.1:{}", rand::random_range(10_000..20_000));
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no free port")
}

/// The client that tests use.
///
/// # Panics
/// Never: no setting of it can be refused.
#[must_use]
pub fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    builder.build().expect("plain settings")
}

/// A running `weir`, which can be started again as it was. Dropping it kills it.
pub struct Process {
    child: Child,
    /// What it wrote to its standard error.
    words: Arc<Mutex<String>>,
    start: Box<dyn Fn() -> Command + Send + Sync>,
}

impl Process {
    /// Starts what `start` describes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        start: impl Fn(&mut Command) -> &mut Command + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let start = move || {
            let mut command = weir();
            start(&mut command);
            command
        };
        let words = Arc::new(Mutex::new(String::new()));
        let child = spawn(&mut start(), &words)?;
        let start = Box::new(start);
        Ok(Self {
            child,
            words,
            start,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it holds.
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.context("VmRSS")?.parse::<u64>()? << 10)
    }

    /// Whether it has not ended by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it without warning and starts it again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.child = spawn(&mut (self.start)(), &self.words)?;
        Ok(())
    }

    /// Stops it by SIGTERM and starts it again.
    ///
    /// # Errors
    /// When it does not end in time, or cannot be started.
    pub fn stop_and_restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.child = spawn(&mut (self.start)(), &self.words)?;
        Ok(())
    }

    /// Kills it without warning.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it by SIGTERM and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.terminate()?;
        self.wait_for_end()
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status()?;
        Ok(())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait_for_end(&mut self) -> anyhow::Result<ExitStatus> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("weir did not stop in time");
    }

    /// What it wrote to its standard error.
    #[must_use]
    pub fn words(&self) -> String {
        self.words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `address` says that it is ready.
    ///
    /// # Errors
    /// When it does not in time, or the process ends.
    pub async fn wait_until_ready(&mut self, address: &str) -> anyhow::Result<()> {
        let client = client();
        let since = Instant::now();
        let url = format!("http://{address}/readyz");
        let mut last = String::new();
        while since.elapsed() < PATIENCE {
            if let Ok(answer) = client.get(&url).send().await {
                if answer.status().is_success() {
                    return Ok(());
                }
                last = answer.text().await.unwrap_or_default();
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("weir ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("weir was not ready in time: {last}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

fn spawn(command: &mut Command, words: &Arc<Mutex<String>>) -> anyhow::Result<Child> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("weir can be started")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let words = words.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Shown by the test runner when a test fails.
            println!("{line}");
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.push_str(&line);
            words.push('\n');
        }
    });
    Ok(child)
}

/// A number that a variable of the environment gives, or else `default`.
///
/// # Panics
/// When the variable is no number.
#[must_use]
pub fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// What a command that succeeded has printed.
///
/// # Errors
/// With what it says of its failure, or when what it printed is no text.
pub fn printed(output: Output) -> anyhow::Result<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{error}");
    Ok(String::from_utf8(output.stdout)?)
}
