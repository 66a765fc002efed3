//! Actions of rules.

use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::routing::{ActionFilter, OpenAction, ProbeFailed, Tested};
use serde_json::value::RawValue;

use super::detail::{DetailBody, DetailReply};
use super::{AppTypes, app_of, concerns, is_of_app};
use crate::bounded::{Any, Ident, Text, Word};
use crate::call::{Call, Reply};
use crate::decode;
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

/// The word of a channel.
type ChannelWord = Text<Any, 1, 64>;
type RuleId = Text<Ident, 1, 36>;

body! {
    /// An action to add to a rule.
    pub(crate) struct CreateAction {
        /// The rule.
        rule_id: RuleId,
        /// Where events go, like HTTP_FORWARDING.
        channel: ChannelWord,
        /// The channel's configuration.
        channel_detail: DetailBody,
    }
}

body! {
    /// Where an action sends to from now on.
    pub(crate) struct UpdateAction {
        /// The channel; the one that it has when absent.
        channel: Option<ChannelWord>,
        /// The channel's configuration; credentials that are not said again stay. All stays when absent.
        channel_detail: Option<DetailBody>,
    }
}

body! {
    /// What to send to the target of an action.
    pub(crate) struct TestAction {
        /// The notification: a JSON object, or a text that holds one. A sample of what the rule takes when absent.
        message: Option<Box<RawValue>>,
    }
}

reply! {
    /// An action of a forwarding rule.
    pub(crate) struct RoutingActionReply {
        /// The id.
        action_id: String,
        /// Its rule.
        rule_id: String,
        /// GLOBAL or APP, as its rule.
        app_type: &'static str,
        /// The resource space of a rule with APP.
        app_id: Option<String>,
        /// Where events go.
        channel: &'static str,
        /// The channel's configuration, without credentials.
        channel_detail: DetailReply,
    }
}

reply! {
    /// A page of actions.
    pub(crate) struct RoutingActions {
        /// The actions, newest first.
        actions: Vec<RoutingActionReply>,
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

reply! {
    /// What became of a test message.
    pub(crate) struct TestReply {
        /// Whether the receiver has taken it.
        success: bool,
        /// One word for what went wrong.
        reason: Option<&'static str>,
        /// What happened.
        detail: Option<String>,
        /// What to look at.
        advice: Option<&'static str>,
        /// What was sent.
        message: Box<RawValue>,
    }
}

impl From<OpenAction> for RoutingActionReply {
    fn from(open: OpenAction) -> Self {
        Self {
            action_id: open.action.id,
            rule_id: open.action.rule_id,
            app_type: open.action.scope.as_str(),
            app_id: app_of(&open.action.scope),
            channel: open.channel.word(),
            channel_detail: DetailReply::from(&open.channel),
        }
    }
}

pub(in crate::v5) static CREATE: Built =
    Built::new("Adds an action to a forwarding rule.", json::<RoutingActionReply>(201), |c| Box::pin(create(c)))
        .body::<CreateAction>()
        .errors(&[Code::RoutingRuleNotFound, Code::QueueNotFound, Code::FunctionNotFound, Code::TooManyRoutingActions]);

async fn create(call: Call) -> Result<Reply> {
    let new: CreateAction = call.body()?;
    let channel = new.channel.as_str();
    let config = new.channel_detail.of(channel)?;
    let rule_id = new.rule_id.as_str();
    let made = call.platform().create_routing_action(&call.allowed, rule_id, channel, &config).await?;
    concerns(&call, &made.action.scope);
    Reply::created(&RoutingActionReply::from(made))
}

pub(in crate::v5) static LIST: Built =
    Built::new("Lists actions of forwarding rules.", json::<RoutingActions>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<RuleId>("rule_id", "Only of this rule."),
            Param::optional::<ChannelWord>("channel", "Only of this channel."),
            Param::optional::<Word<AppTypes>>("app_type", "Only of rules of every space, or only of one."),
            Param::optional::<AppId>("app_id", "Only of rules of this resource space."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let app: Option<AppId> = call.query("app_id")?;
    let spaces = call.spaces(app.clone())?;
    let filter = ActionFilter {
        rule_id: call.query::<RuleId>("rule_id")?.map(Text::into_string),
        channel: call.query::<ChannelWord>("channel")?.map(Text::into_string),
        of_app: is_of_app(call.query::<Word<AppTypes>>("app_type")?.map(|w| w.as_str())),
        app,
    };
    let found = call.platform().list_routing_actions(filter, &spaces, call.page()?).await?;
    let (count, marker) = (found.count, found.marker.to_string());
    let actions = found.items.into_iter().map(RoutingActionReply::from).collect();
    Reply::ok(&RoutingActions { actions, count, marker })
}

pub(in crate::v5) static SHOW: Built =
    Built::new("Shows an action of a forwarding rule.", json::<RoutingActionReply>(200), |c| Box::pin(show(c)))
        .errors(&[Code::RoutingActionNotFound]);

async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&RoutingActionReply::from(call.platform().routing_action(&call.allowed, call.path("action_id")).await?))
}

pub(in crate::v5) static UPDATE: Built = Built::new(
    "Changes where an action sends to. Credentials that are not said again stay.",
    json::<RoutingActionReply>(200),
    |c| Box::pin(update(c)),
)
.body::<UpdateAction>()
.errors(&[Code::RoutingActionNotFound, Code::QueueNotFound, Code::FunctionNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let change: UpdateAction = call.body()?;
    let known = call.platform().routing_action(&call.allowed, call.path("action_id")).await?;
    let channel = change.channel.as_ref().map_or(known.channel.word(), Text::as_str);
    let changed = match &change.channel_detail {
        Some(detail) => {
            let config = detail.of(channel)?;
            call.platform().update_routing_action(&call.allowed, call.path("action_id"), channel, &config).await?
        }
        None if channel == known.channel.word() => known,
        None => {
            return Err(Error::invalid("Invalid input. Another 'channel' needs its 'channel_detail'."));
        }
    };
    concerns(&call, &changed.action.scope);
    Reply::ok(&RoutingActionReply::from(changed))
}

pub(in crate::v5) static DELETE: Built =
    Built::new("Deletes an action with what waits for it.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::RoutingActionNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_routing_action(&call.allowed, call.path("action_id")).await?;
    Ok(Reply::empty())
}

pub(in crate::v5) static TEST: Built = Built::new(
    "Sends a test message to where an action sends to, for real, and tells what became of it.",
    json::<TestReply>(200),
    |c| Box::pin(test(c)),
)
.body::<TestAction>()
.errors(&[Code::RoutingActionNotFound]);

/// The text of a sample: an object as it was sent, or what a text holds.
pub(super) fn message_text(raw: &RawValue) -> Result<String> {
    decode::check_depth("message", raw)?;
    if raw.get().starts_with('"') { decode::part("message", raw) } else { Ok(raw.get().to_owned()) }
}

fn advice(failure: &ProbeFailed) -> &'static str {
    match failure.word {
        "timeout" => {
            "Check that the receiver is running and not overloaded, and that no firewall drops the connection."
        }
        "unreachable" => {
            "Check host, port and certificate, that the receiver is running, and that the platform may reach it."
        }
        "refused" => "The receiver was reached and refused the message. Check its log, the path and the credentials.",
        "not_public" => {
            "The target lies in the platform's own network. Use a public address, or have the operator switch on \
             push.allow_private."
        }
        "rejected" => "The receiver can never take this message. Check what the rule selects against what it expects.",
        _ => "Check the configuration of the action and the receiver's log.",
    }
}

async fn test(call: Call) -> Result<Reply> {
    let asked: Option<TestAction> = if call.body.is_empty() { None } else { Some(call.body()?) };
    let message = asked.and_then(|a| a.message).as_deref().map(message_text).transpose()?;
    let id = call.path("action_id");
    let Tested { failure, message } =
        call.platform().test_routing_action(&call.allowed, id, message.as_deref()).await?;
    Reply::ok(&TestReply {
        success: failure.is_none(),
        reason: failure.as_ref().map(|f| f.word),
        advice: failure.as_ref().map(advice),
        detail: failure.map(|f| f.text),
        message: RawValue::from_string(message).map_err(Error::internal)?,
    })
}
