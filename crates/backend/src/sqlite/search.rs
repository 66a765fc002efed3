//! Device searches.

use async_trait::async_trait;
use causeway_model::registry::{Device, PageRequest};
use causeway_model::search::DeviceQuery;
use causeway_model::{DeviceId, DeviceNo, RecordNo, Result};
use causeway_platform::search::SearchStore;
use rusqlite::params_from_iter;
use rusqlite::types::ToSqlOutput;

use super::SqliteStore;
use super::device::{device_sql, read_device};
use crate::search::{Bound, Words, compile};

const WORDS: Words = Words {
    marker: '?',
    among: ("IN (", ")"),
    connection: "d.connection",
    frozen: ("d.frozen = 1", "d.frozen = 0"),
    instance: "+d.instance = 1",
    name: "d.name",
    leads: true,
};

impl rusqlite::ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Number(number) => number.to_sql(),
        }
    }
}

#[async_trait]
impl SearchStore for SqliteStore {
    async fn find_devices(&self, query: &DeviceQuery, ascending: bool, page: PageRequest) -> Result<Vec<Device>> {
        let mut compiled = compile(query, &WORDS);
        let mut clause = std::mem::take(&mut compiled.clause);
        let (from, position) = (compiled.from, compiled.position);
        if !ascending && page.marker != RecordNo::LAST {
            let marker = compiled.bind(&WORDS, Bound::Number(page.marker.0));
            clause.push_str(&format!(" AND {position} < {marker}"));
        }
        let order = if ascending { "ASC" } else { "DESC" };
        let limit = compiled.bind(&WORDS, Bound::Number(page.limit.into()));
        let offset = compiled.bind(&WORDS, Bound::Number(page.offset.into()));
        let sql = format!(
            device_sql!(
                "WHERE d.no IN (SELECT d.no FROM {} WHERE {} ORDER BY {} {} LIMIT {} OFFSET {}) ORDER BY d.no {}"
            ),
            from, clause, position, order, limit, offset, order
        );
        self.read(move |conn| {
            // Searches differ too much for their statements to be kept.
            conn.prepare(&sql)?.query_and_then(params_from_iter(&compiled.values), read_device)?.collect()
        })
        .await
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64> {
        let compiled = compile(query, &WORDS);
        let sql = format!("SELECT count(*) FROM {} WHERE {}", compiled.from, compiled.clause);
        self.read(move |conn| {
            let count: i64 = conn.prepare(&sql)?.query_row(params_from_iter(&compiled.values), |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    async fn device_ids(&self, query: &DeviceQuery, marker: RecordNo, limit: u32) -> Result<Vec<(DeviceNo, DeviceId)>> {
        let mut compiled = compile(query, &WORDS);
        let position = compiled.position;
        let before = compiled.bind(&WORDS, Bound::Number(marker.0));
        let limit = compiled.bind(&WORDS, Bound::Number(limit.into()));
        let sql = format!(
            "SELECT d.no, d.id FROM {} WHERE {} AND {position} < {before} ORDER BY {position} DESC LIMIT {limit}",
            compiled.from, compiled.clause
        );
        self.read(move |conn| {
            let mut statement = conn.prepare(&sql)?;
            let found = statement.query_map(params_from_iter(&compiled.values), |row| {
                Ok((DeviceNo(row.get(0)?), DeviceId::trusted(row.get::<_, String>(1)?)))
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
