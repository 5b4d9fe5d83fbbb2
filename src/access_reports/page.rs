//! The report as a page in Dutch that needs nothing else: no script, no image, no font, nothing from elsewhere; readable on paper.
//!
//! Invariant: it shows what the JSON has, in the same order; every text is escaped.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::types::{ConfirmationLine, EmergencyLine, Flow, Involved, Named, Received, RecordingLine, Report};
use super::words;
use crate::http::Answer;
use crate::ids::Oin;
use crate::problem::Problem;

/// The style of pages for residents.
pub const STYLE: &str = include_str!("../../templates/access-report/style.css");

/// What a browser may do with such a page: apply its style, and nothing else.
#[must_use]
pub fn content_security_policy() -> String {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[derive(Template)]
#[template(path = "access-report/page.html")]
struct View<'a> {
    report: &'a Report,
    style: &'static str,
    policy: String,
}

/// A page.
pub(super) struct Page(String);

impl Page {
    /// As an answer, with the policy that its style needs.
    #[allow(clippy::unnecessary_wraps, reason = "as other answers")]
    pub(super) fn answer(self) -> Result<Answer, Problem> {
        let answer = Answer::bytes("text/html; charset=utf-8", self.0.into_bytes());
        Ok(answer.header("content-security-policy", content_security_policy()))
    }
}

/// The page of a report.
pub(super) fn of(report: &Report) -> Result<Page, Problem> {
    // A page cannot forbid in its own words to be framed; the header does.
    let policy = content_security_policy().replace("; frame-ancestors 'none'", "");
    let view = View { report, style: STYLE, policy };
    view.render().map(Page).map_err(|error| Problem::internal(&error.to_string()))
}

impl View<'_> {
    fn name<'b>(&'b self, oin: &'b Oin) -> &'b str {
        self.report.name(oin)
    }

    fn composed(&self) -> String {
        words::moment(self.report.composed_at)
    }

    fn asked_by(&self) -> String {
        let who = words::requester(self.report.requested_by);
        match self.report.representative_kind {
            Some(kind) => format!("{who} ({})", words::representative(kind)),
            None => who.to_owned(),
        }
    }

    fn period(&self) -> String {
        let period = self.report.period;
        match (period.from, period.until) {
            (None, None) => "alles wat er nog is".to_owned(),
            (Some(from), None) => format!("vanaf {}", words::moment(from)),
            (None, Some(until)) => format!("tot {}", words::moment(until)),
            (Some(from), Some(until)) => format!("vanaf {} tot {}", words::moment(from), words::moment(until)),
        }
    }

    fn identified(&self) -> &'static str {
        words::identification(self.report.identification)
    }

    fn scope(&self) -> &'static str {
        words::scope(self.report.scope)
    }

    fn given_by(recorded: &RecordingLine) -> String {
        let who = words::giver_of(recorded.given_by);
        match recorded.representative_kind {
            Some(kind) => format!("{who} ({})", words::representative(kind)),
            None => who.to_owned(),
        }
    }

    fn names(&self, oins: &[Oin]) -> String {
        oins.iter().map(|oin| self.name(oin)).collect::<Vec<_>>().join("; ")
    }

    fn confirmed(one: &ConfirmationLine) -> String {
        let mut text = words::confirmation(one.status).to_owned();
        if let Some(basis) = &one.legal_basis {
            text = format!("{text} ({basis})");
        }
        if let Some(law) = one.retention {
            text = format!("{text}, zo lang als {} zegt", words::retention_law(law));
        }
        match one.confirmed_at {
            Some(at) => format!("{text}, op {}", words::moment(at)),
            None => text,
        }
    }

    /// Labels one after the other.
    fn listed(all: &[Named]) -> String {
        all.iter().map(|one| one.label.nl.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// When, and how often.
    fn when(received: &Received) -> String {
        let first = words::moment(received.first_at);
        match received.times {
            0 | 1 => first,
            times => {
                format!("{times} keer, voor het eerst {first} en voor het laatst {}", words::moment(received.last_at))
            }
        }
    }

    /// Whether to weigh a question or to help.
    fn phase(flow: &Flow) -> &'static str {
        match flow.phase.as_deref() {
            Some("triage") => "om de vraag te wegen",
            Some("case") => "om te helpen",
            _ => "niet bekend",
        }
    }

    fn contact(party: &Involved) -> &str {
        party.contact.as_deref().unwrap_or("staat niet in het convenant")
    }

    fn declared_why(declared: &EmergencyLine) -> String {
        let why = words::emergency(declared.reason);
        match declared.cannot_consent {
            Some(reason) => format!("{why}; toestemming vragen kon niet: {}", words::cannot_consent(reason)),
            None => why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Erased, Identification, Kept, Known, Period, ReportScope, Requester, Words};
    use super::*;
    use crate::clock::Timestamp;

    const EVIL: &str = "<script>alert(1)</script>&\"'<img src=x onerror=y>";

    #[test]
    fn whatever_a_text_holds_it_is_shown_and_not_obeyed() {
        let oin: Oin = "00000099000000001000".parse().unwrap();
        let words = || Words { nl: EVIL.to_owned(), en: EVIL.to_owned() };
        let named = || Named { code: EVIL.to_owned(), label: words() };
        let at = Timestamp::from_micros(0);
        let received = Received {
            first_at: at,
            last_at: at,
            times: 2,
            categories: vec![named()],
            covenant_version: Some(EVIL.to_owned()),
            rules: Vec::new(),
        };
        let flow = Flow {
            referral: None,
            status: None,
            giver: oin.clone(),
            receiver: oin.clone(),
            purpose: Some(named()),
            phase: Some(EVIL.to_owned()),
            legal_basis: None,
            processing_activity: None,
            received: vec![received],
            waiting: vec![named()],
            withheld: None,
            corrections: Vec::new(),
            erased: vec![Erased { at, categories: vec![named()] }],
            break_glass: None,
            based_on: None,
        };
        let party = Involved {
            organisation: oin.clone(),
            name: EVIL.to_owned(),
            complaints: Some(EVIL.to_owned()),
            contact: Some(EVIL.to_owned()),
            data_protection_officer: Some(EVIL.to_owned()),
        };
        let report = Report {
            scope: ReportScope::Own,
            composed_by: oin,
            composed_at: at,
            subject: Known { pseudonym: EVIL.to_owned() },
            identification: Identification::IdentityDocument,
            requested_by: Requester::Resident,
            representative_kind: None,
            period: Period::default(),
            flows: vec![flow],
            recordings: Vec::new(),
            confirmations: Vec::new(),
            emergency_accesses: Vec::new(),
            objections: Vec::new(),
            restrictions: Vec::new(),
            incidents: Vec::new(),
            parties: vec![party],
            contact_point: Some(EVIL.to_owned()),
            retention_days: Kept { content: 1, categories: Vec::new(), referral: 1, consent: 1, event: 1, audit: 1 },
            statements: words::statements(ReportScope::Own),
            rights: words::rights(),
            covenant_version: EVIL.to_owned(),
        };
        let Page(html) = of(&report).unwrap();
        assert!(html.matches("alert(1)").count() >= 12, "it is all there: {html}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }
}
