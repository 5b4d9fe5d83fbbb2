//! Gathers what a decision depends on, asks the policy engine, and writes down what it said.
//!
//! Invariant: the revisions are read before the facts, so that a commit which finds them unchanged rests on these facts.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::known;
use super::types::{Part, Priority, Referral};
use crate::app::App;
use crate::audit::{self, Record};
use crate::capacity::Notice;
use crate::cases;
use crate::clock::Timestamp;
use crate::consents::Use;
use crate::covenant::{self, Accession, BasisKind, CategoryCode, PurposeCode, Standings};
use crate::emergencies;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::lifecycle::referral::Unable;
use crate::lifecycle::terms::Terms;
use crate::policy::{
    Action, AgeGroup, BreakGlass, CaseFacts, Decision, Effect, Engine, KeptFacts, OnWithheld, Outcome, ReferralTerms,
    Request, RightsFacts, SectionDecision, Standing, SubjectFacts,
};
use crate::problem::{Code, Problem};
use crate::replays::section_outcome;
use crate::rights::{self, Asked};
use crate::storage::Ground;
use crate::storage::revisions::{self, Revisions};
use crate::subjects::{self, Named, Rights, Subject, SubjectReference};
use crate::vetoes;

/// What is to be decided.
pub(super) struct Question {
    pub(super) action: Action,
    pub(super) giver: Oin,
    pub(super) receiver: Oin,
    pub(super) terms: ReferralTerms,
    /// The case that the referral belongs to, or joins.
    pub(super) case: Option<Uuid>,
    /// The declaration of break-glass that the referral was, or is to be, sent under.
    pub(super) emergency: Option<Uuid>,
    pub(super) subject: Subject,
    pub(super) age_group: Option<AgeGroup>,
    /// Whether the age group is stated now, and must not contradict an earlier statement.
    pub(super) age_is_new: bool,
    pub(super) by_bsn: bool,
    pub(super) sections: Vec<CategoryCode>,
    /// What went the same way before.
    pub(super) carried: Vec<CategoryCode>,
}

impl Question {
    /// Whether the age group that is stated now contradicts an earlier statement.
    fn contradicts(&self, earlier: Option<(AgeGroup, Timestamp)>, now: Timestamp) -> bool {
        let stated = self.age_group.filter(|_| self.age_is_new);
        stated.zip(earlier).is_some_and(|(stated, (earlier, at))| subjects::contradicts(earlier, at, stated, now))
    }
}

/// A decision, with all that its record and its commit need.
pub(super) struct Decided {
    pub(super) id: Uuid,
    pub(super) decision: Decision,
    /// What the organisation stated of the resident's age before, and when.
    pub(super) earlier_age: Option<(AgeGroup, Timestamp)>,
    pub(super) municipality: Option<Oin>,
    /// What the covenant says of cases.
    pub(super) case_rules: cases::Rules,
    /// Whether the giver has signed the whole covenant, so that it may coordinate a case.
    pub(super) giver_is_full: bool,
    /// What the receiver, which may take part, has announced for the purpose and today.
    pub(super) notice: Option<Notice>,
    /// Whether the giver has said that using the channel for the resident is not safe.
    vetoed: bool,
    revisions: Revisions,
    /// That of the covenant which the decision was taken under.
    engine: Arc<Engine>,
    processing_activity: Option<String>,
    request: Request,
    /// The objections and restrictions about the resident, by whomever they were recorded.
    asked: Arc<[Asked]>,
}

/// How often something is decided because what it rested on changed before it could be committed.
const ATTEMPTS: usize = 5;

/// Where a decision takes its facts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facts {
    /// From what is kept, where it is; the commit finds out whether it still holds.
    Kept,
    /// From the database.
    Fresh,
}

/// Runs `attempt` until the ground of its decision holds still from the reading of the facts to the commit.
///
/// # Errors
/// Those of `attempt`; 503 when the ground does not hold still.
pub(super) async fn until_settled<T>(attempt: impl AsyncFn(Facts) -> Result<T, Problem>) -> Result<T, Problem> {
    let mut facts = Facts::Kept;
    for _ in 1..ATTEMPTS {
        match attempt(facts).await {
            Err(problem) if problem.is_stale() => facts = Facts::Fresh,
            // Who can act is a fact too, and so is a veto: a refusal that may rest on a kept one is not believed. A commit would have found out.
            Err(problem)
                if facts == Facts::Kept && matches!(problem.code(), Code::StepNotAllowed | Code::SafetyVeto) =>
            {
                facts = Facts::Fresh;
            }
            settled => return settled,
        }
    }
    attempt(facts).await
}

/// Finds the resident whom a request names, under the covenant that rules.
pub(super) async fn find_subject(call: &Call, reference: &SubjectReference, facts: Facts) -> Result<Named, Problem> {
    let app = &call.app;
    let caller = &call.caller()?.organisation;
    let rights = if reference.by_bsn() || reference.by_match() {
        let now = app.now();
        let engine = match app.known.ruling(now).filter(|_| facts == Facts::Kept) {
            Some(published) => app.covenants.engine(&mut app.db.reader(), &published).await?,
            None => app.covenants.in_force(&mut app.db.reader(), now).await?,
        };
        Some(Rights::of(engine.covenant(), caller))
    } else {
        None
    };
    // Without either no right is asked for.
    let mut named = subjects::find(call, reference, rights.unwrap_or(Rights { party: false, bsn: false })).await?;
    named.rights = rights;
    Ok(named)
}

/// Decides on what is known at this moment. Whoever acts on it commits on [`Decided::ground`].
pub(super) async fn decide(app: &App, question: Question, facts: Facts, now: Timestamp) -> Result<Decided, Problem> {
    let decided = weigh(app, question, facts, now).await?;
    app.metrics.decided(decided.request.action, &decided.decision);
    Ok(decided)
}

/// What would be decided at this moment, where nobody asks.
pub(super) async fn weigh(app: &App, question: Question, facts: Facts, now: Timestamp) -> Result<Decided, Problem> {
    // What both parties recorded counts for a note: see rule 16.
    let recorders: &[&Oin] =
        if question.action == Action::Note { &[&question.giver, &question.receiver] } else { &[&question.giver] };
    let kept = match facts {
        Facts::Kept => app.known.recall(&question, recorders, now),
        Facts::Fresh => None,
    };
    let found = match kept {
        Some(found) => found,
        None => app.known.learn(&mut app.db.reader(), &question, recorders, now).await?,
    };
    let known::Found { mut revisions, published, giver, receiver, notices, age, records, vetoed, asked } = found;
    let giver_is_full = giver.is_full();
    let [giver, receiver] = standing(app, &question, [giver, receiver], &published.version, &mut revisions).await?;
    let engine = app.covenants.engine(&mut app.db.reader(), &published).await?;
    let contradicted = question.contradicts(age, now);
    let covenant = engine.covenant();
    let case_rules = cases::Rules::of(covenant);
    let case_rules = case_rules.ok_or_else(|| Problem::internal("the covenant in force has no municipality"))?;
    let case = match question.case {
        Some(case) if engine.weighs_case(&question.terms.purpose) => {
            facts_of_case(app, case, &question, &case_rules, &mut revisions, now).await?
        }
        _ => CaseFacts::default(),
    };
    let request = Request {
        rights: rights::facts(&asked, &question.giver, &question.terms.purpose),
        break_glass: break_glass(app, &question, &mut revisions, now).await?,
        action: question.action,
        giver: question.giver,
        giver_standing: giver,
        receiver: question.receiver,
        receiver_standing: receiver,
        referral: question.terms,
        subject: SubjectFacts {
            age_group: question.age_group,
            age_group_contradicted: contradicted,
            by_bsn: question.by_bsn,
        },
        case,
        sections: question.sections,
        carried: question.carried,
        records,
        now,
    };
    let decision = engine.decide(&request);
    let today = Day::of(now);
    let tells = |notice: &&Notice| notice.purpose == request.referral.purpose && notice.holds(today);
    let notice = notices.iter().find(tells).filter(|_| receiver == Standing::GOOD).cloned();
    Ok(Decided {
        id: app.new_id()?,
        decision,
        earlier_age: age,
        municipality: covenant.municipality().map(|party| party.oin.clone()),
        case_rules,
        giver_is_full,
        notice,
        vetoed,
        revisions,
        processing_activity: covenant
            .purpose(request.referral.purpose.as_str())
            .map(|purpose| purpose.processing_activity.clone()),
        engine,
        request,
        asked,
    })
}

/// How giver and receiver stand in what the question is about. Where that may follow from the case, its revision is among what the
/// decision rests on.
async fn standing(
    app: &App,
    question: &Question,
    [giver, receiver]: [Accession; 2],
    version: &str,
    revisions: &mut Revisions,
) -> Result<[Standing; 2], Problem> {
    let purpose = &question.terms.purpose;
    let by_case = [&giver, &receiver].into_iter().any(Accession::depends_on_cases);
    let Some(case) = question.case.filter(|_| by_case) else {
        return Ok([giver, receiver].map(|accession| accession.standing(purpose, None)));
    };
    let query = &mut app.db.reader();
    revisions.read_also(query, revisions::case(case)).await?;
    let mut standings = Standings { version: version.to_owned(), ..Standings::default() };
    standings.of.extend([(question.giver.clone(), giver), (question.receiver.clone(), receiver)]);
    cases::tie(query, &mut standings, [case]).await?;
    Ok([&question.giver, &question.receiver].map(|party| standings.of(party).standing(purpose, Some(case))))
}

/// What a declaration of break-glass opens for this, with its revision among what the decision rests on. It opens nothing for what goes back:
/// it names one recipient.
async fn break_glass(
    app: &App,
    question: &Question,
    revisions: &mut Revisions,
    now: Timestamp,
) -> Result<Option<BreakGlass>, Problem> {
    let Some(id) = question.emergency.filter(|_| question.action == Action::Refer) else { return Ok(None) };
    let query = &mut app.db.reader();
    revisions.read_also(query, revisions::emergency(id)).await?;
    let declared = emergencies::find(query, id).await?;
    let subject = question.subject.as_str();
    Ok(declared.and_then(|declared| declared.opens(&question.giver, &question.receiver, subject, now)))
}

/// What the case says, with its revision among what the decision rests on. It is read for each decision: few purposes depend on it.
async fn facts_of_case(
    app: &App,
    case: Uuid,
    question: &Question,
    rules: &cases::Rules,
    revisions: &mut Revisions,
    now: Timestamp,
) -> Result<CaseFacts, Problem> {
    let query = &mut app.db.reader();
    revisions.read_also(query, revisions::case(case)).await?;
    let parties = ([&question.giver, &question.receiver], &question.terms.sender);
    Ok(cases::facts(query, case, parties, question.subject.as_str(), rules, now).await?)
}

impl Decided {
    /// The same, with sections that were encrypted for another recipient and go to nobody else.
    pub(super) fn leaving_out(self, encrypted: &[CategoryCode]) -> Self {
        Self { decision: self.decision.leaving_out(encrypted), ..self }
    }

    /// That whoever asks to give something has not said that this is not safe: what others ask goes on as ever, so that nothing shows. It holds until the
    /// commit, since it stands under the revision of the resident.
    ///
    /// # Errors
    /// 403, after which nothing is written.
    pub(super) fn check_veto(&self, asking: &Oin) -> Result<(), Problem> {
        if self.vetoed && *asking == self.request.giver { Err(vetoes::refused()) } else { Ok(()) }
    }

    /// What a change that acts on the decision rests on.
    pub(super) fn ground(&self) -> Ground {
        Ground { revisions: self.revisions.clone(), ..Ground::default() }
    }

    /// Which parties cannot act, of the referral that was decided on.
    pub(super) fn unable(&self) -> Unable {
        let Request { giver, giver_standing, receiver_standing, referral, .. } = &self.request;
        let cannot = |party: &Oin| {
            let standing = if party == giver { giver_standing } else { receiver_standing };
            *standing != Standing::GOOD
        };
        Unable { sender: cannot(&referral.sender), recipient: cannot(&referral.recipient) }
    }

    /// Which parties to another referral cannot act, under the same covenant; what that rests on is noted among the revisions.
    pub(super) async fn unable_of(
        &self,
        app: &App,
        referral: &Referral,
        revisions: &mut Revisions,
    ) -> Result<Unable, Problem> {
        let query = &mut app.db.reader();
        let parties = [&referral.terms.sender, &referral.terms.recipient];
        for party in parties {
            revisions.read_also(query, revisions::organisation(party)).await?;
        }
        let mut standings = covenant::standing(query, self.decision.covenant_version(), parties).await?;
        let by_case = parties.into_iter().any(|party| standings.of(party).depends_on_cases());
        if let Some(case) = referral.case.filter(|_| by_case) {
            revisions.read_also(query, revisions::case(case)).await?;
            cases::tie(query, &mut standings, [case]).await?;
        }
        Ok(referral.unable(&standings))
    }

    /// The version of the covenant that decided, the purpose, and the day.
    pub(super) fn occasion(&self) -> (&str, &PurposeCode, Day) {
        (self.decision.covenant_version(), &self.request.referral.purpose, Day::of(self.request.now))
    }

    /// Whether a party of the covenant could turn to another organisation with the same: not where the case says to whom, nor where a life is
    /// at stake.
    pub(super) fn leaves_a_choice(&self) -> bool {
        let Request { giver, referral: ReferralTerms { purpose, basis, .. }, .. } = &self.request;
        let covenant = self.engine.covenant();
        let ordinary = covenant.basis(basis.as_str()).is_some_and(|basis| basis.kind != BasisKind::VitalInterest);
        ordinary && covenant.party_by_oin(giver).is_some() && !self.engine.weighs_case(purpose)
    }

    /// Whether the basis of the referral is a vital interest, under the covenant that decided.
    pub(super) fn is_vital_interest(&self) -> bool {
        let basis = self.engine.covenant().basis(self.request.referral.basis.as_str());
        basis.is_some_and(|basis| basis.kind == BasisKind::VitalInterest)
    }

    /// Whether the covenant that decided names this organisation.
    pub(super) fn is_named(&self, organisation: &Oin) -> bool {
        self.engine.covenant().party_by_oin(organisation).is_some()
    }

    /// Whether the covenant lets something of the same go to this organisation, which has signed and takes part: at once, or once the sender has
    /// done what the remedy says, such as recording a consent that names it. What the sender has to mend whoever receives is passed over.
    pub(super) fn could_go_to(&self, other: &Oin) -> bool {
        let Request { giver, receiver, referral, .. } = &self.request;
        if [giver, receiver].contains(&other) {
            return false;
        }
        let request = Request {
            giver_standing: Standing::GOOD,
            receiver: other.clone(),
            receiver_standing: Standing::GOOD,
            referral: ReferralTerms { recipient: other.clone(), ..referral.clone() },
            subject: SubjectFacts { age_group_contradicted: false, by_bsn: false, ..self.request.subject },
            ..self.request.clone()
        };
        let decision = self.engine.decide(&request);
        decision.sections().iter().any(|section| section.effect() == Effect::Permit || section.remedy().is_some())
    }

    /// What of it the giver's records and the law do not carry: what would be withheld although both parties were in order. A suspension, say, is no
    /// reason to find that a section rested on a consent.
    pub(super) fn not_carried(&self) -> Vec<CategoryCode> {
        let request = Request {
            giver_standing: Standing::GOOD,
            receiver_standing: Standing::GOOD,
            subject: SubjectFacts { age_group_contradicted: false, ..self.request.subject },
            // An objection or a restriction stops what is given; it takes no ground away, and destroys nothing.
            rights: RightsFacts::default(),
            ..self.request.clone()
        };
        let decision = self.engine.decide(&request);
        let withheld = decision.sections().iter().filter(|section| section.effect() == Effect::Withhold);
        withheld.map(|section| section.category().clone()).collect()
    }

    /// Whether who receives may not, by what it recorded itself of the resident's objections and restrictions: the same rules, asked with these. The giver
    /// learns nothing of it.
    pub(super) fn is_stopped_at_receiver(&self) -> bool {
        let Request { receiver, referral, .. } = &self.request;
        let rights = rights::facts(&self.asked, receiver, &referral.purpose);
        if rights.is_nothing() {
            return false;
        }
        let before = self.decision.sections().iter();
        let decision = self.engine.decide(&Request { rights, ..self.request.clone() });
        let permits = |section: &SectionDecision| section.effect() == Effect::Permit;
        before.zip(decision.sections()).any(|(before, own)| permits(before) && !permits(own))
    }

    /// Days in which who receives informs the resident, under the covenant that decided.
    pub(super) fn informed_days(&self) -> u32 {
        self.engine.covenant().rights.informed_days
    }

    /// Under which records of its giver these sections, which may cross, are kept or handed over. What another organisation recorded is not among them: of its
    /// withdrawal the giver learns nothing.
    pub(super) fn uses(&self, part: Part, handed_over: bool, given: &[CategoryCode]) -> Vec<Use> {
        let sections = self.decision.sections().iter();
        let given = sections.filter(|section| section.effect() == Effect::Permit && given.contains(section.category()));
        given
            .flat_map(|section| {
                let own = section.consents().iter().filter(|id| self.is_givers(id));
                own.map(|id| Use { consent: *id, part, category: section.category().clone(), handed_over })
            })
            .collect()
    }

    /// Whether the giver recorded it.
    fn is_givers(&self, record: &Uuid) -> bool {
        self.request.records.iter().any(|one| one.id == *record && one.recorded_by == self.request.giver)
    }

    /// Whether the covenant that decided lets the giver name residents as it did when its resident was found.
    pub(super) fn fits(&self, named: &Named) -> bool {
        named.rights.is_none_or(|rights| rights == Rights::of(self.engine.covenant(), &self.request.giver))
    }

    /// The covenant's terms for a referral; it need not be the one that was decided on.
    pub(super) fn terms(&self, purpose: &PurposeCode, priority: Priority) -> Terms {
        priority.terms(self.engine.covenant(), purpose)
    }

    /// Where a resident complains about these parties, as the covenant that decided says it.
    pub(super) fn complaints(&self, parties: [&Oin; 2]) -> Value {
        let covenant = self.engine.covenant();
        let contact = |party: &Oin| {
            let contact = covenant.party_by_oin(party).map(|party| party.complaints.as_str());
            json!({ "organisation": party, "contact": contact })
        };
        parties.into_iter().map(contact).collect()
    }

    /// The decision as its giver sees it.
    pub(super) fn to_json(&self, on_withheld: OnWithheld) -> Value {
        json!({
            "id": self.id,
            "outcome": self.decision.outcome(on_withheld),
            "covenantVersion": self.decision.covenant_version(),
            "policyDigest": self.decision.policy_digest().as_str(),
            "sections": self.decision.sections(),
        })
    }

    /// The giver's record of it.
    pub(super) fn record(&self, call: &Call, kind: audit::Kind, on_withheld: OnWithheld) -> Result<Record, Problem> {
        let terms = &self.request.referral;
        let giver = self.request.giver.clone();
        let mut record = call.record(kind, giver, self.request.now)?;
        record.id = self.id;
        record.sender = Some(self.request.giver.clone());
        record.recipient = Some(self.request.receiver.clone());
        record.purpose = Some(terms.purpose.to_string());
        record.phase = Some(terms.phase.to_string());
        record.legal_basis = Some(terms.basis.to_string());
        record.processing_activity.clone_from(&self.processing_activity);
        record.covenant_version = Some(self.decision.covenant_version().to_owned());
        record.policy_digest = Some(self.decision.policy_digest().as_str().to_owned());
        record.outcome = Some(match self.decision.outcome(on_withheld) {
            Outcome::Permitted => audit::Outcome::Permitted,
            Outcome::Minimised => audit::Outcome::Minimised,
            Outcome::Refused => audit::Outcome::Refused,
        });
        record.sections = self.decision.sections().iter().map(section_outcome).collect();
        // Not that of a referral's sender which a note rests on: which one that is, is not for the record of who gives the note.
        let consents = self.decision.consents();
        record.consent_ids = consents.iter().filter(|id| self.is_givers(id)).map(ToString::to_string).collect();
        record.facts = Some(serde_json::to_value(KeptFacts::of(&self.request, on_withheld))?);
        Ok(record)
    }
}
