//! The metrics, each with its labels as a type. `docs/operations.md` explains every one; a test compares the two.
//!
//! Invariant: a label's value is from a closed list, from the configuration, or the OIN of a registered organisation.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::codes::closed_list;
use crate::ids::Oin;
use crate::policy::{Action, Decision};
use crate::storage::Commit;
use crate::tls::Handshake;

/// The route of what no route takes.
pub const UNMATCHED: &str = "unmatched";

/// A gauge of any number.
pub(super) type Number = Gauge<f64, AtomicU64>;
type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

closed_list!(
    /// The limit for which a request was refused.
    Limit {
        /// Too many requests under way in this process.
        Concurrency = "concurrency",
        /// Too many long polls and streams of one organisation.
        Waiting = "waiting",
        /// Too many requests of one organisation.
        Organisation = "organisation-rate",
        /// Too many residents named by a match, of one organisation.
        Match = "match-rate",
        /// Too many public or refused requests of one certificate or address.
        Anonymous = "anonymous-rate",
        /// Too many withdrawals reported by one organisation.
        Reports = "reported-withdrawals",
        /// A body that is too large.
        BodySize = "body-size",
        /// A body that did not arrive in time.
        BodyTime = "body-time",
        /// Headers that are too large.
        HeaderSize = "header-size",
        /// The gateway stops.
        Stopping = "stopping",
        /// The database did not take a change, or did not answer.
        Unavailable = "unavailable",
    }
);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    action: &'static str,
    effect: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    organisation: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NameLabels {
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// The metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    names: BTreeSet<String>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histograms<RouteLabels>,
    refused: Family<LimitLabels, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    commit_changes: Histogram,
    commit_seconds: Histogram,
    handshakes_begun: Counter,
    handshakes_completed: Counter,
    handshakes_refused: Family<KindLabels, Counter>,
    pub(super) gathered: Gathered,
}

/// What is looked up when somebody asks.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) in_flight: Number,
    pub(super) waiting: Number,
    pub(super) connections: Number,
    pub(super) writer_queue: Number,
    pub(super) pool_size: Number,
    pub(super) pool_idle: Number,
    pub(super) events_unsequenced: Number,
    pub(super) events_oldest: Number,
    pub(super) deliveries_pending: Number,
    pub(super) deliveries_oldest: Number,
    pub(super) records_unsequenced: Number,
    pub(super) records_oldest: Number,
    pub(super) confirmations_open: Number,
    pub(super) confirmations_overdue: Number,
    pub(super) reviews_overdue: Number,
    pub(super) reviews_oldest: Number,
    pub(super) informing_overdue: Number,
    pub(super) informing_oldest: Number,
    pub(super) assessments_overdue: Number,
    pub(super) assessments_oldest: Number,
    pub(super) deletions_overdue: Number,
    pub(super) deletions_oldest: Number,
    pub(super) objections_overdue: Number,
    pub(super) objections_oldest: Number,
    pub(super) duties_overdue: Number,
    pub(super) duties_oldest: Number,
    pub(super) key_destructions: Number,
    pub(super) key_destructions_oldest: Number,
    pub(super) certificate_days: Family<NameLabels, Number>,
    pub(super) revocation_list_days: Family<NameLabels, Number>,
    pub(super) failed: Family<NameLabels, Number>,
    pub(super) left_behind: Family<NameLabels, Number>,
    pub(super) stopping: Number,
    pub(super) resident_bytes: Number,
    pub(super) started: Number,
}

/// Registers, and remembers under which name.
struct Register<'a> {
    registry: &'a mut Registry,
    names: BTreeSet<String>,
}

impl Register<'_> {
    fn put(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.names.insert(name.to_owned());
        self.registry.register(name, help, metric);
    }
}

/// From a tenth of a millisecond to ten seconds, as bounds in seconds.
fn seconds() -> Histogram {
    Histogram::new([
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let mut metrics = Self {
            registry: Registry::default(),
            names: BTreeSet::new(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            refused: Family::default(),
            decisions: Family::default(),
            deliveries: Family::default(),
            commit_changes: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            commit_seconds: seconds(),
            handshakes_begun: Counter::default(),
            handshakes_completed: Counter::default(),
            handshakes_refused: Family::default(),
            gathered: Gathered::default(),
        };
        let mut register = Register { registry: &mut registry, names: BTreeSet::new() };
        metrics.register_counted(&mut register);
        metrics.gathered.register(&mut register);
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
        register.put("sluis_build", "The running version", build);
        metrics.names = register.names;
        metrics.registry = registry;
        // What can be refused shows from the start, with 0: a rate over a counter that is not there yet misses its first step.
        for limit in Limit::ALL {
            drop(metrics.refused.get_or_create_owned(&LimitLabels { limit: limit.as_str() }));
        }
        for kind in Handshake::REFUSALS {
            drop(metrics.handshakes_refused.get_or_create_owned(&KindLabels { kind }));
        }
        metrics
    }
}

impl Metrics {
    fn register_counted(&self, register: &mut Register<'_>) {
        register.put("sluis_requests", "Requests answered", self.requests.clone());
        register.put(
            "sluis_request_duration_seconds",
            "From the head of a request to the head of its answer",
            self.request_seconds.clone(),
        );
        register.put("sluis_requests_refused", "Requests refused by a limit", self.refused.clone());
        register.put("sluis_decisions", "Sections decided on", self.decisions.clone());
        register.put("sluis_deliveries", "Attempts to deliver to a webhook", self.deliveries.clone());
        register.put("sluis_commit_changes", "Changes that shared a commit", self.commit_changes.clone());
        register.put("sluis_commit_duration_seconds", "From BEGIN to COMMIT", self.commit_seconds.clone());
        register.put("sluis_tls_handshakes_begun", "TLS handshakes begun", self.handshakes_begun.clone());
        register.put("sluis_tls_handshakes_completed", "TLS handshakes completed", self.handshakes_completed.clone());
        register.put(
            "sluis_tls_handshake_failures",
            "TLS handshakes that the gateway ended because of the client's certificate",
            self.handshakes_refused.clone(),
        );
    }

    /// A request was answered. `route` is the template of its path; none for an unknown path.
    pub fn answered(&self, route: Option<&'static str>, method: &str, status: u16, took: Duration) {
        let (route, method) = (route.unwrap_or(UNMATCHED), known_method(method));
        self.requests.get_or_create(&RequestLabels { route, method, status: status.into() }).inc();
        self.request_seconds.get_or_create(&RouteLabels { route, method }).observe(took.as_secs_f64());
    }

    /// A request was refused because of a limit.
    pub fn refused(&self, limit: Limit) {
        self.refused.get_or_create(&LimitLabels { limit: limit.as_str() }).inc();
    }

    /// A decision was taken; each of its sections counts.
    pub fn decided(&self, action: Action, decision: &Decision) {
        for section in decision.sections() {
            let labels = DecisionLabels {
                action: action.as_str(),
                effect: section.effect().as_str(),
                reason: section.code().map_or("none", crate::policy::Code::as_str),
            };
            self.decisions.get_or_create(&labels).inc();
        }
    }

    /// A delivery was tried. `failure` is the code of what went wrong, `status` that of the answer if there was one.
    pub fn delivered(&self, organisation: &Oin, status: Option<i64>, failure: Option<&'static str>) {
        let result = match (failure, status) {
            (None, _) => "delivered",
            (Some("status"), Some(500..)) => "status-5xx",
            (Some("status"), _) => "status-4xx",
            (Some(code), _) => code,
        };
        self.deliveries.get_or_create(&DeliveryLabels { organisation: organisation.to_string(), result }).inc();
    }

    /// A transaction was committed.
    pub fn committed(&self, commit: Commit) {
        self.commit_changes.observe(f64::from(u32::try_from(commit.changes).unwrap_or(u32::MAX)));
        self.commit_seconds.observe(commit.took.as_secs_f64());
    }

    /// Something happened in a TLS handshake.
    pub fn handshake(&self, handshake: Handshake) {
        match handshake {
            Handshake::Begun => drop(self.handshakes_begun.inc()),
            Handshake::Completed => drop(self.handshakes_completed.inc()),
            Handshake::Refused(kind) => drop(self.handshakes_refused.get_or_create(&KindLabels { kind }).inc()),
        }
    }

    /// The names under which metrics are exported, without the suffixes that belong to their types.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// All of it as `OpenMetrics` text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

impl Gathered {
    #[expect(clippy::too_many_lines, reason = "one entry for each number")]
    fn register(&self, register: &mut Register<'_>) {
        let numbers: [(&str, &str, &Number); 31] = [
            ("sluis_requests_in_flight", "Requests under way, without those that wait for events", &self.in_flight),
            ("sluis_requests_waiting", "Long polls and event streams", &self.waiting),
            ("sluis_connections", "Open connections of the API", &self.connections),
            ("sluis_writer_queue_changes", "Changes that wait for a writer", &self.writer_queue),
            ("sluis_database_pool_connections", "Connections for reading", &self.pool_size),
            ("sluis_database_pool_idle_connections", "Connections for reading that are free", &self.pool_idle),
            ("sluis_events_unsequenced", "Committed events without a place in their feed", &self.events_unsequenced),
            ("sluis_events_unsequenced_oldest_seconds", "Age of the oldest of them", &self.events_oldest),
            ("sluis_deliveries_pending", "Deliveries owed to webhooks", &self.deliveries_pending),
            ("sluis_deliveries_pending_oldest_seconds", "Age of the oldest of them", &self.deliveries_oldest),
            ("sluis_audit_records_unsequenced", "Records without a leaf in the log", &self.records_unsequenced),
            ("sluis_audit_records_unsequenced_oldest_seconds", "Age of the oldest of them", &self.records_oldest),
            (
                "sluis_confirmations_open",
                "Confirmations waited for after a withdrawal, the overdue ones among them",
                &self.confirmations_open,
            ),
            ("sluis_confirmations_overdue", "Confirmations that should have been given", &self.confirmations_overdue),
            ("sluis_reviews_overdue", "Reviews of break-glass that are overdue", &self.reviews_overdue),
            ("sluis_reviews_overdue_oldest_seconds", "How long the first of them is overdue", &self.reviews_oldest),
            ("sluis_informing_overdue", "Residents who were not informed in time", &self.informing_overdue),
            ("sluis_informing_overdue_oldest_seconds", "How long the first of it is overdue", &self.informing_oldest),
            (
                "sluis_incident_assessments_overdue",
                "Incidents that were not assessed in time",
                &self.assessments_overdue,
            ),
            (
                "sluis_incident_assessments_overdue_oldest_seconds",
                "How long the first of them is overdue",
                &self.assessments_oldest,
            ),
            (
                "sluis_incident_deletions_overdue",
                "Parties that did not delete in time what they had received by mistake",
                &self.deletions_overdue,
            ),
            (
                "sluis_incident_deletions_overdue_oldest_seconds",
                "How long the first of it is overdue",
                &self.deletions_oldest,
            ),
            ("sluis_objections_overdue", "Objections that were not weighed in time", &self.objections_overdue),
            (
                "sluis_objections_overdue_oldest_seconds",
                "How long the first of them is overdue",
                &self.objections_oldest,
            ),
            (
                "sluis_informing_duties_overdue",
                "Residents who did not hear in time what a party received about them",
                &self.duties_overdue,
            ),
            (
                "sluis_informing_duties_overdue_oldest_seconds",
                "How long the first of it is overdue",
                &self.duties_oldest,
            ),
            (
                "sluis_key_destructions_pending",
                "Keys of what was taken away, not destroyed yet",
                &self.key_destructions,
            ),
            (
                "sluis_key_destructions_pending_oldest_seconds",
                "Age of the oldest of them",
                &self.key_destructions_oldest,
            ),
            ("sluis_stopping", "1 once the gateway was told to stop", &self.stopping),
            ("process_resident_memory_bytes", "Memory of the process", &self.resident_bytes),
            ("process_start_time_seconds", "When the gateway started, since 1970", &self.started),
        ];
        for (name, help, number) in numbers {
            register.put(name, help, number.clone());
        }
        register.put(
            "sluis_certificate_days_left",
            "Days until a certificate of the gateway ends",
            self.certificate_days.clone(),
        );
        register.put(
            "sluis_revocation_list_days_left",
            "Days until an anchor's revocation list ends",
            self.revocation_list_days.clone(),
        );
        register.put(
            "sluis_watch_left_behind",
            "Referrals, cases and reviews for which the last look could do nothing",
            self.left_behind.clone(),
        );
        register.put("sluis_scrape_failed", "1 when these numbers could not be read", self.failed.clone());
    }
}

/// The method as a label: one that no route has is `other`.
#[must_use]
pub fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}
