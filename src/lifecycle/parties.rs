//! Who may do what in a referral: what organisations are towards it, and what is possible while one of them cannot act.
//!
//! Pure. Invariants: whoever can act is never held up by one that cannot; nothing but bare steps crosses to or from a party that cannot; nobody
//! takes a step on what was so and is no longer.

use super::Status;
use super::case;
use super::referral::{Command, ENDED, Happened, RUNNING, Refusal, Role, State, Taken, step};
use super::terms::Terms;
use crate::clock::Timestamp;

/// What an organisation is, wherever the referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::struct_excessive_bools, reason = "an organisation may be any of these at once")]
pub struct Towards {
    /// Who handed over.
    pub sender: bool,
    /// To whom.
    pub recipient: bool,
    /// The municipality.
    pub municipality: bool,
    /// Who coordinates its case.
    pub coordinator: bool,
    /// Who directs its case at this moment.
    pub director: bool,
}

impl Towards {
    /// With what it is in the case of the referral.
    #[must_use]
    pub fn in_case(self, roles: &[case::Role]) -> Self {
        let is = |role| roles.contains(&role);
        Self { coordinator: is(case::Role::Coordinator), director: is(case::Role::ProcessDirector), ..self }
    }
}

/// What may cross when a party takes a step (rule 2 of the privacy protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// What the covenant permits.
    Everything,
    /// The step itself: the other party finds it when it is back.
    BareSteps,
    /// Nothing.
    Nothing,
}

/// Which of the parties cannot act in this referral: suspended, retired, or without a signature under the covenant in force that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Unable {
    /// The sender.
    pub sender: bool,
    /// The recipient.
    pub recipient: bool,
}

impl Unable {
    /// What may cross when this party takes a step; `None` is whoever is no party to it, and gives nothing.
    #[must_use]
    pub const fn lets(self, party: Option<Role>) -> Crossing {
        let (own, other) = match party {
            Some(Role::Sender) => (self.sender, self.recipient),
            Some(Role::Recipient) => (self.recipient, self.sender),
            _ => return Crossing::BareSteps,
        };
        match (own, other) {
            (true, _) => Crossing::Nothing,
            (false, true) => Crossing::BareSteps,
            (false, false) => Crossing::Everything,
        }
    }
}

impl State {
    /// As what an organisation may take steps now. Who is no party has a role only while it holds the referral, or while that is stuck.
    #[must_use]
    pub fn roles(&self, who: Towards, now: Timestamp) -> Vec<Role> {
        let is_party = who.sender || who.recipient;
        let is_stuck = self.is_stuck(now);
        let holds = match self.holder() {
            Some(Role::Sender) => who.sender,
            Some(Role::Recipient) => who.recipient,
            Some(Role::Municipality) => who.municipality,
            Some(Role::Coordinator | Role::Gateway) | None => false,
        };
        let as_municipality = (who.municipality && (holds || (is_stuck && is_party))) || (is_stuck && who.director);
        [
            (Role::Sender, who.sender),
            (Role::Recipient, who.recipient),
            (Role::Coordinator, is_stuck && who.coordinator),
            (Role::Municipality, as_municipality),
        ]
        .into_iter()
        .filter_map(|(role, is)| is.then_some(role))
        .collect()
    }

    /// Whether the gateway notes by itself that these parties cannot act: its holder is one of them, or one that could not act can again. What
    /// concerns the other party is noted with the next step.
    #[must_use]
    pub fn is_to_be_noted(&self, unable: Unable) -> bool {
        let holder_cannot = match self.holder() {
            None => return false,
            Some(Role::Sender) => unable.sender,
            Some(Role::Recipient) => unable.recipient,
            Some(Role::Municipality | Role::Coordinator | Role::Gateway) => false,
        };
        let is_back = (self.unable.sender && !unable.sender) || (self.unable.recipient && !unable.recipient);
        holder_cannot || is_back
    }
}

/// A step of an organisation, with what the gateway had to note before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// That parties cannot act, or can again, where that was not known of the referral yet.
    pub noted: Option<Taken>,
    /// The step itself.
    pub taken: Taken,
}

impl Moved {
    /// Takes a step between parties of which these cannot act. It must be possible as the referral stands, and as it stands once that is noted.
    ///
    /// # Errors
    /// As [`step`].
    pub fn of(
        state: &State,
        by: &[Role],
        command: &Command,
        unable: Unable,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Self::over(state, by, command, unable, |state, by, command| step(state, by, command, terms, now))
    }

    /// The same over a table that may be another than the real one.
    pub(super) fn over(
        state: &State,
        by: &[Role],
        command: &Command,
        unable: Unable,
        take: impl Fn(&State, &[Role], &Command) -> Result<Taken, Refusal>,
    ) -> Result<Self, Refusal> {
        let taken = take(state, by, command)?;
        if unable == state.unable {
            return Ok(Self { noted: None, taken });
        }
        let noted = take(state, &[Role::Gateway], &Command::Standing(unable))?;
        let taken = take(&noted.state, by, command)?;
        Ok(Self { noted: Some(noted), taken })
    }

    /// Where it stands afterwards, and all that happened.
    #[must_use]
    pub fn as_one(&self) -> Taken {
        let noted = self.noted.iter().flat_map(|noted| &noted.happened);
        let happened: Vec<Happened> = noted.chain(&self.taken.happened).copied().collect();
        Taken { happened, ..self.taken.clone() }
    }
}

/// Whether its parties do not get a referral further: then whoever coordinates its case, or the municipality, may see to it that somebody
/// does. Its recipient cannot act, or two deadlines in a row were missed; after an end without help the latter, as long as another than the
/// municipality holds it.
#[must_use]
pub fn is_stuck(status: Status, unable: Unable, chain_is_open: bool, missed: u32) -> bool {
    if RUNNING.contains(&status) {
        return unable.recipient || missed >= 2;
    }
    let at_municipality = unable.sender && unable.recipient;
    ENDED.contains(&status) && chain_is_open && missed >= 2 && !at_municipality
}

#[cfg(test)]
#[path = "parties_tests.rs"]
mod tests;
