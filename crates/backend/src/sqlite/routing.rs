//! Forwarding rules, their actions and policies.

use std::collections::HashMap;

use async_trait::async_trait;
use causeway_model::forwarding::{BacklogPolicy, FlowControlPolicy, RoutingAction, RoutingRule, RuleScope};
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::outbox::TargetKind;
use causeway_platform::routing::{ActionFilter, ActiveRoute, NewTarget, RoutingStore, RuleFilter};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::app::{in_spaces, require_app};
use super::certificate::{check_limit, page_of};
use super::error::Outcome;
use super::outbox::{drop_target, make_target};
use super::transaction::Tx;
use super::{INSTANCE, SqliteStore};
use crate::{routing_words as words, rows};

const RULE: &str = "SELECT c.no, c.id, (SELECT id FROM app WHERE no = c.app), c.name, c.description, c.resource, \
     c.event, c.selection, c.filter, c.active, c.created_at FROM routing_rule c WHERE ";

const ACTION: &str = "SELECT c.no, c.id, r.id, (SELECT id FROM app WHERE no = r.app), c.channel, c.config, c.target, \
     c.created_at FROM routing_rule r, routing_action c WHERE r.no = c.rule AND ";

const BACKLOG: &str = "SELECT c.no, c.id, c.name, c.description, c.size, c.seconds FROM backlog_policy c WHERE ";

const FLOW: &str =
    "SELECT c.no, c.id, c.name, c.description, c.scope, c.value, c.tps FROM flow_control_policy c WHERE ";

/// The error of a text that this program cannot read.
fn unreadable(column: usize, error: Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn scope(row: &Row<'_>, column: usize) -> rusqlite::Result<RuleScope> {
    let app: Option<String> = row.get(column)?;
    Ok(app.map_or(RuleScope::Global, |app| RuleScope::App(AppId::trusted(app))))
}

fn read_rule(row: &Row<'_>) -> rusqlite::Result<RoutingRule> {
    let (resource, event): (String, String) = (row.get(5)?, row.get(6)?);
    Ok(RoutingRule {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        scope: scope(row, 2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        subject: words::subject(&resource, &event).map_err(|e| unreadable(5, e))?,
        select: row.get(7)?,
        filter: row.get(8)?,
        active: row.get(9)?,
        created_at: Timestamp(row.get(10)?),
    })
}

fn read_action(row: &Row<'_>) -> rusqlite::Result<RoutingAction> {
    Ok(RoutingAction {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        rule_id: row.get(2)?,
        scope: scope(row, 3)?,
        channel: row.get(4)?,
        config: Sealed(row.get::<_, Vec<u8>>(5)?.into()),
        target: row.get(6)?,
        created_at: Timestamp(row.get(7)?),
    })
}

fn read_backlog(row: &Row<'_>) -> rusqlite::Result<BacklogPolicy> {
    Ok(BacklogPolicy {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        size: rows::count(row.get(4)?),
        seconds: rows::count(row.get(5)?),
    })
}

fn read_flow(row: &Row<'_>) -> rusqlite::Result<FlowControlPolicy> {
    let scope: String = row.get(4)?;
    Ok(FlowControlPolicy {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        scope: words::flow_scope(&scope, row.get(5)?).map_err(|e| unreadable(4, e))?,
        limit: rows::small(row.get(6)?),
    })
}

type Read<T> = fn(&Row<'_>) -> rusqlite::Result<T>;

fn one<T>(conn: &Connection, select: &str, id: &str, read: Read<T>) -> Outcome<Option<T>> {
    let sql = format!("{select}c.instance = ?1 AND c.id = ?2");
    Ok(conn.prepare_cached(&sql)?.query_row(params![INSTANCE, id], read).optional()?)
}

fn all<T>(conn: &Connection, select: &str, tail: &str, read: Read<T>) -> Outcome<Vec<T>> {
    let mut statement = conn.prepare_cached(&format!("{select}c.instance = ?1{tail}"))?;
    Ok(statement.query_map([INSTANCE], read)?.collect::<Result<_, _>>()?)
}

/// Runs a statement that changes one record; false when it is not there.
fn change(conn: &Connection, sql: &str, values: impl Params) -> Outcome<bool> {
    Ok(conn.prepare_cached(sql)?.execute(values)? > 0)
}

/// A growing condition with its values.
struct Condition {
    clause: String,
    values: Vec<Value>,
}

impl Condition {
    fn new(clause: &str) -> Self {
        Self { clause: clause.to_owned(), values: vec![Value::from(INSTANCE)] }
    }

    /// Adds `clause` with its one parameter when there is a value for it.
    fn and(&mut self, clause: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.clause.push_str(" AND ");
            self.clause.push_str(clause);
            self.values.push(value.into());
        }
    }

    /// Restricts `column`, the number of a rule's space.
    fn of_spaces(&mut self, column: &'static str, of_app: Option<bool>, app: Option<&AppId>, spaces: &Spaces) {
        match of_app {
            Some(true) => self.clause.push_str(&format!(" AND {column} IS NOT NULL")),
            Some(false) => self.clause.push_str(&format!(" AND {column} IS NULL")),
            None => {}
        }
        let one = format!("{column} = (SELECT no FROM app WHERE instance = 1 AND id = ?)");
        self.and(&one, app.map(|a| a.as_str().to_owned()));
        in_spaces(spaces, column, &mut self.clause, &mut self.values);
    }
}

/// A new action's target, or that of the queue which it feeds.
fn target_of(tx: &mut Tx<'_>, app: Option<i64>, target: &NewTarget) -> Outcome<i64> {
    let name = match target {
        NewTarget::Own => return make_target(tx, app, TargetKind::Action),
        NewTarget::Queue(name) => name,
    };
    let found = tx
        .conn
        .prepare_cached("SELECT target FROM amqp_queue WHERE instance = ?1 AND name = ?2")?
        .query_row(params![INSTANCE, name], |row| row.get(0))
        .optional()?;
    Ok(found.ok_or_else(|| words::no_such_queue(name))?)
}

/// Whether a target is that of an action alone.
fn is_own(conn: &Connection, target: i64) -> Outcome<bool> {
    let sql = "SELECT 1 FROM target WHERE no = ?1 AND kind = ?2";
    Ok(conn.prepare_cached(sql)?.exists(params![target, TargetKind::Action.as_str()])?)
}

#[async_trait]
impl RoutingStore for SqliteStore {
    async fn insert_routing_rule(&self, mut rule: RoutingRule, limit: u32) -> Result<RoutingRule> {
        self.write(move |tx| {
            check_limit(tx.conn, "routing_rule", limit, words::TOO_MANY_RULES)?;
            let app = rule.scope.app().map(|app| require_app(tx.conn, app)).transpose()?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO routing_rule (instance, app, id, name, description, resource, event, selection, \
                     filter, active, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    rule.id,
                    rule.name,
                    rule.description,
                    rule.subject.resource(),
                    rule.subject.event(),
                    rule.select,
                    rule.filter,
                    rule.active,
                    rule.created_at.0,
                ])?;
            rule.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(rule)
        })
        .await
    }

    async fn routing_rule(&self, id: &str) -> Result<Option<RoutingRule>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, RULE, &id, read_rule)).await
    }

    async fn list_routing_rules(
        &self,
        filter: RuleFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingRule>> {
        let mut condition = Condition::new("c.instance = ?");
        condition.and("c.resource = ?", filter.resource);
        condition.and("c.event = ?", filter.event);
        condition.and("instr(c.name, ?) > 0", filter.name);
        condition.and("c.active = ?", filter.active);
        condition.of_spaces("c.app", filter.of_app, filter.app.as_ref(), spaces);
        let Condition { clause, values } = condition;
        self.read(move |conn| page_of(conn, (RULE, "routing_rule"), &clause, values, page, read_rule, |r| r.no)).await
    }

    async fn update_routing_rule(&self, rule: &RoutingRule) -> Result<bool> {
        let rule = rule.clone();
        self.write(move |tx| {
            let sql = "UPDATE routing_rule SET name = ?2, description = ?3, selection = ?4, filter = ?5, active = ?6 \
                 WHERE no = ?1";
            let values = params![rule.no.0, rule.name, rule.description, rule.select, rule.filter, rule.active];
            change(tx.conn, sql, values)
        })
        .await
    }

    async fn delete_routing_rule(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let Some(rule) = one(tx.conn, RULE, &id, read_rule)? else { return Ok(false) };
            let own: Vec<i64> = tx
                .conn
                .prepare_cached(
                    "SELECT t.no FROM routing_action a JOIN target t ON t.no = a.target \
                     WHERE a.rule = ?1 AND t.kind = ?2",
                )?
                .query_map(params![rule.no.0, TargetKind::Action.as_str()], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            // Its actions go with it.
            change(tx.conn, "DELETE FROM routing_rule WHERE no = ?1", [rule.no.0])?;
            for target in own {
                drop_target(tx, target)?;
            }
            Ok(true)
        })
        .await
    }

    async fn insert_routing_action(
        &self,
        mut action: RoutingAction,
        target: NewTarget,
        limit: u32,
    ) -> Result<RoutingAction> {
        self.write(move |tx| {
            let found: Option<(i64, Option<i64>)> = tx
                .conn
                .prepare_cached("SELECT no, app FROM routing_rule WHERE instance = ?1 AND id = ?2")?
                .query_row(params![INSTANCE, action.rule_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (rule, app) = found.ok_or_else(|| words::no_such_rule(&action.rule_id))?;
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM routing_action WHERE rule = ?1")?
                .query_row([rule], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(words::too_many_actions(limit).into());
            }
            action.target = target_of(tx, app, &target)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO routing_action (instance, rule, id, channel, config, target, created_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    INSTANCE,
                    rule,
                    action.id,
                    action.channel,
                    &*action.config.0,
                    action.target,
                    action.created_at.0
                ])?;
            action.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(action)
        })
        .await
    }

    async fn routing_action(&self, id: &str) -> Result<Option<RoutingAction>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, ACTION, &id, read_action)).await
    }

    async fn list_routing_actions(
        &self,
        filter: ActionFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<RoutingAction>> {
        let mut condition = Condition::new("r.no = c.rule AND c.instance = ?");
        condition.and("r.id = ?", filter.rule_id);
        condition.and("c.channel = ?", filter.channel);
        condition.of_spaces("r.app", filter.of_app, filter.app.as_ref(), spaces);
        let Condition { clause, values } = condition;
        let tables = (ACTION, "routing_rule r, routing_action");
        self.read(move |conn| page_of(conn, tables, &clause, values, page, read_action, |a| a.no)).await
    }

    async fn update_routing_action(
        &self,
        id: &str,
        channel: &str,
        config: Sealed,
        target: NewTarget,
    ) -> Result<Option<RoutingAction>> {
        let (id, channel) = (id.to_owned(), channel.to_owned());
        self.write(move |tx| {
            let Some(action) = one(tx.conn, ACTION, &id, read_action)? else { return Ok(None) };
            let had_own = is_own(tx.conn, action.target)?;
            let new = if had_own && target == NewTarget::Own {
                action.target
            } else {
                let app = action.scope.app().map(|app| require_app(tx.conn, app)).transpose()?;
                target_of(tx, app, &target)?
            };
            let sql = "UPDATE routing_action SET channel = ?2, config = ?3, target = ?4 WHERE no = ?1";
            change(tx.conn, sql, params![action.no.0, channel, &*config.0, new])?;
            if had_own && new != action.target {
                drop_target(tx, action.target)?;
            }
            Ok(Some(RoutingAction { channel, config, target: new, ..action }))
        })
        .await
    }

    async fn delete_routing_action(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            let Some(action) = one(tx.conn, ACTION, &id, read_action)? else { return Ok(false) };
            let had_own = is_own(tx.conn, action.target)?;
            change(tx.conn, "DELETE FROM routing_action WHERE no = ?1", [action.no.0])?;
            if had_own {
                drop_target(tx, action.target)?;
            }
            Ok(true)
        })
        .await
    }

    async fn active_routes(&self) -> Result<Vec<ActiveRoute>> {
        self.read(|conn| {
            let mut actions: HashMap<String, Vec<RoutingAction>> = HashMap::new();
            for action in all(conn, ACTION, " AND r.active ORDER BY c.no", read_action)? {
                actions.entry(action.rule_id.clone()).or_default().push(action);
            }
            let rules = all(conn, RULE, " AND c.active ORDER BY c.no", read_rule)?;
            let route = |rule: RoutingRule| Some(ActiveRoute { actions: actions.remove(&rule.id)?, rule });
            Ok(rules.into_iter().filter_map(route).collect())
        })
        .await
    }

    async fn own_targets(&self) -> Result<Vec<RoutingAction>> {
        self.read(|conn| {
            let tail = " AND EXISTS (SELECT 1 FROM target t WHERE t.no = c.target AND t.kind = 'action') ORDER BY c.no";
            all(conn, ACTION, tail, read_action)
        })
        .await
    }

    async fn insert_backlog_policy(&self, mut policy: BacklogPolicy, limit: u32) -> Result<BacklogPolicy> {
        self.write(move |tx| {
            check_limit(tx.conn, "backlog_policy", limit, words::TOO_MANY_BACKLOG_POLICIES)?;
            let sql = "INSERT INTO backlog_policy (instance, id, name, description, size, seconds) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (size, seconds) = (rows::size_column(Some(policy.size)), rows::size_column(Some(policy.seconds)));
            change(tx.conn, sql, params![INSTANCE, policy.id, policy.name, policy.description, size, seconds])?;
            policy.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(policy)
        })
        .await
    }

    async fn backlog_policy(&self, id: &str) -> Result<Option<BacklogPolicy>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, BACKLOG, &id, read_backlog)).await
    }

    async fn list_backlog_policies(&self, name: Option<&str>, page: PageRequest) -> Result<Page<BacklogPolicy>> {
        let mut condition = Condition::new("c.instance = ?");
        condition.and("instr(c.name, ?) > 0", name.map(str::to_owned));
        let Condition { clause, values } = condition;
        self.read(move |conn| page_of(conn, (BACKLOG, "backlog_policy"), &clause, values, page, read_backlog, |p| p.no))
            .await
    }

    async fn update_backlog_policy(&self, policy: &BacklogPolicy) -> Result<bool> {
        let policy = policy.clone();
        self.write(move |tx| {
            let sql = "UPDATE backlog_policy SET name = ?2, description = ?3, size = ?4, seconds = ?5 WHERE no = ?1";
            let (size, seconds) = (rows::size_column(Some(policy.size)), rows::size_column(Some(policy.seconds)));
            change(tx.conn, sql, params![policy.no.0, policy.name, policy.description, size, seconds])
        })
        .await
    }

    async fn delete_backlog_policy(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            change(tx.conn, "DELETE FROM backlog_policy WHERE instance = ?1 AND id = ?2", params![INSTANCE, id])
        })
        .await
    }

    async fn backlog_policies(&self) -> Result<Vec<BacklogPolicy>> {
        self.read(|conn| all(conn, BACKLOG, " ORDER BY c.no", read_backlog)).await
    }

    async fn insert_flow_control_policy(&self, mut policy: FlowControlPolicy, limit: u32) -> Result<FlowControlPolicy> {
        self.write(move |tx| {
            let (scope, value) = words::flow_scope_columns(&policy.scope);
            let same = "SELECT 1 FROM flow_control_policy WHERE instance = ?1 AND scope = ?2 AND value = ?3";
            if tx.conn.prepare_cached(same)?.exists(params![INSTANCE, scope, value])? {
                return Err(words::flow_policy_exists(&policy.scope).into());
            }
            check_limit(tx.conn, "flow_control_policy", limit, words::TOO_MANY_FLOW_POLICIES)?;
            let sql = "INSERT INTO flow_control_policy (instance, id, name, description, scope, value, tps) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values =
                params![INSTANCE, policy.id, policy.name, policy.description, scope, value, i64::from(policy.limit)];
            change(tx.conn, sql, values)?;
            policy.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(policy)
        })
        .await
    }

    async fn flow_control_policy(&self, id: &str) -> Result<Option<FlowControlPolicy>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, FLOW, &id, read_flow)).await
    }

    async fn list_flow_control_policies(
        &self,
        scope: Option<&str>,
        scope_value: Option<&str>,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FlowControlPolicy>> {
        let mut condition = Condition::new("c.instance = ?");
        condition.and("c.scope = ?", scope.map(str::to_owned));
        condition.and("c.value = ?", scope_value.map(str::to_owned));
        condition.and("instr(c.name, ?) > 0", name.map(str::to_owned));
        let Condition { clause, values } = condition;
        self.read(move |conn| page_of(conn, (FLOW, "flow_control_policy"), &clause, values, page, read_flow, |p| p.no))
            .await
    }

    async fn update_flow_control_policy(&self, policy: &FlowControlPolicy) -> Result<bool> {
        let policy = policy.clone();
        self.write(move |tx| {
            let sql = "UPDATE flow_control_policy SET name = ?2, description = ?3, tps = ?4 WHERE no = ?1";
            change(tx.conn, sql, params![policy.no.0, policy.name, policy.description, i64::from(policy.limit)])
        })
        .await
    }

    async fn delete_flow_control_policy(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| {
            change(tx.conn, "DELETE FROM flow_control_policy WHERE instance = ?1 AND id = ?2", params![INSTANCE, id])
        })
        .await
    }

    async fn flow_control_policies(&self) -> Result<Vec<FlowControlPolicy>> {
        self.read(|conn| all(conn, FLOW, " ORDER BY c.no", read_flow)).await
    }
}
