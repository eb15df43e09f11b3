//! Kibana's API, as far as installing needs it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::rules::Body;

/// First version that reads the objects as they are written.
const MIN_VERSION: (u32, u32) = (8, 8);

/// Longest wait for an answer: an import creates indices at its first run.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Stands between the parts of the import; no object holds it, for JSON has no such line.
const BOUNDARY: &str = "weir-saved-objects-7f3a9c";

/// How to reach Kibana.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// Empty: the default space.
    pub(crate) space: String,
}

pub(super) struct Client {
    http: reqwest::Client,
    options: Options,
}

impl Client {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
        if let Some(file) = &options.ca_file {
            let said = || format!("kibana.ca_file {}", file.display());
            let pem = std::fs::read(file).with_context(said)?;
            for authority in reqwest::Certificate::from_pem_bundle(&pem).with_context(said)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        Ok(Self {
            http: builder.build()?,
            options: options.clone(),
        })
    }

    pub(super) fn space(&self) -> &str {
        match self.options.space.as_str() {
            "" => "default",
            space => space,
        }
    }

    /// A path within the space.
    fn in_space(&self, path: &str) -> String {
        match self.space() {
            "default" => path.to_owned(),
            space => format!("/s/{space}{path}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(String, &str)>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let base = self.options.url.trim_end_matches('/');
        let mut request = self.http.request(method, format!("{base}{path}"));
        // Kibana takes no change without it.
        request = request.header("kbn-xsrf", "weir");
        request = match (&self.options.api_key, &self.options.username) {
            (Some(key), _) => request.header("authorization", format!("ApiKey {key}")),
            (None, Some(name)) => request.basic_auth(name, self.options.password.as_ref()),
            (None, None) => request,
        };
        if let Some((body, content_type)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let answer = request.send().await;
        let answer = answer.with_context(|| format!("kibana.url: nothing answers at {base}"))?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            bail!("kibana.username, kibana.password: {base} refuses the credentials (401)");
        }
        let text = answer.text().await.unwrap_or_default();
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((status, value))
    }

    /// A line that names the version.
    pub(super) async fn status(&self) -> anyhow::Result<String> {
        let (status, answer) = self.send(Method::GET, "/api/status", None).await?;
        let url = &self.options.url;
        let Some(version) = answer.pointer("/version/number").and_then(Value::as_str) else {
            bail!("kibana.url: {url} answers {status} and is not Kibana");
        };
        let mut numbers = version.split('.').map_while(|part| part.parse().ok());
        let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if found < MIN_VERSION {
            bail!("kibana.url: {url} runs Kibana {version}; 8.8 or newer is wanted");
        }
        let level = answer.pointer("/status/overall/level");
        let level = level.and_then(Value::as_str).unwrap_or("unknown");
        Ok(format!("Kibana {version}, {level}"))
    }

    /// Makes the space if it is not there.
    pub(super) async fn ensure_space(&self) -> anyhow::Result<String> {
        let space = self.space();
        let path = format!("/api/spaces/space/{space}");
        let (status, answer) = self.send(Method::GET, &path, None).await?;
        match status {
            StatusCode::OK => return Ok(format!("space [{space}] is there")),
            StatusCode::NOT_FOUND => {}
            _ => bail!("kibana.space [{space}]: {status}: {}", words(&answer)),
        }
        let body = json!({ "id": space, "name": space }).to_string();
        let body = Some((body, "application/json"));
        let (status, answer) = self.send(Method::POST, "/api/spaces/space", body).await?;
        if !status.is_success() {
            bail!("kibana.space [{space}]: {status}: {}", words(&answer));
        }
        Ok(format!("space [{space}] created"))
    }

    /// Imports the objects, replacing those of the same ids.
    pub(super) async fn import(&self, objects: &[Value]) -> anyhow::Result<String> {
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"weir.ndjson\"\r\nContent-Type: application/ndjson\r\n\r\n"
        );
        for object in objects {
            body.push_str(&object.to_string());
            body.push('\n');
        }
        body.push_str(&format!("\r\n--{BOUNDARY}--\r\n"));
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let path = self.in_space("/api/saved_objects/_import?overwrite=true");
        let body = Some((body, content_type.as_str()));
        let (status, answer) = self.send(Method::POST, &path, body).await?;
        if !status.is_success() {
            bail!("the import is refused: {status}: {}", words(&answer));
        }
        // A status of 200 says only that the file was read.
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        let count = answer["successCount"].as_u64().unwrap_or(0);
        if answer["success"] != true || count != objects.len() as u64 {
            let error = |e: &Value| format!("{} {}: {}", e["type"], e["id"], e["error"]["type"]);
            let errors: Vec<String> = errors.iter().map(error).collect();
            bail!(
                "the import took {count} of {} objects: {}",
                objects.len(),
                errors.join("; ")
            );
        }
        Ok(format!("{count} saved objects imported"))
    }

    /// Writes an alert rule unless it is there alike.
    pub(super) async fn put_rule(&self, rule: &Body) -> anyhow::Result<String> {
        let id = &rule.id;
        let path = self.in_space(&format!("/api/alerting/rule/{id}"));
        let (status, present) = self.send(Method::GET, &path, None).await?;
        let (method, body) = match status {
            StatusCode::OK => {
                // Actions are the operator's: they stay as they are.
                let mut wanted = rule.changeable.clone();
                let mut actions = present["actions"].as_array().cloned().unwrap_or_default();
                // Told, and not taken back.
                for action in actions.iter_mut().filter_map(Value::as_object_mut) {
                    action.remove("connector_type_id");
                }
                let is_alike = ["name", "tags", "schedule", "params"]
                    .iter()
                    .all(|name| includes(&present[*name], &wanted[*name]));
                if is_alike {
                    return Ok(format!("alert rule [{id}] is up to date"));
                }
                wanted["actions"] = actions.into();
                (Method::PUT, wanted)
            }
            StatusCode::NOT_FOUND => {
                let mut whole = rule.changeable.clone();
                for (name, value) in rule.fixed.as_object().into_iter().flatten() {
                    whole[name] = value.clone();
                }
                (Method::POST, whole)
            }
            _ => bail!("alert rule [{id}]: {status}: {}", words(&present)),
        };
        let body = Some((body.to_string(), "application/json"));
        let (status, answer) = self.send(method, &path, body).await?;
        if !status.is_success() {
            bail!(
                "alert rule [{id}]: {status}: {}; rules want xpack.encryptedSavedObjects.encryptionKey in kibana.yml",
                words(&answer)
            );
        }
        Ok(format!("alert rule [{id}] written"))
    }
}

/// Whether `found` has what `wanted` has; Kibana adds defaults.
fn includes(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|f| includes(f, value))),
        _ => found == wanted,
    }
}

/// Kibana's explanation, in one bounded line.
fn words(answer: &Value) -> String {
    let text = answer["message"].as_str().map(str::to_owned);
    let text = text.unwrap_or_else(|| answer.to_string());
    let line = text.chars().take(300);
    line.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
