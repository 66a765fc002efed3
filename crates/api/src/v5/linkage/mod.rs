//! Device linkage rules (002 §5.3; `iotda-v5-api.md`, device linkage rules).

mod bodies;
mod replies;

use causeway_model::{AppId, Code, Error, Result};

use crate::bounded::{Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use bodies::{LinkageRule, RuleStatusBody};
use replies::{DeviceRule, DeviceRules, RuleStatusReply};

words! {
    /// Where a rule is looked at.
    RuleTypes: "DEVICE_LINKAGE" | "DEVICE_SIDE";
    /// Whether a rule is looked at.
    RuleStates: "active" | "inactive";
}

const FAULTS: &[Code] = &[
    Code::AppNotFound,
    Code::AppRequired,
    Code::InvalidRule,
    Code::TooManyRoutingRules,
    Code::InvalidRuleCondition,
    Code::InvalidRuleAction,
    Code::RepeatedRuleCondition,
    Code::RepeatedRuleAction,
    Code::RuleConditionDevice,
    Code::RuleActionDevice,
    Code::RuleConditionData,
    Code::RuleActionData,
];

const UPDATE_FAULTS: &[Code] = &[
    Code::RoutingRuleNotFound,
    Code::InvalidRule,
    Code::InvalidRuleCondition,
    Code::InvalidRuleAction,
    Code::RepeatedRuleCondition,
    Code::RepeatedRuleAction,
    Code::RuleConditionDevice,
    Code::RuleActionDevice,
    Code::RuleConditionData,
    Code::RuleActionData,
];

/// Rules on the device's side are not pushed down to any device.
fn in_the_cloud(rule_type: &Word<RuleTypes>) -> Result<()> {
    if rule_type.as_str() == "DEVICE_LINKAGE" {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidRule,
        "Invalid input for this rule. Rules of the type DEVICE_SIDE run on devices, and the platform does not bring them \
         there. Use DEVICE_LINKAGE.",
    ))
}

pub(super) static CREATE: Built =
    Built::new("Makes a device linkage rule.", json::<DeviceRule>(201), |c| Box::pin(create(c)))
        .body::<LinkageRule>()
        .errors(FAULTS);

async fn create(call: Call) -> Result<Reply> {
    let body: LinkageRule = call.body()?;
    in_the_cloud(&body.rule_type)?;
    let (app, new) = body.read()?;
    let made = call.platform().create_linkage_rule(&call.spaces(app)?, new).await?;
    call.concerns(&made.app_id);
    Reply::created(&DeviceRule::of(made)?)
}

pub(super) static LIST: Built =
    Built::new("Lists device linkage rules.", json::<DeviceRules>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<AppId>("app_id", "Only of this resource space."),
            Param::optional::<Word<RuleTypes>>("rule_type", "Only of this type."),
        ])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let page = call.page()?;
    if call.query::<Word<RuleTypes>>("rule_type")?.is_some_and(|t| t.as_str() == "DEVICE_SIDE") {
        return Reply::ok(&DeviceRules { rules: Vec::new(), count: 0, marker: page.marker.to_string() });
    }
    let found = call.platform().list_linkage_rules(&spaces, page).await?;
    let (count, marker) = (found.count, found.marker.to_string());
    let rules = found.items.into_iter().map(DeviceRule::of).collect::<Result<_>>()?;
    Reply::ok(&DeviceRules { rules, count, marker })
}

pub(super) static SHOW: Built =
    Built::new("Shows a device linkage rule.", json::<DeviceRule>(200), |c| Box::pin(show(c)))
        .errors(&[Code::RoutingRuleNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let rule = call.platform().linkage_rule(&call.allowed, call.path("rule_id")).await?;
    Reply::ok(&DeviceRule::of(rule)?)
}

pub(super) static UPDATE: Built = Built::new(
    "Makes a device linkage rule say something else; it takes the whole rule.",
    json::<DeviceRule>(200),
    |c| Box::pin(update(c)),
)
.body::<LinkageRule>()
.errors(UPDATE_FAULTS);

async fn update(call: Call) -> Result<Reply> {
    let body: LinkageRule = call.body()?;
    in_the_cloud(&body.rule_type)?;
    let (app, new) = body.read()?;
    let id = call.path("rule_id");
    let changed = call.platform().update_linkage_rule(&call.allowed, id, app.as_ref(), new).await?;
    Reply::ok(&DeviceRule::of(changed)?)
}

pub(super) static DELETE: Built = Built::new("Deletes a device linkage rule.", Success::Empty, |c| Box::pin(delete(c)))
    .errors(&[Code::RoutingRuleNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_linkage_rule(&call.allowed, call.path("rule_id")).await?;
    Ok(Reply::empty())
}

pub(super) static CHANGE_STATUS: Built =
    Built::new("Activates or deactivates a device linkage rule.", json::<RuleStatusReply>(200), |c| {
        Box::pin(change_status(c))
    })
    .body::<RuleStatusBody>()
    .errors(&[Code::RoutingRuleNotFound]);

async fn change_status(call: Call) -> Result<Reply> {
    let body: RuleStatusBody = call.body()?;
    let is_active = body.status.as_str() == "active";
    let rule = call.platform().activate_linkage_rule(&call.allowed, call.path("rule_id"), is_active).await?;
    Reply::ok(&RuleStatusReply { status: replies::status(rule.is_active) })
}
