//! Erasing what the caller gave about a resident: all of it, or what it gave in some referrals.
//!
//! Whether an exemption of art. 17.3 AVG stands in the way is the caller's to weigh; the gateway erases what it is told to. Invariants: what is erased is found
//! in the transaction that erases it, which holds the resident's revision, so that nothing is missed that was added or handed over a moment before,
//! and no disclosure decided before commits after; to who received nothing nothing shows.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::store;
use super::types::{Counts, Erasure, Wanted};
use crate::app::App;
use crate::audit::{self, Effect, Kind, Record, SealedRecord, SectionOutcome};
use crate::clock::Timestamp;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::problem::{Code, Problem, until_settled};
use crate::referrals::{self, Erasable};
use crate::relay::{self, Event, Happening};
use crate::rights::restrictions;
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects::{self, Subject};

/// `POST /v1/erasures`: the same answer for a resident of whom nothing was given and one whom nobody knows.
///
/// # Errors
/// 409 while the caller restricts the processing about the resident; 400 for a resident who is named in a way that is malformed, 403 when the organisation may not name one so, 404 for a referral that is not about the resident or to
/// which the caller is no party.
pub async fn erase(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let (app, now) = (&call.app, call.app.now());
    let Wanted { subject: reference, ground: why, referrals } = call.json()?;
    let mistakes = reference.mistakes(Day::of(now));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let (rights, _) = subjects::check_rights(call, &reference).await?;
    let subject = match subjects::find(call, &reference, rights).await {
        Ok(named) => Some(named.subject),
        // Nobody, or nobody in particular: then there is nothing to erase.
        Err(problem) if problem.code() == Code::InvalidInput => None,
        Err(problem) => return Err(problem),
    };
    let mut ground = Ground::default();
    if let Some(subject) = &subject {
        let key = revisions::subject(subject.as_str());
        let mut read = Revisions::default();
        read.read_also(&mut app.db.reader(), key.clone()).await?;
        ground.rest_on(&read);
        ground.raises.push(key);
    }
    let organisation = call.caller()?.organisation.clone();
    let record = call.record(Kind::Erasure, organisation.clone(), now)?;
    let erasure = Erasure {
        id: app.new_id()?,
        organisation,
        ground: why,
        requested_at: now,
        counts: Counts::default(),
        destroyed_at: None,
    };
    let change = Change { app: app.clone(), subject, only: referrals, erasure, record };
    idempotency::once(call, "erase", ground, async move |tx: &mut Tx| change.apply(tx).await).await
}

/// What one transaction does.
struct Change {
    app: App,
    subject: Option<Subject>,
    /// In which referrals alone.
    only: Option<Vec<Uuid>>,
    erasure: Erasure,
    /// The caller's, of the whole.
    record: Record,
}

impl Change {
    async fn apply(&self, tx: &mut Tx) -> Result<Answer, Problem> {
        let mut erasure = self.erasure.clone();
        if let Some(subject) = &self.subject
            && restrictions::stands(tx, &erasure.organisation, subject.as_str()).await?
        {
            let detail = "your organisation restricts the processing about this resident: what it gave is kept until the restriction is ended";
            return Err(Problem::new(Code::Conflict, detail));
        }
        let found = self.found(tx).await?;
        for (referral, sections) in &found {
            erasure.counts.referrals += 1;
            erasure.counts.sections += i64::try_from(sections.len()).unwrap_or(i64::MAX);
            erasure.counts.told += i64::from(self.erase(tx, *referral, sections).await?);
        }
        if let Some(subject) = &self.subject {
            revisions::bump(tx, &revisions::subject(subject.as_str()));
            if self.only.is_none() {
                store::forget_evidence(tx, &erasure.organisation, subject.as_str(), erasure.requested_at).await?;
            }
        }
        store::insert(tx, &erasure);
        audit::write(tx, &self.whole(&erasure)?);
        Answer::created(format!("/v1/erasures/{}", erasure.id), &erasure.to_json())
    }

    /// What the caller gave about the resident and still stands, by referral.
    async fn found(&self, tx: &mut Tx) -> Result<BTreeMap<Uuid, Vec<Erasable>>, Problem> {
        let (caller, mut found) = (&self.erasure.organisation, BTreeMap::<Uuid, Vec<Erasable>>::new());
        let wanted: Option<BTreeSet<Uuid>> = self.only.as_ref().map(|only| only.iter().copied().collect());
        let Some(subject) = &self.subject else {
            return if wanted.is_some_and(|wanted| !wanted.is_empty()) { Err(Problem::not_found()) } else { Ok(found) };
        };
        for referral in wanted.iter().flatten() {
            if !referrals::is_between(tx, *referral, subject, caller).await? {
                return Err(Problem::not_found());
            }
        }
        for section in referrals::given_by(tx, subject, caller).await? {
            let referral = section.part.referral;
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&referral)) {
                found.entry(referral).or_default().push(section);
            }
        }
        Ok(found)
    }

    /// Erases sections of one referral; whether its other party was told.
    async fn erase(&self, tx: &mut Tx, referral: Uuid, sections: &[Erasable]) -> Result<bool, Problem> {
        let (id, now) = (self.erasure.id, self.erasure.requested_at);
        let mut receivers: BTreeMap<&Oin, Vec<&Erasable>> = BTreeMap::new();
        for section in sections {
            referrals::erase_section(tx, section, id, now).await?;
            receivers.entry(&section.receiver).or_default().push(section);
        }
        let mut told = false;
        for (receiver, sections) in receivers {
            audit::write(tx, &self.destroyed(referral, receiver, &sections)?);
            let received: Vec<&Erasable> = sections.into_iter().filter(|section| section.handed_over).collect();
            if received.is_empty() {
                // It is as if it had never been.
                continue;
            }
            referrals::require_deletion(tx, referral, receiver, now).await?;
            audit::write(tx, &self.required(referral, receiver, &received)?);
            let happening = Happening::ReferralDeletionRequired { referral };
            // Nothing leads from the one that received something to the request of who erases.
            let event =
                Event { id: self.app.new_id()?, to: receiver.clone().into(), happening, time: now, trace_parent: None };
            relay::enqueue(tx, &event);
            told = true;
        }
        Ok(told)
    }

    /// The caller's record of the whole: neither the resident nor a referral is in it, so that it can be kept as long as accountability asks.
    fn whole(&self, erasure: &Erasure) -> Result<SealedRecord, Problem> {
        let mut record = self.record.clone();
        record.action = Some("erased".to_owned());
        record.resource = Some(format!("/v1/erasures/{}", erasure.id));
        let Counts { referrals, sections, told } = erasure.counts;
        record.facts = Some(serde_json::json!({
            "ground": erasure.ground, "referrals": referrals, "sections": sections, "told": told,
        }));
        self.seal(&record)
    }

    /// The caller's record of what it had erased in one referral.
    fn destroyed(&self, referral: Uuid, receiver: &Oin, sections: &[&Erasable]) -> Result<SealedRecord, Problem> {
        let Erasure { id, organisation, requested_at, .. } = &self.erasure;
        let mut record = self.about(referral, organisation, receiver, sections, *requested_at)?;
        record.action = Some("content-destroyed".to_owned());
        record.resource = Some(format!("/v1/erasures/{id}"));
        self.seal(&record)
    }

    /// The receiver's record that it has to delete what it received (art. 19 AVG).
    fn required(&self, referral: Uuid, receiver: &Oin, sections: &[&Erasable]) -> Result<SealedRecord, Problem> {
        let mut record = self.about(referral, receiver, receiver, sections, self.erasure.requested_at)?;
        record.action = Some("deletion-required".to_owned());
        record.resource = Some(format!("/v1/referrals/{referral}"));
        self.seal(&record)
    }

    fn about(
        &self,
        referral: Uuid,
        owner: &Oin,
        receiver: &Oin,
        sections: &[&Erasable],
        now: Timestamp,
    ) -> Result<Record, Problem> {
        let mut record = Record::new(self.app.new_id()?, Kind::Erasure, now, owner.clone());
        record.sender = Some(self.erasure.organisation.clone());
        record.recipient = Some(receiver.clone());
        record.referral = Some(referral.to_string());
        let categories: BTreeSet<String> = sections.iter().map(|section| section.category.to_string()).collect();
        let gone = |category| SectionOutcome { category, effect: Effect::Withhold, code: None, rules: Vec::new() };
        record.sections = categories.into_iter().map(gone).collect();
        Ok(record)
    }

    fn seal(&self, record: &Record) -> Result<SealedRecord, Problem> {
        Ok(SealedRecord::new(record, &self.app.entropy, &self.app.sealer)?)
    }
}
