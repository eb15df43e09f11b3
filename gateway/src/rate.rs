//! How many events a client may send.
//!
//! Each client has an allowance that fills at the rate, up to ten seconds of it, and is emptied by
//! its events. Kept is one number for each: the time at which the allowance will be full again (the
//! generic cell rate algorithm). A request is let in while there is any allowance, and its events
//! are charged once they are counted, so that a batch larger than the allowance is not refused for
//! ever: it is paid for by a longer wait.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds of the rate that may be sent at once: a page that was offline sends what it kept.
const BURST_SECONDS: f64 = 10.0;

/// Clients that are remembered. At 16 bytes each the table takes 4 MiB, whoever asks.
const CLIENTS: usize = 1 << 18;

/// Places where a client may be remembered: it takes the place of the one that owes least.
const WAYS: usize = 8;

/// Locks that the table is shared out among.
const SHARDS: usize = 64;

/// Events per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// Reads a rate such as `100/s`, `6000/m` or `10000/h`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.trim().split_once('/')?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        let count: u32 = count.trim().parse().ok()?;
        (count > 0).then(|| Self(f64::from(count) / seconds))
    }

    /// The time that one event takes of the allowance.
    fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }

    /// How far ahead of now an allowance may be used; one event always fits.
    fn burst(self) -> Duration {
        self.interval().max(Duration::from_secs_f64(BURST_SECONDS))
    }
}

/// When an allowance will be full again, in nanoseconds since the limiter began.
type Full = u64;

/// Lets one event in if there is any allowance, else tells how long until there is.
fn take(full: &mut Full, rate: Rate, now: u64) -> Result<(), Duration> {
    let burst = nanoseconds(rate.burst());
    let after = (*full)
        .max(now)
        .saturating_add(nanoseconds(rate.interval()));
    if after > now.saturating_add(burst) {
        return Err(Duration::from_nanos(after - now - burst));
    }
    *full = after;
    Ok(())
}

fn charge(full: &mut Full, rate: Rate, events: usize, now: u64) {
    let cost = nanoseconds(rate.interval()).saturating_mul(events as u64);
    *full = (*full).max(now).saturating_add(cost);
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// One allowance for all who share it.
#[derive(Debug)]
pub(crate) struct Shared {
    rate: Rate,
    began: Instant,
    full: Mutex<Full>,
}

impl Shared {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            began: Instant::now(),
            full: Mutex::new(0),
        }
    }

    /// Lets a request in with its first event, or tells when to ask again.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let now = nanoseconds(self.began.elapsed());
        take(&mut self.lock(), self.rate, now)
    }

    /// Charges the events that a request had beside its first.
    pub(crate) fn charge(&self, events: usize) {
        let now = nanoseconds(self.began.elapsed());
        charge(&mut self.lock(), self.rate, events, now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Full> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An allowance for each client, by address.
pub(crate) struct Clients {
    rate: Rate,
    began: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<Vec<Place>>>,
}

/// What is remembered of one client. A fresh place is that of a client which owes nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    client: u64,
    full: Full,
}

impl Clients {
    pub(crate) fn new(rate: Rate) -> Self {
        let shard = || Mutex::new(vec![Place::default(); CLIENTS / SHARDS]);
        Self {
            rate,
            began: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    /// Lets a request in with its first event, or tells when to ask again.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.with(address, |full, now| take(full, self.rate, now))
    }

    /// Charges the events that a request had beside its first.
    pub(crate) fn charge(&self, address: IpAddr, events: usize) {
        self.with(address, |full, now| charge(full, self.rate, events, now));
    }

    fn with<T>(&self, address: IpAddr, act: impl FnOnce(&mut Full, u64) -> T) -> T {
        // Keyed at random, so that nobody can choose addresses that share places.
        let client = self.hasher.hash_one(network(address));
        let now = nanoseconds(self.began.elapsed());
        let (shard, set) = (client as usize % SHARDS, client as usize / SHARDS);
        let mut places = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let first = set % (places.len() / WAYS) * WAYS;
        let places = &mut places[first..first + WAYS];
        let known = places.iter().position(|place| place.client == client);
        let place = known.unwrap_or_else(|| {
            let least = (0..WAYS).min_by_key(|at| places[*at].full).unwrap_or(0);
            places[least] = Place { client, full: 0 };
            least
        });
        act(&mut places[place].full, now)
    }
}

/// What one client has to itself: an IPv4 address, or the 64 bits of IPv6 that a host may choose
/// addresses under.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).expect("a rate")
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(Rate::parse("100/s"), Some(Rate(100.0)));
        assert_eq!(Rate::parse(" 6000 / m"), Some(Rate(100.0)));
        for bad in ["", "off", "100", "0/s", "-1/s", "1/d", "1.5/s"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ten_seconds_of_the_rate_may_be_sent_at_once_and_then_the_rate() {
        let (mut full, rate) = (0, rate("2/s"));
        let sent = |full: &mut Full, now: u64| {
            (0..1_000)
                .take_while(|_| take(full, rate, now).is_ok())
                .count()
        };
        assert_eq!(sent(&mut full, 0), 20);
        assert_eq!(take(&mut full, rate, 0), Err(Duration::from_millis(500)));
        assert_eq!(sent(&mut full, SECOND), 2);
        assert_eq!(sent(&mut full, 100 * SECOND), 20);
    }

    #[test]
    fn batch_larger_than_the_allowance_is_let_in_and_paid_for_by_waiting() {
        let (mut full, rate) = (0, rate("1/s"));
        take(&mut full, rate, 0).unwrap();
        charge(&mut full, rate, 99, 0);
        assert_eq!(take(&mut full, rate, 0), Err(Duration::from_secs(91)));
        assert!(take(&mut full, rate, 91 * SECOND).is_ok());
    }

    #[test]
    fn slow_rate_lets_one_event_in() {
        let (mut full, rate) = (0, rate("1/h"));
        assert!(take(&mut full, rate, 0).is_ok());
        assert!(take(&mut full, rate, 0).is_err());
        assert!(take(&mut full, rate, 3_600 * SECOND).is_ok());
    }

    #[test]
    fn addresses_of_one_network_share_an_allowance_and_others_do_not() {
        let clients = Clients::new(rate("1/h"));
        let sent = |address: &str| clients.take(address.parse().unwrap()).is_ok();
        assert!(sent("2001:db8:1:2::1"));
        assert!(!sent("2001:db8:1:2:ffff::9"));
        assert!(sent("2001:db8:1:3::1"));
        assert!(sent("203.0.113.1"));
        assert!(!sent("::ffff:203.0.113.1"));
        assert!(sent("203.0.113.2"));
    }

    #[test]
    fn client_in_debt_is_remembered_through_a_million_others() {
        let clients = Clients::new(rate("1/s"));
        let abuser: IpAddr = "203.0.113.1".parse().unwrap();
        clients.take(abuser).unwrap();
        clients.charge(abuser, 1_000);
        for n in 0..1_000_000_u32 {
            let other = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
            assert!(clients.take(other).is_ok());
        }
        assert!(clients.take(abuser).is_err());
        let places: usize = clients
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().capacity())
            .sum();
        let bytes = places * size_of::<Place>();
        assert!(bytes <= 16 << 20, "{bytes} bytes");
    }
}
