//! The citizen service number (burgerservicenummer): checked, used once, wiped.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

/// A BSN that passes the eleven-test (Besluit burgerservicenummer, article 1a); wiped when dropped, never printed.
pub struct Bsn(Zeroizing<[u8; 9]>);

/// A text that is no BSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a BSN: nine digits that pass the eleven-test")]
pub struct InvalidBsn;

impl Bsn {
    pub(super) fn digits(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Bsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bsn(hidden)")
    }
}

impl FromStr for Bsn {
    type Err = InvalidBsn;

    fn from_str(text: &str) -> Result<Self, InvalidBsn> {
        let digits: [u8; 9] = text.as_bytes().try_into().map_err(|_| InvalidBsn)?;
        if passes_eleven_test(digits) { Ok(Self(Zeroizing::new(digits))) } else { Err(InvalidBsn) }
    }
}

fn passes_eleven_test(digits: [u8; 9]) -> bool {
    if !digits.iter().all(u8::is_ascii_digit) || digits == *b"000000000" {
        return false;
    }
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
    let sum: i32 = digits.iter().zip(weights).map(|(digit, weight)| i32::from(digit - b'0') * weight).sum();
    sum % 11 == 0
}

/// Whether a text holds a BSN: nine digits on their own that pass the eleven-test, or nothing but such nine digits parted by
/// separators.
#[must_use]
pub fn contains_bsn(text: &str) -> bool {
    let is_bsn = |run: &[u8]| run.try_into().is_ok_and(passes_eleven_test);
    let whole: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'-' | b'.' | b' ')).collect();
    is_bsn(&whole) || text.as_bytes().split(|byte| !byte.is_ascii_digit()).any(is_bsn)
}

/// Whether a text is a BSN or holds one as a word of its own. Nine digits inside of a random word are no BSN.
#[must_use]
pub fn has_bsn_as_word(text: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word.parse::<Bsn>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleven_test_decides() {
        assert!("999990019".parse::<Bsn>().is_ok());
        for wrong in ["999990018", "99999001", "9999900190", "000000000", "99999001a", ""] {
            assert_eq!(wrong.parse::<Bsn>().unwrap_err(), InvalidBsn, "{wrong:?}");
        }
    }

    #[test]
    fn a_bsn_is_a_word_and_not_a_part_of_a_random_one() {
        assert!(has_bsn_as_word("999990019") && has_bsn_as_word("client-999990019/2"));
        assert!(!has_bsn_as_word("0193999990019ab") && !has_bsn_as_word("01932d5a-7c1e-7b3f-9d42-999990019abc"));
    }

    #[test]
    fn a_bsn_in_a_reference_is_noticed() {
        assert!(contains_bsn("dossier-999990019"));
        assert!(contains_bsn("9999-900-19"));
        assert!(!contains_bsn("dossier-2026-00117"));
        assert!(!contains_bsn("1999990019"), "ten digits are another number");
    }

    #[test]
    fn a_bsn_is_not_printed() {
        assert!(!format!("{:?}", "999990019".parse::<Bsn>().unwrap()).contains('9'));
    }
}
