//! The receipt itself, as JSON-LD. Pure.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::vocabulary::{self, RECEIPT_SCHEMA, RECORD_SCHEMA, RIGHTS, SLUIS};
use crate::access_reports::method_of;
use crate::clock::Timestamp;
use crate::consents::types::Consent;
use crate::covenant::{CategoryCode, CategoryGroup, Covenant, Party};
use crate::ids::Oin;
use crate::policy::RecordKind;

/// What a receipt is made of.
pub(super) struct Source<'a> {
    /// The record.
    pub consent: &'a Consent,
    /// The id of the receipt.
    pub id: Uuid,
    /// The resident, as who recorded it knows them.
    pub pseudonym: &'a str,
    /// The covenant in force.
    pub covenant: &'a Covenant,
    /// The address of the gateway.
    pub issuer: &'a str,
    /// The moment.
    pub now: Timestamp,
}

impl Source<'_> {
    /// Since when the record is in the state that the receipt shows.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let Consent { recording, recorded_at, withdrawal, .. } = self.consent;
        match withdrawal {
            Some(withdrawal) => withdrawal.at,
            None if recording.valid_until <= self.now => recording.valid_until.max(*recorded_at),
            None => *recorded_at,
        }
    }

    /// The receipt.
    #[must_use]
    pub fn document(&self) -> Value {
        let is_consent = self.consent.recording.kind == RecordKind::Consent;
        let mut receipt = object(json!({
            "@context": vocabulary::context(),
            "@id": format!("urn:uuid:{}", self.id),
            "@type": if is_consent { "dpv:ConsentReceipt" } else { self.kind() },
            "dct:identifier": self.id,
            "dct:created": self.since(),
            "dct:language": "nl",
            "dct:publisher": urn(&self.consent.organisation),
        }));
        if is_consent {
            receipt.insert("dct:conformsTo".into(), RECEIPT_SCHEMA.into());
            receipt.insert("dpv:hasRecordOfActivity".into(), self.record());
        } else {
            receipt.insert("sluis:hasRecord".into(), self.record());
        }
        Value::Object(receipt)
    }

    const fn kind(&self) -> &'static str {
        match self.consent.recording.kind {
            RecordKind::Consent => "dpv:ConsentRecord",
            RecordKind::SecrecyRelease => "sluis:SecrecyRelease",
            RecordKind::CareAgreement => "sluis:CareAgreement",
        }
    }

    fn record(&self) -> Value {
        let Consent { id, organisation, recording, .. } = self.consent;
        let controllers: Vec<Value> =
            [organisation].into_iter().chain(&recording.recipients).map(|party| self.party(party)).collect();
        let mut record = object(json!({
            "@id": format!("urn:uuid:{id}"),
            "@type": self.kind(),
            "dct:identifier": id,
            "dpv:hasDataSubject": { "@type": "dpv:DataSubject", "dct:identifier": self.pseudonym },
            "dpv:hasDataController": controllers,
            "dpv:hasJurisdiction": "loc:NL",
            "dpv:hasApplicableLaw": "eu-gdpr:GDPR",
            "dpv:hasNotice": {
                "@type": "dpv:PrivacyNotice",
                "dct:title": self.covenant.title.nl,
                "dct:identifier": format!("{}/v1/covenants/{}", self.issuer, self.covenant.version),
                "dct:language": "nl",
            },
            "dpv:hasProcess": self.processes(),
            "dpv:hasRight": self.rights(),
        }));
        match recording.kind {
            RecordKind::Consent => {
                let basis = if recording.explicit {
                    "eu-gdpr:A6-1-a-explicit-consent"
                } else {
                    "eu-gdpr:A6-1-a-non-explicit-consent"
                };
                record.insert("dct:conformsTo".into(), RECORD_SCHEMA.into());
                record.insert("dpv:hasLegalBasis".into(), basis.into());
                record.insert("dpv:hasConsentStatus".into(), self.history());
                record.insert("dpv:hasConsentControl".into(), self.withdrawing("dpv:WithdrawConsent"));
            }
            RecordKind::SecrecyRelease => {
                let secrecy =
                    self.covenant.party_by_oin(organisation).and_then(|party| party.secrecy_source.as_deref());
                record.insert("sluis:releasesFrom".into(), json!(secrecy));
                record.insert("sluis:hasStatus".into(), self.history());
                record.insert("sluis:hasControl".into(), self.withdrawing("sluis:TakeBack"));
            }
            RecordKind::CareAgreement => {
                record.insert("sluis:hasStatus".into(), self.history());
                record.insert("sluis:hasControl".into(), self.withdrawing("sluis:TakeBack"));
            }
        }
        Value::Object(record)
    }

    /// What may be done: for each purpose, with which data, to whom.
    fn processes(&self) -> Value {
        let recording = &self.consent.recording;
        // Of what it names, the longest; a care agreement names nothing and says nothing of content.
        let days = recording.categories.iter().map(|category| self.covenant.retention.days_of(category)).max();
        let days = days.unwrap_or(self.covenant.retention.content);
        let data: Vec<Value> = recording.categories.iter().map(|category| self.personal_data(category)).collect();
        let recipients: Vec<String> = recording.recipients.iter().map(urn).collect();
        let process = |code: &crate::covenant::PurposeCode| {
            let purpose = self.covenant.purpose(code.as_str());
            let label = purpose.map_or(code.as_str(), |purpose| purpose.label.nl.as_str());
            let mut process = object(json!({
                "@type": "dpv:Process",
                "dpv:hasPurpose": {
                    "@type": "dpv:Purpose",
                    "@id": format!("{SLUIS}purpose/{code}"),
                    "skos:prefLabel": { "@language": "nl", "@value": label },
                },
                "dpv:hasRecipient": recipients,
                "dpv:hasStorageCondition": [{
                    "@type": "dpv:StorageDuration",
                    "dpv:hasDuration": { "@type": "dpv:TemporalDuration", "rdf:value": format!("P{days}D") },
                }, {
                    "@type": "dpv:StorageLocation",
                    "dpv:hasLocation": "loc:NL",
                }],
            }));
            // A care agreement opens no flow of data and names none.
            if !data.is_empty() {
                process.insert("dpv:hasPersonalData".into(), Value::Array(data.clone()));
            }
            Value::Object(process)
        };
        recording.purposes.iter().map(process).collect()
    }

    fn personal_data(&self, code: &CategoryCode) -> Value {
        let category = self.covenant.category(code.as_str());
        let label = category.map_or(code.as_str(), |category| category.label.nl.as_str());
        let is_special = category.is_some_and(|category| category.is(CategoryGroup::Special));
        let kind = if is_special { "dpv:SpecialCategoryPersonalData" } else { "dpv:PersonalData" };
        let mut data = object(json!({
            "@type": kind,
            "@id": format!("{SLUIS}category/{code}"),
            "skos:prefLabel": { "@language": "nl", "@value": label },
        }));
        let broader = vocabulary::personal_data(code.as_str());
        if !broader.is_empty() {
            data.insert("skos:broader".into(), json!(broader));
        }
        Value::Object(data)
    }

    fn party(&self, oin: &Oin) -> Value {
        let party = self.covenant.party_by_oin(oin);
        let mut view = object(json!({
            "@id": urn(oin),
            "@type": if *oin == self.consent.organisation { json!(["dpv:DataController"]) } else { json!(["dpv:DataController", "dpv:Recipient"]) },
            "dct:identifier": oin,
            "dpv:hasName": party.map_or(oin.as_str(), |party| party.name.as_str()),
        }));
        if let Some(Party { complaints, contact, data_protection_officer, .. }) = party {
            if let Some(contact) = contact {
                view.insert("dpv:hasContact".into(), contact.as_str().into());
            }
            view.insert("sluis:hasComplaintContact".into(), complaints.as_str().into());
            if let Some(officer) = data_protection_officer {
                let officer = json!({ "@type": "dpv:DataProtectionOfficer", "dpv:hasContact": officer });
                view.insert("dpv:hasDataProtectionOfficer".into(), officer);
            }
        }
        Value::Object(view)
    }

    fn rights(&self) -> Value {
        let at = self.exercised_at();
        let right = |(id, title): (&str, &str)| json!({ "@type": ["dpv:DataSubjectRight", id], "dct:title": title, "dpv:isExercisedAt": at });
        let taken_back = (self.consent.recording.kind == RecordKind::Consent)
            .then_some(("eu-gdpr:A7-3", "Recht om de toestemming in te trekken"));
        taken_back.into_iter().chain(RIGHTS).map(right).collect()
    }

    fn withdrawing(&self, control: &str) -> Value {
        json!({
            "@type": control,
            "dpv:isExercisedAt": self.exercised_at(),
            "dct:description": "Bij elke organisatie van het convenant, zonder reden te noemen. Vanaf dat moment wordt op grond hiervan niets meer gegeven.",
        })
    }

    /// Where a resident turns to: who recorded it, and the contact point of the covenant.
    fn exercised_at(&self) -> Vec<&str> {
        let own = self.covenant.party_by_oin(&self.consent.organisation);
        let own = own.map(|party| party.contact.as_deref().unwrap_or(&party.complaints));
        own.into_iter().chain(self.covenant.register.contact_point.as_deref()).collect()
    }

    /// What became of it: given, and withdrawn or run out.
    fn history(&self) -> Value {
        let Consent { recording, withdrawal, .. } = self.consent;
        let is_consent = recording.kind == RecordKind::Consent;
        let state = |consent: &'static str, other: &'static str| if is_consent { consent } else { other };
        let mut types = vec![state("dpv:ConsentGiven", "sluis:Given")];
        if is_consent {
            types.push(if recording.explicit { "dpv:ExplicitlyExpressedConsent" } else { "dpv:ExpressedConsent" });
        }
        let mut history = vec![json!({
            "@type": types,
            "dpv:isIndicatedBy": vocabulary::indicated_by(recording.given_by, recording.representative_kind),
            "dpv:hasIndicationMethod": method_of(recording.method),
            "dpv:isIndicatedAtTime": recording.obtained_at,
            "dct:valid": format!("{}/{}", recording.valid_from, recording.valid_until),
            "dpv:hasDuration": { "@type": "dpv:UntilTimeDuration", "rdf:value": recording.valid_until },
        })];
        if let Some(withdrawal) = withdrawal {
            use crate::consents::types::WithdrawalReason::ResidentAsked;
            // What the resident did not ask for is revoked by who recorded it, and not withdrawn.
            let (term, by) = if withdrawal.reason == ResidentAsked {
                (state("dpv:ConsentWithdrawn", "sluis:TakenBack"), "dpv:DataSubject".to_owned())
            } else {
                (state("dpv:ConsentRevoked", "sluis:Revoked"), urn(&self.consent.organisation))
            };
            history.push(json!({ "@type": [term], "dpv:isIndicatedBy": [by], "dpv:isIndicatedAtTime": withdrawal.at }));
        } else if recording.valid_until <= self.now {
            let term = state("dpv:ConsentExpired", "sluis:Expired");
            history.push(json!({ "@type": [term], "dpv:isIndicatedAtTime": recording.valid_until }));
        }
        Value::Array(history)
    }
}

fn urn(oin: &Oin) -> String {
    format!("urn:nld:oin:{oin}")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
