//! The words of an expression.

use super::error::{ExpressionError, ExpressionProblem};

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'e> {
    pub(super) kind: TokenKind<'e>,
    /// Bytes before it.
    pub(super) position: usize,
    pub(super) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'e> {
    /// A letter, then letters, digits and `_`.
    Name(&'e str),
    Number(&'e str),
    /// What stands between single quotes, as it stands.
    Text(&'e str),
    /// `!=`, or any other character.
    Symbol(&'e str),
    /// A quote that nothing closes.
    Unclosed,
}

impl Token<'_> {
    pub(super) fn problem(&self, problem: ExpressionProblem) -> ExpressionError {
        ExpressionError::new(problem, self.position)
    }
}

impl<'e> TokenKind<'e> {
    pub(super) fn name(self) -> Option<&'e str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// All that an expression holds; there is no text that has no tokens.
pub(super) fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(first) = expression.get(position..).and_then(|rest| rest.chars().next()) {
        let rest = expression.get(position..).unwrap_or_default();
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else {
            let (kind, length) = token(rest, first);
            tokens.push(Token { kind, position, length });
            length
        };
        position += length;
    }
    tokens
}

/// The token that a text begins with, and its length in bytes.
fn token(text: &str, first: char) -> (TokenKind<'_>, usize) {
    let while_is = |is: fn(u8) -> bool| {
        let length = text.bytes().take_while(|byte| is(*byte)).count();
        (text.get(..length).unwrap_or_default(), length)
    };
    match first {
        'a'..='z' | 'A'..='Z' => {
            let (name, length) = while_is(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            (TokenKind::Name(name), length)
        }
        '0'..='9' => {
            let (number, length) = while_is(|byte| byte.is_ascii_digit());
            (TokenKind::Number(number), length)
        }
        '\'' => match text.get(1..).and_then(|rest| rest.split_once('\'')) {
            Some((inner, _)) => (TokenKind::Text(inner), inner.len() + 2),
            None => (TokenKind::Unclosed, text.len()),
        },
        '!' if text.starts_with("!=") => (TokenKind::Symbol("!="), 2),
        other => (TokenKind::Symbol(text.get(..other.len_utf8()).unwrap_or_default()), other.len_utf8()),
    }
}
