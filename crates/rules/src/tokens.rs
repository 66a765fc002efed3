//! A text cut into tokens, with their places: what the grammars of this crate read.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer, Whitespace};

use crate::Refusal;

/// ASCII names; none of any database's extensions to literals.
#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }
}

/// A stretch of characters, counted from 0; `to` is behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Span {
    /// From the start of this one to the end of the other.
    pub(crate) fn until(self, end: Self) -> Self {
        Self { from: self.from, to: end.to }
    }

    /// The place of its first character, counted from 1.
    pub(crate) fn place(self) -> usize {
        self.from as usize + 1
    }

    /// What stands there.
    pub(crate) fn of(self, text: &str) -> &str {
        let byte = |at: u32| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
        &text[byte(self.from)..byte(self.to)]
    }
}

/// Tokens one after another.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    next: usize,
    end: Span,
}

impl<'a> Tokens<'a> {
    /// Cuts the text.
    pub(crate) fn of(text: &'a str, most: usize) -> Result<Self, Refusal> {
        if let Some((_, _)) = text.char_indices().nth(most) {
            return Err(Refusal { at: most + 1, reason: format!("the text is longer than {most} characters") });
        }
        if let Some(at) = text.chars().position(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Refusal { at: at + 1, reason: "there is a control character".to_owned() });
        }
        let places = Places::of(text);
        let cut = Tokenizer::new(&Plain, text)
            .tokenize_with_location()
            .map_err(|e| Refusal { at: places.index(e.location) as usize + 1, reason: lower_case_start(&e.message) })?;
        let mut tokens = Vec::with_capacity(cut.len());
        for token in cut {
            let span = Span { from: places.index(token.span.start), to: places.index(token.span.end) };
            match token.token {
                Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {}
                Token::Whitespace(_) => {
                    return Err(Refusal { at: span.place(), reason: "comments are not allowed".to_owned() });
                }
                Token::EOF => {}
                token => tokens.push((token, span)),
            }
        }
        Ok(Self { text, tokens, next: 0, end: Span { from: places.characters, to: places.characters } })
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Where the next token stands.
    pub(crate) fn span(&self) -> Span {
        self.tokens.get(self.next).map_or(self.end, |(_, span)| *span)
    }

    /// Where the token before stands.
    pub(crate) fn span_before(&self) -> Span {
        let before = self.next.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map_or(Span { from: 0, to: 0 }, |(_, span)| *span)
    }

    /// Where the next token stands, counted from 1.
    pub(crate) fn place(&self) -> usize {
        self.span().place()
    }

    /// The next token, not taken.
    pub(crate) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// The one behind the next.
    pub(crate) fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.next + 1).map(|(token, _)| token)
    }

    /// Goes on behind the next token.
    pub(crate) fn take(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len());
    }

    /// Takes the next token when it is this one.
    pub(crate) fn take_if(&mut self, wanted: &Token) -> bool {
        let is_it = self.peek() == Some(wanted);
        if is_it {
            self.take();
        }
        is_it
    }

    /// Whether the next token is this word, in any case and without quotes.
    pub(crate) fn is_word(&self, wanted: &str) -> bool {
        self.peek().is_some_and(|token| is_word(token, wanted))
    }

    /// Takes the next token when it is this word, in any case and without quotes.
    pub(crate) fn take_word(&mut self, wanted: &str) -> bool {
        let is_it = self.is_word(wanted);
        if is_it {
            self.take();
        }
        is_it
    }

    /// Refuses the next token.
    pub(crate) fn refuse<T>(&self, wanted: &str) -> Result<T, Refusal> {
        let found = match self.peek() {
            None => "the text ends".to_owned(),
            Some(Token::SingleQuotedString(_)) => "there is a value".to_owned(),
            Some(token) => format!("there is `{}`", token.to_string().chars().take(32).collect::<String>()),
        };
        Err(Refusal { at: self.place(), reason: format!("{wanted} is expected, but {found}") })
    }
}

/// Whether a token is this word, in any case and without quotes.
pub(crate) fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted))
}

/// Turns lines and columns into characters. The tokenizer breaks lines at `\n` alone.
struct Places {
    /// The first character of each line, counted from 0.
    lines: Vec<u32>,
    characters: u32,
}

impl Places {
    fn of(text: &str) -> Self {
        let mut lines = vec![0];
        let mut characters = 0;
        for c in text.chars() {
            characters += 1;
            if c == '\n' {
                lines.push(characters);
            }
        }
        Self { lines, characters }
    }

    fn index(&self, at: Location) -> u32 {
        let Some(line) = at.line.checked_sub(1) else { return 0 };
        let start = usize::try_from(line).ok().and_then(|line| self.lines.get(line)).copied();
        let column = u32::try_from(at.column.saturating_sub(1)).unwrap_or(u32::MAX);
        start.map_or(self.characters, |start| start.saturating_add(column).min(self.characters))
    }
}

fn lower_case_start(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
