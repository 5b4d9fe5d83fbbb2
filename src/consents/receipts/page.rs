//! The receipt as a page in Dutch that a resident can be handed.

use askama::Template;

use super::document::Source;
use crate::access_reports::{self, STYLE, content_security_policy, moment};
use crate::consents::types::Consent;
use crate::covenant::{CategoryGroup, Party};
use crate::http::Answer;
use crate::ids::Oin;
use crate::policy::RecordKind;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "consent-receipt/page.html")]
struct View<'a> {
    source: &'a Source<'a>,
    style: &'static str,
    policy: String,
    fingerprint: &'a str,
    /// Who recorded it, then to whom may be given.
    parties: Vec<Line<'a>>,
    purposes: Vec<String>,
    categories: Vec<String>,
    rights: Vec<(&'static str, String)>,
}

/// A party and where one turns to.
struct Line<'a> {
    name: String,
    party: Option<&'a Party>,
}

/// The page.
pub(super) fn of(source: &Source<'_>, fingerprint: &str) -> Result<Answer, Problem> {
    let (consent, covenant) = (source.consent, source.covenant);
    let line = |oin: &Oin| {
        let party = covenant.party_by_oin(oin);
        Line { name: party.map_or_else(|| oin.to_string(), |party| party.name.clone()), party }
    };
    let recording = &consent.recording;
    let purposes = recording.purposes.iter().map(|code| {
        let purpose = covenant.purpose(code.as_str());
        purpose.map_or_else(|| code.to_string(), |purpose| purpose.label.nl.clone())
    });
    let categories = recording.categories.iter().map(|code| match covenant.category(code.as_str()) {
        Some(category) if category.is(CategoryGroup::Special) => {
            format!("{} (bijzonder persoonsgegeven, art. 9 AVG)", category.label.nl)
        }
        Some(category) => category.label.nl.clone(),
        None => code.to_string(),
    });
    let rights = access_reports::rights().into_iter().map(|right| (right.article, right.text.nl)).collect();
    let view = View {
        source,
        style: STYLE,
        policy: content_security_policy().replace("; frame-ancestors 'none'", ""),
        fingerprint,
        parties: [&consent.organisation].into_iter().chain(&recording.recipients).map(line).collect(),
        purposes: purposes.collect(),
        categories: categories.collect(),
        rights,
    };
    let html = view.render().map_err(|error| Problem::internal(&error.to_string()))?;
    let answer = Answer::bytes("text/html; charset=utf-8", html.into_bytes());
    Ok(answer.header("content-security-policy", content_security_policy()))
}

impl View<'_> {
    const fn consent(&self) -> &Consent {
        self.source.consent
    }

    fn kind(&self) -> &'static str {
        access_reports::kind_of(self.consent().recording.kind)
    }

    /// Whether who received something under it is asked whether it was deleted: of a consent, for without it there was no basis.
    fn is_confirmed(&self) -> bool {
        self.consent().recording.kind == RecordKind::Consent
    }

    /// What it is, and what it is not.
    fn meaning(&self) -> &'static str {
        match self.consent().recording.kind {
            RecordKind::Consent => {
                "U heeft toestemming gegeven om gegevens over u te delen, alleen zoals hieronder staat. Zonder toestemming wordt op deze grond niets gedeeld."
            }
            RecordKind::SecrecyRelease => {
                "U heeft een hulpverlener vrijgelaten om over u te spreken ondanks het beroepsgeheim. Dit is geen toestemming volgens de AVG: om gegevens te delen is ook een grondslag nodig."
            }
            RecordKind::CareAgreement => {
                "U bent het eens met de hulp. Dit is geen toestemming volgens de AVG: hiermee worden op zichzelf geen gegevens gedeeld."
            }
        }
    }

    fn given_by(&self) -> String {
        let recording = &self.consent().recording;
        let who = access_reports::giver_of(recording.given_by);
        match recording.representative_kind {
            Some(kind) => format!("{who} ({})", access_reports::representative(kind)),
            None => who.to_owned(),
        }
    }

    fn given(&self) -> String {
        let recording = &self.consent().recording;
        let method = access_reports::method_of(recording.method);
        format!("{}, {method}, op {}", self.given_by(), moment(recording.obtained_at))
    }

    fn valid(&self) -> String {
        let recording = &self.consent().recording;
        format!("van {} tot {}", moment(recording.valid_from), moment(recording.valid_until))
    }

    fn state(&self) -> String {
        match (&self.consent().withdrawal, self.consent().status(self.source.now)) {
            (Some(withdrawal), _) => format!("ingetrokken op {}", moment(withdrawal.at)),
            (None, "expired") => "verlopen".to_owned(),
            (None, "upcoming") => "geldt nog niet".to_owned(),
            (None, _) => "geldt nu".to_owned(),
        }
    }

    fn at(at: crate::clock::Timestamp) -> String {
        moment(at)
    }

    fn recorder(&self) -> &str {
        self.parties.first().map_or("", |line| line.name.as_str())
    }
}
