//! What a rule makes of an event: the SELECT clause.

use causeway_model::properties::write_json_string;

use super::expr::Expr;
use super::json;
use super::path::View;

/// One thing that is selected; `*` has neither key nor expression.
#[derive(Debug)]
pub(super) struct Item {
    /// Its name in the output.
    pub(super) key: Option<String>,
    pub(super) expr: Option<Expr>,
}

/// A SELECT clause.
#[derive(Debug)]
pub(super) struct Select {
    /// `*` is among the items.
    all: bool,
    values: Vec<Selected>,
}

#[derive(Debug)]
struct Selected {
    /// The name as JSON, with its colon.
    key: String,
    expr: Expr,
}

impl Select {
    pub(super) fn of(items: Vec<Item>) -> Self {
        let all = items.iter().any(|item| item.expr.is_none());
        let named = |item: Item| {
            let mut key = String::new();
            write_json_string(&mut key, &item.key?);
            key.push(':');
            Some(Selected { key, expr: item.expr? })
        };
        Self { all, values: items.into_iter().filter_map(named).collect() }
    }

    /// The whole notification, and nothing more.
    pub(super) fn is_whole(&self) -> bool {
        self.all && self.values.is_empty()
    }

    /// The expressions, in their order.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.values.iter().map(|value| &value.expr)
    }

    /// Appends the output, a JSON object.
    pub(super) fn write(&self, view: View<'_>, out: &mut String) {
        let start = out.len();
        if self.all {
            match view {
                View::Event(event) => event.write(out),
                View::Json(text) => out.push_str(json::trim(text)),
            }
            if self.values.is_empty() {
                return;
            }
            // The object is opened again.
            out.pop();
        } else {
            out.push('{');
        }
        let mut is_empty = json::trim(&out[start + 1..]).is_empty();
        for value in &self.values {
            if !is_empty {
                out.push(',');
            }
            is_empty = false;
            out.push_str(&value.key);
            value.expr.value(view).write(out);
        }
        out.push('}');
    }
}
