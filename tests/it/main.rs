//! The one integration test binary; one module per feature. Real parts: TLS, tokens, a database file or a PostgreSQL server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a test that cannot go on has failed; counts that come as floats are whole"
)]

mod access_reports;
mod accession;
mod administration;
mod anchors;
mod app;
mod architecture;
mod authorization;
mod capacity;
mod case_bounds;
mod case_direction;
mod case_rights;
mod case_size;
mod cases;
mod certs_example;
mod chain;
mod consent_receipts;
mod consistency;
mod contract;
mod correction_copies;
mod corrections;
mod crash;
mod credentials;
mod delivery;
mod emergencies;
mod encryption;
mod entered_in_error;
mod erasures;
mod flat;
mod handoffs;
mod histories;
mod incidents;
mod informing;
mod kept;
mod limits;
mod malformed;
mod matching;
mod objections;
mod officer;
mod operations;
mod plans;
mod process;
mod proofs;
mod protocol;
mod protocol_matrix;
mod protocol_records;
mod referrals;
mod register;
mod restrictions;
mod retention;
mod scenarios;
mod section_commands;
mod standing;
mod stuck;
mod swap;
mod taken_back;
mod takeover;
mod tamper;
mod traces;
mod unreadable;
mod veto_reports;
mod vetoes;
mod what_if;
mod wire;
mod withdrawal;
mod withdrawal_reports;
