//! Tells what happens around the referrals: events, time, parties that come and go, the covenant, and credentials.
//!
//! Invariant: as in [`super::tell`], names and words are those of the covenant.

use super::scenario::{Action, Channel, Credential, Passage};
use super::tell::Teller;

impl Teller<'_> {
    pub(super) fn receives(self, actor: &str, by: Channel) -> String {
        match by {
            Channel::Pull => {
                self.pick(format!("{actor} haalt de berichten op"), format!("{actor} asks for its events"))
            }
            Channel::Webhook => self.pick(
                format!("bij het systeem van {actor} komen berichten binnen"),
                format!("events arrive at the system of {actor}"),
            ),
        }
    }

    pub(super) fn passes(self, passage: &Passage) -> String {
        let Passage { days, hours, past_deadline_of } = passage;
        let deadline = self.language.pick("de termijn van de verwijzing verstrijkt", "the referral's deadline passes");
        let time = match (days, hours) {
            (0, 0) => return deadline.to_owned(),
            (0, hours) => self.pick(format!("er gaan {hours} uur voorbij"), format!("{hours} hours pass")),
            (days, 0) => self.pick(format!("er gaan {days} dagen voorbij"), format!("{days} days pass")),
            _ => self.pick(
                format!("er gaan {days} dagen en {hours} uur voorbij"),
                format!("{days} days and {hours} hours pass"),
            ),
        };
        if past_deadline_of.is_none() {
            return time;
        }
        self.pick(format!("{deadline}, en daarna: {time}"), format!("{deadline}, and then {time}"))
    }

    pub(super) fn governs(self, actor: &str, action: &Action) -> String {
        let name = |slug: &String| self.words.parties([slug.as_str()], self.language);
        match action {
            Action::Suspend(of) => {
                let party = name(&of.organisation);
                self.pick(format!("{actor} schorst {party}"), format!("{actor} suspends {party}"))
            }
            Action::Resume(of) => {
                let party = name(&of.organisation);
                self.pick(format!("{actor} heft de schorsing van {party} op"), format!("{actor} resumes {party}"))
            }
            Action::RegisterOrganisation(of) => {
                let party = name(&of.organisation);
                self.pick(
                    format!("{actor} schrijft {party} in en geeft een certificaat uit"),
                    format!("{actor} registers {party} and issues its certificate"),
                )
            }
            Action::PublishCovenant(publication) => {
                let (version, days) = (&publication.version, publication.in_force_after_days);
                self.pick(
                    format!("{actor} publiceert versie {version} van het convenant; die geldt over {days} dagen"),
                    format!("{actor} publishes version {version} of the covenant, in force after {days} days"),
                )
            }
            Action::SignCovenant(of) => {
                let only = match (&of.purpose, &of.case) {
                    (Some(purpose), _) => {
                        let purpose = self.words.purpose(purpose, self.language);
                        self.pick(format!(", alleen voor {purpose}"), format!(", for {purpose} only"))
                    }
                    (None, Some(_)) => {
                        self.language.pick(", alleen voor deze casus", ", for this case only").to_owned()
                    }
                    (None, None) => String::new(),
                };
                self.pick(
                    format!("{actor} ondertekent het convenant met de sleutel van zijn certificaat{only}"),
                    format!("{actor} signs the covenant with the key of its certificate{only}"),
                )
            }
            _ => actor.to_owned(),
        }
    }

    pub(super) fn credential(self, credential: &Credential) -> String {
        match credential {
            Credential::Own => String::new(),
            Credential::NoToken => self.language.pick(", zonder token", ", without a token").to_owned(),
            Credential::NoCertificate => {
                self.language.pick(", zonder certificaat", ", without a certificate").to_owned()
            }
            Credential::TokenOf(party) => {
                let party = self.words.parties([party.as_str()], self.language);
                self.pick(format!(", met een token van {party}"), format!(", with a token of {party}"))
            }
            Credential::Scope(scope) => {
                self.pick(format!(", met een token alleen voor {scope}"), format!(", with a token for {scope} only"))
            }
        }
    }
}
