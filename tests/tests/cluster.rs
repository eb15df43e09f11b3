//! Three processes over a real broker and a real engine.
//!
//! `make test` starts both and runs these. `make chaos` runs twenty rounds of the kill test; its
//! seed is printed, and WEIR_CHAOS_SEED repeats a run.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tests::cluster::{Cluster, service};
use tests::process::{printed, variable};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn posted_event_is_found_enriched() {
    let mut cluster = Cluster::start().await.unwrap();
    let event = json!({
        "event_id": "one",
        "event_type": "pageview",
        "utm_source": "facebook",
        "ip_address": "192.0.2.5",
        "user_domain_id": "someone",
    });
    for _ in 0..2 {
        assert_eq!(cluster.post(event.to_string()).await.unwrap(), 204);
    }
    let other = json!({ "event_id": "two", "event_type": "signup" });
    assert_eq!(cluster.post(other.to_string()).await.unwrap(), 204);
    assert_eq!(cluster.wait_for_documents(2).await.unwrap(), 2);
    let query = json!({ "query": { "ids": { "values": ["one"] } } });
    let answer = cluster.search(&query).await.unwrap();
    let document = &answer["hits"]["hits"][0]["_source"];
    assert_eq!(document["source_category"], "social_media", "{answer}");
    assert!(document["geo_country"].is_string(), "{document}");
    for stage in &mut cluster.stages {
        assert!(
            stage.stop().unwrap().success(),
            "a stop by signal ends well"
        );
    }
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn forgotten_visitor_stays_forgotten() {
    let mut cluster = Cluster::start().await.unwrap();
    let event = |id: &str, user: &str| json!({ "event_id": id, "event_type": "pageview", "user_domain_id": user });
    let theirs = [event("one", "visitor"), event("two", "visitor")];
    let all = json!([theirs[0], theirs[1], event("three", "other")]);
    assert_eq!(cluster.post(all.to_string()).await.unwrap(), 204);
    assert_eq!(cluster.wait_for_documents(3).await.unwrap(), 3);
    let output = cluster
        .command("forget", &["--user", "visitor", "--export"])
        .unwrap();
    let receipt = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{receipt}");
    let exported = String::from_utf8_lossy(&output.stdout);
    assert_eq!(exported.lines().count(), 2, "{exported}");
    assert!(receipt.contains("deleted    2 documents"), "{receipt}");
    assert!(
        receipt.contains("kept ") && receipt.contains(" until "),
        "{receipt}"
    );
    // The raw records again, as a group that starts anew reads them: from the beginning.
    for stage in &mut cluster.stages[1..] {
        stage.kill().unwrap();
    }
    cluster.forget_offsets();
    for stage in &mut cluster.stages[1..] {
        stage.kill_and_restart().unwrap();
    }
    cluster.wait_until_ready().await.unwrap();
    let last = json!([event("four", "visitor"), event("five", "other")]);
    assert_eq!(cluster.post(last.to_string()).await.unwrap(), 204);
    assert_eq!(cluster.wait_for_documents(3).await.unwrap(), 3);
    let query = json!({ "query": { "term": { "user_domain_id": "visitor" } } });
    let answer = cluster.search(&query).await.unwrap();
    assert_eq!(answer["hits"]["total"]["value"], 1, "{answer}");
    assert_eq!(answer["hits"]["hits"][0]["_id"], "four");
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn event_of_a_foreign_client_arrives_enriched() {
    let cluster = Cluster::start().await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/services/foreign-producer");
    let output = std::process::Command::new(script)
        .args([
            "run",
            &service("WEIR_TEST_KAFKA"),
            &cluster.raw_topic(),
            "100",
        ])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let ids: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(ids.len(), 100);
    cluster.wait_for_documents(100).await.unwrap();
    assert_eq!(cluster.copies(&ids).await.unwrap(), vec![1; 100]);
    let by_source = json!({
        "size": 0,
        "aggs": { "sources": {
            "terms": { "field": "utm_source" },
            "aggs": { "categories": { "terms": { "field": "source_category" } } },
        } },
    });
    let answer = cluster.search(&by_source).await.unwrap();
    let buckets = answer["aggregations"]["sources"]["buckets"]
        .as_array()
        .unwrap();
    assert!(!buckets.is_empty());
    for bucket in buckets {
        let source = bucket["key"].as_str().unwrap();
        let expected = match source {
            "google" | "bing" => "search_engine",
            "facebook" | "instagram" => "social_media",
            "mailchimp" => "email_marketing",
            other => panic!("the package has no source {other}"),
        };
        let categories = bucket["categories"]["buckets"].as_array().unwrap();
        assert_eq!(categories.len(), 1, "{source}");
        assert_eq!(categories[0]["key"], expected, "{source}");
    }
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn dead_letter_is_listed_shown_and_sent_again() {
    let cluster = Cluster::start().await.unwrap();
    // The second is unfit: it has no type.
    let body = json!([{ "event_id": "a", "event_type": "a" }, { "event_id": "\u{1b}[2J" }]);
    assert_eq!(cluster.post(body.to_string()).await.unwrap(), 200);
    let listed = printed(cluster.command("dlq", &["list"]).unwrap()).unwrap();
    assert!(listed.contains("missing_event_type"), "{listed}");
    let id = listed.split_whitespace().nth(3).unwrap().to_owned();
    let shown = printed(cluster.command("dlq", &["show", &id]).unwrap()).unwrap();
    assert!(
        shown.contains("event_id") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let none = ["replay", "--code", "too_old"];
    let report = printed(cluster.command("dlq", &none).unwrap()).unwrap();
    assert!(report.starts_with("0 sent"), "{report}");
    let report = printed(cluster.command("dlq", &["replay", "--dry-run"]).unwrap()).unwrap();
    assert!(report.starts_with("1 would be sent"), "{report}");
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn poison_is_buried_with_its_reason_and_restored_after_a_mend() {
    const POISON: [usize; 2] = [41, 141];
    let cluster = Cluster::start().await.unwrap();
    // A mistake of the operator: titles are not numbers.
    let wrong = json!({ "template": { "mappings": { "properties": {
        "page_title": { "type": "long", "ignore_malformed": false },
    } } } });
    cluster
        .put("_component_template/PREFIX@custom", &wrong)
        .await
        .unwrap();
    let event = |n: usize| {
        let title = if POISON.contains(&n) { "a title" } else { "7" };
        json!({ "event_id": format!("id-{n}"), "event_type": "a", "page_title": title })
    };
    let ids: Vec<String> = (0..200).map(|n| format!("id-{n}")).collect();
    let events: Vec<_> = (0..200).map(event).collect();
    assert_eq!(cluster.post(json!(events).to_string()).await.unwrap(), 204);
    cluster.wait_for_documents(198).await.unwrap();
    let run = |arguments: &[&str]| {
        let output = cluster.command("dlq", arguments).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let since = Instant::now();
    let listed = loop {
        let listed = run(&["list", "--code", "store_refused", "--stage", "sink"]);
        if listed.lines().count() >= 2 || since.elapsed() > Duration::from_secs(60) {
            break listed;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("field page_title"), "{listed}");
    assert!(
        !listed.contains("a title"),
        "nothing of the event: {listed}"
    );
    // The copies are searchable beside the events.
    let copies = cluster.wait_for_copies(2).await.unwrap();
    assert_eq!(copies, 2);

    let mended =
        json!({ "properties": { "page_title": { "type": "long", "ignore_malformed": true } } });
    cluster.put("PREFIX-*/_mapping", &mended).await.unwrap();
    let dry = run(&["replay", "--code", "store_refused", "--dry-run"]);
    assert!(dry.starts_with("2 would be sent again"), "{dry}");
    // Twice, a letter at a time: what was sent already changes nothing.
    for _ in 0..2 {
        let sent = run(&["replay", "--code", "store_refused", "--rate", "1"]);
        assert!(sent.starts_with("2 sent again"), "{sent}");
    }
    cluster.wait_for_documents(200).await.unwrap();
    assert_eq!(cluster.copies(&ids).await.unwrap(), vec![1; 200]);
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn names_of_properties_sites_and_paths_make_nothing_grow() {
    const COUNT: u64 = 10_000;
    let cluster = Cluster::start().await.unwrap();
    let event = |n: u64| {
        // Types conflict: the same name is a number, a text, an object.
        let value = [json!(n), json!("text"), json!({ "deep": true })][n as usize % 3].clone();
        json!({
            "event_id": format!("id-{n}"),
            "event_type": format!("type {n}"),
            "site": format!("site-{n}.example"),
            "page_url": format!("https://site-{n}.example/{n}?utm_source=s{n}"),
            "browser_user_agent": format!("agent/{n}"),
            "props": { format!("name {n}"): value, "same": value },
            format!("member {n}"): n,
        })
    };
    let first = json!([event(0), event(1), event(2)]).to_string();
    assert_eq!(cluster.post(first).await.unwrap(), 204);
    cluster.wait_for_documents(3).await.unwrap();
    let mapping = cluster.get("PREFIX-*/_mapping").await.unwrap();
    for from in (0..COUNT).step_by(500) {
        let events: Vec<_> = (from..from + 500).map(event).collect();
        assert_eq!(cluster.post(json!(events).to_string()).await.unwrap(), 204);
    }
    assert_eq!(cluster.wait_for_documents(COUNT).await.unwrap(), COUNT);
    assert_eq!(cluster.get("PREFIX-*/_mapping").await.unwrap(), mapping);
    for admin in &cluster.admin {
        let url = format!("http://{admin}/metrics");
        let answer = tests::process::client().get(url).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        println!("{series} series, {} bytes", text.len());
        assert!(series <= 500 && text.len() <= 256 << 10);
        assert!(!text.contains("site-") && !text.contains("type "));
    }
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn commands_say_what_they_find() {
    let cluster = Cluster::start().await.unwrap();
    let run = |name, arguments: &[&str]| {
        let output = cluster.command(name, arguments).unwrap();
        let code = output.status.code().unwrap();
        (code, String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = run("topics", &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("-raw: exists, 3 partitions"), "{said}");
    let (code, said) = run("check", &["--connect"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("good     stream: brokers"), "{said}");
    assert!(said.contains("good     store:"), "{said}");
    let (code, said) = run("setup", &[]);
    assert_eq!(code, 0, "{said}");
    let url = format!("http://{}/collect", cluster.public());
    let (code, said) = run("send", &["--url", &url]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("accepted"), "{said}");
    cluster.wait_for_documents(1).await.unwrap();
    cluster.clean().await.unwrap();
}

#[test]
#[ignore = "needs a broker and an engine: make test"]
fn secured_services_are_reached_and_wrong_credentials_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca = format!("{}/ca.pem", service("WEIR_TEST_KAFKA_FOLDER"));
    let run = |name: &str, more: &[&str], kafka: &str, elasticsearch: &str| {
        let mut command = tests::process::weir();
        let output = command
            .current_dir(folder.path())
            .arg(name)
            .args(more)
            .env("XDG_DATA_HOME", folder.path())
            .env("WEIR_ADMIN__LISTEN", "127.0.0.1:0")
            .env("WEIR_GATEWAY__LISTEN", "127.0.0.1:0")
            .env(
                "WEIR_STREAM",
                format!("kafka://{}", service("WEIR_TEST_KAFKA_SECURE")),
            )
            .env("WEIR_KAFKA__USERNAME", "app")
            .env("WEIR_KAFKA__PASSWORD", kafka)
            .env("WEIR_KAFKA__CA_FILE", &ca)
            .env("WEIR_STORE", service("WEIR_TEST_ELASTICSEARCH_SECURE"))
            .env("WEIR_ELASTICSEARCH__USERNAME", "tester")
            .env("WEIR_ELASTICSEARCH__PASSWORD", elasticsearch)
            .env(
                "WEIR_ELASTICSEARCH__CA_FILE",
                service("WEIR_TEST_ELASTICSEARCH_SECURE_CA"),
            )
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    };
    let (code, said) = run("topics", &[], "app-secret", "tester-password");
    assert_eq!(code, 0, "{said}");
    let (code, said) = run("setup", &[], "app-secret", "tester-password");
    assert_eq!(code, 0, "{said}");
    let (code, said) = run("check", &["--connect"], "app-secret", "tester-password");
    assert_eq!(code, 0, "{said}");
    let (code, said) = run("check", &["--connect"], "wrong", "wrong");
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("kafka.password"), "{said}");
    assert!(
        said.contains("[elasticsearch] username, password"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine: make test"]
async fn kill_nine_of_any_stage_loses_nothing_and_doubles_nothing() {
    let rounds = variable("WEIR_CHAOS_ROUNDS", 3);
    let seed = variable(
        "WEIR_CHAOS_SEED",
        std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(),
    );
    println!("WEIR_CHAOS_SEED={seed} WEIR_CHAOS_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await.unwrap();
    let (mut acknowledged, mut sent) = (Vec::new(), 0_u64);
    for round in 0..rounds {
        // Each stage is killed in each round, at a moment of its own.
        let mut kills: Vec<(u64, usize)> = (0..3)
            .map(|stage| (random.random_range(100..2_500), stage))
            .collect();
        kills.sort_unstable();
        let start = Instant::now();
        let mut kills = kills.into_iter().peekable();
        while start.elapsed() < Duration::from_secs(3) {
            if let Some((at, stage)) = kills.peek().copied()
                && start.elapsed() > Duration::from_millis(at)
            {
                cluster.stages[stage].kill_and_restart().unwrap();
                kills.next();
            }
            let ids: Vec<String> = (sent..sent + 20).map(|n| format!("id-{n}")).collect();
            sent += 20;
            let event = |id: &String| json!({ "event_id": id, "event_type": "a" });
            let events: Vec<_> = ids.iter().map(event).collect();
            match cluster.post(json!(events).to_string()).await {
                Ok(204) => acknowledged.extend(ids),
                // The gateway is down, or says that nothing is certain.
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        cluster.wait_until_ready().await.unwrap();
        println!(
            "round {round}: {} of {sent} acknowledged",
            acknowledged.len()
        );
    }
    assert!(acknowledged.len() > 100, "the rounds sent events");
    let count = acknowledged.len() as u64;
    cluster.wait_for_documents(count).await.unwrap();
    // What was sent without an answer may still be under way.
    let since = Instant::now();
    let copies = loop {
        let copies = cluster.copies(&acknowledged).await.unwrap();
        if copies.iter().all(|count| *count == 1) || since.elapsed() > Duration::from_secs(30) {
            break copies;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let missing = copies.iter().filter(|count| **count == 0).count();
    let doubled = copies.iter().filter(|count| **count > 1).count();
    assert_eq!((missing, doubled), (0, 0), "of {count} acknowledged");
    cluster.clean().await.unwrap();
}
