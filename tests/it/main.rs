//! The one integration test binary; one module per feature. Real parts: TLS, tokens, a database file or a PostgreSQL server.

mod app;
mod certs_example;
mod consistency;
mod contract;
mod crash;
mod delivery;
mod process;
mod referrals;
mod scenarios;
mod tamper;
