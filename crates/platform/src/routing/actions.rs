//! Making, reading, changing, testing and deleting the actions of forwarding rules. Their configurations are sealed as
//! long as they are stored.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_channels::{Channel, FieldKind, NetAddress};
use causeway_model::forwarding::RoutingAction;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Spaces};
use serde_json::value::RawValue;

use super::rules::is_seen;
use super::{ActionFilter, NewTarget, samples};
use crate::Platform;
use crate::bus::Changed;
use crate::outbox::{NewDelivery, PushHost, is_public};

/// An action with its configuration opened.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAction {
    /// The action.
    pub action: RoutingAction,
    /// Where it sends to, with credentials: show [`Channel::shown`] only.
    pub channel: Channel,
}

/// A target that deliveries are sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnTarget {
    /// Its number.
    pub target: i64,
    /// Id of its action.
    pub action_id: String,
    /// Id of the action's rule.
    pub rule_id: String,
    /// Where it sends to.
    pub channel: Channel,
}

/// Why a test message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailed {
    /// One word: `refused`, `timeout`, `unreachable`, …
    pub word: &'static str,
    /// What happened and what to look at. Without credentials.
    pub text: String,
}

/// Sends test messages. The delivery crate knows how.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Sends a message to where a channel leads; returns when the receiver has said that it has it.
    async fn probe(&self, channel: &Channel, message: &str) -> std::result::Result<(), ProbeFailed>;
}

/// What became of a connectivity test (002 §5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Why the message was not taken; `None` when it was.
    pub failure: Option<ProbeFailed>,
    /// What was sent.
    pub message: String,
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::RoutingActionNotFound, format!("The action '{id}' does not exist."))
}

/// Where a new action's deliveries wait.
fn target_of(channel: &Channel) -> NewTarget {
    match channel {
        Channel::Amqp(amqp) => NewTarget::Queue(amqp.queue_name.clone()),
        _ => NewTarget::Own,
    }
}

impl Platform {
    /// Takes over what sends test messages. Called once, when the parts are put together.
    pub fn set_prober(&self, prober: Arc<dyn Prober>) {
        if self.prober.set(prober).is_err() {
            tracing::error!("the sender of test messages is set already");
        }
    }

    /// Refuses a channel that leads, without asking anybody, into the platform's own network. Names are judged whenever
    /// they are resolved.
    fn check_hosts(&self, channel: &Channel) -> Result<()> {
        if self.settings.push.allow_private {
            return Ok(());
        }
        let private = |name: &str| {
            Err(Error::invalid(format!(
                "Invalid input. '{name}' leads into the platform's own network. Use a public address, or have the operator \
                 switch on 'push.allow_private'."
            )))
        };
        if let Channel::Http(http) = channel {
            match PushHost::of(&http.url) {
                None => {
                    return Err(Error::invalid(
                        "Invalid input. 'url' must be an http:// or https:// address without a user name.",
                    ));
                }
                Some(host) if host.is_private() => return private("url"),
                Some(_) => {}
            }
        }
        let config: serde_json::Value = serde_json::from_str(&channel.to_json()).map_err(Error::internal)?;
        let about = causeway_channels::all().into_iter().find(|a| a.channel == channel.word());
        for field in about.into_iter().flat_map(|a| a.fields) {
            let Some(value) = config.get(field.name).cloned() else { continue };
            let addresses: Vec<NetAddress> = match field.kind {
                FieldKind::Address => serde_json::from_value(value).into_iter().collect(),
                FieldKind::Addresses => serde_json::from_value(value).unwrap_or_default(),
                _ => continue,
            };
            let is_private = |address: &NetAddress| match address.host_and_port(1) {
                Ok((host, _)) => match host.parse() {
                    Ok(ip) => !is_public(ip),
                    Err(_) => host == "localhost" || host.ends_with(".localhost"),
                },
                Err(_) => false,
            };
            if addresses.iter().any(is_private) {
                return private(field.name);
            }
        }
        Ok(())
    }

    fn opened(&self, action: RoutingAction) -> Result<OpenAction> {
        let plain = self.secrets.open(&action.config)?;
        let text = std::str::from_utf8(&plain).map_err(Error::internal)?;
        let channel = Channel::read(&action.channel, text)
            .map_err(|e| Error::internal(format_args!("the configuration of action {} is unsound: {e}", action.id)))?;
        Ok(OpenAction { action, channel })
    }

    /// Adds an action to a rule. `config` is the object that the channel's member of `channel_detail` holds.
    ///
    /// # Errors
    /// [`Code::RoutingRuleNotFound`]; [`Code::InvalidInput`] names the field of the configuration that does not fit;
    /// [`Code::QueueNotFound`]; [`Code::TooManyRoutingActions`].
    pub async fn create_routing_action(
        &self,
        spaces: &Spaces,
        rule_id: &str,
        channel: &str,
        config: &RawValue,
    ) -> Result<OpenAction> {
        let rule = self.routing_rule(spaces, rule_id).await?;
        let channel = causeway_channels::changed(channel, config, None)?;
        self.check_hosts(&channel)?;
        self.check_function_of(&rule.scope, &channel).await?;
        let action = RoutingAction {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            rule_id: rule.id,
            scope: rule.scope,
            channel: channel.word().to_owned(),
            config: self.secrets.seal(channel.to_json().as_bytes()),
            target: 0,
            created_at: self.clock.now(),
        };
        let limit = self.settings.routing.max_actions;
        let action = self.store.insert_routing_action(action, target_of(&channel), limit).await?;
        self.bus.announce(Changed::Routes).await;
        Ok(OpenAction { action, channel })
    }

    /// One action that somebody with these spaces may see.
    ///
    /// # Errors
    /// [`Code::RoutingActionNotFound`].
    pub async fn routing_action(&self, spaces: &Spaces, id: &str) -> Result<OpenAction> {
        let found = self.store.routing_action(id).await?;
        self.opened(found.filter(|action| is_seen(spaces, &action.scope)).ok_or_else(|| not_found(id))?)
    }

    /// A page of actions, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_routing_actions(
        &self,
        filter: ActionFilter,
        spaces: &Spaces,
        page: PageRequest,
    ) -> Result<Page<OpenAction>> {
        let found = self.store.list_routing_actions(filter, spaces, page).await?;
        let items = found.items.into_iter().map(|action| self.opened(action)).collect::<Result<_>>()?;
        Ok(Page { items, count: found.count, marker: found.marker })
    }

    /// Changes where an action sends to. Credentials that are not said again stay; what waits stays too, unless the action
    /// goes to an AMQP queue from now on, or comes from one.
    ///
    /// # Errors
    /// As [`create_routing_action`](Self::create_routing_action), and [`Code::RoutingActionNotFound`].
    pub async fn update_routing_action(
        &self,
        spaces: &Spaces,
        id: &str,
        channel: &str,
        config: &RawValue,
    ) -> Result<OpenAction> {
        let known = self.routing_action(spaces, id).await?;
        let channel = causeway_channels::changed(channel, config, Some(&known.channel))?;
        self.check_hosts(&channel)?;
        self.check_function_of(&known.action.scope, &channel).await?;
        let sealed = self.secrets.seal(channel.to_json().as_bytes());
        let changed = self.store.update_routing_action(id, channel.word(), sealed, target_of(&channel)).await?;
        let action = changed.ok_or_else(|| not_found(id))?;
        self.bus.announce(Changed::Routes).await;
        Ok(OpenAction { action, channel })
    }

    /// Deletes an action with what waits for it. What an AMQP queue holds stays.
    ///
    /// # Errors
    /// [`Code::RoutingActionNotFound`].
    pub async fn delete_routing_action(&self, spaces: &Spaces, id: &str) -> Result<()> {
        self.routing_action(spaces, id).await?;
        if !self.store.delete_routing_action(id).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }

    /// Sends a test message to where an action sends to: `message`, or a sample of what its rule takes (002 §5.5).
    ///
    /// # Errors
    /// [`Code::RoutingActionNotFound`]; [`Code::InvalidInput`] when the message is no JSON object.
    pub async fn test_routing_action(&self, spaces: &Spaces, id: &str, message: Option<&str>) -> Result<Tested> {
        let OpenAction { action, channel } = self.routing_action(spaces, id).await?;
        let rule = self.routing_rule(spaces, &action.rule_id).await?;
        let message = message.unwrap_or_else(|| samples::of(rule.subject)).trim().to_owned();
        let sound = serde_json::from_str::<&RawValue>(&message).is_ok_and(|raw| raw.get().starts_with('{'));
        if !sound {
            return Err(Error::invalid("Invalid input. 'message' must be a JSON object, as notifications are."));
        }
        let failure = if let Channel::Amqp(_) = channel {
            let body = message.as_str().into();
            let delivery = NewDelivery { target: action.target, device: None, body, at: self.clock.now() };
            self.store.put_deliveries(vec![delivery]).await?;
            None
        } else {
            let prober = self.prober.get().ok_or_else(|| Error::internal("nothing sends test messages"))?;
            prober.probe(&channel, &message).await.err()
        };
        Ok(Tested { failure, message })
    }

    /// Every target that has a channel of its own, whether its rule is active or not. One whose configuration does not
    /// open is left out and logged.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn own_targets(&self) -> Result<Vec<OwnTarget>> {
        let mut found = Vec::new();
        for action in self.store.own_targets().await? {
            let (target, action_id, rule_id) = (action.target, action.id.clone(), action.rule_id.clone());
            match self.opened(action) {
                Ok(OpenAction { channel, .. }) => found.push(OwnTarget { target, action_id, rule_id, channel }),
                Err(error) => tracing::error!(?error, action_id, "an action is not served"),
            }
        }
        Ok(found)
    }
}
