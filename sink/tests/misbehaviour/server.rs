//! A bulk endpoint that misbehaves by script, over a memory or over a real engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

/// What the server does with a bulk request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// What it should.
    Serve,
    /// Refuses the request.
    Status(u16),
    /// Nothing, for ever.
    Hang,
    /// Writes, and answers half of the JSON.
    Truncate,
    /// Writes, and breaks the connection within the answer.
    Reset,
    /// Writes, and answers for one item too few.
    Miscount,
}

/// A document of a request, and how often it was asked for.
pub(crate) struct Asked<'a> {
    pub(crate) id: &'a str,
    pub(crate) index: &'a str,
    pub(crate) times: usize,
}

type Steps = Box<dyn Fn(usize, usize) -> Step + Send + Sync>;
type Items = Box<dyn Fn(&Asked<'_>) -> Option<Value> + Send + Sync>;

/// The script: by number and bytes of the request, then by item: an error, or `None` to write it.
pub(crate) struct Script {
    steps: Steps,
    items: Items,
}

impl Script {
    pub(crate) fn requests(steps: impl Fn(usize, usize) -> Step + Send + Sync + 'static) -> Self {
        let (steps, items) = (Box::new(steps), Box::new(|_: &Asked<'_>| None));
        Self { steps, items }
    }

    pub(crate) fn items(
        items: impl Fn(&Asked<'_>) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        let steps = Box::new(|_, _| Step::Serve);
        Self {
            steps,
            items: Box::new(items),
        }
    }
}

pub(crate) fn error(status: u16, kind: &str, reason: &str) -> Value {
    json!({ "status": status, "error": { "type": kind, "reason": reason } })
}

/// The server; it stops when the value is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

struct Inner {
    script: Script,
    requests: AtomicUsize,
    asked: Mutex<HashMap<String, usize>>,
    /// Documents by index and id, where there is no engine behind.
    memory: Mutex<HashMap<(String, String), Value>>,
    engine: Option<String>,
    client: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(script: Script, engine: Option<String>) -> Self {
        let state = Arc::new(Inner {
            script,
            requests: AtomicUsize::new(0),
            asked: Mutex::default(),
            memory: Mutex::default(),
            engine,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let router = Router::new().fallback(answer).with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, task }
    }

    /// Bulk requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// The ids that are stored, sorted; each as often as it is there.
    pub(crate) async fn ids(&self, prefix: &str) -> Vec<String> {
        let mut ids: Vec<String> = match &self.state.engine {
            None => {
                let memory = self.state.memory.lock().unwrap();
                memory.keys().map(|(_, id)| id.clone()).collect()
            }
            Some(engine) => {
                let client = &self.state.client;
                let refresh = format!("{engine}/{prefix}-*/_refresh");
                client.post(refresh).send().await.unwrap();
                let search = format!("{engine}/{prefix}-*/_search?size=10000&_source=false");
                let answer = client.get(search).send().await.unwrap();
                let answer: Value = answer.json().await.unwrap();
                let hits = answer["hits"]["hits"].as_array().unwrap().clone();
                let id = |hit: &Value| hit["_id"].as_str().unwrap().to_owned();
                hits.iter().map(id).collect()
            }
        };
        ids.sort();
        ids
    }
}

async fn answer(
    State(state): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    if uri.path() != "/_bulk" {
        return state.pass(method, &uri, body).await;
    }
    let nth = state.requests.fetch_add(1, Ordering::SeqCst);
    let step = (state.script.steps)(nth, body.len());
    match step {
        Step::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Step::Hang => std::future::pending().await,
        _ => {}
    }
    let mut items = state.write(&body).await;
    if step == Step::Miscount {
        items.pop();
    }
    let text = json!({ "items": items }).to_string();
    match step {
        Step::Truncate => text[..text.len() / 2].to_owned().into_response(),
        Step::Reset => {
            let half = Bytes::from(text[..text.len() / 2].to_owned());
            let parts = [Ok(half), Err(std::io::Error::other("reset"))];
            Body::from_stream(futures_util::stream::iter(parts)).into_response()
        }
        _ => text.into_response(),
    }
}

impl Inner {
    /// What is not a bulk: the engine answers, or what an engine would.
    async fn pass(&self, method: Method, uri: &Uri, body: Bytes) -> Response {
        let Some(engine) = &self.engine else {
            let page = json!({
                "cluster_name": "stub",
                "tagline": "You Know, for Search",
                "version": { "number": "9.5.3" },
            });
            return Json(page).into_response();
        };
        let request = self.client.request(method, format!("{engine}{uri}"));
        let request = request.header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.bytes().await.unwrap()).into_response()
    }

    /// The items of a bulk's answer.
    async fn write(&self, body: &[u8]) -> Vec<Value> {
        let lines: Vec<&[u8]> = body.split(|b| *b == b'\n').collect();
        let mut items = Vec::new();
        let mut rest = Vec::new();
        for pair in lines.chunks_exact(2) {
            let action: Value = serde_json::from_slice(pair[0]).unwrap();
            let (id, index) = (&action["create"]["_id"], &action["create"]["_index"]);
            let (id, index) = (id.as_str().unwrap(), index.as_str().unwrap());
            let times = {
                let mut asked = self.asked.lock().unwrap();
                let times = asked.entry(id.to_owned()).or_default();
                *times += 1;
                *times
            };
            let asked = Asked { id, index, times };
            items.push((self.script.items)(&asked));
            if items.last().unwrap().is_none() {
                rest.push((index.to_owned(), id.to_owned(), pair));
            }
        }
        let mut written = self.create(&rest).await.into_iter();
        let whole = |item: Option<Value>| item.unwrap_or_else(|| written.next().unwrap());
        let items = items.into_iter().map(whole);
        items.map(|item| json!({ "create": item })).collect()
    }

    async fn create(&self, documents: &[(String, String, &[&[u8]])]) -> Vec<Value> {
        if documents.is_empty() {
            return Vec::new();
        }
        let Some(engine) = &self.engine else {
            let mut memory = self.memory.lock().unwrap();
            let create = |(index, id, pair): &(String, String, &[&[u8]])| {
                let source = serde_json::from_slice(pair[1]).unwrap();
                match memory.insert((index.clone(), id.clone()), source) {
                    None => json!({ "status": 201 }),
                    Some(_) => json!({ "status": 409 }),
                }
            };
            return documents.iter().map(create).collect();
        };
        let mut body = Vec::new();
        for line in documents.iter().flat_map(|(_, _, pair)| pair.iter()) {
            body.extend_from_slice(line);
            body.push(b'\n');
        }
        let request = self.client.post(format!("{engine}/_bulk"));
        let request = request.header("content-type", "application/x-ndjson");
        let answer = request.body(body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|item| item["create"].clone()).collect()
    }
}
