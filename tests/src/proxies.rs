//! Debian's proxies before gateways.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process::{PATIENCE, client, free_address};

/// A proxy, for as long as it is kept.
pub struct Proxy {
    child: Child,
    public: String,
}

impl Proxy {
    /// HAProxy by `deploy/haproxy.cfg`, as `change` has it.
    ///
    /// # Errors
    /// When it is not installed, or does not serve in time.
    pub async fn haproxy(
        folder: &Path,
        gateways: &[&str],
        change: impl Fn(String) -> String,
    ) -> anyhow::Result<Self> {
        let public = free_address()?;
        let servers = gateways.iter().enumerate();
        let servers: String = servers
            .map(|(n, address)| format!("  server gateway-{n} {address} check\n"))
            .collect();
        let config = include_str!("../../deploy/haproxy.cfg")
            .replace("bind :80", &format!("bind {public}"))
            .replace("  server gateway-0 gateway-0:8080 check\n", &servers)
            .replace("  server gateway-1 gateway-1:8080 check\n", "");
        let path = folder.join("haproxy.cfg");
        std::fs::write(&path, change(config))?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(path);
        Self::start(command, public).await
    }

    /// nginx before one gateway, which gets the requests of all clients on one connection.
    ///
    /// # Errors
    /// When it is not installed, or does not serve in time.
    pub async fn nginx(folder: &Path, gateway: &str) -> anyhow::Result<Self> {
        let public = free_address()?;
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("  {name}_temp_path {name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr crit;\nevents {{}}\n\
             http {{\n  access_log off;\n{places}\
             \x20 upstream gateway {{ server {gateway}; keepalive 1; }}\n\
             \x20 server {{\n    listen {public};\n    location / {{\n\
             \x20     proxy_pass http://gateway;\n      proxy_http_version 1.1;\n\
             \x20     proxy_set_header Host $host;\n      proxy_set_header Connection \"\";\n\
             \x20   }}\n  }}\n}}\n"
        );
        let path = folder.join("nginx.conf");
        std::fs::write(&path, config)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(path);
        Self::start(command, public).await
    }

    async fn start(mut command: Command, public: String) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn();
        let child = child.with_context(|| format!("{name} is missing: see tests/run"))?;
        let proxy = Self { child, public };
        let (client, url) = (client(), format!("http://{}/readyz", proxy.public));
        let since = Instant::now();
        loop {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(proxy);
            }
            ensure!(since.elapsed() < PATIENCE, "{name} does not serve");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where clients reach it.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
