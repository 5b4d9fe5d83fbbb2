//! The terms of the Data Privacy Vocabulary that fit what the covenant names. Pure.
//!
//! Sources: DPV 2 (W3C Data Privacy Vocabularies and Controls Community Group) with its extensions PD (personal data), LOC (places) and EU-GDPR, and the guide "Consent
//! Records and Receipts as per ISO/IEC TS 27560:2023 using DPV" of 2024-08-01. Invariant: a term that is not in these is not made up: what has no term there has its code of
//! the covenant, with its label.

use serde_json::{Value, json};

use crate::policy::{GivenBy, RepresentativeKind};

/// The prefixes of a receipt. What DPV has no word for is under `sluis`.
pub(super) fn context() -> Value {
    json!({
        "dct": "http://purl.org/dc/terms/",
        "dpv": "https://w3id.org/dpv#",
        "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
        "loc": "https://w3id.org/dpv/loc#",
        "pd": "https://w3id.org/dpv/pd#",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "sluis": SLUIS,
    })
}

/// Words of our own.
pub(super) const SLUIS: &str = "urn:x-sluis:terms#";
/// The form of a receipt and of the record in it.
pub(super) const RECEIPT_SCHEMA: &str = "https://w3id.org/dpv/schema/dpv-27560#receipt";
/// See [`RECEIPT_SCHEMA`].
pub(super) const RECORD_SCHEMA: &str = "https://w3id.org/dpv/schema/dpv-27560#record";

/// The kinds of personal data in PD that a category of the covenant is narrower than; none where none fits.
pub(super) fn personal_data(category: &str) -> &'static [&'static str] {
    match category {
        "identity" => &["pd:Identifying"],
        "bsn" => &["pd:OfficialID"],
        "contact" => &["pd:Contact"],
        "household" => &["pd:Household"],
        "finance" => &["pd:Financial"],
        "social" => &["pd:Social"],
        "mental-health" => &["pd:MentalHealth"],
        "physical-health" => &["pd:PhysicalHealth"],
        _ => &[],
    }
}

/// The rights that a receipt names.
pub(super) const RIGHTS: [(&str, &str); 6] = [
    ("eu-gdpr:A15", "Recht op inzage"),
    ("eu-gdpr:A16", "Recht op verbetering"),
    ("eu-gdpr:A17", "Recht op wissen"),
    ("eu-gdpr:A18", "Recht op beperking van het gebruik"),
    ("eu-gdpr:A20", "Recht op overdraagbaarheid"),
    ("eu-gdpr:A77", "Recht om te klagen bij de Autoriteit Persoonsgegevens"),
];

/// Who said it.
pub(super) fn indicated_by(giver: GivenBy, representative: Option<RepresentativeKind>) -> Value {
    match (giver, representative) {
        (GivenBy::Resident, _) => json!(["dpv:DataSubject"]),
        (GivenBy::Parent, _) => json!(["dpv:ParentOfDataSubject"]),
        (GivenBy::ParentAndChild, _) => json!(["dpv:DataSubject", "dpv:ParentOfDataSubject"]),
        (GivenBy::Representative, Some(RepresentativeKind::Guardian)) => json!(["dpv:GuardianOfDataSubject"]),
        (GivenBy::Representative, _) => json!(["dpv:Representative"]),
    }
}
