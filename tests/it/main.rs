//! The one integration test binary; one module per feature. Real parts: TLS, tokens, a database file or a PostgreSQL server.

mod administration;
mod anchors;
mod app;
mod authorization;
mod certs_example;
mod contract;
mod credentials;
mod protocol;
mod referrals;
mod scenarios;
mod wire;
