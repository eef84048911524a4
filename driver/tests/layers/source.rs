//! What a source file refers to: its module declarations and its paths, without comments, texts
//! and tests.
//!
//! Not a Rust parser: it knows the parts of the language that name other files.

use std::iter::Peekable;
use std::str::Chars;

/// A path in a file, as written: `crate::a::B`, or `use self::a::{B as C}` as one path each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its segments; the last is `*` for a glob.
    pub(crate) path: Vec<String>,
    /// What kind of line it stands in.
    pub(crate) kind: Kind,
    /// The name that it introduces, if it is imported.
    pub(crate) name: Option<String>,
}

impl Mention {
    /// Writes what stands in so many modules within the file as the file itself would.
    fn leave(&mut self, modules: usize) {
        for _ in 0..modules {
            if self.path.first().is_some_and(|first| first == "super") {
                self.path.remove(0);
            }
        }
        if modules > 0 {
            self.name = None;
            let is_rooted = |first: &String| ["crate", "super", "self"].contains(&first.as_str());
            if !self.path.first().is_some_and(is_rooted) {
                self.path.insert(0, "self".to_owned());
            }
        }
    }
}

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `use`
    Import,
    /// `pub use`, whatever its visibility.
    Export,
    /// Anywhere else.
    Inline,
}

/// A file, read.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The modules that it declares.
    pub(crate) modules: Vec<String>,
    /// Every path that begins with `crate`, `super`, `self` or one of its modules.
    pub(crate) mentions: Vec<Mention>,
    /// Every word that is no part of a `use` line.
    pub(crate) words: Vec<String>,
}

/// A piece of source text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

impl Source {
    /// Reads the text of a file.
    pub(crate) fn read(text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let modules = modules(&tokens);
        let mut source = Self { modules, ..Self::default() };
        let (mut at, mut depth, mut inline) = (0, 0, Vec::new());
        while at < tokens.len() {
            match tokens[at] {
                Token::Sign('{') => {
                    depth += 1;
                    if at >= 2 && is_word(&tokens, at - 2, "mod") {
                        inline.push(depth);
                    }
                }
                Token::Sign('}') => {
                    inline.pop_if(|opened| *opened == depth);
                    depth -= 1;
                }
                Token::Sign(_) | Token::Word(_) | Token::Colons => {}
            }
            let before = source.mentions.len();
            at = source.take(&tokens, at);
            source.mentions[before..].iter_mut().for_each(|mention| mention.leave(inline.len()));
        }
        source
    }

    /// Takes in what stands at a place; returns the next place.
    fn take(&mut self, tokens: &[Token], at: usize) -> usize {
        let Token::Word(word) = &tokens[at] else { return at + 1 };
        if word == "use" {
            let is_export =
                at > 0 && (is_word(tokens, at - 1, "pub") || is_sign(tokens, at - 1, ')'));
            let kind = if is_export { Kind::Export } else { Kind::Import };
            return self.tree(tokens, at + 1, &[], kind);
        }
        // Who may see an item is no use of it: `pub(in crate::a)`.
        if word == "in" && at >= 2 && is_word(tokens, at - 2, "pub") {
            return tokens[at..]
                .iter()
                .position(|token| *token == Token::Sign(')'))
                .map_or(at + 1, |end| at + end);
        }
        let follows_path = at > 0 && tokens[at - 1] == Token::Colons;
        let is_root = ["crate", "super", "self"].contains(&word.as_str());
        let begins = (is_root || self.modules.contains(word))
            && tokens.get(at + 1) == Some(&Token::Colons)
            && !follows_path;
        if begins {
            return self.tree(tokens, at, &[], Kind::Inline);
        }
        self.words.push(word.clone());
        at + 1
    }

    /// Takes in the tree of paths at a place; returns the place after it.
    fn tree(&mut self, tokens: &[Token], mut at: usize, prefix: &[String], kind: Kind) -> usize {
        let mut path = prefix.to_vec();
        let mut name = None;
        loop {
            match tokens.get(at) {
                Some(Token::Word(word)) if word == "as" => {
                    name = word_at(tokens, at + 1);
                    at += 2;
                }
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    at += 1;
                }
                Some(Token::Sign('*')) if kind != Kind::Inline => {
                    path.push("*".to_owned());
                    at += 1;
                }
                Some(Token::Sign('{'))
                    if tokens.get(at.wrapping_sub(1)) == Some(&Token::Colons) =>
                {
                    return self.group(tokens, at + 1, &path, kind);
                }
                _ => break,
            }
            if tokens.get(at) == Some(&Token::Colons) {
                at += 1;
            } else if !is_word(tokens, at, "as") || kind == Kind::Inline {
                break;
            }
        }
        // `{self}` names what is before it.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if !path.is_empty() {
            let name = name.or_else(|| path.last().cloned()).filter(|_| kind != Kind::Inline);
            self.mentions.push(Mention { path, kind, name });
        }
        at
    }

    fn group(&mut self, tokens: &[Token], mut at: usize, prefix: &[String], kind: Kind) -> usize {
        while at < tokens.len() && !is_sign(tokens, at, '}') {
            at =
                if is_sign(tokens, at, ',') { at + 1 } else { self.tree(tokens, at, prefix, kind) };
        }
        at + 1
    }
}

fn modules(tokens: &[Token]) -> Vec<String> {
    let declared = (0..tokens.len()).filter(|at| is_word(tokens, *at, "mod"));
    declared.filter_map(|at| word_at(tokens, at + 1)).collect()
}

fn word_at(tokens: &[Token], at: usize) -> Option<String> {
    match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.clone()),
        _ => None,
    }
}

fn is_word(tokens: &[Token], at: usize, expected: &str) -> bool {
    matches!(tokens.get(at), Some(Token::Word(word)) if word == expected)
}

fn is_sign(tokens: &[Token], at: usize, expected: char) -> bool {
    tokens.get(at) == Some(&Token::Sign(expected))
}

/// Leaves out every item that is only there in tests.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = &tokens[..];
    while let Some(token) = rest.first() {
        if is_for_tests(rest) {
            rest = after_item(rest);
        } else {
            kept.push(token.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// Whether `#[cfg(test)]` or the like stands here: `test` is in it, and no `not`.
fn is_for_tests(tokens: &[Token]) -> bool {
    let begins = is_sign(tokens, 0, '#') && is_sign(tokens, 1, '[') && is_word(tokens, 2, "cfg");
    let end = tokens.iter().position(|token| *token == Token::Sign(']')).unwrap_or(0);
    let has = |word| (0..end).any(|at| is_word(tokens, at, word));
    begins && has("test") && !has("not")
}

/// What follows an item: the first `;` or closed `{}` that is in no other pair of brackets.
fn after_item(tokens: &[Token]) -> &[Token] {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(closing @ (')' | ']' | '}')) => {
                depth -= 1;
                if depth == 0 && *closing == '}' {
                    return &tokens[index + 1..];
                }
            }
            Token::Sign(';') if depth == 0 => return &tokens[index + 1..],
            Token::Sign(_) | Token::Word(_) | Token::Colons => {}
        }
    }
    &[]
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '/' if rest.peek() == Some(&'/') => while rest.next().is_some_and(|l| l != '\n') {},
            '"' => skip_text(&mut rest),
            '\'' => skip_character(&mut rest),
            ':' if rest.next_if_eq(&':').is_some() => found.push(Token::Colons),
            'r' if matches!(rest.peek(), Some('"' | '#')) => skip_raw(&mut rest),
            _ if letter.is_alphabetic() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = rest.next_if(|l| l.is_alphanumeric() || *l == '_') {
                    word.push(next);
                }
                // The prefix of a text in bytes: the text follows.
                if !(word == "b" && matches!(rest.peek(), Some('"' | '\''))) {
                    let is_raw = word == "br" && matches!(rest.peek(), Some('"' | '#'));
                    if is_raw { skip_raw(&mut rest) } else { found.push(Token::Word(word)) }
                }
            }
            _ if letter.is_whitespace() => {}
            _ => found.push(Token::Sign(letter)),
        }
    }
    found
}

fn skip_text(rest: &mut Peekable<Chars<'_>>) {
    while let Some(letter) = rest.next() {
        match letter {
            '"' => return,
            '\\' => drop(rest.next()),
            _ => {}
        }
    }
}

/// A character, or a lifetime.
fn skip_character(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    let first = ahead.next();
    if first == Some('\\') {
        rest.next();
        rest.next();
        while rest.next().is_some_and(|letter| letter != '\'') {}
    } else if ahead.next() == Some('\'') {
        rest.next();
        rest.next();
    }
}

/// A raw text, from behind its `r`.
fn skip_raw(rest: &mut Peekable<Chars<'_>>) {
    let mut marks = 0;
    while rest.next_if_eq(&'#').is_some() {
        marks += 1;
    }
    if rest.next_if_eq(&'"').is_none() {
        return;
    }
    while let Some(letter) = rest.next() {
        let mut ahead = rest.clone();
        if letter == '"' && (0..marks).all(|_| ahead.next() == Some('#')) {
            *rest = ahead;
            return;
        }
    }
}
