//! `#[test]`: an async function that runs in a world of its own.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, FnArg, ItemFn, Path, Result, spanned::Spanned as _};

use crate::options::Options;

const OPTIONS: [&str; 3] = ["seeds", "real_time", "crate"];

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(attribute, &OPTIONS)?;
    let function: ItemFn = syn::parse2(item)?;
    check(&function)?;
    let testkit = testkit(&options)?;
    let (seeds, real_time) = (seeds(&options)?, options.flag("real_time")?);
    if real_time && options.number("seeds")?.is_some() {
        let message = "in real time nothing decides the order, so there are no seeds: leave one of the two out";
        return Err(Error::new(options.span("seeds"), message));
    }
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let name = &sig.ident;
    // `test` may be `durable::test` where this stands.
    Ok(quote! {
        #(#attrs)*
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #sig #block
            #testkit::testing::run(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                #testkit::testing::Options { seeds: #seeds, real_time: #real_time },
                #name,
            );
        }
    })
}

fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    let name = &signature.ident;
    let example = format!("async fn {name}(t: TestApp)");
    if signature.asyncness.is_none() {
        let message = format!("a test is an async function; write `{example}`");
        return Err(Error::new(signature.fn_token.span, message));
    }
    if let Some(generic) = signature.generics.params.first() {
        let message = "a test is called by nobody who could choose its generic parameters";
        return Err(Error::new(generic.span(), message));
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(_)), None) => Ok(()),
        (Some(FnArg::Receiver(this)), _) => {
            let message = format!("a test is a plain function: `{example}`");
            Err(Error::new(this.span(), message))
        }
        (None, _) => {
            let message = format!("a test takes the world that it runs in: `{example}`");
            Err(Error::new(name.span(), message))
        }
        (_, Some(second)) => {
            let message =
                format!("a test takes the world that it runs in, and nothing else: `{example}`");
            Err(Error::new(second.span(), message))
        }
    }
}

fn seeds(options: &Options) -> Result<u32> {
    match options.number("seeds")? {
        Some(0) => Err(Error::new(
            options.span("seeds"),
            "with no seed the test does not run; `seeds = 1` is its plain run, more try other orders",
        )),
        Some(seeds) => Ok(seeds),
        None => Ok(1),
    }
}

/// The path of durable-testkit, which tests depend on themselves.
fn testkit(options: &Options) -> Result<TokenStream> {
    let path = match options.text("crate")? {
        Some(text) => text.parse::<Path>()?,
        None => syn::parse_quote_spanned!(Span::call_site()=> ::durable_testkit),
    };
    Ok(quote!(#path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_testkit_may_have_another_name_and_is_the_only_one_named() {
        let function = quote!(
            async fn pays(t: TestApp) -> Result<(), E> {
                Ok(())
            }
        );
        let expanded = expand(quote!(seeds = 7, crate = "::kit"), function).unwrap();
        let text = expanded.to_string();
        assert!(text.contains(":: kit :: testing :: run"), "{text}");
        assert!(text.contains("seeds : 7u32 , real_time : false"), "{text}");
        assert!(!text.contains("durable"), "{text}");
    }
}
