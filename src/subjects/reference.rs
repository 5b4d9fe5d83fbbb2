//! How a request says which resident it is about.

use serde::Deserialize;
use zeroize::Zeroize as _;

use super::Bsn;
use super::person::{MatchData, Person};
use crate::lifecycle::Day;
use crate::policy::AgeGroup;
use crate::problem::InvalidParam;

/// A resident by BSN or by the pseudonym that the caller knows, by a match on name, birth date and postcode, or by one of the former together with a
/// match that leads to the same resident from then on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectReference {
    #[serde(default)]
    bsn: Option<String>,
    #[serde(default)]
    pseudonym: Option<String>,
    #[serde(default, rename = "match")]
    matching: Option<MatchData>,
    /// The age group, needed where a consent or release counts.
    #[serde(default)]
    pub age_group: Option<AgeGroup>,
}

impl Drop for SubjectReference {
    fn drop(&mut self) {
        self.bsn.zeroize();
    }
}

impl SubjectReference {
    /// Whether the resident is named by BSN.
    #[must_use]
    pub const fn by_bsn(&self) -> bool {
        self.bsn.is_some()
    }

    /// Whether the resident is named by a match.
    #[must_use]
    pub const fn by_match(&self) -> bool {
        self.matching.is_some()
    }

    /// The pseudonym by which the caller named the resident, where it did.
    #[must_use]
    pub fn pseudonym(&self) -> Option<&str> {
        self.pseudonym.as_deref()
    }

    /// Everything that is wrong with it by itself.
    #[must_use]
    pub fn mistakes(&self, today: Day) -> Vec<InvalidParam> {
        self.parse(today).err().unwrap_or_default()
    }

    /// What it says, parsed; or everything that is wrong with it.
    pub(super) fn parse(&self, today: Day) -> Result<(Option<Bsn>, Option<Person>), Vec<InvalidParam>> {
        let mut mistakes = Vec::new();
        if self.bsn.is_some() && self.pseudonym.is_some() {
            mistakes.push(InvalidParam::new("subject", "alternatives", "expected bsn or pseudonym, not both"));
        }
        let bsn = self.bsn.as_deref().map(str::parse::<Bsn>).transpose().unwrap_or_else(|_| {
            mistakes.push(InvalidParam::new("subject.bsn", "bsn", "expected nine digits that pass the eleven-test"));
            None
        });
        let person = match self.matching.as_ref().map(|data| data.person(today)).transpose() {
            Ok(person) => person,
            Err(wrong) => {
                mistakes.extend(wrong);
                None
            }
        };
        let age = person.as_ref().map(|person| person.age_group(today));
        if self.age_group.is_some_and(|stated| age.is_some_and(|age| age != stated)) {
            let reason = "expected the age group that follows from match.birthDate today";
            mistakes.push(InvalidParam::new("subject.ageGroup", "contradicted", reason));
        }
        if mistakes.is_empty() { Ok((bsn, person)) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wrong(subject: Value) -> Vec<(String, String)> {
        let reference = SubjectReference::deserialize(subject).unwrap();
        let mistakes = reference.mistakes("2026-11-22".parse().unwrap());
        mistakes.into_iter().map(|mistake| (mistake.name, mistake.code.into_owned())).collect()
    }

    fn noor() -> Value {
        json!({ "givenName": "Noor", "familyName": "van der Berg", "birthDate": "2012-03-01", "postalCode": "2242 AB" })
    }

    #[test]
    fn an_age_group_that_the_birth_date_contradicts_is_wrong() {
        assert_eq!(wrong(json!({ "match": noor(), "ageGroup": "12-15" })), []);
        assert_eq!(wrong(json!({ "match": noor() })), []);
        for other in ["under-12", "16-17", "18-plus"] {
            let said = wrong(json!({ "bsn": "999990019", "match": noor(), "ageGroup": other }));
            assert_eq!(said, [("subject.ageGroup".to_owned(), "contradicted".to_owned())], "{other}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut born_tomorrow = noor();
        born_tomorrow["birthDate"] = json!("2026-11-23");
        let said =
            wrong(json!({ "bsn": "999990018", "pseudonym": "p", "match": born_tomorrow, "ageGroup": "under-12" }));
        let names: Vec<_> = said.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["subject", "subject.bsn", "subject.match.birthDate"]);
    }
}
