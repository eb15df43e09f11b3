//! A gateway over brokers of its own.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::process::{self, Process, free_address, variable};
use tests::visitors::{Seen, Visitors};
use tests::weir::metric;

/// Longest wait for the spool to be empty once the brokers are back.
pub(crate) const DRAIN: Duration = Duration::from_secs(60);

pub(crate) fn seconds(default: u64) -> Duration {
    Duration::from_secs(variable("WEIR_CHAOS_SECONDS", default))
}

/// A gateway over brokers of its own. Dropping it stops all.
pub(crate) struct Bench {
    folder: TempDir,
    brokers: usize,
    pub(crate) public: String,
    admin: String,
    pub(crate) gateway: Option<Process>,
    settings: Vec<(String, String)>,
}

impl Bench {
    /// Starts `brokers` brokers, makes the topics, and starts a gateway told of `variables`.
    pub(crate) async fn start(brokers: usize, variables: &[(&str, &str)]) -> Self {
        Self::start_by(brokers, variables, &[]).await
    }

    /// The same, with the gateway run by a command that is given the executable.
    pub(crate) async fn start_by(brokers: usize, variables: &[(&str, &str)], by: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut bench = Self {
            folder,
            brokers,
            public: free_address().unwrap(),
            admin: free_address().unwrap(),
            gateway: None,
            settings: Vec::new(),
        };
        bench.form_cluster();
        // None is ready without most of the others.
        let starting: Vec<_> = (0..brokers)
            .map(|number| bench.run(number, "start").spawn().unwrap())
            .collect();
        for mut one in starting {
            assert!(one.wait().unwrap().success(), "kafka start");
        }
        let copies = if brokers == 3 { "2" } else { "1" };
        let mut settings = vec![
            (
                "WEIR_STREAM".to_owned(),
                format!("kafka://{}", bench.addresses()),
            ),
            (
                "WEIR_TOPICS__REPLICATION_FACTOR".into(),
                brokers.to_string(),
            ),
            ("WEIR_TOPICS__MIN_INSYNC_REPLICAS".into(), copies.into()),
            ("WEIR_TOPICS__PARTITIONS".into(), "6".into()),
            (
                "WEIR_DATA_DIR".into(),
                bench.path("weir").display().to_string(),
            ),
            ("WEIR_EMBEDDED__MIN_FREE_BYTES".into(), "0".into()),
            ("WEIR_GATEWAY__LISTEN".into(), bench.public.clone()),
            ("WEIR_ADMIN__LISTEN".into(), bench.admin.clone()),
        ];
        settings.extend(
            variables
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        bench.settings = settings;
        let mut topics = process::weir();
        topics.arg("topics").envs(bench.settings.clone());
        assert!(topics.status().unwrap().success());
        let by: Vec<String> = by.iter().map(|part| (*part).to_owned()).collect();
        let start = bench.command(&[]);
        let gateway = Process::start(move |command| {
            if let [first, rest @ ..] = &by[..] {
                let executable = command.get_program().to_owned();
                *command = Command::new(first);
                command.args(rest).arg(executable);
            }
            start(command)
        });
        bench.gateway = Some(gateway.unwrap());
        bench.wait_until_ready().await;
        bench
    }

    /// Starts a gateway as this bench's, but for some variables.
    pub(crate) fn command(
        &self,
        variables: &[(&str, &str)],
    ) -> impl Fn(&mut Command) -> &mut Command + Send + Sync + use<> {
        let mut settings = self.settings.clone();
        let owned = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        settings.extend(owned);
        let at = self.folder.path().to_owned();
        move |command| {
            command
                .arg("gateway")
                .current_dir(&at)
                .envs(settings.clone())
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Gives each broker its port and the addresses of all.
    fn form_cluster(&self) {
        for number in 0..self.brokers {
            let folder = self.path(&format!("broker-{number}"));
            std::fs::create_dir_all(&folder).unwrap();
            for kind in ["bootstrap", "controller"] {
                std::fs::write(folder.join(kind), free_address().unwrap() + "\n").unwrap();
            }
        }
    }

    fn known(&self, kind: &str) -> Vec<String> {
        let read = |number| {
            let path = self.path(&format!("broker-{number}")).join(kind);
            std::fs::read_to_string(path).unwrap().trim().to_owned()
        };
        (0..self.brokers).map(read).collect()
    }

    pub(crate) fn addresses(&self) -> String {
        self.known("bootstrap").join(",")
    }

    pub(crate) fn broker(&self, number: usize, command: &str) {
        let status = self.run(number, command).status();
        assert!(status.unwrap().success(), "kafka {command}");
    }

    /// Lets clients write so many bytes a second to a broker.
    pub(crate) fn quota(&self, number: usize, bytes: u64) {
        let mut run = self.run(number, "quota");
        assert!(
            run.arg(bytes.to_string()).status().unwrap().success(),
            "kafka quota"
        );
    }

    fn run(&self, number: usize, command: &str) -> Command {
        let script = format!("{}/services/kafka", env!("CARGO_MANIFEST_DIR"));
        let mut run = Command::new(script);
        run.arg(command).arg(self.path(&format!("broker-{number}")));
        if command == "start" {
            run.args(["--node", &(number + 1).to_string()]);
            run.args(["--controllers", &self.known("controller").join(",")]);
        }
        run
    }

    /// Sends a signal to a broker.
    pub(crate) fn signal(&self, number: usize, signal: &str) {
        assert!(self.send(number, signal).unwrap().success());
    }

    fn send(&self, number: usize, signal: &str) -> std::io::Result<ExitStatus> {
        let pid = self.path(&format!("broker-{number}")).join("pid");
        let pid = std::fs::read_to_string(pid)?;
        Command::new("kill").args([signal, pid.trim()]).status()
    }

    pub(crate) async fn wait_until_ready(&mut self) {
        let admin = self.admin.clone();
        let gateway = self.gateway.as_mut().unwrap();
        gateway.wait_until_ready(&admin).await.unwrap();
    }

    pub(crate) fn visitors(&self, name: &str) -> Visitors {
        Visitors::start(&self.public, name, 16, Duration::from_millis(5))
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(&process::client(), &self.admin, name).await.unwrap()
    }

    /// Waits until nothing lies in the spool; returns how long it took.
    pub(crate) async fn drained(&self) -> Duration {
        let since = Instant::now();
        while self.metric("weir_gateway_spool_events").await > 0.0 {
            assert!(since.elapsed() < DRAIN, "the spool is not drained");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    }

    /// Checks that every acknowledged event lies on the topic, in order; returns how many records were
    /// repetitions.
    pub(crate) async fn check(&self, seen: &Seen) -> usize {
        let broker = self.addresses();
        let repeated = seen.check(&broker, "raw-web-events", DRAIN).await.unwrap();
        let (count, statuses) = (seen.ids().len(), &seen.statuses);
        println!(
            "{count} acknowledged, all there and in order, {repeated} repetitions; \
             statuses {statuses:?}; {}",
            seen.times()
        );
        repeated
    }

    /// Resident bytes of the gateway now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.gateway.as_ref().unwrap().memory_bytes().unwrap()
    }

    /// received = accepted + rejected + shed + dead-lettered + dropped.
    pub(crate) async fn check_ledger(&self) {
        let url = format!("http://{}/metrics", self.admin);
        let text = process::client().get(url).send().await.unwrap();
        let text = text.text().await.unwrap();
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        let of = |name: &str| -> u64 {
            text.lines()
                .filter(|line| line.starts_with(name))
                .map(value)
                .sum()
        };
        let received = of("weir_gateway_received_events_total ");
        assert_eq!(received, of("weir_gateway_events_total{"), "{text}");
    }

    /// Lets the visitors go, of whom none may have been refused, and checks what they were told.
    pub(crate) async fn end(self, visitors: Visitors) {
        let seen = visitors.stop().await.unwrap();
        self.drained().await;
        assert_eq!(seen.refused(), 0, "{:?}", seen.statuses);
        self.check(&seen).await;
        self.check_ledger().await;
        self.stop().await;
    }

    pub(crate) async fn stop(mut self) {
        let mut gateway = self.gateway.take().unwrap();
        assert!(gateway.stop().unwrap().success());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.gateway.take());
        for number in 0..self.brokers {
            let folder = self.path(&format!("broker-{number}"));
            if Path::exists(&folder.join("pid")) {
                // One that was stopped by a signal cannot end; one that ended is not there.
                let _ = self.send(number, "-KILL");
            }
        }
    }
}
