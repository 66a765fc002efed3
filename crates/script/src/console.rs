//! `console`: lines that come back with the result.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::convert::Coerced;
use rquickjs::function::Rest;
use rquickjs::{Ctx, Function, Object, Value};

/// Most lines of a call.
const LINES: usize = 1_000;

/// What a script wrote.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) lines: Vec<String>,
    /// Lines were left out.
    pub(crate) cut: bool,
    bytes: usize,
}

impl Log {
    fn add(&mut self, mut line: String, most: usize) {
        let left = most.saturating_sub(self.bytes);
        if self.cut || self.lines.len() == LINES || left == 0 {
            self.cut = true;
            return;
        }
        if line.len() > left {
            self.cut = true;
            line.truncate(line.floor_char_boundary(left));
        }
        self.bytes += line.len();
        self.lines.push(line);
    }
}

/// A value as a line shows it: texts as they are, the rest as JSON where it has some.
fn shown<'js>(ctx: &Ctx<'js>, value: Value<'js>, most: usize) -> rquickjs::Result<String> {
    let text = if value.is_object() && !value.is_function() && !value.is_error() {
        ctx.json_stringify(value.clone())?.map(|text| text.to_string()).transpose()?
    } else {
        None
    };
    let mut text = match text {
        Some(text) => text,
        None => value.get::<Coerced<String>>()?.0,
    };
    text.truncate(text.floor_char_boundary(most));
    Ok(text)
}

/// Puts `console` there. `most` is the limit of all lines in bytes.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, log: &Rc<RefCell<Log>>, most: usize) -> rquickjs::Result<()> {
    let console = Object::new(ctx.clone())?;
    for name in ["log", "info", "warn", "error", "debug"] {
        let log = log.clone();
        let write = move |ctx: Ctx<'js>, values: Rest<Value<'js>>| -> rquickjs::Result<()> {
            let mut line = String::new();
            for value in values.0 {
                if !line.is_empty() {
                    line.push(' ');
                }
                // May run the script's own code (`toJSON`), so the log is not borrowed here.
                line.push_str(&shown(&ctx, value, most)?);
                if line.len() > most {
                    break;
                }
            }
            log.borrow_mut().add(line, most);
            Ok(())
        };
        console.set(name, Function::new(ctx.clone(), write)?)?;
    }
    ctx.globals().set("console", console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let mut log = Log::default();
        log.add("äöü".into(), 7);
        log.add("ß".into(), 7);
        log.add("x".into(), 7);
        assert_eq!((log.lines, log.cut), (vec!["äöü".to_owned(), String::new()], true));
        let mut log = Log::default();
        for _ in 0..=LINES {
            log.add("x".into(), 1 << 20);
        }
        assert_eq!((log.lines.len(), log.cut), (LINES, true));
    }
}
