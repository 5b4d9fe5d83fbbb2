//! Closed lists of codes: every value has one word, the same on the wire, in the database and in the covenant.

/// A word that is not on its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown code")]
pub struct UnknownCode;

/// Declares a closed list: an enum whose values are read and written as their words.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value, in the order of the list.
            #[allow(dead_code, reason = "not every list is walked through")]
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word of this value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that this word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::codes::UnknownCode;

            fn from_str(word: &str) -> Result<Self, $crate::codes::UnknownCode> {
                Self::from_word(word).ok_or($crate::codes::UnknownCode)
            }
        }
    };
}
pub(crate) use closed_list;

#[cfg(test)]
mod tests {
    closed_list!(
        /// For the test.
        Colour {
            /// Red.
            Red = "red",
            /// Light blue.
            LightBlue = "light-blue",
        }
    );

    #[test]
    fn every_value_is_read_from_its_word_and_nothing_else_is() {
        for colour in Colour::ALL {
            assert_eq!(colour.as_str().parse(), Ok(colour));
            assert_eq!(serde_json::to_value(colour).unwrap(), colour.as_str());
            assert_eq!(serde_json::from_value::<Colour>(colour.as_str().into()).unwrap(), colour);
        }
        for wrong in ["", "Red", "light_blue", "red "] {
            assert!(wrong.parse::<Colour>().is_err(), "{wrong:?}");
        }
    }
}
