//! W3C Trace Context: the trace that a request belongs to, taken over from the caller or begun here.
//!
//! Invariant: a foreign trace id is kept (Logboek dataverwerkingen 1.0.0 section 3), never derived from a person.

use crate::ids::{Entropy, NoEntropy};

/// The trace of one request: <https://www.w3.org/TR/trace-context/> version 00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// The caller's span, 16 lower-case hexadecimal digits; none for a trace that begins here.
    pub parent_id: Option<String>,
    /// This request's own span.
    pub span_id: String,
    /// The `sampled` bit and its neighbours, passed on unchanged.
    pub flags: String,
}

impl Trace {
    /// Continues the caller's trace when `traceparent` is well-formed, else begins a new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn continue_from(traceparent: Option<&str>, entropy: &Entropy) -> Result<Self, NoEntropy> {
        let span_id = hex::encode(entropy.bytes::<8>()?);
        if let Some((trace_id, parent, flags)) = traceparent.and_then(parse) {
            return Ok(Self { trace_id, parent_id: Some(parent), span_id, flags });
        }
        Ok(Self { trace_id: hex::encode(entropy.bytes::<16>()?), parent_id: None, span_id, flags: "01".into() })
    }

    /// The header for calls and events that this request causes.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)
    }
}

fn parse(header: &str) -> Option<(String, String, String)> {
    let mut parts = header.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let not_zero = |text: &str| text.bytes().any(|byte| byte != b'0');
    let well_formed = hexadecimal(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && hexadecimal(trace, 32)
        && not_zero(trace)
        && hexadecimal(parent, 16)
        && not_zero(parent)
        && hexadecimal(flags, 2);
    well_formed.then(|| (trace.to_owned(), parent.to_owned(), flags.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_continued() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let trace = Trace::continue_from(Some(header), &Entropy::system()).unwrap();
        assert_eq!(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        assert!(trace.traceparent().ends_with("-00"), "the sampled bit is passed on unchanged");
        assert_ne!(trace.span_id, "00f067aa0ba902b7");
    }

    #[test]
    fn a_malformed_trace_is_replaced_by_a_new_one() {
        for header in [
            "",
            "00-0000000000000000000000000000000a-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(Trace::continue_from(Some(header), &Entropy::system()).unwrap().parent_id, None, "{header:?}");
        }
    }
}
