//! The monitor over HTTP: figures of a period, needs, and single lines for what is overdue; as JSON or as CSV.
//!
//! Invariant: figures come from what was kept, whatever is asked for. The one thing that is looked up when it is asked for is which
//! hand-overs are overdue, and of these nothing is told but the route, whole working days and an id made for this reader.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::figures::Figures;
use super::period::Period;
use super::store::{self, Route};
use super::view::{self, Filter};
use crate::clock::Timestamp;
use crate::http::page::{Page, Pair};
use crate::http::{Answer, Call};
use crate::ids::Oin;
use crate::lifecycle::working_days::{end_of_day, local_date, working_days_between};
use crate::problem::{Code, Problem};

const CSV: &str = "text/csv";
/// How many weeks of trend there are.
const TREND: usize = 26;

/// The organisation that reads the monitor: the municipality of the covenant. Two readers could put their tables together, so the scope
/// alone is not enough.
async fn reader(call: &Call) -> Result<Oin, Problem> {
    let caller = &call.caller()?.organisation;
    let municipality = call.app.covenants.municipality(&mut call.app.db.reader(), call.app.now()).await?;
    if municipality.as_ref() == Some(caller) {
        return Ok(caller.clone());
    }
    Err(Problem::new(Code::Forbidden, "only the municipality of the covenant reads the monitor"))
}

/// `GET /v1/handoffs`: the hand-overs that are overdue, the longest first.
///
/// # Errors
/// 400 for a cursor that was not made here; 403 for who is not the municipality; when the database fails.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let reader = reader(&call).await?;
    let after = page.after()?.map(|Pair(days, id)| (days, id));
    let lines = overdue(&call, &reader, after, usize::try_from(page.rows()).unwrap_or(usize::MAX)).await?;
    if call.accepts_csv {
        return Ok(page.answer_as(&call, "/v1/handoffs", lines, Overdue::key, |lines| {
            let header = ["id", "sender", "recipient", "workingDaysLate"].map(str::to_owned);
            let fields: Vec<Vec<String>> = lines.iter().map(Overdue::fields).collect();
            Answer::bytes(CSV, view::csv(&header, &fields))
        }));
    }
    page.answer(&call, "/v1/handoffs", lines, Overdue::key)
}

/// The lines behind the last one of an earlier page, so many of them at least, if there are. Lines of a day are sorted by the id, which
/// tells nothing: any other order would tell which was late first. So a day is always read to its end.
async fn overdue(
    call: &Call,
    reader: &Oin,
    after: Option<(u32, Uuid)>,
    wanted: usize,
) -> Result<Vec<Overdue>, Problem> {
    let now = call.app.now();
    let (sender, recipient) = (call.query_text("sender"), call.query_text("recipient"));
    let fits = |wanted: Option<&str>, party: &Oin| wanted.is_none_or(|wanted| wanted == party.as_str());
    let mut lines: Vec<Overdue> = Vec::new();
    let mut from = (after.map_or(Timestamp::from_micros(0), |(days, _)| late_for(days, now)), String::new());
    loop {
        let found = store::late(&mut call.app.db.reader(), from, start_of_day(now)).await?;
        let enough = lines.len() >= wanted;
        for open in found.items {
            let Some(days) = open.late_since.map(|since| working_days_between(since, now)) else { continue };
            if enough && lines.last().is_some_and(|last| last.days != days) {
                return Ok(sorted(lines));
            }
            let id = open.id.parse().map_err(|_| Problem::internal("the identifier of a referral is none"))?;
            let id = call.app.pseudonyms.alias("handoff", id, reader);
            let is_behind = after.is_none_or(|(last, last_id)| (last, id) > (days, last_id));
            let Route { sender: by, recipient: to, .. } = open.route;
            if days > 0 && is_behind && fits(sender, &by) && fits(recipient, &to) {
                lines.push(Overdue { id, days, sender: by, recipient: to });
            }
        }
        let Some(next) = found.next else { return Ok(sorted(lines)) };
        from = next;
    }
}

fn sorted(mut lines: Vec<Overdue>) -> Vec<Overdue> {
    lines.sort_by(|one, other| (other.days, one.id).cmp(&(one.days, other.id)));
    lines
}

/// A moment before which nothing is late for so few working days.
fn late_for(days: u32, now: Timestamp) -> Timestamp {
    let mut date = local_date(now);
    while working_days_between(end_of_day(date), now) <= days {
        let Some(before) = date.previous_day() else { break };
        date = before;
        if working_days_between(end_of_day(date), now) >= 1_000 {
            return Timestamp::from_micros(0);
        }
    }
    end_of_day(date)
}

/// A hand-over that is overdue.
#[derive(Serialize)]
struct Overdue {
    id: Uuid,
    #[serde(rename = "workingDaysLate")]
    days: u32,
    sender: Oin,
    recipient: Oin,
}

impl Overdue {
    fn key(&self) -> String {
        Pair(self.days, self.id).to_string()
    }

    fn fields(&self) -> Vec<String> {
        vec![self.id.to_string(), self.sender.to_string(), self.recipient.to_string(), self.days.to_string()]
    }
}

fn start_of_day(now: Timestamp) -> Timestamp {
    let today = local_date(now);
    end_of_day(today.previous_day().unwrap_or(today))
}

/// `GET /v1/handoffs/summary`: the figures of a week or a quarter, with the weeks up to then.
///
/// # Errors
/// 403 for who is not the municipality; 404 where there are no figures of the period; when the database fails.
pub async fn summary(call: Call) -> Result<Answer, Problem> {
    let (period, figures, periods) = asked_for(&call, None).await?;
    let text = |name: &str| call.query_text(name).map(str::to_owned);
    let filter = Filter {
        sender: text("sender"),
        recipient: text("recipient"),
        purpose: text("purpose"),
        priority: text("priority"),
        reason: None,
    };
    let lines = view::lines(&figures, period.is_quarter(), &filter);
    let weeks = trend(&call, period, &periods).await?;
    if call.accepts_csv {
        let name = period.to_string();
        let mut rows: Vec<Vec<String>> = lines.iter().map(|line| line.fields(&name)).collect();
        for (week, figures) in weeks.iter().filter(|(week, _)| *week != period) {
            let name = week.to_string();
            rows.extend(view::lines(figures, false, &Filter::default()).iter().map(|line| line.fields(&name)));
        }
        return Ok(Answer::bytes(CSV, view::csv(&view::summary_header(), &rows)));
    }
    let mut trend = Vec::new();
    for (week, figures) in &weeks {
        let lines = view::lines(figures, false, &Filter::default());
        trend.extend(lines.iter().map(|line| with_period(line.json(), *week)));
    }
    let mut body = head(period, &figures);
    body.insert("items".into(), lines.iter().map(view::Line::json).collect());
    body.insert("trend".into(), trend.into());
    body.insert("periods".into(), periods.iter().map(ToString::to_string).collect());
    Answer::ok(&body)
}

/// `GET /v1/handoffs/needs`: steering information, the life domains that came with referrals for each purpose in a quarter.
///
/// # Errors
/// As [`summary`].
pub async fn needs(call: Call) -> Result<Answer, Problem> {
    let (period, figures, _) = asked_for(&call, Some(true)).await?;
    let needs = view::needs(&figures, call.query_text("purpose"));
    if call.accepts_csv {
        let header = ["period", "purpose", "category", "flows", "referrals"].map(str::to_owned);
        let text = |need: &Value, name: &str| need[name].as_str().unwrap_or_default().to_owned();
        let fields = |need: &Value| {
            let figure = &need["referrals"];
            let shown = if figure["count"].is_null() { text(figure, "code") } else { figure["count"].to_string() };
            vec![period.to_string(), text(need, "purpose"), text(need, "category"), text(need, "flows"), shown]
        };
        let rows: Vec<Vec<String>> = needs.iter().map(fields).collect();
        return Ok(Answer::bytes(CSV, view::csv(&header, &rows)));
    }
    let mut body = head(period, &figures);
    body.insert("items".into(), needs.into());
    Answer::ok(&body)
}

fn head(period: Period, figures: &Figures) -> Map<String, Value> {
    let (from, until) = period.days().unzip();
    let day = |day: Option<time::Date>| day.map(|day| day.to_string());
    let members = [
        ("period", json!(period.to_string())),
        ("from", json!(day(from))),
        ("until", json!(day(until))),
        ("madeAt", json!(figures.made_at)),
        ("threshold", json!(figures.threshold)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn with_period(mut line: Value, week: Period) -> Value {
    if let Some(members) = line.as_object_mut() {
        members.insert("period".into(), week.to_string().into());
    }
    line
}

/// The period that is asked for, else the last one: a quarter, or a week as long as no quarter has closed.
async fn asked_for(call: &Call, quarters: Option<bool>) -> Result<(Period, Figures, Vec<Period>), Problem> {
    let reader = &reader(call).await?;
    let mut periods = store::periods(&mut call.app.db.reader(), reader).await?;
    periods.sort_by_key(|period| (period.bounds(), *period));
    let fits = |period: &&Period| quarters.is_none_or(|quarters| period.is_quarter() == quarters);
    let period = if let Some(text) = call.query_text("period") {
        text.parse().map_err(|_| {
            Problem::invalid_param("period", "format", "expected a week such as 2026-W46 or a quarter such as 2026-Q3")
        })?
    } else {
        let quarter = periods.iter().filter(fits).rfind(|period| period.is_quarter());
        *quarter.or_else(|| periods.iter().rfind(fits)).ok_or_else(Problem::not_found)?
    };
    if !fits(&&period) {
        return Err(Problem::not_found());
    }
    let figures = store::figures(&mut call.app.db.reader(), reader, period).await?.ok_or_else(Problem::not_found)?;
    Ok((period, figures, periods))
}

/// The weeks up to the end of a period.
async fn trend(call: &Call, period: Period, periods: &[Period]) -> Result<Vec<(Period, Figures)>, Problem> {
    let reader = &call.caller()?.organisation;
    let end = |period: &Period| period.bounds().map(|(_, until)| until);
    let weeks: Vec<Period> =
        periods.iter().filter(|week| !week.is_quarter() && end(week) <= end(&period)).copied().collect();
    let mut trend = Vec::new();
    for week in weeks.iter().skip(weeks.len().saturating_sub(TREND)) {
        if let Some(figures) = store::figures(&mut call.app.db.reader(), reader, *week).await? {
            trend.push((*week, figures));
        }
    }
    Ok(trend)
}
