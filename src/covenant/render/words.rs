//! The Dutch words of the document for closed lists and moments. The words of the covenant and its rules are their own.

use super::super::register::{Controllers, TextStatus};
use super::super::types::{BasisKind, CategoryGroup, PartyKind, Phase};
use crate::clock::Timestamp;
use crate::lifecycle::Reason;
use crate::lifecycle::working_days::local_date;

pub(super) const fn status(status: TextStatus) -> &'static str {
    match status {
        TextStatus::Example => "voorbeeld",
        TextStatus::Draft => "concept",
        TextStatus::Final => "vastgesteld om te ondertekenen",
    }
}

/// What stands across the title page of a text that nobody should take for an agreement.
pub(super) const fn warning(status: TextStatus) -> Option<&'static str> {
    match status {
        TextStatus::Example => Some(
            "Voorbeeld. Niemand heeft dit afgesproken en het is geen juridisch advies; het is een concept dat juristen vervangen.",
        ),
        TextStatus::Draft => Some("Concept. Dit ligt voor aan de partijen; het is nog niet vastgesteld."),
        TextStatus::Final => None,
    }
}

pub(super) const fn controllers(controllers: Controllers) -> &'static str {
    match controllers {
        Controllers::Joint => "gezamenlijk verwerkingsverantwoordelijk (art. 26 AVG)",
        Controllers::Separate => "ieder zelf verwerkingsverantwoordelijk voor wat hij doet (art. 4, onder 7, AVG)",
    }
}

pub(super) const fn party_kind(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Municipality => "gemeente",
        PartyKind::Partner => "partnerorganisatie",
    }
}

pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Triage => "triage (de vraag wegen)",
        Phase::Case => "casus (helpen)",
    }
}

pub(super) const fn basis_kind(kind: BasisKind) -> &'static str {
    match kind {
        BasisKind::Consent => "toestemming",
        BasisKind::MunicipalLaw => "wet voor de gemeente",
        BasisKind::Law => "wet, ook voor andere partijen",
        BasisKind::VitalInterest => "vitaal belang",
    }
}

pub(super) const fn group(group: CategoryGroup) -> &'static str {
    match group {
        CategoryGroup::Core => "kerngegeven",
        CategoryGroup::Special => "bijzonder persoonsgegeven (art. 9 AVG)",
        CategoryGroup::LifeDomain => "leefgebied",
        CategoryGroup::Criminal => "kan strafrechtelijk zijn (art. 10 AVG)",
    }
}

/// What is set beside a category wherever it is named.
pub(super) const fn mark(group: CategoryGroup) -> Option<&'static str> {
    match group {
        CategoryGroup::Special => Some("art. 9"),
        CategoryGroup::Criminal => Some("art. 10"),
        CategoryGroup::Core | CategoryGroup::LifeDomain => None,
    }
}

/// A reason of waiting; the covenant can name three of them.
pub(super) const fn waiting(reason: Reason) -> &'static str {
    match reason {
        Reason::WaitingList => "wachtlijst",
        Reason::ResidentUnreachable => "inwoner niet bereikbaar",
        Reason::InformationRequested => "informatie gevraagd aan de verzender",
        other => other.as_str(),
    }
}

/// What the rules of one hundred are about.
pub(super) const fn hundred(hundred: u16) -> &'static str {
    match hundred {
        0 => "Wat niet wordt gewogen",
        1 => "Wat nooit gaat, wat er ook is vastgelegd",
        2 => "Wie meedoet",
        3 => "De grondslag",
        5 => "Het verloop van de casus",
        6 => "Toestemming, ontheffing en instemming",
        7 => "Bezwaar en beperking",
        _ => "Overige regels",
    }
}

/// A remedy, with a word at each place that is filled in when it is shown to somebody.
pub(super) fn remedy(text: &str) -> String {
    [
        ("{giver}", "‹wie geeft›"),
        ("{receiver}", "‹wie krijgt›"),
        ("{sender}", "‹afzender›"),
        ("{recipient}", "‹ontvanger›"),
        ("{purpose}", "‹doel›"),
        ("{category}", "‹categorie›"),
        ("{version}", "‹versie›"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (open, word)| text.replace(open, word))
}

/// The day in the Netherlands on which something begins.
#[must_use]
pub fn day(moment: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ];
    let date = local_date(moment);
    let month = MONTHS.get(usize::from(u8::from(date.month())) - 1).copied().unwrap_or_default();
    format!("{} {month} {}", date.day(), date.year())
}

/// So many of something.
pub(super) fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
