//! Whether two statements of a resident's age group can both be true. Pure.

use crate::clock::Timestamp;
use crate::policy::AgeGroup;

/// Youngest age in the group, and the first age above it; in years.
const fn years(group: AgeGroup) -> (i64, i64) {
    match group {
        AgeGroup::Under12 => (0, 12),
        AgeGroup::From12To15 => (12, 16),
        AgeGroup::From16To17 => (16, 18),
        AgeGroup::Adult => (18, 130),
    }
}

/// The group of somebody of so many years.
pub(super) const fn group_of(years: i32) -> AgeGroup {
    match years {
        ..12 => AgeGroup::Under12,
        12..16 => AgeGroup::From12To15,
        16..18 => AgeGroup::From16To17,
        18.. => AgeGroup::Adult,
    }
}

const YEAR: i64 = 31_556_952_000_000;

/// Whether `now_stated` at `now` contradicts `earlier` at `stated_at` by more than the passing of time: somebody who was in
/// the earlier group then cannot be in the other one now.
#[must_use]
pub fn contradicts(earlier: AgeGroup, stated_at: Timestamp, now_stated: AgeGroup, now: Timestamp) -> bool {
    let passed = now.as_micros().saturating_sub(stated_at.as_micros()).max(0);
    let (youngest, above) = years(earlier);
    let (wanted_youngest, wanted_above) = years(now_stated);
    // Possible ages now, in microseconds: at least youngest + passed, and less than above + passed. A day of grace lets a
    // birthday fall between two statements.
    let (least, limit) = (youngest * YEAR + passed, above * YEAR + passed + YEAR / 365);
    limit <= wanted_youngest * YEAR || least >= wanted_above * YEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp::from_micros(0);

    fn after_years(years: i64) -> Timestamp {
        Timestamp::from_micros(years * YEAR)
    }

    #[test]
    fn children_grow_up_but_nobody_grows_younger() {
        use AgeGroup::{Adult, From12To15, From16To17, Under12};
        assert!(!contradicts(Under12, THEN, Under12, THEN));
        assert!(!contradicts(Under12, THEN, From12To15, after_years(1)));
        assert!(contradicts(Under12, THEN, From16To17, after_years(1)));
        assert!(!contradicts(Under12, THEN, From16To17, after_years(5)));
        assert!(contradicts(From12To15, THEN, Under12, after_years(1)));
        assert!(contradicts(Adult, THEN, From16To17, after_years(1)));
        assert!(contradicts(From12To15, THEN, Adult, THEN));
        assert!(contradicts(Under12, THEN, Under12, after_years(12)));
        assert!(!contradicts(From16To17, THEN, Adult, THEN), "the birthday may be today");
    }
}
