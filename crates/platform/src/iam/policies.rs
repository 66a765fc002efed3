//! Policies for users, called roles by the vendor's interface: those that come with the platform, those that somebody
//! wrote, and what is granted to whom.

use causeway_model::permission::Policy;
use causeway_model::{Code, Error, Result, Timestamp};

use super::{ADMIN_GROUP, CustomPolicy, GrantScope, Granted, PolicyContent, UserGroup};
use crate::Platform;
use crate::secrets::random_hex;

/// A policy that comes with the platform.
struct SystemPolicy {
    id: &'static str,
    name: &'static str,
    display_name: &'static str,
    catalog: &'static str,
    description: &'static str,
    document: &'static str,
}

/// What the members of [`ADMIN_GROUP`] have.
const FULL_ACCESS: &str = "0000000000000000000000000000a001";

static SYSTEM: [SystemPolicy; 4] = [
    SystemPolicy {
        id: FULL_ACCESS,
        name: "system_all_0",
        display_name: "FullAccess",
        catalog: "BASE",
        description: "Everything.",
        document: r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["*:*:*"]}]}"#,
    },
    SystemPolicy {
        id: "0000000000000000000000000000a002",
        name: "system_all_1",
        display_name: "IoTDA FullAccess",
        catalog: "IoTDA",
        description: "Everything about devices; nothing about users.",
        document: r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["iotda:*:*"]}]}"#,
    },
    SystemPolicy {
        id: "0000000000000000000000000000a003",
        name: "system_all_2",
        display_name: "IoTDA ReadOnlyAccess",
        catalog: "IoTDA",
        description: "Reading whatever there is about devices.",
        document: r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["iotda:*:query*","iotda:*:list*","iotda:*:show*","iotda:*:get*"]}]}"#,
    },
    SystemPolicy {
        id: "0000000000000000000000000000a004",
        name: "secu_admin",
        display_name: "Security Administrator",
        catalog: "IAM",
        description: "Everything about users, groups, policies and keys.",
        document: r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["iam:*:*"]}]}"#,
    },
];

/// Where a policy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleSource {
    /// It came with the platform.
    System,
    /// Somebody wrote it.
    Custom,
}

/// A policy of either source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: String,
    /// Where it comes from.
    pub source: RoleSource,
    /// Name inside the platform.
    pub name: String,
    /// The service it is about; `CUSTOMED` for custom policies.
    pub catalog: &'static str,
    /// What is shown of it.
    pub content: PolicyContent,
    /// When it was made; `None` for system policies.
    pub created_at: Option<Timestamp>,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl From<&SystemPolicy> for Role {
    fn from(policy: &SystemPolicy) -> Self {
        Self {
            id: policy.id.to_owned(),
            source: RoleSource::System,
            name: policy.name.to_owned(),
            catalog: policy.catalog,
            content: PolicyContent {
                display_name: policy.display_name.to_owned(),
                kind: "AA".to_owned(),
                description: policy.description.to_owned(),
                description_cn: String::new(),
                document: policy.document.to_owned(),
            },
            created_at: None,
            updated_at: None,
        }
    }
}

impl From<CustomPolicy> for Role {
    fn from(policy: CustomPolicy) -> Self {
        Self {
            source: RoleSource::Custom,
            name: format!("custom_{}", policy.id),
            catalog: "CUSTOMED",
            content: policy.content,
            created_at: Some(policy.created_at),
            updated_at: Some(policy.updated_at),
            id: policy.id,
        }
    }
}

fn system(id: &str) -> Option<&'static SystemPolicy> {
    SYSTEM.iter().find(|p| p.id == id)
}

/// The policy that a grant stands for. A document that cannot be read denies everything: what it said may have been a
/// denial.
pub(super) fn policy_of(granted: &Granted) -> Option<Policy> {
    let document = match &granted.document {
        Some(document) => document.as_str(),
        None => system(&granted.policy)?.document,
    };
    let read = Policy::parse(document).or_else(|faults| {
        tracing::error!(policy = granted.policy, fault = %faults[0], "a stored policy cannot be read; it denies everything");
        Policy::parse(r#"{"Version":"1.1","Statement":[{"Effect":"Deny","Action":["*"]}]}"#)
    });
    Some(read.expect("a constant document is sound"))
}

/// Reads a document and gives it the form in which it is kept.
fn normal_document(document: &str) -> Result<String> {
    match Policy::parse(document) {
        Ok(policy) => Ok(policy.to_json().to_string()),
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Err(Error::new(Code::InvalidRole, format!("Invalid input. Policy: {}.", faults.join("; "))))
        }
    }
}

fn not_found(id: &str) -> Error {
    Error::new(Code::RoleNotFound, format!("The policy '{id}' does not exist."))
}

fn built_in() -> Error {
    Error::new(Code::BuiltInRole, "Operation not allowed. A system policy cannot be changed or deleted.")
}

impl Platform {
    /// All policies: the system's first, then custom ones, oldest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn roles(&self) -> Result<Vec<Role>> {
        let custom = self.store.custom_policies().await?.into_iter().map(Role::from);
        Ok(SYSTEM.iter().map(Role::from).chain(custom).collect())
    }

    /// One policy.
    ///
    /// # Errors
    /// [`Code::RoleNotFound`].
    pub async fn role(&self, id: &str) -> Result<Role> {
        match system(id) {
            Some(policy) => Ok(policy.into()),
            None => Ok(self.custom_policy(id).await?.into()),
        }
    }

    async fn custom_policy(&self, id: &str) -> Result<CustomPolicy> {
        self.store.custom_policy(id).await?.ok_or_else(|| not_found(id))
    }

    /// To how many groups a policy is granted.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn role_references(&self, id: &str) -> Result<u64> {
        self.store.grant_count(id).await
    }

    /// Adds a custom policy.
    ///
    /// # Errors
    /// [`Code::InvalidRole`], [`Code::RoleExists`], [`Code::TooManyRoles`].
    pub async fn create_role(&self, mut content: PolicyContent) -> Result<Role> {
        content.document = normal_document(&content.document)?;
        let now = self.clock.now();
        let policy = CustomPolicy { no: 0, id: random_hex(16), content, created_at: now, updated_at: now };
        Ok(self.store.insert_custom_policy(policy, self.settings.iam.max_policies).await?.into())
    }

    /// Writes a custom policy anew. It holds for the next request of whom it is granted to.
    ///
    /// # Errors
    /// [`Code::RoleNotFound`], [`Code::InvalidRole`], [`Code::RoleExists`]; [`Code::BuiltInRole`] for a system policy.
    pub async fn change_role(&self, id: &str, mut content: PolicyContent) -> Result<Role> {
        if system(id).is_some() {
            return Err(built_in());
        }
        content.document = normal_document(&content.document)?;
        let policy = self.custom_policy(id).await?;
        let changed = self.store.change_custom_policy(policy.no, content, self.clock.now()).await?;
        self.iam_changed().await;
        changed.map(Role::from).ok_or_else(|| not_found(id))
    }

    /// Deletes a custom policy.
    ///
    /// # Errors
    /// [`Code::RoleNotFound`]; [`Code::RoleInUse`] while it is granted; [`Code::BuiltInRole`] for a system policy.
    pub async fn delete_role(&self, id: &str) -> Result<()> {
        if system(id).is_some() {
            return Err(built_in());
        }
        let policy = self.custom_policy(id).await?;
        if self.store.delete_custom_policy(policy.no).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// Grants a policy to a group; once is enough.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`], [`Code::RoleNotFound`].
    pub async fn grant_role(&self, group: &str, role: &str, scope: GrantScope) -> Result<()> {
        let group = self.user_group(group).await?;
        let custom = system(role).is_none();
        if !self.store.grant(group.no, role, custom, scope).await? {
            return Err(not_found(role));
        }
        self.iam_changed().await;
        Ok(())
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`]; [`Code::NotGranted`]; [`Code::BuiltInRole`] for what makes administrators.
    pub async fn revoke_role(&self, group: &str, role: &str, scope: GrantScope) -> Result<()> {
        let group = self.user_group(group).await?;
        if group.name == ADMIN_GROUP && role == FULL_ACCESS && scope == GrantScope::Domain {
            let message = "Operation not allowed. The group 'admin' always has the policy 'FullAccess'.";
            return Err(Error::new(Code::BuiltInRole, message));
        }
        if !self.store.revoke(group.no, role, scope).await? {
            return Err(Error::new(Code::NotGranted, format!("The policy '{role}' is not granted to the group.")));
        }
        self.iam_changed().await;
        Ok(())
    }

    /// The policies granted to a group for `scope`, oldest grant first.
    ///
    /// # Errors
    /// [`Code::UserGroupNotFound`].
    pub async fn granted_roles(&self, group: &str, scope: GrantScope) -> Result<Vec<Role>> {
        let group = self.user_group(group).await?;
        let ids = self.store.grants(group.no, scope).await?;
        let roles = self.roles().await?;
        Ok(ids.iter().filter_map(|id| roles.iter().find(|r| r.id == *id).cloned()).collect())
    }

    /// Makes the group of administrators with its policy unless it is there. Every start does; once is enough.
    pub(crate) async fn ensure_admin_group(&self) -> Result<UserGroup> {
        let group = UserGroup {
            no: 0,
            id: random_hex(16),
            name: ADMIN_GROUP.to_owned(),
            description: "Administrators: may do everything.".to_owned(),
            created_at: self.clock.now(),
        };
        self.store.ensure_admin_group(&group).await?;
        let groups = self.store.user_groups().await?;
        let group = groups.into_iter().find(|g| g.name == ADMIN_GROUP);
        let group = group.ok_or_else(|| Error::internal("the group of administrators is missing"))?;
        self.store.grant(group.no, FULL_ACCESS, false, GrantScope::Domain).await?;
        Ok(group)
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::permission::{Permissions, Verdict};

    use super::*;

    fn may(role: &str, action: &str) -> bool {
        let id = SYSTEM.iter().find(|p| p.display_name == role).expect(role).id;
        let policy = policy_of(&Granted { policy: id.to_owned(), document: None }).expect("a system policy");
        Permissions::of([&policy], "instance").verdict(action) == Verdict::Everywhere
    }

    #[test]
    fn system_policies_say_what_they_are_for() {
        for (role, reads, writes, manages) in [
            ("FullAccess", true, true, true),
            ("IoTDA FullAccess", true, true, false),
            ("IoTDA ReadOnlyAccess", true, false, false),
            ("Security Administrator", false, false, true),
        ] {
            for action in ["iotda:devices:query", "iotda:devices:queryList", "iotda:devicepolicy:queryTargets"] {
                assert_eq!(may(role, action), reads, "{role} {action}");
            }
            for action in ["iotda:devices:delete", "iotda:devices:register", "iotda:messages:send"] {
                assert_eq!(may(role, action), writes, "{role} {action}");
            }
            assert_eq!(may(role, "iam:users:createUser"), manages, "{role}");
        }
    }

    #[test]
    fn a_stored_document_that_cannot_be_read_denies() {
        let broken = Granted { policy: "x".to_owned(), document: Some("{}".to_owned()) };
        let all = Granted { policy: FULL_ACCESS.to_owned(), document: None };
        let policies: Vec<Policy> = [broken, all].iter().filter_map(policy_of).collect();
        assert_eq!(Permissions::of(&policies, "instance").verdict("iotda:devices:query"), Verdict::Nowhere);
        assert_eq!(policy_of(&Granted { policy: "unknown".to_owned(), document: None }), None);
    }
}
