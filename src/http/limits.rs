//! How much is taken on: requests under way, those that wait for events, and rates per organisation and per stranger.
//!
//! Invariant: a refusal costs no more than a look into a table of this process. Which limits there are, and what a caller sees of each,
//! is in `docs/operations.md`.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Timestamp};
use crate::config::{LimitSettings, Rate};
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::tls::PeerCertificate;

/// So many keys are remembered before those that are at rest are forgotten.
const REMEMBERED: usize = 10_000;

/// What is under way, and what was spent; copies share it.
#[derive(Clone)]
pub struct Limits(Arc<Parts>);

struct Parts {
    concurrent_requests: usize,
    waiting_per_organisation: usize,
    in_flight: AtomicUsize,
    waiting: Mutex<HashMap<Oin, usize>>,
    organisations: Option<Meter<Oin>>,
    matches: Option<Meter<Oin>>,
    anonymous: Option<Meter<Stranger>>,
    reports: Option<Meter<Oin>>,
    /// Strangers who have spent what they had, until when.
    barred: Mutex<HashMap<Stranger, Timestamp>>,
    clock: Clock,
}

/// Somebody who is not, or not yet, known as an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stranger {
    /// By the thumbprint of the certificate that it showed.
    Certificate(String),
    /// By its address; of version 6 the part that names a network.
    Address(IpAddr),
    /// Without an address, as in tests.
    Nobody,
}

impl Stranger {
    /// Who is at the other end of a connection.
    #[must_use]
    pub fn of(peer: Option<&PeerCertificate>, address: Option<IpAddr>) -> Self {
        match (peer, address) {
            (Some(peer), _) => Self::Certificate(peer.thumbprint.clone()),
            (None, Some(IpAddr::V6(address))) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Address(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
            }
            (None, Some(address)) => Self::Address(address),
            (None, None) => Self::Nobody,
        }
    }
}

/// A request under way; dropped when it is answered.
pub struct Slot(Arc<Parts>);

/// Somebody who waits for events; dropped when it waits no longer.
pub struct WaitingSlot {
    parts: Arc<Parts>,
    organisation: Oin,
}

impl Limits {
    /// Limits as configured, that go by this clock.
    #[must_use]
    pub fn new(settings: &LimitSettings, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            concurrent_requests: settings.concurrent_requests,
            waiting_per_organisation: settings.waiting_per_organisation,
            in_flight: AtomicUsize::new(0),
            waiting: Mutex::default(),
            organisations: settings.organisation.map(|rate| Meter::new(quota(rate), &clock)),
            matches: settings.matches.map(|rate| Meter::new(quota(rate), &clock)),
            anonymous: settings.anonymous.map(|rate| Meter::new(quota(rate), &clock)),
            reports: settings.reports_per_hour.map(|number| Meter::new(Quota::per_hour(number), &clock)),
            barred: Mutex::default(),
            clock,
        }))
    }

    /// Takes a request on.
    ///
    /// # Errors
    /// 503 when as many as are allowed are under way.
    pub fn begin(&self) -> Result<Slot, Problem> {
        let slot = Slot(Arc::clone(&self.0));
        if self.0.in_flight.fetch_add(1, Ordering::SeqCst) < self.0.concurrent_requests {
            return Ok(slot);
        }
        // The slot gives back what was taken.
        Err(Problem::new(Code::Unavailable, "the gateway has its hands full and has not looked at this; send it again")
            .retry_after(Duration::from_secs(1)))
    }

    /// Lets an organisation wait for events.
    ///
    /// # Errors
    /// 429 when it waits as often as it may already.
    pub fn wait(&self, organisation: &Oin) -> Result<WaitingSlot, Problem> {
        let mut waiting = lock(&self.0.waiting);
        let count = waiting.entry(organisation.clone()).or_default();
        if *count >= self.0.waiting_per_organisation {
            let detail = format!(
                "your organisation waits for events {count} times already; wait in fewer places, or read without wait"
            );
            return Err(Problem::new(Code::TooManyRequests, detail).retry_after(Duration::from_secs(5)));
        }
        *count += 1;
        Ok(WaitingSlot { parts: Arc::clone(&self.0), organisation: organisation.clone() })
    }

    /// Counts a request of an organisation that was recognised.
    ///
    /// # Errors
    /// 429 when it sends more than it may.
    pub fn admit(&self, organisation: &Oin) -> Result<(), Problem> {
        let Some(meter) = &self.0.organisations else { return Ok(()) };
        meter.take(organisation).map_err(|wait| {
            let detail = "your organisation sends more requests than it may; spread them, and wait as Retry-After says";
            Problem::new(Code::TooManyRequests, detail).retry_after(wait)
        })
    }

    /// Counts a withdrawal that an organisation reports, whether there is anything to withdraw or not.
    ///
    /// # Errors
    /// 429 when it reports more than it may.
    pub fn report(&self, organisation: &Oin) -> Result<(), Problem> {
        let Some(meter) = &self.0.reports else { return Ok(()) };
        meter.take(organisation).map_err(|wait| {
            let detail = "your organisation reports more withdrawals than it may; wait as Retry-After says";
            Problem::new(Code::TooManyRequests, detail).retry_after(wait)
        })
    }

    /// Counts a request of an organisation that names a resident by name, birth date and postcode.
    ///
    /// # Errors
    /// 429 when it tries more of them than it may.
    pub fn admit_match(&self, organisation: &Oin) -> Result<(), Problem> {
        let Some(meter) = &self.0.matches else { return Ok(()) };
        meter.take(organisation).map_err(|wait| {
            let detail = "your organisation names more residents by subject.match than it may; use the pseudonyms that it was given, and wait as Retry-After says";
            Problem::new(Code::TooManyRequests, detail).retry_after(wait)
        })
    }

    /// Counts a request of somebody who need not be recognised, or was not.
    ///
    /// # Errors
    /// 429 when it sends more than it may.
    pub fn admit_stranger(&self, stranger: &Stranger) -> Result<(), Problem> {
        let Some(meter) = &self.0.anonymous else { return Ok(()) };
        meter.take(stranger).map_err(too_many_of_a_stranger)
    }

    /// Somebody was refused. What it may have refused is counted like requests of strangers; with too many of them it is
    /// [barred](Self::check_barred) for a while.
    pub fn refused(&self, stranger: &Stranger) {
        let Some(Err(wait)) = self.0.anonymous.as_ref().map(|meter| meter.take(stranger)) else { return };
        let now = self.0.clock.now();
        let mut barred = lock(&self.0.barred);
        if barred.len() >= REMEMBERED {
            barred.retain(|_, until| now < *until);
        }
        barred.insert(stranger.clone(), now.plus(wait));
    }

    /// Whether somebody's credentials are looked at at all.
    ///
    /// # Errors
    /// 429 for who was refused too often a moment ago.
    pub fn check_barred(&self, stranger: &Stranger) -> Result<(), Problem> {
        let mut barred = lock(&self.0.barred);
        let Some(until) = barred.get(stranger).copied() else { return Ok(()) };
        let left = until.as_micros().saturating_sub(self.0.clock.now().as_micros());
        if left <= 0 {
            barred.remove(stranger);
            return Ok(());
        }
        Err(too_many_of_a_stranger(Duration::from_micros(left.unsigned_abs())))
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// Long polls and event streams.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.0.waiting).values().sum()
    }
}

fn too_many_of_a_stranger(wait: Duration) -> Problem {
    let detail =
        "too many requests that are public or were refused; wait as Retry-After says, and mend what was refused";
    Problem::new(Code::TooManyRequests, detail).retry_after(wait)
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for WaitingSlot {
    fn drop(&mut self) {
        let mut waiting = lock(&self.parts.waiting);
        if let Some(count) = waiting.get_mut(&self.organisation) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.organisation);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn quota(rate: Rate) -> Quota {
    Quota::per_second(rate.per_second).allow_burst(rate.burst)
}

/// One rate, for each key by itself (generic cell rate algorithm).
struct Meter<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, Injected, NoOpMiddleware<Nanos>>,
    clock: Injected,
    /// With so many keys those at rest are forgotten.
    forget_at: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Meter<K> {
    fn new(quota: Quota, clock: &Clock) -> Self {
        let clock = Injected { clock: clock.clone(), steady: Arc::default() };
        let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone());
        Self { limiter, clock, forget_at: AtomicUsize::new(REMEMBERED) }
    }

    /// Takes one, or says how long until there is one.
    fn take(&self, key: &K) -> Result<(), Duration> {
        let taken = self.limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(self.clock.now()));
        if self.limiter.len() > self.forget_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            // Where most are still busy, looking again at once would be in vain.
            self.forget_at.store(REMEMBERED.max(2 * self.limiter.len()), Ordering::Relaxed);
        }
        taken
    }
}

/// The gateway's clock as a rate limiter reads it. It never goes back: a machine whose time is set back would otherwise refuse
/// everybody until it has caught up.
#[derive(Clone)]
struct Injected {
    clock: Clock,
    steady: Arc<Mutex<Steady>>,
}

#[derive(Default)]
struct Steady {
    latest: i64,
    ahead: i64,
}

impl governor::clock::Clock for Injected {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let read = self.clock.now().as_micros();
        let mut steady = lock(&self.steady);
        if read.saturating_add(steady.ahead) < steady.latest {
            steady.ahead = steady.latest.saturating_sub(read);
        }
        steady.latest = read.saturating_add(steady.ahead);
        Nanos::from(u64::try_from(steady.latest).unwrap_or(0).saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn settings(per_second: u32, burst: u32) -> LimitSettings {
        let rate = Rate { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() };
        LimitSettings {
            connections: 1,
            handshakes: 1,
            handshake_time: Duration::from_secs(1),
            head_time: Duration::from_secs(1),
            body_time: Duration::from_secs(1),
            keep_alive: Duration::from_secs(1),
            header_bytes: 8_192,
            concurrent_requests: 2,
            waiting_per_organisation: 2,
            organisation: Some(rate),
            matches: Some(rate),
            anonymous: Some(rate),
            reports_per_hour: NonZeroU32::new(2),
        }
    }

    fn oin(digit: u8) -> Oin {
        format!("0000009900000000{digit}000").parse().unwrap()
    }

    fn retry_after(problem: &Problem) -> u64 {
        assert_eq!(problem.code(), Code::TooManyRequests);
        problem.retry_after_seconds().unwrap()
    }

    #[test]
    fn an_organisation_that_spent_its_burst_waits_and_its_neighbour_does_not() {
        let clock = Clock::movable();
        let limits = Limits::new(&settings(1, 3), clock.clone());
        for _ in 0..3 {
            limits.admit(&oin(1)).unwrap();
        }
        let refused = limits.admit(&oin(1)).unwrap_err();
        assert_eq!(retry_after(&refused), 1, "whole seconds, rounded up");
        limits.admit(&oin(2)).unwrap();
        clock.advance(Duration::from_secs(1));
        limits.admit(&oin(1)).unwrap();
        assert!(limits.admit(&oin(1)).is_err(), "one second gave one");
        clock.advance(Duration::from_mins(10));
        for _ in 0..3 {
            limits.admit(&oin(1)).unwrap();
        }
        assert!(limits.admit(&oin(1)).is_err(), "never more than a burst");
    }

    #[test]
    fn who_reports_more_withdrawals_than_it_may_waits_for_its_share_of_the_hour() {
        let clock = Clock::movable();
        let limits = Limits::new(&settings(100, 100), clock.clone());
        for _ in 0..2 {
            limits.report(&oin(1)).unwrap();
        }
        assert_eq!(retry_after(&limits.report(&oin(1)).unwrap_err()), 1_800);
        limits.report(&oin(2)).unwrap();
        limits.admit(&oin(1)).unwrap();
        clock.advance(Duration::from_mins(30));
        limits.report(&oin(1)).unwrap();
    }

    #[test]
    fn a_time_that_is_set_back_refuses_nobody() {
        let steady = Arc::new(Mutex::new(Steady { latest: i64::MAX / 4_000, ahead: 0 }));
        let injected = Injected { clock: Clock::movable(), steady };
        let first = injected.now().as_u64();
        injected.clock.advance(Duration::from_secs(2));
        let second = injected.now().as_u64();
        let passed = Duration::from_nanos(second - first);
        assert!(passed >= Duration::from_secs(2), "the time that passes since is counted: {passed:?}");
        assert!(passed < Duration::from_mins(1), "{passed:?}");
    }

    #[test]
    fn who_was_refused_too_often_is_not_looked_at_for_a_while() {
        let clock = Clock::movable();
        let limits = Limits::new(&settings(1, 2), clock.clone());
        let (stranger, other) = (Stranger::Certificate("a".into()), Stranger::Certificate("b".into()));
        limits.refused(&stranger);
        limits.refused(&stranger);
        limits.check_barred(&stranger).unwrap();
        limits.refused(&stranger);
        assert_eq!(retry_after(&limits.check_barred(&stranger).unwrap_err()), 1);
        limits.check_barred(&other).unwrap();
        clock.advance(Duration::from_secs(1));
        limits.check_barred(&stranger).unwrap();
        limits.refused(&stranger);
        limits.refused(&stranger);
        assert!(limits.check_barred(&stranger).is_err(), "it gets the rate, not the burst anew");
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let of = |address: &str| Stranger::of(None, Some(address.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn what_is_under_way_is_limited_and_counted_out_again() {
        let limits = Limits::new(&settings(1, 1), Clock::movable());
        let (first, _second) = (limits.begin().unwrap(), limits.begin().unwrap());
        let refused = limits.begin().err().unwrap();
        assert_eq!((refused.code(), refused.retry_after_seconds()), (Code::Unavailable, Some(1)));
        assert_eq!(limits.in_flight(), 2, "a refusal is not under way");
        drop(first);
        assert!(limits.begin().is_ok());
    }

    #[test]
    fn each_organisation_waits_for_events_on_its_own_account() {
        let limits = Limits::new(&settings(1, 1), Clock::movable());
        let (first, _second) = (limits.wait(&oin(1)).unwrap(), limits.wait(&oin(1)).unwrap());
        assert_eq!(retry_after(&limits.wait(&oin(1)).err().unwrap()), 5);
        let _other = limits.wait(&oin(2)).unwrap();
        assert_eq!(limits.waiting(), 3);
        drop(first);
        assert!(limits.wait(&oin(1)).is_ok());
    }

    #[test]
    fn a_crowd_of_strangers_is_forgotten_again() {
        let clock = Clock::movable();
        let limits = Limits::new(&settings(1, 1), clock.clone());
        for number in 0..REMEMBERED {
            let stranger = Stranger::Certificate(number.to_string());
            limits.refused(&stranger);
            limits.refused(&stranger);
        }
        clock.advance(Duration::from_mins(1));
        let last = Stranger::Certificate("last".into());
        limits.refused(&last);
        limits.refused(&last);
        assert_eq!(lock(&limits.0.barred).len(), 1);
        assert!(limits.0.anonymous.as_ref().unwrap().limiter.len() <= 2);
    }
}
