//! Whether a rule can be: its size, and that the devices, products, properties and commands it names are there.

use causeway_model::linkage::{Action, CommandAction, Condition, Definition, Logic, PropertyFilter, Test, Whom};
use causeway_model::product::{DataType, Strictness};
use causeway_model::registry::Product;
use causeway_model::{AppId, Code, DeviceId, Error, Result, Spaces};
use causeway_rules::linkage::is_number;

use super::command::Parameters;
use crate::Platform;

/// Most comparisons of one condition.
const MAX_FILTERS: usize = 10;

fn condition_error(at: usize, text: &str) -> Error {
    Error::new(
        Code::InvalidRuleCondition,
        format!("Invalid parameter in the rule condition. 'conditions[{at}]': {text}"),
    )
}

fn action_error(at: usize, text: &str) -> Error {
    Error::new(Code::InvalidRuleAction, format!("Invalid parameter in the rule action. 'actions[{at}]': {text}"))
}

/// What can be said without looking at the registry.
fn check_shape(definition: &Definition, most: (u32, u32, u32)) -> Result<()> {
    let Definition { conditions, actions, logic, .. } = definition;
    let (max_conditions, max_actions, max_in_values) = most;
    if conditions.is_empty() || conditions.len() > max_conditions as usize {
        return Err(Error::new(
            Code::InvalidRuleCondition,
            format!("Invalid parameter in the rule condition. A rule has 1 to {max_conditions} conditions."),
        ));
    }
    if actions.is_empty() || actions.len() > max_actions as usize {
        return Err(Error::new(
            Code::InvalidRuleAction,
            format!("Invalid parameter in the rule action. A rule has 1 to {max_actions} actions."),
        ));
    }
    for (at, condition) in conditions.iter().enumerate() {
        if let Condition::Data { filters, .. } = condition {
            if filters.is_empty() || filters.len() > MAX_FILTERS {
                return Err(condition_error(at, &format!("there must be 1 to {MAX_FILTERS} filters.")));
            }
            for filter in filters {
                if let Test::OneOf(values) = &filter.test
                    && values.len() > max_in_values as usize
                {
                    return Err(condition_error(at, &format!("'in_values' holds at most {max_in_values} values.")));
                }
            }
        }
        if let Some(again) = conditions[..at].iter().position(|c| c == condition) {
            return Err(Error::new(
                Code::RepeatedRuleCondition,
                format!(
                    "Repeated condition in the same rule: 'conditions[{at}]' says what 'conditions[{again}]' says."
                ),
            ));
        }
    }
    if *logic == Logic::And {
        check_all(conditions)?;
    }
    check_actions(conditions, actions)
}

/// Conditions that must hold together: it must be clear of which devices, and at which time.
fn check_all(conditions: &[Condition]) -> Result<()> {
    let timers = conditions.iter().filter(|c| c.is_timer()).count();
    if timers > 1 {
        return Err(Error::new(
            Code::InvalidRuleCondition,
            "Invalid parameter in the rule condition. Two timers never come at once; with 'logic' and there can be one.",
        ));
    }
    let mut products = conditions.iter().filter_map(|c| match c.whom() {
        Some(Whom::Product(id)) => Some(id),
        _ => None,
    });
    let Some(first) = products.next() else { return Ok(()) };
    if timers > 0 || products.any(|id| id != first) {
        return Err(Error::new(
            Code::InvalidRuleCondition,
            "Invalid parameter in the rule condition. With 'logic' and, conditions of a product are about the device that \
             reports: name the other devices by 'device_id', and do not combine products with each other or with a timer.",
        ));
    }
    Ok(())
}

fn check_actions(conditions: &[Condition], actions: &[Action]) -> Result<()> {
    let has_timer = conditions.iter().any(Condition::is_timer);
    let has_data = conditions.iter().any(|c| matches!(c, Condition::Data { .. }));
    for (at, action) in actions.iter().enumerate() {
        match action {
            Action::Command(command) if command.device_id.is_none() && has_timer => {
                return Err(action_error(at, "a rule with a timer must name the device of a command by 'device_id'."));
            }
            Action::Command(_) => {}
            Action::Notify(_) | Action::Alarm(_) if has_timer => {
                return Err(action_error(at, "a rule with a timer only sends commands."));
            }
            Action::Notify(_) => {}
            Action::Alarm(_) if !has_data => {
                return Err(action_error(at, "an alarm needs a condition of the type DEVICE_DATA."));
            }
            Action::Alarm(_) => {
                if actions[..at].iter().any(|a| matches!(a, Action::Alarm(_))) {
                    return Err(action_error(at, "a rule has one action of the type DEVICE_ALARM at most."));
                }
            }
        }
        if let Some(again) = actions[..at].iter().position(|a| a == action) {
            return Err(Error::new(
                Code::RepeatedRuleAction,
                format!("Repeated action in the same rule: 'actions[{at}]' says what 'actions[{again}]' says."),
            ));
        }
    }
    Ok(())
}

fn check_filter(at: usize, product: &Product, filter: &PropertyFilter, strictness: Strictness) -> Result<()> {
    let found = product
        .services
        .iter()
        .find(|s| s.service_id == filter.service_id)
        .and_then(|s| s.properties.iter().find(|p| p.property_name == filter.property));
    let Some(property) = found else {
        if strictness != Strictness::Strict {
            return Ok(());
        }
        return Err(Error::new(
            Code::RuleConditionData,
            format!(
                "The device data with this condition does not exist. 'conditions[{at}]': product '{}' has no property '{}' in \
                 service '{}'.",
                product.id, filter.property, filter.service_id
            ),
        ));
    };
    let is_numeric =
        matches!(DataType::parse(&property.data_type), Some(DataType::Int | DataType::Long | DataType::Decimal));
    match &filter.test {
        Test::Equal(value) if is_numeric && !is_number(value.trim()) => {
            Err(condition_error(at, &format!("'{value}' is no number, but '{}' is.", filter.property)))
        }
        Test::OneOf(values) if is_numeric && !values.iter().all(|v| is_number(v.trim())) => {
            Err(condition_error(at, &format!("'in_values' must be numbers, because '{}' is one.", filter.property)))
        }
        Test::Equal(_) | Test::OneOf(_) => Ok(()),
        test if !is_numeric => Err(condition_error(
            at,
            &format!(
                "'{}' is of the type {}: it is compared by '=' and 'in', not by '{}'.",
                filter.property,
                property.data_type,
                test.operator()
            ),
        )),
        _ => Ok(()),
    }
}

impl Platform {
    /// Refuses a definition that cannot be, for a rule of the space `app`.
    pub(super) async fn check_linkage(&self, app: &AppId, definition: &Definition) -> Result<()> {
        let limits = &self.settings.linkage;
        check_shape(definition, (limits.max_conditions, limits.max_actions, limits.max_in_values))?;
        for (at, condition) in definition.conditions.iter().enumerate() {
            let Some(whom) = condition.whom() else { continue };
            let product = self.product_of(app, at, whom).await?;
            if let Condition::Data { filters, .. } = condition {
                for filter in filters {
                    check_filter(at, &product, filter, self.settings.model.strictness)?;
                }
            }
        }
        for (at, action) in definition.actions.iter().enumerate() {
            if let Action::Command(command) = action {
                self.check_command_action(app, at, command).await?;
            }
        }
        Ok(())
    }

    async fn product_of(&self, app: &AppId, at: usize, whom: &Whom) -> Result<Product> {
        let found = match whom {
            Whom::Device(id) => {
                let device = self.store.device(id).await?.filter(|d| d.app_id == *app).ok_or_else(|| {
                    Error::new(
                        Code::RuleConditionDevice,
                        format!("The device with this condition does not exist. 'conditions[{at}]': '{id}'."),
                    )
                })?;
                self.store.product(device.product_no).await?
            }
            Whom::Product(id) => match self.product(&Spaces::one(app.clone()), id).await {
                Ok(product) => Some(product),
                Err(error) if error.code() == Code::ProductNotFound => None,
                Err(error) => return Err(error),
            },
        };
        found.ok_or_else(|| condition_error(at, "the product does not exist in the resource space of the rule."))
    }

    async fn check_command_action(&self, app: &AppId, at: usize, command: &CommandAction) -> Result<()> {
        let parameters = Parameters::read(&command.command_body).map_err(|error| action_error(at, error.message()))?;
        let Some(id) = &command.device_id else { return Ok(()) };
        let id = DeviceId::parse(id)?;
        let Some(device) = self.store.device(&id).await?.filter(|d| d.app_id == *app) else {
            return Err(Error::new(
                Code::RuleActionDevice,
                format!("The device with this action does not exist. 'actions[{at}]': '{id}'."),
            ));
        };
        let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
            return Err(Error::internal(format!("device {id} has no product")));
        };
        let version = product.current();
        version.model.check_command(&command.service_id, &command.command_name, &parameters.paras).map_err(|error| {
            Error::new(
                Code::RuleActionData,
                format!("The device data with this action does not exist. 'actions[{at}]': {}", error.message()),
            )
        })
    }
}
