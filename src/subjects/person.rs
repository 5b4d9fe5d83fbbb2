//! Name, birth date and postcode, as a request says them and in the one form that is matched by. Pure.
//!
//! Invariant: nothing of it is printed, stored or repeated in an error; what is parsed of it is wiped when it is dropped.

use std::fmt;

use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::{age, normal};
use crate::lifecycle::Day;
use crate::policy::AgeGroup;
use crate::problem::InvalidParam;

/// What a resident is matched by, as a request says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchData {
    given_name: String,
    family_name: String,
    birth_date: String,
    postal_code: String,
}

impl Drop for MatchData {
    fn drop(&mut self) {
        let Self { given_name, family_name, birth_date, postal_code } = self;
        for text in [given_name, family_name, birth_date, postal_code] {
            text.zeroize();
        }
    }
}

/// The same in one form.
pub(super) struct Person {
    pub(super) given_name: Zeroizing<String>,
    pub(super) family_name: Zeroizing<String>,
    pub(super) birth_date: Zeroizing<String>,
    pub(super) postal_code: Zeroizing<String>,
    born: Day,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(hidden)")
    }
}

/// Nobody is older.
const OLDEST: i32 = 130;

impl MatchData {
    /// The data in the form that is matched by.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn person(&self, today: Day) -> Result<Person, Vec<InvalidParam>> {
        let mut mistakes = Vec::new();
        let mut mistake = |name: &str, code, reason: &str| {
            mistakes.push(InvalidParam::new(format!("subject.match.{name}"), code, reason));
        };
        let given_name = normal::given_name(&self.given_name);
        if given_name.is_empty() || normal::is_initial(&self.given_name) {
            mistake(
                "givenName",
                "pattern",
                "expected the first given name in full, as in the identity document; who has none is not matched",
            );
        }
        let family_name = normal::family_name(&self.family_name);
        if family_name.is_empty() {
            mistake("familyName", "pattern", "expected the family name at birth, in letters");
        }
        let born = self.birth_date.parse::<Day>().ok();
        if !born.is_some_and(|born| (0..OLDEST).contains(&born.years_until(today))) {
            mistake(
                "birthDate",
                "range",
                "expected the whole day of birth of somebody alive; who has none is not matched",
            );
        }
        match born {
            Some(born) if mistakes.is_empty() => Ok(Person {
                given_name,
                family_name,
                birth_date: Zeroizing::new(born.to_string()),
                postal_code: normal::postal_code(&self.postal_code),
                born,
            }),
            _ => Err(mistakes),
        }
    }
}

impl Person {
    /// The age group on this day.
    pub(super) fn age_group(&self, today: Day) -> AgeGroup {
        age::group_of(self.born.years_until(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(given: &str, family: &str, born: &str) -> MatchData {
        MatchData {
            given_name: given.into(),
            family_name: family.into(),
            birth_date: born.into(),
            postal_code: "2242 AB".into(),
        }
    }

    fn today() -> Day {
        "2026-11-22".parse().unwrap()
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_nothing_is_repeated() {
        let mistakes = data("J.", "1234", "2026-11-23").person(today()).unwrap_err();
        let names: Vec<_> = mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
        assert_eq!(names, ["subject.match.givenName", "subject.match.familyName", "subject.match.birthDate"]);
        assert!(mistakes.iter().all(|mistake| !mistake.reason.contains("1234") && !mistake.reason.contains("2026")));
    }

    #[test]
    fn the_age_group_changes_on_the_birthday() {
        for (born, group) in [
            ("2014-11-23", AgeGroup::Under12),
            ("2014-11-22", AgeGroup::From12To15),
            ("2010-11-23", AgeGroup::From12To15),
            ("2010-11-22", AgeGroup::From16To17),
            ("2008-11-23", AgeGroup::From16To17),
            ("2008-11-22", AgeGroup::Adult),
            ("2026-11-22", AgeGroup::Under12),
        ] {
            assert_eq!(data("Jan", "Berg", born).person(today()).unwrap().age_group(today()), group, "{born}");
        }
    }

    #[test]
    fn nobody_is_born_tomorrow_or_130_years_ago() {
        for nobody in ["2026-11-23", "1896-11-22", "2026-02-30", "1980-00-00"] {
            assert!(data("Jan", "Berg", nobody).person(today()).is_err(), "{nobody}");
        }
    }

    #[test]
    fn a_person_is_not_printed() {
        assert_eq!(format!("{:?}", data("Jan", "Berg", "1980-01-31").person(today()).unwrap()), "Person(hidden)");
    }
}
