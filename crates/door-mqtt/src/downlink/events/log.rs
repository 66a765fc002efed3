//! `$log` (002 §2.1.2.2.1). The Java SDK compares the digits of the end, which is always there therefore and in the
//! compact form (`iotda-device-access.md` §6).

use causeway_platform::log::LogConfig;

use super::Written;

pub(super) fn write(config: &LogConfig) -> Written {
    let switch = if config.is_on { "on" } else { "off" };
    let paras = format!(r#"{{"switch":"{switch}","end_time":"{}"}}"#, config.end_time.compact());
    Written { service_id: "$log", event_type: "log_config", paras }
}

#[cfg(test)]
mod tests {
    use causeway_model::Timestamp;

    use super::*;

    #[test]
    fn the_end_is_always_there() {
        let written = write(&LogConfig { is_on: false, end_time: Timestamp(0) });
        assert_eq!(written.paras, r#"{"switch":"off","end_time":"19700101T000000Z"}"#);
    }
}
