//! A decision as the log holds it, and the same decision taken again.

use super::types::LeftOut;
use crate::app::App;
use crate::audit::{self, Field, Kind, SectionOutcome, StoredRecord};
use crate::covenant::{CategoryCode, Phase};
use crate::policy::{
    Code as Reason, Decision, Effect, Engine, KeptFacts, OnWithheld, Outcome, Request, SectionDecision, Standing, Terms,
};
use crate::problem::{Code, Problem};

/// A decision that can be taken again: what was asked, and what is on record.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The record's identifier.
    pub id: String,
    /// What the record is about.
    pub kind: Kind,
    /// The version of the covenant that decided.
    pub version: String,
    /// What was asked.
    pub request: Request,
    /// The sections that nobody was asked about, because they were encrypted for another recipient.
    pub left_out: Vec<CategoryCode>,
    /// What the sender wanted when not every section may cross.
    pub on_withheld: OnWithheld,
    digest: String,
    sections: Vec<SectionOutcome>,
    outcome: audit::Outcome,
    /// Where the referral stood, where that ended it.
    status: Option<String>,
}

/// A decision that came out as it is on record.
#[derive(Debug, Clone)]
pub struct Again {
    /// The decision.
    pub decision: Decision,
    /// Whether it was refused because of where the referral stood or who takes part, whatever the rules say.
    pub refused_anyway: bool,
}

/// A decision on a section in the form in which it is recorded.
#[must_use]
pub fn section_outcome(section: &SectionDecision) -> SectionOutcome {
    SectionOutcome {
        category: section.category().to_string(),
        effect: match section.effect() {
            Effect::Permit => audit::Effect::Permit,
            Effect::Withhold => audit::Effect::Withhold,
        },
        code: section.code().map(|code| code.as_str().to_owned()),
        rules: section.rules().to_vec(),
    }
}

/// Whether this is the record of a decision on sections by who gave them. The one of who received names what it received and no facts.
pub(super) fn is_decision_of_giver(record: &StoredRecord) -> bool {
    record.value(Field::Sections).is_some()
        && record.value(Field::CovenantVersion).is_some()
        && record.value(Field::Organisation) == record.value(Field::Sender)
}

impl Taken {
    /// Reads a record of the log; none when it is no decision on sections by who gave them.
    ///
    /// # Errors
    /// Why it cannot be taken again.
    pub fn of(record: &StoredRecord) -> Result<Option<Self>, LeftOut> {
        if !is_decision_of_giver(record) {
            return Ok(None);
        }
        let Some(facts) = record.value(Field::Facts) else {
            let erased = record.salt(Field::Facts).is_some_and(|salt| salt.is_erased());
            return Err(if erased { LeftOut::FactsErased } else { LeftOut::Unreadable });
        };
        Self::read(record, facts).map(Some).ok_or(LeftOut::Unreadable)
    }

    fn read(record: &StoredRecord, facts: &str) -> Option<Self> {
        let facts: KeptFacts = serde_json::from_str(facts).ok()?;
        let sections: Vec<SectionOutcome> = serde_json::from_str(record.value(Field::Sections)?).ok()?;
        let is_left_out =
            |section: &&SectionOutcome| section.code.as_deref() == Some(Reason::EncryptedForAnother.as_str());
        let (left_out, asked): (Vec<_>, Vec<_>) = sections.iter().partition(is_left_out);
        let categories = |sections: Vec<&SectionOutcome>| {
            sections.iter().map(|section| section.category.parse().ok()).collect::<Option<Vec<CategoryCode>>>()
        };
        let terms = Terms {
            giver: record.value(Field::Sender)?.parse().ok()?,
            receiver: record.value(Field::Recipient)?.parse().ok()?,
            purpose: record.value(Field::Purpose)?.parse().ok()?,
            phase: Phase::from_word(record.value(Field::Phase)?)?,
            basis: record.value(Field::LegalBasis)?.parse().ok()?,
            sections: categories(asked)?,
        };
        Some(Self {
            id: record.value(Field::Id)?.to_owned(),
            kind: Kind::from_word(record.value(Field::Kind)?)?,
            version: record.value(Field::CovenantVersion)?.to_owned(),
            left_out: categories(left_out)?,
            on_withheld: facts.on_withheld,
            request: facts.request(terms),
            digest: record.value(Field::PolicyDigest)?.to_owned(),
            sections,
            outcome: audit::Outcome::from_word(record.value(Field::Outcome)?)?,
            status: record.value(Field::Status).map(str::to_owned),
        })
    }

    /// Takes it again with the engine of its own version.
    ///
    /// # Errors
    /// [`LeftOut::NotReproduced`] when it does not come out as recorded, to the last rule.
    pub fn again(&self, engine: &Engine) -> Result<Again, LeftOut> {
        let decision = engine.decide(&self.request).leaving_out(&self.left_out);
        let sections: Vec<SectionOutcome> = decision.sections().iter().map(section_outcome).collect();
        let as_decided = self.outcome == recorded(decision.outcome(self.on_withheld));
        let refused_anyway = self.is_refused_anyway();
        if engine.digest().as_str() == self.digest && sections == self.sections && (as_decided || refused_anyway) {
            Ok(Again { decision, refused_anyway })
        } else {
            Err(LeftOut::NotReproduced)
        }
    }

    /// Nothing is handed over from a referral that was turned down, say, and no step with sections is taken between parties that may not exchange:
    /// both are held by the gateway and not by a rule.
    fn is_refused_anyway(&self) -> bool {
        let Request { giver_standing, receiver_standing, .. } = &self.request;
        self.outcome == audit::Outcome::Refused
            && match self.kind {
                Kind::Disclosure => self.status.is_some(),
                Kind::StatusUpdate => [giver_standing, receiver_standing].into_iter().any(|one| *one != Standing::GOOD),
                _ => false,
            }
    }
}

const fn recorded(outcome: Outcome) -> audit::Outcome {
    match outcome {
        Outcome::Permitted => audit::Outcome::Permitted,
        Outcome::Minimised => audit::Outcome::Minimised,
        Outcome::Refused => audit::Outcome::Refused,
    }
}

/// Takes the decision of a record again, with the engine of the version that decided then.
///
/// # Errors
/// 404 for an unknown record, 409 for one that holds no decision with its facts, or whose decision does not come out as recorded.
pub async fn take_again(app: &App, id: &str) -> Result<(Taken, Again), Problem> {
    let mut reader = app.db.reader();
    let record = audit::find(&mut reader, id).await?.ok_or_else(Problem::not_found)?;
    let taken = Taken::of(&record).map_err(why)?.ok_or_else(no_decision)?;
    let engine = app.covenants.of_version(&mut reader, &taken.version).await?;
    let again = taken.again(&engine).map_err(why)?;
    Ok((taken, again))
}

pub(super) fn no_decision() -> Problem {
    Problem::new(
        Code::Conflict,
        "this record holds no decision on sections; name a decision's record of the one who gave",
    )
}

/// Why a decision cannot be taken again, for whoever named its record.
pub(super) fn why(reason: LeftOut) -> Problem {
    let detail = match reason {
        LeftOut::FactsErased => "the facts of this decision were erased: it cannot be taken again",
        LeftOut::NotReproduced => {
            "taken again under its own version this decision does not come out as recorded; verify the log with: sluis audit verify"
        }
        _ => "the facts of this decision cannot be read; verify the log with: sluis audit verify",
    };
    Problem::new(Code::Conflict, detail)
}
