//! The Dutch words of reports and receipts for closed lists and moments, and the texts that stand in each of them.

use super::types::{Identification, ReportScope, Requester, Right, Statements, Words};
use crate::clock::Timestamp;
use crate::consents::{ConfirmationStatus, Method, Retention, WithdrawalReason};
use crate::covenant::render::day;
use crate::emergencies::{CannotConsent, Conclusion, DutyStatus, EmergencyReason};
use crate::incidents::IncidentKind;
use crate::lifecycle::working_days::local_clock;
use crate::policy::{GivenBy, RecordKind, RepresentativeKind};
use crate::referrals::{CorrectionEffect, CorrectionReason};
use crate::rights::{objections, restrictions};

/// A moment in the Netherlands.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let (hour, minute) = local_clock(at);
    format!("{}, {hour:02}:{minute:02} uur", day(at))
}

pub(super) const fn scope(scope: ReportScope) -> &'static str {
    match scope {
        ReportScope::Own => "wat deze organisatie zelf gaf, kreeg en vastlegde",
        ReportScope::Full => "wat alle organisaties van het convenant gaven, kregen en vastlegden",
    }
}

pub(super) const fn identification(identification: Identification) -> &'static str {
    match identification {
        Identification::IdentityDocument => "met een identiteitsbewijs",
        Identification::Electronic => "met een elektronisch inlogmiddel, zoals DigiD",
        Identification::KnownInPerson => "bekend bij een medewerker",
        Identification::ControlQuestions => "met vragen over het eigen dossier",
    }
}

pub(super) const fn requester(requester: Requester) -> &'static str {
    match requester {
        Requester::Resident => "de inwoner zelf",
        Requester::Parent => "een ouder met gezag",
        Requester::Representative => "een wettelijk vertegenwoordiger",
    }
}

/// Which of the three records.
#[must_use]
pub const fn kind_of(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Consent => "toestemming",
        RecordKind::SecrecyRelease => "ontheffing van het beroepsgeheim",
        RecordKind::CareAgreement => "instemming met hulp",
    }
}

/// Who gave it.
#[must_use]
pub const fn giver_of(giver: GivenBy) -> &'static str {
    match giver {
        GivenBy::Resident => "de inwoner",
        GivenBy::Parent => "de ouder of ouders met gezag",
        GivenBy::ParentAndChild => "ouder en kind samen",
        GivenBy::Representative => "een wettelijk vertegenwoordiger",
    }
}

/// Which representative.
#[must_use]
pub const fn representative(kind: RepresentativeKind) -> &'static str {
    match kind {
        RepresentativeKind::Guardian => "voogd",
        RepresentativeKind::Curator => "curator",
        RepresentativeKind::Mentor => "mentor",
    }
}

/// How it was given.
#[must_use]
pub const fn method_of(method: Method) -> &'static str {
    match method {
        Method::SignedForm => "op een ondertekend formulier",
        Method::RecordedVerbally => "mondeling, opgeschreven door de medewerker",
        Method::Digital => "digitaal",
    }
}

pub(super) const fn withdrawn_because(reason: WithdrawalReason) -> &'static str {
    match reason {
        WithdrawalReason::ResidentAsked => "op verzoek van de inwoner",
        WithdrawalReason::ObtainedWrongly => "zij had niet vastgelegd mogen worden",
        WithdrawalReason::Other => "om een andere reden",
    }
}

/// How a record of the three kinds stands.
pub(super) fn status(status: &str) -> &'static str {
    match status {
        "withdrawn" => "ingetrokken",
        "upcoming" => "geldt nog niet",
        "expired" => "verlopen",
        _ => "geldt nu",
    }
}

pub(super) const fn confirmation(status: ConfirmationStatus) -> &'static str {
    match status {
        ConfirmationStatus::Open => "heeft nog niet geantwoord",
        ConfirmationStatus::Overdue => "had al moeten antwoorden",
        ConfirmationStatus::Deleted => "heeft bevestigd dat het is verwijderd",
        ConfirmationStatus::Kept => "bewaart het op een andere grondslag",
    }
}

pub(super) const fn retention_law(law: Retention) -> &'static str {
    match law {
        Retention::Wgbo => "art. 7:454 BW",
        Retention::Jeugdwet => "art. 7.3.8 Jeugdwet",
        Retention::Wmo2015 => "art. 5.3.4 Wmo 2015",
        Retention::Archiefwet => "de selectielijst van de Archiefwet",
    }
}

pub(super) const fn emergency(reason: EmergencyReason) -> &'static str {
    match reason {
        EmergencyReason::DangerToLife => "levensgevaar",
        EmergencyReason::DangerOfSeriousHarm => "gevaar voor ernstig letsel",
        EmergencyReason::AcuteViolence => "geweld op dat moment",
        EmergencyReason::ChildInAcuteDanger => "een kind in acuut gevaar",
        EmergencyReason::MissingAndAtRisk => "vermist en in gevaar",
    }
}

pub(super) const fn cannot_consent(reason: CannotConsent) -> &'static str {
    match reason {
        CannotConsent::Unconscious => "buiten bewustzijn",
        CannotConsent::PhysicallyUnable => "lichamelijk niet in staat",
        CannotConsent::MentallyIncapable => "kon niet overzien wat werd gevraagd",
        CannotConsent::LegallyIncapable => "mocht dat volgens de wet niet zelf",
        CannotConsent::Missing => "niet te vinden",
    }
}

pub(super) const fn informed(status: DutyStatus) -> &'static str {
    match status {
        DutyStatus::Open => "nog niet",
        DutyStatus::Postponed => "nog niet: uitgesteld, met een vastgelegde reden",
        DutyStatus::Overdue => "nog niet, en dat had al gemoeten",
        DutyStatus::Informed => "ja",
        DutyStatus::NotPossible => "nee: vastgelegd is waarom dat niet kan",
    }
}

pub(super) const fn conclusion(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Justified => "terecht",
        Conclusion::PartlyJustified => "voor een deel terecht",
        Conclusion::NotJustified => "niet terecht",
    }
}

pub(super) const fn correction(effect: CorrectionEffect) -> &'static str {
    match effect {
        CorrectionEffect::Replaced => "vervangen",
        CorrectionEffect::Retracted | CorrectionEffect::Withheld => "ingetrokken",
    }
}

pub(super) const fn corrected_because(reason: CorrectionReason) -> &'static str {
    match reason {
        CorrectionReason::Inaccurate => "het klopte niet",
        CorrectionReason::Outdated => "het klopte niet meer",
        CorrectionReason::WrongResident => "het ging over iemand anders",
        CorrectionReason::WrongRecipient => "het was niet voor deze ontvanger bedoeld",
    }
}

pub(super) const fn objection(status: objections::Status) -> &'static str {
    match status {
        objections::Status::Open => "wordt nog gewogen",
        objections::Status::Overdue => "had al gewogen moeten zijn",
        objections::Status::Upheld => "gegrond: wat is gestopt, blijft gestopt",
        objections::Status::Overridden => "afgewezen: een andere grond weegt zwaarder",
        objections::Status::TakenBack => "ingetrokken door de inwoner",
    }
}

pub(super) const fn restriction(ground: restrictions::Ground) -> &'static str {
    match ground {
        restrictions::Ground::AccuracyContested => "de juistheid wordt betwist",
        restrictions::Ground::UnlawfulProcessing => "het gebruik was onrechtmatig, en de gegevens moeten blijven",
        restrictions::Ground::NeededForLegalClaims => "de gegevens zijn nodig voor een rechtsvordering",
        restrictions::Ground::ObjectionPending => "een bezwaar wordt gewogen",
    }
}

pub(super) const fn incident(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::WrongResident => "het ging over iemand anders dan bedoeld",
        IncidentKind::WrongRecipient => "het kwam bij een organisatie waarvoor het niet was bedoeld",
        IncidentKind::FailedVerification => "bij een controle bleek dat er iets kan zijn veranderd",
    }
}

/// What is true of every report with this scope.
pub(super) fn statements(scope: ReportScope) -> Statements {
    let source = Words::of(
        "De gateway haalt zelf nergens gegevens op. Wat een organisatie kreeg, kwam van de organisatie die bij die gegevensstroom als gever staat. Waar de gever het vandaan had, staat in haar eigen dossier.",
        "The gateway collects nothing by itself. What an organisation received came from the one that is named as giver of that flow. Where the giver had it from is in its own file.",
    );
    let decisions = Words::of(
        "Of een gegeven van de ene naar de andere organisatie mocht, is elke keer beslist door vaste regels: die van het convenant. De regels kennen de inhoud niet. Zij beslissen niet over hulp, toegang of geld. Of een organisatie zelf iets geautomatiseerd beslist, weet de gateway niet; vraag dat aan die organisatie.",
        "Whether data could go from one organisation to the other was decided each time by fixed rules, those of the covenant. The rules do not know the content. They decide nothing about help, access or money. Whether an organisation decides something by automated means itself the gateway does not know; ask that organisation.",
    );
    let limits = match scope {
        ReportScope::Own => Words::of(
            "Dit overzicht gaat over wat via de gateway is gegaan en over deze ene organisatie. De inhoud zelf, en wat in het eigen dossier staat, vraagt u bij de organisatie. Voor wat andere organisaties gaven en kregen vraagt u een overzicht bij hen, of het volledige overzicht bij het contactpunt. Wat na de bewaartermijn is verwijderd, staat er niet in.",
            "This report is about what went through the gateway, and about this one organisation. For the content itself and for what is in its own file, ask the organisation. For what other organisations gave and got, ask them, or ask the contact point for the full report. What was removed after its retention term is not in it.",
        ),
        ReportScope::Full => Words::of(
            "Dit overzicht gaat over wat via de gateway is gegaan. Wat is tegengehouden, heeft niemand gekregen; het staat hier niet bij. De inhoud zelf, en wat in hun eigen dossiers staat, vraagt u bij de organisaties. Wat na de bewaartermijn is verwijderd, staat er niet in.",
            "This report is about what went through the gateway. What was withheld nobody received; it is not in here. For the content itself and for what is in their own files, ask the organisations. What was removed after its retention term is not in it.",
        ),
    };
    Statements { source, decisions, limits }
}

/// What a resident may do.
#[must_use]
pub fn rights() -> Vec<Right> {
    let right = |article, nl: &str, en: &str| Right { article, text: Words::of(nl, en) };
    vec![
        right(
            "art. 16 AVG",
            "Klopt iets niet? U kunt het laten verbeteren of aanvullen. De organisatie die het gaf, verbetert het ook bij wie het kreeg.",
            "Is something wrong? You can have it rectified or completed. The organisation that gave it mends it with those who received it too.",
        ),
        right("art. 17 AVG", "U kunt vragen gegevens te wissen.", "You can ask for data to be erased."),
        right(
            "art. 18 AVG",
            "U kunt vragen gegevens een tijd niet te gebruiken, bijvoorbeeld zolang wordt uitgezocht of ze kloppen.",
            "You can ask for data not to be used for a time, such as while it is found out whether it is correct.",
        ),
        right(
            "art. 21 AVG",
            "U kunt bezwaar maken tegen gebruik voor een publieke taak.",
            "You can object to use for a public task.",
        ),
        right(
            "art. 7, derde lid, AVG",
            "Een toestemming kunt u altijd intrekken, bij elke organisatie. Dat is even makkelijk als geven, en u hoeft geen reden te noemen.",
            "A consent can be withdrawn at any time, with any of the organisations. That is as easy as giving it, and needs no reason.",
        ),
        right(
            "art. 77 AVG",
            "U kunt klagen: bij de organisatie zelf, bij haar functionaris gegevensbescherming, en bij de Autoriteit Persoonsgegevens (autoriteitpersoonsgegevens.nl).",
            "You can complain: to the organisation itself, to its data protection officer, and to the Dutch Data Protection Authority (Autoriteit Persoonsgegevens, autoriteitpersoonsgegevens.nl).",
        ),
    ]
}
