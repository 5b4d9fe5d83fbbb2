//! Sluis relays case referrals between organisations under a signed covenant: it decides what may cross, relays exactly
//! that, and proves afterwards what happened. `ARCHITECTURE.md` is the map of this crate.

pub mod clock;
pub mod demo;
pub mod ids;
