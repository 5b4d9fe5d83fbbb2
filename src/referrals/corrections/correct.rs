//! Correcting what was given: decide anew for each recipient, then destroy and replace everywhere in one transaction.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reach::{self, Place};
use super::store::{self, Mended};
use super::types::{Corrected, Correction, Wanted};
use super::{trace, view};
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::consents::{self, Use};
use crate::covenant::CategoryCode;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::policy::{Action, OnWithheld, minimise};
use crate::problem::{Code, Problem};
use crate::referrals::access;
use crate::referrals::decide::{Decided, Facts, Question, decide, until_settled};
use crate::referrals::encrypted::{self, Way};
use crate::referrals::sealing::{self, SealedContent};
use crate::referrals::store as referrals;
use crate::referrals::types::{Part, Party, Referral, Section};
use crate::relay::{self, Event};
use crate::storage::{Ground, Tx};
use crate::subjects::Subject;

/// `POST /v1/referrals/{id}/corrections`
///
/// # Errors
/// 400, 403, 404, 409, 412, 413.
pub async fn add(call: Call) -> Result<Answer, Problem> {
    // A repeat is answered as the first time, but only to whom the referral exists for.
    access::to_referral(&call).await?;
    match until_settled(async |facts| attempt(&call, facts).await).await {
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

async fn attempt(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let wanted: Wanted = call.json()?;
    let here = here(call, &wanted).await?;
    let (referral, giver) = (here.referral.clone(), here.giver);
    let mut places = reach::copies(&mut call.app.db.reader(), &here, &wanted).await?;
    places.insert(0, here);
    let now = call.app.now();
    let (mut changes, mut ground) = (Vec::with_capacity(places.len()), Ground::default());
    for (number, place) in places.into_iter().enumerate() {
        // What is encrypted is for this referral alone, also where another one has the same receiver.
        let is_here = number == 0;
        let decided = decide_on(call, &place, &wanted, is_here, facts, now).await?;
        if let Some(decided) = &decided {
            ground.join(decided.ground());
        }
        let decided = decided.as_ref();
        changes.push(Change::prepare(call, &place, &wanted, decided, is_here, now).await?);
    }
    let way =
        Way { giver: referral.party(giver), receiver: referral.party(giver.other()), purpose: &referral.terms.purpose };
    encrypted::check(&call.app, &wanted.sections, &way, now).await?;
    let answer = Answered::of(call, &changes)?;
    // In one order, so that two corrections do not wait for each other in a circle.
    changes.sort_by_key(|change| change.referral.id);
    let write = async move |tx: &mut Tx| {
        for change in &changes {
            change.apply(tx).await?;
        }
        Ok(Answer::created(answer.location.clone(), &answer.body)?.etag(answer.version))
    };
    idempotency::once(call, "correct-referral", ground, write).await
}

/// What the caller wants corrected, where it named it.
async fn here(call: &Call, wanted: &Wanted) -> Result<Place, Problem> {
    let access::Access { referral, party, .. } = access::to_referral(call).await?;
    let query = &mut call.app.db.reader();
    let part = Part { referral: referral.id, update: wanted.update_id };
    let not_the_giver = || Problem::new(Code::Forbidden, "a section is corrected by the organisation that gave it");
    let party = party.ok_or_else(not_the_giver)?;
    if let Some(update) = part.update
        && referrals::find_update(query, referral.id, update).await?.is_none()
    {
        return Err(Problem::invalid_param("updateId", "unknown", "expected an update of this referral, or none"));
    }
    if reach::giver(query, &referral, part).await? != Some(party) {
        return Err(not_the_giver());
    }
    call.check_if_match(referral.version)?;
    if referrals::wrapped_key(query, referral.id).await?.is_none() {
        return Err(sealing::erased());
    }
    let mut standing = store::standing(query, part).await?;
    let mistakes = wanted.mistakes(&standing);
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    sealing::check_sizes(&wanted.sections)?;
    standing.retain(|standing| wanted.names(&standing.category));
    Ok(Place { referral, giver: party, part, standing })
}

/// What the covenant says of what replaces; nothing where nothing does. That something is retracted needs nobody's permission.
async fn decide_on(
    call: &Call,
    place: &Place,
    wanted: &Wanted,
    is_here: bool,
    facts: Facts,
    now: Timestamp,
) -> Result<Option<Decided>, Problem> {
    let replaced = place.standing.iter().filter(|one| wanted.replacement(&one.category, is_here).is_some());
    let sections: Vec<_> = replaced.map(|one| one.category.clone()).collect();
    if sections.is_empty() {
        return Ok(None);
    }
    let referral = &place.referral;
    let question = Question {
        action: if place.giver == Party::Sender { Action::Refer } else { Action::Note },
        giver: place.giver().clone(),
        receiver: place.receiver().clone(),
        terms: referral.terms.clone(),
        case: referral.case,
        emergency: referral.emergency.map(|emergency| emergency.access),
        subject: Subject::from_stored(referral.subject.clone()),
        age_group: referral.age_group,
        age_is_new: false,
        by_bsn: false,
        sections,
        carried: referrals::carried(&mut call.app.db.reader(), referral.id, place.giver()).await?,
    };
    decide(&call.app, question, facts, now).await.map(Some)
}

/// What one transaction writes in one referral.
struct Change {
    referral: Referral,
    from_version: i64,
    correction: Correction,
    mended: Vec<Mended>,
    /// Under which records what replaces is kept.
    uses: Vec<Use>,
    records: Vec<SealedRecord>,
    /// To who had what was wrong.
    event: Option<Event>,
}

impl Change {
    async fn prepare(
        call: &Call,
        place: &Place,
        wanted: &Wanted,
        decided: Option<&Decided>,
        is_here: bool,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let permit = decided.and_then(|decided| decided.decision.permit(OnWithheld::Minimise));
        let replacements = place.standing.iter().filter_map(|one| wanted.replacement(&one.category, is_here));
        let given: Vec<Section> =
            permit.map(|permit| minimise(&permit, replacements.cloned().collect())).unwrap_or_default();
        let categories: Vec<CategoryCode> = given.iter().map(|section| section.category.clone()).collect();
        let uses = decided.map(|decided| decided.uses(place.part, false, &categories)).unwrap_or_default();
        let (id, name) = (place.referral.id, place.part.name());
        let content = SealedContent::with_known_key(app, &mut app.db.reader(), id, &name, &given).await?;
        let mut sealed: BTreeMap<String, _> = content
            .sections
            .into_iter()
            .map(|section| (section.category, (section.sealed, section.key_share)))
            .collect();
        let (mut mended, mut sections) = (Vec::new(), Vec::new());
        for standing in &place.standing {
            let (category, told) = (&standing.category, standing.disclosed_at.is_some());
            let (sealed, key_share) = sealed.remove(category.as_str()).unzip();
            let effect = wanted.effect(category, sealed.is_some(), is_here);
            sections.push(Corrected { category: category.clone(), effect, told });
            mended.push(Mended {
                category: category.clone(),
                sealed,
                key_share: key_share.flatten(),
                disclosed_at: standing.disclosed_at,
                // What nobody had before is simply another content.
                corrected_at: if told { Some(now) } else { standing.corrected_at },
            });
        }
        let mut referral = place.referral.clone();
        let from_version = referral.version;
        (referral.version, referral.updated_at) = (from_version + 1, now);
        let correction = Correction {
            id: app.new_id()?,
            part: place.part,
            version: referral.version,
            organisation: place.giver().clone(),
            reason: wanted.reason,
            corrected_at: now,
            sections,
            decision: decided.map(|decided| decided.to_json(OnWithheld::Minimise)),
        };
        let records = trace::records(call, place, &correction, decided, is_here)?;
        let event = trace::event(call, place, &correction, is_here)?;
        Ok(Self { referral, from_version, correction, mended, uses, records, event })
    }

    async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        // The version: what was decided on the content that was wrong is decided again.
        if !referrals::advance(tx, &self.referral, self.from_version).await? {
            return Err(Problem::stale());
        }
        for mended in &self.mended {
            if !store::mend(tx, self.correction.part, mended, self.correction.corrected_at).await? {
                // It was handed over since it was read: its receiver must be told.
                return Err(Problem::stale());
            }
        }
        consents::note_uses(tx, &self.uses);
        store::insert(tx, &self.correction, serde_json::to_string(&self.correction.sections)?);
        for record in &self.records {
            audit::write(tx, record);
        }
        if let Some(event) = &self.event {
            relay::enqueue(tx, event);
        }
        Ok(())
    }
}

/// The answer to who corrects: what became of what it named, and of the copies.
struct Answered {
    location: String,
    version: i64,
    body: Value,
}

impl Answered {
    /// `changes` begins with the referral that was named.
    fn of(call: &Call, changes: &[Change]) -> Result<Self, Problem> {
        let reader: &Oin = &call.caller()?.organisation;
        let (Change { correction, .. }, copies) =
            changes.split_first().ok_or_else(|| Problem::internal("a correction that corrects nothing"))?;
        let mut body = view::correction(correction, reader, false).unwrap_or_default();
        if let Value::Object(body) = &mut body {
            let copies: Vec<Value> = copies.iter().map(|copy| view::copy(&copy.correction)).collect();
            body.insert("copies".into(), json!(copies));
        }
        Ok(Self { location: correction.path(), version: correction.version, body })
    }
}
