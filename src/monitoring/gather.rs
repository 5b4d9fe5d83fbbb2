//! Numbers that are looked up when somebody asks for the metrics.
//!
//! Invariant: a number that cannot be had in time shows as NaN, and the failure as a number of its own; it holds nobody up.

use std::time::Duration;

use super::metrics::{NameLabels, Number};
use super::process;
use super::store::{self, Backlog};
use crate::app::App;
use crate::clock::Timestamp;
use crate::consents;
use crate::problem::Problem;
use crate::storage::Error;

/// How long the database may take for one of its numbers.
const PATIENCE: Duration = Duration::from_secs(2);
const DAY: f64 = 24.0 * 3_600.0 * 1_000_000.0;

/// Brings the gathered metrics up to date.
pub(super) async fn gather(app: &App) {
    let gathered = &app.metrics.gathered;
    let (connections, idle) = app.db.pool_size();
    for (number, value) in [
        (&gathered.in_flight, app.limits.in_flight()),
        (&gathered.waiting, app.limits.waiting()),
        (&gathered.connections, app.connections.count()),
        (&gathered.writer_queue, app.db.queue_length()),
        (&gathered.pool_size, connections),
        (&gathered.pool_idle, idle),
        (&gathered.stopping, usize::from(app.vitals.is_leaving())),
    ] {
        number.set(float(value));
    }
    for (name, watch) in app.vitals.watches() {
        let number = gathered.left_behind.get_or_create_owned(&NameLabels { name: name.to_owned() });
        number.set(float(watch.left_behind()));
    }
    gathered.resident_bytes.set(process::resident_bytes().map_or(f64::NAN, float));
    gathered.started.set(float(app.started.as_unix_millis()) / 1_000.0);
    let (mut events, mut deliveries, mut records) = (app.db.reader(), app.db.reader(), app.db.reader());
    let mut keys = app.db.reader();
    tokio::join!(
        backlog(app, "events", store::events(&mut events), [&gathered.events_unsequenced, &gathered.events_oldest]),
        backlog(
            app,
            "deliveries",
            store::deliveries(&mut deliveries),
            [&gathered.deliveries_pending, &gathered.deliveries_oldest]
        ),
        backlog(
            app,
            "records",
            store::records(&mut records),
            [&gathered.records_unsequenced, &gathered.records_oldest]
        ),
        confirmations(app),
        owed(app),
        backlog(
            app,
            "key-destructions",
            store::key_destructions(&mut keys),
            [&gathered.key_destructions, &gathered.key_destructions_oldest]
        ),
    );
    days(app);
}

/// What organisations should have done by now; which of them is for themselves to see.
async fn owed(app: &App) {
    let (gathered, now) = (&app.metrics.gathered, app.now());
    let (mut reviews, mut informing) = (app.db.reader(), app.db.reader());
    let (mut assessments, mut deletions) = (app.db.reader(), app.db.reader());
    let (mut objections, mut duties) = (app.db.reader(), app.db.reader());
    tokio::join!(
        backlog(
            app,
            "reviews",
            store::reviews(&mut reviews, now),
            [&gathered.reviews_overdue, &gathered.reviews_oldest]
        ),
        backlog(
            app,
            "informing",
            store::informing(&mut informing, now),
            [&gathered.informing_overdue, &gathered.informing_oldest]
        ),
        backlog(
            app,
            "assessments",
            store::assessments(&mut assessments, now),
            [&gathered.assessments_overdue, &gathered.assessments_oldest]
        ),
        backlog(
            app,
            "deletions",
            store::deletions(&mut deletions, now),
            [&gathered.deletions_overdue, &gathered.deletions_oldest]
        ),
        backlog(
            app,
            "objections",
            store::objections(&mut objections, now),
            [&gathered.objections_overdue, &gathered.objections_oldest]
        ),
        backlog(app, "duties", store::duties(&mut duties, now), [&gathered.duties_overdue, &gathered.duties_oldest]),
    );
}

/// Events and records that wait for their place, and since when; readiness goes by it too.
///
/// # Errors
/// When the database does not answer in time.
pub(super) async fn unsequenced(app: &App) -> Result<[Backlog; 2], Problem> {
    let mut reader = app.db.reader();
    let both = async { Ok([store::events(&mut reader).await?, store::records(&mut reader).await?]) };
    in_time(both).await.map_err(Problem::from)
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Error::Closed))
}

async fn backlog(
    app: &App,
    name: &str,
    asked: impl Future<Output = Result<Backlog, Error>>,
    [count, age]: [&Number; 2],
) {
    let answer = in_time(asked).await;
    if let Err(error) = &answer {
        tracing::warn!(name, %error, "a number for the metrics cannot be read");
    }
    let (waiting, seconds) = answer.as_ref().map_or((f64::NAN, f64::NAN), |backlog| {
        (float(backlog.waiting.unsigned_abs()), age_of(backlog, app.now()).as_secs_f64())
    });
    count.set(waiting);
    age.set(seconds);
    let failed = app.metrics.gathered.failed.get_or_create_owned(&NameLabels { name: name.to_owned() });
    failed.set(if answer.is_err() { 1.0 } else { 0.0 });
}

/// What is to be confirmed after withdrawals; how much at which party is for the recorders to see.
async fn confirmations(app: &App) {
    let (gathered, mut reader) = (&app.metrics.gathered, app.db.reader());
    let answer = in_time(consents::outstanding(&mut reader, app.now(), store::MOST)).await;
    if let Err(error) = &answer {
        tracing::warn!(%error, "the number of confirmations cannot be read");
    }
    let (open, overdue) = answer.as_ref().map_or((f64::NAN, f64::NAN), |outstanding| {
        (float(outstanding.open.unsigned_abs()), float(outstanding.overdue.unsigned_abs()))
    });
    gathered.confirmations_open.set(open);
    gathered.confirmations_overdue.set(overdue);
    let failed = gathered.failed.get_or_create_owned(&NameLabels { name: "confirmations".to_owned() });
    failed.set(if answer.is_err() { 1.0 } else { 0.0 });
}

/// How long the oldest has waited.
pub(super) fn age_of(backlog: &Backlog, now: Timestamp) -> Duration {
    let micros = backlog.since.map_or(0, |since| now.as_micros().saturating_sub(since));
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn days(app: &App) {
    let (gathered, now) = (&app.metrics.gathered, app.now());
    for (name, ends) in app.vitals.certificates() {
        gathered.certificate_days.get_or_create(&NameLabels { name: (*name).to_owned() }).set(days_left(*ends, now));
    }
    for (anchor, ends) in app.credentials.anchors.revocation_lists_end(now) {
        // Without a list that counts nothing is left.
        let left = ends.map_or(0.0, |ends| days_left(ends, now));
        gathered.revocation_list_days.get_or_create(&NameLabels { name: anchor.to_owned() }).set(left);
    }
}

/// Days until this moment; negative once it has passed.
pub(super) fn days_left(ends: Timestamp, now: Timestamp) -> f64 {
    signed(ends.as_micros().saturating_sub(now.as_micros())) / DAY
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; what lies above 2^53 may be rounded")]
fn float(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
fn signed(number: i64) -> f64 {
    number as f64
}
