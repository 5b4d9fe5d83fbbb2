//! Every rule with its stable id and its sentence in two languages, also those that are not Cedar policies.
//!
//! Invariant: an id in a decision or an audit record is explained here or in the annotations of a policy.

use serde::Serialize;

use super::codes::Code;
use super::decision::Effect;

/// A rule as a privacy officer reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleText {
    /// Its stable id.
    pub id: String,
    /// The number of the rule of the covenant that it carries out, 1 to 17.
    pub number: u8,
    /// Whether it permits or withholds.
    pub effect: Effect,
    /// The reason that it gives, for a rule that withholds.
    pub code: Option<Code>,
    /// Which is named first; rules of the same hundred are named together.
    pub order: u16,
    /// What it says, in Dutch.
    pub nl: String,
    /// What it says, in English.
    pub en: String,
    /// What the sender can do, with places such as `{category}` still open.
    pub remedy: Option<super::decision::Remedy>,
    /// Where it is held: a file of the policies, or of the source.
    pub place: String,
}

/// The id under which "no row allows it" is named.
pub const NOTHING_WITHOUT_A_ROW: &str = "nothing-without-a-row";
/// The id under which "it could not be evaluated" is named.
pub const REFUSED_WHEN_NOT_EVALUABLE: &str = "refused-when-not-evaluable";

/// The order of [`NOTHING_WITHOUT_A_ROW`]: after who takes part and the legal basis, before everything that can be mended.
pub(super) const ROW_ORDER: u16 = 400;

/// A rule that is no Cedar policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeldElsewhere {
    /// Its stable id.
    pub id: &'static str,
    /// Its number, 1 to 17.
    pub number: u8,
    /// What it says, in Dutch.
    pub nl: &'static str,
    /// What it says, in English.
    pub en: &'static str,
    /// The code that holds it; "not offered" where the gateway has no such function.
    pub place: &'static str,
}

/// The rules that hold without being policies, and where.
pub const HELD_ELSEWHERE: &[HeldElsewhere] = &[
    HeldElsewhere {
        id: NOTHING_WITHOUT_A_ROW,
        number: 1,
        nl: "Niets gaat door dat geen regel van het privacyprotocol toelaat.",
        en: "Nothing crosses that no row of the privacy protocol allows.",
        place: "src/policy/engine.rs",
    },
    HeldElsewhere {
        id: REFUSED_WHEN_NOT_EVALUABLE,
        number: 1,
        nl: "Wat niet kan worden beoordeeld, gaat niet door.",
        en: "What cannot be evaluated is refused.",
        place: "src/policy/engine.rs",
    },
    HeldElsewhere {
        id: "decided-again-at-disclosure",
        number: 12,
        nl: "Bij elke verstrekking wordt opnieuw beslist.",
        en: "The decision is taken again at every disclosure.",
        place: "src/referrals (disclosure asks the engine again)",
    },
    HeldElsewhere {
        id: "safety-veto",
        number: 14,
        nl: "Een veiligheidsveto laat de verwijzing voor anderen nooit hebben bestaan.",
        en: "A safety veto lets the referral never have existed for others.",
        place: "not offered",
    },
    HeldElsewhere {
        id: "aggregates-above-threshold",
        number: 15,
        nl: "Geen telling toont minder dan de drempel van het convenant.",
        en: "No aggregate shows fewer than the covenant's threshold.",
        place: "src/handoffs/disclosure.rs",
    },
    HeldElsewhere {
        id: "note-reads-the-row-reversed",
        number: 16,
        nl: "Een notitie gaat terug onder de regel van de verwijzing zelf; met toestemming als grondslag vraagt zij eigen toestemming.",
        en: "A note goes back under the referral's own row; with consent as the basis it needs a consent of its own.",
        place: "src/policy/facts.rs",
    },
    HeldElsewhere {
        id: "withheld-stays-with-sender",
        number: 17,
        nl: "Alleen de afzender en diens privacy officer weten wat is achtergehouden.",
        en: "Nobody but the sender and its privacy officer learns what was withheld.",
        place: "src/policy/minimise.rs (only permitted sections go on) and src/referrals (the decision is shown to the sender)",
    },
];
