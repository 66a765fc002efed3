//! Policies of forwarding: how much may wait, and how fast deliveries leave. They belong to the whole instance.

use causeway_model::forwarding::{BacklogPolicy, FlowControlPolicy, FlowScope};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

/// A backlog policy to make.
#[derive(Clone, Debug, Default)]
pub struct NewBacklogPolicy {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Bytes that wait for one target at most.
    pub size: u64,
    /// Seconds that a delivery waits at most.
    pub seconds: u64,
}

/// Fields of a backlog policy to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct BacklogPolicyChange {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Bytes that wait for one target at most.
    pub size: Option<u64>,
    /// Seconds that a delivery waits at most.
    pub seconds: Option<u64>,
}

/// Fields of a flow control policy to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct FlowControlChange {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Deliveries a second.
    pub limit: Option<u32>,
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::RoutingPolicyNotFound, format!("The policy '{id}' does not exist."))
}

impl Platform {
    /// Makes a backlog policy.
    ///
    /// # Errors
    /// [`Code::TooManyRoutingPolicies`].
    pub async fn create_backlog_policy(&self, new: NewBacklogPolicy) -> Result<BacklogPolicy> {
        let policy = BacklogPolicy {
            no: RecordNo(0),
            id: random_hex(12),
            name: new.name,
            description: new.description,
            size: new.size,
            seconds: new.seconds,
        };
        let made = self.store.insert_backlog_policy(policy, self.settings.routing.max_backlog_policies).await?;
        self.bus.announce(Changed::Routes).await;
        Ok(made)
    }

    /// One backlog policy.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn backlog_policy(&self, id: &str) -> Result<BacklogPolicy> {
        self.store.backlog_policy(id).await?.ok_or_else(|| not_found(id))
    }

    /// A page of backlog policies whose name contains `name`, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_backlog_policies(&self, name: Option<&str>, page: PageRequest) -> Result<Page<BacklogPolicy>> {
        self.store.list_backlog_policies(name, page).await
    }

    /// Changes a backlog policy.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn update_backlog_policy(&self, id: &str, change: BacklogPolicyChange) -> Result<BacklogPolicy> {
        let mut policy = self.backlog_policy(id).await?;
        policy.name = change.name.or(policy.name);
        policy.description = change.description.or(policy.description);
        policy.size = change.size.unwrap_or(policy.size);
        policy.seconds = change.seconds.unwrap_or(policy.seconds);
        if !self.store.update_backlog_policy(&policy).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(policy)
    }

    /// Deletes a backlog policy.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn delete_backlog_policy(&self, id: &str) -> Result<()> {
        if !self.store.delete_backlog_policy(id).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }

    /// Makes a flow control policy.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a channel that there is not; [`Code::RoutingRuleNotFound`];
    /// [`Code::RoutingActionNotFound`]; [`Code::FlowControlPolicyExists`]; [`Code::TooManyRoutingPolicies`].
    pub async fn create_flow_control_policy(
        &self,
        name: Option<String>,
        description: Option<String>,
        scope: FlowScope,
        limit: u32,
    ) -> Result<FlowControlPolicy> {
        match &scope {
            FlowScope::User => {}
            FlowScope::Channel(word) => {
                let words = causeway_channels::words();
                if !words.contains(&word.as_str()) {
                    let words = words.join(", ");
                    return Err(Error::invalid(format!("Invalid input. 'scope_value' must be one of {words}.")));
                }
            }
            FlowScope::Rule(id) => drop(self.routing_rule(&Spaces::All, id).await?),
            FlowScope::Action(id) => drop(self.routing_action(&Spaces::All, id).await?),
        }
        let policy = FlowControlPolicy { no: RecordNo(0), id: random_hex(12), name, description, scope, limit };
        let limit = self.settings.routing.max_flow_control_policies;
        let made = self.store.insert_flow_control_policy(policy, limit).await?;
        self.bus.announce(Changed::Routes).await;
        Ok(made)
    }

    /// One flow control policy.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn flow_control_policy(&self, id: &str) -> Result<FlowControlPolicy> {
        self.store.flow_control_policy(id).await?.ok_or_else(|| not_found(id))
    }

    /// A page of flow control policies, newest first; `name` is a part of it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_flow_control_policies(
        &self,
        scope: Option<&str>,
        scope_value: Option<&str>,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FlowControlPolicy>> {
        self.store.list_flow_control_policies(scope, scope_value, name, page).await
    }

    /// Changes a flow control policy; its scope stays.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn update_flow_control_policy(&self, id: &str, change: FlowControlChange) -> Result<FlowControlPolicy> {
        let mut policy = self.flow_control_policy(id).await?;
        policy.name = change.name.or(policy.name);
        policy.description = change.description.or(policy.description);
        policy.limit = change.limit.unwrap_or(policy.limit);
        if !self.store.update_flow_control_policy(&policy).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(policy)
    }

    /// Deletes a flow control policy.
    ///
    /// # Errors
    /// [`Code::RoutingPolicyNotFound`].
    pub async fn delete_flow_control_policy(&self, id: &str) -> Result<()> {
        if !self.store.delete_flow_control_policy(id).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }
}
