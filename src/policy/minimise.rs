//! The only way of content through the gateway: what the permit names goes on, everything else is dropped here.
//!
//! Invariant: the result holds no section whose category the permit does not name.

use super::decision::Permit;
use crate::covenant::CategoryCode;

/// Something that belongs to one data category.
pub trait Categorised {
    /// The category.
    fn category(&self) -> &CategoryCode;
}

/// The sections that may cross, in their order.
#[must_use]
pub fn minimise<S: Categorised>(permit: &Permit, sections: Vec<S>) -> Vec<S> {
    sections.into_iter().filter(|section| permit.categories().contains(section.category())).collect()
}
