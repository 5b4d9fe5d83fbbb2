//! Referrals: the hand-over of a question about a resident from one organisation to another.

pub mod deadlines;
pub mod lifecycle;
