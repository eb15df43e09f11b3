//! The live page and the search API of the admin listener, in Elasticsearch's shape over whichever
//! store is configured.
//!
//! Only indices under the configured prefix can be reached, and nothing can be written.
//!
//! - `page`: the live page

mod page;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};
use serde_json::{Value, json};
use store::{Indices, Query, QueryError, Store};

pub use page::Page;

/// Largest request body; a page of aggregations has a few kilobytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

#[derive(Clone)]
struct Api {
    store: Arc<dyn Store>,
    prefixes: Arc<[String]>,
}

/// The routes `POST /{index}/_search`, `GET|POST /{index}/_count` and `GET /{index}/_mapping` over
/// the indices of `prefixes`, and `/dashboard`.
pub fn router(store: Arc<dyn Store>, prefixes: Vec<String>, page: &Page) -> Router {
    Router::new()
        .route("/{index}/_search", post(search).get(search))
        .route("/{index}/_count", get(count).post(count))
        .route("/{index}/_mapping", get(mapping))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Api {
            store,
            prefixes: prefixes.into(),
        })
        .merge(page::routes(page))
}

async fn search(State(api): State<Api>, Path(index): Path<String>, body: Bytes) -> Response {
    let query = api
        .read(&index, &body)
        .map(|(indices, body)| Query::Search { indices, body });
    api.answer(query).await
}

async fn count(State(api): State<Api>, Path(index): Path<String>, body: Bytes) -> Response {
    let query = api
        .read(&index, &body)
        .map(|(indices, body)| Query::Count { indices, body });
    api.answer(query).await
}

async fn mapping(State(api): State<Api>, Path(index): Path<String>) -> Response {
    let query = api
        .read(&index, b"")
        .map(|(indices, _)| Query::Mapping { indices });
    api.answer(query).await
}

impl Api {
    fn read(&self, index: &str, body: &[u8]) -> Result<(Indices, Value), QueryError> {
        let prefixes: Vec<&str> = self.prefixes.iter().map(String::as_str).collect();
        let indices = Indices::parse(index, &prefixes)?;
        if body.is_empty() {
            return Ok((indices, Value::Null));
        }
        let body = serde_json::from_slice(body)
            .map_err(|error| QueryError::BadRequest(format!("the body is not JSON: {error}")))?;
        Ok((indices, body))
    }

    async fn answer(&self, query: Result<Query, QueryError>) -> Response {
        let result = match query {
            Ok(query) => self.store.query(&query).await,
            Err(error) => Err(error),
        };
        let (status, body) = match result {
            Ok(answer) => (StatusCode::OK, answer),
            Err(error) => {
                let (status, kind) = match &error {
                    QueryError::NotAllowed(_) => (StatusCode::FORBIDDEN, "security_exception"),
                    QueryError::NoSuchIndex(_) => {
                        (StatusCode::NOT_FOUND, "index_not_found_exception")
                    }
                    QueryError::BadRequest(_) => (StatusCode::BAD_REQUEST, "parsing_exception"),
                    QueryError::Unavailable(_) => {
                        (StatusCode::SERVICE_UNAVAILABLE, "unavailable_exception")
                    }
                };
                let cause = json!({ "type": kind, "reason": error.to_string() });
                (status, json!({ "error": cause, "status": status.as_u16() }))
            }
        };
        (
            status,
            [(header::CONTENT_TYPE, "application/json")],
            body.to_string(),
        )
            .into_response()
    }
}
