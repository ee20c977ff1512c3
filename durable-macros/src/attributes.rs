//! Which of a function's attributes belong to which part of what is made of it.

use proc_macro2::Span;
use syn::{
    AttrStyle, Attribute, Ident, Meta, Token, parse_quote, punctuated::Punctuated,
    spanned::Spanned as _,
};

/// Lints of the function's head, which it is the generated function that has.
const HEAD_LINTS: [&str; 2] = ["missing_docs", "non_snake_case"];

/// Those of the generated function: all. A lint that is expected in the body is allowed here, where it may be met or not.
pub(crate) fn of_function(attributes: &[Attribute]) -> Vec<Attribute> {
    divided(attributes.iter(), "expect", "allow")
}

/// Those of the function that holds the body: lint levels.
pub(crate) fn of_body(attributes: &[Attribute]) -> Vec<Attribute> {
    const LEVELS: [&str; 4] = ["allow", "expect", "warn", "deny"];
    let is_level =
        |attribute: &&Attribute| LEVELS.iter().any(|level| attribute.path().is_ident(level));
    divided(attributes.iter().filter(is_level), "allow", "expect")
}

/// The attributes, with these levels for the lints that are expected in the head and in the body.
fn divided<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
    of_head: &str,
    of_body: &str,
) -> Vec<Attribute> {
    let divided = |attribute: &Attribute| match Expect::read(attribute) {
        Some(expect) => expect.levels(of_head, of_body),
        None => vec![attribute.clone()],
    };
    attributes.flat_map(divided).map(outer).collect()
}

/// Those that every item needs which stands beside the function: when it exists.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<&Attribute> {
    let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    attributes.iter().filter(is_condition).collect()
}

/// As it is written before an item: syn counts `#![…]` at a body's beginning among the function's.
fn outer(mut attribute: Attribute) -> Attribute {
    attribute.style = AttrStyle::Outer;
    attribute
}

/// `#[expect(…)]`, taken apart: only one of the function and its body can fulfil it.
struct Expect {
    head: Vec<Meta>,
    body: Vec<Meta>,
    reason: Option<Meta>,
    span: Span,
}

impl Expect {
    /// None: the attribute is another, or not one that can be read.
    fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.path().is_ident("expect") {
            return None;
        }
        let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
        let lints = attribute.parse_args_with(parser).ok()?;
        let is_reason = |meta: &Meta| matches!(meta, Meta::NameValue(_));
        let (mut reason, lints): (Vec<_>, Vec<_>) = lints.into_iter().partition(is_reason);
        let in_head = |lint: &Meta| HEAD_LINTS.iter().any(|name| lint.path().is_ident(name));
        let (head, body) = lints.into_iter().partition(in_head);
        Some(Self {
            head,
            body,
            reason: reason.pop(),
            span: attribute.path().span(),
        })
    }

    fn levels(self, of_head: &str, of_body: &str) -> Vec<Attribute> {
        let Self {
            head,
            body,
            reason,
            span,
        } = self;
        [(of_head, head), (of_body, body)]
            .into_iter()
            .filter(|(_, lints)| !lints.is_empty())
            .map(|(level, lints)| {
                let level = Ident::new(level, span);
                let arguments = lints.iter().chain(&reason);
                parse_quote!(#[#level(#(#arguments),*)])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn written(attributes: &[Attribute]) -> String {
        quote!(#(#attributes)*).to_string().replace(' ', "")
    }

    #[test]
    fn an_expected_lint_is_expected_once_and_allowed_elsewhere() {
        let function: syn::ItemFn = parse_quote! {
            #[doc(alias = "x")]
            #[allow(a)]
            #[expect(missing_docs, unused_mut, clippy::b, reason = "so")]
            fn f() { #![deny(c)] }
        };
        assert_eq!(
            written(&of_function(&function.attrs)),
            r#"#[doc(alias="x")]#[allow(a)]#[expect(missing_docs,reason="so")]#[allow(unused_mut,clippy::b,reason="so")]#[deny(c)]"#
        );
        assert_eq!(
            written(&of_body(&function.attrs)),
            r#"#[allow(a)]#[allow(missing_docs,reason="so")]#[expect(unused_mut,clippy::b,reason="so")]#[deny(c)]"#
        );
    }
}
