//! TLS in the process: spoken, renewed without a restart, and held to the same deadlines.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::process::{PATIENCE, Process, free_address};
use tests::wire;
use tokio::io::AsyncWriteExt as _;

/// Makes a certificate for 127.0.0.1, in the files of a certificate that is in use.
fn certificate(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl");
    let words = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{words}");
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .tls_info(true)
        .timeout(PATIENCE);
    builder.build().expect("plain settings")
}

/// Posts an event; the certificate that the gateway showed.
async fn shown(url: &str) -> Vec<u8> {
    let event = json!({ "event_type": "a" }).to_string();
    let answer = client().post(url).body(event).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 204);
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    info.and_then(|info| info.peer_certificate())
        .expect("a certificate")
        .to_vec()
}

#[tokio::test]
async fn tls_is_spoken_and_a_renewed_certificate_taken_into_use() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "first");
    let (public, admin) = (free_address().unwrap(), free_address().unwrap());
    let (path, listen) = (folder.path().to_owned(), [public.clone(), admin.clone()]);
    let mut process = Process::start(move |command| {
        command
            .current_dir(&path)
            .args([
                "up", "--listen", &listen[0], "--admin", &listen[1], "--data", "data",
            ])
            .env("WEIR_EMBEDDED__MIN_FREE_BYTES", "0")
            .env("WEIR_GATEWAY__TLS_CERTIFICATE_FILE", "certificate.pem")
            .env("WEIR_GATEWAY__TLS_KEY_FILE", "key.pem")
            .env("WEIR_GATEWAY__HEADER_TIMEOUT", "2s")
    })
    .unwrap();
    process.wait_until_ready(&admin).await.unwrap();
    let url = format!("https://{public}/collect");
    let first = shown(&url).await;
    // Plain HTTP and half a handshake are closed.
    for bytes in [
        &b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01",
    ] {
        let mut stream = wire::connect(&public).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let came = wire::listen(&mut stream, PATIENCE).await;
        assert!(
            came.is_closed && came.statuses().is_empty(),
            "{}",
            came.text
        );
    }
    // A file that is no certificate changes nothing.
    std::fs::write(folder.path().join("certificate.pem"), "nonsense").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(shown(&url).await, first);
    certificate(folder.path(), "second");
    let since = Instant::now();
    while shown(&url).await == first {
        assert!(
            since.elapsed() < PATIENCE,
            "the renewed certificate is not used"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(process.stop().unwrap().success());
}
