//! What the macros ask of a function.

use syn::{
    Error, FnArg, Ident, Pat, PatType, Result, ReturnType, Signature, Type, TypePath,
    spanned::Spanned as _,
};

/// The function's return type. Errors: it is not async, or returns nothing.
pub(crate) fn checked_return<'a>(signature: &'a Signature, what: &str) -> Result<&'a Type> {
    if signature.asyncness.is_none() {
        let message = format!(
            "a {what} is an async function; write `async fn {}`",
            signature.ident
        );
        return Err(Error::new(signature.fn_token.span, message));
    }
    let example = format!(
        "a {what} returns a `Result`: `-> Result<Receipt, ShopError>`, or `-> Result<Receipt, durable::AnyError>`"
    );
    match &signature.output {
        ReturnType::Type(_, ty) if !matches!(**ty, Type::Tuple(_)) => Ok(ty),
        output => Err(Error::new(
            match output {
                ReturnType::Type(_, ty) => ty.span(),
                ReturnType::Default => signature.ident.span(),
            },
            example,
        )),
    }
}

/// The name and type of a parameter. Errors: it is a receiver or a pattern.
pub(crate) fn named<'a>(parameter: &'a FnArg, receiver: &str) -> Result<(&'a Ident, &'a PatType)> {
    match parameter {
        FnArg::Receiver(this) => Err(Error::new(this.span(), receiver)),
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) if name.subpat.is_none() => Ok((&name.ident, typed)),
            pattern => Err(Error::new(
                pattern.span(),
                "give the argument a name here, and take it apart in the body",
            )),
        },
    }
}

/// Refuses argument types that cannot be stored.
pub(crate) fn check_stored(ty: &Type) -> Result<()> {
    let message = match ty {
        Type::Reference(_) => {
            "a workflow's arguments are stored, so they are owned: take `String` for `&str`, `Vec<T>` for `&[T]`"
        }
        Type::ImplTrait(_) => {
            "a workflow's arguments are stored, so their types are named: write the type"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ty.span(), message))
}

/// Whether a type is a path that ends in this name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    let Type::Path(TypePath { path, .. }) = ty else {
        return false;
    };
    path.segments.last().is_some_and(|last| last.ident == name)
}
