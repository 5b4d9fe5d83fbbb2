//! From the start of the process to its first answer over the network.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::Outcome;
use crate::gateway::Stage;
use crate::report::{Found, Line};
use crate::requests::MUNICIPALITY;
use crate::run::Context;

const PART: &str = "From the start of the process to its first answer";
/// The middle one of so many starts.
const STARTS: usize = 5;

/// Measures the part.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let kind = Some(context.stage.kind);
    let mut fresh = Vec::new();
    for number in 0..STARTS {
        let stage = empty(context, number).await?;
        fresh.push(start(&stage).await);
    }
    let fresh = middle(fresh);
    context.report.add(Line::new(PART, "a database without tables, which are made", kind, Found::value(fresh, "ms")));
    let founded = Found::value(middle_of_starts(&context.stage).await, "ms");
    context.report.add(Line::new(PART, "six organisations, no referral", kind, founded));
    Ok(())
}

/// The middle one of some starts on what is there, in milliseconds.
pub async fn middle_of_starts(stage: &Stage) -> Outcome<f64> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(stage).await);
    }
    middle(starts)
}

async fn start(stage: &Stage) -> Outcome<Duration> {
    let gateway = stage.serve()?;
    let took = gateway.first_answer(&stage.target(MUNICIPALITY, gateway.port)?).await?;
    gateway.stop().await?;
    Ok(took)
}

fn middle(starts: Vec<Outcome<Duration>>) -> Outcome<f64> {
    let mut starts = starts.into_iter().collect::<Outcome<Vec<_>>>()?;
    starts.sort_unstable();
    let middle = starts.get(starts.len() / 2).ok_or("it was never started")?;
    Ok(middle.as_secs_f64() * 1_000.0)
}

/// The same keys and certificates on an empty database.
async fn empty(context: &Context<'_>, number: usize) -> Outcome<Stage> {
    let Stage { kind, folder, .. } = &context.stage;
    let storage = if let Some(server) = context.server() {
        let mut connection = PgConnection::connect(&server.url).await?;
        let schema = format!("empty_{number}");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut connection).await?;
        format!("{}?options=-csearch_path%3D{schema}", server.url)
    } else {
        format!("sqlite:{}", folder.join(format!("empty-{number}.db")).display())
    };
    Ok(Stage { kind: *kind, folder: folder.clone(), storage })
}
