//! The safety veto (veiligheidsveto): a sender's word that using the channel at all endangers a resident.
//!
//! `set` sets one before anything was sent, [`crate::referrals`] on a referral that was; `conclude` ends it, goes on with it or says how the resident is
//! helped; `weigh` says whether an access report may show it; `sweep` reminds its holder. Invariants: it is about the sender's own use of the channel and
//! stops nobody else; it is stored in one table, that nothing refers to; nobody but the sender learns of it, by no answer, event, list, count, record or
//! metric: set beforehand, nothing ever was; set on a referral, that was called off as any other; until the sender ends it, the gateway takes nothing
//! about the resident from that sender.

mod conclude;
pub mod http;
mod reports;
mod set;
mod store;
mod sweep;
mod trace;
mod types;
mod view;
mod weigh;

pub use reports::{Withheld, is_of_veto, withheld_from_reports};
pub use store::{blocks, insert};
pub use sweep::sweep;
pub use trace::MARK;
pub use types::{Conclusion, Status, Veto, Weighing};
pub use view::veto as view;

use crate::problem::{Code, Problem};

/// The answer to a sender that would give something about a resident of whom it said that this is not safe.
#[must_use]
pub fn refused() -> Problem {
    Problem::new(
        Code::SafetyVeto,
        "your organisation set a safety veto for this resident: nothing was relayed, stored or told to anybody; it holds until you end it",
    )
}

/// Under which route the gateway's own metrics and logs count a request: of a veto under one that is as good for anything else, since whoever
/// watches the gateway is not to find out that there are vetoes, nor how many.
#[must_use]
pub fn counted_as(route: &'static str) -> &'static str {
    match route {
        "/v1/vetoes" => "/v1/referrals",
        "/v1/vetoes/{id}" => "/v1/referrals/{id}",
        "/v1/vetoes/{id}/conclusions" | "/v1/vetoes/{id}/weighings" | "/v1/referrals/{id}/vetoes" => {
            "/v1/referrals/{id}/updates"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::ROUTES;

    #[test]
    fn no_metric_and_no_line_of_the_log_names_the_route_of_a_veto() {
        let (mut folded, all) = (0, || ROUTES.iter().map(|route| route.path));
        for path in all() {
            let shown = counted_as(path);
            assert!(!shown.contains("veto"), "{path} shows as {shown}");
            assert!(all().any(|known| known == shown), "{shown} is no route");
            folded += usize::from(shown != path);
        }
        assert_eq!(folded, 6, "the routes of vetoes and nothing else");
    }
}
