//! Commands and flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Sources;

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
    /// Check the configuration and exit: 0 when it is good, 78 when it is not.
    Check,
    /// Print the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Folder of the embedded log and store.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the public listener.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of the operators' listener.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The commented default file.
    Default,
    /// The effective values with the origin of each, secrets masked.
    Show,
}

impl Cli {
    /// Where the configuration comes from.
    pub(crate) fn sources(&self) -> Sources {
        let mut flags = Vec::new();
        if let Some(Command::Up(up)) = &self.command {
            let data = up.data.as_ref().map(|folder| folder.display().to_string());
            let set = [
                ("data_dir", data),
                ("gateway.listen", up.listen.clone()),
                ("admin.listen", up.admin.clone()),
            ];
            flags.extend(
                set.into_iter()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
        }
        Sources {
            file: self.config.clone(),
            variables: std::env::vars().collect(),
            flags,
        }
    }
}
