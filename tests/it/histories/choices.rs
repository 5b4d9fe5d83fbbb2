//! What may be done now, by the core's own lists; and the way to an end of everything.

use std::collections::BTreeMap;

use sluis::lifecycle::Status;
use sluis::lifecycle::case;
use sluis::lifecycle::referral::{Command, allowed_steps};

use super::cast::Org;
use super::commands::{every_case_command, of_line};
use super::moves::{IfMatch, Pick};
use super::play::{Found, Play};

/// So many deadlines pass at most until somebody who can act has a way to an end.
const LONGEST_WAIT: usize = 8;

impl Play<'_> {
    /// One of all steps that the core lists for those who can act; steps that lead on are taken more often.
    pub(super) fn allowed(&self, pick: Pick, detail: Pick) -> Option<(usize, Org, Command)> {
        let now = self.stage.now();
        let mut all = Vec::new();
        for (number, it) in self.oracle.referrals.iter().enumerate() {
            for org in self.oracle.able() {
                for line in allowed_steps(&it.state, &self.oracle.roles(it, org, now), now) {
                    let Some(command) = of_line(&line, detail) else { continue };
                    let weight = match command {
                        Command::Update { status: Status::Accepted | Status::InProgress | Status::OnHold, .. } => 5,
                        Command::Update { status: Status::Received | Status::Completed | Status::Failed, .. } => 3,
                        Command::Update { status: Status::EnteredInError, .. } | Command::Supplement => 1,
                        _ => 2,
                    };
                    all.extend(std::iter::repeat_n((number, org, command), weight));
                }
            }
        }
        (!all.is_empty()).then(|| all[pick.of(all.len())])
    }

    pub(super) fn allowed_in_case(&self, pick: Pick) -> Option<(usize, Org, case::Command<Org>)> {
        let now = self.stage.now();
        let mut all: BTreeMap<_, Vec<case::Command<Org>>> = BTreeMap::new();
        for (number, it) in self.oracle.cases.iter().enumerate() {
            for org in self.oracle.able().filter(|org| self.names[number].contains_key(org)) {
                for command in every_case_command() {
                    if self.oracle.case_step((number, it), Some(org), &command, now).is_ok() {
                        all.entry((number, org, command.operation().as_str())).or_default().push(command);
                    }
                }
            }
        }
        let all: Vec<_> = all.into_iter().collect();
        if all.is_empty() {
            return None;
        }
        let ((number, org, _), commands) = &all[pick.of(all.len())];
        Some((*number, *org, commands[pick.of(commands.len())].clone()))
    }

    /// Brings everything to an end by steps of those who can act: there must be a way.
    pub(super) async fn end(&mut self, resume: bool) -> Result<(), Found> {
        if resume {
            self.resume_all().await;
        }
        self.look_and_compare().await?;
        while let Some(open) = self.oracle.referrals.iter().position(|it| !it.state.is_closed()) {
            let Some((by, command)) = self.oracle.way_out(open, self.stage.now()) else {
                self.wait_for_a_way(open).await?;
                continue;
            };
            self.step(open, by, command, Org::Smow, IfMatch::Absent).await?;
            self.compare().await?;
        }
        self.look_and_compare().await?;
        for case in 0..self.oracle.cases.len() {
            let it = &self.oracle.cases[case];
            if it.closed_at.is_none() {
                self.case_step(case, it.coordinator, &[case::Command::Close], None, IfMatch::Absent).await?;
                self.compare().await?;
            }
        }
        self.resume_all().await;
        self.look_and_compare().await?;
        self.changed_everything();
        self.compare().await?;
        self.compare_feeds().await?;
        self.compare_lists().await
    }

    /// Where nobody who can act has a way to an end, the clock brings one, and whoever coordinates, directs or is the municipality takes it.
    async fn wait_for_a_way(&mut self, referral: usize) -> Result<(), Found> {
        self.tally.waited += 1;
        for _ in 0..LONGEST_WAIT {
            let case = &self.oracle.cases[self.oracle.referrals[referral].case];
            let due = [self.oracle.referrals[referral].due_at(), case.due_at()].into_iter().flatten().min();
            let Some(due) = due else { break };
            if due > self.stage.now() {
                self.stage.move_to(due);
                self.say("nobody has a way to an end; the clock goes on");
                self.changed_by_clock();
            }
            self.look_and_compare().await?;
            if self.oracle.way_out(referral, self.stage.now()).is_some() {
                return Ok(());
            }
        }
        Err(format!("nobody has a way to an end: {:?}", self.oracle.referrals[referral]))
    }

    pub(super) async fn resume_all(&mut self) {
        for org in self.oracle.suspended.keys().copied().collect::<Vec<_>>() {
            self.set_standing(org, true).await;
        }
    }

    pub(super) async fn look_and_compare(&mut self) -> Result<(), Found> {
        self.stage.look().await;
        self.oracle.look(self.stage.now());
        self.compare().await
    }
}
