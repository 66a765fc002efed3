//! Files of the platform's own machine.

channel! {
    /// Appends each event as a line to a file of the platform's machine.
    pub struct LogFileForwarding in "LOG_FILE_FORWARDING" "log_file_forwarding" {
        /// Name of the file in the folder of the key `forwarding.log_folder`: 1 to 128 letters, digits, `_`, `-` and `.`,
        /// the first no `.`. Actions that name the same file write into one.
        file_name: String,
        /// Bytes after which a new file is begun, 65536 to 1073741824; 67108864 without it.
        max_size: Option<u32>,
        /// Full files that are kept, as `name.1` (the newest), `name.2`, …: 1 to 100; 5 without it.
        max_files: Option<u32>,
    }
    check |c| {
        let name = &c.file_name;
        let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !sound || name.starts_with('.') || !(1..=128).contains(&name.len()) {
            return Err("'file_name' must be 1 to 128 letters, digits, '_', '-' and '.', the first no '.'".to_owned());
        }
        if !(64 << 10..=1 << 30).contains(&c.max_size.unwrap_or(64 << 20)) {
            return Err("'max_size' must be 65536 to 1073741824 bytes".to_owned());
        }
        if !(1..=100).contains(&c.max_files.unwrap_or(5)) {
            return Err("'max_files' must be 1 to 100".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Channel;

    #[test]
    fn a_file_stays_in_its_folder() {
        let check = |name: &str| Channel::read("LOG_FILE_FORWARDING", &format!(r#"{{"file_name":"{name}"}}"#));
        assert!(check("run-log.1.ndjson").is_ok());
        for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a b", "a\\u0000"] {
            assert!(check(name).expect_err(name).to_string().contains("'file_name'"), "{name}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        for (rest, word) in [(r#""max_size":1"#, "'max_size'"), (r#""max_files":0"#, "'max_files'")] {
            let text = format!(r#"{{"file_name":"a",{rest}}}"#);
            assert!(Channel::read("LOG_FILE_FORWARDING", &text).expect_err(word).to_string().contains(word));
        }
    }
}
