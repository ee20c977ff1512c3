//! A body without what rustfmt may change: two layouts of one program have the same normal form, two programs have not.
//!
//! It is only digested, never compiled. Which rules there are is what rustfmt does by default; the tests run it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::{
    Arm, Attribute, Block, Expr, ExprBlock, ExprClosure, ExprMacro, Item, ItemUse, Macro,
    MacroDelimiter, Meta, PatOr, ReturnType, Stmt, StmtMacro, Token, UseTree,
    visit_mut::{self, VisitMut},
};

mod arguments;

pub(super) fn normal(block: &Block) -> Block {
    let mut block = block.clone();
    Normal.visit_block_mut(&mut block);
    block
}

struct Normal;

/// Drops the comma after the last item of a list; that of `(a,)`, which makes it a tuple, is written all the same.
macro_rules! without_last_comma {
    ($($visit:ident: $node:ident . $list:ident;)*) => {$(
        fn $visit(&mut self, node: &mut syn::$node) {
            node.$list.pop_punct();
            visit_mut::$visit(self, node);
        }
    )*};
}

impl VisitMut for Normal {
    without_last_comma! {
        visit_angle_bracketed_generic_arguments_mut: AngleBracketedGenericArguments.args;
        visit_bound_lifetimes_mut: BoundLifetimes.lifetimes;
        visit_expr_array_mut: ExprArray.elems;
        visit_expr_call_mut: ExprCall.args;
        visit_expr_method_call_mut: ExprMethodCall.args;
        visit_expr_struct_mut: ExprStruct.fields;
        visit_expr_tuple_mut: ExprTuple.elems;
        visit_fields_named_mut: FieldsNamed.named;
        visit_fields_unnamed_mut: FieldsUnnamed.unnamed;
        visit_generics_mut: Generics.params;
        visit_item_enum_mut: ItemEnum.variants;
        visit_parenthesized_generic_arguments_mut: ParenthesizedGenericArguments.inputs;
        visit_pat_slice_mut: PatSlice.elems;
        visit_pat_struct_mut: PatStruct.fields;
        visit_pat_tuple_mut: PatTuple.elems;
        visit_pat_tuple_struct_mut: PatTupleStruct.elems;
        visit_signature_mut: Signature.inputs;
        visit_type_fn_ptr_mut: TypeFnPtr.inputs;
        visit_type_tuple_mut: TypeTuple.elems;
        visit_where_clause_mut: WhereClause.predicates;
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        visit_mut::visit_arm_mut(self, arm);
        unwrap(&mut arm.body);
        arm.comma = Some(<Token![,]>::default());
    }

    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        for attribute in &mut *attributes {
            if let Meta::List(list) = &mut attribute.meta {
                list.tokens = without_last_commas(list.tokens.clone());
            }
        }
        attributes.dedup_by(|next, derive| merge_derives(derive, next));
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        visit_mut::visit_block_mut(self, block);
        block.stmts.retain(|statement| !is_empty(statement));
        if let Some(Stmt::Expr(Expr::Return(_) | Expr::Break(_) | Expr::Continue(_), semicolon)) =
            block.stmts.last_mut()
        {
            *semicolon = None;
        }
        for statement in &mut block.stmts {
            if let Stmt::Expr(Expr::While(_) | Expr::ForLoop(_) | Expr::Loop(_), semicolon) =
                statement
            {
                *semicolon = None;
            }
        }
        sort_uses(&mut block.stmts);
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        visit_mut::visit_expr_mut(self, expression);
        if let Expr::Paren(outer) = expression
            && outer.attrs.is_empty()
            && matches!(&*outer.expr, Expr::Paren(_))
        {
            *expression = (*outer.expr).clone();
        }
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut ExprClosure) {
        closure.inputs.pop_punct();
        visit_mut::visit_expr_closure_mut(self, closure);
        if matches!(closure.output, ReturnType::Default) {
            unwrap(&mut closure.body);
        }
    }

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        visit_mut::visit_macro_mut(self, call);
        if call.path.is_ident("vec") {
            call.delimiter = MacroDelimiter::Bracket(syn::token::Bracket::default());
        }
        // What stands in braces, or is no list of arguments, is not formatted: its tokens count as they are.
        if !matches!(call.delimiter, MacroDelimiter::Brace(_))
            && let Some(tokens) = arguments::normal(call.tokens.clone(), self)
        {
            call.tokens = tokens;
        }
    }

    fn visit_pat_or_mut(&mut self, pattern: &mut PatOr) {
        pattern.leading_vert = None;
        visit_mut::visit_pat_or_mut(self, pattern);
    }
}

/// Takes an expression out of braces that hold nothing else. A lone jump has lost its semicolon by then.
fn unwrap(body: &mut Expr) {
    while let Expr::Block(ExprBlock {
        attrs,
        label: None,
        block,
    }) = body
        && let (true, [only]) = (attrs.is_empty(), block.stmts.as_slice())
    {
        *body = match only {
            Stmt::Expr(expression, None) => expression.clone(),
            Stmt::Macro(StmtMacro {
                attrs,
                mac,
                semi_token: None,
            }) => Expr::Macro(ExprMacro {
                attrs: attrs.clone(),
                mac: mac.clone(),
            }),
            _ => return,
        };
    }
}

/// Whether a statement is a lone semicolon.
fn is_empty(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(Expr::Verbatim(tokens), _) if tokens.is_empty())
}

/// `#[derive(A, B)]` for `#[derive(A)] #[derive(B)]`; whether both were derives.
fn merge_derives(first: &mut Attribute, next: &Attribute) -> bool {
    let (Meta::List(first), Meta::List(next)) = (&mut first.meta, &next.meta) else {
        return false;
    };
    let are_derives = first.path.is_ident("derive") && next.path.is_ident("derive");
    if are_derives {
        let (these, those) = (&first.tokens, &next.tokens);
        first.tokens = quote!(#these, #those);
    }
    are_derives
}

/// An attribute's arguments without the comma after the last of a list.
fn without_last_commas(tokens: TokenStream) -> TokenStream {
    let mut tokens: Vec<_> = tokens.into_iter().collect();
    if tokens.last().is_some_and(|last| super::is_punct(last, ',')) {
        tokens.pop();
    }
    let nested = |token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
            Group::new(group.delimiter(), without_last_commas(group.stream())).into()
        }
        other => other,
    };
    tokens.into_iter().map(nested).collect()
}

/// Makes each run of `use` items one item for each name, in order.
fn sort_uses(statements: &mut Vec<Stmt>) {
    let mut sorted = Vec::with_capacity(statements.len());
    let mut run = Vec::new();
    for statement in statements.drain(..) {
        if let Stmt::Item(Item::Use(item)) = statement {
            run.extend(flat(&item));
        } else {
            close_run(&mut run, &mut sorted);
            sorted.push(statement);
        }
    }
    close_run(&mut run, &mut sorted);
    *statements = sorted;
}

fn close_run(run: &mut Vec<ItemUse>, sorted: &mut Vec<Stmt>) {
    run.sort_by_cached_key(super::text);
    sorted.extend(run.drain(..).map(|item| Stmt::Item(Item::Use(item))));
}

fn flat(item: &ItemUse) -> Vec<ItemUse> {
    let leaf = |tree| ItemUse {
        tree,
        ..item.clone()
    };
    leaves(&item.tree).into_iter().map(leaf).collect()
}

fn leaves(tree: &UseTree) -> Vec<UseTree> {
    match tree {
        UseTree::Path(path) => {
            let prefixed = |tree| {
                let mut path = path.clone();
                *path.tree = tree;
                UseTree::Path(path)
            };
            leaves(&path.tree).into_iter().map(prefixed).collect()
        }
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        leaf => vec![leaf.clone()],
    }
}
