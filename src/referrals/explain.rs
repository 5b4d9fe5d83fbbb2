//! Why was this decided: a decision from the audit log, taken again on the facts that its record kept.
//!
//! Invariant: it is taken with the engine of the version that decided then, and must come out as recorded.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::audit::{self, Field, StoredRecord};
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Phase, PurposeCode};
use crate::ids::Oin;
use crate::policy::explain::{Explanation, explain};
use crate::policy::{
    Action, AgeGroup, CaseFacts, ConsentRecord, GivenBy, OnWithheld, RecordKind, ReferralTerms, RepresentativeKind,
    Request, Standing, SubjectFacts,
};
use crate::problem::{Code, Problem};

/// The facts of a record, as `decide` wrote them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    action: Action,
    referral: Parties,
    giver: Stands,
    receiver: Stands,
    age_group: Option<AgeGroup>,
    age_group_contradicted: bool,
    by_bsn: bool,
    /// Absent from records of before there were cases.
    #[serde(default)]
    case: Case,
    carried: Vec<CategoryCode>,
    records: Vec<RecordFacts>,
    on_withheld: OnWithheld,
    now: Timestamp,
}

#[derive(Deserialize)]
struct Parties {
    sender: Oin,
    recipient: Oin,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Case {
    participant_and_coordinator: bool,
    municipality_coordinates: bool,
    stepped_up: bool,
}

#[derive(Deserialize)]
struct Stands {
    signed: bool,
    active: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordFacts {
    id: Uuid,
    kind: RecordKind,
    recorded_by: Oin,
    given_by: GivenBy,
    representative_kind: Option<RepresentativeKind>,
    explicit: bool,
    recipients: Vec<Oin>,
    purposes: Vec<PurposeCode>,
    categories: Vec<CategoryCode>,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

/// Explains the decision that this record of the audit log is about.
///
/// # Errors
/// 404 for an unknown record, 409 for one that holds no decision or whose facts were erased.
pub async fn explain_record(app: &App, id: &str) -> Result<Explanation, Problem> {
    let mut reader = app.db.reader();
    let record = audit::find(&mut reader, id).await?.ok_or_else(Problem::not_found)?;
    let no_decision = || {
        Problem::new(
            Code::Conflict,
            "this record holds no decision with its facts; name a decision's record of the one who gave",
        )
    };
    let version = record.value(Field::CovenantVersion).ok_or_else(no_decision)?.to_owned();
    let (request, on_withheld) = rebuild(&record).ok_or_else(no_decision)?;
    let engine = app.covenants.of_version(&mut reader, &version).await?;
    let decision = engine.decide(&request);
    Ok(explain(&engine, &request, &decision, on_withheld))
}

fn rebuild(record: &StoredRecord) -> Option<(Request, OnWithheld)> {
    let facts: Facts = serde_json::from_str(record.value(Field::Facts)?).ok()?;
    let sections: Vec<Value> = serde_json::from_str(record.value(Field::Sections)?).ok()?;
    let categories = sections.iter().map(|section| section.get("category")?.as_str()?.parse().ok());
    let request = Request {
        action: facts.action,
        giver: record.value(Field::Sender)?.parse().ok()?,
        giver_standing: facts.giver.into(),
        receiver: record.value(Field::Recipient)?.parse().ok()?,
        receiver_standing: facts.receiver.into(),
        referral: ReferralTerms {
            sender: facts.referral.sender,
            recipient: facts.referral.recipient,
            purpose: record.value(Field::Purpose)?.parse().ok()?,
            phase: Phase::from_word(record.value(Field::Phase)?)?,
            basis: record.value(Field::LegalBasis)?.parse().ok()?,
        },
        subject: SubjectFacts {
            age_group: facts.age_group,
            age_group_contradicted: facts.age_group_contradicted,
            by_bsn: facts.by_bsn,
        },
        case: CaseFacts {
            participant_and_coordinator: facts.case.participant_and_coordinator,
            municipality_coordinates: facts.case.municipality_coordinates,
            stepped_up: facts.case.stepped_up,
        },
        break_glass: None,
        sections: categories.collect::<Option<_>>()?,
        carried: facts.carried,
        records: facts.records.into_iter().map(ConsentRecord::from).collect(),
        now: facts.now,
    };
    Some((request, facts.on_withheld))
}

impl From<Stands> for Standing {
    fn from(stands: Stands) -> Self {
        Self { signed: stands.signed, active: stands.active }
    }
}

impl From<RecordFacts> for ConsentRecord {
    fn from(facts: RecordFacts) -> Self {
        Self {
            id: facts.id,
            kind: facts.kind,
            recorded_by: facts.recorded_by,
            given_by: facts.given_by,
            representative: facts.representative_kind,
            explicit: facts.explicit,
            recipients: facts.recipients,
            purposes: facts.purposes,
            categories: facts.categories,
            valid_from: facts.valid_from,
            valid_until: facts.valid_until,
            withdrawn_at: None,
        }
    }
}
