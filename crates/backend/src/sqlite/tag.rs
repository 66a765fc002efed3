//! Tags of devices.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{Code, DeviceId, DeviceNo, Error, Result, Spaces};
use causeway_platform::tag::TagStore;
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::app::in_spaces;
use super::session::require_device;
use super::{INSTANCE, SqliteStore};
use crate::grouping;

#[async_trait]
impl TagStore for SqliteStore {
    async fn put_tags(&self, device: DeviceNo, tags: &[Tag], most: u32) -> Result<()> {
        let tags = tags.to_vec();
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            let mut put = tx.conn.prepare_cached(
                "INSERT INTO device_tag (device, key, instance, app, value) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (device, key) DO UPDATE SET value = excluded.value",
            )?;
            for tag in &tags {
                put.execute(params![device.0, tag.key, INSTANCE, app, tag.value])?;
            }
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM device_tag WHERE device = ?1")?
                .query_row([device.0], |row| row.get(0))?;
            if count > i64::from(most) { Err(grouping::too_many_tags(most).into()) } else { Ok(()) }
        })
        .await
    }

    async fn remove_tags(&self, device: DeviceNo, keys: &[String]) -> Result<()> {
        let keys = keys.to_vec();
        self.write(move |tx| {
            let mut remove = tx.conn.prepare_cached("DELETE FROM device_tag WHERE device = ?1 AND key = ?2")?;
            for key in &keys {
                if remove.execute(params![device.0, key])? == 0 {
                    let message = format!("Invalid input. The device has no tag with the key '{key}'.");
                    return Err(Error::new(Code::TagNotFound, message).into());
                }
            }
            Ok(())
        })
        .await
    }

    async fn devices_with_tags(
        &self,
        spaces: &Spaces,
        tags: &[TagQuery],
        page: PageRequest,
    ) -> Result<Page<(DeviceNo, DeviceId)>> {
        // The newest of each tag come from an index in their order; the page is among them.
        let among = i64::from(page.offset) + i64::from(page.limit);
        let (mut newest, mut newest_values) = (Vec::new(), Vec::new());
        let (mut all, mut all_values) = (Vec::new(), Vec::new());
        for tag in tags {
            let mut clause = String::from("key = ?");
            let mut values = vec![Value::from(tag.key.clone())];
            if let Some(value) = &tag.value {
                clause.push_str(" AND value = ?");
                values.push(Value::from(value.clone()));
            }
            in_spaces(spaces, "app", &mut clause, &mut values);
            all.push(format!("SELECT device FROM device_tag WHERE {clause}"));
            all_values.extend(values.iter().cloned());
            newest.push(format!(
                "SELECT device FROM (SELECT device FROM device_tag WHERE {clause} AND device < ? \
                 ORDER BY device DESC LIMIT ?)"
            ));
            newest_values.extend(values);
            newest_values.extend([Value::from(page.marker.0), Value::from(among)]);
        }
        newest_values.extend([Value::from(i64::from(page.limit)), Value::from(i64::from(page.offset))]);
        let all = all.join(" UNION ");
        let newest = newest.join(" UNION ");
        self.read(move |conn| {
            let count: i64 = conn
                .prepare(&format!("SELECT count(*) FROM ({all})"))?
                .query_row(params_from_iter(&all_values), |row| row.get(0))?;
            let sql = format!(
                "SELECT d.no, d.id FROM (SELECT device FROM ({newest}) ORDER BY device DESC LIMIT ? OFFSET ?) t \
                 JOIN device d ON d.no = t.device ORDER BY d.no DESC"
            );
            let items = conn
                .prepare(&sql)?
                .query_map(params_from_iter(&newest_values), |row| {
                    Ok((DeviceNo(row.get(0)?), DeviceId::trusted(row.get::<_, String>(1)?)))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let marker = items.last().map_or(page.marker, |(no, _)| (*no).into());
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }
}
