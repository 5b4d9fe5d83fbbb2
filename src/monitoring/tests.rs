//! The metrics by themselves: what becomes a label, and what the text looks like.

use std::time::Duration;

use super::readiness::unhurried;
use super::vitals::Health;
use super::{Limit, Metrics, Pulse};
use crate::storage::Commit;
use crate::tls::Handshake;

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.to_text().lines().any(|given| given == line)
}

#[test]
fn requests_are_counted_by_template_method_and_status() {
    let metrics = Metrics::default();
    metrics.answered(Some("/v1/referrals/{id}"), "GET", 200, Duration::from_millis(3));
    metrics.answered(Some("/v1/referrals/{id}"), "GET", 200, Duration::from_millis(30));
    metrics.answered(None, "BREW", 404, Duration::ZERO);
    assert!(has(&metrics, r#"sluis_requests_total{route="/v1/referrals/{id}",method="GET",status="200"} 2"#));
    assert!(has(&metrics, r#"sluis_requests_total{route="unmatched",method="other",status="404"} 1"#));
    let under_5_ms = r#"sluis_request_duration_seconds_bucket{le="0.005",route="/v1/referrals/{id}",method="GET"} 1"#;
    assert!(has(&metrics, under_5_ms), "{}", metrics.to_text());
}

#[test]
fn odd_methods_do_not_make_odd_series() {
    let metrics = Metrics::default();
    for number in 0..1_000 {
        metrics.answered(None, &format!("M{number}"), 405, Duration::ZERO);
    }
    let text = metrics.to_text();
    assert_eq!(text.lines().filter(|line| line.starts_with("sluis_requests_total{")).count(), 1);
}

#[test]
fn every_limit_and_every_kind_of_refusal_is_there_from_the_start() {
    let metrics = Metrics::default();
    for limit in Limit::ALL {
        assert!(has(&metrics, &format!("sluis_requests_refused_total{{limit=\"{limit}\"}} 0")), "{limit}");
    }
    for kind in Handshake::REFUSALS {
        assert!(has(&metrics, &format!("sluis_tls_handshake_failures_total{{kind=\"{kind}\"}} 0")), "{kind}");
    }
    metrics.handshake(Handshake::Begun);
    metrics.handshake(Handshake::Refused("expired"));
    assert!(has(&metrics, r#"sluis_tls_handshake_failures_total{kind="expired"} 1"#));
    assert!(has(&metrics, "sluis_tls_handshakes_begun_total 1"));
    assert!(has(&metrics, "sluis_tls_handshakes_completed_total 0"));
}

#[test]
fn deliveries_are_classed_by_what_came_of_them() {
    let metrics = Metrics::default();
    let oin = "00000099000000006000".parse().unwrap();
    for (status, failure, result) in [
        (Some(204), None, "delivered"),
        (Some(404), Some("status"), "status-4xx"),
        (Some(503), Some("status"), "status-5xx"),
        (Some(302), Some("redirected"), "redirected"),
        (None, Some("timed-out"), "timed-out"),
    ] {
        metrics.delivered(&oin, status, failure);
        let line = format!("sluis_deliveries_total{{organisation=\"{oin}\",result=\"{result}\"}} 1");
        assert!(has(&metrics, &line), "{line}");
    }
}

#[test]
fn commits_count_the_changes_that_shared_them() {
    let metrics = Metrics::default();
    metrics.committed(Commit { changes: 3, took: Duration::from_millis(2) });
    metrics.committed(Commit { changes: 1, took: Duration::from_millis(2) });
    assert!(has(&metrics, "sluis_commit_changes_sum 4.0"), "{}", metrics.to_text());
    assert!(has(&metrics, "sluis_commit_changes_count 2"));
}

#[test]
fn a_pulse_tells_well_from_failing_and_silent() {
    let pulse = Pulse::default();
    let patience = Duration::from_mins(1);
    assert_eq!(pulse.health(patience), Health::Silent, "it has not begun");
    pulse.beat(true);
    assert_eq!(pulse.health(patience), Health::Well);
    pulse.beat(false);
    assert_eq!(pulse.health(patience), Health::Failing);
    assert_eq!(pulse.health(Duration::ZERO), Health::Silent);
}

#[test]
fn a_look_that_does_not_come_to_an_end_is_named_after_a_while() {
    let look = Pulse::default();
    let is_ready = |patience| unhurried("deadlines", &look, patience, "").ok;
    let patience = Duration::from_mins(5);
    assert!(is_ready(patience), "the first, after standing still, may be long");
    assert!(!is_ready(Duration::ZERO), "but not for ever");
    look.beat(true);
    assert!(is_ready(patience));
    assert!(!is_ready(Duration::ZERO), "nor may the next");
    look.beat(false);
    assert!(!is_ready(patience), "one that failed is named at once");
}
