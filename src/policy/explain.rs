//! A decision in sentences, Dutch and English, for a privacy officer.
//!
//! Invariant: every sentence comes from the covenant, a rule's annotations or the closed list of codes.

use serde::Serialize;

use super::decision::{Decision, Effect, OnWithheld, Outcome, Remedy, SectionDecision};
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
    /// The answer in one sentence.
    pub answer: Label,
    /// The rules that decided.
    pub rules: Vec<RuleExplanation>,
    /// What the sender can do.
    pub remedy: Option<Remedy>,
}

/// A rule with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleExplanation {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: Label,
}

/// Explains a decision of this engine on this request.
#[must_use]
pub fn explain(engine: &Engine, request: &Request, decision: &Decision, on_withheld: OnWithheld) -> Explanation {
    Explanation {
        covenant_version: decision.covenant_version().to_owned(),
        policy_digest: decision.policy_digest().clone(),
        outcome: decision.outcome(on_withheld),
        question: question(engine, request),
        sections: decision.sections().iter().map(|section| section_explanation(engine, section)).collect(),
    }
}

fn question(engine: &Engine, request: &Request) -> Label {
    let covenant = engine.covenant();
    let name = |oin| covenant.party_by_oin(oin).map_or_else(|| format!("{oin}"), |party| party.name.clone());
    let (giver, receiver) = (name(&request.giver), name(&request.receiver));
    let unnamed = |code: &str| Label { nl: code.to_owned(), en: code.to_owned() };
    let code = request.referral.purpose.as_str();
    let purpose = covenant.purpose(code).map_or_else(|| unnamed(code), |purpose| purpose.label.clone());
    let code = request.referral.basis.as_str();
    let basis = covenant.basis(code).map_or_else(|| unnamed(code), |basis| basis.label.clone());
    Label {
        nl: format!("{giver} wil aan {receiver} gegevens geven voor {}, op grond van: {}.", purpose.nl, basis.nl),
        en: format!("{giver} wants to give data to {receiver} for {}, on the basis of: {}.", purpose.en, basis.en),
    }
}

fn section_explanation(engine: &Engine, section: &SectionDecision) -> SectionExplanation {
    let code = section.category().as_str();
    let name = engine
        .covenant()
        .category(code)
        .map_or_else(|| Label { nl: code.to_owned(), en: code.to_owned() }, |category| category.label.clone());
    let answer = match section.code() {
        None => Label { nl: format!("{}: gaat door.", name.nl), en: format!("{}: crosses.", name.en) },
        Some(code) => Label {
            nl: format!("{}: gaat niet door, want {}.", name.nl, code.nl()),
            en: format!("{}: is withheld, because {}.", name.en, code.en()),
        },
    };
    let rules = section
        .rules()
        .iter()
        .map(|id| {
            let (nl, en) = engine.sentences(id).unwrap_or_default();
            RuleExplanation { id: id.clone(), text: Label { nl: nl.to_owned(), en: en.to_owned() } }
        })
        .collect();
    SectionExplanation {
        category: code.to_owned(),
        effect: section.effect(),
        answer,
        rules,
        remedy: section.remedy().cloned(),
    }
}

impl Explanation {
    /// The explanation as text, in Dutch.
    #[must_use]
    pub fn nl(&self) -> String {
        self.text(|label| &label.nl, |remedy| &remedy.nl, "Wat te doen")
    }

    /// The explanation as text, in English.
    #[must_use]
    pub fn en(&self) -> String {
        self.text(|label| &label.en, |remedy| &remedy.en, "What to do")
    }

    fn text(&self, of: fn(&Label) -> &String, of_remedy: fn(&Remedy) -> &String, what_to_do: &str) -> String {
        let mut lines = vec![of(&self.question).clone()];
        for section in &self.sections {
            lines.push(format!("- {}", of(&section.answer)));
            for rule in &section.rules {
                lines.push(format!("    {}: {}", rule.id, of(&rule.text)));
            }
            if let Some(remedy) = &section.remedy {
                lines.push(format!("    {what_to_do}: {}.", of_remedy(remedy)));
            }
        }
        lines.push(format!("{} ({} {})", self.outcome, self.covenant_version, self.policy_digest));
        lines.join("\n")
    }
}
