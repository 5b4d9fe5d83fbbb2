//! Pages of a collection: an opaque cursor and a limit. A page may hold fewer items than asked for; only its `next` says whether it is the last.

use std::fmt::{self, Display};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::Found;

/// Where a page starts, and how many items it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The key of the last item of the page before, as it came; none for the first page.
    after: Option<String>,
    /// At most this many items.
    pub limit: i64,
}

impl Page {
    /// Reads `cursor` and `limit` of a request (default 100, at most 1000 by contract).
    ///
    /// # Errors
    /// 400 when the cursor was not made here.
    pub fn of(call: &Call) -> Result<Self, Problem> {
        let after = call.query_text("cursor").map(decode).transpose()?;
        Ok(Self { after, limit: call.query_number("limit").unwrap_or(100).clamp(1, 1000) })
    }

    /// The key of the last item of the page before; none for the first page. Whatever is not written exactly as a key of this collection is
    /// written was not made here.
    ///
    /// # Errors
    /// 400 when the cursor was not made here.
    pub fn after<K: FromStr + Display>(&self) -> Result<Option<K>, Problem> {
        let key =
            |text: &String| text.parse().ok().filter(|key: &K| key.to_string() == *text).ok_or_else(not_made_here);
        self.after.as_ref().map(key).transpose()
    }

    /// The same where items are found by a number that counts.
    ///
    /// # Errors
    /// 400 when the cursor was not made here.
    pub fn after_number(&self) -> Result<Option<i64>, Problem> {
        let number = self.after::<i64>()?;
        if number.is_some_and(i64::is_negative) { Err(not_made_here()) } else { Ok(number) }
    }

    /// How many rows to read to know whether there is a further page.
    #[must_use]
    pub const fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The answer: at most `limit` of `items`, and the address of the next page when there were more. `key` gives what an
    /// item is found by; the query's other parameters are repeated in the address.
    ///
    /// # Errors
    /// When an item cannot be written as JSON.
    pub fn answer<T: Serialize>(
        &self,
        call: &Call,
        path: &str,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Answer, Problem> {
        let more = self.cut(&mut items);
        let next = match items.last() {
            Some(last) if more => Value::String(self.address(call, path, &key(last))),
            _ => Value::Null,
        };
        Answer::ok(&json!({ "items": serde_json::to_value(&items)?, "next": next }))
    }

    /// As [`Page::answer`], for what is given as bytes of another media type than JSON, in which there is no place for the address of the next page:
    /// that is in a `Link` header (RFC 8288). `write` gets the items of the page.
    pub fn answer_as<T>(
        &self,
        call: &Call,
        path: &str,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
        write: impl FnOnce(&[T]) -> Answer,
    ) -> Answer {
        let more = self.cut(&mut items);
        let answer = write(&items);
        match items.last() {
            Some(last) if more => {
                answer.header("Link", format!("<{}>; rel=\"next\"", self.address(call, path, &key(last))))
            }
            _ => answer,
        }
    }

    /// Leaves as many items as the page may hold; answers whether there were more.
    fn cut<T>(&self, items: &mut Vec<T>) -> bool {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        more
    }

    /// As [`Page::answer`], for what a condition selects: the page may have ended before it was full, with a place where the next one
    /// goes on.
    ///
    /// # Errors
    /// When an item cannot be written as JSON.
    pub fn answer_found<T: Serialize>(
        &self,
        call: &Call,
        path: &str,
        found: Found<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Answer, Problem> {
        match found.resume {
            None => self.answer(call, path, found.items, key),
            Some(resume) => {
                let next = self.address(call, path, &resume);
                Answer::ok(&json!({ "items": serde_json::to_value(&found.items)?, "next": next }))
            }
        }
    }

    /// The address of the page after the item with this key.
    #[must_use]
    pub fn address(&self, call: &Call, path: &str, key: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &call.query {
            if name != "cursor" && name != "limit" {
                query.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        query.append_pair("limit", &self.limit.to_string()).append_pair("cursor", &encode(key));
        format!("{path}?{}", query.finish())
    }
}

/// The key of an item that is found by two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<A, B>(pub A, pub B);

impl<A: Display, B: Display> Display for Pair<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl<A: FromStr, B: FromStr> FromStr for Pair<A, B> {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<Self, NoPair> {
        let (first, second) = text.split_once('/').ok_or(NoPair)?;
        Ok(Self(first.parse().map_err(|_| NoPair)?, second.parse().map_err(|_| NoPair)?))
    }
}

/// A text that is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected two values with a slash between them")]
pub struct NoPair;

/// The refusal of a cursor that this collection did not give out.
#[must_use]
pub fn not_made_here() -> Problem {
    Problem::invalid_param(
        "cursor",
        "cursor",
        "expected a cursor from an earlier answer of this collection; leave it out to start at the beginning",
    )
}

/// A cursor from the key of an item.
#[must_use]
pub fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The text in a cursor.
///
/// # Errors
/// 400 for one that was not made here.
pub fn decode(cursor: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(not_made_here)
}
