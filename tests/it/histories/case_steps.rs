//! Steps in cases, and meetings.

use std::collections::BTreeSet;

use serde_json::json;
use sluis::lifecycle::case;

use super::cast::{self, Org};
use super::commands::{case_request, names};
use super::moves::IfMatch;
use super::play::{Expected, Found, Play, demand};

impl Play<'_> {
    pub(super) async fn case_step(
        &mut self,
        case: usize,
        by: Org,
        commands: &[case::Command<Org>],
        meeting: Option<&BTreeSet<Org>>,
        if_match: IfMatch,
    ) -> Result<(), Found> {
        let now = self.stage.now();
        let (part, body) = match meeting {
            Some(with) => {
                let with: Vec<_> = with.iter().map(|org| org.oin()).collect();
                ("meetings".to_owned(), Some(json!({ "organisations": with })))
            }
            None => case_request(&commands[0], by),
        };
        let mut request = self.post(format!("/v1/cases/{}/{part}", self.name(case, by)), body);
        request.if_match = self.case_tag(case, by, if_match);
        let (taken, expected) = self.expected_in_case(case, by, commands, meeting, if_match);
        let what = format!("{commands:?} in case {case}");
        let answer = self.ask((by, &what), request, &expected).await?;
        if answer.status != 201 {
            return Ok(());
        }
        for (command, taken) in commands.iter().zip(taken) {
            self.count(&format!("{} as {}", command.operation(), cast::word(taken.by)));
            self.oracle.take_in_case(case, Some(by), command, taken, now);
        }
        if let Some(with) = meeting {
            self.count("meeting");
            self.oracle.tell_of_meeting(case, with);
        }
        demand(answer.body["at"] == json!(now), || format!("another moment: {}", answer.text))
    }

    /// The tag that this reader got with what it saw last: it still holds, since everything was read again that may have changed. A stale
    /// one is of what it saw before, or somebody else's.
    fn case_tag(&self, case: usize, by: Org, if_match: IfMatch) -> Option<String> {
        let seen = self.seen.get(&(case, by));
        let own = seen.map_or("\"none\"", |seen| seen.tag.as_str()).to_owned();
        match if_match {
            IfMatch::Absent => None,
            IfMatch::Present => Some(own),
            IfMatch::Stale => {
                let former = seen.and_then(|seen| seen.former.clone());
                let others = self.seen.iter().filter(|((of, reader), _)| *of == case && *reader != by);
                former.or_else(|| others.map(|(_, seen)| seen.tag.clone()).next()).or(Some("\"none\"".into()))
            }
        }
    }

    /// What must come of steps that are taken together, and the steps as far as they may be taken.
    pub(super) fn expected_in_case(
        &self,
        case: usize,
        by: Org,
        commands: &[case::Command<Org>],
        meeting: Option<&BTreeSet<Org>>,
        if_match: IfMatch,
    ) -> (Vec<case::Taken<Org>>, Expected) {
        let now = self.stage.now();
        let mut taken: Vec<case::Taken<Org>> = Vec::new();
        if self.oracle.case_roles(case, by, now).is_empty() || !self.names[case].contains_key(&by) {
            return (taken, Expected::problem(404, "not-found"));
        }
        let state = &self.oracle.cases[case];
        if meeting.is_some_and(|with| with.contains(&state.coordinator)) {
            return (taken, Expected::status(400));
        }
        // Where everyone who is called takes part already, the table is asked all the same.
        let asked = match (commands, state.invited.first()) {
            ([], Some(already)) => Some(case::Command::Invite(*already)),
            _ => None,
        };
        for command in commands.iter().chain(&asked) {
            let state = taken.last().map_or(state, |last| &last.case);
            match self.oracle.case_step((case, state), Some(by), command, now) {
                Ok(step) => taken.push(step),
                Err(case::Refusal::Party) if asked.is_some() => {}
                Err(refusal) => return (taken, self.refused_in_case(case, by, command, &refusal)),
            }
        }
        let named = commands.iter().filter_map(names).chain(meeting.into_iter().flatten().copied());
        let expected = if named.into_iter().any(|org| !self.oracle.is_able(org)) {
            Expected::status(400)
        } else if if_match == IfMatch::Stale {
            Expected::problem(412, "precondition-failed")
        } else {
            let operation = commands.first().map_or(case::Operation::Invite, case::Command::operation);
            Expected::status(201).with("operation", json!(operation)).with("case", json!(self.name(case, by)))
        };
        (taken, expected)
    }

    pub(super) fn refused_in_case(
        &self,
        case: usize,
        by: Org,
        command: &case::Command<Org>,
        refusal: &case::Refusal,
    ) -> Expected {
        match refusal {
            case::Refusal::NotAllowed(steps) => {
                let step = |operation| json!({ "operation": operation, "status": null, "statusReasons": [] });
                let steps = steps.iter().map(step).collect();
                Expected::problem(409, "step-not-allowed").with("allowedSteps", steps)
            }
            case::Refusal::StillOpen(open) => {
                let open_ones = self.oracle.of_case(case).filter(|it| !it.state.is_closed());
                let mut own: Vec<&String> = open_ones.filter(|it| it.names_case_to(by)).map(|it| &it.id).collect();
                own.sort_unstable();
                Expected::problem(409, "still-open")
                    .with("otherOpenReferrals", json!(open - own.len()))
                    .with("openReferrals", json!(own))
            }
            case::Refusal::Party if matches!(command, case::Command::Remove(_)) => Expected::problem(404, "not-found"),
            case::Refusal::Party => Expected::status(400),
        }
    }

    pub(super) async fn meeting(&mut self, case: usize, by: Org, with: BTreeSet<Org>) -> Result<(), Found> {
        let invited = &self.oracle.cases[case].invited;
        let commands: Vec<_> =
            with.iter().filter(|org| !invited.contains(org)).map(|org| case::Command::Invite(*org)).collect();
        self.case_step(case, by, &commands, Some(&with), IfMatch::Absent).await
    }
}
