//! Calling a function (002 §4.6, FunctionGraph).

use crate::field::length;

channel! {
    /// Calls a function with each event; a function that returns has taken it.
    pub struct FunctiongraphForwarding in "FUNCTIONGRAPH_FORWARDING" "functiongraph_forwarding" {
        /// The function's `urn`: `urn:fss:causeway:{project_id}:function:{app_id or default}:{name}:latest`.
        func_urn: String,
        /// The function's name, as people see it.
        func_name: String,
    }
    check |c| {
        length("func_urn", &c.func_urn, 1, 256)?;
        length("func_name", &c.func_name, 1, 128)?;
        if !c.func_urn.starts_with("urn:fss:") {
            return Err("'func_urn' must be the 'urn' of a function".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn names_are_needed() {
        let read = |text| Channel::read("FUNCTIONGRAPH_FORWARDING", text);
        assert!(read(r#"{"func_urn":"urn:fss:causeway:p:function:default:f:latest","func_name":"f"}"#).is_ok());
        for (text, word) in [
            (r#"{"func_urn":"urn:fss:x"}"#, "func_name"),
            (r#"{"func_urn":"f","func_name":"f"}"#, "func_urn"),
            (r#"{"func_urn":"urn:fss:x","func_name":""}"#, "func_name"),
        ] {
            assert!(read(text).expect_err("refused").to_string().contains(word), "{text}");
        }
    }
}
