//! Everything in one process, from a POST to a search.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tests::faults;
use tests::process;
use tests::weir::Weir;

#[tokio::test]
async fn posted_event_is_found_enriched() {
    let weir = Weir::start().await.unwrap();
    let event = json!({
        "event_id": "one",
        "event_type": "pageview",
        "utm_source": "google",
        "ip_address": "192.0.2.5",
        "user_custom_id": "someone@example.org",
        "browser_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
            (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "mine": 1,
    });
    assert_eq!(weir.post(event.to_string()).await.unwrap(), 204);
    assert_eq!(
        weir.post(event.to_string()).await.unwrap(),
        204,
        "a repetition"
    );
    assert_eq!(weir.wait_for_documents(1).await.unwrap(), 1);
    let query = json!({ "query": { "term": { "source_category": "search_engine" } } });
    let answer = weir.search(&query).await.unwrap();
    let hit = &answer["hits"]["hits"][0];
    assert_eq!(hit["_id"], "one");
    let document = &hit["_source"];
    assert_eq!(document["browser_name"], "Chrome");
    assert_eq!(document["user_email_domain"], "example.org");
    assert_eq!(document["ip_address"], "192.0.2.0", "cut after the look-up");
    assert!(document["geo_country"].is_string(), "{document}");
    assert_eq!(document["props"]["mine"], 1);
    let id = document["user_domain_id"].as_str().unwrap_or_default();
    assert_eq!(id.len(), 32, "the hash of the day: {document}");
}

#[tokio::test]
async fn retry_after_midnight_is_known_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let library = faults::compile("clock", folder.path()).unwrap();
    let offset = folder.path().join("offset");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let midnight = (now / 86_400 + 2) * 86_400;
    let set = |time: u64| std::fs::write(&offset, (time - now).to_string()).unwrap();
    set(midnight - 10);
    let path = offset.clone();
    let weir = Weir::start_with(move |command, _| {
        command
            .env("LD_PRELOAD", &library)
            .env("CLOCK_OFFSET", &path);
    })
    .await
    .unwrap();
    let before = (midnight - 20) * 1_000;
    let timed = uuid::Builder::from_unix_timestamp_millis(before, &[7; 10]).into_uuid();
    let events = json!([
        { "event_id": "of the client's time", "event_type": "a", "event_timestamp": before },
        { "event_id": timed.to_string(), "event_type": "a" },
    ]);
    assert_eq!(weir.post(events.to_string()).await.unwrap(), 204);
    set(midnight + 3_600);
    assert_eq!(weir.post(events.to_string()).await.unwrap(), 204);
    let later = json!({ "event_id": "later", "event_type": "a" });
    assert_eq!(weir.post(later.to_string()).await.unwrap(), 204);
    assert_eq!(weir.wait_for_documents(3).await.unwrap(), 3);
    let answer = weir.search(&json!({})).await.unwrap();
    let hits = answer["hits"]["hits"].as_array().unwrap();
    let is_later = |hit: &Value| hit["_id"] == "later";
    let (later, before): (Vec<&Value>, Vec<&Value>) = hits.iter().partition(|hit| is_later(hit));
    assert_eq!((later.len(), before.len()), (1, 2), "{answer}");
    assert_eq!(before[0]["_index"], before[1]["_index"]);
    assert_ne!(before[0]["_index"], later[0]["_index"]);
}

#[tokio::test]
async fn load_is_acknowledged_and_verified() {
    let weir = Weir::start().await.unwrap();
    let (collect, store) = (
        format!("http://{}/collect", weir.public()),
        format!("http://{}", weir.admin()),
    );
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let run = |store: &str| {
        std::process::Command::new(process::executable("loadgen"))
            .args([&collect, "--verify", store, "--verify-timeout", "5s"])
            .args(["--rate", "1000", "--duration", "2s", "--batch", "5"])
            .args(["--seed", "7", "--demo-addresses", "--report"])
            .arg(&report)
            .output()
            .unwrap()
    };
    let output = run(&store);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let report = std::fs::read_to_string(&report).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["acknowledged"], 2_000, "{report}");
    assert_eq!(report["verified"]["once"], 2_000, "{report}");
    // The enriched documents carry what the demo GeoIP file knows of such addresses.
    let query = json!({ "query": { "exists": { "field": "geo_city" } }, "size": 0 });
    let answer = weir.search(&query).await.unwrap();
    assert_eq!(answer["hits"]["total"]["value"], 2_000, "{answer}");
    // The same events again: acknowledged, and still there once.
    let output = run(&store);
    assert!(output.status.success(), "{:?}", output.stderr);
    let other = Weir::start().await.unwrap();
    let output = run(&format!("http://{}", other.admin()));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("2000 events are missing"), "{words}");
    assert!(!output.status.success());
}

#[tokio::test]
async fn stop_drains_and_a_second_start_finds_the_data() {
    let mut weir = Weir::start().await.unwrap();
    for n in 0..200 {
        let event = json!({ "event_id": format!("e{n}"), "event_type": "a" });
        assert_eq!(weir.post(event.to_string()).await.unwrap(), 204);
    }
    assert!(weir.stop().unwrap().success());
    weir.kill_and_restart().await.unwrap();
    assert_eq!(weir.wait_for_documents(200).await.unwrap(), 200);
}

#[tokio::test]
async fn kill_nine_loses_nothing_and_doubles_nothing() {
    let mut weir = Weir::start().await.unwrap();
    let mut acknowledged = Vec::new();
    let mut sent = 0;
    for round in 0..5_u64 {
        // Different lengths, so that the kill falls into different moments of commit and sync.
        let until = std::time::Instant::now() + Duration::from_millis(300 + 370 * round);
        while std::time::Instant::now() < until {
            let ids: Vec<String> = (sent..sent + 20).map(|n| format!("id-{n}")).collect();
            sent += 20;
            let events: Vec<_> = ids
                .iter()
                .map(|id| json!({ "event_id": id, "event_type": "a" }))
                .collect();
            if weir.post(json!(events).to_string()).await.unwrap() == 204 {
                acknowledged.extend(ids);
            }
        }
        weir.kill_and_restart().await.unwrap();
    }
    assert!(acknowledged.len() > 100, "the rounds sent events");
    weir.wait_for_documents(acknowledged.len() as u64)
        .await
        .unwrap();
    let mut found: HashMap<String, u32> = HashMap::new();
    for chunk in acknowledged.chunks(1_000) {
        let query = json!({
            "query": { "terms": { "event_id": chunk } },
            "size": 10_000,
            "_source": ["event_id"],
        });
        let answer = weir.search(&query).await.unwrap();
        for hit in answer["hits"]["hits"].as_array().unwrap() {
            *found
                .entry(hit["_source"]["event_id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    let missing = acknowledged
        .iter()
        .filter(|id| !found.contains_key(*id))
        .count();
    let doubled = found.values().filter(|count| **count > 1).count();
    assert_eq!(
        (missing, doubled),
        (0, 0),
        "of {} acknowledged",
        acknowledged.len()
    );
}

#[tokio::test]
async fn commands_reach_the_process_that_holds_the_folder() {
    let weir = Weir::start().await.unwrap();
    let command = |arguments: &[&str]| {
        let mut command = process::weir();
        command
            .current_dir(weir.data_dir())
            .args(arguments)
            .env("WEIR_DATA_DIR", weir.data_dir())
            .env("WEIR_ADMIN__LISTEN", weir.admin())
            .env("WEIR_GATEWAY__LISTEN", weir.public());
        command
    };
    let say = |arguments: &[&str]| {
        let output = command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut tail = command(&["tail", "raw-web-events", "--where", "event_type=weir_test"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap());
    // The tail begins when it is there; events are sent until one is seen.
    let (seen, first) = std::sync::mpsc::channel();
    std::thread::spawn(move || seen.send(lines.lines().next()));
    let line = loop {
        assert!(say(&["send"]).starts_with("accepted"));
        if let Ok(line) = first.recv_timeout(Duration::from_millis(300)) {
            break line.unwrap().unwrap();
        }
    };
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert!(line.contains("weir_test"), "{line}");

    let unfit = json!([{ "event_type": "a" }, { "event_type": "" }]);
    assert_eq!(weir.post(unfit.to_string()).await.unwrap(), 200);
    let listed = say(&["dlq", "list"]);
    assert!(listed.contains("invalid_event_type"), "{listed}");
    let id = listed.split_whitespace().nth(3).unwrap();
    assert!(say(&["dlq", "show", id]).contains("\"event_type\":\"\""));
    assert!(say(&["dlq", "replay", "--dry-run"]).starts_with("1 would be sent"));
    let explained = say(&["explain", "https://a.example/?utm_source=bing"]);
    assert!(explained.contains("search_engine"), "{explained}");
    assert!(say(&["geo", "lookup", "198.18.0.1"]).contains("geo_country"));
}

#[tokio::test]
async fn data_of_a_newer_version_is_refused_with_both_versions_named() {
    let mut weir = Weir::start().await.unwrap();
    assert_eq!(
        weir.post(json!({ "event_type": "a" }).to_string())
            .await
            .unwrap(),
        204
    );
    assert!(weir.stop().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let data = weir.data_dir();
    let free = [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--data",
    ];
    let up = [&["up"], &free[..], &[data.to_str().unwrap()]].concat();
    for part in ["log", "store"] {
        let file = data.join(part).join("format");
        let own = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, "2\n").unwrap();
        let (code, error) = refusal(folder.path(), &up);
        assert_eq!(code, 1, "{error}");
        let words = format!("{part} format 2, this version reads up to 1");
        assert!(
            error.contains("data_dir") && error.contains(&words),
            "{error}"
        );
        std::fs::write(&file, own).unwrap();
    }
    weir.kill_and_restart().await.unwrap();
    assert_eq!(weir.wait_for_documents(1).await.unwrap(), 1);
}

fn refusal(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = process::run(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().expect("weir ends by itself"), error)
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_named_in_one_line() {
    let weir = Weir::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

    let taken = ["up", "--listen", weir.public(), "--admin", "127.0.0.1:0"];
    let (code, error) = refusal(folder.path(), &taken);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("gateway.listen"), "{error}");

    let data = weir.data_dir().display().to_string();
    let locked = [&["up"], &free[..], &["--data", &data]].concat();
    let (code, error) = refusal(folder.path(), &locked);
    assert_eq!(code, 1, "{error}");
    assert!(
        error.contains("data_dir") && error.contains("in use"),
        "{error}"
    );

    let data = folder.path().join("full").display().to_string();
    let mut full = process::weir();
    full.current_dir(folder.path())
        .args([&["up"], &free[..], &["--data", &data]].concat())
        .env("WEIR_EMBEDDED__MIN_FREE_BYTES", "1000000 GiB");
    let output = full.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("embedded.min_free_bytes"), "{error}");

    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let unusable = [&["up"], &free[..], &["--data", &path]].concat();
    let (code, error) = refusal(folder.path(), &unusable);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("data_dir"), "{error}");

    std::fs::write(
        folder.path().join("weir.toml"),
        "[gateway]\nlistne = \"x\"\n",
    )
    .unwrap();
    let (code, error) = refusal(folder.path(), &["check"]);
    assert_eq!(code, 78, "{error}");
    assert!(
        error.contains("weir.toml:2: unknown key gateway.listne, did you mean gateway.listen?")
    );
}

#[test]
fn settings_of_the_spool_that_cannot_hold_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |content: &str| {
        let file = folder.path().join("weir.toml");
        std::fs::write(file, format!("stream = \"kafka://127.0.0.1:1\"\n{content}")).unwrap();
        refusal(folder.path(), &["check"])
    };
    let (code, error) = check(
        "[gateway]\nspool_after = \"50ms\"\nspool_max_bytes = \"1 KiB\"\n\
         [kafka.properties]\n\"message.timeout.ms\" = \"0\"\n",
    );
    assert_eq!(code, 78, "{error}");
    for words in [
        "gateway.spool_after: 50ms is not within 100ms to 15s",
        "gateway.spool_max_bytes: 1 KiB is less than 1 MiB; 0 turns the spool off",
        "message.timeout.ms: 0, which is for ever, is not below 20s",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
    let (code, error) = check("[gateway]\nspool_after = \"16s\"\n");
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("gateway.spool_after: 16s"), "{error}");
    let (code, error) = check("[gateway]\nspool_max_bytes = 0\n");
    assert_eq!(code, 0, "{error}");
}

#[test]
fn proxies_that_name_their_clients_must_be_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    for (more, code) in [("", 78), ("trusted_proxies = [\"10.0.0.0/8\"]\n", 0)] {
        let content = format!("[gateway]\nproxy_protocol = \"v2\"\n{more}");
        std::fs::write(&file, content).unwrap();
        let (found, error) = refusal(folder.path(), &["check"]);
        assert_eq!(found, code, "{error}");
        let is_named = error.contains("gateway.proxy_protocol: \"v2\" needs the proxies' networks");
        assert_eq!(is_named, code == 78, "{error}");
    }
}

#[test]
fn output_without_a_reader_ends_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = process::weir();
    let child = command.args(["config", "default"]).stdout(writer);
    let child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*error), (Some(141), ""));
}
