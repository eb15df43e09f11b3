//! The suite that every back end passes.
//!
//! It writes a fixed set of documents over three days and compares each answer with one computed
//! here in plain Rust. A failed expectation panics and names the question.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::{Deleted, Document, Doomed, Indices, Outcome, Query, QueryError, Store};

/// How long a written document may take to become visible.
const PATIENCE: Duration = Duration::from_secs(30);

/// Documents of the set; no round number of any of its cycles.
const COUNT: usize = 1_999;

/// Runs every case on a store that holds nothing under `prefix`.
///
/// # Panics
/// When a case fails.
pub async fn run_all(store: &dyn Store, prefix: &str) {
    let suite = Suite {
        store,
        prefix,
        events: (0..COUNT).map(event).collect(),
    };
    store.prepare().await.expect("the store can be prepared");
    suite.documents_are_created_once().await;
    suite.queries_find_what_plain_code_finds().await;
    suite.aggregations_agree_with_plain_code().await;
    suite.filters_and_calendars_agree_with_plain_code().await;
    suite.hits_are_sorted_paged_and_filtered().await;
    suite.names_and_patterns_are_told_apart().await;
    suite.old_days_are_dropped_whole().await;
    suite.documents_of_a_visitor_are_deleted().await;
}

struct Suite<'a> {
    store: &'a dyn Store,
    prefix: &'a str,
    events: Vec<Value>,
}

fn event(n: usize) -> Value {
    let day = 10 + n % 3;
    let (hour, minute) = (n / 3 % 24, n / 72 % 60);
    let event_type = ["pageview", "signup", "purchase"][n % 7 % 3];
    let country = ["CH", "DE", "SE", "US"][n % 11 % 4];
    let mut event = json!({
        "event_id": format!("id-{n}"),
        "@timestamp": format!("2026-03-{day}T{hour:02}:{minute:02}:00.000Z"),
        "event_type": event_type,
        "page_url_path": format!("/page/{}", n % 13),
        "geo_country": country,
        "user_domain_id": format!("visitor-{}", n % 500),
        "engaged_ms": n * 10,
        "scroll_percent": (n % 100) as f64,
        "is_bot": n.is_multiple_of(10),
        "ip_address": format!("192.0.2.{}", n % 200),
        "unknown_member": { "a.b": [1, "x\ny"], "__proto__": 1 },
    });
    if n.is_multiple_of(5) {
        event["utm_source"] = "newsletter".into();
        event["props"] = json!({ "plan": if n.is_multiple_of(2) { "free" } else { "paid" } });
    }
    event
}

impl Suite<'_> {
    fn document(&self, n: usize) -> Document {
        Document {
            id: format!("id-{n}"),
            index: format!("{}-2026.03.{}", self.prefix, 10 + n % 3),
            source: Bytes::from(self.events[n].to_string()),
        }
    }

    async fn search(&self, body: Value) -> Result<Value, QueryError> {
        let indices = Indices::parse(&format!("{}-*", self.prefix), &[self.prefix])?;
        self.store.query(&Query::Search { indices, body }).await
    }

    async fn answer(&self, body: Value) -> Value {
        let words = body.to_string();
        self.search(body)
            .await
            .unwrap_or_else(|error| panic!("{words}: {error}"))
    }

    async fn total(&self, query: Value) -> usize {
        let answer = self
            .answer(json!({ "query": query, "size": 0, "track_total_hits": true }))
            .await;
        answer["hits"]["total"]["value"]
            .as_u64()
            .expect("the object form") as usize
    }

    async fn documents_are_created_once(&self) {
        let documents: Vec<_> = (0..COUNT).map(|n| self.document(n)).collect();
        let mut first = documents[..1_000].to_vec();
        first.push(self.document(0));
        let outcomes = self.store.write(&first).await.expect("writes");
        assert!(
            outcomes[..1_000]
                .iter()
                .all(|outcome| *outcome == Outcome::Created)
        );
        assert_eq!(
            outcomes[1_000],
            Outcome::Duplicate,
            "the same id in the same call"
        );
        let outcomes = self.store.write(&documents[..2]).await.expect("writes");
        assert_eq!(
            outcomes,
            [Outcome::Duplicate, Outcome::Duplicate],
            "before a sync"
        );
        self.store.sync().await.expect("syncs");
        let mut rest = documents[999..].to_vec();
        rest[1].source = Bytes::from_static(b"[1]");
        let outcomes = self.store.write(&rest).await.expect("writes");
        assert_eq!(outcomes[0], Outcome::Duplicate, "after a sync");
        assert!(
            matches!(outcomes[1], Outcome::Refused { .. }),
            "no object: {:?}",
            outcomes[1]
        );
        assert!(
            outcomes[2..]
                .iter()
                .all(|outcome| *outcome == Outcome::Created)
        );
        self.store
            .write(&documents[1_000..=1_000])
            .await
            .expect("writes");
        self.store.sync().await.expect("syncs");
        let since = Instant::now();
        while self.total(json!({ "match_all": {} })).await < COUNT {
            assert!(
                since.elapsed() < PATIENCE,
                "what is written becomes visible"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(self.total(json!({ "match_all": {} })).await, COUNT);
    }

    async fn queries_find_what_plain_code_finds(&self) {
        let cases: Vec<(Value, fn(usize) -> bool)> = vec![
            (json!({"term": {"is_bot": true}}), |n| n % 10 == 0),
            (json!({"term": {"geo_country": {"value": "CH"}}}), |n| {
                n % 11 % 4 == 0
            }),
            (json!({"term": {"geo_country": "ZZ"}}), |_| false),
            (json!({"term": {"engaged_ms": 500}}), |n| n == 50),
            (json!({"term": {"ip_address": "192.0.2.7"}}), |n| {
                n % 200 == 7
            }),
            (
                json!({"terms": {"page_url_path": ["/page/1", "/page/12"]}}),
                |n| n % 13 == 1 || n % 13 == 12,
            ),
            (json!({"term": {"props.plan": "paid"}}), |n| n % 10 == 5),
            (json!({"exists": {"field": "utm_source"}}), |n| n % 5 == 0),
            (json!({"exists": {"field": "no_such_field"}}), |_| false),
            (json!({"prefix": {"page_url_path": "/page/1"}}), |n| {
                n % 13 == 1 || n % 13 >= 10
            }),
            (
                json!({"range": {"engaged_ms": {"gte": 100, "lt": 200}}}),
                |n| (10..20).contains(&n),
            ),
            (json!({"range": {"scroll_percent": {"gt": 98}}}), |n| {
                n % 100 == 99
            }),
            (
                json!({"range": {"@timestamp": {"gte": "2026-03-11T00:00:00Z", "lt": "2026-03-12||"}}}),
                |n| n % 3 == 1,
            ),
            (
                json!({"range": {"@timestamp": {"gte": "2026-03-12T10:00:00Z||/d"}}}),
                |n| n % 3 == 2,
            ),
            (
                json!({"bool": {
                    "filter": [{"term": {"is_bot": false}}],
                    "must_not": {"exists": {"field": "utm_source"}},
                    "should": [{"term": {"event_type": "signup"}}, {"term": {"event_type": "purchase"}}],
                    "minimum_should_match": 1,
                }}),
                |n| n % 10 != 0 && n % 5 != 0 && n % 7 % 3 != 0,
            ),
            (
                json!({"bool": {"must_not": [{"term": {"is_bot": true}}]}}),
                |n| n % 10 != 0,
            ),
        ];
        for (query, expected) in cases {
            let expected = (0..COUNT).filter(|n| expected(*n)).count();
            assert_eq!(self.total(query.clone()).await, expected, "{query}");
        }
    }

    fn counted(&self, name: &str) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        for value in self.events.iter().filter_map(|event| event[name].as_str()) {
            *counted.entry(value.to_owned()).or_default() += 1;
        }
        counted
    }

    async fn aggregations_agree_with_plain_code(&self) {
        let answer = self
            .answer(json!({ "size": 0, "aggs": {
                "countries": { "terms": { "field": "geo_country", "size": 10 }, "aggs": {
                    "engaged": { "stats": { "field": "engaged_ms" } },
                } },
                "days": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1d" }, "aggs": {
                    "visitors": { "cardinality": { "field": "user_domain_id" } },
                } },
                "visitors": { "cardinality": { "field": "user_domain_id" } },
                "scroll": { "percentiles": { "field": "scroll_percent", "percents": [50, 95] } },
                "steps": { "histogram": { "field": "scroll_percent", "interval": 25 } },
                "halves": { "range": { "field": "scroll_percent", "ranges": [{ "to": 50 }, { "from": 50 }] } },
            } }))
            .await;
        let found = &answer["aggregations"];
        let buckets = |name: &str| found[name]["buckets"].as_array().expect("buckets").clone();
        let countries: BTreeMap<String, u64> = buckets("countries")
            .iter()
            .map(|b| {
                (
                    b["key"].as_str().expect("a key").into(),
                    b["doc_count"].as_u64().unwrap_or(0),
                )
            })
            .collect();
        assert_eq!(countries, self.counted("geo_country"));
        for bucket in buckets("countries") {
            let of = |event: &&Value| event["geo_country"] == bucket["key"];
            let sum: f64 = self
                .events
                .iter()
                .filter(of)
                .filter_map(|event| event["engaged_ms"].as_f64())
                .sum();
            assert_eq!(bucket["engaged"]["sum"].as_f64(), Some(sum));
        }
        let days: Vec<_> = buckets("days")
            .iter()
            .map(|b| b["doc_count"].as_u64())
            .collect();
        assert_eq!(days, [Some(667), Some(666), Some(666)]);
        let first = &buckets("days")[0];
        assert_eq!(
            first["key"].as_f64(),
            Some(1_773_100_800_000.0),
            "milliseconds"
        );
        let visitors: HashSet<_> = self
            .events
            .iter()
            .map(|e| e["user_domain_id"].as_str())
            .collect();
        near(
            &found["visitors"]["value"],
            visitors.len() as f64,
            "visitors",
        );
        near(&found["scroll"]["values"]["50.0"], 49.5, "median");
        near(&found["scroll"]["values"]["95.0"], 94.5, "95th percentile");
        let steps: Vec<_> = buckets("steps")
            .iter()
            .map(|b| b["doc_count"].as_u64())
            .collect();
        assert_eq!(steps, [Some(500), Some(500), Some(500), Some(499)]);
        let halves: Vec<_> = buckets("halves")
            .iter()
            .map(|b| b["doc_count"].as_u64())
            .collect();
        assert!(
            halves.contains(&Some(1_000)) && halves.contains(&Some(999)),
            "{halves:?}"
        );
    }

    async fn filters_and_calendars_agree_with_plain_code(&self) {
        let answer = self
            .answer(json!({
                "size": 0,
                "query": { "term": { "is_bot": false } },
                "aggs": {
                    "kinds": { "filters": { "filters": {
                        "tagged": { "exists": { "field": "utm_source" } },
                        "signups": { "term": { "event_type": "signup" } },
                    } }, "aggs": { "engaged": { "max": { "field": "engaged_ms" } } } },
                    "listed": { "filters": { "filters": [{ "match_none": {} }, { "match_all": {} }] } },
                    "signups": { "filter": { "term": { "event_type": "signup" } }, "aggs": {
                        "countries": { "terms": { "field": "geo_country" } },
                        "paid": { "filter": { "term": { "props.plan": "paid" } } },
                    } },
                    "days": { "date_histogram": { "field": "@timestamp", "calendar_interval": "day" } },
                    "weeks": { "date_histogram": { "field": "@timestamp", "calendar_interval": "week" } },
                },
            }))
            .await;
        let humans = || self.events.iter().filter(|event| event["is_bot"] == false);
        let is_signup = |event: &&Value| event["event_type"] == "signup";
        let count = |of: &dyn Fn(&&Value) -> bool| humans().filter(|e| of(e)).count() as u64;
        let found = &answer["aggregations"];
        let (kinds, signups) = (&found["kinds"]["buckets"], &found["signups"]);
        let tagged = count(&|event| event["utm_source"].is_string());
        assert_eq!(kinds["tagged"]["doc_count"], tagged);
        assert_eq!(kinds["signups"]["doc_count"], count(&is_signup));
        let engaged = humans()
            .filter(is_signup)
            .filter_map(|e| e["engaged_ms"].as_f64());
        let engaged = engaged.fold(0.0, f64::max);
        assert_eq!(kinds["signups"]["engaged"]["value"].as_f64(), Some(engaged));
        assert_eq!(found["listed"]["buckets"][0]["doc_count"], 0);
        assert_eq!(found["listed"]["buckets"][1]["doc_count"], humans().count());
        assert_eq!(signups["doc_count"], count(&is_signup));
        let paid = count(&|event| is_signup(event) && event["props"]["plan"] == "paid");
        assert_eq!(signups["paid"]["doc_count"], paid);
        let countries = signups["countries"]["buckets"].as_array().expect("buckets");
        let sum: u64 = countries
            .iter()
            .filter_map(|b| b["doc_count"].as_u64())
            .sum();
        assert_eq!(sum, count(&is_signup));
        let starts = |name: &str| -> Vec<Option<f64>> {
            let buckets = found[name]["buckets"].as_array().expect("buckets");
            buckets
                .iter()
                .map(|bucket| bucket["key"].as_f64())
                .collect()
        };
        assert_eq!(starts("days").len(), 3);
        // Monday, 9 March 2026.
        assert_eq!(starts("weeks"), [Some(1_773_014_400_000.0)]);
    }

    async fn hits_are_sorted_paged_and_filtered(&self) {
        let answer = self
            .answer(json!({
                "sort": [{ "engaged_ms": { "order": "desc" } }],
                "from": 10, "size": 5, "_source": ["event_id"],
            }))
            .await;
        let hits = answer["hits"]["hits"].as_array().expect("hits");
        let ids: Vec<_> = hits.iter().map(|hit| hit["_id"].as_str()).collect();
        let expected: Vec<_> = (0..5).map(|n| format!("id-{}", COUNT - 11 - n)).collect();
        assert_eq!(
            ids,
            expected
                .iter()
                .map(|id| Some(id.as_str()))
                .collect::<Vec<_>>()
        );
        assert_eq!(hits[0]["_source"], json!({ "event_id": expected[0] }));
        let whole = self
            .answer(json!({ "query": { "term": { "engaged_ms": 70 } } }))
            .await;
        assert_eq!(
            whole["hits"]["hits"][0]["_source"], self.events[7],
            "the document as written"
        );
    }

    async fn names_and_patterns_are_told_apart(&self) {
        let ask = async |list: &str| {
            let indices = Indices::parse(list, &[self.prefix])?;
            let body = json!({ "query": { "match_all": {} } });
            self.store.query(&Query::Count { indices, body }).await
        };
        let prefix = self.prefix;
        let one = ask(&format!("{prefix}-2026.03.10")).await.expect("counts");
        assert_eq!(one["count"], 667);
        let none = ask(&format!("{prefix}-1999*"))
            .await
            .expect("a pattern without match is empty");
        assert_eq!(none["count"], 0);
        let missing = ask(&format!("{prefix}-1999.01.01")).await;
        assert!(
            matches!(missing, Err(QueryError::NoSuchIndex(_))),
            "{missing:?}"
        );
        for foreign in [".security", "other", "*", "", "../etc"] {
            assert!(ask(foreign).await.is_err(), "{foreign}");
        }
        let wrong = self
            .search(json!({ "aggs": { "x": { "no_such_aggregation": {} } } }))
            .await;
        assert!(matches!(wrong, Err(QueryError::BadRequest(_))), "{wrong:?}");
    }

    async fn old_days_are_dropped_whole(&self) {
        let oldest = Doomed::Before(date(2026, 3, 11));
        let dropped = self.store.delete(&oldest).await;
        let dropped = dropped.expect("old days can be dropped");
        let expected = Deleted {
            indices: vec![format!("{}-2026.03.10", self.prefix)],
            documents: 0,
        };
        assert_eq!(dropped, expected);
        assert_eq!(self.total(json!({ "match_all": {} })).await, COUNT - 667);
    }

    /// Runs last: the first day is gone by then.
    async fn documents_of_a_visitor_are_deleted(&self) {
        let erase = async |value: &str| {
            let doomed = Doomed::Of {
                field: "user_domain_id",
                value: value.to_owned(),
            };
            let erased = self.store.delete(&doomed).await;
            erased.expect("documents can be deleted").documents
        };
        let of = |visitor: usize| {
            let is_theirs = move |n: &usize| n % 500 == visitor && !n.is_multiple_of(3);
            (0..COUNT).filter(is_theirs)
        };
        let all = self.total(json!({ "match_all": {} })).await;
        let count = of(7).count();
        assert!(count > 1);
        assert_eq!(erase("visitor-7").await, count as u64);
        assert_eq!(self.total(json!({ "match_all": {} })).await, all - count);
        assert_eq!(erase("visitor-7").await, 0, "they are gone");
        assert_eq!(erase("visitor-").await, 0, "a value counts whole");
        let theirs: Vec<_> = of(7).map(|n| self.document(n)).collect();
        let outcomes = self.store.write(&theirs).await.expect("writes");
        assert_eq!(
            outcomes,
            vec![Outcome::Created; count],
            "their ids are free"
        );
        assert_eq!(
            erase("visitor-7").await,
            count as u64,
            "what was written is found without a sync"
        );
        self.store.sync().await.expect("syncs");
        assert_eq!(self.total(json!({ "match_all": {} })).await, all - count);
    }
}

/// Within 2 %, the bound for sketches.
fn near(value: &Value, expected: f64, what: &str) {
    let value = value.as_f64().unwrap_or(f64::NAN);
    assert!(
        (value - expected).abs() <= expected * 0.02,
        "{what}: {value}, expected {expected}"
    );
}
