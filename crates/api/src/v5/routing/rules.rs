//! Rules.

use causeway_model::forwarding::RoutingRule as Record;
use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::routing::{NewRoutingRule, RoutingRuleChange, RuleFilter};

use super::{AppTypes, ClauseText, NameFilter, RuleName, SubjectWord, app_of, concerns, is_of_app, subject};
use crate::bounded::{Flag, Free, Id, Text, Word};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

body! {
    /// What a rule takes.
    pub(crate) struct SubjectBody {
        /// What events are about: device, device.property, device.message, device.message.status, device.status,
        /// device.command.status, batchtask, product, runlog or device.alarm.
        resource: SubjectWord,
        /// What happened: create, update, delete or report.
        event: SubjectWord,
    }
}

body! {
    /// A forwarding rule to create. It takes nothing until it is activated.
    pub(crate) struct CreateRoutingRule {
        /// A name for people.
        rule_name: Option<RuleName>,
        /// For people.
        description: Option<Text<Free, 0, 256>>,
        /// What it takes.
        subject: SubjectBody,
        /// GLOBAL: the events of every resource space; APP: those of one. GLOBAL when absent.
        app_type: Option<Word<AppTypes>>,
        /// The resource space of a rule with APP; the default one when absent.
        app_id: Option<Id<AppId>>,
        /// SELECT clause, with or without its keyword: what is forwarded of an event. All of it when absent.
        select: Option<ClauseText>,
        /// WHERE clause, with or without its keyword: which events. All when absent.
        r#where: Option<ClauseText>,
    }
}

body! {
    /// Fields of a forwarding rule to change; absent ones keep their value.
    pub(crate) struct UpdateRoutingRule {
        /// A name for people.
        rule_name: Option<RuleName>,
        /// For people.
        description: Option<Text<Free, 0, 256>>,
        /// SELECT clause; an empty one forwards the whole event.
        select: Option<ClauseText>,
        /// WHERE clause; an empty one takes all events.
        r#where: Option<ClauseText>,
        /// Whether it takes events. A rule without actions cannot be activated.
        active: Option<bool>,
    }
}

reply! {
    /// What a rule takes.
    pub(crate) struct SubjectReply {
        /// What events are about.
        resource: &'static str,
        /// What happened.
        event: &'static str,
    }
}

reply! {
    /// A forwarding rule.
    pub(crate) struct RoutingRuleReply {
        /// The id.
        rule_id: String,
        /// A name for people.
        rule_name: String,
        /// For people.
        description: Option<String>,
        /// What it takes.
        subject: SubjectReply,
        /// GLOBAL or APP.
        app_type: &'static str,
        /// The resource space of a rule with APP.
        app_id: Option<String>,
        /// SELECT clause without its keyword.
        select: String,
        /// WHERE clause without its keyword.
        r#where: Option<String>,
        /// Whether it takes events.
        active: bool,
    }
}

reply! {
    /// A page of forwarding rules.
    pub(crate) struct RoutingRules {
        /// The rules, newest first.
        rules: Vec<RoutingRuleReply>,
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

impl From<Record> for RoutingRuleReply {
    fn from(rule: Record) -> Self {
        Self {
            rule_id: rule.id,
            rule_name: rule.name,
            description: rule.description,
            subject: SubjectReply { resource: rule.subject.resource(), event: rule.subject.event() },
            app_type: rule.scope.as_str(),
            app_id: app_of(&rule.scope),
            select: rule.select,
            r#where: rule.filter,
            active: rule.active,
        }
    }
}

pub(in crate::v5) static CREATE: Built = Built::new(
    "Creates a forwarding rule. It takes nothing until it has an action and is activated.",
    json::<RoutingRuleReply>(201),
    |c| Box::pin(create(c)),
)
.body::<CreateRoutingRule>()
.errors(&[Code::NotPermitted, Code::AppNotFound, Code::TooManyRoutingRules]);

async fn create(call: Call) -> Result<Reply> {
    let new: CreateRoutingRule = call.body()?;
    let spaces = if new.app_type.is_some_and(|t| t.as_str() == "APP") {
        Some(call.spaces(new.app_id.map(|id| id.0))?)
    } else if new.app_id.is_some() {
        return Err(Error::invalid("Invalid input. 'app_id' is for rules whose 'app_type' is APP."));
    } else {
        call.require_everywhere().await?;
        None
    };
    let new = NewRoutingRule {
        spaces,
        name: new.rule_name.map(Text::into_string).unwrap_or_default(),
        description: new.description.map(Text::into_string),
        subject: subject(new.subject.resource.as_str(), new.subject.event.as_str())?,
        select: new.select.map(Text::into_string),
        filter: new.r#where.map(Text::into_string),
    };
    Reply::created(&RoutingRuleReply::from(call.platform().create_routing_rule(new).await?))
}

pub(in crate::v5) static LIST: Built =
    Built::new("Lists forwarding rules.", json::<RoutingRules>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<SubjectWord>("resource", "Only of this resource."),
            Param::optional::<SubjectWord>("event", "Only of this event."),
            Param::optional::<Word<AppTypes>>("app_type", "Only rules of every space, or only those of one."),
            Param::optional::<AppId>("app_id", "Only of this resource space."),
            Param::optional::<NameFilter>("rule_name", "Only those whose name contains this text."),
            Param::optional::<Flag>("active", "Only active ones, or only inactive ones."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let app: Option<AppId> = call.query("app_id")?;
    let spaces = call.spaces(app.clone())?;
    let filter = RuleFilter {
        resource: call.query::<SubjectWord>("resource")?.map(Text::into_string),
        event: call.query::<SubjectWord>("event")?.map(Text::into_string),
        of_app: is_of_app(call.query::<Word<AppTypes>>("app_type")?.map(|w| w.as_str())),
        app,
        name: call.query::<NameFilter>("rule_name")?.map(Text::into_string),
        active: call.flag("active")?,
    };
    let found = call.platform().list_routing_rules(filter, &spaces, call.page()?).await?;
    let (count, marker) = (found.count, found.marker.to_string());
    Reply::ok(&RoutingRules { rules: found.items.into_iter().map(RoutingRuleReply::from).collect(), count, marker })
}

pub(in crate::v5) static SHOW: Built =
    Built::new("Shows a forwarding rule.", json::<RoutingRuleReply>(200), |c| Box::pin(show(c)))
        .errors(&[Code::RoutingRuleNotFound]);

async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&RoutingRuleReply::from(call.platform().routing_rule(&call.allowed, call.path("rule_id")).await?))
}

pub(in crate::v5) static UPDATE: Built =
    Built::new("Changes a forwarding rule, activates or deactivates it.", json::<RoutingRuleReply>(200), |c| {
        Box::pin(update(c))
    })
    .body::<UpdateRoutingRule>()
    .errors(&[Code::RoutingRuleNotFound, Code::RuleWithoutAction]);

async fn update(call: Call) -> Result<Reply> {
    let change: UpdateRoutingRule = call.body()?;
    let change = RoutingRuleChange {
        name: change.rule_name.map(Text::into_string),
        description: change.description.map(Text::into_string),
        select: change.select.map(Text::into_string),
        filter: change.r#where.map(Text::into_string),
        active: change.active,
    };
    let changed = call.platform().update_routing_rule(&call.allowed, call.path("rule_id"), change).await?;
    concerns(&call, &changed.scope);
    Reply::ok(&RoutingRuleReply::from(changed))
}

pub(in crate::v5) static DELETE: Built =
    Built::new("Deletes a forwarding rule with its actions and what waits for them.", Success::Empty, |c| {
        Box::pin(delete(c))
    })
    .errors(&[Code::RoutingRuleNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_routing_rule(&call.allowed, call.path("rule_id")).await?;
    Ok(Reply::empty())
}
