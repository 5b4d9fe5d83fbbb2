//! A withdrawal that somebody merely heard of: the resident told a party that did not record the consent, or does not know who did.
//!
//! It counts at once and for whoever recorded it: withdrawing must be as easy as giving, to whomever the resident says it (art. 7.3 AVG), and stopping too
//! much is mended by a new record, giving too much by nothing. Invariant: whoever reports learns nothing. The answer is the same bytes whether there was anything
//! or not, also for a resident whom nobody knows; the report is one transaction in either case, and its own audit record holds what it said and
//! nothing else; what follows is done afterwards, by the gateway.

use super::service::NewWithdrawal;
use super::store;
use super::types::{Heard, Report, WithdrawalReason};
use crate::audit::{self, SealedRecord};
use crate::http::Call;
use crate::lifecycle::Day;
use crate::monitoring::Limit;
use crate::problem::{Code, Problem, until_settled};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects::{self, Subject, SubjectReference};

/// Withdraws everything that the report concerns.
///
/// # Errors
/// 400 for a resident who is named in a way that is malformed, 403 when the organisation may not name one so, 429 when it reports too much; none of them depends on
/// what is recorded.
pub(super) async fn report(call: &Call, reference: &SubjectReference, heard: &Heard) -> Result<(), Problem> {
    let (app, caller) = (&call.app, &call.caller()?.organisation);
    app.limits.report(caller).inspect_err(|_| app.metrics.refused(Limit::Reports))?;
    let mistakes = reference.mistakes(Day::of(app.now()));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let (rights, _) = subjects::check_rights(call, reference).await?;
    let subject = match subjects::find(call, reference, rights).await {
        Ok(named) => Some(named.subject),
        // Nobody, or nobody in particular. What a match leads to is not kept: nothing is recorded of anybody here.
        Err(problem) if problem.code() == Code::InvalidInput => None,
        Err(problem) => return Err(problem),
    };
    let record = own_record(call, reference, subject.as_ref(), heard)?;
    until_settled(async || attempt(call, subject.as_ref(), heard, &record).await).await
}

async fn attempt(call: &Call, subject: Option<&Subject>, heard: &Heard, record: &SealedRecord) -> Result<(), Problem> {
    let (app, caller) = (&call.app, &call.caller()?.organisation);
    let (mut ground, mut withdrawals) = (Ground::default(), Vec::new());
    if let Some(subject) = subject {
        let (query, key) = (&mut app.db.reader(), revisions::subject(subject.as_str()));
        let mut read = Revisions::default();
        read.read_also(query, key.clone()).await?;
        ground.rest_on(&read);
        ground.raises.push(key);
        for consent in store::of_subject(query, subject.as_str()).await? {
            if !heard.concerns(&consent.recording) {
                continue;
            }
            let own = consent.organisation == *caller;
            let report =
                Report { by: caller.clone(), recipient: heard.recipient.clone(), purpose: heard.purpose.clone() };
            withdrawals.push(if own {
                NewWithdrawal::prepare(call, consent, WithdrawalReason::ResidentAsked)?
            } else {
                NewWithdrawal::reported(call, consent, report)?
            });
        }
    }
    let (raised, record) = (ground.raises.clone(), record.clone());
    let write = async move |tx: &mut Tx| {
        // Also where there is nothing: to the next request it makes no difference, and to who reports neither.
        for key in &raised {
            revisions::bump(tx, key);
        }
        audit::write(tx, &record);
        for withdrawal in &withdrawals {
            withdrawal.apply(tx).await?;
        }
        Ok(())
    };
    app.db.write_on(ground, "report-withdrawal", write).await
}

/// That it was reported, by whom and in which words; whether there was anything to withdraw does not show.
fn own_record(
    call: &Call,
    reference: &SubjectReference,
    subject: Option<&Subject>,
    heard: &Heard,
) -> Result<SealedRecord, Problem> {
    let (app, caller) = (&call.app, &call.caller()?.organisation);
    let mut record = call.record(audit::Kind::Consent, caller.clone(), app.now())?;
    record.action = Some("withdrawal-reported".to_owned());
    record.resource = Some("/v1/consents/_withdraw".to_owned());
    record.recipient.clone_from(&heard.recipient);
    record.purpose = heard.purpose.as_ref().map(ToString::to_string);
    let said = reference.pseudonym().map(str::to_owned);
    record.subject = said.or_else(|| subject.map(|subject| app.pseudonyms.for_organisation(subject, caller)));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}
