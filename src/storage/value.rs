//! What goes into a statement and what comes out of it, the same for both databases.
//!
//! Invariant: only four kinds of value exist (text, integer, bytes and their absence), so that one statement text
//! means the same on `SQLite` and on `PostgreSQL`. Flags are 0 or 1, moments are microseconds.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row as _, Type};
use uuid::Uuid;

use super::Error;
use crate::clock::Timestamp;
use crate::ids::Oin;

/// One parameter of a statement.
#[derive(Debug, Clone)]
pub enum Value {
    /// TEXT, or its absence.
    Text(Option<String>),
    /// BIGINT, or its absence.
    Integer(Option<i64>),
    /// BYTEA or BLOB, or its absence.
    Bytes(Option<Vec<u8>>),
}

/// The parameters of a statement, in order; made by [`args!`](crate::args).
pub type Args = Vec<Value>;

/// Lists the parameters of a statement: `args![id, name, now]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::storage::Value::from($value)),*] };
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(Some(i64::from(flag)))
    }
}

impl From<Timestamp> for Value {
    fn from(moment: Timestamp) -> Self {
        Self::Integer(Some(moment.as_micros()))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(moment: Option<Timestamp>) -> Self {
        Self::Integer(moment.map(Timestamp::as_micros))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl From<Option<Uuid>> for Value {
    fn from(id: Option<Uuid>) -> Self {
        Self::Text(id.map(|id| id.to_string()))
    }
}

impl From<&Oin> for Value {
    fn from(oin: &Oin) -> Self {
        Self::Text(Some(oin.as_str().to_owned()))
    }
}

impl From<Option<&Oin>> for Value {
    fn from(oin: Option<&Oin>) -> Self {
        Self::Text(oin.map(|oin| oin.as_str().to_owned()))
    }
}

/// One row of an answer; columns are read by name.
pub enum Row {
    /// A row of `SQLite`.
    Sqlite(SqliteRow),
    /// A row of `PostgreSQL`.
    Postgres(PgRow),
}

impl Row {
    fn get<'r, T>(&'r self, column: &'static str) -> Result<T, Error>
    where
        T: Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite> + Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
        &'static str: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(Error::from)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// When the column is absent, empty or of another kind; so for every reader below.
    pub fn text(&self, column: &'static str) -> Result<String, Error> {
        self.get(column)
    }

    /// A text, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_text(&self, column: &'static str) -> Result<Option<String>, Error> {
        self.get(column)
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn int(&self, column: &'static str) -> Result<i64, Error> {
        self.get(column)
    }

    /// A number, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_int(&self, column: &'static str) -> Result<Option<i64>, Error> {
        self.get(column)
    }

    /// Bytes that must be there.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn bytes(&self, column: &'static str) -> Result<Vec<u8>, Error> {
        self.get(column)
    }

    /// Bytes, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, Error> {
        self.get(column)
    }

    /// A flag that must be there.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn flag(&self, column: &'static str) -> Result<bool, Error> {
        Ok(self.int(column)? != 0)
    }

    /// A moment that must be there.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// A moment, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>, Error> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    /// A text in the form of a type of ours, such as an id or a code.
    ///
    /// # Errors
    /// As [`Row::text`], and when the text does not have that form.
    pub fn parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, Error> {
        self.text(column)?.parse().map_err(|_| Error::Malformed { column })
    }

    /// As [`Row::parsed`], or nothing.
    ///
    /// # Errors
    /// As [`Row::parsed`].
    pub fn opt_parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<Option<T>, Error> {
        self.opt_text(column)?.map(|text| text.parse().map_err(|_| Error::Malformed { column })).transpose()
    }

    /// A JSON text as a value of ours.
    ///
    /// # Errors
    /// As [`Row::text`], and when the text is not such a value.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|_| Error::Malformed { column })
    }

    /// JSON, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`], and when it is no such JSON.
    pub fn opt_json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, Error> {
        let text = self.opt_text(column)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| Error::Malformed { column })
    }
}
