//! Cases (casussen): the referrals of one household's plan, who coordinates it, who takes part, and when the municipality directs it.
//!
//! [`crate::lifecycle::case`] has the table of who may do what; here it is read, stored and told. `place` finds the case of a new referral,
//! `aftermath` is what a step in a referral means for its case, `step` takes the steps that are asked for, `sweep` those of the clock,
//! `accession` is how somebody who is invited signs for one case only.
//! Invariants: a case is known to each reader by an alias of its own, and to nobody who has nothing to do with it; whatever changes what
//! decisions may rest on raises the revision of the case in the same transaction; a referral says nothing of its case to a recipient that has not
//! taken it on; a case is about the residents of its own referrals, and opens no way for anybody else.

mod accession;
mod aftermath;
mod change;
pub mod http;
mod news;
mod place;
mod removed;
mod step;
mod store;
mod sweep;
mod types;
mod view;

pub use accession::{Invitation, OwnSignature, signatures, signed_for, tie};
pub use aftermath::Aftermath;
pub use place::{Entry, Place};
pub use removed::{over, remove};
pub use store::{aliases, facts, load};
pub use sweep::{Swept, sweep};
pub use types::{Kept, Rules, Whole, rests_on_case};
