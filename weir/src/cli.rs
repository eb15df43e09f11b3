//! Commands and flags.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::tail::Where;
use crate::config::Sources;
use crate::letters::Selection;

/// Web event ingestion: a 2xx answer means that the event is durable.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Configuration file [default: weir.toml in the working directory, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process; the default command.
    Up(Up),
    /// Run the gateway alone: HTTP to Kafka.
    Gateway(Listen),
    /// Run the enricher alone: Kafka to Kafka.
    Enricher(ListenAdmin),
    /// Run the sink alone: Kafka to the store.
    Sink(ListenAdmin),
    /// Check the configuration and exit: 0 when it is good, 78 when it is not.
    Check {
        /// Also dial the brokers and the store.
        #[arg(long)]
        connect: bool,
        /// Only ask the process that runs with this configuration whether it is ready: 0, or 1 with
        /// the reasons.
        #[arg(long)]
        running: bool,
    },
    /// Create the topics that are missing and report the others.
    Topics,
    /// Install index templates, retention, and Kibana's dashboards and alert rules; may be repeated.
    Setup(Setup),
    /// Send one test event, or NDJSON from a file, to the gateway.
    Send {
        /// NDJSON, `-` for standard input.
        file: Option<PathBuf>,
        /// The collect route [default: that of the configuration].
        #[arg(long)]
        url: Option<String>,
    },
    /// Print the live events of a topic; the stages are not disturbed.
    Tail {
        /// The topic [default: the enriched events].
        topic: Option<String>,
        /// Only events with this member; may be repeated.
        #[arg(long = "where", value_name = "FIELD=VALUE")]
        wanted: Vec<Where>,
    },
    /// Look at dead letters and send them back.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Delete a visitor's documents and keep their events from coming back; prints a receipt.
    Forget {
        /// The visitor's user_custom_id or user_domain_id.
        #[arg(long, value_name = "ID")]
        user: String,
        /// First print the documents, a line of JSON each; the receipt goes to standard error.
        #[arg(long)]
        export: bool,
        /// Refuse what the id sends from now on, too; without it a later forgetting of the same id
        /// takes this back.
        #[arg(long)]
        for_all_time: bool,
    },
    /// Look at the events that wait on the gateway's disk for Kafka, and send them on.
    #[command(subcommand)]
    Spool(SpoolCommand),
    /// Print what each enrichment says of a page view, and why.
    Explain {
        /// Address of the page, with its query.
        url: Option<String>,
        /// Address of the referring page.
        #[arg(long)]
        referrer: Option<String>,
        /// User agent.
        #[arg(long)]
        agent: Option<String>,
        /// Address of the visitor.
        #[arg(long)]
        ip: Option<IpAddr>,
    },
    /// Fetch GeoIP files, and look addresses up in them.
    #[command(subcommand)]
    Geo(GeoCommand),
    /// Print the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Folder of the embedded log and store.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Feed it fake visitors, so many events a second.
    #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "20")]
    demo: Option<f64>,
    #[command(flatten)]
    listen: Listen,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// Address of the public listener.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    admin: ListenAdmin,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListenAdmin {
    /// Address of the operators' listener.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// The space of Kibana [default: kibana.space].
    #[arg(long)]
    pub(crate) space: Option<String>,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print Kibana's saved objects, or the bodies of the requests to an engine, for writing them by
    /// hand, and do nothing else.
    #[arg(long, value_name = "FOR", num_args = 0..=1, default_missing_value = "kibana")]
    pub(crate) print: Option<Print>,
}

/// What is printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Print {
    Kibana,
    Elasticsearch,
    Opensearch,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The commented default file.
    Default,
    /// The effective values with the origin of each, secrets masked.
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// One line per dead letter.
    List(Select),
    /// A dead letter whole.
    Show {
        /// Its id, as listed.
        id: String,
    },
    /// Send dead letters back to the stage that refused them.
    Replay {
        #[command(flatten)]
        select: Select,
        /// Count, and send nothing.
        #[arg(long)]
        dry_run: bool,
        /// Letters a second at most; 0 is as fast as it goes.
        #[arg(long, default_value_t = 0)]
        rate: u32,
        /// Keep the way in this file, and go on where an interrupted replay with it stopped.
        #[arg(long, value_name = "FILE")]
        progress: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Select {
    /// The letter with this id.
    #[arg(long)]
    id: Option<String>,
    /// Letters of this stage: gateway, enricher or sink.
    #[arg(long)]
    stage: Option<String>,
    /// Letters before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Letters with this code.
    #[arg(long)]
    code: Option<String>,
    /// Letters of this time or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl From<Select> for Selection {
    fn from(select: Select) -> Self {
        Self {
            id: select.id,
            code: select.code,
            stage: select.stage,
            since: select.since,
            until: select.until,
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum SpoolCommand {
    /// Print how many there are, their bytes, the age of the oldest.
    List,
    /// Send them on now; exit status 1 while some are left.
    Drain,
    /// Print them, one a line; they stay where they are.
    Export,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GeoCommand {
    /// Download a file that you have the right to, verify it and put it in its place.
    Fetch {
        /// What it knows.
        #[arg(value_parser = ["city", "country", "asn"], default_value = "city")]
        edition: String,
        /// Where it is put [default: geo/EDITION.mmdb in the data folder].
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Where it is fetched from, instead of what `[geo]` says: mmdb, mmdb.gz or tar.gz.
        #[arg(long)]
        url: Option<String>,
    },
    /// Print what the files say of an address.
    Lookup {
        /// The address.
        ip: IpAddr,
    },
}

impl Cli {
    /// Fake events a second.
    pub(crate) fn demo(&self) -> Option<f64> {
        match &self.command {
            Some(Command::Up(up)) => up.demo,
            _ => None,
        }
    }

    /// Where the configuration comes from.
    pub(crate) fn sources(&self) -> Sources {
        let mut flags = Vec::new();
        let mut set = |key, value: Option<String>| flags.extend(value.map(|value| (key, value)));
        match &self.command {
            Some(Command::Up(up)) => {
                let data = up.data.as_ref().map(|folder| folder.display().to_string());
                set("data_dir", data);
                set("gateway.listen", up.listen.listen.clone());
                set("admin.listen", up.listen.admin.admin.clone());
            }
            Some(Command::Gateway(flags)) => {
                set("gateway.listen", flags.listen.clone());
                set("admin.listen", flags.admin.admin.clone());
            }
            Some(Command::Enricher(flags) | Command::Sink(flags)) => {
                set("admin.listen", flags.admin.clone());
            }
            Some(Command::Setup(setup)) => set("kibana.space", setup.space.clone()),
            _ => {}
        }
        Sources {
            file: self.config.clone(),
            variables: std::env::vars().collect(),
            flags,
        }
    }
}
