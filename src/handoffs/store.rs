//! The SQL of the monitor. It reads referrals and their steps, and writes nothing but finished figures.
//!
//! Invariant: what happened in a period is found by the time in identifiers, in pages of a closed window; how things stand, along what is
//! open. Every referral that the monitor hears of passes [`counted`]: whatever must not be counted is left out there. A safety veto leaves nothing out: what was
//! never sent is not here, and what was called off counts as that, since whoever knows its own flows would see that something is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::Figures;
use super::period::Period;
use super::types::SteppedUpCase;
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::lifecycle::referral::Operation;
use crate::storage::window::STEP;
use crate::storage::{Error, Query, Row, Tx};

/// Who, to whom, why and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) sender: Oin,
    pub(super) recipient: Oin,
    pub(super) purpose: String,
    pub(super) priority: String,
}

/// A referral that was handed over.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: String,
    pub(super) route: Route,
    pub(super) created_at: Timestamp,
}

/// A step that was taken.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) route: Route,
    pub(super) created_at: Timestamp,
    pub(super) taken_at: Timestamp,
    pub(super) status: Status,
    pub(super) operation: Operation,
    /// How far the referral had come before: 1 picked up, 2 decided on, 3 completed.
    pub(super) reached: i64,
}

/// A referral that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: String,
    pub(super) route: Route,
    pub(super) created_at: Timestamp,
    pub(super) due_at: Timestamp,
    pub(super) late_since: Option<Timestamp>,
    pub(super) missed: i64,
}

/// A page, and the key behind which the next one goes on.
pub(super) struct Page<T, K> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<K>,
}

/// The one door to the monitor: the route of a referral that is counted; none for one that must not be.
fn counted(row: &Row) -> Result<Option<Route>, Error> {
    Ok(Some(Route {
        sender: row.parsed("sender")?,
        recipient: row.parsed("recipient")?,
        purpose: row.text("purpose")?,
        priority: row.text("priority")?,
    }))
}

fn page<T, K>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<Option<T>, Error>,
    key: impl Fn(&Row) -> Result<K, Error>,
) -> Result<Page<T, K>, Error> {
    let items = rows.iter().filter_map(|row| read(row).transpose()).collect::<Result<_, _>>()?;
    let full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= STEP);
    let next = rows.last().filter(|_| full).map(key).transpose()?;
    Ok(Page { items, next })
}

/// How far the time in an identifier, which is drawn a moment earlier or later, may be from that of the row.
const DRAWN_WITHIN: Duration = Duration::from_mins(1);

/// Before every identifier (UUID version 7) of a row of this moment.
pub(super) fn before_all_of(moment: Timestamp) -> String {
    first_of(moment.minus(DRAWN_WITHIN))
}

/// After every identifier of a row of an earlier moment.
pub(super) fn after_all_before(moment: Timestamp) -> String {
    first_of(moment.plus(DRAWN_WITHIN))
}

fn first_of(moment: Timestamp) -> String {
    uuid::Builder::from_unix_timestamp_millis(moment.as_unix_millis(), &[0; 10]).into_uuid().to_string()
}

fn id(row: &Row) -> Result<String, Error> {
    row.text("id")
}

/// Who has signed the covenant, in whichever version, and since when it could hand over: registered and signed.
pub(super) async fn joined(query: &mut impl Query) -> Result<BTreeMap<Oin, Timestamp>, Error> {
    let sql = "SELECT s.organisation AS oin, o.created_at AS created_at, s.signed_at AS signed_at FROM covenant_signatures s \
               JOIN organisations o ON o.oin = s.organisation";
    let mut joined = BTreeMap::new();
    for row in query.rows(sql, args![]).await? {
        let since = row.time("created_at")?.max(row.time("signed_at")?);
        let first = joined.entry(row.parsed("oin")?).or_insert(since);
        *first = since.min(*first);
    }
    Ok(joined)
}

/// A page of the referrals with identifiers between these two.
pub(super) async fn opened(query: &mut impl Query, after: &str, before: &str) -> Result<Page<Opened, String>, Error> {
    let sql = "SELECT id, sender, recipient, purpose, priority, created_at FROM referrals WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
    let rows = query.rows(sql, args![after, before, STEP]).await?;
    let read = |row: &Row| {
        let Some(route) = counted(row)? else { return Ok(None) };
        Ok(Some(Opened { id: id(row)?, route, created_at: row.time("created_at")? }))
    };
    page(&rows, read, id)
}

/// The categories that came with the referrals from the first to the last of a page: referral and category.
pub(super) async fn categories(
    query: &mut impl Query,
    first: &str,
    last: &str,
) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT referral, category FROM referral_sections WHERE referral >= $1 AND referral <= $2 AND part = 'referral'";
    let rows = query.rows(sql, args![first, last]).await?;
    rows.iter().map(|row| Ok((row.text("referral")?, row.text("category")?))).collect()
}

/// A page of the steps with identifiers between these two.
pub(super) async fn steps(query: &mut impl Query, after: &str, before: &str) -> Result<Page<Step, String>, Error> {
    let sql = "SELECT u.id AS id, u.status AS status, u.operation AS operation, u.taken_at AS taken_at, r.sender AS sender, \
               r.recipient AS recipient, r.purpose AS purpose, r.priority AS priority, r.created_at AS created_at, \
               CAST(COALESCE((SELECT MAX(CASE e.status WHEN 'received' THEN 1 WHEN 'accepted' THEN 2 WHEN 'rejected' THEN 2 \
               WHEN 'completed' THEN 3 ELSE 0 END) FROM referral_updates e WHERE e.referral = u.referral AND e.version < u.version), 0) AS BIGINT) \
               AS reached FROM referral_updates u JOIN referrals r ON r.id = u.referral WHERE u.id > $1 AND u.id < $2 ORDER BY u.id LIMIT $3";
    let rows = query.rows(sql, args![after, before, STEP]).await?;
    let read = |row: &Row| {
        let Some(route) = counted(row)? else { return Ok(None) };
        Ok(Some(Step {
            route,
            created_at: row.time("created_at")?,
            taken_at: row.time("taken_at")?,
            status: row.parsed("status")?,
            operation: row.parsed("operation")?,
            reached: row.int("reached")?,
        }))
    };
    page(&rows, read, id)
}

macro_rules! select_open {
    ($rest:literal) => {
        concat!(
            "SELECT id, sender, recipient, purpose, priority, created_at, due_at, late_since, missed, ",
            "CASE WHEN duty = 'wait' THEN COALESCE(paused_missed, 0) ELSE 0 END AS missed_before FROM referrals ",
            $rest
        )
    };
}

fn read_open(row: &Row) -> Result<Option<Open>, Error> {
    let (Some(route), Some(due_at)) = (counted(row)?, row.opt_time("due_at")?) else { return Ok(None) };
    // What was missed at work counts on while it waits, but while its clock stands still nobody is late for that.
    let missed = row.int("missed")?.saturating_sub(row.int("missed_before")?);
    Ok(Some(Open {
        id: id(row)?,
        route,
        created_at: row.time("created_at")?,
        due_at,
        late_since: row.opt_time("late_since")?.filter(|_| missed > 0),
        missed,
    }))
}

/// A page of what is open now, the first due first.
pub(super) async fn open(
    query: &mut impl Query,
    after: (Timestamp, String),
) -> Result<Page<Open, (Timestamp, String)>, Error> {
    let sql = select_open!("WHERE due_at IS NOT NULL AND (due_at, id) > ($1, $2) ORDER BY due_at, id LIMIT $3");
    let rows = query.rows(sql, args![after.0, after.1, STEP]).await?;
    page(&rows, read_open, |row| Ok((row.time("due_at")?, id(row)?)))
}

/// A page of what is late since a moment, and before another one: the longest first.
pub(super) async fn late(
    query: &mut impl Query,
    (since, after): (Timestamp, String),
    before: Timestamp,
) -> Result<Page<Open, (Timestamp, String)>, Error> {
    let sql = select_open!(
        "WHERE late_since >= $1 AND late_since < $3 AND (late_since > $1 OR id > $2) ORDER BY late_since, id LIMIT $4"
    );
    let rows = query.rows(sql, args![since, after, before, STEP]).await?;
    page(&rows, read_open, |row| Ok((row.time("late_since")?, id(row)?)))
}

/// A page of the referrals in which a step was taken between these identifiers of steps.
pub(super) async fn touched(
    query: &mut impl Query,
    after: &str,
    before: &str,
) -> Result<Page<(String, Timestamp), String>, Error> {
    let sql = "SELECT id, referral, taken_at FROM referral_updates WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
    let rows = query.rows(sql, args![after, before, STEP]).await?;
    page(&rows, |row| Ok(Some((row.text("referral")?, row.time("taken_at")?))), id)
}

/// A referral as it stood at a moment, by its last steps before; none when it was not open.
pub(super) async fn as_it_stood(query: &mut impl Query, referral: &str, at: Timestamp) -> Result<Option<Open>, Error> {
    let sql = "SELECT id, sender, recipient, purpose, priority, created_at FROM referrals WHERE id = $1";
    let Some(row) = query.row(sql, args![referral]).await? else { return Ok(None) };
    let (Some(route), created_at) = (counted(&row)?, row.time("created_at")?) else { return Ok(None) };
    let sql = "SELECT holder, due_at, operation FROM referral_updates WHERE referral = $1 AND taken_at < $2 ORDER BY version DESC LIMIT 2";
    let steps = query.rows(sql, args![referral, at]).await?;
    let mut missed = 0;
    for step in &steps {
        if step.text("operation")? != "deadline" {
            break;
        }
        missed += 1;
    }
    let last = steps.first();
    let is_held = last.map_or(Ok(true), |step| step.opt_text("holder").map(|holder| holder.is_some()))?;
    let due_at = last.map(|step| step.opt_time("due_at")).transpose()?.flatten().unwrap_or(at);
    let open = Open { id: referral.to_owned(), route, created_at, due_at, late_since: None, missed };
    Ok((is_held && created_at < at).then_some(open))
}

/// A place in the history of all cases, in the order of time.
pub(super) type CaseKey = (Timestamp, String, i64, i64);

/// A page of the cases that were stepped up behind this place and before a moment. One that goes on to be stepped up is none: what happened in
/// the case before was that too. Who coordinated it then is told by who handed it over first after that.
pub(super) async fn stepped_up(
    query: &mut impl Query,
    after: CaseKey,
    until: Timestamp,
    reader: &Oin,
) -> Result<Page<SteppedUpCase, CaseKey>, Error> {
    let sql = "SELECT h.taken_at AS taken_at, h.case_id AS case_id, h.version AS version, h.place AS place, h.reason AS reason, \
               COALESCE((SELECT e.happened FROM case_history e WHERE e.case_id = h.case_id AND (e.version, e.place) < (h.version, h.place) \
               AND e.happened <> 'coordinator' ORDER BY e.version DESC, e.place DESC LIMIT 1), 'none') AS earlier, \
               COALESCE((SELECT l.organisation FROM case_history l WHERE l.case_id = h.case_id AND (l.version, l.place) > (h.version, h.place) \
               AND l.happened = 'coordinator' ORDER BY l.version, l.place LIMIT 1), c.coordinator) AS coordinator, \
               (SELECT r.created_at FROM referrals r WHERE r.sender = $6 AND r.case_id = h.case_id ORDER BY r.id LIMIT 1) AS first_sent, \
               (SELECT r.created_at FROM referrals r WHERE r.recipient = $6 AND r.case_id = h.case_id ORDER BY r.id LIMIT 1) AS first_received \
               FROM case_history h JOIN cases c ON c.id = h.case_id WHERE h.happened = 'stepped-up' \
               AND (h.taken_at, h.case_id, h.version, h.place) > ($1, $2, $3, $4) AND h.taken_at < $5 \
               ORDER BY h.taken_at, h.case_id, h.version, h.place LIMIT $7";
    let (moment, case, version, place) = after;
    let rows = query.rows(sql, args![moment, case, version, place, until, reader, STEP]).await?;
    let read = |row: &Row| {
        if row.text("earlier")? == "stepped-up" {
            return Ok(None);
        }
        let (at, first) = (row.time("taken_at")?, [row.opt_time("first_sent")?, row.opt_time("first_received")?]);
        let is_party = first.into_iter().flatten().any(|first| first <= at);
        let own = row.parsed::<Oin>("coordinator")? == *reader || is_party;
        Ok(Some(SteppedUpCase { at, reason: row.parsed("reason")?, own }))
    };
    page(&rows, read, |row| Ok((row.time("taken_at")?, row.text("case_id")?, row.int("version")?, row.int("place")?)))
}

/// The periods of which a reader has figures.
pub(super) async fn periods(query: &mut impl Query, reader: &Oin) -> Result<Vec<Period>, Error> {
    let rows = query.rows("SELECT period FROM handoff_snapshots WHERE reader = $1", args![reader]).await?;
    rows.iter().map(|row| row.parsed("period")).collect()
}

/// The figures of a period.
pub(super) async fn figures(query: &mut impl Query, reader: &Oin, period: Period) -> Result<Option<Figures>, Error> {
    let sql = "SELECT figures FROM handoff_snapshots WHERE reader = $1 AND period = $2";
    query.row(sql, args![reader, period.to_string()]).await?.map(|row| row.json("figures")).transpose()
}

/// Keeps the figures of a period, unless another gateway was first: what was made first is shown for ever.
pub(super) async fn keep(tx: &mut Tx, reader: &Oin, period: Period, figures: &str) -> Result<(), Error> {
    let sql = "INSERT INTO handoff_snapshots (reader, period, figures) VALUES ($1, $2, $3) ON CONFLICT (reader, period) DO NOTHING";
    tx.execute(sql, args![reader, period.to_string(), figures]).await.map(drop)
}
