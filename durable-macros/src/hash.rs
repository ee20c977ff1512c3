//! A digest of a workflow's body: the same after a rebuild or a reformat, another after an edit.
//!
//! `normal` takes away what rustfmt may change in the syntax tree; its tokens are then digested without spans. Comments are no tokens,
//! and doc attributes are left out.

mod normal;
#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use sha2::{Digest as _, Sha256};
use syn::Block;

/// The first 16 bytes of a SHA-256 over the body.
pub(crate) fn body_hash(body: &Block) -> u128 {
    let digest = Sha256::digest(text(&normal::normal(body)).as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
}

/// The text that is digested.
fn text(syntax: &impl ToTokens) -> String {
    let mut text = String::new();
    write(syntax.to_token_stream(), &mut text);
    text
}

/// Each token on a line of its own, with its kind, so that no two lists of tokens give the same text.
fn write(tokens: TokenStream, text: &mut String) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        if let Some(length) = doc_attribute(rest) {
            rest = &rest[length..];
            continue;
        }
        let mut length = 1;
        let line = match first {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("<", ">"),
                };
                text.push_str(open);
                text.push('\n');
                write(group.stream(), text);
                close.to_owned()
            }
            TokenTree::Ident(name) => format!("ident {name}"),
            TokenTree::Punct(_) => {
                let operator = operator(rest);
                length = operator.len();
                format!("punct {operator}")
            }
            // A literal may hold line breaks of its own.
            TokenTree::Literal(literal) => format!("literal {:?}", literal.to_string()),
        };
        text.push_str(&line);
        text.push('\n');
        rest = &rest[length..];
    }
}

/// `#[doc = …]`, which is what `///` becomes, and `#![doc = …]`: how many tokens it has.
fn doc_attribute(tokens: &[TokenTree]) -> Option<usize> {
    if !is_punct(tokens.first()?, '#') {
        return None;
    }
    let inner = usize::from(is_punct(tokens.get(1)?, '!'));
    let TokenTree::Group(group) = tokens.get(1 + inner)? else {
        return None;
    };
    let is_doc = group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc");
    is_doc.then_some(2 + inner)
}

/// The operator that these punctuation characters begin with, as the compiler reads it: `&&` is not `& &`, but `==-` is `== -`.
///
/// Those that begin with `<` or `>` are left apart, as they are brackets too: `Vec<Vec<u8>>` is `Vec<Vec<u8> >`.
fn operator(tokens: &[TokenTree]) -> String {
    const LONG: [&str; 18] = [
        "...", "..=", "..", "::", "->", "=>", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=", "%=",
        "^=", "&=", "|=",
    ];
    let mut joint = String::new();
    for token in &tokens[..tokens.len().min(3)] {
        let TokenTree::Punct(punct) = token else {
            break;
        };
        joint.push(punct.as_char());
        if punct.spacing() == Spacing::Alone {
            break;
        }
    }
    let long = LONG.iter().find(|long| joint.starts_with(**long));
    long.map_or_else(|| joint[..1].to_owned(), |long| (*long).to_owned())
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
