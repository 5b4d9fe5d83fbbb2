//! `[limits]`: how much one caller, and all of them together, may ask of this process. What lies above is answered, not queued.

use std::num::NonZeroU32;
use std::time::Duration;

use super::keys::Section;

/// `[limits]`
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Connections that are open at once, over all threads; more wait in the system's queue until one closes.
    pub connections: usize,
    /// TLS handshakes under way at once, per thread; more connections wait.
    pub handshakes: usize,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How long the head of a request may take to arrive.
    pub head_time: Duration,
    /// How long the body of a request may take to arrive.
    pub body_time: Duration,
    /// How long a connection may be idle between requests; in HTTP/2 how long it may leave a ping unanswered.
    pub keep_alive: Duration,
    /// The names and values of a request's headers together, in bytes.
    pub header_bytes: usize,
    /// Requests under way at once, not counting those that wait for events.
    pub concurrent_requests: usize,
    /// Long polls and event streams of one organisation at once.
    pub waiting_per_organisation: usize,
    /// Requests of one organisation; none where there is no limit.
    pub organisation: Option<Rate>,
    /// Requests of one organisation that name a resident by a match; none where there is no limit.
    pub matches: Option<Rate>,
    /// Requests on public routes, and refused ones, of one certificate or, without one, of one address; none where there is no limit.
    pub anonymous: Option<Rate>,
    /// Withdrawals that one organisation may report of consents recorded by others, in an hour and at once; none where there is no limit.
    pub reports_per_hour: Option<NonZeroU32>,
}

/// A rate with room for a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: NonZeroU32,
    /// Requests that may come at once after a quiet time.
    pub burst: NonZeroU32,
}

pub(super) fn read(mut section: Section<'_>) -> LimitSettings {
    let settings = LimitSettings {
        connections: number(&mut section, "connections", 10_000, 1, 1_000_000),
        handshakes: number(&mut section, "tls_handshakes", 256, 1, 10_000),
        handshake_time: seconds(&mut section, "tls_handshake_seconds", 5, 60),
        head_time: seconds(&mut section, "request_head_seconds", 5, 60),
        body_time: seconds(&mut section, "request_body_seconds", 30, 600),
        keep_alive: seconds(&mut section, "keep_alive_seconds", 30, 600),
        header_bytes: number(&mut section, "header_bytes", 32 * 1024, 8 * 1024, 128 * 1024),
        concurrent_requests: number(&mut section, "concurrent_requests", 1_024, 1, 100_000),
        waiting_per_organisation: number(&mut section, "waiting_per_organisation", 32, 1, 10_000),
        organisation: rate(&mut section, "organisation_requests_per_second", 2_000, "organisation_burst", 4_000),
        matches: rate(&mut section, "match_requests_per_second", 5, "match_burst", 200),
        anonymous: rate(&mut section, "anonymous_requests_per_second", 50, "anonymous_burst", 200),
        reports_per_hour: {
            let number = section.number("reported_withdrawals_per_hour", 120, 0, 1_000_000);
            NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX))
        },
    };
    section.finish();
    settings
}

fn number(section: &mut Section<'_>, key: &'static str, default: u64, least: u64, most: u64) -> usize {
    usize::try_from(section.number(key, default, least, most)).unwrap_or(usize::MAX)
}

fn seconds(section: &mut Section<'_>, key: &'static str, default: u64, most: u64) -> Duration {
    Duration::from_secs(section.number(key, default, 1, most))
}

/// 0 requests per second means no limit.
fn rate(
    section: &mut Section<'_>,
    per_second: &'static str,
    default: u64,
    burst: &'static str,
    default_burst: u64,
) -> Option<Rate> {
    let per_second = u32::try_from(section.number(per_second, default, 0, 1_000_000)).unwrap_or(u32::MAX);
    let burst = u32::try_from(section.number(burst, default_burst, 1, 10_000_000)).unwrap_or(u32::MAX);
    Some(Rate { per_second: NonZeroU32::new(per_second)?, burst: NonZeroU32::new(burst)? })
}
