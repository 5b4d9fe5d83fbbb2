//! Recording and ending a restriction, each with what those who received something are told.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::types::{EndingCreation, Ground as Why, Notice, Restriction};
use super::{http, store};
use crate::app::App;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::http::{Answer, Call, idempotency};
use crate::lifecycle::Day;
use crate::problem::{Code, Problem, until_settled};
use crate::relay::{self, RightsNews};
use crate::rights::trace::{self, About};
use crate::storage::{Ground, Tx, revisions};
use crate::subjects::{self, SubjectReference};

/// `POST /v1/restrictions`
///
/// # Errors
/// 400 with everything that is wrong, 403, 409.
pub async fn record(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt_record(&call).await).await
}

/// `POST /v1/restrictions/{id}/endings`
///
/// # Errors
/// 400, 404 for every other organisation, 409 when it was ended.
pub async fn end(call: Call) -> Result<Answer, Problem> {
    until_settled(async || {
        let restriction = http::own(&call).await?;
        if let Some(answer) = idempotency::earlier(&call).await? {
            return Ok(answer);
        }
        match attempt_end(&call, restriction).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(&call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt_record(call: &Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        subject: SubjectReference,
        ground: Why,
    }
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let Body { subject: reference, ground: why } = call.json()?;
    let (app, now) = (&call.app, call.app.now());
    let mistakes = reference.mistakes(Day::of(now));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let (rights, lets) = subjects::check_rights(call, &reference).await?;
    let named = subjects::find(call, &reference, rights).await?;
    let restriction = Restriction {
        id: app.new_id()?,
        organisation: call.caller()?.organisation.clone(),
        subject: named.subject.as_str().to_owned(),
        ground: why,
        recorded_at: now,
        ended: None,
        version: 1,
    };
    let facts = json!({ "ground": why });
    let record = trace::record(call, http::about(&restriction, "restriction-recorded", Some(facts)), now)?;
    let key = revisions::subject(&restriction.subject);
    let mut ground = Ground::raising(key.clone());
    ground.rest_on(&lets);
    named.add_to(&mut ground);
    let app = app.clone();
    idempotency::once(call, "record-restriction", ground, async move |tx: &mut Tx| {
        named.keep(tx, true);
        subjects::remember(tx, &app.pseudonyms, &restriction.organisation, &named.subject);
        // Whatever is decided from now on knows it, so that nobody receives something untold beside those who are found here.
        revisions::bump(tx, &key);
        store::insert(tx, &restriction).await?;
        let notices = store::receivers(tx, &restriction).await?;
        for notice in &notices {
            store::insert_notice(tx, restriction.id, notice).await?;
        }
        let begins = |referral| RightsNews::ReferralRestricted { referral };
        tell(tx, &app, &restriction, &notices, (begins, "referral-restricted"), now).await?;
        audit::write(tx, &record);
        let view = http::whole(&app, &restriction, &notices);
        Ok(Answer::created(format!("/v1/restrictions/{}", restriction.id), &view)?.etag(restriction.version))
    })
    .await
}

async fn attempt_end(call: &Call, mut restriction: Restriction) -> Result<Answer, Problem> {
    let (app, now) = (call.app.clone(), call.app.now());
    let wanted: EndingCreation = call.json()?;
    let ended = wanted.checked(&restriction, now).map_err(Problem::invalid)?;
    if restriction.ended.is_some() {
        return Err(Problem::new(Code::Conflict, "it was ended already"));
    }
    call.check_if_match(restriction.version)?;
    let before = restriction.clone();
    (restriction.ended, restriction.version) = (Some(ended), restriction.version + 1);
    let facts = json!({ "informedAt": ended.told.at, "method": ended.told.method });
    let record = trace::record(call, http::about(&restriction, "restriction-ended", Some(facts)), now)?;
    let key = revisions::subject(&restriction.subject);
    idempotency::once(call, "end-restriction", Ground::raising(key.clone()), async move |tx: &mut Tx| {
        if !store::end(tx, &before, &ended).await? {
            return Err(Problem::stale());
        }
        revisions::bump(tx, &key);
        let notices = store::notices(tx, restriction.id).await?;
        let ends = |referral| RightsNews::ReferralRestrictionEnded { referral };
        tell(tx, &app, &restriction, &notices, (ends, "referral-restriction-ended"), now).await?;
        audit::write(tx, &record);
        let view = http::whole(&app, &restriction, &notices);
        Ok(Answer::created(format!("/v1/restrictions/{}", restriction.id), &view)?.etag(restriction.version))
    })
    .await
}

/// Tells those for whom this changes something, each with a record of its own: not of a referral about which another restriction still stands.
async fn tell(
    tx: &mut Tx,
    app: &App,
    restriction: &Restriction,
    notices: &[Notice],
    (news, action): (impl Fn(Uuid) -> RightsNews, &'static str),
    now: Timestamp,
) -> Result<(), Problem> {
    let others: BTreeSet<Uuid> = store::told_by_others(tx, restriction).await?.into_iter().collect();
    for notice in notices.iter().filter(|notice| !others.contains(&notice.referral)) {
        relay::enqueue(tx, &trace::event(app, news(notice.referral), notice.organisation.clone(), now)?);
        audit::write(tx, &telling(app, restriction, notice, action, now)?);
    }
    Ok(())
}

/// The record of who received something that it is restricted (art. 19 AVG): by whom and in which referral, never why.
fn telling(
    app: &App,
    restriction: &Restriction,
    notice: &Notice,
    action: &'static str,
    now: Timestamp,
) -> Result<SealedRecord, Problem> {
    let Notice { referral, organisation } = notice;
    let mut record = Record::new(app.new_id()?, Kind::Rights, now, organisation.clone());
    record.sender = Some(restriction.organisation.clone());
    record.recipient = Some(organisation.clone());
    record.referral = Some(referral.to_string());
    let about = About {
        owner: organisation,
        subject: &restriction.subject,
        resource: format!("/v1/referrals/{referral}"),
        action,
        facts: None,
    };
    trace::sealed(app, record, about)
}
