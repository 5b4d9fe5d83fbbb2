//! The whole system on one machine with nothing to prepare: gateways, partner systems, and the scenarios played through
//! the public API by real clients.
//!
//! Invariants: the scenarios do nothing that a partner could not do over the network, except what no API can do (time
//! passing, a partner's system or the gateway itself failing); the tests play them with the same runner.

pub mod client;
pub mod deeds;
pub mod emergency;
mod envelopes;
pub mod evening;
pub mod expect;
pub mod folder;
#[cfg(test)]
mod foretold;
pub mod founding;
pub mod governance;
pub mod house;
pub mod jws;
pub mod large;
pub mod load;
pub mod narration;
pub mod partner;
pub mod policies;
pub mod requests;
pub mod runner;
pub mod safety_veto;
pub mod scenario;
pub mod scenarios;
pub mod sense;
pub mod tell;
pub mod tell_case;
pub mod tell_world;
pub mod then;
pub mod vocabulary;
pub mod words;
pub mod world;
