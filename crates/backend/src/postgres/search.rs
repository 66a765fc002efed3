//! Device searches.

use async_trait::async_trait;
use causeway_model::registry::{Device, PageRequest};
use causeway_model::search::DeviceQuery;
use causeway_model::{DeviceId, DeviceNo, RecordNo, Result};
use causeway_platform::search::SearchStore;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::connection::{Columns, db, first};
use super::device::{SELECT, device};
use crate::search::{Bound, Compiled, Words, compile};

const WORDS: Words = Words {
    marker: '$',
    among: ("= ANY (ARRAY (", "))"),
    connection: "d.status",
    frozen: ("d.frozen", "NOT d.frozen"),
    instance: "d.instance = 1",
    name: "d.name COLLATE \"C\"",
    leads: false,
};

impl PostgresStore {
    /// Runs a search. Searches differ too much for their statements to be kept.
    async fn run_search(&self, sql: &str, compiled: &Compiled) -> Result<Vec<Row>> {
        let values: Vec<&(dyn ToSql + Sync)> = compiled
            .values
            .iter()
            .map(|value| match value {
                Bound::Text(text) => text as &(dyn ToSql + Sync),
                Bound::Number(number) => number,
            })
            .collect();
        self.client().await?.query(sql, &values).await.map_err(db)
    }
}

#[async_trait]
impl SearchStore for PostgresStore {
    async fn find_devices(&self, query: &DeviceQuery, ascending: bool, page: PageRequest) -> Result<Vec<Device>> {
        let mut compiled = compile(query, &WORDS);
        let mut clause = std::mem::take(&mut compiled.clause);
        if !ascending && page.marker != RecordNo::LAST {
            let marker = compiled.bind(&WORDS, Bound::Number(page.marker.0));
            clause.push_str(&format!(" AND d.no < {marker}"));
        }
        let order = if ascending { "ASC" } else { "DESC" };
        let limit = compiled.bind(&WORDS, Bound::Number(page.limit.into()));
        let offset = compiled.bind(&WORDS, Bound::Number(page.offset.into()));
        let sql = format!("{SELECT} WHERE {clause} ORDER BY d.no {order} LIMIT {limit} OFFSET {offset}");
        self.run_search(&sql, &compiled).await?.iter().map(device).collect()
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64> {
        let compiled = compile(query, &WORDS);
        let sql = format!("SELECT count(*) FROM {} WHERE {}", compiled.from, compiled.clause);
        let found = self.run_search(&sql, &compiled).await?;
        Ok(found.first().map_or(Ok(0), first::<i64>)?.unsigned_abs())
    }

    async fn device_ids(&self, query: &DeviceQuery, marker: RecordNo, limit: u32) -> Result<Vec<(DeviceNo, DeviceId)>> {
        let mut compiled = compile(query, &WORDS);
        let before = compiled.bind(&WORDS, Bound::Number(marker.0));
        let limit = compiled.bind(&WORDS, Bound::Number(limit.into()));
        let sql = format!(
            "SELECT d.no, d.id FROM {} WHERE {} AND d.no < {before} ORDER BY d.no DESC LIMIT {limit}",
            compiled.from, compiled.clause
        );
        let found = self.run_search(&sql, &compiled).await?;
        found
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceNo(c.take()?), DeviceId::trusted(c.take::<String>()?)))
            })
            .collect()
    }
}
