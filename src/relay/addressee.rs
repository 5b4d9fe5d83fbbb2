//! To whom an event goes: an organisation, or one role in it.
//!
//! Invariant: a client reads the feed of its own name and no other. So what is told to a role (the privacy officer) is in nobody else's feed, not
//! even in that of the organisation's own system, and the role sees nothing of what that is told.

use std::fmt;
use std::str::FromStr;

use crate::http::Caller;
use crate::ids::Oin;
use crate::organisations::Role;
use crate::problem::{Code, Problem};
use crate::storage::Value;

/// Whose feed it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The organisation.
    pub organisation: Oin,
    /// Its named client for this role; its own system (the main client) where there is none.
    pub role: Option<Role>,
}

/// A text that names no client that has a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of a main client or of a named client for a known role")]
pub struct InvalidAddressee;

impl Addressee {
    /// One role in an organisation, whether it has a client for it already or not: what is told it then finds when it has.
    #[must_use]
    pub const fn role(organisation: Oin, role: Role) -> Self {
        Self { organisation, role: Some(role) }
    }

    /// The one whose feed this caller reads.
    ///
    /// # Errors
    /// 403 for a client whose name stands for no feed.
    pub fn of(caller: &Caller) -> Result<Self, Problem> {
        let addressee = caller.client_id.parse::<Self>().ok();
        addressee
            .filter(|addressee| addressee.organisation == caller.organisation)
            .ok_or_else(|| Problem::new(Code::Forbidden, "this client has no events of its own"))
    }
}

impl From<Oin> for Addressee {
    fn from(organisation: Oin) -> Self {
        Self { organisation, role: None }
    }
}

/// The name of the feed: the id of the client that reads it.
impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            None => write!(f, "{}", self.organisation),
            Some(role) => f.write_str(&role.client_id(&self.organisation)),
        }
    }
}

impl From<&Addressee> for Value {
    fn from(addressee: &Addressee) -> Self {
        addressee.to_string().into()
    }
}

impl FromStr for Addressee {
    type Err = InvalidAddressee;

    fn from_str(text: &str) -> Result<Self, InvalidAddressee> {
        let (organisation, role) = match text.split_once('-') {
            None => (text, None),
            Some((organisation, name)) => (organisation, Some(name)),
        };
        let role = match role {
            None => None,
            Some(name) => Some(Role::ALL.into_iter().find(|role| role.name() == name).ok_or(InvalidAddressee)?),
        };
        Ok(Self { organisation: organisation.parse().map_err(|_| InvalidAddressee)?, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(client_id: &str) -> Caller {
        Caller {
            organisation: "00000099000000001000".parse().unwrap(),
            client_id: client_id.to_owned(),
            scopes: std::iter::once("events".to_owned()).collect(),
            thumbprint: String::new(),
        }
    }

    #[test]
    fn every_client_has_the_feed_of_its_own_name() {
        let oin: Oin = "00000099000000001000".parse().unwrap();
        let main = Addressee::of(&caller(oin.as_str())).unwrap();
        assert_eq!((main.role, main.to_string()), (None, oin.to_string()));
        for role in Role::ALL {
            let named = Addressee::of(&caller(&role.client_id(&oin))).unwrap();
            assert_eq!(named, Addressee::role(oin.clone(), role));
            assert_eq!(named.to_string(), role.client_id(&oin));
        }
    }

    #[test]
    fn a_client_of_another_name_has_none_and_not_by_accident_that_of_its_organisation() {
        for client in [
            "",
            "00000099000000002000",
            "00000099000000002000-privacy-officer",
            "00000099000000001000-",
            "00000099000000001000-mayor",
            "00000099000000001000-privacy-officer-2",
            "-privacy-officer",
        ] {
            assert_eq!(Addressee::of(&caller(client)).unwrap_err().code(), Code::Forbidden, "{client:?}");
        }
    }
}
