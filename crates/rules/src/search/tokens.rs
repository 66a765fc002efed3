//! The text cut into tokens, with their places.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::Refusal;

/// ASCII names; none of any database's extensions to literals.
#[derive(Debug)]
struct DeviceSearch;

impl Dialect for DeviceSearch {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }
}

/// Tokens one after another.
pub(super) struct Tokens<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<TokenWithSpan>>,
}

impl<'a> Tokens<'a> {
    /// Cuts the text.
    pub(super) fn of(text: &'a str, most: usize) -> Result<Self, Refusal> {
        if let Some((_, _)) = text.char_indices().nth(most) {
            return Err(Refusal { at: most + 1, reason: format!("the text is longer than {most} characters") });
        }
        if let Some(at) = text.chars().position(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Refusal { at: at + 1, reason: "there is a control character".to_owned() });
        }
        let tokens = Tokenizer::new(&DeviceSearch, text)
            .tokenize_with_location()
            .map_err(|e| Refusal { at: place(text, e.location), reason: lower_case_start(&e.message) })?;
        let mut kept = Vec::with_capacity(tokens.len());
        for token in tokens {
            match token.token {
                Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {}
                Token::Whitespace(_) => {
                    let at = place(text, token.span.start);
                    return Err(Refusal { at, reason: "comments are not allowed".to_owned() });
                }
                Token::EOF => {}
                _ => kept.push(token),
            }
        }
        Ok(Self { text, tokens: kept.into_iter().peekable() })
    }

    /// Where the next token stands.
    pub(super) fn place(&mut self) -> usize {
        match self.tokens.peek() {
            Some(token) => place(self.text, token.span.start),
            None => self.text.chars().count() + 1,
        }
    }

    /// The next token, not taken.
    pub(super) fn peek(&mut self) -> Option<&Token> {
        self.tokens.peek().map(|t| &t.token)
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Option<Token> {
        self.tokens.next().map(|t| t.token)
    }

    /// Takes the next token when it is this one.
    pub(super) fn take_if(&mut self, wanted: &Token) -> bool {
        self.tokens.next_if(|t| t.token == *wanted).is_some()
    }

    /// Takes the next token when it is this word, in any case and without quotes.
    pub(super) fn take_word(&mut self, wanted: &str) -> bool {
        self.tokens
            .next_if(|t| matches!(&t.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted)))
            .is_some()
    }

    /// Refuses the next token.
    pub(super) fn refuse<T>(&mut self, wanted: &str) -> Result<T, Refusal> {
        let at = self.place();
        let found = match self.peek() {
            None => "the text ends".to_owned(),
            Some(Token::SingleQuotedString(_)) => "there is a value".to_owned(),
            Some(token) => format!("there is `{}`", token.to_string().chars().take(32).collect::<String>()),
        };
        Err(Refusal { at, reason: format!("{wanted} is expected, but {found}") })
    }
}

/// The character, counted from 1, that stands at a line and column. The tokenizer breaks lines at `\n` alone.
fn place(text: &str, at: Location) -> usize {
    if at.line == 0 {
        return 1;
    }
    let lines = usize::try_from(at.line - 1).unwrap_or(usize::MAX);
    let column = usize::try_from(at.column).unwrap_or(usize::MAX);
    let before: usize = text.split_inclusive('\n').take(lines).map(|line| line.chars().count()).sum();
    before.saturating_add(column).min(text.chars().count() + 1)
}

fn lower_case_start(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
