//! To whom a match leads. Pure.
//!
//! Invariants: what an organisation said itself comes first, and is never overruled by others; of what others said only what a party vouched for that may
//! use the BSN counts, only for who may not use it, and only where all of it leads to one resident. Nothing here merges two residents.

use super::Subject;
use crate::ids::Oin;

/// To whom an organisation's match leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) organisation: Oin,
    /// None where several residents have these data.
    pub(super) subject: Option<Subject>,
    /// Given together with the BSN or a pseudonym by a party that may use the BSN.
    pub(super) vouched: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) organisation: &'a Oin,
    /// May use the BSN: it can say whom it means, so that it is told of no link that others made.
    pub(super) may_use_bsn: bool,
    /// Was given a pseudonym of the resident that the match alone stands for.
    pub(super) knows_matched: bool,
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lead {
    /// This resident, as it was said before.
    Known(Subject),
    /// This resident, which is to be kept.
    New(Subject),
    /// Several residents have these data: the asker said so.
    Ambiguous,
    /// The asker said before that these data are another resident's.
    Contradicted,
}

/// `named` is whom the request names besides, by BSN or pseudonym; `matched` the resident that the match alone stands for.
pub(super) fn lead(links: &[Link], asker: Asker<'_>, named: Option<Subject>, matched: Subject) -> Lead {
    let own = links.iter().find(|link| link.organisation == *asker.organisation);
    match (named, own.map(|link| &link.subject)) {
        (Some(named), None) => Lead::New(named),
        (Some(named), Some(None)) => Lead::Known(named),
        (Some(named), Some(Some(before))) if named == *before => Lead::Known(named),
        (Some(_), Some(Some(_))) => Lead::Contradicted,
        (None, Some(None)) => Lead::Ambiguous,
        (None, Some(Some(before))) => Lead::Known(before.clone()),
        (None, None) if asker.may_use_bsn || asker.knows_matched => Lead::New(matched),
        (None, None) => Lead::New(vouched_for(links).cloned().unwrap_or(matched)),
    }
}

/// The one resident to whom all lead who vouched.
fn vouched_for(links: &[Link]) -> Option<&Subject> {
    let mut vouched = links.iter().filter(|link| link.vouched).map(|link| link.subject.as_ref());
    let first = vouched.next()??;
    vouched.all(|other| other == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oin(number: u8) -> Oin {
        format!("0000009900000000{number}000").parse().unwrap()
    }

    fn resident(name: &str) -> Subject {
        Subject::from_stored(name.to_owned())
    }

    fn link(number: u8, subject: Option<&str>, vouched: bool) -> Link {
        Link { organisation: oin(number), subject: subject.map(resident), vouched }
    }

    fn asked(links: &[Link], may_use_bsn: bool, knows_matched: bool, named: Option<&str>) -> Lead {
        let organisation = oin(8);
        let asker = Asker { organisation: &organisation, may_use_bsn, knows_matched };
        lead(links, asker, named.map(resident), resident("matched"))
    }

    #[test]
    fn without_anything_said_before_a_match_is_a_resident_of_its_own() {
        assert_eq!(asked(&[], false, false, None), Lead::New(resident("matched")));
        assert_eq!(asked(&[], true, false, None), Lead::New(resident("matched")));
    }

    #[test]
    fn what_one_vouched_for_leads_those_who_may_not_use_the_bsn_and_nobody_else() {
        let links = [link(1, Some("bsn"), true), link(2, Some("bsn"), true), link(3, Some("other"), false)];
        assert_eq!(asked(&links, false, false, None), Lead::New(resident("bsn")));
        assert_eq!(asked(&links, true, false, None), Lead::New(resident("matched")), "it would learn of the others");
        assert_eq!(asked(&links, false, true, None), Lead::New(resident("matched")), "it would learn of the others");
    }

    #[test]
    fn where_others_disagree_nobody_is_guessed_and_nothing_is_told() {
        for other in [link(2, Some("twin"), true), link(2, None, true)] {
            for links in [[link(1, Some("bsn"), true), other.clone()], [other.clone(), link(1, Some("bsn"), true)]] {
                assert_eq!(asked(&links, false, false, None), Lead::New(resident("matched")));
            }
        }
    }

    #[test]
    fn what_somebody_said_itself_stays_whatever_others_say() {
        for may_use_bsn in [false, true] {
            let links = [link(1, Some("bsn"), true), link(8, Some("own"), false)];
            assert_eq!(asked(&links, may_use_bsn, false, None), Lead::Known(resident("own")));
            assert_eq!(asked(&links, may_use_bsn, false, Some("own")), Lead::Known(resident("own")));
            assert_eq!(asked(&links, may_use_bsn, false, Some("bsn")), Lead::Contradicted);
        }
    }

    #[test]
    fn whom_a_request_names_never_depends_on_what_others_said() {
        let others = [link(1, Some("bsn"), true), link(2, None, true)];
        assert_eq!(asked(&others, true, false, Some("named")), Lead::New(resident("named")));
        assert_eq!(asked(&[], true, false, Some("named")), Lead::New(resident("named")));
    }

    #[test]
    fn who_said_that_several_have_these_data_must_name_the_resident() {
        let links = [link(8, None, true)];
        assert_eq!(asked(&links, true, false, None), Lead::Ambiguous);
        assert_eq!(asked(&links, true, false, Some("named")), Lead::Known(resident("named")));
    }
}
