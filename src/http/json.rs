//! The JSON of a request's body, in which no member comes twice.
//!
//! Which of two members with one name counts, readers decide differently (RFC 8259 section 4): what is checked here could be another value than
//! what somebody before or after the gateway reads. So there are none, at any depth (I-JSON, RFC 7493 section 2.3). Invariant: a refusal names places
//! and never a value; a name that the caller made up is there only if it looks like a name.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::contract::member;
use crate::problem::{Code, InvalidParam, Problem};

/// So many repeated members are named at most.
const MOST: usize = 20;

/// Reads a body, once and from its beginning to its end; the depth is bounded by `serde_json`.
///
/// # Errors
/// 400 for what is no JSON, and for members that come twice.
pub(super) fn read(raw: &[u8]) -> Result<Value, Problem> {
    let repeated = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let seed = Seed { place: &Place::Body, repeated: &repeated };
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        // The place, not the library's words: they may quote the body.
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Code::MalformedJson, format!("the body is not valid JSON at {place}"))
    })?;
    let mut repeated: Vec<String> = repeated.into_inner();
    if repeated.is_empty() {
        return Ok(value);
    }
    repeated.dedup();
    let told = |name| InvalidParam::new(name, "repeated", "a field may come once in its object (RFC 8259 section 4)");
    Err(Problem::invalid(repeated.into_iter().map(told).collect()))
}

/// Where in the body something is.
enum Place<'a> {
    Body,
    Member(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Place<'_> {
    /// In the way that people write it, as the contract's checks do: `sections[1].category`.
    fn text(&self) -> String {
        match self {
            Self::Body => String::new(),
            Self::Member(parent, name) => member(&parent.text(), name),
            Self::Item(parent, index) => format!("{}[{index}]", parent.text()),
        }
    }
}

/// A value to be read, with the place where it is.
#[derive(Clone, Copy)]
struct Seed<'a> {
    place: &'a Place<'a>,
    repeated: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Item(self.place, list.len());
            match items.next_element_seed(Seed { place: &place, ..self })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            let mut repeated = self.repeated.borrow_mut();
            if repeated.len() < MOST && object.contains_key(&name) {
                repeated.push(place.text());
            }
            drop(repeated);
            let value = members.next_value_seed(Seed { place: &place, ..self })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The places that are named, with the whole answer.
    fn refused(text: &str) -> (Vec<String>, String) {
        let body = read(text.as_bytes()).unwrap_err().to_json();
        assert_eq!(body["status"], 400, "{body}");
        let list = body["invalidParams"].as_array().cloned().unwrap_or_default();
        assert!(list.iter().all(|param| param["code"] == "repeated"), "{body}");
        (list.iter().map(|param| param["name"].as_str().unwrap().to_owned()).collect(), body.to_string())
    }

    #[test]
    fn a_member_that_comes_twice_is_named_wherever_it_is_and_its_value_is_not() {
        for (text, places) in [
            (r#"{"status":"SECRET","status":"accepted"}"#, vec!["status"]),
            (r#"{"status":"SECRET","\u0073tatus":"SECRET"}"#, vec!["status"]),
            (r#"{"a":1,"a":1,"a":1}"#, vec!["a"]),
            (r#"{"sections":[{},{"content":{"x":[{"y":1,"z":2,"y":"SECRET"}]}}]}"#, vec!["sections[1].content.x[0].y"]),
            (r#"[{"a":{"b":1,"b":1}},{"c":null,"c":null}]"#, vec!["[0].a.b", "[1].c"]),
            (r#"{"a":{"b":1,"b":2},"a":{"c":1,"c":2}}"#, vec!["a.b", "a", "a.c"]),
            (r#"{"999990019":1,"999990019":2}"#, vec!["(unreadable name)"]),
        ] {
            let (named, answer) = refused(text);
            assert_eq!(named, places, "{text}");
            assert!(!answer.contains("SECRET") && !answer.contains("999990019"), "{answer}");
        }
        let many: Vec<String> = (0..100).map(|n| format!(r#""a{n}":1,"a{n}":2"#)).collect();
        assert_eq!(refused(&format!("{{{}}}", many.join(","))).0.len(), MOST);
    }

    #[test]
    fn the_same_name_in_different_objects_is_nothing_special() {
        let text = r#"{"a":{"a":[{"a":1},{"a":2}]},"A":0}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), json!({ "a": { "a": [{ "a": 1 }, { "a": 2 }] }, "A": 0 }));
    }

    #[test]
    fn what_is_no_json_is_refused_and_not_repeated() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for text in ["", "{", "{\"a\":1}x", "{\"SECRET\":}", "nul", "[1,]", "\"\\ud800\"", "1e999", &deep] {
            let body = read(text.as_bytes()).unwrap_err().to_json();
            assert_eq!(body["code"], "malformed-json", "{text}");
            assert!(!body.to_string().contains("SECRET"));
        }
        assert_eq!(read(b"{\"a\":\xff}").unwrap_err().code(), Code::MalformedJson);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6).prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_serde_json_reads_it(value in values()) {
            let text = value.to_string();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}
