//! A decision in sentences, Dutch and English: what becomes of the whole, and per section the answer, the rules and what would be needed.
//!
//! Invariant: every sentence comes from the covenant, a rule's annotations or a closed list; none of them says what somebody recorded.

use serde::Serialize;

use super::codes::Code;
use super::decision::{Decision, Effect, OnWithheld, Outcome, Remedy};
use super::engine::Engine;
use super::request::Request;
use crate::covenant::{Label, PolicyDigest};

/// Why a hand-over was decided as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The covenant version that decided.
    pub covenant_version: String,
    /// The digest of the covenant and rules that decided.
    pub policy_digest: PolicyDigest,
    /// What becomes of the whole.
    pub outcome: Outcome,
    /// The same in one sentence.
    pub answer: Label,
    /// Who wants to give what to whom.
    pub question: Label,
    /// The answer per section.
    pub sections: Vec<SectionExplanation>,
}

/// Why one section may or may not cross.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SectionExplanation {
    /// The category.
    pub category: String,
    /// Whether it may cross.
    pub effect: Effect,
    /// Why not.
    pub code: Option<Code>,
    /// The answer in one sentence.
    pub answer: Label,
    /// The rules that decided.
    pub rules: Vec<RuleExplanation>,
    /// What the giver can do first.
    pub remedy: Option<Remedy>,
    /// Everything that the giver has to do.
    pub remedies: Vec<Remedy>,
    /// All that would have been needed, in one sentence; none where it crosses, and where that is no longer known.
    pub needed: Option<Label>,
}

/// A rule with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleExplanation {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: Label,
}

/// Who wants to give something to whom, and why: codes and OINs as they are written.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who gives.
    pub giver: &'a str,
    /// Who receives.
    pub receiver: &'a str,
    /// Why.
    pub purpose: &'a str,
    /// On which legal basis.
    pub basis: &'a str,
}

/// What was decided of one section.
#[derive(Debug, Clone, Copy)]
pub struct Ruled<'a> {
    /// The category.
    pub category: &'a str,
    /// Whether it may cross.
    pub effect: Effect,
    /// Why not.
    pub code: Option<Code>,
    /// The rules that decided.
    pub rules: &'a [String],
    /// What the sender can do, and whether that is known.
    pub remedy: Remedied<'a>,
}

/// What can be done about a section that is withheld.
#[derive(Debug, Clone, Copy)]
pub enum Remedied<'a> {
    /// All of this; nothing helps where it is empty.
    By(&'a [Remedy]),
    /// The facts that it would be told from are gone.
    Unknown,
}

/// Explains a decision of this engine on this request.
#[must_use]
pub fn explain(engine: &Engine, request: &Request, decision: &Decision, on_withheld: OnWithheld) -> Explanation {
    let asked = Asked {
        giver: request.giver.as_str(),
        receiver: request.receiver.as_str(),
        purpose: request.referral.purpose.as_str(),
        basis: request.referral.basis.as_str(),
    };
    let sections = decision.sections().iter().map(|section| Ruled {
        category: section.category().as_str(),
        effect: section.effect(),
        code: section.code(),
        rules: section.rules(),
        remedy: Remedied::By(section.remedies()),
    });
    in_sentences(engine, asked, decision.outcome(on_withheld), sections)
}

/// Explains what this engine once decided.
#[must_use]
pub fn in_sentences<'a>(
    engine: &Engine,
    asked: Asked<'_>,
    outcome: Outcome,
    sections: impl Iterator<Item = Ruled<'a>>,
) -> Explanation {
    Explanation {
        covenant_version: engine.covenant().version.clone(),
        policy_digest: engine.digest().clone(),
        outcome,
        answer: of_the_whole(outcome),
        question: question(engine, asked),
        sections: sections.map(|section| section_explanation(engine, section)).collect(),
    }
}

fn label(nl: impl Into<String>, en: impl Into<String>) -> Label {
    Label { nl: nl.into(), en: en.into() }
}

/// What becomes of the whole, in one sentence. Who received something reads the same whether or not there was more.
#[must_use]
pub fn of_the_whole(outcome: Outcome) -> Label {
    match outcome {
        Outcome::Permitted => label("Wat hier genoemd is, gaat door.", "What is named here crosses."),
        Outcome::Minimised => {
            label("Een deel gaat door, de rest blijft bij de gever.", "A part crosses, the rest stays with the giver.")
        }
        Outcome::Refused => label("Er gaat niets door.", "Nothing crosses."),
    }
}

fn question(engine: &Engine, asked: Asked<'_>) -> Label {
    let covenant = engine.covenant();
    let name = |oin: &str| {
        let party = covenant.parties.iter().find(|party| party.oin.as_str() == oin);
        party.map_or_else(|| oin.to_owned(), |party| party.name.clone())
    };
    let (giver, receiver) = (name(asked.giver), name(asked.receiver));
    let unnamed = |code: &str| label(code, code);
    let purpose =
        covenant.purpose(asked.purpose).map_or_else(|| unnamed(asked.purpose), |purpose| purpose.label.clone());
    let basis = covenant.basis(asked.basis).map_or_else(|| unnamed(asked.basis), |basis| basis.label.clone());
    Label {
        nl: format!("{giver} wil aan {receiver} gegevens geven voor {}, op grond van: {}.", purpose.nl, basis.nl),
        en: format!("{giver} wants to give data to {receiver} for {}, on the basis of: {}.", purpose.en, basis.en),
    }
}

fn section_explanation(engine: &Engine, section: Ruled<'_>) -> SectionExplanation {
    let Ruled { category, effect, code, rules, remedy } = section;
    let name =
        engine.covenant().category(category).map_or_else(|| label(category, category), |found| found.label.clone());
    let answer = match (effect, code) {
        (Effect::Permit, _) => label(format!("{}: gaat door.", name.nl), format!("{}: crosses.", name.en)),
        (Effect::Withhold, None) => {
            label(format!("{}: gaat niet door.", name.nl), format!("{}: is withheld.", name.en))
        }
        (Effect::Withhold, Some(code)) => label(
            format!("{}: gaat niet door, want {}.", name.nl, code.nl()),
            format!("{}: is withheld, because {}.", name.en, code.en()),
        ),
    };
    let rules = rules
        .iter()
        .map(|id| {
            let (nl, en) = engine.sentences(id).unwrap_or_default();
            RuleExplanation { id: id.clone(), text: label(nl, en) }
        })
        .collect();
    let remedies = match remedy {
        Remedied::By(remedies) => remedies.to_vec(),
        Remedied::Unknown => Vec::new(),
    };
    SectionExplanation {
        category: category.to_owned(),
        effect,
        code,
        answer,
        rules,
        remedy: remedies.first().cloned(),
        remedies,
        needed: match (effect, remedy) {
            (Effect::Withhold, Remedied::By(remedies)) => Some(needed(remedies)),
            _ => None,
        },
    }
}

/// All that would have been needed, in one sentence.
fn needed(remedies: &[Remedy]) -> Label {
    if remedies.is_empty() {
        return label("Hier kan de gever niets aan doen.", "There is nothing that the giver can do about it.");
    }
    let all = |of: fn(&Remedy) -> &str, and: &str| remedies.iter().map(of).collect::<Vec<_>>().join(and);
    let (nl, en) = (all(|remedy| &remedy.nl, "; en "), all(|remedy| &remedy.en, "; and "));
    label(format!("Nodig: {nl}."), format!("Needed: {en}."))
}

impl Explanation {
    /// The explanation as text, in Dutch.
    #[must_use]
    pub fn nl(&self) -> String {
        self.text(|label| &label.nl)
    }

    /// The explanation as text, in English.
    #[must_use]
    pub fn en(&self) -> String {
        self.text(|label| &label.en)
    }

    fn text(&self, of: fn(&Label) -> &String) -> String {
        let mut lines = vec![of(&self.question).clone()];
        for section in &self.sections {
            lines.push(format!("- {}", of(&section.answer)));
            for rule in &section.rules {
                lines.push(format!("    {}: {}", rule.id, of(&rule.text)));
            }
            lines.extend(section.needed.as_ref().map(|needed| format!("    {}", of(needed))));
        }
        lines.push(format!(
            "{} ({}, {} {})",
            of(&self.answer),
            self.outcome,
            self.covenant_version,
            self.policy_digest
        ));
        lines.join("\n")
    }
}
