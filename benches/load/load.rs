//! The two kinds of load. Closed: every connection sends its next request when it has the answer to the one before; says how
//! much can be done. Open: requests start at fixed moments, whether earlier ones are answered or not, and a latency is counted
//! from the moment at which the request should have started; says how long it takes at a given rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::client::{Answer, Target};
use crate::statistics::{Measured, micros};
use crate::{Failure, Outcome};

/// What one connection sends, one after the other.
pub trait Script: Send + 'static {
    /// The next request.
    fn next(&mut self) -> Outcome<Request<Full<Bytes>>>;
    /// Looks at the answer, which has the expected status.
    fn answered(&mut self, answer: &Answer) -> Outcome<()> {
        let _ = answer;
        Ok(())
    }
}

/// For how long.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Before anything is measured.
    pub warm_up: Duration,
    /// Measured.
    pub time: Duration,
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Load {
    /// Of the answers within the measured time, in microseconds.
    pub latencies: Vec<u32>,
    /// Expected answers in all, also those of the warm-up.
    pub answered: u64,
    /// Other answers, by status, with one of them.
    others: BTreeMap<u16, (u64, String)>,
    /// Connections that ended too early.
    broken: Vec<String>,
    time: Duration,
}

impl Load {
    /// The rate and the percentiles, if every answer was as expected.
    pub fn measured(&self) -> Outcome<Measured> {
        self.check()?;
        Measured::of(self.latencies.clone(), self.time).ok_or_else(|| "no answer within the measured time".into())
    }

    /// The percentiles alone, if every answer was as expected.
    pub fn at_given_rate(&self) -> Outcome<Measured> {
        self.check()?;
        Measured::at_given_rate(self.latencies.clone()).ok_or_else(|| "no answer within the measured time".into())
    }

    /// Fails when there was any other answer than the expected one.
    pub fn check(&self) -> Outcome<()> {
        let mut faults: Vec<String> = self
            .others
            .iter()
            .map(|(status, (count, body))| format!("{count} answers {status}, such as {body}"))
            .collect();
        faults.extend(self.broken.iter().take(3).map(|error| format!("a connection failed: {error}")));
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ").into()) }
    }

    fn note(&mut self, answer: &Answer, expected: StatusCode) -> bool {
        if answer.status == expected {
            self.answered += 1;
            return true;
        }
        let (count, _) = self.others.entry(answer.status.as_u16()).or_insert_with(|| {
            (0, String::from_utf8_lossy(&answer.body).chars().filter(|letter| !letter.is_control()).take(300).collect())
        });
        *count += 1;
        false
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.answered += other.answered;
        self.broken.extend(other.broken);
        for (status, (count, body)) in other.others {
            self.others.entry(status).or_insert((0, body)).0 += count;
        }
    }

    async fn gather(mut workers: JoinSet<Self>, time: Duration) -> Self {
        let mut all = Self { time, ..Self::default() };
        while let Some(load) = workers.join_next().await {
            match load {
                Ok(load) => all.add(load),
                Err(error) => all.broken.push(error.to_string()),
            }
        }
        all
    }
}

/// Each script on a connection of its own to the same target, as fast as answers come.
pub async fn closed<S: Script>(target: &Target, expected: StatusCode, times: Times, scripts: Vec<S>) -> Load {
    let scripts = scripts.into_iter().map(|script| (target.clone(), script)).collect();
    closed_each(expected, times, scripts).await
}

/// The same, with a target for each.
pub async fn closed_each<S: Script>(expected: StatusCode, times: Times, scripts: Vec<(Target, S)>) -> Load {
    let mut workers = JoinSet::new();
    let mut connections = Vec::new();
    for (target, script) in scripts {
        match target.connect().await {
            Ok(connection) => connections.push((connection, script)),
            Err(error) => return Load { broken: vec![error.to_string()], ..Load::default() },
        }
    }
    let begin = Instant::now() + times.warm_up;
    let end = begin + times.time;
    for (mut connection, mut script) in connections {
        workers.spawn(async move {
            let mut load = Load::default();
            while Instant::now() < end {
                let sent = Instant::now();
                let answer = match script.next() {
                    Ok(request) => connection.send(request).await,
                    Err(error) => Err(error),
                };
                let done = Instant::now();
                let looked_at = match &answer {
                    Ok(answer) if load.note(answer, expected) => script.answered(answer),
                    Ok(_) => Ok(()),
                    Err(error) => Err(Failure::from(error.to_string())),
                };
                if let Err(error) = looked_at {
                    load.broken.push(error.to_string());
                    break;
                }
                if done >= begin && done < end {
                    load.latencies.push(micros(done - sent));
                }
            }
            load
        });
    }
    Load::gather(workers, times.time).await
}

/// At so many a second, on these connections; what each answer says goes to `watch` with the moment at which its request was due.
pub async fn open<S: Script>(
    target: &Target,
    expected: StatusCode,
    times: Times,
    per_second: u32,
    scripts: Vec<S>,
    watch: Option<mpsc::UnboundedSender<(Instant, Answer)>>,
) -> Load {
    let (ticks, due) = mpsc::unbounded_channel::<(Instant, bool)>();
    let due = Arc::new(Mutex::new(due));
    let mut workers = JoinSet::new();
    for mut script in scripts {
        let (target, due, watch) = (target.clone(), Arc::clone(&due), watch.clone());
        let mut connection = match target.connect().await {
            Ok(connection) => connection,
            Err(error) => return Load { broken: vec![error.to_string()], ..Load::default() },
        };
        workers.spawn(async move {
            let mut load = Load::default();
            loop {
                let tick = due.lock().await.recv().await;
                let Some((scheduled, counts)) = tick else { return load };
                let answer = match script.next() {
                    Ok(request) => connection.send(request).await,
                    Err(error) => Err(error),
                };
                let took = scheduled.elapsed();
                match answer {
                    Ok(answer) => {
                        let fine = load.note(&answer, expected);
                        if fine && let Err(error) = script.answered(&answer) {
                            load.broken.push(error.to_string());
                        }
                        if counts && fine {
                            load.latencies.push(micros(took));
                            if let Some(watch) = &watch {
                                // Whoever does not watch any more does not want to know.
                                let _ = watch.send((scheduled, answer));
                            }
                        }
                    }
                    Err(error) => {
                        load.broken.push(error.to_string());
                        return load;
                    }
                }
            }
        });
    }
    let clock = std::thread::spawn(move || keep_time(&ticks, times, per_second));
    let load = Load::gather(workers, times.time).await;
    // It has ended: the workers end when it drops its side.
    let _ = clock.join();
    load
}

/// A thread of its own: the runtime's timer is only good to a millisecond.
fn keep_time(ticks: &mpsc::UnboundedSender<(Instant, bool)>, times: Times, per_second: u32) {
    let pause = Duration::from_secs(1) / per_second.max(1);
    let start = Instant::now();
    for number in 0.. {
        let after = pause * number;
        if after >= times.warm_up + times.time {
            return;
        }
        let scheduled = start + after;
        std::thread::sleep(scheduled.saturating_duration_since(Instant::now()));
        if ticks.send((scheduled, after >= times.warm_up)).is_err() {
            return;
        }
    }
}
