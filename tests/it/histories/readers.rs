//! What everyone sees of what has changed, and what everyone was told, held against the core.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::lifecycle::case;

use super::cast::{self, Org};
use super::news::{About, News};
use super::oracle::{Referral, Step};
use super::play::{Found, Play, demand};

/// A member that a view must have with this value; null where it must not have it.
type Member = (&'static str, Value);

impl Play<'_> {
    /// From now on everything counts as changed.
    pub fn changed_everything(&mut self) {
        self.oracle.changed.extend((0..self.oracle.referrals.len()).map(About::Referral));
        self.oracle.changed.extend((0..self.oracle.cases.len()).map(About::Case));
    }

    /// Holds everything that may have changed against the core, for every reader.
    pub async fn compare(&mut self) -> Result<(), Found> {
        let changed: BTreeSet<About> = std::mem::take(&mut self.oracle.changed).into_iter().collect();
        for about in &changed {
            match *about {
                About::Referral(number) => self.compare_steps(number).await?,
                About::Case(number) => self.learn_names(number).await?,
                About::Handoff(_) | About::Organisation(_) => {}
            }
        }
        for about in changed {
            match about {
                About::Referral(number) => self.compare_referral(number).await?,
                About::Case(number) => self.compare_case(number).await?,
                About::Handoff(_) | About::Organisation(_) => {}
            }
        }
        self.compare_feeds().await
    }

    async fn everyone(&self, path: impl Fn(Org) -> String) -> Vec<(Org, Answer)> {
        let able: Vec<Org> = self.oracle.able().collect();
        join_all(able.into_iter().map(|org| {
            let path = path(org);
            async move { (org, self.stage.get(org, path).await) }
        }))
        .await
    }

    // ---- referrals ----

    async fn compare_referral(&mut self, number: usize) -> Result<(), Found> {
        let it = self.oracle.referrals[number].clone();
        for (org, answer) in self.everyone(|_| format!("/v1/referrals/{}", it.id)).await {
            self.tally.views += 1;
            let what = || format!("referral {number} as {} sees it", org.slug());
            if it.roles(org).is_empty() {
                demand(answer.status == 404, || format!("{}: expected 404, got {}", what(), answer.text))?;
                continue;
            }
            agrees(&answer, &self.referral_for(&it, org), what)?;
        }
        Ok(())
    }

    fn referral_for(&self, it: &Referral, org: Org) -> Vec<Member> {
        let status_only = cast::sees_status_only(it.sender, it.recipient, org);
        let own = |value: Value| if status_only { Value::Null } else { value };
        let name = self.names[it.case].get(&org).filter(|_| it.names_case_to(org));
        vec![
            ("id", json!(it.id)),
            ("status", json!(it.state.status)),
            ("statusReason", own(json!(it.state.reason))),
            ("outcome", own(json!(it.state.outcome))),
            ("businessStatus", json!(it.state.business())),
            ("sender", json!(it.sender.oin())),
            ("recipient", json!(it.recipient.oin())),
            ("holder", json!(it.holder().map(Org::oin))),
            ("dueAt", json!(it.due_at())),
            ("createdAt", json!(it.state.created_at)),
            ("updatedAt", json!(it.updated_at)),
            ("version", json!(it.version)),
            ("caseId", json!(name)),
            ("priority", json!(Some(it.priority).filter(|_| it.is_party(org)))),
        ]
    }

    /// The list of steps, as a party sees it: it also says by which id events name a step.
    async fn compare_steps(&mut self, number: usize) -> Result<(), Found> {
        let it = self.oracle.referrals[number].clone();
        let readers = [it.sender, it.recipient, Org::Municipality].into_iter();
        let Some(reader) = readers.filter(|org| !it.roles(*org).is_empty()).find(|org| self.oracle.is_able(*org))
        else {
            return Ok(());
        };
        let path = format!("/v1/referrals/{}/updates?limit=1000", it.id);
        let answer = self.stage.get(reader, path).await;
        let none = Vec::new();
        let items = answer.body["items"].as_array().unwrap_or(&none);
        demand(items.len() == it.steps.len(), || {
            format!("referral {number} has {} steps, expected {:?}: {}", items.len(), it.steps, answer.text)
        })?;
        let status_only = cast::sees_status_only(it.sender, it.recipient, reader);
        for (item, step) in items.iter().zip(&it.steps) {
            let members = self.step_for(step, reader, status_only);
            let wrong = wrong(item, &members);
            demand(wrong.is_empty(), || format!("a step in referral {number}: {wrong:?} in {item}"))?;
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            let known = self.ids.entry((number, step.version)).or_insert_with(|| id.clone());
            demand(*known == id, || format!("a step in referral {number} is {known} and {id}"))?;
        }
        Ok(())
    }

    fn step_for(&self, step: &Step, reader: Org, status_only: bool) -> Vec<Member> {
        let gateway = self.stage.app().config.gateway.oin.to_string();
        let hidden = status_only && step.by != Some(reader);
        let own = |value: Value| if hidden { Value::Null } else { value };
        vec![
            ("operation", json!(step.operation)),
            ("status", json!(step.status)),
            ("statusReason", own(json!(step.reason))),
            ("outcome", own(json!(step.outcome))),
            ("by", step.by.map_or_else(|| json!(gateway), |org| json!(org.oin()))),
            ("at", json!(step.at)),
            ("holder", json!(step.holder.map(Org::oin))),
            ("dueAt", json!(step.due_at)),
            ("version", json!(step.version)),
        ]
    }

    // ---- cases ----

    async fn learn_names(&mut self, number: usize) -> Result<(), Found> {
        let member = self.oracle.referrals.iter().find(|it| it.case == number).map(|it| it.id.clone());
        let names: BTreeMap<Org, String> =
            self.stage.case_names(&member.unwrap_or_default()).await.into_iter().collect();
        let different: BTreeSet<&String> = names.values().collect();
        demand(different.len() == names.len(), || format!("two readers know case {number} by one name"))?;
        if self.names.len() <= number {
            self.names.resize(number + 1, BTreeMap::new());
            self.case_versions.resize(number + 1, 1);
        }
        let before = &self.names[number];
        let kept = before.iter().all(|(org, name)| names.get(org) == Some(name));
        demand(kept, || format!("the names of case {number} were {before:?} and are {names:?}"))?;
        self.names[number] = names;
        Ok(())
    }

    async fn compare_case(&mut self, number: usize) -> Result<(), Found> {
        let (now, names) = (self.stage.now(), self.names[number].clone());
        // Who has no name for it tries somebody else's.
        let any = names.values().next().cloned().unwrap_or_default();
        let path = |org: Org| format!("/v1/cases/{}", names.get(&org).unwrap_or(&any));
        for (org, answer) in self.everyone(path).await {
            self.tally.views += 1;
            let what = || format!("case {number} as {} sees it", org.slug());
            let roles = self.oracle.case_roles(number, org, now);
            // What the clock makes of an organisation it learns, with a name for the case, when the gateway has looked.
            if roles.is_empty() || !names.contains_key(&org) {
                demand(answer.status == 404, || format!("{}: expected 404, got {}", what(), answer.text))?;
                continue;
            }
            agrees(&answer, &self.case_for(number, org, &roles), what)?;
            let shown: BTreeSet<&str> = strings(&answer.body["referrals"]);
            let known = self.oracle.referrals.iter().filter(|it| it.case == number && it.names_case_to(org));
            let known: BTreeSet<&str> = known.map(|it| it.id.as_str()).collect();
            demand(shown == known, || format!("{}: referrals {shown:?}, expected {known:?}", what()))?;
            self.case_versions[number] = answer.body["version"].as_i64().unwrap_or_default();
            if roles.contains(&case::Role::Coordinator) {
                self.compare_participants(number, org, &path(org)).await?;
            }
        }
        Ok(())
    }

    fn case_for(&self, number: usize, org: Org, roles: &[case::Role]) -> Vec<Member> {
        let it = self.oracle.settled(number, self.stage.now());
        let is = |role| roles.contains(&role);
        let only = |may: bool, value: Value| if may { value } else { Value::Null };
        let coordinates = is(case::Role::Coordinator);
        let offer = it.hand_over.map(|offer| json!({ "organisation": offer.to.oin(), "dueAt": offer.due_at }));
        let proposal = it.proposal.map(|it| json!({ "dueAt": it.due_at, "overdue": it.overdue }));
        let words: Vec<&str> = roles.iter().map(|role| cast::word(*role)).collect();
        vec![
            ("id", json!(self.names[number].get(&org))),
            ("status", json!(if it.closed_at.is_some() { "closed" } else { "open" })),
            ("roles", json!(words)),
            ("coordinator", json!(it.coordinator.oin())),
            ("steppedUp", json!(it.stepped_up.map(|it| json!({ "reason": it.reason, "until": it.until })))),
            ("offer", only(coordinates || is(case::Role::Candidate), json!(offer))),
            ("stepUpProposal", only(coordinates || is(case::Role::ProcessDirector), json!(proposal))),
            ("openReferrals", only(coordinates, json!(self.oracle.open(number)))),
            ("idleUntil", only(coordinates, json!(it.idle_until))),
            ("closedAt", only(coordinates, json!(it.closed_at))),
        ]
    }

    async fn compare_participants(&mut self, number: usize, coordinator: Org, path: &str) -> Result<(), Found> {
        let answer = self.stage.get(coordinator, format!("{path}/participants")).await;
        let none = Vec::new();
        let items = answer.body["items"].as_array().unwrap_or(&none);
        let shown: BTreeSet<&str> = items.iter().filter_map(|item| item["organisation"].as_str()).collect();
        let taking_part = Org::ALL.into_iter().filter(|org| self.oracle.takes_part(number, *org));
        let expected: BTreeSet<&str> = taking_part.map(Org::oin).collect();
        demand(shown == expected, || format!("case {number} has {shown:?} in it, expected {expected:?}"))
    }

    // ---- events ----

    async fn compare_feeds(&mut self) -> Result<(), Found> {
        self.stage.app().sequence().await.map_err(|problem| problem.to_string())?;
        for org in self.oracle.able().collect::<Vec<_>>() {
            let (events, next) = self.stage.feed(org, self.cursors.get(&org).map(String::as_str)).await;
            self.cursors.insert(org, next);
            let (expected, rest) = std::mem::take(&mut self.oracle.told).into_iter().partition(|news| news.to == org);
            self.oracle.told = rest;
            self.tally.events += events.len();
            self.compare_feed(org, &events, expected)?;
        }
        Ok(())
    }

    /// Events of one subject come in order; there is no order between subjects that change at the same moment.
    fn compare_feed(&mut self, org: Org, events: &[Value], expected: Vec<News>) -> Result<(), Found> {
        let mut by_subject: BTreeMap<String, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
        for event in events {
            let subject = event["subject"].as_str().unwrap_or_default().to_owned();
            let kind = event["type"].as_str().unwrap_or_default();
            let kind = kind.strip_prefix("nl.sluis.").and_then(|kind| kind.strip_suffix(".v1")).unwrap_or(kind);
            by_subject.entry(subject).or_default().0.push(json!({ "type": kind, "data": event["data"] }));
        }
        for news in expected {
            let (subject, event) = self.as_event(org, news);
            by_subject.entry(subject).or_default().1.push(event);
        }
        for (subject, (events, expected)) in by_subject {
            demand(events == expected, || {
                format!(
                    "{} was told of {subject}:\n  {}\nexpected:\n  {}",
                    org.slug(),
                    lines(&events),
                    lines(&expected)
                )
            })?;
        }
        Ok(())
    }

    /// The subject and the event as the reader gets it.
    fn as_event(&self, org: Org, news: News) -> (String, Value) {
        let News { kind, about, mut data, version, .. } = news;
        let (subject, name) = match about {
            About::Referral(number) => (self.oracle.referrals[number].id.clone(), Some("referral")),
            About::Handoff(number) => (self.stage.handoff(&self.oracle.referrals[number].id), Some("handoff")),
            About::Case(number) => (self.names[number].get(&org).cloned().unwrap_or_default(), Some("case")),
            About::Organisation(who) => (who.oin().to_owned(), None),
        };
        if let Some(name) = name {
            data[name] = json!(subject);
        }
        if let (About::Referral(number), Some(version)) = (about, version) {
            data["update"] = json!(self.ids.get(&(number, version)));
        }
        (subject, json!({ "type": kind, "data": data }))
    }
}

fn lines(events: &[Value]) -> String {
    events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n  ")
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The members that are otherwise than expected, with what was expected.
fn wrong<'a>(shown: &Value, expected: &'a [Member]) -> Vec<&'a Member> {
    expected.iter().filter(|(name, value)| shown.get(name).unwrap_or(&Value::Null) != value).collect()
}

fn agrees(answer: &Answer, expected: &[Member], what: impl Fn() -> String) -> Result<(), Found> {
    let wrong = wrong(&answer.body, expected);
    demand(answer.status == 200 && wrong.is_empty(), || {
        format!("{}: expected {wrong:?}, got {} {}", what(), answer.status, answer.text)
    })
}
