//! Forwarding rules, their actions and policies.

use std::collections::HashMap;

use async_trait::async_trait;
use causeway_model::forwarding::{BacklogPolicy, FlowControlPolicy, RoutingAction, RoutingRule, RuleScope};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::outbox::TargetKind;
use causeway_platform::routing::{ActionFilter, ActiveRoute, NewTarget, RoutingStore, RuleFilter};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::certificate::{check_limit, page_of};
use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::outbox::{drop_targets, make_target};
use super::{INSTANCE, PostgresStore};
use crate::{routing_words as words, rows as columns};

const RULE: &str = "SELECT c.no, c.id, (SELECT id FROM app WHERE no = c.app), c.name, c.description, c.resource,
    c.event, c.selection, c.filter, c.active, c.created_at FROM routing_rule c";

/// Its condition joins the two with [`JOINED`].
const ACTION: &str = "SELECT c.no, c.id, r.id, (SELECT id FROM app WHERE no = r.app), c.channel, c.config, c.target,
    c.created_at FROM routing_rule r, routing_action c";
const JOINED: &str = "r.no = c.rule AND c.instance = $1";

const BACKLOG: &str = "SELECT c.no, c.id, c.name, c.description, c.size, c.seconds FROM backlog_policy c";

const FLOW: &str = "SELECT c.no, c.id, c.name, c.description, c.scope, c.value, c.tps FROM flow_control_policy c";

fn scope(c: &mut Columns<'_>) -> Result<RuleScope> {
    let app: Option<String> = c.take()?;
    Ok(app.map_or(RuleScope::Global, |app| RuleScope::App(AppId::trusted(app))))
}

fn rule(row: &Row) -> Result<RoutingRule> {
    let mut c = Columns::of(row);
    let (no, id, scope) = (RecordNo(c.take()?), c.take()?, scope(&mut c)?);
    Ok(RoutingRule {
        no,
        id,
        scope,
        name: c.take()?,
        description: c.take()?,
        subject: words::subject(c.take()?, c.take()?)?,
        select: c.take()?,
        filter: c.take()?,
        active: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

fn action(row: &Row) -> Result<RoutingAction> {
    let mut c = Columns::of(row);
    Ok(RoutingAction {
        no: RecordNo(c.take()?),
        id: c.take()?,
        rule_id: c.take()?,
        scope: scope(&mut c)?,
        channel: c.take()?,
        config: Sealed(c.take::<Vec<u8>>()?.into()),
        target: c.take()?,
        created_at: Timestamp(c.take()?),
    })
}

fn backlog(row: &Row) -> Result<BacklogPolicy> {
    let mut c = Columns::of(row);
    Ok(BacklogPolicy {
        no: RecordNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        description: c.take()?,
        size: columns::count(c.take()?),
        seconds: columns::count(c.take()?),
    })
}

fn flow(row: &Row) -> Result<FlowControlPolicy> {
    let mut c = Columns::of(row);
    Ok(FlowControlPolicy {
        no: RecordNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        description: c.take()?,
        scope: words::flow_scope(c.take()?, c.take()?)?,
        limit: columns::small(c.take()?),
    })
}

async fn one<T, C: GenericClient>(
    client: &C,
    select: &str,
    id: &str,
    read: fn(&Row) -> Result<T>,
) -> Result<Option<T>> {
    let sql = format!("{select} WHERE c.instance = $1 AND c.id = $2");
    row(client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(read).transpose()
}

async fn one_action<C: GenericClient>(client: &C, id: &str, tail: &str) -> Result<Option<RoutingAction>> {
    let sql = format!("{ACTION} WHERE {JOINED} AND c.id = $2 {tail}");
    row(client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(action).transpose()
}

async fn all<T, C: GenericClient>(client: &C, sql: &str, read: fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    rows(client, sql, &[&INSTANCE]).await.map_err(db)?.iter().map(read).collect()
}

/// The number that a statement returned.
fn number(made: Option<Row>) -> Result<i64> {
    made.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)
}

/// The number of a space that must be there, and stays until the end of the transaction.
async fn hold_app<C: GenericClient>(transaction: &C, app: &AppId) -> Result<i64> {
    let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR KEY SHARE";
    let found = row(transaction, sql, &[&INSTANCE, &app.as_str()]).await.map_err(db)?;
    found.as_ref().map_or_else(
        || Err(Error::new(Code::AppNotFound, format!("The resource space '{app}' does not exist."))),
        first,
    )
}

/// A new action's target, or that of the queue which it feeds. The queue stays until the end of the transaction.
async fn target_of<C: GenericClient>(transaction: &C, app: Option<i64>, target: &NewTarget) -> Result<i64> {
    let name = match target {
        NewTarget::Own => return make_target(transaction, app, TargetKind::Action).await,
        NewTarget::Queue(name) => name,
    };
    let sql = "SELECT target FROM amqp_queue WHERE instance = $1 AND name = $2 FOR SHARE";
    let found = row(transaction, sql, &[&INSTANCE, name]).await.map_err(db)?;
    found.as_ref().map_or_else(|| Err(words::no_such_queue(name)), first)
}

/// Those of the targets that are of one action alone.
async fn own_ones<C: GenericClient>(client: &C, targets: &[i64]) -> Result<Vec<i64>> {
    let sql = "SELECT no FROM target WHERE no = ANY ($1) AND kind = 'action'";
    rows(client, sql, &[&targets]).await.map_err(db)?.iter().map(first).collect()
}

#[async_trait]
impl RoutingStore for PostgresStore {
    async fn insert_routing_rule(&self, mut new: RoutingRule, limit: u32) -> Result<RoutingRule> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let app = match new.scope.app() {
            Some(app) => Some(hold_app(&transaction, app).await?),
            None => None,
        };
        check_limit(&transaction, "routing_rule", limit, words::TOO_MANY_RULES).await?;
        let sql = "INSERT INTO routing_rule (instance, app, id, name, description, resource, event, selection, filter,
            active, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &new.id,
            &new.name,
            &new.description,
            &new.subject.resource(),
            &new.subject.event(),
            &new.select,
            &new.filter,
            &new.active,
            &new.created_at.0,
        ];
        new.no = RecordNo(number(row(&transaction, sql, params).await.map_err(db)?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn routing_rule(&self, id: &str) -> Result<Option<RoutingRule>> {
        one(&self.client().await?, RULE, id, rule).await
    }

    async fn list_routing_rules(
        &self,
        filter: RuleFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingRule>> {
        let client = self.client().await?;
        let condition = "c.instance = $1
            AND ($2::text IS NULL OR c.resource = $2) AND ($3::text IS NULL OR c.event = $3)
            AND ($4::text IS NULL OR strpos(c.name, $4) > 0) AND ($5::boolean IS NULL OR c.active = $5)
            AND ($6::boolean IS NULL OR (c.app IS NOT NULL) = $6)
            AND ($7::text IS NULL OR c.app = (SELECT no FROM app WHERE instance = $1 AND id = $7))
            AND ($8::text[] IS NULL OR c.app IN (SELECT no FROM app WHERE instance = $1 AND id = ANY ($8)))";
        let (app, spaces) = (filter.app.as_ref().map(AppId::as_str), spaces.ids());
        let params: Params<'_> =
            &[&INSTANCE, &filter.resource, &filter.event, &filter.name, &filter.active, &filter.of_app, &app, &spaces];
        page_of(&client, (RULE, "routing_rule"), condition, params, page, rule, |r| r.no).await
    }

    async fn update_routing_rule(&self, rule: &RoutingRule) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE routing_rule SET name = $2, description = $3, selection = $4, filter = $5, active = $6
            WHERE no = $1";
        let params: Params<'_> = &[&rule.no.0, &rule.name, &rule.description, &rule.select, &rule.filter, &rule.active];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_routing_rule(&self, id: &str) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // No action comes to it from here on.
        let sql = "SELECT no FROM routing_rule WHERE instance = $1 AND id = $2 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &id]).await.map_err(db)? else { return Ok(false) };
        let no: i64 = first(&found)?;
        let sql = "DELETE FROM routing_action WHERE rule = $1 RETURNING target";
        let gone: Vec<i64> =
            rows(&transaction, sql, &[&no]).await.map_err(db)?.iter().map(first).collect::<Result<_>>()?;
        run(&transaction, "DELETE FROM routing_rule WHERE no = $1", &[&no]).await.map_err(db)?;
        drop_targets(&transaction, &own_ones(&transaction, &gone).await?).await?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn insert_routing_action(
        &self,
        mut new: RoutingAction,
        target: NewTarget,
        limit: u32,
    ) -> Result<RoutingAction> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // The space before its rule, as whoever deletes the space does.
        let app = match new.scope.app() {
            Some(app) => Some(hold_app(&transaction, app).await?),
            None => None,
        };
        // Two actions made at once must not pass the limit together.
        let sql = "SELECT no FROM routing_rule WHERE instance = $1 AND id = $2 FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &new.rule_id]).await.map_err(db)? else {
            return Err(words::no_such_rule(&new.rule_id));
        };
        let rule: i64 = first(&found)?;
        let count = row(&transaction, "SELECT count(*) FROM routing_action WHERE rule = $1", &[&rule]).await;
        if count.map_err(db)?.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Err(words::too_many_actions(limit));
        }
        new.target = target_of(&transaction, app, &target).await?;
        let sql = "INSERT INTO routing_action (instance, rule, id, channel, config, target, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING no";
        let params: Params<'_> =
            &[&INSTANCE, &rule, &new.id, &new.channel, &&*new.config.0, &new.target, &new.created_at.0];
        new.no = RecordNo(number(row(&transaction, sql, params).await.map_err(db)?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn routing_action(&self, id: &str) -> Result<Option<RoutingAction>> {
        one_action(&self.client().await?, id, "").await
    }

    async fn list_routing_actions(
        &self,
        filter: ActionFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingAction>> {
        let client = self.client().await?;
        let condition = "r.no = c.rule AND c.instance = $1
            AND ($2::text IS NULL OR r.id = $2) AND ($3::text IS NULL OR c.channel = $3)
            AND ($4::boolean IS NULL OR (r.app IS NOT NULL) = $4)
            AND ($5::text IS NULL OR r.app = (SELECT no FROM app WHERE instance = $1 AND id = $5))
            AND ($6::text[] IS NULL OR r.app IN (SELECT no FROM app WHERE instance = $1 AND id = ANY ($6)))";
        let (app, spaces) = (filter.app.as_ref().map(AppId::as_str), spaces.ids());
        let params: Params<'_> = &[&INSTANCE, &filter.rule_id, &filter.channel, &filter.of_app, &app, &spaces];
        let tables = (ACTION, "routing_rule r, routing_action");
        page_of(&client, tables, condition, params, page, action, |a| a.no).await
    }

    async fn update_routing_action(
        &self,
        id: &str,
        channel: &str,
        config: Sealed,
        target: NewTarget,
    ) -> Result<Option<RoutingAction>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let Some(known) = one_action(&transaction, id, "").await? else { return Ok(None) };
        let app = match known.scope.app() {
            Some(app) => Some(hold_app(&transaction, app).await?),
            None => None,
        };
        let Some(found) = one_action(&transaction, id, "FOR UPDATE OF c").await? else { return Ok(None) };
        let own = own_ones(&transaction, &[found.target]).await?;
        let new = if target == NewTarget::Own && !own.is_empty() {
            found.target
        } else {
            target_of(&transaction, app, &target).await?
        };
        let sql = "UPDATE routing_action SET channel = $2, config = $3, target = $4 WHERE no = $1";
        run(&transaction, sql, &[&found.no.0, &channel, &&*config.0, &new]).await.map_err(db)?;
        if new != found.target {
            drop_targets(&transaction, &own).await?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(Some(RoutingAction { channel: channel.to_owned(), config, target: new, ..found }))
    }

    async fn delete_routing_action(&self, id: &str) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "DELETE FROM routing_action WHERE instance = $1 AND id = $2 RETURNING target";
        let Some(gone) = row(&transaction, sql, &[&INSTANCE, &id]).await.map_err(db)? else { return Ok(false) };
        let own = own_ones(&transaction, &[first::<i64>(&gone)?]).await?;
        if !own.is_empty() {
            drop_targets(&transaction, &own).await?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn active_routes(&self) -> Result<Vec<ActiveRoute>> {
        let client = self.client().await?;
        let sql = format!("{RULE} WHERE c.instance = $1 AND c.active ORDER BY c.no");
        let rules = all(&client, &sql, rule).await?;
        let sql = format!("{ACTION} WHERE {JOINED} AND r.active ORDER BY c.no");
        let mut actions: HashMap<String, Vec<RoutingAction>> = HashMap::new();
        for action in all(&client, &sql, action).await? {
            actions.entry(action.rule_id.clone()).or_default().push(action);
        }
        let route = |rule: RoutingRule| Some(ActiveRoute { actions: actions.remove(&rule.id)?, rule });
        Ok(rules.into_iter().filter_map(route).collect())
    }

    async fn own_targets(&self) -> Result<Vec<RoutingAction>> {
        let sql = format!(
            "{ACTION} WHERE {JOINED}
            AND EXISTS (SELECT 1 FROM target t WHERE t.no = c.target AND t.kind = 'action') ORDER BY c.no"
        );
        all(&self.client().await?, &sql, action).await
    }

    async fn insert_backlog_policy(&self, mut new: BacklogPolicy, limit: u32) -> Result<BacklogPolicy> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, "backlog_policy", limit, words::TOO_MANY_BACKLOG_POLICIES).await?;
        let sql = "INSERT INTO backlog_policy (instance, id, name, description, size, seconds)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING no";
        let (size, seconds) = (columns::size_column(Some(new.size)), columns::size_column(Some(new.seconds)));
        let params: Params<'_> = &[&INSTANCE, &new.id, &new.name, &new.description, &size, &seconds];
        new.no = RecordNo(number(row(&transaction, sql, params).await.map_err(db)?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn backlog_policy(&self, id: &str) -> Result<Option<BacklogPolicy>> {
        one(&self.client().await?, BACKLOG, id, backlog).await
    }

    async fn list_backlog_policies(&self, name: Option<&str>, page: PageRequest) -> Result<Page<BacklogPolicy>> {
        let client = self.client().await?;
        let condition = "c.instance = $1 AND ($2::text IS NULL OR strpos(c.name, $2) > 0)";
        let params: Params<'_> = &[&INSTANCE, &name];
        page_of(&client, (BACKLOG, "backlog_policy"), condition, params, page, backlog, |p| p.no).await
    }

    async fn update_backlog_policy(&self, policy: &BacklogPolicy) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE backlog_policy SET name = $2, description = $3, size = $4, seconds = $5 WHERE no = $1";
        let (size, seconds) = (columns::size_column(Some(policy.size)), columns::size_column(Some(policy.seconds)));
        let params: Params<'_> = &[&policy.no.0, &policy.name, &policy.description, &size, &seconds];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_backlog_policy(&self, id: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM backlog_policy WHERE instance = $1 AND id = $2";
        Ok(run(&client, sql, &[&INSTANCE, &id]).await.map_err(db)? > 0)
    }

    async fn backlog_policies(&self) -> Result<Vec<BacklogPolicy>> {
        all(&self.client().await?, &format!("{BACKLOG} WHERE c.instance = $1 ORDER BY c.no"), backlog).await
    }

    async fn insert_flow_control_policy(&self, mut new: FlowControlPolicy, limit: u32) -> Result<FlowControlPolicy> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let (scope, value) = words::flow_scope_columns(&new.scope);
        let same = "SELECT 1 FROM flow_control_policy WHERE instance = $1 AND scope = $2 AND value = $3";
        if row(&transaction, same, &[&INSTANCE, &scope, &value]).await.map_err(db)?.is_some() {
            return Err(words::flow_policy_exists(&new.scope));
        }
        check_limit(&transaction, "flow_control_policy", limit, words::TOO_MANY_FLOW_POLICIES).await?;
        let sql = "INSERT INTO flow_control_policy (instance, id, name, description, scope, value, tps)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING no";
        let tps = i64::from(new.limit);
        let params: Params<'_> = &[&INSTANCE, &new.id, &new.name, &new.description, &scope, &value, &tps];
        let made = row(&transaction, sql, params).await.map_err(|e| {
            let exists = words::flow_policy_exists(&new.scope);
            db_or(e, &SqlState::UNIQUE_VIOLATION, exists.code(), exists.message())
        })?;
        new.no = RecordNo(number(made)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn flow_control_policy(&self, id: &str) -> Result<Option<FlowControlPolicy>> {
        one(&self.client().await?, FLOW, id, flow).await
    }

    async fn list_flow_control_policies(
        &self,
        scope: Option<&str>,
        scope_value: Option<&str>,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FlowControlPolicy>> {
        let client = self.client().await?;
        let condition = "c.instance = $1 AND ($2::text IS NULL OR c.scope = $2)
            AND ($3::text IS NULL OR c.value = $3) AND ($4::text IS NULL OR strpos(c.name, $4) > 0)";
        let params: Params<'_> = &[&INSTANCE, &scope, &scope_value, &name];
        page_of(&client, (FLOW, "flow_control_policy"), condition, params, page, flow, |p| p.no).await
    }

    async fn update_flow_control_policy(&self, policy: &FlowControlPolicy) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE flow_control_policy SET name = $2, description = $3, tps = $4 WHERE no = $1";
        let tps = i64::from(policy.limit);
        Ok(run(&client, sql, &[&policy.no.0, &policy.name, &policy.description, &tps]).await.map_err(db)? > 0)
    }

    async fn delete_flow_control_policy(&self, id: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM flow_control_policy WHERE instance = $1 AND id = $2";
        Ok(run(&client, sql, &[&INSTANCE, &id]).await.map_err(db)? > 0)
    }

    async fn flow_control_policies(&self) -> Result<Vec<FlowControlPolicy>> {
        all(&self.client().await?, &format!("{FLOW} WHERE c.instance = $1 ORDER BY c.no"), flow).await
    }
}
