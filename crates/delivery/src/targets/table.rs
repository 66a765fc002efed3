//! What targets that write into tables have in common: rows out of events, and finding the row that a database refuses.

use causeway_channels::ColumnMapping;

use crate::document::{Document, Found};
use crate::target::{Failure, Item, Sent};

/// Rows of one statement at most.
pub(super) const ROWS: usize = 500;
/// Bytes of bodies of one statement at most: far below what servers take.
pub(super) const BYTES: usize = 1 << 20;
/// Values of one statement at most; both protocols count them in 16 bits.
pub(super) const VALUES: usize = 30_000;

/// A row's values in the order of the mappings; nothing is NULL.
pub(super) type Row<'a> = Vec<Option<Found<'a>>>;

/// Why rows were not inserted. None of them was.
pub(super) enum Refusal {
    /// The database refuses what one of them holds.
    Data(String),
    /// Everything else: tried again later.
    Trouble(Failure),
}

/// A connection that inserts all rows or none; or may be given rows again that it has.
#[async_trait::async_trait]
pub(super) trait Inserter<R>: Send {
    async fn insert(&mut self, rows: &[R]) -> Result<(), Refusal>;
}

/// Rows of one statement for so many columns.
pub(super) fn rows_at_once(columns: usize) -> usize {
    (VALUES / columns.max(1)).clamp(1, ROWS)
}

/// Rows of items.
pub(super) fn rows<'a>(items: &'a [Item], mappings: &[ColumnMapping]) -> Vec<Row<'a>> {
    items.iter().map(|item| row(&item.body, mappings)).collect()
}

/// Inserts rows in order. Where the database refuses data, the statement is halved until the row is found.
pub(super) async fn insert_all<R: Sync>(to: &mut dyn Inserter<R>, rows: &[R]) -> Sent {
    let mut sent = Sent::default();
    // Ranges that are still to be inserted, the first on top.
    let mut left = vec![(0, rows.len())];
    while let Some((from, to_place)) = left.pop() {
        match to.insert(&rows[from..to_place]).await {
            Ok(()) => sent.done = to_place,
            Err(Refusal::Data(why)) if to_place - from == 1 => {
                sent.rejected.push((from, why));
                sent.done = to_place;
            }
            Err(Refusal::Data(_)) => {
                let middle = usize::midpoint(from, to_place);
                left.push((middle, to_place));
                left.push((from, middle));
            }
            Err(Refusal::Trouble(failure)) => {
                sent.failure = Some(failure);
                break;
            }
        }
    }
    sent
}

fn row<'a>(body: &'a [u8], mappings: &[ColumnMapping]) -> Row<'a> {
    let document = Document::parse(body);
    mappings.iter().map(|m| document.as_ref().and_then(|d| d.find(&m.json_key))).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use causeway_model::Timestamp;

    use super::*;

    /// Refuses rows whose value is `bad`, and fails at `down`.
    #[derive(Default)]
    struct Picky {
        taken: Vec<String>,
        statements: usize,
    }

    #[async_trait::async_trait]
    impl<'a> Inserter<Row<'a>> for Picky {
        async fn insert(&mut self, rows: &[Row<'a>]) -> Result<(), Refusal> {
            self.statements += 1;
            let texts: Vec<String> = rows
                .iter()
                .map(|row| match &row[0] {
                    Some(Found::Text(text)) => text.to_string(),
                    _ => "null".to_owned(),
                })
                .collect();
            if texts.iter().any(|t| t == "bad") {
                return Err(Refusal::Data("bad".to_owned()));
            }
            if texts.iter().any(|t| t == "down") {
                return Err(Refusal::Trouble(Failure { word: "unreachable", text: "down".to_owned() }));
            }
            self.taken.extend(texts);
            Ok(())
        }
    }

    async fn check(values: &[&str], done: usize, rejected: &[usize], taken: &[&str]) -> usize {
        let item =
            |v: &&str| Item { seq: 1, device: None, at: Timestamp(0), body: Bytes::from(format!(r#"{{"v":"{v}"}}"#)) };
        let items: Vec<Item> = values.iter().map(item).collect();
        let mappings = [ColumnMapping { column_name: "c".to_owned(), json_key: "v".to_owned() }];
        let mut picky = Picky::default();
        let sent = insert_all(&mut picky, &rows(&items, &mappings)).await;
        let found: Vec<usize> = sent.rejected.iter().map(|(at, _)| *at).collect();
        assert_eq!(
            (sent.done, found.as_slice(), picky.taken.as_slice()),
            (done, rejected, taken.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>().as_slice())
        );
        assert_eq!(sent.failure.is_some(), done < items.len());
        picky.statements
    }

    #[tokio::test]
    async fn refused_rows_are_found_and_the_rest_goes_on_in_order() {
        assert_eq!(check(&["a", "b", "c"], 3, &[], &["a", "b", "c"]).await, 1);
        check(&["a", "bad", "c", "d", "bad"], 5, &[1, 4], &["a", "c", "d"]).await;
        check(&["bad"], 1, &[0], &[]).await;
        check(&["a", "bad", "b", "down", "c"], 2, &[1], &["a"]).await;
        check(&["down"], 0, &[], &[]).await;
    }
}
