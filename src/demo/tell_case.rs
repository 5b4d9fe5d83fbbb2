//! Tells the steps of the closed chain, of cases and of the monitor.
//!
//! Invariant: as in [`super::tell`], what was seen is read from the answer.

use serde_json::Value;

use super::expect::shows_a_number;
use super::narration::Line;
use super::scenario::{Action, Onward, Saying};
use super::tell::{Teller, text};
use super::vocabulary::{confirmation, reason, role};
use super::words::Party;

impl Teller<'_> {
    /// What an organisation says became of what it had received.
    pub(super) fn confirms(self, actor: &str, saying: &Saying) -> String {
        if saying.outcome == "deleted" {
            return self.pick(
                format!("{actor} bevestigt: wat is ontvangen, is gewist"),
                format!("{actor} confirms: what was received is deleted"),
            );
        }
        let basis = saying.basis.as_deref().map_or("?", |basis| self.words.basis(basis, self.language));
        self.pick(
            format!("{actor} bevestigt: wat is ontvangen, wordt bewaard op grond van {basis}"),
            format!("{actor} confirms: what was received is kept under {basis}"),
        )
    }

    /// Who has confirmed and who has not.
    pub(super) fn confirmations(self, page: &Value) -> String {
        let items = page.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if items.is_empty() {
            return self
                .pick("niemand hoeft iets te bevestigen".to_owned(), "nobody has anything to confirm".to_owned());
        }
        let line = |item: &Value| {
            let oin = text(item, "organisation");
            let party = self.words.party_of(oin).map_or(oin, Party::short_name);
            format!("{party}: {}", confirmation(text(item, "status"), self.language))
        };
        items.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// A step in a referral besides the updates of its status; none for every other step.
    pub(super) fn chain(self, actor: &str, action: &Action) -> Option<String> {
        let why = |code: &str| reason(code, self.language).to_owned();
        Some(match action {
            Action::Supplement(supplement) => {
                let what = self.words.categories(supplement.sections.keys().map(String::as_str), self.language);
                self.pick(format!("{actor} vult aan: {what}"), format!("{actor} supplements: {what}"))
            }
            Action::Extend(_) => self.pick(
                format!("{actor} meldt: de verwijzing is nog in onderzoek, de beslissing komt later"),
                format!("{actor} reports: the referral is under examination, the decision comes later"),
            ),
            Action::AskCancellation(asked) => {
                let why = why(&asked.reason);
                self.pick(
                    format!("{actor} vraagt om met het begonnen werk te stoppen ({why})"),
                    format!("{actor} asks to call off the work that has begun ({why})"),
                )
            }
            Action::RefuseCancellation(asked) => {
                let why = why(&asked.reason);
                self.pick(format!("{actor} gaat door ({why})"), format!("{actor} goes on with the work ({why})"))
            }
            Action::Resolve(resolution) => {
                let outcome = why(&resolution.outcome);
                self.pick(
                    format!("{actor} sluit de keten af met een uitkomst ({outcome})"),
                    format!("{actor} ends the chain with an outcome ({outcome})"),
                )
            }
            Action::StepUpReferral(_) => self.pick(
                format!("{actor} draagt de verwijzing over aan de gemeente"),
                format!("{actor} hands the referral to the municipality"),
            ),
            Action::ReferOn(onward) => self.onward(onward, |to, what| {
                self.pick(
                    format!("{actor} verwijst in één keer door naar {to}{what}"),
                    format!("{actor} refers on to {to}{what}, in one call"),
                )
            }),
            Action::Reassign(onward) => self.onward(onward, |to, what| {
                self.pick(
                    format!("{actor} geeft de verwijzing aan {to}{what}, in plaats van wie niet handelt"),
                    format!("{actor} gives the referral to {to}{what}, in the place of who does not act"),
                )
            }),
            _ => return None,
        })
    }

    fn onward(self, onward: &Onward, sentence: impl Fn(&str, &str) -> String) -> String {
        let to = self.words.parties([onward.to.as_str()], self.language);
        let purpose = onward.purpose.as_ref().map(|purpose| self.words.purpose(purpose, self.language));
        let what = purpose.map(|purpose| self.pick(format!(" voor {purpose}"), format!(" for {purpose}")));
        sentence(&to, &what.unwrap_or_default())
    }

    /// A step in a case, or a look at the monitor; none for every other step.
    pub(super) fn case(self, actor: &str, action: &Action) -> Option<String> {
        let name = |slug: &String| self.words.parties([slug.as_str()], self.language);
        let of_party = |slug: &String, nl: &str, en: &str| {
            let party = name(slug);
            self.pick(format!("{actor} {nl} {party}"), format!("{actor} {en} {party}"))
        };
        let plain = |nl: &str, en: &str| self.pick(format!("{actor} {nl}"), format!("{actor} {en}"));
        Some(match action {
            Action::ReadCase(_) => plain("leest de casus", "reads the case"),
            Action::ReadParticipants(_) => {
                plain("leest wie aan de casus deelneemt", "reads who takes part in the case")
            }
            Action::OfferCoordination(of) => {
                of_party(&of.party, "vraagt als casusregisseur:", "asks to coordinate the case:")
            }
            Action::AcceptCoordination(_) => plain("neemt de casusregie aan", "takes on the coordination of the case"),
            Action::DeclineCoordination(_) => plain("slaat de casusregie af", "declines the coordination of the case"),
            Action::RevokeOffer(_) => {
                plain("neemt het aanbod van de casusregie terug", "takes the offer to coordinate back")
            }
            Action::Invite(of) => of_party(&of.party, "nodigt in de casus uit:", "invites to the case:"),
            Action::RemoveParticipant(of) => {
                of_party(&of.party, "beëindigt de deelname op uitnodiging van", "ends the taking part by invitation of")
            }
            Action::CallMeeting(meeting) => {
                let parties = self.words.parties(meeting.parties.iter().map(String::as_str), self.language);
                self.pick(
                    format!("{actor} roept een multidisciplinair overleg bijeen met {parties}"),
                    format!("{actor} calls a multi-disciplinary meeting with {parties}"),
                )
            }
            Action::StepUpCase(step) => {
                let why = reason(&step.reason, self.language);
                self.pick(format!("{actor} schaalt de casus op ({why})"), format!("{actor} steps the case up ({why})"))
            }
            Action::RefuseStepUp(_) => {
                plain("volgt het voorstel om op te schalen niet", "does not follow the proposal to step up")
            }
            Action::StepDownCase(_) => plain("schaalt de casus af", "steps the case down"),
            Action::CloseCase(_) => plain("sluit de casus", "closes the case"),
            Action::ReadOverdue => {
                plain("bekijkt welke overdrachten te laat zijn", "looks at which hand-overs are overdue")
            }
            Action::ReadFigures => {
                plain("bekijkt de cijfers van de laatste periode", "looks at the figures of the last period")
            }
            _ => return None,
        })
    }

    /// Where a case stands, as this reader sees it.
    pub(super) fn case_standing(self, case: &Value) -> String {
        let open = text(case, "status") == "open";
        let state = if open { self.language.pick("open", "open") } else { self.language.pick("gesloten", "closed") };
        let roles: Vec<&str> =
            case.get("roles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let roles: Vec<&str> = roles.into_iter().map(|code| role(code, self.language)).collect();
        let roles = roles.join(", ");
        let mut line =
            self.pick(format!("casus: {state}; de lezer is {roles}"), format!("case: {state}; the reader is {roles}"));
        // Whoever is only invited sees no more than that.
        if case.get("coordinator").is_some() {
            let coordinator = self.party(text(case, "coordinator"));
            line.push_str(
                &self.pick(format!("; casusregisseur is {coordinator}"), format!("; coordinated by {coordinator}")),
            );
        }
        if case.get("steppedUp").is_some_and(Value::is_object) {
            line.push_str(self.language.pick("; opgeschaald", "; stepped up"));
        }
        if case.get("stepUpProposal").is_some_and(Value::is_object) {
            line.push_str(
                self.language.pick("; er ligt een voorstel om op te schalen", "; a proposal to step up waits"),
            );
        }
        line
    }

    /// Who is seen to take part.
    pub(super) fn participants(self, page: &Value) -> String {
        let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
        let parties: Vec<String> = items.map(|item| self.party(text(item, "organisation"))).collect();
        let parties = parties.join(", ");
        self.pick(format!("te zien zijn: {parties}"), format!("to be seen are: {parties}"))
    }

    /// The lines of the monitor.
    pub(super) fn overdue(self, page: &Value) -> Vec<Line> {
        let items = page.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if items.is_empty() {
            return vec![Line::Seen(self.language.pick("er is niets te laat", "nothing is overdue").to_owned())];
        }
        let line = |item: &Value| {
            let (from, to) = (self.party(text(item, "sender")), self.party(text(item, "recipient")));
            let days = item.get("workingDaysLate").and_then(Value::as_u64).unwrap_or(0);
            Line::Seen(self.pick(
                format!("{from} → {to}: {days} werkdagen te laat (geen inwoner, geen doel)"),
                format!("{from} → {to}: {days} working days late (no resident, no purpose)"),
            ))
        };
        items.iter().map(line).collect()
    }

    /// Whether the monitor's figures show any number.
    pub(super) fn figures(self, figures: &Value) -> Line {
        Line::Seen(if shows_a_number(figures) {
            self.language.pick("er zijn getallen te zien", "numbers are shown").to_owned()
        } else {
            self.language
                .pick("geen getal is te zien: het zijn er te weinig", "no number is shown: there are too few")
                .to_owned()
        })
    }

    fn party(self, oin: &str) -> String {
        self.words.party_of(oin).map_or(oin, Party::short_name).to_owned()
    }
}
