//! The SQL of incidents, of what each party owes, and of its assessments.

use uuid::Uuid;

use super::types::{Assessment, AssessmentOutcome, Delay, Deletion, Duty, Incident, PassedOn, ResidentsTold};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT i.id AS id, i.referral AS referral, i.kind AS kind, i.sender AS sender, i.recipient AS recipient, ",
            "i.subject AS subject, i.reported_by AS reported_by, i.opened_at AS opened_at, d.organisation AS organisation, ",
            "d.aware_at AS aware_at, d.assess_due_at AS assess_due_at, d.assess_told AS assess_told, ",
            "d.assessment AS assessment, d.received AS received, d.delete_due_at AS delete_due_at, ",
            "d.delete_told AS delete_told, d.deleted_at AS deleted_at, d.passed_on AS passed_on, d.version AS version ",
            $rest
        )
    };
}

/// Stores a new incident, unless there is one of its kind about its referral; whether it did.
pub(super) async fn insert(tx: &mut Tx, incident: &Incident) -> Result<bool, Error> {
    let written = tx
        .execute(
            "INSERT INTO incidents (id, referral, kind, sender, recipient, subject, reported_by, opened_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (referral, kind) DO NOTHING",
            args![
                incident.id,
                incident.referral,
                incident.kind.as_str(),
                &incident.sender,
                &incident.recipient,
                &incident.subject,
                incident.reported_by.as_ref().map(ToString::to_string),
                incident.opened_at,
            ],
        )
        .await?;
    Ok(written == 1)
}

/// Stores what a party owes in a new incident.
pub(super) async fn insert_duty(tx: &mut Tx, incident: Uuid, duty: &Duty) -> Result<(), Error> {
    let deletion = duty.deletion.as_ref();
    let received = deletion.map(|one| serde_json::json!(one.received).to_string());
    tx.execute(
        "INSERT INTO incident_duties (organisation, incident, aware_at, assess_due_at, assess_told, received, \
         delete_due_at, delete_told, alarm_at, version) VALUES ($1, $2, $3, $4, 0, $5, $6, 0, $7, $8)",
        args![
            &duty.organisation,
            incident,
            duty.aware_at,
            duty.assess_due_at,
            received,
            deletion.map(|one| one.due_at),
            duty.alarm_at(),
            duty.version,
        ],
    )
    .await
    .map(drop)
}

/// Stores what changed in what a party owes, unless another change came first; whether it did.
pub(super) async fn advance(tx: &mut Tx, incident: Uuid, duty: &Duty, from_version: i64) -> Result<bool, Error> {
    let deletion = duty.deletion.as_ref();
    let confirmed = deletion.and_then(|one| one.confirmed);
    let changed = tx
        .execute(
            "UPDATE incident_duties SET assess_told = $4, assessment = $5, delete_told = $6, deleted_at = $7, passed_on = $8, \
             alarm_at = $9, version = $10 WHERE organisation = $1 AND incident = $2 AND version = $3",
            args![
                &duty.organisation,
                incident,
                from_version,
                i64::from(duty.assess_told),
                duty.assessment.map(AssessmentOutcome::as_str),
                i64::from(deletion.is_some_and(|one| one.told)),
                confirmed.map(|(at, _)| at),
                confirmed.map(|(_, passed_on)| passed_on.as_str()),
                duty.alarm_at(),
                duty.version,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// An incident, and what this organisation owes in it; nothing where it is no party.
pub(super) async fn find(
    query: &mut impl Query,
    id: Uuid,
    organisation: &Oin,
) -> Result<Option<(Incident, Duty)>, Error> {
    let sql = select!(
        "FROM incident_duties d JOIN incidents i ON i.id = d.incident WHERE d.incident = $1 AND d.organisation = $2"
    );
    query.row(sql, args![id, organisation]).await?.as_ref().map(read).transpose()
}

/// Those about a resident, also of referrals that were removed, in the order of opening.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<Incident>, Error> {
    let sql = "SELECT id, referral, kind, sender, recipient, subject, reported_by, opened_at FROM incidents WHERE subject = $1";
    let rows = query.rows(sql, args![subject]).await?;
    let mut found: Vec<Incident> = rows.iter().map(read_incident).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|incident| incident.id);
    Ok(found)
}

/// What both parties owe in an incident.
pub(super) async fn duties(query: &mut impl Query, id: Uuid) -> Result<Vec<Duty>, Error> {
    let sql = select!(
        "FROM incident_duties d JOIN incidents i ON i.id = d.incident WHERE d.incident = $1 ORDER BY d.organisation"
    );
    query.rows(sql, args![id]).await?.iter().map(|row| read(row).map(|(_, duty)| duty)).collect()
}

/// A page of an organisation's incidents, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<(Incident, Duty)>, Error> {
    let sql = select!(
        "FROM incident_duties d JOIN incidents i ON i.id = d.incident \
         WHERE d.organisation = $1 AND d.incident < $2 ORDER BY d.incident DESC LIMIT $3"
    );
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read).collect()
}

/// Where a deadline has passed and was not told, the longest waiting first; `after` is the last one of the step before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after, after_party): (Timestamp, Uuid, &str),
    limit: i64,
) -> Result<Vec<(Timestamp, Uuid, Oin)>, Error> {
    let sql = "SELECT alarm_at, incident, organisation FROM incident_duties \
               WHERE alarm_at <= $1 AND (alarm_at, incident, organisation) > ($2, $3, $4) \
               ORDER BY alarm_at, incident, organisation LIMIT $5";
    let rows = query.rows(sql, args![now, after_due, after, after_party, limit]).await?;
    rows.iter().map(|row| Ok((row.time("alarm_at")?, row.parsed("incident")?, row.parsed("organisation")?))).collect()
}

/// Stores an assessment; `version` is that of the duty after it.
pub(super) async fn insert_assessment(
    tx: &mut Tx,
    incident: Uuid,
    duty: &Duty,
    assessment: &Assessment,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO incident_assessments (id, organisation, incident, version, outcome, notified_at, delay, residents, \
         recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            assessment.id,
            &duty.organisation,
            incident,
            duty.version,
            assessment.outcome.as_str(),
            assessment.notified_at,
            assessment.delay.map(Delay::as_str),
            assessment.residents.map(ResidentsTold::as_str),
            assessment.recorded_at,
        ],
    )
    .await
    .map(drop)
}

/// How an organisation assessed an incident, in the order in which it did.
pub(super) async fn assessments(
    query: &mut impl Query,
    incident: Uuid,
    organisation: &Oin,
) -> Result<Vec<Assessment>, Error> {
    let sql = "SELECT id, outcome, notified_at, delay, residents, recorded_at FROM incident_assessments \
               WHERE incident = $1 AND organisation = $2 ORDER BY version";
    let rows = query.rows(sql, args![incident, organisation]).await?;
    rows.iter()
        .map(|row| {
            Ok(Assessment {
                id: row.parsed("id")?,
                outcome: row.parsed("outcome")?,
                notified_at: row.opt_time("notified_at")?,
                delay: row.opt_parsed("delay")?,
                residents: row.opt_parsed("residents")?,
                recorded_at: row.time("recorded_at")?,
            })
        })
        .collect()
}

fn read(row: &Row) -> Result<(Incident, Duty), Error> {
    Ok((read_incident(row)?, read_duty(row)?))
}

fn read_incident(row: &Row) -> Result<Incident, Error> {
    Ok(Incident {
        id: row.parsed("id")?,
        referral: row.parsed("referral")?,
        kind: row.parsed("kind")?,
        sender: row.parsed("sender")?,
        recipient: row.parsed("recipient")?,
        subject: row.text("subject")?,
        reported_by: row.opt_parsed("reported_by")?,
        opened_at: row.time("opened_at")?,
    })
}

fn read_duty(row: &Row) -> Result<Duty, Error> {
    let deletion = match row.opt_time("delete_due_at")? {
        None => None,
        Some(due_at) => {
            let passed_on: Option<PassedOn> = row.opt_parsed("passed_on")?;
            Some(Deletion {
                received: row.json("received")?,
                due_at,
                told: row.flag("delete_told")?,
                confirmed: row.opt_time("deleted_at")?.zip(passed_on),
            })
        }
    };
    Ok(Duty {
        organisation: row.parsed("organisation")?,
        aware_at: row.time("aware_at")?,
        assess_due_at: row.time("assess_due_at")?,
        assess_told: row.flag("assess_told")?,
        assessment: row.opt_parsed("assessment")?,
        deletion,
        version: row.int("version")?,
    })
}
