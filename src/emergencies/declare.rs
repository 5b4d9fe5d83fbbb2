//! Declaring break-glass: who may, about what, for how long; and its review, opened in the same transaction.
//!
//! Checked in this order: the form and the codes (400, all at once), whether the covenant gives the caller's role a mandate and has a row for it (403). A
//! declaration decides nothing: what is given under it is decided on by every rule of the covenant, then and again when it is read.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::types::{CannotConsent, Duty, EmergencyAccess, EmergencyReason, LONGEST, Review};
use super::{store, trace, view};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::covenant::{self, BasisCode, BasisKind, CategoryCode, CategoryGroup, Covenant, Party, Row};
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::lifecycle::working_days::after_working_days;
use crate::policy::{
    self, Action, BreakGlass, CaseFacts, Engine, ReferralTerms, Request, RightsFacts, Standing, SubjectFacts,
};
use crate::problem::{Code, InvalidParam, Problem, until_settled};
use crate::relay::{self, EmergencyNews, Event};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Query, Tx};
use crate::subjects::{self, Named, SubjectReference};
use crate::vetoes;

/// A declaration as it is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Declaration {
    recipient: Oin,
    subject: SubjectReference,
    role: String,
    reason: EmergencyReason,
    #[serde(default)]
    cannot_consent: Option<CannotConsent>,
    categories: Vec<CategoryCode>,
    #[serde(default)]
    valid_until: Option<Timestamp>,
}

/// `POST /v1/emergency-accesses`
///
/// # Errors
/// 400 with everything that is wrong, 403, 409.
pub async fn declare(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    let declaration: Declaration = call.json()?;
    let (app, now) = (&call.app, call.app.now());
    let caller = call.caller()?.organisation.clone();
    let query = &mut app.db.reader();
    // Before what they are about is read.
    let mut found = Revisions::default();
    found.read_also(query, revisions::covenant()).await?;
    for party in [&caller, &declaration.recipient] {
        found.read_also(query, revisions::organisation(party)).await?;
    }
    let engine = app.covenants.in_force(query, now).await?;
    let covenant = engine.covenant();
    let valid_until = check(&declaration, covenant, &caller, now)?;
    check_mandate(&declaration, covenant, &caller)?;
    let rows = rows(&declaration, covenant, &caller)?;
    check_never(&declaration, &engine, &caller, &rows, now)?;
    let standings = covenant::standing(query, &covenant.version, [&caller, &declaration.recipient]).await?;
    let stands = |party: &Oin, row: &Row| standings.of(party).standing(&row.purpose, None) == Standing::GOOD;
    if !rows.iter().any(|row| stands(&caller, row) && stands(&declaration.recipient, row)) {
        return Err(refused(
            "both parties are active and have signed the covenant in force; one of them is not, or has not",
        ));
    }
    let (rights, lets) = subjects::check_rights(call, &declaration.subject).await?;
    let named = subjects::find(call, &declaration.subject, rights).await?;
    check_veto(query, &mut found, &named, &caller).await?;
    let municipality = covenant.municipality().map(|party| party.oin.clone());
    let municipality = municipality.ok_or_else(|| Problem::internal("the covenant in force has no municipality"))?;
    let emergency = &covenant.emergency;
    // Somebody outside the declaring party: the covenant's privacy officer, and of what the municipality declared the recipient's.
    let reviewer = if caller == municipality { &declaration.recipient } else { &municipality };
    let access = EmergencyAccess {
        id: app.new_id()?,
        organisation: caller,
        recipient: declaration.recipient.clone(),
        subject: named.subject.as_str().to_owned(),
        role: declaration.role.clone(),
        reason: declaration.reason,
        cannot_consent: declaration.cannot_consent,
        categories: declaration.categories.clone(),
        covenant_version: covenant.version.clone(),
        declared_at: now,
        valid_until,
        ended_at: None,
        review: Review {
            reviewer: reviewer.clone(),
            due_at: after_working_days(now, emergency.reviewed_working_days),
            told: false,
            concluded: None,
        },
        duty: Duty {
            due_at: Some(after_working_days(now, emergency.informed_working_days)),
            told: false,
            days: emergency.informed_working_days,
            last: None,
        },
        version: 1,
    };
    let change = Change::prepare(call, access, named, &municipality, now)?;
    let (answer, app) = (view::own(app, &change.access, now), app.clone());
    let location = format!("/v1/emergency-accesses/{}", change.access.id);
    let mut ground = Ground { revisions: found, ..Ground::default() };
    ground.rest_on(&lets);
    change.named.add_to(&mut ground);
    idempotency::once(call, "declare-emergency", ground, async move |tx: &mut Tx| {
        change.apply(tx, &app).await?;
        Ok(Answer::created(location.clone(), &answer)?.etag(1))
    })
    .await
}

/// That the caller has not said that using the channel for the resident is not safe.
async fn check_veto(query: &mut impl Query, found: &mut Revisions, named: &Named, caller: &Oin) -> Result<(), Problem> {
    found.read_also(query, revisions::subject(named.subject.as_str())).await?;
    if vetoes::blocks(query, named.subject.as_str(), caller).await? { Err(vetoes::refused()) } else { Ok(()) }
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

/// Until when it lasts, if all that it says has a form and a meaning.
fn check(declaration: &Declaration, covenant: &Covenant, caller: &Oin, now: Timestamp) -> Result<Timestamp, Problem> {
    let mut wrong = Vec::new();
    if covenant.mandate(&declaration.role).is_none() {
        let roles: Vec<&str> = covenant.emergency.roles.iter().map(|mandate| mandate.id.as_str()).collect();
        let expected = if roles.is_empty() {
            "the covenant in force gives nobody the mandate to declare break-glass".to_owned()
        } else {
            format!("expected one of: {}", roles.join(", "))
        };
        wrong.push(InvalidParam::new("role", "unknown-code", expected));
    }
    for (place, category) in declaration.categories.iter().enumerate() {
        if covenant.category(category.as_str()).is_none() {
            let expected = "expected a data category of the covenant in force";
            wrong.push(InvalidParam::new(format!("categories[{place}]"), "unknown-code", expected));
        }
    }
    wrong.extend(declaration.subject.mistakes(Day::of(now)));
    if declaration.recipient == *caller {
        wrong.push(InvalidParam::new("recipient", "invalid", "expected another organisation than your own"));
    }
    let longest = now.plus(LONGEST);
    let valid_until = declaration.valid_until.unwrap_or(longest);
    if valid_until <= now || valid_until > longest {
        wrong.push(InvalidParam::new("validUntil", "range", "expected a moment within 24 hours from now, or none"));
    }
    if wrong.is_empty() { Ok(valid_until) } else { Err(Problem::invalid(wrong)) }
}

/// That there is such a role at the caller.
fn check_mandate(declaration: &Declaration, covenant: &Covenant, caller: &Oin) -> Result<(), Problem> {
    let party = covenant.party_by_oin(caller);
    let mandate = covenant.mandate(&declaration.role);
    let has = |party: &Party| mandate.is_some_and(|mandate| covenant.names(&mandate.parties, party.id.as_str()));
    if party.is_some_and(has) {
        return Ok(());
    }
    Err(refused("the covenant in force knows no such role at your organisation that may declare break-glass"))
}

/// The rows under which something could be given: where none has all that is declared, nothing is declared.
fn rows<'c>(declaration: &Declaration, covenant: &'c Covenant, caller: &Oin) -> Result<Vec<&'c Row>, Problem> {
    let parties = (covenant.party_by_oin(caller), covenant.party_by_oin(&declaration.recipient));
    let (Some(giver), Some(receiver)) = parties else {
        return Err(refused("the covenant in force does not name both organisations as parties"));
    };
    let vital = |row: &Row| {
        let kinds = row.bases.iter().filter_map(|basis| covenant.basis(basis.as_str()));
        kinds.map(|basis| basis.kind).any(|kind| kind == BasisKind::VitalInterest)
    };
    let leads = |row: &&Row| {
        vital(row) && covenant.names(&row.from, giver.id.as_str()) && covenant.names(&row.to, receiver.id.as_str())
    };
    let rows: Vec<&Row> = covenant.rows.iter().filter(leads).collect();
    let listed: BTreeSet<&CategoryCode> = rows.iter().flat_map(|row| &row.categories).collect();
    let is_core = |code: &CategoryCode| {
        let category = covenant.category(code.as_str());
        rows.iter().any(|row| row.core) && category.is_some_and(|category| category.is(CategoryGroup::Core))
    };
    if rows.is_empty() || !declaration.categories.iter().all(|code| listed.contains(code) || is_core(code)) {
        return Err(refused(
            "no row of the covenant gives all of these categories to this organisation under a vital interest",
        ));
    }
    Ok(rows)
}

/// That no declared category is one that this recipient never gets, whatever is declared: nothing could ever be given, and its privacy officer would still read
/// why the resident is in danger.
fn check_never(
    declaration: &Declaration,
    engine: &Engine,
    caller: &Oin,
    rows: &[&Row],
    now: Timestamp,
) -> Result<(), Problem> {
    let covenant = engine.covenant();
    let never_by = |row: &Row| {
        let vital = |basis: &&BasisCode| {
            covenant.basis(basis.as_str()).is_some_and(|basis| basis.kind == BasisKind::VitalInterest)
        };
        let (Some(basis), Some(purpose)) = (row.bases.iter().find(vital), covenant.purpose(row.purpose.as_str()))
        else {
            return BTreeSet::new();
        };
        let request = Request {
            action: Action::Refer,
            giver: caller.clone(),
            giver_standing: Standing::GOOD,
            receiver: declaration.recipient.clone(),
            receiver_standing: Standing::GOOD,
            referral: ReferralTerms {
                sender: caller.clone(),
                recipient: declaration.recipient.clone(),
                purpose: purpose.id.clone(),
                phase: purpose.phase,
                basis: basis.clone(),
            },
            subject: SubjectFacts::default(),
            case: CaseFacts::default(),
            break_glass: Some(BreakGlass {
                categories: declaration.categories.clone(),
                cannot_consent: declaration.cannot_consent.is_some(),
            }),
            rights: RightsFacts::default(),
            sections: declaration.categories.clone(),
            carried: Vec::new(),
            records: Vec::new(),
            now,
        };
        let decision = engine.decide(&request);
        let never = decision
            .sections()
            .iter()
            .filter(|section| section.code() == Some(policy::Code::CategoryNeverForRecipient));
        never.map(|section| section.category().clone()).collect::<BTreeSet<_>>()
    };
    if rows.iter().all(|row| !never_by(row).is_empty()) {
        return Err(refused(
            "the covenant never gives one of these categories to this organisation, also not under a vital interest; leave it out",
        ));
    }
    Ok(())
}

/// What one transaction writes.
struct Change {
    access: EmergencyAccess,
    readers: Vec<Oin>,
    named: Named,
    record: SealedRecord,
    events: Vec<Event>,
}

impl Change {
    fn prepare(
        call: &Call,
        access: EmergencyAccess,
        named: Named,
        municipality: &Oin,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let mut readers = vec![access.organisation.clone(), access.recipient.clone(), municipality.clone()];
        readers.sort_unstable();
        readers.dedup();
        let mut record = trace::record(call, &access, &access.organisation, "declared", now)?;
        record.facts = Some(trace::scope(&access));
        let events = trace::tell_officers(app, &access, EmergencyNews::Declared, &readers, municipality, now)?;
        Ok(Self { record: trace::sealed(app, &record)?, access, readers, named, events })
    }

    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        store::insert(tx, &self.access, &self.readers).await?;
        self.named.keep(tx, true);
        subjects::remember(tx, &app.pseudonyms, &self.access.organisation, &self.named.subject);
        audit::write(tx, &self.record);
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        Ok(())
    }
}
