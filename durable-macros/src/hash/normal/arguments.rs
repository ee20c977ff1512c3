//! The arguments of a macro call, where they can be read as rustfmt reads them: expressions, types, patterns or
//! items.

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::{
    Expr, Item, Pat, Result, Token, Type,
    parse::{Parse as _, ParseStream, Parser as _, discouraged::Speculative as _},
    visit_mut::VisitMut,
};

/// The arguments in their normal form, without a comma after the last. None: they are something else.
pub(super) fn normal(tokens: TokenStream, normal: &mut impl VisitMut) -> Option<TokenStream> {
    let arguments = |input: ParseStream<'_>| {
        let mut tokens = TokenStream::new();
        while !input.is_empty() {
            argument(input, normal)?.to_tokens(&mut tokens);
            // As in `vec![0; 8]`.
            if let Some(semicolon) = input.parse::<Option<Token![;]>>()? {
                semicolon.to_tokens(&mut tokens);
            } else if let Some(comma) = input.parse::<Option<Token![,]>>()?
                && !input.is_empty()
            {
                comma.to_tokens(&mut tokens);
            }
        }
        Ok(tokens)
    };
    arguments.parse2(tokens).ok()
}

fn argument(input: ParseStream<'_>, normal: &mut impl VisitMut) -> Result<TokenStream> {
    if let Some(mut expression) = whole(input, Expr::parse) {
        normal.visit_expr_mut(&mut expression);
        return Ok(expression.into_token_stream());
    }
    if let Some(mut ty) = whole(input, Type::parse) {
        normal.visit_type_mut(&mut ty);
        return Ok(ty.into_token_stream());
    }
    if let Some(mut pattern) = whole(input, Pat::parse_multi_with_leading_vert) {
        normal.visit_pat_mut(&mut pattern);
        return Ok(pattern.into_token_stream());
    }
    if let Some(mut item) = whole(input, Item::parse) {
        normal.visit_item_mut(&mut item);
        return Ok(item.into_token_stream());
    }
    Err(input.error("no argument"))
}

/// What can be read up to the next separator.
fn whole<T>(input: ParseStream<'_>, parse: fn(ParseStream<'_>) -> Result<T>) -> Option<T> {
    let ahead = input.fork();
    let read = parse(&ahead).ok()?;
    let ends = ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(Token![;]);
    ends.then(|| {
        input.advance_to(&ahead);
        read
    })
}
