//! The table of all operations: the 178 of the vendor's SDK (`iotda-v5-api.md` §2), the platform's own beside them,
//! and those outside of projects. Routes, metrics and the OpenAPI document are made from it.

use super::{
    alarms, apps, audit, batch, broadcasts, certificates, commands, device_certificates, devices, files, functions,
    gateways, groups, history, linkage, logs, messages, model_files, notification_topics, ota, policies, products,
    properties, provisioning_templates, push, queues, routing, search, server_certificates, shadow, tags, topics,
};
use crate::operation::Verb::{Delete, Get, Post, Put};
use crate::operation::{Base, Built, Operation, Verb};
use crate::{iam, ops};

/// Tag of the platform's own operations.
pub(crate) const OWN: &str = "causeway";

/// Every operation there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    VENDOR.iter().chain(OWN_OPERATIONS).chain(SERVER).chain(iam::OPERATIONS)
}

const fn later(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    action: &'static str,
    area: &'static str,
) -> Operation {
    Operation { id, verb, base: Base::Project, path, action, area, built: None }
}

const fn built(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    action: &'static str,
    area: &'static str,
    built: &'static Built,
) -> Operation {
    Operation { id, verb, base: Base::Project, path, action, area, built: Some(built) }
}

/// A row of what belongs to no project.
pub(crate) const fn server(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    action: &'static str,
    area: &'static str,
    built: &'static Built,
) -> Operation {
    Operation { id, verb, base: Base::Server, path, action, area, built: Some(built) }
}

/// What the vendor's SDK has.
#[rustfmt::skip]
pub(crate) static VENDOR: &[Operation] = &[
    // Resource spaces
    built("add_application", Post, "/apps", "iotda:app:create", "Resource spaces", &apps::ADD),
    built("show_applications", Get, "/apps", "iotda:app:queryList", "Resource spaces", &apps::LIST),
    built("delete_application", Delete, "/apps/{app_id}", "iotda:app:delete", "Resource spaces", &apps::DELETE),
    built("show_application", Get, "/apps/{app_id}", "iotda:app:query", "Resource spaces", &apps::SHOW),
    built("update_application", Put, "/apps/{app_id}", "iotda:app:modify", "Resource spaces", &apps::UPDATE),
    // Products
    later("add_functions", Post, "/product-functions", "iotda:productFunctions:create", "Products"),
    later("list_functions", Get, "/product-functions", "iotda:productFunctions:queryList", "Products"),
    built("create_product", Post, "/products", "iotda:products:create", "Products", &products::CREATE),
    built("list_products", Get, "/products", "iotda:products:queryList", "Products", &products::LIST),
    later("delete_functions", Delete, "/product-functions/{function_id}", "iotda:productFunctions:delete", "Products"),
    built("delete_product", Delete, "/products/{product_id}", "iotda:products:delete", "Products", &products::DELETE),
    built("show_product", Get, "/products/{product_id}", "iotda:products:query", "Products", &products::SHOW),
    built("update_product", Put, "/products/{product_id}", "iotda:products:modify", "Products", &products::UPDATE),
    // Devices
    built("add_device", Post, "/devices", "iotda:devices:register", "Devices", &devices::ADD),
    built("list_devices", Get, "/devices", "iotda:devices:queryList", "Devices", &devices::LIST),
    built("delete_device", Delete, "/devices/{device_id}", "iotda:devices:delete", "Devices", &devices::DELETE),
    built("search_devices", Post, "/search/query-devices", "iotda:devices:queryList", "Devices", &search::SEARCH),
    built("show_device", Get, "/devices/{device_id}", "iotda:devices:query", "Devices", &devices::SHOW),
    built("update_device", Put, "/devices/{device_id}", "iotda:devices:modify", "Devices", &devices::UPDATE),
    built("change_gateway", Post, "/devices/{device_id}/change-gateway", "iotda:devices:changeGateway", "Devices", &devices::CHANGE_GATEWAY),
    built("freeze_device", Post, "/devices/{device_id}/freeze", "iotda:devices:freeze", "Devices", &devices::FREEZE),
    built("list_device_groups_by_device", Post, "/devices/{device_id}/list-device-group", "iotda:group:queryList", "Devices", &groups::OF_DEVICE),
    built("reset_device_secret", Post, "/devices/{device_id}/action", "iotda:devices:resetSecret", "Devices", &devices::RESET_SECRET),
    built("reset_fingerprint", Post, "/devices/{device_id}/reset-fingerprint", "iotda:devices:resetFingerprint", "Devices", &device_certificates::RESET_FINGERPRINT),
    built("unfreeze_device", Post, "/devices/{device_id}/unfreeze", "iotda:devices:unfreeze", "Devices", &devices::UNFREEZE),
    // Shadow
    built("delete_device_shadow", Delete, "/devices/{device_id}/shadow", "iotda:shadows:delete", "Shadow", &shadow::DELETE),
    built("show_device_shadow", Get, "/devices/{device_id}/shadow", "iotda:shadows:query", "Shadow", &shadow::SHOW),
    built("update_device_shadow_desired_data", Put, "/devices/{device_id}/shadow", "iotda:shadows:modify", "Shadow", &shadow::UPDATE),
    // Messages, broadcast
    built("broadcast_message", Post, "/broadcast-messages", "iotda:messages:broadcast", "Messages, broadcast", &broadcasts::SEND),
    built("create_message", Post, "/devices/{device_id}/messages", "iotda:messages:send", "Messages, broadcast", &messages::CREATE),
    built("list_device_messages", Get, "/devices/{device_id}/messages", "iotda:messages:queryList", "Messages, broadcast", &messages::LIST),
    built("delete_device_message", Delete, "/devices/{device_id}/messages/{message_id}", "iotda:messages:delete", "Messages, broadcast", &messages::DELETE),
    built("show_device_message", Get, "/devices/{device_id}/messages/{message_id}", "iotda:messages:query", "Messages, broadcast", &messages::SHOW),
    // Commands (sync)
    built("create_command", Post, "/devices/{device_id}/commands", "iotda:commands:create", "Commands (sync)", &commands::CREATE),
    // Commands (async)
    later("create_async_command", Post, "/devices/{device_id}/async-commands", "iotda:asyncCommands:create", "Commands (async)"),
    later("list_async_commands", Get, "/devices/{device_id}/async-commands", "iotda:asyncCommands:queryList", "Commands (async)"),
    later("list_async_history_commands", Get, "/devices/{device_id}/async-commands-history", "iotda:asyncCommands:queryList", "Commands (async)"),
    later("count_async_history_commands", Post, "/devices/{device_id}/async-commands-history/count", "iotda:asyncCommands:queryList", "Commands (async)"),
    later("show_async_device_command", Get, "/devices/{device_id}/async-commands/{command_id}", "iotda:asyncCommands:query", "Commands (async)"),
    // Properties (sync)
    built("list_properties", Get, "/devices/{device_id}/properties", "iotda:properties:query", "Properties (sync)", &properties::GET),
    built("update_properties", Put, "/devices/{device_id}/properties", "iotda:properties:modify", "Properties (sync)", &properties::SET),
    // Device groups
    built("add_device_group", Post, "/device-group", "iotda:group:create", "Device groups", &groups::ADD),
    built("list_device_groups", Get, "/device-group", "iotda:group:queryList", "Device groups", &groups::LIST),
    built("delete_device_group", Delete, "/device-group/{group_id}", "iotda:group:delete", "Device groups", &groups::DELETE),
    built("show_device_group", Get, "/device-group/{group_id}", "iotda:group:query", "Device groups", &groups::SHOW),
    built("update_device_group", Put, "/device-group/{group_id}", "iotda:group:modify", "Device groups", &groups::UPDATE),
    built("create_or_delete_device_in_group", Post, "/device-group/{group_id}/action", "iotda:group:addDevice", "Device groups", &groups::ACT),
    built("show_devices_in_group", Get, "/device-group/{group_id}/devices", "iotda:group:query", "Device groups", &groups::DEVICES),
    // Tags
    built("list_resources_by_tags", Post, "/tags/query-resources", "iotda:tags:query", "Tags", &tags::FIND),
    built("tag_device", Post, "/tags/bind-resource", "iotda:tags:bind", "Tags", &tags::BIND),
    built("untag_device", Post, "/tags/unbind-resource", "iotda:tags:unbind", "Tags", &tags::UNBIND),
    // Device CA certificates
    built("add_certificate", Post, "/certificates", "iotda:certificates:upload", "Device CA certificates", &certificates::ADD),
    built("list_certificates", Get, "/certificates", "iotda:certificates:queryList", "Device CA certificates", &certificates::LIST),
    built("delete_certificate", Delete, "/certificates/{certificate_id}", "iotda:certificates:delete", "Device CA certificates", &certificates::DELETE),
    built("show_certificate", Get, "/certificates/{certificate_id}", "iotda:certificates:query", "Device CA certificates", &certificates::SHOW),
    built("update_certificate", Put, "/certificates/{certificate_id}", "iotda:certificates:modify", "Device CA certificates", &certificates::UPDATE),
    built("check_certificate", Post, "/certificates/{certificate_id}/action", "iotda:certificates:check", "Device CA certificates", &certificates::CHECK),
    // Device certificates
    built("list_device_certificate", Get, "/device-certificates", "iotda:deviceCertificates:queryList", "Device certificates", &device_certificates::LIST),
    built("delete_device_certificate", Delete, "/device-certificates/{certificate_id}", "iotda:deviceCertificates:delete", "Device certificates", &device_certificates::DELETE),
    built("show_device_certificate", Get, "/device-certificates/{certificate_id}", "iotda:deviceCertificates:query", "Device certificates", &device_certificates::SHOW),
    built("update_device_certificate", Put, "/device-certificates/{certificate_id}", "iotda:deviceCertificates:modify", "Device certificates", &device_certificates::UPDATE),
    built("list_device_by_device_certificate", Post, "/device-certificates/{certificate_id}/list-device", "iotda:deviceCertificates:query", "Device certificates", &device_certificates::LIST_DEVICES),
    // Device policies
    built("create_device_policy", Post, "/device-policies", "iotda:devicepolicy:create", "Device policies", &policies::CREATE),
    built("list_device_policies", Get, "/device-policies", "iotda:devicepolicy:queryList", "Device policies", &policies::LIST),
    built("delete_device_policy", Delete, "/device-policies/{policy_id}", "iotda:devicepolicy:delete", "Device policies", &policies::DELETE),
    built("show_device_policy", Get, "/device-policies/{policy_id}", "iotda:devicepolicy:query", "Device policies", &policies::SHOW),
    built("update_device_policy", Put, "/device-policies/{policy_id}", "iotda:devicepolicy:modify", "Device policies", &policies::UPDATE),
    built("bind_device_policy", Post, "/device-policies/{policy_id}/bind", "iotda:devicepolicy:bind", "Device policies", &policies::BIND),
    built("show_targets_in_device_policy", Post, "/device-policies/{policy_id}/list-targets", "iotda:devicepolicy:queryTargets", "Device policies", &policies::TARGETS),
    built("unbind_device_policy", Post, "/device-policies/{policy_id}/unbind", "iotda:devicepolicy:unbind", "Device policies", &policies::UNBIND),
    // Provisioning templates
    built("create_provisioning_template", Post, "/provisioning-templates", "iotda:provisioningTemplates:create", "Provisioning templates", &provisioning_templates::CREATE),
    built("list_provisioning_templates", Get, "/provisioning-templates", "iotda:provisioningTemplates:queryList", "Provisioning templates", &provisioning_templates::LIST),
    built("delete_provisioning_template", Delete, "/provisioning-templates/{template_id}", "iotda:provisioningTemplates:delete", "Provisioning templates", &provisioning_templates::DELETE),
    built("show_provisioning_template", Get, "/provisioning-templates/{template_id}", "iotda:provisioningTemplates:query", "Provisioning templates", &provisioning_templates::SHOW),
    built("update_provisioning_template", Put, "/provisioning-templates/{template_id}", "iotda:provisioningTemplates:modify", "Provisioning templates", &provisioning_templates::UPDATE),
    // Authentication templates
    later("create_device_authentication_template", Post, "/device-authentication-templates", "iotda:authenticationTemplates:create", "Authentication templates"),
    later("list_device_authentication_templates", Get, "/device-authentication-templates", "iotda:authenticationTemplates:queryList", "Authentication templates"),
    later("delete_device_authentication_template", Delete, "/device-authentication-templates/{template_id}", "iotda:authenticationTemplates:delete", "Authentication templates"),
    later("show_device_authentication_template", Get, "/device-authentication-templates/{template_id}", "iotda:authenticationTemplates:query", "Authentication templates"),
    later("update_device_authentication_template", Put, "/device-authentication-templates/{template_id}", "iotda:authenticationTemplates:modify", "Authentication templates"),
    // Custom authorizers
    later("create_device_authorizer", Post, "/device-authorizers", "iotda:authorizers:create", "Custom authorizers"),
    later("list_device_authorizers", Get, "/device-authorizers", "iotda:authorizers:queryList", "Custom authorizers"),
    later("delete_device_authorizer", Delete, "/device-authorizers/{authorizer_id}", "iotda:authorizers:delete", "Custom authorizers"),
    later("show_device_authorizer", Get, "/device-authorizers/{authorizer_id}", "iotda:authorizers:query", "Custom authorizers"),
    later("update_device_authorizer", Put, "/device-authorizers/{authorizer_id}", "iotda:authorizers:modify", "Custom authorizers"),
    // Device proxies
    later("create_device_proxy", Post, "/device-proxies", "iotda:deviceProxies:create", "Device proxies"),
    later("list_device_proxies", Get, "/device-proxies", "iotda:deviceProxies:queryList", "Device proxies"),
    later("delete_device_proxy", Delete, "/device-proxies/{proxy_id}", "iotda:deviceProxies:delete", "Device proxies"),
    later("show_device_proxy", Get, "/device-proxies/{proxy_id}", "iotda:deviceProxies:query", "Device proxies"),
    later("update_device_proxy", Put, "/device-proxies/{proxy_id}", "iotda:deviceProxies:modify", "Device proxies"),
    // Batch tasks and files
    built("create_batch_task", Post, "/batchtasks", "iotda:batchtasks:create", "Batch tasks and files", &batch::tasks::CREATE),
    built("list_batch_tasks", Get, "/batchtasks", "iotda:batchtasks:queryList", "Batch tasks and files", &batch::tasks::LIST),
    built("list_batch_task_files", Get, "/batchtask-files", "iotda:batchtaskFiles:queryList", "Batch tasks and files", &batch::files::LIST),
    built("upload_batch_task_file", Post, "/batchtask-files", "iotda:batchtaskFiles:create", "Batch tasks and files", &batch::files::UPLOAD),
    built("delete_batch_task", Delete, "/batchtasks/{task_id}", "iotda:batchtasks:delete", "Batch tasks and files", &batch::tasks::DELETE),
    built("show_batch_task", Get, "/batchtasks/{task_id}", "iotda:batchtasks:query", "Batch tasks and files", &batch::tasks::SHOW),
    built("delete_batch_task_file", Delete, "/batchtask-files/{file_id}", "iotda:batchtaskFiles:delete", "Batch tasks and files", &batch::files::DELETE),
    built("confirm_batch_task", Post, "/batchtasks/{task_id}/confirm", "iotda:batchtasks:modify", "Batch tasks and files", &batch::tasks::CONFIRM),
    built("retry_batch_task", Post, "/batchtasks/{task_id}/retry", "iotda:batchtasks:retry", "Batch tasks and files", &batch::tasks::RETRY),
    built("stop_batch_task", Post, "/batchtasks/{task_id}/stop", "iotda:batchtasks:stop", "Batch tasks and files", &batch::tasks::STOP),
    // Export tasks
    built("create_export_task", Post, "/export-tasks", "iotda:exportTasks:create", "Export tasks", &batch::exports::CREATE),
    built("list_export_tasks", Get, "/export-tasks", "iotda:exportTasks:queryList", "Export tasks", &batch::exports::LIST),
    built("delete_export_task", Delete, "/export-tasks/{export_task_id}", "iotda:exportTasks:delete", "Export tasks", &batch::exports::DELETE),
    built("show_export_task", Get, "/export-tasks/{export_task_id}/file", "iotda:exportTasks:query", "Export tasks", &batch::exports::SHOW),
    // OTA modules and packages
    built("create_ota_module", Post, "/ota-upgrades/modules", "iotda:otamodules:create", "OTA modules and packages", &ota::CREATE_MODULE),
    built("list_ota_modules", Get, "/ota-upgrades/modules", "iotda:otamodules:queryList", "OTA modules and packages", &ota::LIST_MODULES),
    built("create_ota_package", Post, "/ota-upgrades/packages", "iotda:otapackages:create", "OTA modules and packages", &ota::CREATE_PACKAGE),
    built("list_ota_package_info", Get, "/ota-upgrades/packages", "iotda:otapackages:queryList", "OTA modules and packages", &ota::LIST_PACKAGES),
    built("delete_ota_module", Delete, "/ota-upgrades/modules/{module_id}", "iotda:otamodules:delete", "OTA modules and packages", &ota::DELETE_MODULE),
    built("show_ota_module", Get, "/ota-upgrades/modules/{module_id}", "iotda:otamodules:query", "OTA modules and packages", &ota::SHOW_MODULE),
    built("update_ota_module", Put, "/ota-upgrades/modules/{module_id}", "iotda:otamodules:modify", "OTA modules and packages", &ota::UPDATE_MODULE),
    built("delete_ota_package", Delete, "/ota-upgrades/packages/{package_id}", "iotda:otapackages:delete", "OTA modules and packages", &ota::DELETE_PACKAGE),
    built("show_ota_package", Get, "/ota-upgrades/packages/{package_id}", "iotda:otapackages:query", "OTA modules and packages", &ota::SHOW_PACKAGE),
    // Data forwarding rules
    built("create_routing_rule", Post, "/routing-rule/rules", "iotda:routingrules:create", "Data forwarding rules", &routing::CREATE),
    built("create_rule_action", Post, "/routing-rule/actions", "iotda:routingactions:create", "Data forwarding rules", &routing::CREATE_ACTION),
    built("list_routing_rules", Get, "/routing-rule/rules", "iotda:routingrules:queryList", "Data forwarding rules", &routing::LIST),
    built("list_rule_actions", Get, "/routing-rule/actions", "iotda:routingactions:queryList", "Data forwarding rules", &routing::LIST_ACTIONS),
    built("delete_routing_rule", Delete, "/routing-rule/rules/{rule_id}", "iotda:routingrules:delete", "Data forwarding rules", &routing::DELETE),
    built("delete_rule_action", Delete, "/routing-rule/actions/{action_id}", "iotda:routingactions:delete", "Data forwarding rules", &routing::DELETE_ACTION),
    built("show_routing_rule", Get, "/routing-rule/rules/{rule_id}", "iotda:routingrules:query", "Data forwarding rules", &routing::SHOW),
    built("show_rule_action", Get, "/routing-rule/actions/{action_id}", "iotda:routingactions:query", "Data forwarding rules", &routing::SHOW_ACTION),
    built("update_routing_rule", Put, "/routing-rule/rules/{rule_id}", "iotda:routingrules:modify", "Data forwarding rules", &routing::UPDATE),
    built("update_rule_action", Put, "/routing-rule/actions/{action_id}", "iotda:routingactions:modify", "Data forwarding rules", &routing::UPDATE_ACTION),
    // Forwarding backlog policies
    built("create_routing_backlog_policy", Post, "/routing-rule/backlog-policy", "iotda:backlogPolicies:create", "Forwarding backlog policies", &routing::CREATE_BACKLOG),
    built("list_routing_backlog_policy", Get, "/routing-rule/backlog-policy", "iotda:backlogPolicies:queryList", "Forwarding backlog policies", &routing::LIST_BACKLOG),
    built("delete_routing_backlog_policy", Delete, "/routing-rule/backlog-policy/{policy_id}", "iotda:backlogPolicies:delete", "Forwarding backlog policies", &routing::DELETE_BACKLOG),
    built("show_routing_backlog_policy", Get, "/routing-rule/backlog-policy/{policy_id}", "iotda:backlogPolicies:query", "Forwarding backlog policies", &routing::SHOW_BACKLOG),
    built("update_routing_backlog_policy", Put, "/routing-rule/backlog-policy/{policy_id}", "iotda:backlogPolicies:modify", "Forwarding backlog policies", &routing::UPDATE_BACKLOG),
    // Forwarding flow control
    built("create_routing_flow_control_policy", Post, "/routing-rule/flowcontrol-policy", "iotda:flowControlPolicies:create", "Forwarding flow control", &routing::CREATE_FLOW),
    built("list_routing_flow_control_policy", Get, "/routing-rule/flowcontrol-policy", "iotda:flowControlPolicies:queryList", "Forwarding flow control", &routing::LIST_FLOW),
    built("delete_routing_flow_control_policy", Delete, "/routing-rule/flowcontrol-policy/{policy_id}", "iotda:flowControlPolicies:delete", "Forwarding flow control", &routing::DELETE_FLOW),
    built("show_routing_flow_control_policy", Get, "/routing-rule/flowcontrol-policy/{policy_id}", "iotda:flowControlPolicies:query", "Forwarding flow control", &routing::SHOW_FLOW),
    built("update_routing_flow_control_policy", Put, "/routing-rule/flowcontrol-policy/{policy_id}", "iotda:flowControlPolicies:modify", "Forwarding flow control", &routing::UPDATE_FLOW),
    // Device linkage rules
    built("create_rule", Post, "/rules", "iotda:rules:create", "Device linkage rules", &linkage::CREATE),
    built("list_rules", Get, "/rules", "iotda:rules:queryList", "Device linkage rules", &linkage::LIST),
    built("delete_rule", Delete, "/rules/{rule_id}", "iotda:rules:delete", "Device linkage rules", &linkage::DELETE),
    built("show_rule", Get, "/rules/{rule_id}", "iotda:rules:query", "Device linkage rules", &linkage::SHOW),
    built("update_rule", Put, "/rules/{rule_id}", "iotda:rules:modify", "Device linkage rules", &linkage::UPDATE),
    built("change_rule_status", Put, "/rules/{rule_id}/status", "iotda:rules:modify", "Device linkage rules", &linkage::CHANGE_STATUS),
    // AMQP queues, access code
    built("add_queue", Post, "/amqp-queues", "iotda:amqpqueue:create", "AMQP queues, access code", &queues::ADD),
    built("batch_show_queue", Get, "/amqp-queues", "iotda:amqpqueue:queryList", "AMQP queues, access code", &queues::LIST),
    built("create_access_code", Post, "/auth/accesscode", "iotda:accessCodes:create", "AMQP queues, access code", &queues::ACCESS_CODE),
    built("delete_queue", Delete, "/amqp-queues/{queue_id}", "iotda:amqpqueue:delete", "AMQP queues, access code", &queues::DELETE),
    built("show_queue", Get, "/amqp-queues/{queue_id}", "iotda:amqpqueue:query", "AMQP queues, access code", &queues::SHOW),
    // Bridges
    later("add_bridge", Post, "/bridges", "iotda:bridges:create", "Bridges"),
    later("list_bridges", Get, "/bridges", "iotda:bridges:queryList", "Bridges"),
    later("delete_bridge", Delete, "/bridges/{bridge_id}", "iotda:bridges:delete", "Bridges"),
    later("reset_bridge_secret", Post, "/bridges/{bridge_id}/reset-secret", "iotda:bridges:resetSecret", "Bridges"),
    // Tunnels
    later("add_tunnel", Post, "/tunnels", "iotda:tunnels:create", "Tunnels"),
    later("list_device_tunnels", Get, "/tunnels", "iotda:tunnels:queryList", "Tunnels"),
    later("close_device_tunnel", Put, "/tunnels/{tunnel_id}", "iotda:tunnels:modify", "Tunnels"),
    later("delete_device_tunnel", Delete, "/tunnels/{tunnel_id}", "iotda:tunnels:delete", "Tunnels"),
    later("show_device_tunnel", Get, "/tunnels/{tunnel_id}", "iotda:tunnels:query", "Tunnels"),
    // Domain configurations
    later("create_domain_configuration", Post, "/domain-configurations", "iotda:domainConfigurations:create", "Domain configurations"),
    later("list_domain_configurations", Get, "/domain-configurations", "iotda:domainConfigurations:queryList", "Domain configurations"),
    later("delete_domain_configuration", Delete, "/domain-configurations/{configuration_id}", "iotda:domainConfigurations:delete", "Domain configurations"),
    later("show_domain_configuration", Get, "/domain-configurations/{configuration_id}", "iotda:domainConfigurations:query", "Domain configurations"),
    later("update_domain_configuration", Put, "/domain-configurations/{configuration_id}", "iotda:domainConfigurations:modify", "Domain configurations"),
    // Server certificates
    built("create_server_certificate", Post, "/server-certificates", "iotda:serverCertificates:create", "Server certificates", &server_certificates::CREATE),
    built("list_server_certificate", Get, "/server-certificates", "iotda:serverCertificates:queryList", "Server certificates", &server_certificates::LIST),
    built("delete_server_certificate", Delete, "/server-certificates/{server_certificate_id}", "iotda:serverCertificates:delete", "Server certificates", &server_certificates::DELETE),
    built("show_server_certificate", Get, "/server-certificates/{server_certificate_id}", "iotda:serverCertificates:query", "Server certificates", &server_certificates::SHOW),
    // Security profiles
    later("create_security_profile", Post, "/security-profiles", "iotda:securityProfiles:create", "Security profiles"),
    later("list_security_profiles", Get, "/security-profiles", "iotda:securityProfiles:queryList", "Security profiles"),
    later("delete_security_profile", Delete, "/security-profiles/{profile_id}", "iotda:securityProfiles:delete", "Security profiles"),
    later("show_security_profile", Get, "/security-profiles/{profile_id}", "iotda:securityProfiles:query", "Security profiles"),
    later("update_security_profile", Put, "/security-profiles/{profile_id}", "iotda:securityProfiles:modify", "Security profiles"),
    // Protocol configs
    later("create_protocol_config", Post, "/protocol-configs", "iotda:protocolConfigs:create", "Protocol configs"),
    later("list_protocol_configs", Get, "/protocol-configs", "iotda:protocolConfigs:queryList", "Protocol configs"),
    later("delete_protocol_config", Delete, "/protocol-configs/{protocol_id}", "iotda:protocolConfigs:delete", "Protocol configs"),
    later("show_protocol_config", Get, "/protocol-configs/{protocol_id}", "iotda:protocolConfigs:query", "Protocol configs"),
    later("update_protocol_config", Put, "/protocol-configs/{protocol_id}", "iotda:protocolConfigs:modify", "Protocol configs"),
    // Harmony soft bus
    later("add_harmony_soft_bus", Post, "/harmony-soft-bus", "iotda:softBuses:create", "Harmony soft bus"),
    later("list_harmony_soft_bus", Get, "/harmony-soft-bus", "iotda:softBuses:queryList", "Harmony soft bus"),
    later("delete_harmony_soft_bus", Delete, "/harmony-soft-bus/{bus_id}", "iotda:softBuses:delete", "Harmony soft bus"),
    later("show_harmony_soft_bus", Get, "/harmony-soft-bus/{bus_id}", "iotda:softBuses:query", "Harmony soft bus"),
    later("create_sync_harmony_soft_bus", Post, "/harmony-soft-bus/{bus_id}/sync", "iotda:softBuses:sync", "Harmony soft bus"),
    later("reset_harmony_soft_bus_key", Post, "/harmony-soft-bus/{bus_id}/reset-bus-key", "iotda:softBuses:resetKey", "Harmony soft bus"),
];

/// What the SDK has no operation for, below the same project.
#[rustfmt::skip]
pub(crate) static OWN_OPERATIONS: &[Operation] = &[
    built("add_topic", Post, "/products/{product_id}/topics", "iotda:products:modify", OWN, &topics::ADD),
    built("list_topics", Get, "/products/{product_id}/topics", "iotda:products:query", OWN, &topics::LIST),
    built("delete_topic", Delete, "/products/{product_id}/topics/{topic_id}", "iotda:products:modify", OWN, &topics::DELETE),
    built("show_batch_task_template", Get, "/batchtask-templates/{task_type}", "iotda:batchtaskFiles:queryList", OWN, &batch::files::TEMPLATE),
    built("import_product", Post, "/product-import", "iotda:products:create", OWN, &model_files::IMPORT),
    built("replace_product_model", Put, "/products/{product_id}/model", "iotda:products:modify", OWN, &model_files::REPLACE),
    built("export_product_model", Get, "/products/{product_id}/model", "iotda:products:query", OWN, &model_files::EXPORT),
    built("show_product_model_template", Get, "/product-model-template", "iotda:products:query", OWN, &model_files::TEMPLATE),
    built("list_product_presets", Get, "/product-presets", "iotda:products:queryList", OWN, &model_files::LIST_PRESETS),
    built("show_product_preset", Get, "/product-presets/{preset_id}", "iotda:products:query", OWN, &model_files::SHOW_PRESET),
    built("use_product_preset", Post, "/product-presets/{preset_id}/products", "iotda:products:create", OWN, &model_files::USE_PRESET),
    built("set_push", Put, "/apps/{app_id}/push", "iotda:app:modify", OWN, &push::SET),
    built("show_push", Get, "/apps/{app_id}/push", "iotda:app:query", OWN, &push::SHOW),
    built("delete_push", Delete, "/apps/{app_id}/push", "iotda:app:modify", OWN, &push::DELETE),
    built("list_alarms", Get, "/alarms", "iotda:alarms:queryList", OWN, &alarms::LIST),
    built("show_alarm", Get, "/alarms/{alarm_id}", "iotda:alarms:query", OWN, &alarms::SHOW),
    built("acknowledge_alarm", Post, "/alarms/{alarm_id}/acknowledge", "iotda:alarms:modify", OWN, &alarms::ACKNOWLEDGE),
    built("clear_alarm", Post, "/alarms/{alarm_id}/clear", "iotda:alarms:modify", OWN, &alarms::CLEAR),
    built("create_notification_topic", Post, "/notification-topics", "iotda:notificationTopics:create", OWN, &notification_topics::CREATE),
    built("list_notification_topics", Get, "/notification-topics", "iotda:notificationTopics:queryList", OWN, &notification_topics::LIST),
    built("show_notification_topic", Get, "/notification-topics/{topic_id}", "iotda:notificationTopics:query", OWN, &notification_topics::SHOW),
    built("update_notification_topic", Put, "/notification-topics/{topic_id}", "iotda:notificationTopics:modify", OWN, &notification_topics::UPDATE),
    built("delete_notification_topic", Delete, "/notification-topics/{topic_id}", "iotda:notificationTopics:delete", OWN, &notification_topics::DELETE),
    built("publish_notification", Post, "/notification-topics/{topic_id}/publish", "iotda:notificationTopics:publish", OWN, &notification_topics::PUBLISH),
    built("add_subscription", Post, "/notification-topics/{topic_id}/subscriptions", "iotda:notificationTopics:modify", OWN, &notification_topics::SUBSCRIBE),
    built("list_subscriptions", Get, "/notification-topics/{topic_id}/subscriptions", "iotda:notificationTopics:query", OWN, &notification_topics::LIST_SUBSCRIPTIONS),
    built("show_subscription", Get, "/notification-topics/{topic_id}/subscriptions/{subscription_id}", "iotda:notificationTopics:query", OWN, &notification_topics::SHOW_SUBSCRIPTION),
    built("confirm_subscription", Post, "/notification-topics/{topic_id}/subscriptions/{subscription_id}/confirm", "iotda:notificationTopics:modify", OWN, &notification_topics::CONFIRM),
    built("delete_subscription", Delete, "/notification-topics/{topic_id}/subscriptions/{subscription_id}", "iotda:notificationTopics:modify", OWN, &notification_topics::UNSUBSCRIBE),
    built("list_audit_logs", Get, "/audit-logs", "iotda:auditLogs:queryList", OWN, &audit::LIST),
    built("create_file", Post, "/files", "iotda:files:create", OWN, &files::CREATE),
    built("list_files", Get, "/files", "iotda:files:queryList", OWN, &files::LIST),
    built("show_file", Get, "/files/{file_id}", "iotda:files:query", OWN, &files::SHOW),
    built("show_file_url", Get, "/files/{file_id}/url", "iotda:files:query", OWN, &files::URL),
    built("delete_file", Delete, "/files/{file_id}", "iotda:files:delete", OWN, &files::DELETE),
    built("create_function", Post, "/functions", "iotda:functions:create", OWN, &functions::CREATE),
    built("list_own_functions", Get, "/functions", "iotda:functions:queryList", OWN, &functions::LIST),
    built("show_function", Get, "/functions/{function_id}", "iotda:functions:query", OWN, &functions::SHOW),
    built("update_function", Put, "/functions/{function_id}", "iotda:functions:modify", OWN, &functions::UPDATE),
    built("delete_function", Delete, "/functions/{function_id}", "iotda:functions:delete", OWN, &functions::DELETE),
    built("invoke_function", Post, "/functions/{function_id}/invoke", "iotda:functions:invoke", OWN, &functions::INVOKE),
    built("list_device_logs", Get, "/devices/{device_id}/logs", "iotda:devices:query", OWN, &logs::LIST),
    built("set_log_config", Put, "/devices/{device_id}/log-config", "iotda:devices:modify", OWN, &logs::SET_CONFIG),
    built("show_log_config", Get, "/devices/{device_id}/log-config", "iotda:devices:query", OWN, &logs::SHOW_CONFIG),
    built("start_scan", Post, "/devices/{device_id}/scan", "iotda:devices:modify", OWN, &gateways::START),
    built("list_scan_results", Get, "/devices/{device_id}/scan-results", "iotda:devices:query", OWN, &gateways::RESULTS),
    built("show_device_history", Get, "/devices/{device_id}/history", "iotda:devices:query", OWN, &history::SHOW),
    built("debug_routing_rule", Post, "/routing-rule/debug", "iotda:routingrules:queryDebug", OWN, &routing::DEBUG),
    built("test_rule_action", Post, "/routing-rule/actions/{action_id}/test", "iotda:routingactions:test", OWN, &routing::TEST_ACTION),
    built("list_routing_templates", Get, "/routing-rule/templates", "iotda:routingrules:queryList", OWN, &routing::TEMPLATES),
    built("list_routing_statistics", Get, "/routing-rule/statistics", "iotda:routingrules:queryList", OWN, &routing::STATISTICS),
];

/// What belongs to no project.
#[rustfmt::skip]
pub(crate) static SERVER: &[Operation] = &[
    server("move_clock", Post, "/debug/clock", "causeway:clock:move", OWN, &ops::MOVE_CLOCK),
    server("health", Get, "/healthz", "", OWN, &ops::HEALTH),
    server("readiness", Get, "/readyz", "", OWN, &ops::READINESS),
    server("confirm_subscription_by_link", Get, "/notifications/confirm", "", OWN, &notification_topics::CONFIRM_BY_LINK),
    server("metrics", Get, "/metrics", "", OWN, &ops::METRICS),
    server("openapi_v5", Get, "/v5/openapi.json", "", OWN, &ops::DOCUMENT),
    server("openapi", Get, "/openapi.json", "", OWN, &ops::DOCUMENT),
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
    }
}
