//! The opaque cursor of an event feed.
//!
//! Invariant: a cursor is good only for the feed that it was made for, and what was mistyped is refused
//! instead of silently skipping events. It is not a secret: whoever has the feed has the positions.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Addressee;

/// The form of the cursor, in its first byte, so that it can change.
const VERSION: u8 = 1;

/// The place after an event in one feed; 0 is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(i64);

/// A text that is not a cursor of this feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor that this feed gave out")]
pub struct InvalidCursor;

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// After the event at this position.
    #[must_use]
    pub const fn after(position: i64) -> Self {
        Self(position)
    }

    /// The position of the last event that lies before it.
    #[must_use]
    pub const fn position(self) -> i64 {
        self.0
    }

    /// The text that the reader gets.
    #[must_use]
    pub fn encode(self, feed: &Addressee) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0.to_be_bytes());
        bytes.extend(check_bytes(feed, self.0));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text that a reader brings back.
    ///
    /// # Errors
    /// [`InvalidCursor`] for what this feed did not give out.
    pub fn decode(text: &str, feed: &Addressee) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let [VERSION, rest @ ..] = bytes.as_slice() else { return Err(InvalidCursor) };
        let (position, check) = rest.split_first_chunk::<8>().ok_or(InvalidCursor)?;
        let position = i64::from_be_bytes(*position);
        if position < 0 || check != check_bytes(feed, position) {
            return Err(InvalidCursor);
        }
        Ok(Self(position))
    }
}

/// Six bytes that tie a position to its feed.
fn check_bytes(feed: &Addressee, position: i64) -> [u8; 6] {
    let digest = digest(&SHA256, format!("sluis event feed {feed} {position}").as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(name: &str) -> Addressee {
        format!("0000009900000000{name}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(position in 0..i64::MAX) {
            let text = Cursor::after(position).encode(&feed("1000"));
            prop_assert_eq!(Cursor::decode(&text, &feed("1000")), Ok(Cursor::after(position)));
            for other in ["2000", "1000-privacy-officer", "1000-monitor"] {
                prop_assert_eq!(Cursor::decode(&text, &feed(other)), Err(InvalidCursor));
            }
        }

        #[test]
        fn what_was_not_given_out_is_refused(text in "[A-Za-z0-9_=-]{0,30}") {
            prop_assert_eq!(Cursor::decode(&text, &feed("1000")), Err(InvalidCursor));
        }

        #[test]
        fn one_changed_character_is_noticed(position in 0..1_000_000_i64, place in 0..20_usize) {
            let mut text = Cursor::after(position).encode(&feed("1000")).into_bytes();
            text[place] = if text[place] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(Cursor::decode(std::str::from_utf8(&text).unwrap(), &feed("1000")), Err(InvalidCursor));
        }
    }
}
