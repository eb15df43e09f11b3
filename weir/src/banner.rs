//! What the process says of itself when it starts.

use std::fmt;
use std::net::SocketAddr;

use crate::config::Loaded;
use crate::config::units::Size;
use crate::plan::{Plan, StorePlan, StreamPlan};
use crate::process::Role;

/// A line for each thing that a person wants next.
pub(crate) struct Banner {
    role: Role,
    lines: Vec<(&'static str, String)>,
}

impl Banner {
    pub(crate) fn new(
        loaded: &Loaded,
        plan: &Plan,
        role: Role,
        public: Option<SocketAddr>,
        private: SocketAddr,
    ) -> Self {
        let settings = &loaded.settings;
        let mut lines = Vec::new();
        if let Some(public) = public {
            let public = format!("{}://{public}", plan.scheme());
            lines.push(("collect", format!("{public}{}", plan.gateway.path)));
            if role == Role::All {
                lines.push(("demo page", format!("{public}/")));
            }
            let script = format!("{public}{}", plan.gateway.script_path);
            lines.push(("paste", format!("<script defer src=\"{script}\"></script>")));
        }
        if matches!(role, Role::All | Role::Sink) {
            lines.push(("dashboard", format!("http://{private}/dashboard")));
        } else {
            lines.push(("metrics", format!("http://{private}/metrics")));
        }
        let is_kafka = matches!(plan.stream, StreamPlan::Kafka(_));
        let is_remote = matches!(plan.store, StorePlan::Elasticsearch(_));
        if !(is_kafka && is_remote) {
            lines.push(("data", plan.data_dir.display().to_string()));
        }
        lines.push(("stream", settings.stream.clone()));
        if matches!(role, Role::All | Role::Sink) {
            lines.push(("store", settings.store.clone()));
        }
        let durability = match is_kafka {
            true => "acknowledged by every in-sync replica".to_owned(),
            false => settings.durability.clone(),
        };
        lines.push(("durability", durability));
        if let (Some(spool), Role::All | Role::Gateway) = (&plan.spool, role) {
            let (folder, size) = (plan.data_dir.join("spool"), Size(spool.max_bytes));
            lines.push(("spool", format!("{}, up to {size}", folder.display())));
        }
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        lines.push(("config", file.unwrap_or_else(|| "none".into())));
        Self { role, lines }
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "weir {} {}", env!("CARGO_PKG_VERSION"), self.role.name())?;
        for (name, value) in &self.lines {
            writeln!(f, "  {name:<10}  {value}")?;
        }
        writeln!(f, "  no telemetry")
    }
}
