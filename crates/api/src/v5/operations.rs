//! The table of all operations: the 178 of the vendor's SDK (`iotda-v5-api.md` §2), the platform's own beside them,
//! and those outside of projects. Routes, metrics and the OpenAPI document are made from it.

use super::{apps, commands, devices, history, messages, products, properties, push, shadow, topics};
use crate::operation::Verb::{Delete, Get, Post, Put};
use crate::operation::{Base, Built, Operation, Verb};
use crate::{iam, ops};

/// Tag of the platform's own operations.
pub(crate) const OWN: &str = "causeway";

/// Every operation there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    VENDOR.iter().chain(OWN_OPERATIONS).chain(SERVER)
}

const fn later(id: &'static str, verb: Verb, path: &'static str, area: &'static str) -> Operation {
    Operation { id, verb, base: Base::Project, path, area, built: None }
}

const fn built(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    area: &'static str,
    built: &'static Built,
) -> Operation {
    Operation { id, verb, base: Base::Project, path, area, built: Some(built) }
}

const fn server(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    area: &'static str,
    built: &'static Built,
) -> Operation {
    Operation { id, verb, base: Base::Server, path, area, built: Some(built) }
}

/// What the vendor's SDK has.
#[rustfmt::skip]
pub(crate) static VENDOR: &[Operation] = &[
    // Resource spaces
    built("add_application", Post, "/apps", "Resource spaces", &apps::ADD),
    built("show_applications", Get, "/apps", "Resource spaces", &apps::LIST),
    built("delete_application", Delete, "/apps/{app_id}", "Resource spaces", &apps::DELETE),
    built("show_application", Get, "/apps/{app_id}", "Resource spaces", &apps::SHOW),
    built("update_application", Put, "/apps/{app_id}", "Resource spaces", &apps::UPDATE),
    // Products
    later("add_functions", Post, "/product-functions", "Products"),
    later("list_functions", Get, "/product-functions", "Products"),
    built("create_product", Post, "/products", "Products", &products::CREATE),
    built("list_products", Get, "/products", "Products", &products::LIST),
    later("delete_functions", Delete, "/product-functions/{function_id}", "Products"),
    built("delete_product", Delete, "/products/{product_id}", "Products", &products::DELETE),
    built("show_product", Get, "/products/{product_id}", "Products", &products::SHOW),
    built("update_product", Put, "/products/{product_id}", "Products", &products::UPDATE),
    // Devices
    built("add_device", Post, "/devices", "Devices", &devices::ADD),
    built("list_devices", Get, "/devices", "Devices", &devices::LIST),
    built("delete_device", Delete, "/devices/{device_id}", "Devices", &devices::DELETE),
    later("search_devices", Post, "/search/query-devices", "Devices"),
    built("show_device", Get, "/devices/{device_id}", "Devices", &devices::SHOW),
    built("update_device", Put, "/devices/{device_id}", "Devices", &devices::UPDATE),
    later("change_gateway", Post, "/devices/{device_id}/change-gateway", "Devices"),
    built("freeze_device", Post, "/devices/{device_id}/freeze", "Devices", &devices::FREEZE),
    later("list_device_groups_by_device", Post, "/devices/{device_id}/list-device-group", "Devices"),
    built("reset_device_secret", Post, "/devices/{device_id}/action", "Devices", &devices::RESET_SECRET),
    later("reset_fingerprint", Post, "/devices/{device_id}/reset-fingerprint", "Devices"),
    built("unfreeze_device", Post, "/devices/{device_id}/unfreeze", "Devices", &devices::UNFREEZE),
    // Shadow
    built("delete_device_shadow", Delete, "/devices/{device_id}/shadow", "Shadow", &shadow::DELETE),
    built("show_device_shadow", Get, "/devices/{device_id}/shadow", "Shadow", &shadow::SHOW),
    built("update_device_shadow_desired_data", Put, "/devices/{device_id}/shadow", "Shadow", &shadow::UPDATE),
    // Messages, broadcast
    later("broadcast_message", Post, "/broadcast-messages", "Messages, broadcast"),
    built("create_message", Post, "/devices/{device_id}/messages", "Messages, broadcast", &messages::CREATE),
    built("list_device_messages", Get, "/devices/{device_id}/messages", "Messages, broadcast", &messages::LIST),
    built("delete_device_message", Delete, "/devices/{device_id}/messages/{message_id}", "Messages, broadcast", &messages::DELETE),
    built("show_device_message", Get, "/devices/{device_id}/messages/{message_id}", "Messages, broadcast", &messages::SHOW),
    // Commands (sync)
    built("create_command", Post, "/devices/{device_id}/commands", "Commands (sync)", &commands::CREATE),
    // Commands (async)
    later("create_async_command", Post, "/devices/{device_id}/async-commands", "Commands (async)"),
    later("list_async_commands", Get, "/devices/{device_id}/async-commands", "Commands (async)"),
    later("list_async_history_commands", Get, "/devices/{device_id}/async-commands-history", "Commands (async)"),
    later("count_async_history_commands", Post, "/devices/{device_id}/async-commands-history/count", "Commands (async)"),
    later("show_async_device_command", Get, "/devices/{device_id}/async-commands/{command_id}", "Commands (async)"),
    // Properties (sync)
    built("list_properties", Get, "/devices/{device_id}/properties", "Properties (sync)", &properties::GET),
    built("update_properties", Put, "/devices/{device_id}/properties", "Properties (sync)", &properties::SET),
    // Device groups
    later("add_device_group", Post, "/device-group", "Device groups"),
    later("list_device_groups", Get, "/device-group", "Device groups"),
    later("delete_device_group", Delete, "/device-group/{group_id}", "Device groups"),
    later("show_device_group", Get, "/device-group/{group_id}", "Device groups"),
    later("update_device_group", Put, "/device-group/{group_id}", "Device groups"),
    later("create_or_delete_device_in_group", Post, "/device-group/{group_id}/action", "Device groups"),
    later("show_devices_in_group", Get, "/device-group/{group_id}/devices", "Device groups"),
    // Tags
    later("list_resources_by_tags", Post, "/tags/query-resources", "Tags"),
    later("tag_device", Post, "/tags/bind-resource", "Tags"),
    later("untag_device", Post, "/tags/unbind-resource", "Tags"),
    // Device CA certificates
    later("add_certificate", Post, "/certificates", "Device CA certificates"),
    later("list_certificates", Get, "/certificates", "Device CA certificates"),
    later("delete_certificate", Delete, "/certificates/{certificate_id}", "Device CA certificates"),
    later("show_certificate", Get, "/certificates/{certificate_id}", "Device CA certificates"),
    later("update_certificate", Put, "/certificates/{certificate_id}", "Device CA certificates"),
    later("check_certificate", Post, "/certificates/{certificate_id}/action", "Device CA certificates"),
    // Device certificates
    later("list_device_certificate", Get, "/device-certificates", "Device certificates"),
    later("delete_device_certificate", Delete, "/device-certificates/{certificate_id}", "Device certificates"),
    later("show_device_certificate", Get, "/device-certificates/{certificate_id}", "Device certificates"),
    later("update_device_certificate", Put, "/device-certificates/{certificate_id}", "Device certificates"),
    later("list_device_by_device_certificate", Post, "/device-certificates/{certificate_id}/list-device", "Device certificates"),
    // Device policies
    later("create_device_policy", Post, "/device-policies", "Device policies"),
    later("list_device_policies", Get, "/device-policies", "Device policies"),
    later("delete_device_policy", Delete, "/device-policies/{policy_id}", "Device policies"),
    later("show_device_policy", Get, "/device-policies/{policy_id}", "Device policies"),
    later("update_device_policy", Put, "/device-policies/{policy_id}", "Device policies"),
    later("bind_device_policy", Post, "/device-policies/{policy_id}/bind", "Device policies"),
    later("show_targets_in_device_policy", Post, "/device-policies/{policy_id}/list-targets", "Device policies"),
    later("unbind_device_policy", Post, "/device-policies/{policy_id}/unbind", "Device policies"),
    // Provisioning templates
    later("create_provisioning_template", Post, "/provisioning-templates", "Provisioning templates"),
    later("list_provisioning_templates", Get, "/provisioning-templates", "Provisioning templates"),
    later("delete_provisioning_template", Delete, "/provisioning-templates/{template_id}", "Provisioning templates"),
    later("show_provisioning_template", Get, "/provisioning-templates/{template_id}", "Provisioning templates"),
    later("update_provisioning_template", Put, "/provisioning-templates/{template_id}", "Provisioning templates"),
    // Authentication templates
    later("create_device_authentication_template", Post, "/device-authentication-templates", "Authentication templates"),
    later("list_device_authentication_templates", Get, "/device-authentication-templates", "Authentication templates"),
    later("delete_device_authentication_template", Delete, "/device-authentication-templates/{template_id}", "Authentication templates"),
    later("show_device_authentication_template", Get, "/device-authentication-templates/{template_id}", "Authentication templates"),
    later("update_device_authentication_template", Put, "/device-authentication-templates/{template_id}", "Authentication templates"),
    // Custom authorizers
    later("create_device_authorizer", Post, "/device-authorizers", "Custom authorizers"),
    later("list_device_authorizers", Get, "/device-authorizers", "Custom authorizers"),
    later("delete_device_authorizer", Delete, "/device-authorizers/{authorizer_id}", "Custom authorizers"),
    later("show_device_authorizer", Get, "/device-authorizers/{authorizer_id}", "Custom authorizers"),
    later("update_device_authorizer", Put, "/device-authorizers/{authorizer_id}", "Custom authorizers"),
    // Device proxies
    later("create_device_proxy", Post, "/device-proxies", "Device proxies"),
    later("list_device_proxies", Get, "/device-proxies", "Device proxies"),
    later("delete_device_proxy", Delete, "/device-proxies/{proxy_id}", "Device proxies"),
    later("show_device_proxy", Get, "/device-proxies/{proxy_id}", "Device proxies"),
    later("update_device_proxy", Put, "/device-proxies/{proxy_id}", "Device proxies"),
    // Batch tasks and files
    later("create_batch_task", Post, "/batchtasks", "Batch tasks and files"),
    later("list_batch_tasks", Get, "/batchtasks", "Batch tasks and files"),
    later("list_batch_task_files", Get, "/batchtask-files", "Batch tasks and files"),
    later("upload_batch_task_file", Post, "/batchtask-files", "Batch tasks and files"),
    later("delete_batch_task", Delete, "/batchtasks/{task_id}", "Batch tasks and files"),
    later("show_batch_task", Get, "/batchtasks/{task_id}", "Batch tasks and files"),
    later("delete_batch_task_file", Delete, "/batchtask-files/{file_id}", "Batch tasks and files"),
    later("confirm_batch_task", Post, "/batchtasks/{task_id}/confirm", "Batch tasks and files"),
    later("retry_batch_task", Post, "/batchtasks/{task_id}/retry", "Batch tasks and files"),
    later("stop_batch_task", Post, "/batchtasks/{task_id}/stop", "Batch tasks and files"),
    // Export tasks
    later("create_export_task", Post, "/export-tasks", "Export tasks"),
    later("list_export_tasks", Get, "/export-tasks", "Export tasks"),
    later("delete_export_task", Delete, "/export-tasks/{export_task_id}", "Export tasks"),
    later("show_export_task", Get, "/export-tasks/{export_task_id}/file", "Export tasks"),
    // OTA modules and packages
    later("create_ota_module", Post, "/ota-upgrades/modules", "OTA modules and packages"),
    later("list_ota_modules", Get, "/ota-upgrades/modules", "OTA modules and packages"),
    later("create_ota_package", Post, "/ota-upgrades/packages", "OTA modules and packages"),
    later("list_ota_package_info", Get, "/ota-upgrades/packages", "OTA modules and packages"),
    later("delete_ota_module", Delete, "/ota-upgrades/modules/{module_id}", "OTA modules and packages"),
    later("show_ota_module", Get, "/ota-upgrades/modules/{module_id}", "OTA modules and packages"),
    later("update_ota_module", Put, "/ota-upgrades/modules/{module_id}", "OTA modules and packages"),
    later("delete_ota_package", Delete, "/ota-upgrades/packages/{package_id}", "OTA modules and packages"),
    later("show_ota_package", Get, "/ota-upgrades/packages/{package_id}", "OTA modules and packages"),
    // Data forwarding rules
    later("create_routing_rule", Post, "/routing-rule/rules", "Data forwarding rules"),
    later("create_rule_action", Post, "/routing-rule/actions", "Data forwarding rules"),
    later("list_routing_rules", Get, "/routing-rule/rules", "Data forwarding rules"),
    later("list_rule_actions", Get, "/routing-rule/actions", "Data forwarding rules"),
    later("delete_routing_rule", Delete, "/routing-rule/rules/{rule_id}", "Data forwarding rules"),
    later("delete_rule_action", Delete, "/routing-rule/actions/{action_id}", "Data forwarding rules"),
    later("show_routing_rule", Get, "/routing-rule/rules/{rule_id}", "Data forwarding rules"),
    later("show_rule_action", Get, "/routing-rule/actions/{action_id}", "Data forwarding rules"),
    later("update_routing_rule", Put, "/routing-rule/rules/{rule_id}", "Data forwarding rules"),
    later("update_rule_action", Put, "/routing-rule/actions/{action_id}", "Data forwarding rules"),
    // Forwarding backlog policies
    later("create_routing_backlog_policy", Post, "/routing-rule/backlog-policy", "Forwarding backlog policies"),
    later("list_routing_backlog_policy", Get, "/routing-rule/backlog-policy", "Forwarding backlog policies"),
    later("delete_routing_backlog_policy", Delete, "/routing-rule/backlog-policy/{policy_id}", "Forwarding backlog policies"),
    later("show_routing_backlog_policy", Get, "/routing-rule/backlog-policy/{policy_id}", "Forwarding backlog policies"),
    later("update_routing_backlog_policy", Put, "/routing-rule/backlog-policy/{policy_id}", "Forwarding backlog policies"),
    // Forwarding flow control
    later("create_routing_flow_control_policy", Post, "/routing-rule/flowcontrol-policy", "Forwarding flow control"),
    later("list_routing_flow_control_policy", Get, "/routing-rule/flowcontrol-policy", "Forwarding flow control"),
    later("delete_routing_flow_control_policy", Delete, "/routing-rule/flowcontrol-policy/{policy_id}", "Forwarding flow control"),
    later("show_routing_flow_control_policy", Get, "/routing-rule/flowcontrol-policy/{policy_id}", "Forwarding flow control"),
    later("update_routing_flow_control_policy", Put, "/routing-rule/flowcontrol-policy/{policy_id}", "Forwarding flow control"),
    // Device linkage rules
    later("create_rule", Post, "/rules", "Device linkage rules"),
    later("list_rules", Get, "/rules", "Device linkage rules"),
    later("delete_rule", Delete, "/rules/{rule_id}", "Device linkage rules"),
    later("show_rule", Get, "/rules/{rule_id}", "Device linkage rules"),
    later("update_rule", Put, "/rules/{rule_id}", "Device linkage rules"),
    later("change_rule_status", Put, "/rules/{rule_id}/status", "Device linkage rules"),
    // AMQP queues, access code
    later("add_queue", Post, "/amqp-queues", "AMQP queues, access code"),
    later("batch_show_queue", Get, "/amqp-queues", "AMQP queues, access code"),
    later("create_access_code", Post, "/auth/accesscode", "AMQP queues, access code"),
    later("delete_queue", Delete, "/amqp-queues/{queue_id}", "AMQP queues, access code"),
    later("show_queue", Get, "/amqp-queues/{queue_id}", "AMQP queues, access code"),
    // Bridges
    later("add_bridge", Post, "/bridges", "Bridges"),
    later("list_bridges", Get, "/bridges", "Bridges"),
    later("delete_bridge", Delete, "/bridges/{bridge_id}", "Bridges"),
    later("reset_bridge_secret", Post, "/bridges/{bridge_id}/reset-secret", "Bridges"),
    // Tunnels
    later("add_tunnel", Post, "/tunnels", "Tunnels"),
    later("list_device_tunnels", Get, "/tunnels", "Tunnels"),
    later("close_device_tunnel", Put, "/tunnels/{tunnel_id}", "Tunnels"),
    later("delete_device_tunnel", Delete, "/tunnels/{tunnel_id}", "Tunnels"),
    later("show_device_tunnel", Get, "/tunnels/{tunnel_id}", "Tunnels"),
    // Domain configurations
    later("create_domain_configuration", Post, "/domain-configurations", "Domain configurations"),
    later("list_domain_configurations", Get, "/domain-configurations", "Domain configurations"),
    later("delete_domain_configuration", Delete, "/domain-configurations/{configuration_id}", "Domain configurations"),
    later("show_domain_configuration", Get, "/domain-configurations/{configuration_id}", "Domain configurations"),
    later("update_domain_configuration", Put, "/domain-configurations/{configuration_id}", "Domain configurations"),
    // Server certificates
    later("create_server_certificate", Post, "/server-certificates", "Server certificates"),
    later("list_server_certificate", Get, "/server-certificates", "Server certificates"),
    later("delete_server_certificate", Delete, "/server-certificates/{server_certificate_id}", "Server certificates"),
    later("show_server_certificate", Get, "/server-certificates/{server_certificate_id}", "Server certificates"),
    // Security profiles
    later("create_security_profile", Post, "/security-profiles", "Security profiles"),
    later("list_security_profiles", Get, "/security-profiles", "Security profiles"),
    later("delete_security_profile", Delete, "/security-profiles/{profile_id}", "Security profiles"),
    later("show_security_profile", Get, "/security-profiles/{profile_id}", "Security profiles"),
    later("update_security_profile", Put, "/security-profiles/{profile_id}", "Security profiles"),
    // Protocol configs
    later("create_protocol_config", Post, "/protocol-configs", "Protocol configs"),
    later("list_protocol_configs", Get, "/protocol-configs", "Protocol configs"),
    later("delete_protocol_config", Delete, "/protocol-configs/{protocol_id}", "Protocol configs"),
    later("show_protocol_config", Get, "/protocol-configs/{protocol_id}", "Protocol configs"),
    later("update_protocol_config", Put, "/protocol-configs/{protocol_id}", "Protocol configs"),
    // Harmony soft bus
    later("add_harmony_soft_bus", Post, "/harmony-soft-bus", "Harmony soft bus"),
    later("list_harmony_soft_bus", Get, "/harmony-soft-bus", "Harmony soft bus"),
    later("delete_harmony_soft_bus", Delete, "/harmony-soft-bus/{bus_id}", "Harmony soft bus"),
    later("show_harmony_soft_bus", Get, "/harmony-soft-bus/{bus_id}", "Harmony soft bus"),
    later("create_sync_harmony_soft_bus", Post, "/harmony-soft-bus/{bus_id}/sync", "Harmony soft bus"),
    later("reset_harmony_soft_bus_key", Post, "/harmony-soft-bus/{bus_id}/reset-bus-key", "Harmony soft bus"),
];

/// What the SDK has no operation for, below the same project.
#[rustfmt::skip]
pub(crate) static OWN_OPERATIONS: &[Operation] = &[
    built("add_topic", Post, "/products/{product_id}/topics", OWN, &topics::ADD),
    built("list_topics", Get, "/products/{product_id}/topics", OWN, &topics::LIST),
    built("delete_topic", Delete, "/products/{product_id}/topics/{topic_id}", OWN, &topics::DELETE),
    built("set_push", Put, "/apps/{app_id}/push", OWN, &push::SET),
    built("show_push", Get, "/apps/{app_id}/push", OWN, &push::SHOW),
    built("delete_push", Delete, "/apps/{app_id}/push", OWN, &push::DELETE),
    built("show_device_history", Get, "/devices/{device_id}/history", OWN, &history::SHOW),
];

/// What belongs to no project.
#[rustfmt::skip]
pub(crate) static SERVER: &[Operation] = &[
    server("create_token", Post, "/v3/auth/tokens", "Identity", &iam::CREATE_TOKEN),
    server("list_projects", Get, "/v3/projects", "Identity", &iam::LIST_PROJECTS),
    server("move_clock", Post, "/debug/clock", OWN, &ops::MOVE_CLOCK),
    server("health", Get, "/healthz", OWN, &ops::HEALTH),
    server("readiness", Get, "/readyz", OWN, &ops::READINESS),
    server("metrics", Get, "/metrics", OWN, &ops::METRICS),
    server("openapi_v5", Get, "/v5/openapi.json", OWN, &ops::DOCUMENT),
    server("openapi", Get, "/openapi.json", OWN, &ops::DOCUMENT),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_complete_and_unambiguous() {
        assert_eq!(VENDOR.len(), 178);
        let ids: HashSet<_> = all().map(|o| o.id).collect();
        assert_eq!(ids.len(), all().count());
        let addresses: HashSet<_> = all().map(|o| (o.verb, o.full_path())).collect();
        assert_eq!(addresses.len(), all().count());
        assert_eq!(VENDOR.iter().filter(|o| o.built.is_some()).count(), 28);
    }
}
