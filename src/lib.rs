//! Sluis relays case referrals between organisations under a signed covenant: it decides what may cross, relays exactly
//! that, and proves afterwards what happened. `ARCHITECTURE.md` is the map of this crate.

pub mod access_reports;
pub mod app;
pub mod audit;
mod background;
pub mod capacity;
pub mod cases;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod config;
pub mod consents;
pub mod covenant;
pub mod demo;
pub mod emergencies;
pub mod encryption;
pub mod erasures;
pub mod handoffs;
pub mod http;
pub mod ids;
pub mod incidents;
pub mod lifecycle;
pub mod monitoring;
pub mod organisations;
pub mod policy;
pub mod problem;
pub mod referrals;
pub mod relay;
pub mod replays;
pub mod retention;
pub mod rights;
pub mod storage;
pub mod subjects;
pub mod telemetry;
pub mod tls;
pub mod vetoes;
