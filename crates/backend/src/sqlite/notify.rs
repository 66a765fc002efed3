//! Notification topics and their subscriptions.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{RecordNo, Result, Timestamp};
use causeway_platform::notify::{NotificationTopic, NotifyStore, Subscription};
use causeway_platform::outbox::TargetKind;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Outcome;
use super::outbox::{drop_target, make_target};
use super::transaction::Tx;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! topic_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, id, name, display_name, created_at, updated_at FROM notification_topic WHERE instance = ?1 ",
            $tail
        )
    };
}

macro_rules! subscription_sql {
    ($tail:literal) => {
        concat!(
            "SELECT no, id, topic, protocol, endpoint, remark, token, confirmed_at, target, created_at \
             FROM subscription WHERE instance = ?1 ",
            $tail
        )
    };
}

fn read_topic(row: &Row<'_>) -> rusqlite::Result<NotificationTopic> {
    Ok(NotificationTopic {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        display_name: row.get(3)?,
        created_at: Timestamp(row.get(4)?),
        updated_at: Timestamp(row.get(5)?),
    })
}

fn read_subscription(row: &Row<'_>) -> Outcome<Subscription> {
    Ok(Subscription {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        topic: RecordNo(row.get(2)?),
        protocol: rows::protocol(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
        endpoint: row.get(4)?,
        remark: row.get(5)?,
        token: row.get(6)?,
        confirmed_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        target: row.get(8)?,
        created_at: Timestamp(row.get(9)?),
    })
}

fn topic(conn: &Connection, sql: &str, word: &str) -> Outcome<Option<NotificationTopic>> {
    Ok(conn.prepare_cached(sql)?.query_row(params![INSTANCE, word], read_topic).optional()?)
}

fn count(conn: &Connection, sql: &str, of: i64) -> Outcome<i64> {
    Ok(conn.prepare_cached(sql)?.query_row([of], |row| row.get(0))?)
}

/// Deletes subscriptions and their targets.
fn end(tx: &mut Tx<'_>, sql: &str, of: i64) -> Outcome<usize> {
    let targets: Vec<i64> =
        tx.conn.prepare_cached(sql)?.query_map([of], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for target in &targets {
        drop_target(tx, *target)?;
    }
    Ok(targets.len())
}

#[async_trait]
impl NotifyStore for SqliteStore {
    async fn insert_notification_topic(&self, mut new: NotificationTopic, limit: u32) -> Result<NotificationTopic> {
        self.write(move |tx| {
            if topic(tx.conn, topic_sql!("AND name = ?2"), &new.name)?.is_some() {
                return Err(rows::notification_topic_exists(&new.name).into());
            }
            let sql = "SELECT count(*) FROM notification_topic WHERE instance = ?1";
            if count(tx.conn, sql, INSTANCE)? >= i64::from(limit) {
                return Err(rows::too_many_notification_topics(limit).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO notification_topic (instance, id, name, display_name, created_at, updated_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![INSTANCE, new.id, new.name, new.display_name, new.created_at.0, new.updated_at.0])?;
            new.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(new)
        })
        .await
    }

    async fn notification_topic(&self, id: &str) -> Result<Option<NotificationTopic>> {
        let id = id.to_owned();
        self.read(move |conn| topic(conn, topic_sql!("AND id = ?2"), &id)).await
    }

    async fn notification_topic_by_name(&self, name: &str) -> Result<Option<NotificationTopic>> {
        let name = name.to_owned();
        self.read(move |conn| topic(conn, topic_sql!("AND name = ?2"), &name)).await
    }

    async fn list_notification_topics(&self, name: Option<&str>, page: PageRequest) -> Result<Page<NotificationTopic>> {
        let name = name.map(str::to_owned);
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(
                    "SELECT count(*) FROM notification_topic WHERE instance = ?1 AND (?2 IS NULL OR instr(name, ?2) > 0)",
                )?
                .query_row(params![INSTANCE, name], |row| row.get(0))?;
            let sql =
                topic_sql!("AND (?2 IS NULL OR instr(name, ?2) > 0) AND no < ?3 ORDER BY no DESC LIMIT ?4 OFFSET ?5");
            let items: Vec<NotificationTopic> = conn
                .prepare_cached(sql)?
                .query_map(params![INSTANCE, name, page.marker.0, page.limit, page.offset], read_topic)?
                .collect::<Result<_, _>>()?;
            let marker = items.last().map_or(page.marker, |t| t.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn update_notification_topic(&self, topic: &NotificationTopic) -> Result<bool> {
        let topic = topic.clone();
        self.write(move |tx| {
            let mut update = tx
                .conn
                .prepare_cached("UPDATE notification_topic SET display_name = ?2, updated_at = ?3 WHERE no = ?1")?;
            Ok(update.execute(params![topic.no.0, topic.display_name, topic.updated_at.0])? > 0)
        })
        .await
    }

    async fn delete_notification_topic(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let Some(found) = topic(tx.conn, topic_sql!("AND id = ?2"), &id)? else { return Ok(false) };
            end(tx, "DELETE FROM subscription WHERE topic = ?1 RETURNING target", found.no.0)?;
            tx.conn.prepare_cached("DELETE FROM notification_topic WHERE no = ?1")?.execute([found.no.0])?;
            Ok(true)
        })
        .await
    }

    async fn insert_subscription(&self, mut new: Subscription, limit: u32) -> Result<Subscription> {
        self.write(move |tx| {
            if count(tx.conn, "SELECT count(*) FROM notification_topic WHERE no = ?1", new.topic.0)? == 0 {
                return Err(rows::notification_topic_gone().into());
            }
            let same: bool = tx
                .conn
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM subscription WHERE topic = ?1 AND protocol = ?2 AND endpoint = ?3)",
                )?
                .query_row(params![new.topic.0, new.protocol.as_str(), new.endpoint], |row| row.get(0))?;
            if same {
                return Err(rows::subscription_exists().into());
            }
            if count(tx.conn, "SELECT count(*) FROM subscription WHERE topic = ?1", new.topic.0)? >= i64::from(limit) {
                return Err(rows::too_many_subscriptions(limit).into());
            }
            new.target = make_target(tx, None, TargetKind::Subscription)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO subscription (instance, topic, id, protocol, endpoint, remark, token, confirmed_at, \
                     target, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    INSTANCE,
                    new.topic.0,
                    new.id,
                    new.protocol.as_str(),
                    new.endpoint,
                    new.remark,
                    new.token,
                    new.confirmed_at.map(|t| t.0),
                    new.target,
                    new.created_at.0,
                ])?;
            new.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(new)
        })
        .await
    }

    async fn subscription(&self, id: &str) -> Result<Option<Subscription>> {
        let id = id.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(subscription_sql!("AND id = ?2"))?
                .query_and_then(params![INSTANCE, id], read_subscription)?
                .next()
                .transpose()
        })
        .await
    }

    async fn subscription_by_token(&self, token: [u8; 32]) -> Result<Option<Subscription>> {
        self.read(move |conn| {
            conn.prepare_cached(subscription_sql!("AND token = ?2"))?
                .query_and_then(params![INSTANCE, token], read_subscription)?
                .next()
                .transpose()
        })
        .await
    }

    async fn list_subscriptions(&self, topic: RecordNo, page: PageRequest) -> Result<Page<Subscription>> {
        self.read(move |conn| {
            let count = count(conn, "SELECT count(*) FROM subscription WHERE topic = ?1", topic.0)?;
            let items: Vec<Subscription> = conn
                .prepare_cached(subscription_sql!("AND topic = ?2 AND no < ?3 ORDER BY no DESC LIMIT ?4 OFFSET ?5"))?
                .query_and_then(params![INSTANCE, topic.0, page.marker.0, page.limit, page.offset], read_subscription)?
                .collect::<Outcome<_>>()?;
            let marker = items.last().map_or(page.marker, |s| s.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn confirm_subscription(&self, id: &str, at: Timestamp) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(
                "UPDATE subscription SET confirmed_at = coalesce(confirmed_at, ?3) WHERE instance = ?1 AND id = ?2",
            )?;
            Ok(update.execute(params![INSTANCE, id, at.0])? > 0)
        })
        .await
    }

    async fn delete_subscription(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let mut find = tx.conn.prepare_cached("SELECT no FROM subscription WHERE instance = ?1 AND id = ?2")?;
            let Some(no) = find.query_row(params![INSTANCE, id], |row| row.get(0)).optional()? else {
                return Ok(false);
            };
            drop(find);
            Ok(end(tx, "DELETE FROM subscription WHERE no = ?1 RETURNING target", no)? > 0)
        })
        .await
    }

    async fn subscriptions(&self, topic: Option<RecordNo>) -> Result<Vec<Subscription>> {
        self.read(move |conn| {
            conn.prepare_cached(subscription_sql!("AND (?2 IS NULL OR topic = ?2) ORDER BY no"))?
                .query_and_then(params![INSTANCE, topic.map(|t| t.0)], read_subscription)?
                .collect()
        })
        .await
    }
}
