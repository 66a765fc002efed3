//! Any text is a search or is refused at a place inside of it; a rule is what stands behind `where`.
#![no_main]

use causeway_rules::search::{Limits, parse, parse_rule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    if let Err(refusal) = parse(text, limits) {
        assert!((1..=text.chars().count() + 1).contains(&refusal.at), "{refusal}");
    }
    if let Ok(rule) = parse_rule(text, limits) {
        let text = text.trim_start();
        let is_whole = text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("where"));
        let search = format!("select * from device {}{text}", if is_whole { "" } else { "where " });
        let whole = Limits { characters: usize::MAX - 1, ..limits };
        // What may follow a rule in a search may not stand in a rule.
        assert_eq!(parse(&search, whole).map(|s| s.filter), Ok(rule), "{search}");
    }
});
