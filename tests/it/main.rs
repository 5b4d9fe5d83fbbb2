//! The one integration test binary; one module per feature.

mod certs_example;
mod contract;
