//! The table of what is asked of the identity service, with the vendor's names for operations and actions.

use super::{CREATE_TOKEN, grants, groups, keys, projects, roles, users};
use crate::operation::Operation;
use crate::operation::Verb::{Delete, Get, Patch, Post, Put};
use crate::v5::operations::server;

/// Tag in the document.
const AREA: &str = "Identity";

const DOMAIN: &str = "/v3/domains/{domain_id}/groups/{group_id}/roles";
const DOMAIN_ROLE: &str = "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}";
const PROJECT: &str = "/v3/projects/{project_id}/groups/{group_id}/roles";
const PROJECT_ROLE: &str = "/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}";
const INHERITED: &str = "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects";
const INHERITED_ROLE: &str =
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects";
const CREDENTIAL: &str = "/v3.0/OS-CREDENTIAL/credentials/{access_key}";

/// All of it.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    server("create_token", Post, "/v3/auth/tokens", "", AREA, &CREATE_TOKEN),
    server("list_auth_domains", Get, "/v3/auth/domains", "", AREA, &projects::LIST_DOMAINS),
    server("list_auth_projects", Get, "/v3/auth/projects", "", AREA, &projects::LIST),
    server("list_projects", Get, "/v3/projects", "", AREA, &projects::LIST_NAMED),
    server("keystone_show_project", Get, "/v3/projects/{project_id}", "", AREA, &projects::SHOW),
    // Users
    server("create_user", Post, "/v3.0/OS-USER/users", "iam:users:createUser", AREA, &users::CREATE),
    server("show_user", Get, "/v3.0/OS-USER/users/{user_id}", "iam:users:getUser", AREA, &users::SHOW),
    server("update_user", Put, "/v3.0/OS-USER/users/{user_id}", "iam:users:updateUser", AREA, &users::UPDATE),
    server("update_user_information", Put, "/v3.0/OS-USER/users/{user_id}/info", "iam:users:updateUser", AREA, &users::UPDATE_INFORMATION),
    server("keystone_create_user", Post, "/v3/users", "iam:users:createUser", AREA, &users::KEYSTONE_CREATE),
    server("keystone_list_users", Get, "/v3/users", "iam:users:listUsers", AREA, &users::LIST),
    server("keystone_show_user", Get, "/v3/users/{user_id}", "iam:users:getUser", AREA, &users::KEYSTONE_SHOW),
    server("keystone_update_user_by_admin", Patch, "/v3/users/{user_id}", "iam:users:updateUser", AREA, &users::KEYSTONE_UPDATE),
    server("keystone_delete_user", Delete, "/v3/users/{user_id}", "iam:users:deleteUser", AREA, &users::DELETE),
    server("keystone_update_user_password", Post, "/v3/users/{user_id}/password", "", AREA, &users::CHANGE_PASSWORD),
    server("keystone_list_groups_for_user", Get, "/v3/users/{user_id}/groups", "iam:groups:listGroupsForUser", AREA, &groups::LIST_OF_USER),
    server("keystone_list_projects_for_user", Get, "/v3/users/{user_id}/projects", "iam:projects:listProjectsForUser", AREA, &projects::LIST_OF_USER),
    // Groups
    server("keystone_create_group", Post, "/v3/groups", "iam:groups:createGroup", AREA, &groups::CREATE),
    server("keystone_list_groups", Get, "/v3/groups", "iam:groups:listGroups", AREA, &groups::LIST),
    server("keystone_show_group", Get, "/v3/groups/{group_id}", "iam:groups:getGroup", AREA, &groups::SHOW),
    server("keystone_update_group", Patch, "/v3/groups/{group_id}", "iam:groups:updateGroup", AREA, &groups::UPDATE),
    server("keystone_delete_group", Delete, "/v3/groups/{group_id}", "iam:groups:deleteGroup", AREA, &groups::DELETE),
    server("keystone_list_users_for_group_by_admin", Get, "/v3/groups/{group_id}/users", "iam:users:listUsersForGroup", AREA, &groups::LIST_MEMBERS),
    server("keystone_add_user_to_group", Put, "/v3/groups/{group_id}/users/{user_id}", "iam:permissions:addUserToGroup", AREA, &groups::ADD_MEMBER),
    server("keystone_check_user_in_group", Get, "/v3/groups/{group_id}/users/{user_id}", "iam:permissions:checkUserInGroup", AREA, &groups::CHECK_MEMBER),
    server("keystone_remove_user_from_group", Delete, "/v3/groups/{group_id}/users/{user_id}", "iam:permissions:removeUserFromGroup", AREA, &groups::REMOVE_MEMBER),
    // Policies
    server("create_cloud_service_custom_policy", Post, "/v3.0/OS-ROLE/roles", "iam:roles:createRole", AREA, &roles::CREATE),
    server("list_custom_policies", Get, "/v3.0/OS-ROLE/roles", "iam:roles:listRoles", AREA, &roles::LIST_CUSTOM),
    server("show_custom_policy", Get, "/v3.0/OS-ROLE/roles/{role_id}", "iam:roles:getRole", AREA, &roles::SHOW_CUSTOM),
    server("update_cloud_service_custom_policy", Patch, "/v3.0/OS-ROLE/roles/{role_id}", "iam:roles:updateRole", AREA, &roles::UPDATE),
    server("delete_custom_policy", Delete, "/v3.0/OS-ROLE/roles/{role_id}", "iam:roles:deleteRole", AREA, &roles::DELETE),
    server("keystone_list_permissions", Get, "/v3/roles", "iam:roles:listRoles", AREA, &roles::LIST),
    server("keystone_show_permission", Get, "/v3/roles/{role_id}", "iam:roles:getRole", AREA, &roles::SHOW),
    // Grants
    server("keystone_list_domain_permissions_for_group", Get, DOMAIN, "iam:permissions:listRolesForGroupOnDomain", AREA, &grants::LIST_DOMAIN),
    server("keystone_associate_group_with_domain_permission", Put, DOMAIN_ROLE, "iam:permissions:grantRoleToGroupOnDomain", AREA, &grants::GRANT_DOMAIN),
    server("keystone_check_domain_permission_for_group", Get, DOMAIN_ROLE, "iam:permissions:checkRoleForGroupOnDomain", AREA, &grants::CHECK_DOMAIN),
    server("keystone_remove_domain_permission_from_group", Delete, DOMAIN_ROLE, "iam:permissions:revokeRoleFromGroupOnDomain", AREA, &grants::REVOKE_DOMAIN),
    server("keystone_list_project_permissions_for_group", Get, PROJECT, "iam:permissions:listRolesForGroupOnProject", AREA, &grants::LIST_PROJECT),
    server("keystone_associate_group_with_project_permission", Put, PROJECT_ROLE, "iam:permissions:grantRoleToGroupOnProject", AREA, &grants::GRANT_PROJECT),
    server("keystone_check_project_permission_for_group", Get, PROJECT_ROLE, "iam:permissions:checkRoleForGroupOnProject", AREA, &grants::CHECK_PROJECT),
    server("keystone_remove_project_permission_from_group", Delete, PROJECT_ROLE, "iam:permissions:revokeRoleFromGroupOnProject", AREA, &grants::REVOKE_PROJECT),
    server("keystone_list_all_project_permissions_for_group", Get, INHERITED, "iam:permissions:listRolesForGroup", AREA, &grants::LIST_INHERITED),
    server("update_domain_group_inherit_role", Put, INHERITED_ROLE, "iam:permissions:grantRoleToGroup", AREA, &grants::GRANT_INHERITED),
    server("keystone_checkrole_for_group", Get, INHERITED_ROLE, "iam:permissions:checkRoleForGroup", AREA, &grants::CHECK_INHERITED),
    server("delete_domain_group_inherited_role", Delete, INHERITED_ROLE, "iam:permissions:revokeRoleFromGroup", AREA, &grants::REVOKE_INHERITED),
    // Access keys
    server("create_permanent_access_key", Post, "/v3.0/OS-CREDENTIAL/credentials", "iam:credentials:createCredential", AREA, &keys::CREATE),
    server("list_permanent_access_keys", Get, "/v3.0/OS-CREDENTIAL/credentials", "iam:credentials:listCredentials", AREA, &keys::LIST),
    server("show_permanent_access_key", Get, CREDENTIAL, "iam:credentials:getCredential", AREA, &keys::SHOW),
    server("update_permanent_access_key", Put, CREDENTIAL, "iam:credentials:updateCredential", AREA, &keys::UPDATE),
    server("delete_permanent_access_key", Delete, CREDENTIAL, "iam:credentials:deleteCredential", AREA, &keys::DELETE),
];
