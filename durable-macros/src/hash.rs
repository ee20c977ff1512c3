//! A digest of a workflow's body: the same after a rebuild or a reformat, another after an edit.
//!
//! Tokens are taken one by one, without spans; comments are no tokens, and doc attributes are left out. What rustfmt adds and takes
//! away is left out too: trailing commas, the braces around a match arm's or a closure's only expression, the comma after an arm's
//! block, and the semicolon after a final `return`, `break` or `continue`.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use sha2::{Digest as _, Sha256};

/// The first 16 bytes of a SHA-256 over the body's tokens.
pub(crate) fn body_hash(body: TokenStream) -> u128 {
    let mut text = String::new();
    write(&normal(body, Around::Block), &mut text);
    let digest = Sha256::digest(text.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
}

/// What a run of tokens stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Braces, or nothing.
    Block,
    /// The parentheses of a tuple or a grouped expression.
    Tuple,
    /// The parentheses of a call, or brackets.
    List,
}

/// The tokens without what rustfmt may change.
fn normal(tokens: TokenStream, around: Around) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut kept: Vec<TokenTree> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        if let Some(length) = doc_attribute(&tokens[index..]) {
            index += length;
            continue;
        }
        match &tokens[index] {
            TokenTree::Group(group) => index += take_group(group, &tokens[index + 1..], &mut kept),
            other => kept.push(other.clone()),
        }
        index += 1;
    }
    trim_end(&mut kept, around);
    kept
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

/// Adds a group, its braces left out where rustfmt may have put them; how many tokens after it are left out as well.
fn take_group(group: &Group, after: &[TokenTree], kept: &mut Vec<TokenTree>) -> usize {
    let follows_arrow = ends_with(kept, &['=', '>']);
    let follows_pipe = kept.last().is_some_and(|last| is_punct(last, '|'));
    if group.delimiter() == Delimiter::Brace && (follows_arrow || follows_pipe) {
        let comma_follows = after.first().is_some_and(|next| is_punct(next, ','));
        if let Some(expression) = only_expression(group) {
            kept.extend(normal(expression, Around::Block));
            let last = after.is_empty() || comma_follows;
            if follows_arrow && !last {
                // As rustfmt writes it without braces.
                kept.push(comma());
            }
            return 0;
        }
        push_group(group, kept);
        if follows_arrow {
            // The comma after a block arm is optional: it is always written here, except at the end.
            if !after.is_empty() && after.len() > usize::from(comma_follows) {
                kept.push(comma());
            }
            return usize::from(comma_follows);
        }
        return 0;
    }
    push_group(group, kept);
    0
}

fn push_group(group: &Group, kept: &mut Vec<TokenTree>) {
    let around = match group.delimiter() {
        Delimiter::Parenthesis if !kept.last().is_some_and(is_callee) => Around::Tuple,
        Delimiter::Parenthesis | Delimiter::Bracket => Around::List,
        Delimiter::Brace | Delimiter::None => Around::Block,
    };
    let inside = normal(group.stream(), around).into_iter().collect();
    kept.push(TokenTree::Group(Group::new(group.delimiter(), inside)));
}

/// Whether parentheses after this token are those of a call.
fn is_callee(token: &TokenTree) -> bool {
    const KEYWORDS: [&str; 12] = [
        "return", "break", "in", "if", "while", "match", "let", "else", "move", "async", "await_",
        "mut",
    ];
    match token {
        TokenTree::Ident(name) => !KEYWORDS.iter().any(|keyword| name == keyword),
        TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
        TokenTree::Punct(punct) => matches!(punct.as_char(), '>' | '!' | '?'),
        TokenTree::Literal(_) => false,
    }
}

/// The content of braces that hold one expression and nothing else.
fn only_expression(group: &Group) -> Option<TokenStream> {
    const STATEMENTS: [&str; 12] = [
        "let",
        "use",
        "fn",
        "const",
        "static",
        "struct",
        "enum",
        "impl",
        "type",
        "mod",
        "trait",
        "macro_rules",
    ];
    // After a block-like expression another may follow without a semicolon.
    const BLOCKS: [&str; 7] = ["if", "match", "while", "for", "loop", "unsafe", "async"];
    let tokens: Vec<_> = group.stream().into_iter().collect();
    let first = tokens.first()?;
    let starts = |words: &[&str]| matches!(first, TokenTree::Ident(name) if words.iter().any(|word| name == word));
    let has_semicolon = tokens.iter().any(|token| is_punct(token, ';'));
    let is_block = starts(&BLOCKS)
        || matches!(first, TokenTree::Group(inner) if inner.delimiter() == Delimiter::Brace);
    let attribute_or_label = is_punct(first, '#') || is_punct(first, '\'');
    let alone = !has_semicolon && !starts(&STATEMENTS) && !is_block && !attribute_or_label;
    alone.then(|| group.stream())
}

const JUMPS: [&str; 3] = ["return", "break", "continue"];

/// Takes away a trailing comma, and the semicolon after a final jump.
fn trim_end(kept: &mut Vec<TokenTree>, around: Around) {
    let Some(last) = kept.last() else {
        return;
    };
    if is_punct(last, ',') {
        // `(a,)` is a tuple and `(a)` is not.
        let commas = kept.iter().filter(|token| is_punct(token, ',')).count();
        if around != Around::Tuple || commas > 1 {
            kept.pop();
        }
    } else if is_punct(last, ';') && around == Around::Block {
        let statement = kept[..kept.len() - 1]
            .iter()
            .rposition(|token| is_punct(token, ';'))
            .map_or(0, |position| position + 1);
        let jumps = matches!(&kept[statement], TokenTree::Ident(name) if JUMPS.iter().any(|jump| name == jump));
        if jumps {
            kept.pop();
        }
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn ends_with(tokens: &[TokenTree], characters: &[char]) -> bool {
    tokens.len() >= characters.len()
        && tokens[tokens.len() - characters.len()..]
            .iter()
            .zip(characters)
            .all(|(token, character)| is_punct(token, *character))
}

fn comma() -> TokenTree {
    proc_macro2::Punct::new(',', proc_macro2::Spacing::Alone).into()
}

/// Each token on a line of its own, with its kind, so that no two lists of tokens give the same text.
fn write(tokens: &[TokenTree], text: &mut String) {
    for token in tokens {
        let line = match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("<", ">"),
                };
                text.push_str(open);
                text.push('\n');
                write(&group.stream().into_iter().collect::<Vec<_>>(), text);
                close.to_owned()
            }
            TokenTree::Ident(name) => format!("ident {name}"),
            TokenTree::Punct(punct) => format!("punct {}", punct.as_char()),
            // A literal may hold line breaks of its own.
            TokenTree::Literal(literal) => format!("literal {:?}", literal.to_string()),
        };
        text.push_str(&line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(code: &str) -> u128 {
        body_hash(code.parse().expect("tokens"))
    }

    #[test]
    fn layout_comments_and_docs_do_not_count() {
        let plain = hash("{ let a = f(1, 2); a.await? }");
        assert_eq!(
            plain,
            hash("{\n    // Why.\n    let a = f(\n        1,\n        2,\n    );\n    a.await?\n}")
        );
        assert_eq!(plain, hash("{ /// Docs.\n let a = f(1, 2); a.await? }"));
        assert_eq!(
            hash("{ match x { A => { b } C => d } }"),
            hash("{ match x { A => b, C => { d } } }")
        );
        assert_eq!(
            hash("{ match x { A => { b; } C => d, } }"),
            hash("{ match x { A => { b; }, C => d } }")
        );
        assert_eq!(
            hash("{ x.map(|y| { y + 1 }) }"),
            hash("{ x.map(|y| y + 1) }")
        );
        assert_eq!(
            hash("{ if a { return b; } c }"),
            hash("{ if a { return b } c }")
        );
    }

    #[test]
    fn every_edit_counts() {
        let code = "{ let a = f(1, \"x\"); g((a), b).await?; if a && b { c(a) } else { d } }";
        let base = hash(code);
        for (from, to) in [
            ("1", "2"),
            ("\"x\"", "\"y\""),
            ("f(", "h("),
            ("&&", "||"),
            ("(a)", "(a,)"),
            (".await?", ".await"),
            (".await?", "?"),
            ("c(a)", "c(a);"),
            ("c(a)", "c(b)"),
            ("let a", "let mut a"),
            ("} else", "e } else"),
        ] {
            assert!(code.contains(from), "{from}");
            assert_ne!(base, hash(&code.replacen(from, to, 1)), "{from} to {to}");
        }
        assert_ne!(
            hash("{ match x { A => b, C => d } }"),
            hash("{ match x { A => d, C => b } }")
        );
        assert_ne!(hash("{ |x| { x; } }"), hash("{ |x| x }"));
    }

    /// Code with everything in it that rustfmt lays out in several ways.
    const FIXTURE: &str = r#"
async fn body(ctx: Ctx, order: Order) -> Result<Receipt, ShopError> {
    let Some(first) = order.items.first() else { return Err(ShopError::Empty); };
    let charge = charge(&ctx, &order, first.price * order.amount, Currency::Euro).await?;
    let label = ctx.step("print label", || async { print_label(&order, &charge).await }).timeout(Duration::from_secs(10)).retries(3).await?;
    let pair = (order.id.clone(),);
    let kind = match order.kind { Kind::Book if first.price > 100 => send_with_insurance(&ctx, &order, &label).await?, Kind::Book => plain(), Kind::Film { length, title } => { log(title); length } , _ => 0 };
    let (a, b) = tokio::join!(notify(&ctx, &order.customer.address, "your order is on its way"), archive(&ctx, &order, &label));
    let total: u32 = order.items.iter().map(|item| item.price * item.amount).filter(|price| *price > 10).sum();
    println!("{} {} {}", total, kind, pair.0);
    for item in &order.items { if item.price == 0 { continue; } audit(&ctx, item).await?; }
    a.and(b).map(|()| Receipt { charge, label, total, customer: order.customer.name.clone(), kind })
}
"#;

    fn formatted(width: u32) -> String {
        use std::{
            io::Write as _,
            process::{Command, Stdio},
        };
        let mut rustfmt = Command::new("rustfmt")
            .args([
                "--edition",
                "2024",
                "--config",
                &format!("max_width={width}"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("rustfmt is installed: rustup component add rustfmt");
        rustfmt
            .stdin
            .take()
            .expect("its input")
            .write_all(FIXTURE.as_bytes())
            .expect("written");
        let output = rustfmt.wait_with_output().expect("its output");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn rustfmt_changes_nothing_whatever_its_width() {
        let body = |code: &str| {
            let function: syn::ItemFn = syn::parse_str(code).expect("a function");
            let block = function.block;
            body_hash(quote::quote!(#block))
        };
        let (narrow, wide) = (formatted(40), formatted(160));
        assert_ne!(narrow, wide);
        assert_eq!(body(&narrow), body(&wide));
        assert_eq!(body(&narrow), body(FIXTURE));
    }
}
