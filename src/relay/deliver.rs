//! The deliverer: sends what is owed to webhooks, at least once, in order per resource.
//!
//! A worker that takes no input: it finds its work in the database, so that it can be stopped at any moment and run by several gateways
//! at once. Invariant: an attempt is claimed and counted in the database before it is made, and settled by its claim.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::task::{self, JoinSet};
use uuid::Uuid;

use super::Relay;
use super::backoff;
use super::egress::{Failure, Question, Reply, Sink};
use super::event::Speaker;
use super::handshake;
use super::queue::{self, Job, Outcome, Settlement, Target};
use super::signature::{self, SigningSecret};
use crate::app::App;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::storage::Tx;

/// Subscriptions that are served at once.
const LANES: usize = 32;
/// Deliveries of one subscription that are under way at once; never two about one resource.
const PER_SUBSCRIPTION: usize = 8;
/// Rounds of one subscription before others get their turn.
const ROUNDS: usize = 16;
/// How often the worker looks by itself: for retries that fall due, and for what other gateways accepted.
const TICK: Duration = Duration::from_millis(500);

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Deliveries answered with 2xx.
    pub delivered: usize,
    /// Deliveries that failed and will be tried again.
    pub postponed: usize,
    /// Deliveries that were given up.
    pub dead: usize,
    /// Subscriptions whose handshake succeeded.
    pub confirmed: usize,
}

impl Report {
    fn plus(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            postponed: self.postponed + other.postponed,
            dead: self.dead + other.dead,
            confirmed: self.confirmed + other.confirmed,
        }
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Delivered => self.delivered += 1,
            Outcome::Again(_) => self.postponed += 1,
            Outcome::Dead | Outcome::Gone => self.dead += 1,
        }
    }
}

/// One piece of work: a subscription with something to send, or one to be confirmed.
#[derive(Debug, Clone, Copy)]
enum Work {
    Deliveries(Uuid),
    Handshake(Uuid),
}

impl Work {
    const fn subscription(self) -> Uuid {
        match self {
            Self::Deliveries(id) | Self::Handshake(id) => id,
        }
    }
}

/// Does everything that is due now and answers what came of it; what tests and the demonstration call.
///
/// # Errors
/// When the database fails.
pub async fn deliver_due(app: &App) -> Result<Report, Problem> {
    pass(&Relay::of(app)).await
}

/// See [`deliver_due`].
pub(super) async fn pass(relay: &Relay) -> Result<Report, Problem> {
    let reports = stream::iter(due(relay).await?).map(|work| perform(relay, work)).buffer_unordered(LANES);
    reports.fold(Ok(Report::default()), async |total, report| Ok(total?.plus(report?))).await
}

/// Delivers until the gateway stops; woken by new events and by a timer. A subscription that is slow holds up no other. When the
/// gateway stops, exchanges under way end, and what was taken but not tried is given back. What is under way when this is dropped is
/// abandoned: its lease passes, and it is sent again.
pub async fn run(app: App) {
    follow(Relay::of(&app)).await;
}

/// See [`run`].
pub(super) async fn follow(relay: Relay) {
    let mut events = relay.events();
    let mut lanes = JoinSet::new();
    let mut busy = Busy::default();
    while !relay.is_stopping() {
        events.borrow_and_update();
        let due = due(&relay).await;
        relay.vitals.deliverer.beat(due.is_ok());
        match due {
            Ok(work) => start(&relay, work, &mut lanes, &mut busy),
            Err(problem) => tracing::warn!(%problem, "the deliverer cannot see what is due"),
        }
        tokio::select! {
            Some(ended) = lanes.join_next_with_id() => busy.ended(&ended),
            _ = events.changed() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    while let Some(ended) = lanes.join_next_with_id().await {
        busy.ended(&ended);
    }
}

type Ended = Result<(task::Id, Result<Report, Problem>), task::JoinError>;

/// The subscriptions that a lane is serving.
#[derive(Default)]
struct Busy {
    subscriptions: HashSet<Uuid>,
    lanes: HashMap<task::Id, Uuid>,
}

impl Busy {
    fn ended(&mut self, ended: &Ended) {
        let lane = match ended {
            Ok((lane, report)) => {
                if let Err(problem) = report {
                    tracing::warn!(%problem, "deliveries could not be recorded; their lease ends and they are sent again");
                }
                *lane
            }
            Err(error) => {
                tracing::error!("a delivery lane stopped unexpectedly");
                error.id()
            }
        };
        if let Some(subscription) = self.lanes.remove(&lane) {
            self.subscriptions.remove(&subscription);
        }
    }
}

fn start(relay: &Relay, work: Vec<Work>, lanes: &mut JoinSet<Result<Report, Problem>>, busy: &mut Busy) {
    for work in work {
        let subscription = work.subscription();
        if lanes.len() >= LANES || busy.subscriptions.contains(&subscription) {
            continue;
        }
        let relay = relay.clone();
        let lane = lanes.spawn(async move { perform(&relay, work).await });
        busy.lanes.insert(lane.id(), subscription);
        busy.subscriptions.insert(subscription);
    }
}

async fn due(relay: &Relay) -> Result<Vec<Work>, Problem> {
    let (mut reader, now) = (relay.db.reader(), relay.now());
    let handshakes = queue::handshakes_due(&mut reader, now).await?;
    let deliveries = queue::due(&mut reader, now).await?;
    Ok(handshakes.into_iter().map(Work::Handshake).chain(deliveries.into_iter().map(Work::Deliveries)).collect())
}

async fn perform(relay: &Relay, work: Work) -> Result<Report, Problem> {
    match work {
        Work::Deliveries(subscription) => deliveries(relay, subscription).await,
        Work::Handshake(subscription) => {
            let confirmed = handshake::perform(relay, subscription).await?;
            Ok(Report { confirmed: usize::from(confirmed), ..Report::default() })
        }
    }
}

/// Sends what one subscription is owed, round after round: a resource's next event becomes free when the one before is settled.
async fn deliveries(relay: &Relay, subscription: Uuid) -> Result<Report, Problem> {
    let mut report = Report::default();
    for _ in 0..ROUNDS {
        let (claim, now) = (relay.new_id()?, relay.now());
        let claimed = relay.db.write("claim-deliveries", async move |tx| {
            queue::claim(tx, subscription, claim, now).await.map_err(Problem::from)
        });
        let Some((target, jobs)) = claimed.await? else { break };
        if jobs.is_empty() {
            break;
        }
        let positions: Vec<i64> = jobs.iter().map(|job| job.event.position).collect();
        let round = Round::new(relay, target, claim)?;
        let sent = stream::iter(jobs).map(|job| round.deliver(job)).buffer_unordered(PER_SUBSCRIPTION);
        let outcomes: Vec<Result<Option<Outcome>, Problem>> = sent.collect().await;
        for outcome in outcomes {
            if let Some(outcome) = outcome? {
                report.count(outcome);
            }
        }
        if relay.is_stopping() {
            let give_back = async move |tx: &mut Tx| Ok(queue::give_back(tx, subscription, &positions, claim).await?);
            relay.db.write("give-back-deliveries", give_back).await?;
            break;
        }
        if report.postponed > 0 || report.dead > 0 {
            // A sink in trouble is left alone until the next pass.
            break;
        }
    }
    Ok(report)
}

/// What the deliveries of one claim share.
struct Round<'a> {
    relay: &'a Relay,
    claim: Uuid,
    target: Target,
    secrets: Vec<SigningSecret>,
    speaker: Speaker,
    sink: Result<Sink, Failure>,
}

impl<'a> Round<'a> {
    fn new(relay: &'a Relay, target: Target, claim: Uuid) -> Result<Self, Problem> {
        let secrets = open_secrets(relay, &target)?;
        let sink = relay.egress.parse(&target.sink).map_err(|_| Failure::TargetRefused);
        Ok(Self { relay, claim, target, secrets, speaker: relay.speaker.clone(), sink })
    }

    /// Sends one delivery and records what came of it; none when the gateway stops.
    async fn deliver(&self, job: Job) -> Result<Option<Outcome>, Problem> {
        if self.relay.is_stopping() {
            return Ok(None);
        }
        let answer = self.send(&job).await?;
        let now = self.relay.now();
        let settlement = self.judge(&job, &answer, now)?;
        let settled = self
            .relay
            .db
            .write("settle-delivery", async move |tx| queue::settle(tx, &settlement, now).await.map_err(Problem::from));
        if !settled.await? {
            tracing::info!(subscription = %self.target.id, "a delivery took longer than its lease");
        }
        self.relay.metrics.delivered(&self.target.organisation, settlement.status, settlement.error);
        Ok(Some(settlement.outcome))
    }

    async fn send(&self, job: &Job) -> Result<Result<Reply, Failure>, Problem> {
        let sink = match &self.sink {
            Ok(sink) => sink,
            Err(failure) => return Ok(Err(*failure)),
        };
        let body = job.event.to_bytes(&self.speaker)?;
        let now = self.relay.now();
        let mut headers = vec![
            ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
            ("webhook-id", job.event.id.clone()),
            ("webhook-timestamp", now.as_seconds().to_string()),
            ("webhook-signature", signature::header(&self.secrets, &job.event.id, now, &body)),
        ];
        headers.extend(job.event.trace_parent.clone().map(|trace| ("traceparent", trace)));
        Ok(self.relay.egress.ask(sink, Question::Post(body), &headers, self.target.mutual_tls).await)
    }

    fn judge(&self, job: &Job, answer: &Result<Reply, Failure>, now: Timestamp) -> Result<Settlement, Problem> {
        let (status, error) = match answer {
            Ok(reply) if reply.is_success() => (Some(reply.status), None),
            Ok(reply) if (300..400).contains(&reply.status) => (Some(reply.status), Some("redirected")),
            Ok(reply) => (Some(reply.status), Some("status")),
            Err(failure) => (None, Some(failure.code())),
        };
        let outcome = match (status, error) {
            (_, None) => Outcome::Delivered,
            (Some(410), _) => Outcome::Gone,
            _ => {
                let asked = answer.as_ref().ok().and_then(|reply| reply.header("retry-after"));
                let next = backoff::next_attempt(
                    job.first_attempt_at,
                    u32::try_from(job.attempts).unwrap_or(u32::MAX),
                    now,
                    asked.and_then(|value| backoff::retry_after(value, now)),
                    self.relay.give_up_after,
                    u32::from_ne_bytes(self.relay.entropy.bytes()?),
                );
                next.map_or(Outcome::Dead, Outcome::Again)
            }
        };
        Ok(Settlement {
            subscription: self.target.id,
            position: job.event.position,
            claim: self.claim,
            attempts: job.attempts,
            outcome,
            status: status.map(i64::from),
            error,
        })
    }
}

/// The present secret, and during a rotation the former one.
fn open_secrets(relay: &Relay, target: &Target) -> Result<Vec<SigningSecret>, Problem> {
    let former =
        target.former_secret.as_ref().filter(|_| target.former_secret_until.is_some_and(|until| relay.now() < until));
    std::iter::once(&target.secret)
        .chain(former)
        .map(|sealed| super::service::open_secret(relay, target.id, sealed))
        .collect()
}
