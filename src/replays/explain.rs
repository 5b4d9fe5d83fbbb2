//! Why was this decided: a decision of the log in sentences, for whoever may see its record.
//!
//! Invariants: an explanation is made of what its record says (codes, rules, outcome) and of the texts of the version that decided. The facts
//! only give the words of a remedy, which names parties, purpose and category and nothing that somebody recorded. So a reader learns from it
//! nothing that its record does not say, and two records that say the same are explained in the same words.

use serde_json::{Value, json};

use super::taken::{self, Taken, is_decision_of_giver};
use crate::app::App;
use crate::audit::{self, Field, Kind, SectionOutcome, StoredRecord};
use crate::covenant::Label;
use crate::policy::explain::{Asked, Explanation, Remedied, Ruled, in_sentences, of_the_whole};
use crate::policy::{Code, Decision, Effect, Engine, Outcome};
use crate::problem::{self, Problem};
use crate::storage::Query;

/// Explains the decision that this record of the audit log is about, which is taken again for it.
///
/// # Errors
/// 404 for an unknown record, 409 for one that holds no decision, or whose decision does not come out as recorded.
pub async fn explain_record(app: &App, id: &str) -> Result<Explanation, Problem> {
    let mut reader = app.db.reader();
    let record = audit::find(&mut reader, id).await?.ok_or_else(Problem::not_found)?;
    if !is_decision_of_giver(&record) {
        return Err(taken::no_decision());
    }
    let version = record.value(Field::CovenantVersion).ok_or_else(Problem::not_found)?;
    let engine = app.covenants.of_version(&mut reader, version).await?;
    let again = match Taken::of(&record).and_then(|taken| taken.map(|taken| taken.again(&engine)).transpose()) {
        Ok(again) => again,
        // It was decided, and what is left says why.
        Err(super::LeftOut::FactsErased) => None,
        Err(reason) => return Err(taken::why(reason)),
    };
    explained(&engine, &record, again.as_ref().map(|again| &again.decision)).ok_or_else(taken::no_decision)
}

/// The explanation in an answer of the API: of everything that a record says was decided; none of a record without an outcome.
///
/// # Errors
/// When the database fails, or the version that decided does not load.
pub async fn explanation(app: &App, query: &mut impl Query, record: &StoredRecord) -> Result<Option<Value>, Problem> {
    let Some(outcome) = record.value(Field::Outcome).and_then(Outcome::from_word) else { return Ok(None) };
    let (Some(version), Some(_)) = (record.value(Field::CovenantVersion), record.value(Field::Sections)) else {
        let by_reader = record.value(Field::Kind) == Some(Kind::Disclosure.as_str());
        let answer = if by_reader { not_handed_over() } else { anyway() };
        return Ok(Some(json!({ "answer": answer, "question": null, "sections": [] })));
    };
    let engine = match app.covenants.of_version(query, version).await {
        Ok(engine) => engine,
        // A version that is not published here says nothing.
        Err(problem) if problem.code() == problem::Code::NotFound => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let taken = Taken::of(record).ok().flatten();
    let again = taken.as_ref().and_then(|taken| taken.again(&engine).ok());
    let Some(explained) = explained(&engine, record, again.as_ref().map(|again| &again.decision)) else {
        return Ok(None);
    };
    let answer = match again {
        Some(again) if again.refused_anyway => anyway(),
        _ => of_the_whole(outcome),
    };
    Ok(Some(json!({ "answer": answer, "question": explained.question, "sections": explained.sections })))
}

/// Who asks for content that is not given any more is told that, and nothing of why.
fn not_handed_over() -> Label {
    label("Er wordt niets verstrekt; vraag het de gever.", "Nothing is handed over; ask who gave it.")
}

fn anyway() -> Label {
    label(
        "Er gaat niets door, wat de regels ook zeggen: zo stond het met de verwijzing of de partijen.",
        "Nothing crosses, whatever the rules say: that is how the referral or its parties stood.",
    )
}

fn label(nl: &str, en: &str) -> Label {
    Label { nl: nl.to_owned(), en: en.to_owned() }
}

/// What a record says, in sentences; `again` is the same decision, with its remedies.
fn explained(engine: &Engine, record: &StoredRecord, again: Option<&Decision>) -> Option<Explanation> {
    let sections: Vec<SectionOutcome> = serde_json::from_str(record.value(Field::Sections)?).ok()?;
    let asked = Asked {
        giver: record.value(Field::Sender)?,
        receiver: record.value(Field::Recipient)?,
        purpose: record.value(Field::Purpose)?,
        basis: record.value(Field::LegalBasis)?,
    };
    let ruled = sections.iter().enumerate().map(|(place, section)| Ruled {
        category: &section.category,
        effect: match section.effect {
            audit::Effect::Permit => Effect::Permit,
            audit::Effect::Withhold => Effect::Withhold,
        },
        code: section.code.as_deref().and_then(Code::from_word),
        rules: &section.rules,
        remedy: match again.and_then(|decision| decision.sections().get(place)) {
            Some(again) => Remedied::By(again.remedies()),
            None => Remedied::Unknown,
        },
    });
    Some(in_sentences(engine, asked, Outcome::from_word(record.value(Field::Outcome)?)?, ruled))
}
