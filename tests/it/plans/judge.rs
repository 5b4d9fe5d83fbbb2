//! Whether a plan stays as short as it is when the database grows.
//!
//! Each way into a table that grows must be one of these: by a key under which there are only a few rows; through a window that is closed on
//! both sides; along an index that holds a backlog and no history, with a limit; or along an index with a limit and with nothing that passes over
//! rows on the way. Everything else walks further the more is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What is known about tables and indexes beforehand.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Tables that stay small.
    pub small: BTreeSet<String>,
    /// Columns of a table under whose values there are only a few rows.
    pub few: Vec<(String, BTreeSet<String>)>,
    /// Indexes that hold a backlog: what is in them leaves them again.
    pub backlogs: BTreeSet<String>,
    /// The columns of PostgreSQL's indexes, in order.
    pub columns: BTreeMap<String, Vec<String>>,
}

/// How an index is entered: the columns compared for equality, and those with a lower and an upper bound.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    equal: BTreeSet<String>,
    lower: BTreeSet<String>,
    upper: BTreeSet<String>,
}

impl Entry {
    fn add(&mut self, column: &str, operator: &str) {
        let columns = match operator {
            "=" => &mut self.equal,
            ">" | ">=" => &mut self.lower,
            "<" | "<=" => &mut self.upper,
            _ => return,
        };
        columns.insert(column.to_owned());
    }

    /// What of it narrows the walk along an index: the columns up to the first that is not compared for equality. Conditions on those behind it
    /// are only looked at on the way.
    fn leading(self, columns: &[String]) -> Self {
        let equal: Vec<_> = columns.iter().take_while(|column| self.equal.contains(*column)).cloned().collect();
        let next = columns.get(equal.len());
        let of_next = |set: BTreeSet<String>| set.into_iter().filter(|column| Some(column) == next).collect();
        Self { equal: equal.into_iter().collect(), lower: of_next(self.lower), upper: of_next(self.upper) }
    }

    fn is_window(&self) -> bool {
        self.lower.intersection(&self.upper).next().is_some()
    }
}

impl Knowledge {
    fn is_bounded(&self, table: &str, entry: &Entry) -> bool {
        entry.is_window() || self.few.iter().any(|(of, key)| of == table && key.is_subset(&entry.equal))
    }
}

/// One line of SQLite's `EXPLAIN QUERY PLAN`.
#[derive(Debug, Clone)]
pub struct Line {
    pub parent: i64,
    pub detail: String,
}

/// What is wrong with a plan of SQLite. It does not say which conditions pass over rows; PostgreSQL's does.
pub fn sqlite(knowledge: &Knowledge, statement: &str, plan: &[Line]) -> Vec<String> {
    let names = names(statement);
    let mut faults = Vec::new();
    let mut walks = BTreeSet::new();
    for line in plan {
        let words: Vec<&str> = line.detail.split(' ').collect();
        let [verb @ ("SCAN" | "SEARCH"), name, ..] = words.as_slice() else { continue };
        if line.detail == "SCAN CONSTANT ROW" || name.starts_with('(') {
            continue;
        }
        let table = match names.get(*name) {
            Some(Some(table)) => table.as_str(),
            Some(None) => continue,
            // One that the statement does not name: what refers to a row that is removed.
            None => name,
        };
        if knowledge.small.contains(table) {
            continue;
        }
        let index = words.iter().position(|word| *word == "INDEX").and_then(|at| words.get(at + 1));
        let backlog = index.is_some_and(|index| knowledge.backlogs.contains(*index));
        let limited = statement.contains(" LIMIT ");
        if line.detail.contains("AUTOMATIC") || (*verb == "SCAN" && !(backlog && limited)) {
            faults.push(format!("{}: reads all of {table}", line.detail));
        } else if *verb == "SEARCH" && !knowledge.is_bounded(table, &sqlite_entry(&line.detail)) && !backlog {
            walks.insert(line.parent);
            if !limited {
                faults.push(format!("{}: reads as much of {table} as there is", line.detail));
            }
        }
    }
    for line in plan.iter().filter(|line| line.detail.starts_with("USE TEMP B-TREE FOR")) {
        let whole = !line.detail.contains("LAST") && !line.detail.contains("RIGHT PART");
        if whole && walks.contains(&line.parent) {
            faults.push(format!("{}: sorts what has no bound", line.detail));
        }
    }
    faults
}

/// The index that a line of SQLite's plan uses.
pub fn sqlite_index(line: &Line) -> Option<&str> {
    let (_, index) = line.detail.split_once(" INDEX ")?;
    index.split(' ').next()
}

/// Reads `(organisation=? AND id<?)`; the key of a row itself is its `entry`.
fn sqlite_entry(detail: &str) -> Entry {
    let mut entry = Entry::default();
    let conditions = detail.rsplit_once('(').map_or("", |(_, rest)| rest.split(')').next().unwrap_or_default());
    for condition in conditions.split(" AND ") {
        let Some(end) = condition.find(['=', '<', '>']) else { continue };
        let (column, operator) = condition.split_at(end);
        let column = if column == "rowid" { "entry" } else { column };
        entry.add(column, operator.trim_end_matches('?'));
    }
    entry
}

/// The names by which a statement calls its tables; nothing for a subquery, whose own lines are judged.
fn names(statement: &str) -> BTreeMap<String, Option<String>> {
    let spaced = statement.replace('(', " ( ").replace(')', " ) ").replace(',', " , ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let is_name = |word: &str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let mut names = BTreeMap::new();
    for (at, word) in words.iter().enumerate() {
        let next = |steps: usize| words.get(at + steps).copied().unwrap_or_default();
        if ["FROM", "JOIN"].contains(word) && is_name(next(1)) && next(2) == "(" {
            // A function of the database that gives rows.
            names.insert(next(1).to_owned(), None);
        } else if ["FROM", "JOIN", "UPDATE", "INTO"].contains(word) && is_name(next(1)) {
            let table = next(1);
            let alias = if next(2) == "AS" { next(3) } else { next(2) };
            let alias = if is_name(alias) { alias } else { table };
            names.insert(alias.to_owned(), Some(table.to_owned()));
        } else if *word == ")" && next(1) == "AS" && is_name(next(2)) {
            names.entry(next(2).to_owned()).or_insert(None);
        }
    }
    names
}

/// What is wrong with a plan of PostgreSQL (`EXPLAIN (FORMAT JSON)`).
pub fn postgres(knowledge: &Knowledge, plan: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let root = &plan[0]["Plan"];
    assert!(root.is_object(), "no plan: {plan}");
    if plan[0]["JIT"].is_object() {
        faults.push("is compiled before it runs, which takes longer than anything here may take".to_owned());
    }
    walk(knowledge, root, Way::default(), &mut faults);
    faults
}

/// What lies above a node.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// Rows stop being asked for when there are enough.
    limited: bool,
    /// Rows that come from here may be passed over, so that more are asked for.
    sifted: bool,
}

fn walk(knowledge: &Knowledge, node: &Value, way: Way, faults: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if let Some(table) = node["Relation Name"].as_str().filter(|_| kind.ends_with("Scan"))
        && !knowledge.small.contains(table)
        && let Some(fault) = scan(knowledge, kind, table, node, way)
    {
        faults.push(fault);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(knowledge, child, below(kind, node, child, way), faults);
    }
}

fn below(kind: &str, node: &Value, child: &Value, way: Way) -> Way {
    let inner = child["Parent Relationship"] == "Inner";
    match (kind, child["Parent Relationship"].as_str()) {
        (_, Some("SubPlan" | "InitPlan")) => Way::default(),
        ("Limit", _) => Way { limited: true, sifted: false },
        ("Sort" | "Hash" | "Aggregate" | "WindowAgg" | "SetOp" | "ModifyTable" | "Materialize" | "Memoize", _) => {
            Way::default()
        }
        ("Nested Loop" | "Hash Join" | "Merge Join", _) if inner => Way::default(),
        // A key that must be there is; what is looked for to be absent, or by another condition, may not be.
        ("Nested Loop", _) => {
            let sifts =
                node["Join Type"] != "Inner" && node["Join Type"] != "Left" || node.get("Join Filter").is_some();
            Way { sifted: way.sifted || sifts, ..way }
        }
        ("Hash Join" | "Merge Join", _) => Way { sifted: true, ..way },
        _ => Way { sifted: way.sifted || node.get("Filter").is_some(), ..way },
    }
}

fn scan(knowledge: &Knowledge, kind: &str, table: &str, node: &Value, way: Way) -> Option<String> {
    let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
    match kind {
        "Index Scan" | "Index Only Scan" => {
            let (index, condition, filter) = (text("Index Name"), text("Index Cond"), text("Filter"));
            if knowledge.is_bounded(table, &postgres_entry(knowledge, &index, &condition)) {
                return None;
            }
            let backlog = knowledge.backlogs.contains(&index);
            if way.limited && (backlog || (filter.is_empty() && !way.sifted && !condition.is_empty())) {
                return None;
            }
            let passed = if filter.is_empty() { "rows" } else { "rows that it passes over" };
            let limit = if way.limited { "with a limit" } else { "without a limit" };
            Some(format!("reads {passed} of {table} along {index} {limit}: condition {condition}, filter {filter}"))
        }
        "Bitmap Heap Scan" => {
            let is_bounded = |(index, condition): &(String, String)| {
                knowledge.is_bounded(table, &postgres_entry(knowledge, index, condition))
            };
            let bounded = bitmaps(node).iter().all(is_bounded);
            (!bounded).then(|| format!("reads {table} by a bitmap of what has no bound: {}", text("Recheck Cond")))
        }
        _ => Some(format!("{kind}: reads all of {table}, filter {}", text("Filter"))),
    }
}

/// The indexes and conditions of the bitmaps below a node.
fn bitmaps(node: &Value) -> Vec<(String, String)> {
    let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
    let own = (node["Node Type"] == "Bitmap Index Scan").then(|| (text("Index Name"), text("Index Cond")));
    let below = node["Plans"].as_array().into_iter().flatten().flat_map(bitmaps);
    own.into_iter().chain(below).collect()
}

/// Reads `((d.subscription = s.id) AND ("position" < $2))`.
fn postgres_entry(knowledge: &Knowledge, index: &str, condition: &str) -> Entry {
    let mut entry = Entry::default();
    for part in condition.split(" AND ") {
        let mut words = part.trim_start_matches('(').split(' ');
        let (column, operator) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let column = column.trim_end_matches(')').rsplit('.').next().unwrap_or_default();
        entry.add(column.trim_matches('"'), operator);
    }
    entry.leading(knowledge.columns.get(index).map_or(&[], Vec::as_slice))
}
