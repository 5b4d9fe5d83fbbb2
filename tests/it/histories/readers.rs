//! What everyone sees of what has changed, and what everyone was told, held against the core.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::lifecycle::Status;
use sluis::lifecycle::case;
use sluis::lifecycle::referral::Operation;

use super::cast::{self, Org, Sight};
use super::news::{About, News};
use super::oracle::{Referral, Step};
use super::play::{Found, Play, Seen, demand, sequence};

/// A member that a view must have with this value; null where it must not have it.
type Member = (&'static str, Value);

/// How many comparisons the feeds wait to be read: they are most of what is asked.
const FEEDS_WAIT: usize = 4;

impl Play<'_> {
    /// From now on everything counts as changed.
    pub fn changed_everything(&mut self) {
        self.oracle.changed.extend((0..self.oracle.referrals.len()).map(About::Referral));
        self.oracle.changed.extend((0..self.oracle.cases.len()).map(About::Case));
    }

    /// Holds everything that may have changed against the core, for every reader.
    pub async fn compare(&mut self) -> Result<(), Found> {
        let mut changed: BTreeSet<About> = std::mem::take(&mut self.oracle.changed).into_iter().collect();
        let case_of = |about: &About| match *about {
            About::Referral(number) => Some(self.oracle.referrals[number].case),
            About::Case(number) => Some(number),
            About::Handoff(_) | About::Organisation(_) => None,
        };
        // What a case shows depends on its referrals, and who sees one that is stuck on its case.
        let (cases, now): (BTreeSet<usize>, _) = (changed.iter().filter_map(case_of).collect(), self.stage.now());
        for (number, it) in self.oracle.referrals.iter().enumerate() {
            if cases.contains(&it.case) && it.state.is_stuck(now) {
                changed.insert(About::Referral(number));
            }
        }
        let explicitly: BTreeSet<usize> = changed
            .iter()
            .filter_map(|about| if let About::Case(number) = about { Some(*number) } else { None })
            .collect();
        changed.extend(cases.iter().map(|case| About::Case(*case)));
        for case in cases {
            self.learn_names(case).await?;
        }
        for about in changed {
            match about {
                About::Referral(number) => {
                    self.compare_referral(number).await?;
                    self.compare_steps(number).await?;
                }
                About::Case(number) => self.compare_case(number, explicitly.contains(&number)).await?,
                About::Handoff(_) | About::Organisation(_) => {}
            }
        }
        self.unread += 1;
        if self.unread < FEEDS_WAIT { Ok(()) } else { self.compare_feeds().await }
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
            if self.oracle.roles(&it, org, self.stage.now()).is_empty() {
                demand(answer.status == 404, || format!("{}: expected 404, got {}", what(), answer.text))?;
                continue;
            }
            agrees(&answer, &self.referral_for(&it, org), what)?;
            let tagged = answer.headers.get("etag") == Some(&format!("\"{}\"", it.version));
            demand(tagged, || format!("{}: version {}, but {:?}", what(), it.version, answer.headers))?;
        }
        Ok(())
    }

    fn referral_for(&self, it: &Referral, org: Org) -> Vec<Member> {
        let sight = it.sight(org);
        let only = |may: bool, value: Value| if may { value } else { Value::Null };
        let is_whole = sight == Sight::Whole;
        // What should not have been there is about nobody for who was not meant to know.
        let is_about = sight != Sight::Route && (it.state.status != Status::EnteredInError || org == it.sender);
        let (own, sees_deadline) = (org == it.sender, is_whole || it.holder() == Some(org));
        let name = self.names[it.case].get(&org).filter(|_| it.names_case_to(org));
        let (purpose, basis) = cast::route(it.sender, it.recipient).unzip();
        let earlier = it.based_on.map(|earlier| &self.oracle.referrals[earlier].id);
        vec![
            ("id", json!(it.id)),
            ("status", json!(it.state.status)),
            ("statusReason", only(is_whole, json!(it.state.reason))),
            ("outcome", only(is_whole, json!(it.state.outcome))),
            ("businessStatus", json!(it.state.business())),
            ("sender", json!(it.sender.oin())),
            ("recipient", json!(it.recipient.oin())),
            ("holder", json!(it.holder().map(Org::oin))),
            ("dueAt", only(sees_deadline, json!(it.due_at()))),
            ("createdAt", json!(it.state.created_at)),
            ("updatedAt", json!(it.updated_at)),
            ("version", json!(it.version)),
            ("caseId", json!(name)),
            ("purpose", only(is_about, json!(purpose))),
            ("phase", only(is_about, json!("case"))),
            ("legalBasis", only(is_about, json!(basis))),
            ("priority", only(is_about, json!(it.priority))),
            ("basedOn", only(own, json!(earlier))),
        ]
    }

    /// The steps as everyone sees them for whom the referral exists; the same list says by which id events name a step.
    async fn compare_steps(&mut self, number: usize) -> Result<(), Found> {
        let (it, now) = (self.oracle.referrals[number].clone(), self.stage.now());
        for reader in Org::ALL {
            if !self.oracle.is_able(reader) || self.oracle.roles(&it, reader, now).is_empty() {
                continue;
            }
            let path = format!("/v1/referrals/{}/updates?limit=1000", it.id);
            let answer = self.stage.get(reader, path).await;
            let none = Vec::new();
            let items = answer.body["items"].as_array().unwrap_or(&none);
            demand(items.len() == it.steps.len(), || {
                format!("referral {number} has {} steps, expected {:?}: {}", items.len(), it.steps, answer.text)
            })?;
            for (item, step) in items.iter().zip(&it.steps) {
                let members = self.step_for(step, reader, it.sight(reader));
                let wrong = wrong(item, &members);
                demand(wrong.is_empty(), || {
                    format!("a step in referral {number}, as {} sees it: {wrong:?} in {item}", reader.slug())
                })?;
                let id = item["id"].as_str().unwrap_or_default().to_owned();
                let known = self.ids.entry((number, step.version)).or_insert_with(|| id.clone());
                demand(*known == id, || format!("a step in referral {number} is {known} and {id}"))?;
            }
        }
        Ok(())
    }

    fn step_for(&self, step: &Step, reader: Org, sight: Sight) -> Vec<Member> {
        let gateway = self.stage.app().config.gateway.oin.to_string();
        let is_whole = sight == Sight::Whole || step.by == Some(reader);
        let only = |may: bool, value: Value| if may { value } else { Value::Null };
        let carried = is_whole && step.operation == Operation::Supplements;
        vec![
            ("operation", json!(step.operation)),
            ("status", json!(step.status)),
            ("statusReason", only(is_whole, json!(step.reason))),
            ("outcome", only(is_whole, json!(step.outcome))),
            ("by", step.by.map_or_else(|| json!(gateway), |org| json!(org.oin()))),
            ("at", json!(step.at)),
            ("holder", json!(step.holder.map(Org::oin))),
            ("dueAt", only(sight == Sight::Whole || step.holder == Some(reader), json!(step.due_at))),
            ("categories", if carried { json!(["contact"]) } else { json!([]) }),
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
        }
        let before = &self.names[number];
        let kept = before.iter().all(|(org, name)| names.get(org) == Some(name));
        demand(kept, || format!("the names of case {number} were {before:?} and are {names:?}"))?;
        self.names[number] = names;
        Ok(())
    }

    /// With `parts` also who takes part and what was before, which change with the case itself only.
    async fn compare_case(&mut self, number: usize, parts: bool) -> Result<(), Found> {
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
            self.look_at_tag((number, org), &answer, roles.contains(&case::Role::Coordinator))?;
            if parts {
                self.compare_parts(number, org, &roles, &path(org)).await?;
            }
        }
        Ok(())
    }

    /// A reader's tag of a case changes with what it sees; only the coordinator's also with what it does not see. No two readers have the
    /// same one.
    fn look_at_tag(&mut self, (case, org): (usize, Org), answer: &Answer, coordinates: bool) -> Result<(), Found> {
        let tag = answer.headers.get("etag").cloned().unwrap_or_default();
        let others = self.seen.iter().filter(|((_, reader), _)| *reader != org);
        let shared = others.map(|(_, seen)| &seen.tag).any(|others| *others == tag);
        demand(!shared && !tag.is_empty(), || format!("the tag {tag} of case {case} is not {}'s alone", org.slug()))?;
        let former = match self.seen.remove(&(case, org)) {
            Some(seen) => {
                let (same, same_tag) = (seen.body == answer.body, seen.tag == tag);
                demand(same == same_tag || (same && coordinates), || {
                    format!(
                        "{} saw case {case} as {} under {}, and now {tag}: {}",
                        org.slug(),
                        seen.body,
                        seen.tag,
                        answer.text
                    )
                })?;
                if same_tag { seen.former } else { Some(seen.tag) }
            }
            None => None,
        };
        // Where it stands again as before, the former tag holds again.
        let former = former.filter(|former| *former != tag);
        self.seen.insert((case, org), Seen { tag, body: answer.body.clone(), former });
        Ok(())
    }

    fn case_for(&self, number: usize, org: Org, roles: &[case::Role]) -> Vec<Member> {
        let it = self.oracle.settled(number, self.stage.now());
        let is = |role| roles.contains(&role);
        let only = |may: bool, value: Value| if may { value } else { Value::Null };
        let (coordinates, directs) = (is(case::Role::Coordinator), is(case::Role::ProcessDirector));
        let steers = coordinates || directs;
        let offer = it.hand_over.map(|offer| json!({ "organisation": offer.to.oin(), "dueAt": offer.due_at }));
        let proposal = it.proposal.map(|it| json!({ "dueAt": it.due_at, "overdue": it.overdue }));
        let words: Vec<&str> = roles.iter().map(|role| cast::word(*role)).collect();
        let stepped_up = it.stepped_up.map(|it| {
            if steers { json!({ "reason": it.reason, "until": it.until }) } else { json!({ "until": it.until }) }
        });
        let mut stuck: Vec<&String> =
            self.oracle.of_case(number).filter(|it| it.is_noted_as_stuck()).map(|it| &it.id).collect();
        stuck.sort_unstable();
        vec![
            ("id", json!(self.names[number].get(&org))),
            ("status", json!(if it.closed_at.is_some() { "closed" } else { "open" })),
            ("roles", json!(words)),
            ("coordinator", json!(it.coordinator.oin())),
            ("steppedUp", json!(stepped_up)),
            ("offer", only(coordinates || is(case::Role::Candidate), json!(offer))),
            ("stepUpProposal", only(steers, json!(proposal))),
            ("stuckReferrals", only(steers, json!(stuck))),
            ("openReferrals", only(coordinates, json!(self.oracle.open(number)))),
            ("idleUntil", only(coordinates, json!(it.idle_until))),
            ("openedAt", only(coordinates, json!(self.oracle.chronicles[number].opened_at))),
            ("closedAt", only(coordinates, json!(it.closed_at))),
        ]
    }

    /// Who takes part, who coordinated it and when it was stepped up, as a reader sees it.
    async fn compare_parts(&mut self, number: usize, org: Org, roles: &[case::Role], path: &str) -> Result<(), Found> {
        let coordinates = roles.contains(&case::Role::Coordinator);
        let steers = coordinates || roles.contains(&case::Role::ProcessDirector);
        let lasts = self.oracle.settled(number, self.stage.now()).stepped_up.is_some();
        let chronicle = &self.oracle.chronicles[number];
        let expected = [
            ("participants", self.participants_for(number, org, coordinates)),
            ("coordinators", chronicle.coordinators_for(org, coordinates)),
            ("step-ups", chronicle.step_ups_for(steers, lasts)),
        ];
        for (part, expected) in expected {
            let answer = self.stage.get(org, format!("{path}/{part}")).await;
            demand(answer.body["items"] == json!(expected), || {
                format!("{part} of case {number} for {}: expected {expected:?}, got {}", org.slug(), answer.text)
            })?;
        }
        Ok(())
    }

    /// The coordinator sees who takes part and as what; everyone else the coordinator and itself.
    fn participants_for(&self, number: usize, reader: Org, coordinates: bool) -> Vec<Value> {
        let now = self.stage.now();
        let coordinator = self.oracle.cases[number].coordinator;
        let taking_part = Org::ALL.into_iter().filter(|org| self.oracle.takes_part(number, *org));
        let known = taking_part.filter(|org| coordinates || *org == reader || *org == coordinator);
        known
            .map(|org| {
                use case::Role as R;
                let roles = self.oracle.case_roles(number, org, now).into_iter();
                let taking_part = roles.filter(|role| matches!(role, R::Coordinator | R::Invited | R::Participant));
                let shown = taking_part.filter(|role| coordinates || org == reader || *role == R::Coordinator);
                let shown: Vec<&str> = shown.map(cast::word).collect();
                // All have signed the whole covenant; it is shown where it is nobody else's business.
                let mut seen = json!({ "organisation": org.oin(), "roles": shown });
                if coordinates || org == reader {
                    seen["signed"] = json!("covenant");
                }
                seen
            })
            .collect()
    }

    /// What everyone finds in its lists, of what this history has made.
    pub async fn compare_lists(&mut self) -> Result<(), Found> {
        let now = self.stage.now();
        for org in self.oracle.able().collect::<Vec<_>>() {
            let listed = self.stage.listed(org, "/v1/referrals?limit=1000").await;
            for (number, it) in self.oracle.referrals.iter().enumerate() {
                demand(listed.contains(&it.id) == it.is_party(org), || {
                    format!("referral {number} in the list of {}", org.slug())
                })?;
            }
            let held = self.stage.listed(org, "/v1/referrals?role=holder&limit=1000").await;
            for (number, it) in self.oracle.referrals.iter().enumerate() {
                demand(held.contains(&it.id) == (it.holder() == Some(org)), || {
                    format!("referral {number} in the list of what {} holds", org.slug())
                })?;
            }
            let listed = self.stage.listed(org, "/v1/cases?limit=1000").await;
            for (number, names) in self.names.iter().enumerate() {
                let exists = !self.oracle.case_roles(number, org, now).is_empty();
                let found = names.get(&org).is_some_and(|name| listed.contains(name));
                demand(found == (exists && names.contains_key(&org)), || {
                    format!("case {number} in the list of {}", org.slug())
                })?;
            }
        }
        Ok(())
    }

    // ---- events ----

    /// What everyone was told since this was asked last. Nothing is lost by waiting.
    pub(super) async fn compare_feeds(&mut self) -> Result<(), Found> {
        self.unread = 0;
        self.stage.app().sequence().await.map_err(|problem| problem.to_string())?;
        for org in self.oracle.able().collect::<Vec<_>>() {
            let (events, next) = self.stage.feed(org, self.cursors.get(&org).map(String::as_str)).await;
            self.cursors.insert(org, next);
            let (expected, rest) = std::mem::take(&mut self.oracle.told).into_iter().partition(|news| news.to == org);
            self.oracle.told = rest;
            self.tally.events += events.len();
            self.learn_ids(&expected).await?;
            self.follow(org, &events).await?;
            self.compare_feed(org, &events, expected)?;
        }
        Ok(())
    }

    /// The ids of steps that nobody has read yet who could act.
    async fn learn_ids(&mut self, news: &[News]) -> Result<(), Found> {
        for it in news {
            let (About::Referral(number), Some(version)) = (it.about, it.version) else { continue };
            if !self.ids.contains_key(&(number, version)) {
                self.compare_steps(number).await?;
            }
        }
        Ok(())
    }

    /// What an event leads to is there for its reader, as long as that has something to do with it.
    async fn follow(&self, org: Org, events: &[Value]) -> Result<(), Found> {
        let now = self.stage.now();
        let about = |event: &Value| {
            let id = event["subject"].as_str().unwrap_or_default();
            let referral = self.oracle.referrals.iter().find(|it| it.id == id);
            let case = self.names.iter().position(|names| names.get(&org).is_some_and(|name| name == id));
            referral.map_or_else(
                || case.is_none_or(|case| !self.oracle.case_roles(case, org, now).is_empty()),
                |it| !self.oracle.roles(it, org, now).is_empty(),
            )
        };
        for event in events {
            let Some((_, path)) = event["dataref"].as_str().and_then(|address| address.split_once("/v1/")) else {
                continue;
            };
            let answer = self.stage.get(org, format!("/v1/{path}")).await;
            let expected = if about(event) { 200 } else { 404 };
            demand(answer.status == expected, || {
                format!("{} follows {event}: expected {expected}, got {}", org.slug(), answer.text)
            })?;
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
            let (traced, number) = (event["traceparent"].is_string(), sequence(event));
            let last = self.sequences.insert(org, number);
            demand(last.is_none_or(|last| number == last + 1), || {
                format!("{} missed an event before {event}", org.slug())
            })?;
            let leads = event["dataref"].is_string();
            let event = json!({ "type": kind, "data": event["data"], "traced": traced, "leads": leads });
            by_subject.entry(subject).or_default().0.push(event);
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
        let traced = news.is_traced() || matches!(news.about, About::Organisation(_));
        let News { kind, about, mut data, version, leads, .. } = news;
        let (subject, name) = match about {
            About::Referral(number) => (self.oracle.referrals[number].id.clone(), Some("referral")),
            About::Handoff(number) => {
                let handoff = self.stage.handoff(&self.oracle.referrals[number].id, version.unwrap_or_default());
                (handoff, Some("handoff"))
            }
            About::Case(number) => (self.names[number].get(&org).cloned().unwrap_or_default(), Some("case")),
            About::Organisation(who) => (who.oin().to_owned(), None),
        };
        if let Some(name) = name {
            data[name] = json!(subject);
        }
        if let (About::Referral(number), Some(version)) = (about, version) {
            data["update"] = json!(self.ids.get(&(number, version)));
        }
        (subject, json!({ "type": kind, "data": data, "traced": traced, "leads": leads }))
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
