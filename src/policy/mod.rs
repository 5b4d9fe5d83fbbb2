//! Decides, per section, what may cross: the rows of the covenant as Cedar permits, every other rule as a Cedar forbid.
//!
//! The way of a question: [`Request`] → `facts` (match the records of consent, count life domains) → per section the answer
//! that is remembered for these facts (`memo`), or one Cedar request to the rules that can apply (`reach`, `index`, `rules`)
//! → [`Decision`] → [`Permit`] → [`minimise`].
//!
//! Invariants: deny is the default and an evaluation error is a denial; content passes only through [`minimise`], which
//! asks for a [`Permit`], which only a decision can make; nothing but this folder knows Cedar.

pub mod cases;
pub mod codes;
pub mod commands;
mod decision;
mod engine;
pub mod explain;
mod facts;
mod generate;
mod index;
mod kept;
mod load;
mod memo;
mod minimise;
mod paper;
pub mod prove;
mod reach;
mod registry;
pub mod request;
mod rules;
mod vocabulary;

#[cfg(test)]
mod fail_closed_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod remedy_tests;
#[cfg(test)]
mod sameness;
#[cfg(test)]
mod tests;

pub use codes::Code;
pub use decision::{Decision, ENCRYPT_AGAIN, Effect, OnWithheld, Outcome, Permit, Remedy, SectionDecision};
pub use engine::Engine;
pub use facts::valid_giver;
pub use kept::{KeptFacts, Terms};
pub use minimise::{Categorised, minimise};
pub use paper::{InvariantText, Paper, PermitText, StatutoryGround};
pub use registry::{HELD_ELSEWHERE, HeldElsewhere, NUMBERED, NumberedRule, RuleText};
pub use request::{
    Action, AgeGroup, BreakGlass, CaseFacts, ConsentRecord, GivenBy, Objection, RecordKind, ReferralTerms,
    RepresentativeKind, Request, RightsFacts, Standing, SubjectFacts,
};
