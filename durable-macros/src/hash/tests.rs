//! Formatting keeps the digest, an edit changes it.

use super::*;

fn hash(code: &str) -> u128 {
    body_hash(&syn::parse_str(code).expect("a block"))
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
        ("} else", "; e } else"),
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

#[test]
fn what_rustfmt_rewrites_does_not_count() {
    for (one, other) in [
        (
            "match x { A => return b, C => d }",
            "match x { A => { return b; } C => d }",
        ),
        (
            "for a in b { match a { A => continue, C => break } }",
            "for a in b { match a { A => { continue; } C => { break } } }",
        ),
        (
            "match x { A => if c { x } else { y }, B => z }",
            "match x { A => { if c { x } else { y } } B => z }",
        ),
        (
            "match x { A => match y { B => z } }",
            "match x { A => { match y { B => { z } } } }",
        ),
        (
            "match x { A => loop { y() }, B => unsafe { z } }",
            "match x { A => { loop { y() } } B => { unsafe { z } } }",
        ),
        (
            "match x { A => m!(x), B => n! { x } }",
            "match x { A => { m!(x) } B => { n! { x } } }",
        ),
        ("match x { A | B => c, }", "match x { | A | B => { c } }"),
        (
            "a(|x| if c { x } else { y })",
            "a(|x| { if c { x } else { y } })",
        ),
        ("a(|x| |y| { b })", "a(|x| { |y| b })"),
        (
            "a(|x| async move { b })",
            "a(|x,| { { async move { b } } })",
        ),
        ("a(async || b)", "a(async || { b })"),
        ("a(|x| return b)", "a(|x| { return b; })"),
        (
            "for a in b { c(); } return d",
            "for a in b { c(); } return d;",
        ),
        ("let a = 1; return a", "let a = 1; return a;"),
        ("while a { b() } c()", "while a { b() }; c()"),
        (
            "let Some(a) = b else { return };",
            "let Some(a) = b else { return; };;",
        ),
        ("use a::A; use b::B; c()", "use b::B; use a::A; c()"),
        ("use a::{C, b::{A, D}}; c()", "use a::{b::{D, A}, C,}; c()"),
        ("use a::b; c()", "use a::{b}; c()"),
        ("a((b), c, (d,))", "a(((b)), c, (d,),)"),
        (
            "a::<B, C>(D { e, f: [1, 2] })",
            "a::<B, C,>(D { e, f: [1, 2,], },)",
        ),
        (
            "let (a, D { e, .. }, [f, g]) = b;",
            "let (a, D { e, .. }, [f, g,],) = b;",
        ),
        ("let a: Vec<Vec<u8>> = b;", "let a: Vec<Vec<u8> > = b;"),
        (
            "let a: fn(u8, (u8, u8)) = b;",
            "let a: fn(u8, (u8, u8,),) = b;",
        ),
        ("vec![a, b]", "vec!(a, b,)"),
        ("assert!(a == -b, |x| y)", "assert!(a==-b, |x| { y },)"),
        (
            "m!(Vec<Vec<u8>>, &'a str, A | B)",
            "m!(Vec<Vec<u8> >, &'a str, A|B)",
        ),
        ("m!(fn a(b: u8) { c(1) })", "m!(fn a(b: u8,) { c(1,) })"),
        ("vec![a(1); 8]", "vec![a(1,); 8]"),
        (
            "#[derive(A, B)] struct C { a: u8 }",
            "#[derive(A)] #[derive(B,)] struct C { a: u8, }",
        ),
    ] {
        let block = |code: &str| format!("{{ {code} }}");
        assert_eq!(hash(&block(one)), hash(&block(other)), "{one} is {other}");
    }
}

#[test]
fn programs_that_only_look_alike_differ() {
    for (one, other) in [
        ("a && b", "a & &b"),
        ("m!(a && b)", "m!(a & &b)"),
        ("m! { a && b }", "m! { a & &b }"),
        ("match x { _ => (a,) }", "match x { _ => (a) }"),
        ("m!((a,))", "m!((a))"),
        ("let (a,) = b;", "let (a) = b;"),
        ("let a: (u8,) = b;", "let a: (u8) = b;"),
        ("a | { b == c }", "a | b == c"),
        ("a(|| { b; })", "a(|| b)"),
        ("a({ b })", "a(b)"),
        ("match x { A => {} }", "match x { A => () }"),
        ("match x { A => 'l: { b } }", "match x { A => b }"),
        ("match x { A => { let b = c; b } }", "match x { A => b }"),
        ("match x { A => { b; c } }", "match x { A => { c; b } }"),
        ("if a { b }; c", "if a { b } c"),
        ("use a::b; c()", "use a::{self as b}; c()"),
        ("use a::b; c()", "use ::a::b; c()"),
        ("use a::*; c()", "use a::{b, c}; c()"),
        (
            "use a::b; let c = 1; use d::e;",
            "use d::e; let c = 1; use a::b;",
        ),
        ("m!(a b,)", "m!(a b)"),
        ("m!(\"a\")", "m!(a)"),
    ] {
        let block = |code: &str| format!("{{ {code} }}");
        assert_ne!(
            hash(&block(one)),
            hash(&block(other)),
            "{one} is not {other}"
        );
    }
}

/// Code with everything in it that rustfmt lays out in several ways.
const FIXTURE: &str = r#"
async fn body(ctx: Ctx, order: Order) -> Result<Receipt, ShopError> {
    use shop::{stock, orders::{Item, Order}, Currency}; use std::time::Duration; use other::{B, A};
    let Some(first) = order.items.first() else { return Err(ShopError::Empty); };
    let charge = charge(&ctx, &order, first.price * order.amount, Currency::Euro).await?;
    let label = ctx.step("print label", || async { print_label(&order, &charge).await }).timeout(Duration::from_secs(10)).max_attempts(4).await?;
    let pair = (order.id.clone(),);
    let kind = match order.kind { Kind::Book if first.price > 100 => send_with_insurance(&ctx, &order, &label).await?, Kind::Book => plain(), Kind::Film { length, title } => { log(title); length } , _ => 0 };
    let sent = match order.kind { | Kind::Gift | Kind::Sample => return Err(ShopError::CannotBeSentTwice { order: order.id, kind: order.kind }), Kind::Letter => if order.fast { send_today_please(&ctx, &order, &label).await? } else { send_tomorrow(&ctx, &order).await? }, Kind::Card => panic!("{} is never sent by itself, only with something else", order.kind), _ => match first { Item { price: 0, .. } => { Sent::Never } _ => Sent::Later } };
    let prices: Vec<Vec<u64>> = order.items.iter().map(|item| if item.price > 10 { vec!(item.price, item.tax) } else { vec![0; 2] }).collect::<Vec<_>>();
    assert!(prices.iter().flatten().all(|price| { *price<1_000_000&&*price!=-1 }), "{:?} are too high for {:?}", prices, sent,);
    #[derive(Debug)] #[derive(Clone)] struct Local { one: u32, another_one: Option<Box<dyn Fn(u8) -> u8 + Send>> }
    let (a, b) = tokio::join!(notify(&ctx, &order.customer.address, "your order is on its way"), archive(&ctx, &order, &label));
    let total: u32 = order.items.iter().map(|item| item.price * item.amount).filter(|price| *price > 10).sum();
    println!("{} {} {}", total, kind, pair.0);
    for item in &order.items { if item.price == 0 { continue; } audit(&ctx, item).await?; }
    while let Some(more) = order.next() { audit(&ctx, ((more))).await?; };
    if order.fast { for item in &order.items { audit(&ctx, item).await?; } return Err(ShopError::Late) }
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
        body_hash(&block)
    };
    let (narrow, wide) = (formatted(40), formatted(160));
    assert_ne!(narrow, wide);
    assert_eq!(body(&narrow), body(&wide));
    assert_eq!(body(&narrow), body(FIXTURE));
}
