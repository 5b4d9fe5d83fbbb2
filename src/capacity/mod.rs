//! Capacity notices: an organisation announces that it takes nobody in for a purpose until a day, or that people wait.
//!
//! Whoever checks or creates a referral for that purpose to it is told so beside the decision, with the organisations to which the
//! same referral could go; what is sent remains the sender's choice. Invariants: of one organisation and purpose one notice holds at a time,
//! and each one that ever held can still be read; after its last day it holds no more, without anybody doing anything; a notice
//! is about no person and has no free text; every change raises the organisation's revision, so that no gateway tells an old one.

pub mod http;
mod service;
mod store;
pub mod types;

pub use store::{of_parties, others};
pub use types::{Capacity, Notice, Other, alternatives};
