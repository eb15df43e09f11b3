//! Connections: too many, too slow, too idle, without reading.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tests::process::{self, PATIENCE, Process, free_address};
use tests::weir::Weir;
use tests::wire;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::{eventually, files, good_request, resident_mib, start, start_with, unharmed};

/// Connections of each kind, as many as the limit of open files has room for.
fn crowd() -> usize {
    let limit = runtime::files::raise_limit();
    usize::try_from(limit / 8).unwrap_or(usize::MAX).min(1_000)
}

async fn connections(weir: &Weir, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = wire::connect(weir.public()).await.expect("a place");
        stream.write_all(first).await.expect("it is taken");
        streams.push(stream);
    }
    streams
}

/// Whether the server closed all of them, and the answers that came before.
async fn closings(streams: Vec<TcpStream>) -> Vec<wire::Came> {
    let listen = |mut stream: TcpStream| async move { wire::listen(&mut stream, PATIENCE).await };
    join_all(streams.into_iter().map(listen)).await
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_a_head_are_closed_and_others_are_served() {
    let weir = start().await;
    let count = crowd();
    let mut usual = Vec::new();
    for _ in 0..50 {
        usual.push(good_request(&weir).await);
    }
    let (base, since) = (files(&weir), Instant::now());
    let half = b"POST /collect HTTP/1.1\r\nHost: a\r\nX-Half: ";
    let mut all = Vec::new();
    for first in [&b""[..], b"P", half] {
        all.extend(connections(&weir, count, first).await);
    }
    let mut under_attack = Vec::new();
    for _ in 0..50 {
        under_attack.push(good_request(&weir).await);
    }
    let came = closings(all).await;
    assert!(came.iter().all(|came| came.is_closed));
    let took = since.elapsed();
    eventually("open files fall to where they were", || {
        files(&weir) <= base + 20
    })
    .await;
    usual.sort();
    under_attack.sort();
    println!(
        "3 x {count} stalled connections: all closed {took:?} after the first; honest requests: \
         median {:?} before, {:?} during; slowest {:?} before, {:?} during; open files {base} before, {} after",
        usual[25],
        under_attack[25],
        usual[49],
        under_attack[49],
        files(&weir),
    );
    unharmed(&weir).await;
}

#[tokio::test]
async fn bodies_that_trickle_are_answered_408_at_the_deadline_of_the_whole_body() {
    let weir = start().await;
    let head = b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{";
    let since = Instant::now();
    let streams = connections(&weir, crowd(), head).await;
    let trickle = |mut stream: TcpStream| async move {
        let (mut reading, mut writing) = stream.split();
        let mut answer = Vec::new();
        let write = async {
            // A byte every quarter of a second: never idle for long.
            while writing.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = write => {}
            _ = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer) => {}
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let ending = join_all(streams.into_iter().map(trickle));
    let answers = tokio::time::timeout(PATIENCE, ending)
        .await
        .expect("they end");
    let slow = answers
        .iter()
        .filter(|text| text.starts_with("HTTP/1.1 408"));
    let (slow, all) = (slow.count(), answers.len());
    assert_eq!(slow, all, "each is told why");
    println!(
        "{all} trickling bodies: all 408 and closed {:?} after the first",
        since.elapsed()
    );
    unharmed(&weir).await;
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time_and_kept_until_then() {
    let weir = start().await;
    let ask = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    let streams = connections(&weir, crowd(), ask).await;
    // Longer than a head may take: a connection between two requests is not half a request.
    let mut patient = wire::connect(weir.public()).await.unwrap();
    patient.write_all(ask).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    patient.write_all(ask).await.unwrap();
    let came = wire::listen(&mut patient, PATIENCE).await;
    assert_eq!(came.statuses(), [200, 200]);
    for came in closings(streams).await {
        assert_eq!(
            (came.statuses().as_slice(), came.is_closed),
            (&[200][..], true)
        );
    }
    unharmed(&weir).await;
}

#[tokio::test]
async fn connections_above_the_cap_wait_and_are_served_when_there_is_a_place() {
    let cap = [("WEIR_GATEWAY__MAX_CONNECTIONS", "20")];
    let weir = start_with(&cap).await;
    let silent = connections(&weir, 200, b"").await;
    eventually("the cap is reached", || files(&weir) > 20).await;
    assert!(files(&weir) < 150, "those above the cap are not taken");
    // Those before it in the kernel's queue end by themselves, the next in its turn.
    drop(silent);
    good_request(&weir).await;
    unharmed(&weir).await;
}

#[tokio::test]
async fn client_that_sends_without_reading_costs_bounded_memory() {
    let weir = start().await;
    let before = resident_mib(&weir);
    let requests = b"GET /t.js HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
    let greedy = |mut stream: TcpStream| {
        let requests = requests.clone();
        async move {
            // Until the server takes no more.
            let write = stream.write_all(&requests);
            let _ = tokio::time::timeout(Duration::from_secs(2), write).await;
            stream
        }
    };
    let streams = connections(&weir, 50, b"").await;
    let streams = join_all(streams.into_iter().map(greedy)).await;
    let grown = resident_mib(&weir).saturating_sub(before);
    println!("50 clients that pipeline without reading: {grown} MiB more");
    assert!(grown < 64, "{grown} MiB");
    unharmed(&weir).await;
    drop(streams);
}

#[tokio::test]
async fn few_open_files_leave_room_for_the_log_and_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (public, admin) = (free_address().unwrap(), free_address().unwrap());
    let path = folder.path().to_owned();
    let weir = process::executable("weir");
    let mut process = {
        let (public, admin) = (public.clone(), admin.clone());
        Process::start(move |command| {
            // The same process under a low limit, which it cannot raise.
            let mut limited = std::process::Command::new("sh");
            let words = "ulimit -n 200; exec \"$0\" \"$@\"";
            limited.args(["-c", words]).arg(&weir);
            limited.args(["up", "--listen", &public, "--admin", &admin, "--data"]);
            limited.arg(path.join("data")).current_dir(&path);
            limited.env("WEIR_EMBEDDED__MIN_FREE_BYTES", "0");
            *command = limited;
            command
        })
        .unwrap()
    };
    process.wait_until_ready(&admin).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(wire::connect(&public).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(held.split_off(20));
    let event = br#"{"event_type":"a"}"#;
    let came = wire::exchange(&public, &wire::post("", event))
        .await
        .unwrap();
    assert_eq!(came.statuses(), [204], "{}", came.text);
    let url = format!("http://{admin}/web-events-*/_search");
    let found = tests::weir::wait_for_documents(&process::client(), &url, 1).await;
    assert_eq!(found.unwrap(), 1);
    assert!(process.stop().unwrap().success());
}
