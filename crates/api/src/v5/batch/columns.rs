//! The columns of files: what they are called in either language, and what the templates hold.

use causeway_model::batch::TaskType;
use causeway_sheet::Column;

/// A field that a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Name of the API's field.
    pub(super) name: &'static str,
    /// Other titles, besides those that differ in case, blanks, `_` and `-` only.
    titles: &'static [&'static str],
    /// Whether every row must have it.
    pub(super) required: bool,
    /// In the template's row that shows how.
    sample: &'static str,
    width: u16,
}

impl Field {
    const fn new(name: &'static str, titles: &'static [&'static str], sample: &'static str, width: u16) -> Self {
        Self { name, titles, required: false, sample, width }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Whether a column with this title holds the field.
    pub(super) fn has_title(&self, title: &str) -> bool {
        let title = plain(title);
        std::iter::once(&self.name).chain(self.titles).any(|t| plain(t) == title)
    }
}

/// A title without what people add to it: `* 设备标识码（必填）` is `设备标识码`.
fn plain(title: &str) -> String {
    let end = title.find(['(', '（', '[', '【']).filter(|at| *at > 0).unwrap_or(title.len());
    title[..end].chars().filter(|c| !c.is_whitespace() && !"_-*:：".contains(*c)).flat_map(char::to_lowercase).collect()
}

const PRODUCT_ID: Field = Field::new("product_id", &["产品ID", "所属产品", "所属产品ID", "产品"], "", 28);
const NODE_ID: Field = Field::new("node_id", &["设备标识码", "设备标识", "设备识别码", "node"], "meter-001", 24);
const DEVICE_ID: Field = Field::new("device_id", &["设备ID"], "", 40);
const DEVICE_NAME: Field = Field::new("device_name", &["设备名称", "设备名", "name"], "Meter 1", 24);
const SECRET: Field = Field::new("secret", &["设备密钥", "密钥", "device_secret"], "", 34);
const FINGERPRINT: Field = Field::new("fingerprint", &["证书指纹", "设备指纹", "指纹"], "", 44);
const AUTH_TYPE: Field = Field::new("auth_type", &["认证类型", "设备认证类型", "鉴权方式", "安全模式"], "SECRET", 14);
const GATEWAY_ID: Field =
    Field::new("gateway_id", &["网关ID", "父设备ID", "父节点ID", "所属网关", "parent_device_id"], "", 40);
const DESCRIPTION: Field = Field::new("description", &["设备描述", "描述", "备注", "remark"], "", 30);
const APP_ID: Field = Field::new("app_id", &["资源空间ID", "资源空间", "应用ID"], "", 34);
const SECURE_ACCESS: Field = Field::new("secure_access", &["安全接入", "是否安全接入"], "", 14);
const TIMEOUT: Field = Field::new("timeout", &["超时时间", "超时", "接入超时时间"], "", 10);
const EXTENSION_INFO: Field = Field::new("extension_info", &["扩展信息", "设备扩展信息"], "", 30);

const CREATE: &[Field] = &[
    PRODUCT_ID.required(),
    NODE_ID.required(),
    DEVICE_ID,
    DEVICE_NAME,
    AUTH_TYPE,
    SECRET,
    FINGERPRINT,
    GATEWAY_ID,
    DESCRIPTION,
    APP_ID,
    SECURE_ACCESS,
    TIMEOUT,
    EXTENSION_INFO,
];

const UPDATE: &[Field] = &[DEVICE_ID.required(), DEVICE_NAME, DESCRIPTION, SECURE_ACCESS, TIMEOUT, EXTENSION_INFO];

const DEVICES: &[Field] = &[DEVICE_ID.required()];

/// The fields of a file for a type of task.
pub(super) fn fields(task_type: TaskType) -> &'static [Field] {
    match task_type {
        TaskType::CreateDevices => CREATE,
        TaskType::UpdateDevices => UPDATE,
        _ => DEVICES,
    }
}

/// The template: the titles, and for new devices a row that shows how.
pub(super) fn template(task_type: TaskType) -> (Vec<Column>, Vec<Vec<String>>) {
    let fields = fields(task_type);
    let columns = fields.iter().map(|f| Column { name: f.name, width: f.width }).collect();
    let sample: Vec<String> = fields.iter().map(|f| f.sample.to_owned()).collect();
    let rows = if task_type == TaskType::CreateDevices { vec![sample] } else { Vec::new() };
    (columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_known_in_either_language() {
        for title in ["node_id", "nodeId", "Node ID", "设备标识码", " *设备标识码（必填）", "NODE-ID (IMEI)"]
        {
            assert!(NODE_ID.has_title(title), "{title}");
        }
        assert!(!NODE_ID.has_title("device_id"));
        assert!(!NODE_ID.has_title(""));
    }

    /// No title may mean two fields.
    #[test]
    fn titles_are_unambiguous() {
        for field in CREATE {
            for title in std::iter::once(&field.name).chain(field.titles) {
                assert_eq!(CREATE.iter().filter(|f| f.has_title(title)).count(), 1, "{title}");
            }
        }
    }
}
