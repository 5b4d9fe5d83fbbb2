//! Every rule with its stable id and its sentence in two languages, also those that are not Cedar policies.
//!
//! Invariant: an id in a decision or an audit record is explained here or in the annotations of a policy.

use serde::Serialize;

use super::codes::Code;
use super::decision::{Effect, Remedy};

/// A rule as a privacy officer reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleText {
    /// Its stable id.
    pub id: String,
    /// The number of the rule of the covenant that it carries out, 1 to 18.
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
    /// What the giver can do, with places such as `{category}` still open.
    pub remedy: Option<Remedy>,
    /// The same of a note, where something else helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy_of_note: Option<Remedy>,
    /// The same on a vital interest, where something else helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy_in_emergency: Option<Remedy>,
    /// Codes of remedies that nobody needs who does what this rule asks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedy_covers: Vec<String>,
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
    /// Its number, 1 to 18.
    pub number: u8,
    /// What it says, in Dutch.
    pub nl: &'static str,
    /// What it says, in English.
    pub en: &'static str,
    /// The files of the source that hold it.
    pub files: &'static [&'static str],
    /// Tests that fail when they do not.
    pub tests: &'static [&'static str],
}

/// The rules that hold without being policies, and where.
pub const HELD_ELSEWHERE: &[HeldElsewhere] = &[
    HeldElsewhere {
        id: NOTHING_WITHOUT_A_ROW,
        number: 1,
        nl: "Niets gaat door dat geen regel van het privacyprotocol toelaat.",
        en: "Nothing crosses that no row of the privacy protocol allows.",
        files: &["src/policy/engine.rs", "src/policy/rules.rs"],
        tests: &["a_permit_written_by_hand_does_not_load", "the_document_shows_what_the_engine_permits"],
    },
    HeldElsewhere {
        id: REFUSED_WHEN_NOT_EVALUABLE,
        number: 1,
        nl: "Wat niet kan worden beoordeeld, gaat niet door.",
        en: "What cannot be evaluated is refused.",
        files: &["src/policy/engine.rs", "src/policy/rules.rs"],
        tests: &["an_evaluation_error_is_a_refusal_that_is_not_remembered"],
    },
    HeldElsewhere {
        id: "decided-again-at-disclosure",
        number: 12,
        nl: "Bij elke verstrekking wordt opnieuw beslist.",
        en: "The decision is taken again at every disclosure.",
        files: &["src/referrals/disclose.rs", "src/consents/heard.rs", "src/referrals/withdrawn/mod.rs"],
        tests: &[
            "a_withdrawn_consent_stops_the_disclosure_and_the_record_says_so",
            "what_somebody_heard_counts_at_once_and_the_recorder_sees_who_said_it",
        ],
    },
    HeldElsewhere {
        id: "break-glass-is-narrow-and-answered-for",
        number: 13,
        nl: "De noodprocedure geldt hoogstens 24 uur voor één ontvanger, één inwoner en genoemde gegevens, en wordt buiten de inroepende partij beoordeeld.",
        en: "Break-glass holds for 24 hours at most for one recipient, one resident and named data, and is reviewed outside the declaring party.",
        files: &["src/emergencies/types.rs", "src/emergencies/readers.rs", "src/referrals/decide.rs"],
        tests: &[
            "a_declaration_is_good_for_what_it_names_and_for_nothing_else",
            "a_review_is_concluded_once_and_never_by_the_party_that_declared",
        ],
    },
    HeldElsewhere {
        id: "safety-veto",
        number: 14,
        nl: "Een veiligheidsveto van de afzender geldt alleen voor hemzelf: vooraf heeft er voor anderen nooit iets bestaan, daarna lijkt het een gewone intrekking.",
        en: "A sender's safety veto is its own alone: set beforehand nothing ever existed for others, set afterwards it looks like any cancellation.",
        files: &["src/vetoes/mod.rs", "src/referrals/decide.rs", "src/referrals/update.rs", "src/audit/service.rs"],
        tests: &[
            "set_beforehand_nothing_ever_was_for_anybody_else",
            "on_a_referral_it_is_called_off_as_any_other_for_everybody_else",
            "from_then_on_its_holder_gives_nothing_and_leaves_no_trace_of_trying",
            "no_access_report_shows_it_until_its_holders_privacy_officer_has_weighed_it",
        ],
    },
    HeldElsewhere {
        id: "aggregates-above-threshold",
        number: 15,
        nl: "Geen telling toont minder dan de drempel van het convenant.",
        en: "No aggregate shows fewer than the covenant's threshold.",
        files: &["src/handoffs/disclosure.rs"],
        tests: &["of_recipients_senders_purposes_and_weeks_no_cell_can_be_pinned"],
    },
    HeldElsewhere {
        id: "note-reads-the-row-reversed",
        number: 16,
        nl: "Een notitie gaat terug onder de regel van de verwijzing zelf; met toestemming als grondslag vraagt zij eigen toestemming.",
        en: "A note goes back under the referral's own row; with consent as the basis it needs a consent of its own.",
        files: &["src/policy/facts.rs"],
        tests: &["the_example_cases_hold", "matching_equals_the_naive_model"],
    },
    HeldElsewhere {
        id: "withheld-stays-with-sender",
        number: 17,
        nl: "Alleen de afzender en diens privacy officer weten wat is achtergehouden.",
        en: "Nobody but the sender and its privacy officer learns what was withheld.",
        files: &["src/policy/minimise.rs", "src/referrals/view.rs"],
        tests: &["the_credit_bank_gets_what_the_protocol_allows_and_never_learns_of_the_rest"],
    },
];

/// What a rule of the covenant says, whichever policies carry it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NumberedRule {
    /// Its number, 1 to 18.
    pub number: u8,
    /// What it says, in Dutch.
    pub nl: &'static str,
    /// What it says, in English.
    pub en: &'static str,
}

macro_rules! numbered {
    ($($number:literal, $nl:literal, $en:literal;)+) => {
        [$(NumberedRule { number: $number, nl: $nl, en: $en }),+]
    };
}

/// The rules whose numbers policies, invariants and [`HELD_ELSEWHERE`] name.
pub const NUMBERED: [NumberedRule; 18] = numbered! {
    1, "Niets mag dat geen rij toelaat; wat niet kan worden beoordeeld, gaat niet door",
        "Nothing is allowed that no row allows; what cannot be evaluated is refused";
    2, "Beide partijen hebben de geldende versie ondertekend en geen van beide is geschorst",
        "Both parties signed the version in force and neither is suspended";
    3, "Toestemming herstelt geen ontbrekende grondslag; een wet voor de gemeente is er voor niemand anders",
        "Consent does not repair a missing basis; a law for the municipality is for nobody else";
    4, "Een bijzonder gegeven vraagt uitdrukkelijke toestemming of een wettelijke uitzondering die is opgesomd",
        "A special category needs an explicit consent or a listed statutory ground";
    5, "Beroepsgeheim vraagt een ontheffing; drie vastleggingen, geen vervangt een andere; wie ze kan geven",
        "Secrecy needs a release; three records, none stands in for another; who can give them";
    6, "Triage bevat ten hoogste één leefgebied en geen bijzonder gegeven",
        "Triage carries one life domain at most and no special category";
    7, "Wat de kredietbank nooit krijgt, en wat zij geeft",
        "What the credit bank never receives, and what it gives";
    8, "Cliëntondersteuning is onafhankelijk van de gemeente",
        "Client support is independent of the municipality";
    9, "De jeugdgezondheidszorg houdt ontwikkeling en gezondheid bij zich",
        "Youth health care keeps development and health";
    10, "Procesregie alleen zolang de casus is opgeschaald",
        "Process direction only while the case is stepped up";
    11, "Het BSN alleen op grond van een wet, tussen partijen die het mogen gebruiken",
        "BSN only under a law, between parties that may use it";
    12, "Bij de verstrekking wordt opnieuw beslist",
        "The decision is taken again at disclosure";
    13, "Vitaal belang alleen onder de noodprocedure",
        "Vital interest only under break-glass";
    14, "Veiligheidsveto",
        "Safety veto";
    15, "Tellingen boven de drempel, niets over een persoon in stuurinformatie",
        "Aggregates above the threshold, nothing about a person in steering information";
    16, "Een notitie gaat terug onder de rij van de verwijzing zelf",
        "Notes go back under the referral's own row";
    17, "Alleen de afzender weet wat is achtergehouden",
        "Nobody but the sender learns what was withheld";
    18, "Een bezwaar of een beperking houdt tegen wat de vastleggende partij geeft en krijgt, en niets van een ander",
        "An objection or a restriction stops what the party that recorded it gives and gets, and nothing of another";
};
