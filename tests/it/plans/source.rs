//! Every statement of the program, read from its sources: the literals that begin like SQL, put together where a macro puts them together.
//!
//! It reads as much Rust as statements are written in: literals, `concat!`, and macros of one arm that take a literal. A piece of SQL that it
//! cannot attribute to a whole statement is a fault, so that none is passed over.

use std::collections::HashMap;
use std::path::Path;

/// A statement and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    pub text: String,
    pub place: String,
}

/// What was found in the sources.
#[derive(Debug, Default)]
pub struct Found {
    pub statements: Vec<Statement>,
    /// What cannot be read as a whole statement, and ways of making a statement that this cannot see.
    pub faults: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// A token and its line.
type Tokens = Vec<(Token, usize)>;

/// A macro that puts a statement together: the name of its one parameter, and its body.
struct Macro {
    parameter: Option<String>,
    body: Tokens,
}

/// Reads all sources below a folder, without their tests.
pub fn read_folder(folder: &Path) -> Found {
    let mut found = Found::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
                read(&path.to_string_lossy(), &std::fs::read_to_string(&path).unwrap(), &mut found);
            }
        }
    }
    found.statements.sort();
    found.statements.dedup_by(|left, right| left.text == right.text);
    found
}

/// Reads one source.
pub fn read(file: &str, source: &str, found: &mut Found) {
    let tokens = tokens(source);
    let mut macros = HashMap::new();
    let mut at = 0;
    while at < tokens.len() {
        let line = tokens[at].1;
        if is_word(&tokens, at, "mod") && is_word(&tokens, at + 1, "tests") && is_mark(&tokens, at + 2, '{') {
            break;
        }
        if is_word(&tokens, at, "leak") {
            found
                .faults
                .push(format!("{file}:{line}: a text made at run time could become a statement that nobody sees"));
        }
        if is_word(&tokens, at, "Insert") && is_mark(&tokens, at + 1, '{') {
            let end = closing(&tokens, at + 1).unwrap_or(tokens.len());
            let place = format!("{file}:{line}");
            match insert(&tokens[at + 2..end - 1]) {
                Some(text) => found.statements.push(Statement { text, place }),
                // The declaration itself has no values.
                None if tokens[at..end].iter().all(|(token, _)| !matches!(token, Token::Text(_))) => {}
                None => found.faults.push(format!("{place}: an insert that cannot be read")),
            }
            at = end;
            continue;
        }
        if is_word(&tokens, at, "macro_rules")
            && let Some((name, one, end)) = macro_rules(&tokens, at)
        {
            macros.insert(name, one);
            at = end;
            continue;
        }
        let Some((text, end)) = text(&tokens, at, &macros, None) else {
            at += 1;
            continue;
        };
        let place = format!("{file}:{line}");
        if ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|verb| text.starts_with(verb)) {
            // The one place that makes statements of values of `Insert`, which are read themselves.
            if !(text.contains("{}") && file.ends_with("src/storage/append.rs")) {
                found.statements.push(Statement { text, place });
            }
        } else if has_parameter(&text) {
            found.faults.push(format!("{place}: a piece of a statement that cannot be read as a whole: {text}"));
        }
        at = end;
    }
}

fn has_parameter(text: &str) -> bool {
    text.split('$').skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_word(tokens: &Tokens, at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some((Token::Word(found), _)) if found == word)
}

fn is_mark(tokens: &Tokens, at: usize, mark: char) -> bool {
    matches!(tokens.get(at), Some((Token::Mark(found), _)) if *found == mark)
}

/// The statement for one row that follows from `table: "…", columns: &["…", …], conflict: "…"`.
fn insert(fields: &[(Token, usize)]) -> Option<String> {
    let after = |name: &str| {
        let at = fields.iter().position(|(token, _)| *token == Token::Word(name.to_owned()))?;
        let texts = fields[at + 1..].iter().take_while(|(token, _)| !matches!(token, Token::Word(_)));
        let texts =
            texts.filter_map(|(token, _)| if let Token::Text(text) = token { Some(text.as_str()) } else { None });
        Some(texts.collect::<Vec<_>>())
    };
    let (table, columns, conflict) = (after("table")?, after("columns")?, after("conflict")?);
    let values: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    let text = format!("INSERT INTO {} ({columns}) VALUES ({values}) {}", table.first()?, conflict.first()?);
    (!columns.is_empty()).then(|| text.trim_end().to_owned())
}

/// The place behind the bracket that closes the one at `at`.
fn closing(tokens: &Tokens, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, (token, _)) in tokens.iter().enumerate().skip(at) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place + 1);
        }
    }
    None
}

/// `macro_rules! name { ($parameter:literal) => { body } }`, with other arms than that left alone.
fn macro_rules(tokens: &Tokens, at: usize) -> Option<(String, Macro, usize)> {
    let Some((Token::Word(name), _)) = tokens.get(at + 2) else { return None };
    let end = closing(tokens, at + 3)?;
    let pattern_end = closing(tokens, at + 4)?;
    let parameter = match tokens.get(at + 6) {
        Some((Token::Word(word), _)) => Some(word.clone()),
        _ => None,
    };
    // After the pattern: = > {
    let body_end = closing(tokens, pattern_end + 2)?;
    let body = tokens[pattern_end + 3..body_end - 1].to_vec();
    text_could_be_in(&body).then(|| (name.clone(), Macro { parameter, body }, end))
}

fn text_could_be_in(body: &Tokens) -> bool {
    body.iter().any(|(token, _)| matches!(token, Token::Text(_)))
}

/// The text that an expression stands for, and the place behind it.
fn text(
    tokens: &Tokens,
    at: usize,
    macros: &HashMap<String, Macro>,
    bound: Option<(&str, &str)>,
) -> Option<(String, usize)> {
    match &tokens.get(at)?.0 {
        Token::Text(text) => Some((text.clone(), at + 1)),
        Token::Mark('$') => {
            let (parameter, value) = bound?;
            is_word(tokens, at + 1, parameter).then(|| (value.to_owned(), at + 2))
        }
        Token::Word(name) if is_mark(tokens, at + 1, '!') => {
            let end = closing(tokens, at + 2)?;
            let mut parts = Vec::new();
            let mut place = at + 3;
            while place < end - 1 {
                let (part, next) = text(tokens, place, macros, bound)?;
                parts.push(part);
                place = if is_mark(tokens, next, ',') { next + 1 } else { next };
            }
            if name == "concat" {
                return Some((parts.concat(), end));
            }
            let one = macros.get(name)?;
            let bound = one.parameter.as_deref().zip(parts.first().map(String::as_str));
            let (value, after) = text(&one.body, 0, macros, bound)?;
            (after == one.body.len()).then_some((value, end))
        }
        _ => None,
    }
}

fn tokens(source: &str) -> Tokens {
    let mut reader = Reader { left: source, line: 1 };
    let mut tokens = Vec::new();
    while let Some(first) = reader.left.chars().next() {
        let line = reader.line;
        if reader.left.starts_with("//") {
            reader.take_while(|c| c != '\n');
        } else if reader.left.starts_with("/*") {
            let end = reader.left.find("*/").map_or(reader.left.len(), |end| end + 2);
            reader.take(end);
        } else if first == '"' {
            tokens.push((Token::Text(reader.literal()), line));
        } else if let Some(hashes) = raw(reader.left) {
            tokens.push((Token::Text(reader.raw_literal(hashes)), line));
        } else if first == '\'' {
            reader.quote();
        } else if first.is_alphanumeric() || first == '_' {
            tokens.push((Token::Word(reader.take_while(|c| c.is_alphanumeric() || c == '_').to_owned()), line));
        } else {
            if !first.is_whitespace() {
                tokens.push((Token::Mark(first), line));
            }
            reader.take(first.len_utf8());
        }
    }
    tokens
}

/// How many `#` a raw literal that begins here has.
fn raw(left: &str) -> Option<usize> {
    let rest = left.strip_prefix("br").or_else(|| left.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

struct Reader<'a> {
    left: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, left) = self.left.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.left = left;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.left.find(|c| !wanted(c)).unwrap_or(self.left.len());
        self.take(end)
    }

    fn literal(&mut self) -> String {
        let mut text = String::new();
        self.take(1);
        loop {
            text.push_str(self.take_while(|c| c != '"' && c != '\\'));
            if self.left.is_empty() || self.take(1) == "\"" {
                return text;
            }
            match self.left.chars().next() {
                Some('\n') => drop(self.take_while(char::is_whitespace)),
                Some(escaped) => {
                    self.take(escaped.len_utf8());
                    text.push(if escaped == 'n' { '\n' } else { escaped });
                }
                None => return text,
            }
        }
    }

    fn raw_literal(&mut self, hashes: usize) -> String {
        self.take_while(|c| c != '"');
        self.take(1);
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.left.find(&close).unwrap_or(self.left.len());
        let text = self.take(end).to_owned();
        self.take(close.len().min(self.left.len()));
        text
    }

    /// A character, or a lifetime.
    fn quote(&mut self) {
        self.take(1);
        let mut characters = self.left.chars();
        let (first, second) = (characters.next(), characters.next());
        if first == Some('\\') {
            self.take(2.min(self.left.len()));
            self.take_while(|c| c != '\'');
            self.take(1);
        } else if second == Some('\'') {
            self.take(first.map_or(0, char::len_utf8) + 1);
        }
    }
}
