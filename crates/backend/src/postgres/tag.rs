//! Tags of devices.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{Code, DeviceId, DeviceNo, Error, Result, Spaces};
use causeway_platform::tag::TagStore;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device};
use crate::grouping;

/// Parameters: instance, spaces, keys and their values (null for any). Begins at the tags: an index for each pair.
const DEVICES: &str = "SELECT t.device FROM unnest($3::text[], $4::text[]) AS q (key, value)
    JOIN device_tag t ON t.key = q.key AND (q.value IS NULL OR t.value = q.value)
    WHERE t.instance = $1
        AND ($2::text[] IS NULL OR t.app = ANY (ARRAY (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2))))";

#[async_trait]
impl TagStore for PostgresStore {
    async fn put_tags(&self, device: DeviceNo, tags: &[Tag], most: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two callers must not pass the limit together.
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        let app: i64 = first(&found)?;
        let put = "INSERT INTO device_tag (device, key, instance, app, value) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (device, key) DO UPDATE SET value = excluded.value";
        for tag in tags {
            run(&transaction, put, &[&device.0, &tag.key, &INSTANCE, &app, &tag.value]).await.map_err(db)?;
        }
        let sql = "SELECT count(*) FROM device_tag WHERE device = $1";
        let count = row(&transaction, sql, &[&device.0]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? > i64::from(most) {
            return Err(grouping::too_many_tags(most));
        }
        transaction.commit().await.map_err(db)
    }

    async fn remove_tags(&self, device: DeviceNo, keys: &[String]) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT no FROM device WHERE no = $1 FOR NO KEY UPDATE";
        row(&transaction, sql, &[&device.0]).await.map_err(db)?;
        for key in keys {
            let sql = "DELETE FROM device_tag WHERE device = $1 AND key = $2";
            if run(&transaction, sql, &[&device.0, key]).await.map_err(db)? == 0 {
                let message = format!("Invalid input. The device has no tag with the key '{key}'.");
                return Err(Error::new(Code::TagNotFound, message));
            }
        }
        transaction.commit().await.map_err(db)
    }

    async fn devices_with_tags(
        &self,
        spaces: &Spaces,
        tags: &[TagQuery],
        page: PageRequest,
    ) -> Result<Page<(DeviceNo, DeviceId)>> {
        let client = self.client().await?;
        let spaces = spaces.ids();
        let keys: Vec<&str> = tags.iter().map(|t| t.key.as_str()).collect();
        let values: Vec<Option<&str>> = tags.iter().map(|t| t.value.as_deref()).collect();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let params: Params<'_> = &[&INSTANCE, &spaces, &keys, &values, &marker, &offset, &limit];
        let sql = format!("SELECT count(DISTINCT f.device) FROM ({DEVICES}) AS f");
        let count = row(&client, &sql, &params[..4]).await.map_err(db)?;
        let sql = format!(
            "SELECT d.no, d.id FROM device d WHERE d.no IN ({DEVICES}) AND d.no < $5
            ORDER BY d.no DESC OFFSET $6 LIMIT $7"
        );
        let items = rows(&client, &sql, params)
            .await
            .map_err(db)?
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceNo(c.take()?), DeviceId::trusted(c.take::<String>()?)))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |(no, _)| (*no).into()),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }
}
