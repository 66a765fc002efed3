//! The sheets and their columns: one table for reading, writing and the template.

/// A column: its field, its title, its Chinese title, its width in characters.
pub(super) struct Column {
    pub(super) field: &'static str,
    pub(super) chinese: &'static str,
    pub(super) width: u16,
}

const fn column(field: &'static str, chinese: &'static str, width: u16) -> Column {
    Column { field, chinese, width }
}

/// A sheet.
pub(super) struct Sheet {
    pub(super) name: &'static str,
    pub(super) chinese: &'static str,
    pub(super) columns: &'static [Column],
}

const SERVICE: Column = column("service_id", "服务ID", 20);
const TYPE: Column = column("data_type", "数据类型", 12);
const REQUIRED: Column = column("required", "是否必选", 10);
const MIN: Column = column("min", "最小值", 10);
const MAX: Column = column("max", "最大值", 10);
const STEP: Column = column("step", "步长", 8);
const LENGTH: Column = column("max_length", "长度", 10);
const UNIT: Column = column("unit", "单位", 8);
const ENUM: Column = column("enum_list", "枚举值", 24);
const DESCRIPTION: Column = column("description", "描述", 40);

pub(super) const SERVICES: Sheet = Sheet {
    name: "Services",
    chinese: "服务",
    columns: &[SERVICE, column("service_type", "服务类型", 20), column("option", "服务选项", 12), DESCRIPTION],
};

pub(super) const PROPERTIES: Sheet = Sheet {
    name: "Properties",
    chinese: "属性",
    columns: &[
        SERVICE,
        column("property_name", "属性名称", 24),
        TYPE,
        column("method", "访问权限", 10),
        REQUIRED,
        MIN,
        MAX,
        STEP,
        LENGTH,
        UNIT,
        ENUM,
        column("default_value", "默认值", 14),
        DESCRIPTION,
    ],
};

/// A command, its parameters and those of its responses: a row with a response name tells of a response's parameter; a
/// row without a parameter name tells that the command or response is there.
pub(super) const COMMANDS: Sheet = Sheet {
    name: "Commands",
    chinese: "命令",
    columns: &[
        SERVICE,
        column("command_name", "命令名称", 24),
        column("response_name", "响应名称", 24),
        column("para_name", "参数名称", 20),
        TYPE,
        REQUIRED,
        MIN,
        MAX,
        STEP,
        LENGTH,
        UNIT,
        ENUM,
        DESCRIPTION,
    ],
};

pub(super) const EVENTS: Sheet = Sheet {
    name: "Events",
    chinese: "事件",
    columns: &[
        SERVICE,
        column("event_type", "事件类型", 24),
        column("para_name", "参数名称", 20),
        TYPE,
        REQUIRED,
        MIN,
        MAX,
        STEP,
        LENGTH,
        UNIT,
        ENUM,
        DESCRIPTION,
    ],
};

impl Column {
    /// Whether a title means this column: its field, its Chinese title, or both as the template writes them. Spaces,
    /// case, `_` and a mark for mandatory columns do not count.
    pub(super) fn has_title(&self, title: &str) -> bool {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|c| !c.is_whitespace() && !"_*（）()/".contains(*c))
                .flat_map(char::to_lowercase)
                .collect()
        };
        let title = plain(title);
        let (field, chinese) = (plain(self.field), plain(self.chinese));
        title == field
            || title == chinese
            || title == format!("{field}{chinese}")
            || title == format!("{chinese}{field}")
    }

    /// The title that is written.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.field, self.chinese)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_understood_as_people_write_them() {
        let name = column("property_name", "属性名称", 1);
        for title in
            ["property_name", "Property Name", "propertyName", "属性名称", "*属性名称", "property_name (属性名称)"]
        {
            assert!(name.has_title(title), "{title}");
        }
        assert!(!name.has_title("name") && !name.has_title(""));
    }
}
