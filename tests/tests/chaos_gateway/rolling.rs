//! Gateways restarted in turn behind a proxy, as an upgrade does it.

use std::process::{Child, Command};
use std::time::Duration;

use tests::process::{Process, free_address};
use tests::visitors::Visitors;

use crate::bench::{Bench, DRAIN, seconds};

/// HAProxy, for as long as it is kept.
struct Proxy(Child);

impl Proxy {
    fn start(bench: &Bench, public: &str, gateways: &[String]) -> Self {
        let servers = gateways.iter().enumerate();
        let servers: String = servers
            .map(|(n, address)| format!("  server gateway-{n} {address} check\n"))
            .collect();
        let template = include_str!("../../../deploy/haproxy.cfg");
        let config = template
            .replace("bind :80", &format!("bind {public}"))
            .replace("  server gateway-0 gateway-0:8080 check\n", &servers)
            .replace("  server gateway-1 gateway-1:8080 check\n", "");
        let path = bench.path("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(path)
            .spawn();
        Self(child.expect("haproxy is installed: apt-get install haproxy"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs haproxy and starts brokers of its own: make chaos-gateway"]
async fn restarts_in_turn_show_clients_no_error() {
    let mut bench = Bench::start(1, &[]).await;
    let (second, second_admin) = (free_address().unwrap(), free_address().unwrap());
    let public = free_address().unwrap();
    let settings = [
        ("WEIR_GATEWAY__LISTEN", second.as_str()),
        ("WEIR_ADMIN__LISTEN", second_admin.as_str()),
        ("WEIR_DATA_DIR", "weir-2"),
    ];
    let start = bench.command(&settings);
    let mut other = Process::start(start).unwrap();
    other.wait_until_ready(&second_admin).await.unwrap();
    let proxy = Proxy::start(&bench, &public, &[bench.public.clone(), second]);
    let client = tests::process::client();
    let url = format!("http://{public}/readyz");
    let since = std::time::Instant::now();
    while !client
        .get(&url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        assert!(since.elapsed() < DRAIN, "the proxy serves");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let visitors = Visitors::start(&public, "v", 16, Duration::from_millis(5));
    for _ in 0..3 {
        tokio::time::sleep(seconds(20) / 8).await;
        bench.gateway.as_mut().unwrap().stop_and_restart().unwrap();
        bench.wait_until_ready().await;
        tokio::time::sleep(seconds(20) / 8).await;
        other.stop_and_restart().unwrap();
        other.wait_until_ready(&second_admin).await.unwrap();
    }
    let seen = visitors.stop().await.unwrap();
    assert_eq!(seen.refused(), 0, "{:?}", seen.statuses);
    bench.check(&seen).await;
    drop(proxy);
    assert!(other.stop().unwrap().success());
    bench.stop().await;
}
