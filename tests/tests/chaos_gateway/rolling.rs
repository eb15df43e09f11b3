//! Gateways restarted in turn behind a proxy, as an upgrade does it.

use std::time::Duration;

use tests::process::{Process, free_address};
use tests::proxies::Proxy;
use tests::visitors::Visitors;

use crate::bench::{Bench, seconds};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs haproxy and starts brokers of its own: make chaos-gateway"]
async fn restarts_in_turn_show_clients_no_error() {
    let mut bench = Bench::start(1, &[]).await;
    let (second, second_admin) = (free_address().unwrap(), free_address().unwrap());
    let settings = [
        ("WEIR_GATEWAY__LISTEN", second.as_str()),
        ("WEIR_ADMIN__LISTEN", second_admin.as_str()),
        ("WEIR_DATA_DIR", "weir-2"),
    ];
    let start = bench.command(&settings);
    let mut other = Process::start(start).unwrap();
    other.wait_until_ready(&second_admin).await.unwrap();
    let gateways = [bench.public.as_str(), second.as_str()];
    let proxy = Proxy::haproxy(bench.folder(), &gateways, |as_deployed| as_deployed).await;
    let proxy = proxy.unwrap();

    let visitors = Visitors::start(proxy.public(), "v", 16, Duration::from_millis(5));
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
