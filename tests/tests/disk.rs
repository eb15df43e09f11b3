//! A disk that fills up and a disk that breaks, below a real process.
//!
//! A small library in C (`faults/disk.c`) is preloaded into it and makes its calls fail on demand.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tests::process::{PATIENCE, client};
use tests::weir::{Weir, copies};

/// Faults below a process, off at first.
struct Faults(TempDir);

impl Faults {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        tests::faults::compile("disk", folder.path()).expect("it compiles");
        Self(folder)
    }

    async fn weir(&self) -> Weir {
        let (library, switch) = (self.0.path().join("disk.so"), self.switch());
        let put_below = move |command: &mut Command, data: &std::path::Path| {
            command
                .env("LD_PRELOAD", &library)
                .env("DISK_FAULT", &switch)
                .env("DISK_FAULT_FOLDER", data);
        };
        Weir::start_with(put_below).await.expect("it starts")
    }

    fn switch(&self) -> PathBuf {
        self.0.path().join("switch")
    }

    fn begin(&self, letter: &str) {
        std::fs::write(self.switch(), letter).expect("the switch is set");
    }

    fn end(&self) {
        std::fs::remove_file(self.switch()).expect("the switch was set");
    }
}

/// Posts events until one is answered with `status`; the ids of those that were accepted.
async fn post_until(weir: &Weir, prefix: &str, status: u16) -> Vec<String> {
    let (since, mut accepted) = (Instant::now(), Vec::new());
    for n in 0.. {
        let id = format!("{prefix}-{n}");
        let event = json!({ "event_id": id, "event_type": "a" });
        let answered = weir.post(event.to_string()).await.expect("an answer");
        if answered == 204 {
            accepted.push(id);
        }
        if answered == status {
            return accepted;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "answered {answered}, not {status}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    accepted
}

async fn check_each_is_there_once(weir: &Weir, ids: &[String]) {
    let count = ids.len() as u64;
    weir.wait_for_documents(count).await.expect("they come");
    let url = format!("http://{}/web-events-*/_search", weir.admin());
    let copies = copies(&client(), &url, ids).await;
    let copies = copies.expect("they are counted");
    assert_eq!(copies, vec![1; ids.len()]);
}

#[tokio::test]
async fn full_disk_refuses_says_so_and_goes_on_unaided() {
    let faults = Faults::new();
    let weir = faults.weir().await;
    let mut accepted = Vec::new();
    for round in 0..3 {
        accepted.extend(post_until(&weir, &format!("before-{round}"), 204).await);
        faults.begin("f");
        accepted.extend(post_until(&weir, &format!("full-{round}"), 503).await);
        let event = json!({ "event_type": "a" }).to_string();
        let url = format!("http://{}/collect", weir.public());
        let answer = client().post(&url).body(event).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        let body = answer.text().await.unwrap();
        assert!(body.contains("spool_full"), "{body}");
        let ready = format!("http://{}/readyz", weir.public());
        assert_eq!(client().get(&ready).send().await.unwrap().status(), 503);
        faults.end();
        accepted.extend(post_until(&weir, &format!("after-{round}"), 204).await);
    }
    check_each_is_there_once(&weir, &accepted).await;
}

#[tokio::test]
async fn failed_sync_ends_the_process_naming_the_file_and_loses_nothing_acknowledged() {
    let faults = Faults::new();
    let mut weir = faults.weir().await;
    let accepted: Vec<String> = (0..100).map(|n| format!("id-{n}")).collect();
    for id in &accepted {
        let event = json!({ "event_id": id, "event_type": "a" });
        assert_eq!(weir.post(event.to_string()).await.unwrap(), 204);
    }
    faults.begin("e");
    let event = json!({ "event_type": "a" }).to_string();
    let answer = weir.post(event).await;
    assert!(!matches!(answer, Ok(200..300)), "{answer:?}");
    let (status, words) = weir.wait_for_end().unwrap();
    assert!(!status.success(), "{status}");
    assert!(words.contains(".log cannot be synced"), "{words}");
    faults.end();
    weir.kill_and_restart().await.unwrap();
    check_each_is_there_once(&weir, &accepted).await;
}
