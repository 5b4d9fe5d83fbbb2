//! An event that has its place in a feed, and its structured form: `CloudEvents` 1.0 in JSON, NL GOV profile 1.1.
//!
//! Invariant: each call gives the same bytes; an attribute without a value is left out.

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ids::Oin;

/// An event that has its place in a feed, as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its place in the feed, from 1 without gaps.
    pub position: i64,
    /// Its identifier.
    pub id: String,
    /// Its `CloudEvents` type.
    pub kind: String,
    /// The identifier of the resource.
    pub subject: String,
    /// Its data, JSON text.
    pub data: String,
    /// The path where the resource is fetched; empty where the reader may fetch nothing.
    pub path: String,
    /// When the gateway registered it.
    pub time: Timestamp,
    /// The trace context of the request that caused it.
    pub trace_parent: Option<String>,
}

/// The names under which the gateway speaks, from its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The `CloudEvents` `source`, see [`source`].
    pub source: String,
    /// The address that a partner reaches the gateway at, without a slash at its end: `https://gateway.example:8443`.
    pub base_url: String,
}

/// The `CloudEvents` `source` of a gateway: a URN of namespace `nld` with organisation and system (NL GOV profile, `source`).
#[must_use]
pub fn source(gateway: &Oin) -> String {
    format!("urn:nld:oin:{gateway}:systeem:sluis")
}

/// The structured JSON form (`CloudEvents` JSON format 1.0.2, NL GOV profile 1.1). An attribute without a value is left out.
#[derive(Debug, Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataref: Option<String>,
    /// Extension `sequence`: the position, whose type `Integer` starts at 1 and rises by one.
    sequence: String,
    sequencetype: &'static str,
    /// Extension of distributed tracing.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: &'a serde_json::value::RawValue,
}

impl Published {
    /// This event as `CloudEvents` JSON.
    ///
    /// # Errors
    /// When the stored data is not JSON.
    pub fn to_json(&self, speaker: &Speaker) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self.cloud_event(speaker)?)
    }

    /// This event as the bytes of `CloudEvents` JSON; each call gives the same bytes.
    ///
    /// # Errors
    /// When the stored data is not JSON.
    pub fn to_bytes(&self, speaker: &Speaker) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.cloud_event(speaker)?)
    }

    fn cloud_event<'a>(&'a self, speaker: &'a Speaker) -> Result<CloudEvent<'a>, serde_json::Error> {
        Ok(CloudEvent {
            specversion: "1.0",
            id: &self.id,
            source: &speaker.source,
            kind: &self.kind,
            subject: &self.subject,
            time: self.time,
            datacontenttype: "application/json",
            dataref: (!self.path.is_empty()).then(|| format!("{}{}", speaker.base_url, self.path)),
            sequence: self.position.to_string(),
            sequencetype: "Integer",
            traceparent: self.trace_parent.as_deref(),
            data: serde_json::from_str(&self.data)?,
        })
    }
}
