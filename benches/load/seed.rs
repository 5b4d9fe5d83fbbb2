//! Fills a gateway's database with as many referrals as are wanted, in bulk, and puts their records and events in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sluis::app::App;
use sluis::audit;
use sluis::clock::Timestamp;
use sluis::storage::{Args, Tx};

use crate::seed_rows::Mould;
use crate::template::{self, Insert};
use crate::{Outcome, say};

/// Referrals written by one statement for each table.
const TOGETHER: u64 = 50;
/// Such bundles under way.
const UNDER_WAY: usize = 8;
/// The first referral is so old.
const AGE: Duration = Duration::from_hours(24 * 14);

/// Makes referrals like one that the gateway has accepted.
pub struct Seeder {
    app: App,
    mould: Arc<Mould>,
    statements: Arc<[&'static str]>,
    /// When the first one was handed over.
    start: Timestamp,
    made: u64,
}

impl Seeder {
    /// On a database in which at least one referral was accepted; takes the newest one as its example.
    pub async fn new(app: App, url: &str) -> Outcome<Self> {
        let mould = Arc::new(Mould::of(&app, template::of_referral(url).await?)?);
        // A statement of the storage is a constant; these few are made once and stay as long as the program runs.
        let statement = |insert: &Insert| -> &'static str { Box::leak(bulk(insert).into_boxed_str()) };
        let statements = mould.tables().iter().map(statement).collect();
        let start = app.now().minus(AGE);
        Ok(Self { app, mould, statements, start, made: 0 })
    }

    /// Makes at least so many more, and has everything sequenced.
    pub async fn make(&mut self, count: u64) -> Outcome<()> {
        let begin = Instant::now();
        let bundles = (self.made..self.made + count).step_by(usize::try_from(TOGETHER)?);
        self.made += count.next_multiple_of(TOGETHER);
        let seeder = &*self;
        stream::iter(bundles)
            .map(|first| seeder.bundle(first))
            .buffered(UNDER_WAY)
            .try_for_each(async |first| {
                if first > 0 && first.is_multiple_of(100_000) {
                    say(&format!("load: {first} referrals made, {:.0} s", begin.elapsed().as_secs_f64()));
                }
                Ok(())
            })
            .await?;
        let written = begin.elapsed();
        self.app.sequence().await?;
        let (written, all) = (written.as_secs_f64(), begin.elapsed().as_secs_f64());
        say(&format!("load: {count} referrals made in {written:.0} s, sequenced in {:.0} s more", all - written));
        Ok(())
    }

    async fn bundle(&self, first: u64) -> Outcome<u64> {
        let (app, mould, start, count) = (self.app.clone(), Arc::clone(&self.mould), self.start, self.statements.len());
        let cast = move || -> Outcome<_> {
            let (mut records, mut args) = (Vec::new(), vec![Args::new(); count]);
            for number in first..first + TOGETHER {
                let made = mould.cast(&app, number, start.plus(Duration::from_secs(number)))?;
                records.extend(made.records);
                for (args, rows) in args.iter_mut().zip(made.rows) {
                    args.extend(rows);
                }
            }
            Ok((records, args))
        };
        let (records, args) = tokio::task::spawn_blocking(cast).await??;
        let statements = Arc::clone(&self.statements);
        let write = async move |tx: &mut Tx| {
            for record in &records {
                audit::write(tx, record).await?;
            }
            for (statement, args) in statements.iter().zip(&args) {
                tx.execute(statement, args.clone()).await?;
            }
            Ok(())
        };
        self.app.db.write("load-seed", write).await?;
        Ok(first)
    }
}

/// The statement for [`TOGETHER`] referrals: what is there already stays as it is.
fn bulk(insert: &Insert) -> String {
    let mut number = 0;
    let mut parameter = || {
        number += 1;
        format!("${number}")
    };
    let rows = usize::try_from(TOGETHER).unwrap_or(1) * insert.rows.len();
    let row = |parameter: &mut dyn FnMut() -> String| {
        let parameters: Vec<String> = insert.columns.iter().map(|_| parameter()).collect();
        format!("({})", parameters.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(|_| row(&mut parameter)).collect();
    let conflict = if insert.conflict.is_empty() { "" } else { " ON CONFLICT DO NOTHING" };
    format!("INSERT INTO {} ({}) VALUES {}{conflict}", insert.table, insert.columns.join(", "), rows.join(", "))
}
