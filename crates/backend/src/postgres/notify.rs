//! Notification topics and their subscriptions.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Error, RecordNo, Result, Timestamp};
use causeway_platform::notify::{NotificationTopic, NotifyStore, Subscription};
use causeway_platform::outbox::TargetKind;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, outbox};
use crate::rows as words;

const TOPIC: &str =
    "SELECT no, id, name, display_name, created_at, updated_at FROM notification_topic WHERE instance = $1";

const SUBSCRIPTION: &str = "SELECT no, id, topic, protocol, endpoint, remark, token, confirmed_at, target, created_at
    FROM subscription WHERE instance = $1";

/// Parameter 2 of every list: the name.
const MATCHES: &str = "($2::text IS NULL OR strpos(name, $2) > 0)";

fn topic(row: &Row) -> Result<NotificationTopic> {
    let mut c = Columns::of(row);
    Ok(NotificationTopic {
        no: RecordNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        display_name: c.take()?,
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

fn subscription(row: &Row) -> Result<Subscription> {
    let mut c = Columns::of(row);
    Ok(Subscription {
        no: RecordNo(c.take()?),
        id: c.take()?,
        topic: RecordNo(c.take()?),
        protocol: words::protocol(c.take()?)?,
        endpoint: c.take()?,
        remark: c.take()?,
        token: c
            .take::<&[u8]>()?
            .try_into()
            .map_err(|_| Error::internal("the store holds a token of another length than 32"))?,
        confirmed_at: c.take::<Option<i64>>()?.map(Timestamp),
        target: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

impl PostgresStore {
    async fn one_topic(&self, condition: &str, word: &str) -> Result<Option<NotificationTopic>> {
        let client = self.client().await?;
        let sql = format!("{TOPIC} AND {condition} = $2");
        row(&client, &sql, &[&INSTANCE, &word]).await.map_err(db)?.as_ref().map(topic).transpose()
    }

    async fn one_subscription(&self, column: &str, value: &(dyn ToSql + Sync)) -> Result<Option<Subscription>> {
        let client = self.client().await?;
        let sql = format!("{SUBSCRIPTION} AND {column} = $2");
        row(&client, &sql, &[&INSTANCE, value]).await.map_err(db)?.as_ref().map(subscription).transpose()
    }
}

#[async_trait]
impl NotifyStore for PostgresStore {
    async fn insert_notification_topic(&self, new: NotificationTopic, limit: u32) -> Result<NotificationTopic> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two topics made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE notification_topic IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE name = $2) FROM notification_topic WHERE instance = $1";
        if let Some(found) = &row(&transaction, sql, &[&INSTANCE, &new.name]).await.map_err(db)? {
            let mut c = Columns::of(found);
            let (all, same): (i64, i64) = (c.take()?, c.take()?);
            if same > 0 {
                return Err(words::notification_topic_exists(&new.name));
            }
            if all >= i64::from(limit) {
                return Err(words::too_many_notification_topics(limit));
            }
        }
        let sql = "INSERT INTO notification_topic (instance, id, name, display_name, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING no";
        let params: Params<'_> =
            &[&INSTANCE, &new.id, &new.name, &new.display_name, &new.created_at.0, &new.updated_at.0];
        let made = row(&transaction, sql, params).await.map_err(db)?;
        let no = made.as_ref().map_or(Ok(0), first::<i64>)?;
        transaction.commit().await.map_err(db)?;
        Ok(NotificationTopic { no: RecordNo(no), ..new })
    }

    async fn notification_topic(&self, id: &str) -> Result<Option<NotificationTopic>> {
        self.one_topic("id", id).await
    }

    async fn notification_topic_by_name(&self, name: &str) -> Result<Option<NotificationTopic>> {
        self.one_topic("name", name).await
    }

    async fn list_notification_topics(&self, name: Option<&str>, page: PageRequest) -> Result<Page<NotificationTopic>> {
        let client = self.client().await?;
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &name, &marker, &offset, &limit];
        let sql = format!("{TOPIC} AND {MATCHES} AND no < $3 ORDER BY no DESC OFFSET $4 LIMIT $5");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<NotificationTopic> = found.iter().map(topic).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM notification_topic WHERE instance = $1 AND {MATCHES}");
        let count = row(&client, &sql, &list[..2]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |t| t.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    async fn update_notification_topic(&self, topic: &NotificationTopic) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE notification_topic SET display_name = $2, updated_at = $3 WHERE no = $1";
        let params: Params<'_> = &[&topic.no.0, &topic.display_name, &topic.updated_at.0];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_notification_topic(&self, id: &str) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT no FROM notification_topic WHERE instance = $1 AND id = $2 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &id]).await.map_err(db)? else { return Ok(false) };
        let no: i64 = first(&found)?;
        let sql = "DELETE FROM subscription WHERE topic = $1 RETURNING target";
        let gone = rows(&transaction, sql, &[&no]).await.map_err(db)?;
        let targets: Vec<i64> = gone.iter().map(first).collect::<Result<_>>()?;
        run(&transaction, "DELETE FROM notification_topic WHERE no = $1", &[&no]).await.map_err(db)?;
        outbox::drop_targets(&transaction, &targets).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn insert_subscription(&self, new: Subscription, limit: u32) -> Result<Subscription> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One subscription at a time at a topic, so that the limit holds.
        let sql = "SELECT no FROM notification_topic WHERE no = $1 FOR NO KEY UPDATE";
        if row(&transaction, sql, &[&new.topic.0]).await.map_err(db)?.is_none() {
            return Err(words::notification_topic_gone());
        }
        let sql = "SELECT count(*), count(*) FILTER (WHERE protocol = $2 AND endpoint = $3)
            FROM subscription WHERE topic = $1";
        let params: Params<'_> = &[&new.topic.0, &new.protocol.as_str(), &new.endpoint];
        if let Some(found) = &row(&transaction, sql, params).await.map_err(db)? {
            let mut c = Columns::of(found);
            let (all, same): (i64, i64) = (c.take()?, c.take()?);
            if same > 0 {
                return Err(words::subscription_exists());
            }
            if all >= i64::from(limit) {
                return Err(words::too_many_subscriptions(limit));
            }
        }
        let target = outbox::make_target(&transaction, None, TargetKind::Subscription).await?;
        let sql =
            "INSERT INTO subscription (instance, topic, id, protocol, endpoint, remark, token, confirmed_at, target,
                created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.topic.0,
            &new.id,
            &new.protocol.as_str(),
            &new.endpoint,
            &new.remark,
            &&new.token[..],
            &new.confirmed_at.map(|t| t.0),
            &target,
            &new.created_at.0,
        ];
        let made = row(&transaction, sql, params).await.map_err(db)?;
        let no = made.as_ref().map_or(Ok(0), first::<i64>)?;
        transaction.commit().await.map_err(db)?;
        Ok(Subscription { no: RecordNo(no), target, ..new })
    }

    async fn subscription(&self, id: &str) -> Result<Option<Subscription>> {
        self.one_subscription("id", &id).await
    }

    async fn subscription_by_token(&self, token: [u8; 32]) -> Result<Option<Subscription>> {
        self.one_subscription("token", &&token[..]).await
    }

    async fn list_subscriptions(&self, topic: RecordNo, page: PageRequest) -> Result<Page<Subscription>> {
        let client = self.client().await?;
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &topic.0, &marker, &offset, &limit];
        let sql = format!("{SUBSCRIPTION} AND topic = $2 AND no < $3 ORDER BY no DESC OFFSET $4 LIMIT $5");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<Subscription> = found.iter().map(subscription).collect::<Result<_>>()?;
        let sql = "SELECT count(*) FROM subscription WHERE instance = $1 AND topic = $2";
        let count = row(&client, sql, &list[..2]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |s| s.no),
            count: words::count(count.as_ref().map_or(Ok(0), first)?),
            items,
        })
    }

    async fn confirm_subscription(&self, id: &str, at: Timestamp) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE subscription SET confirmed_at = coalesce(confirmed_at, $3) WHERE instance = $1 AND id = $2";
        Ok(run(&client, sql, &[&INSTANCE, &id, &at.0]).await.map_err(db)? > 0)
    }

    async fn delete_subscription(&self, id: &str) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "DELETE FROM subscription WHERE instance = $1 AND id = $2 RETURNING target";
        let Some(gone) = row(&transaction, sql, &[&INSTANCE, &id]).await.map_err(db)? else { return Ok(false) };
        outbox::drop_targets(&transaction, &[first(&gone)?]).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn subscriptions(&self, topic: Option<RecordNo>) -> Result<Vec<Subscription>> {
        let client = self.client().await?;
        let sql = format!("{SUBSCRIPTION} AND ($2::bigint IS NULL OR topic = $2) ORDER BY no");
        let found = rows(&client, &sql, &[&INSTANCE, &topic.map(|t| t.0)]).await.map_err(db)?;
        found.iter().map(subscription).collect()
    }
}
