//! Pages of a collection: an opaque cursor and a limit. A page may hold fewer items than asked for; only its `next` says whether it is the last.

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
    /// The key of the last item of the page before; none for the first page.
    pub after: Option<String>,
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
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = match items.last() {
            Some(last) if more => Value::String(self.address(call, path, &key(last))),
            _ => Value::Null,
        };
        Answer::ok(&json!({ "items": serde_json::to_value(&items)?, "next": next }))
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

/// A cursor from the key of an item.
#[must_use]
pub fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key of an item from a cursor.
///
/// # Errors
/// 400 when the cursor was not made here.
pub fn decode(cursor: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Problem::invalid_param(
            "cursor",
            "cursor",
            "expected a cursor from an earlier answer; leave it out to start at the beginning",
        )
    })
}
