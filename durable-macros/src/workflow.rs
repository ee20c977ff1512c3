//! `#[workflow]`: a function that can be registered and started.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, Block, Error, FnArg, Ident, ItemFn, Result, Signature, Type, Visibility,
    ext::IdentExt as _, spanned::Spanned as _,
};

use crate::{
    attributes, hash, lint,
    options::{Limit, Options},
    signature::{check_stored, checked_return, is_named, named},
};

const OPTIONS: [&str; 5] = ["name", "version", "max_recovery_attempts", "allow", "crate"];

/// The most arguments after the context.
const MAX_ARGUMENTS: usize = 4;

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    if let Some(FnArg::Receiver(this)) = function.sig.inputs.first() {
        let message = "a workflow that is a method needs its instance: put `#[durable::workflows]` on the impl block and `#[workflow]` here";
        return Err(Error::new(this.span(), message));
    }
    let workflow = Workflow::read(attribute, &function.sig, &function.block, None, None)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let (name, inputs, output) = (&sig.ident, &sig.inputs, &sig.output);
    let (library, marker) = (&workflow.library, workflow.type_path());
    let definition = workflow.definition(vis, attrs);
    let parameters = workflow.plain_parameters(sig)?;
    let names = &workflow.names;
    let (outer, inner) = (attributes::of_function(attrs), attributes::of_body(attrs));
    Ok(quote! {
        #(#outer)*
        #[allow(private_interfaces)]
        #vis fn #name(#(#parameters),*) -> #library::Invocation<#marker> {
            #(#inner)*
            async fn __durable_body(#inputs) #output #block
            #library::Invocation::new(__durable_body(#(#names),*))
        }
        #definition
    })
}

/// A workflow, as its macro has read it.
pub(crate) struct Workflow {
    pub(crate) library: TokenStream,
    /// The hidden type that stands for it.
    marker: Ident,
    /// The names of the context and the arguments.
    pub(crate) names: Vec<Ident>,
    name: String,
    class: Option<String>,
    arguments: Vec<(Ident, Type)>,
    returns: Type,
    hash: u128,
    version: Option<String>,
    max_recovery_attempts: Option<Limit>,
}

impl Workflow {
    /// Reads and checks a workflow function. `class` is the type's name of a method; `library` is given by its impl block.
    pub(crate) fn read(
        attribute: TokenStream,
        signature: &Signature,
        block: &Block,
        class: Option<(&str, &str)>,
        library: Option<&TokenStream>,
    ) -> Result<Self> {
        let options = Options::parse(attribute, &OPTIONS)?;
        let returns = checked_return(signature, "workflow")?.clone();
        if !signature.generics.params.is_empty() {
            let message = "a workflow is registered by its name, so it cannot be generic; write one for each type";
            return Err(Error::new(signature.generics.span(), message));
        }
        let (names, arguments) = parameters(signature, class.is_some())?;
        lint::check(quote!(#block), &options.words("allow")?)?;
        let own = signature.ident.unraw().to_string();
        let library = match library {
            Some(library) if options.text("crate")?.is_none() => library.clone(),
            _ => options.library()?,
        };
        Ok(Self {
            library,
            marker: match class {
                Some((ident, _)) => format_ident!("__Workflow_{ident}_{own}"),
                None => format_ident!("__Workflow_{own}"),
            },
            names,
            name: options.text("name")?.map_or(own, |name| name.value()),
            class: class.map(|(_, name)| name.to_owned()),
            arguments,
            returns,
            hash: hash::body_hash(block),
            version: options.text("version")?.map(|version| version.value()),
            max_recovery_attempts: options.number_or_none("max_recovery_attempts")?,
        })
    }

    /// The parameters of the generated function: as written, without `mut`.
    pub(crate) fn plain_parameters(&self, signature: &Signature) -> Result<Vec<TokenStream>> {
        let skip = signature.inputs.len() - self.names.len();
        let typed = signature.inputs.iter().skip(skip);
        typed
            .zip(&self.names)
            .map(|(parameter, name)| {
                let ty = &named(parameter, "")?.1.ty;
                Ok(quote!(#name: #ty))
            })
            .collect()
    }

    /// The hidden type, with the workflow's types.
    pub(crate) fn type_path(&self) -> TokenStream {
        let (marker, returns) = (&self.marker, &self.returns);
        let types = self.arguments.iter().map(|(_, ty)| ty);
        quote!(#marker<fn(#(#types),*) -> #returns>)
    }

    /// The hidden type and what it says of the workflow; they are there whenever the function with these attributes is.
    ///
    /// The type is as visible as the function and carries the workflow's types: so a public workflow may take a private type, as any
    /// public function may, which a public type's associated types must not be.
    pub(crate) fn definition(
        &self,
        visibility: &Visibility,
        attributes: &[Attribute],
    ) -> TokenStream {
        let Self {
            library,
            marker,
            name,
            returns,
            hash,
            ..
        } = self;
        let option = |text: &Option<String>| {
            let none = || quote!(::core::option::Option::None);
            let some = |text: &String| quote!(::core::option::Option::Some(#text));
            text.as_ref().map_or_else(none, some)
        };
        let (class, version) = (option(&self.class), option(&self.version));
        let parameters = self
            .arguments
            .iter()
            .map(|(name, _)| name.unraw().to_string());
        let types: Vec<_> = self.arguments.iter().map(|(_, ty)| ty).collect();
        let input = match types.as_slice() {
            [one] => quote!(#one),
            several => quote!((#(#several),*)),
        };
        let attempts = match self.max_recovery_attempts {
            None => quote!(::core::option::Option::Some(#library::DEFAULT_MAX_RECOVERY_ATTEMPTS)),
            Some(Limit::Number(number)) => quote!(::core::option::Option::Some(#number)),
            Some(Limit::None) => quote!(::core::option::Option::None),
        };
        let definition = self.type_path();
        let conditions = attributes::conditions(attributes);
        // What does not fit is told where the user wrote it.
        let results = quote_spanned! {returns.span()=>
            type Output = <#returns as #library::StepResultType>::Ok;
            type Error = <#returns as #library::StepResultType>::Err;
        };
        quote! {
            #(#conditions)*
            #[doc(hidden)]
            #[allow(non_camel_case_types, missing_docs, unreachable_pub)]
            #visibility struct #marker<T> {
                _types: ::core::marker::PhantomData<T>,
            }

            #(#conditions)*
            impl #library::WorkflowDef for #definition {
                const NAME: &'static str = #name;
                const CLASS: ::core::option::Option<&'static str> = #class;
                const PARAMS: &'static [&'static str] = &[#(#parameters),*];
                const BODY_HASH: u128 = #hash;
                const VERSION: ::core::option::Option<&'static str> = #version;
                const MAX_RECOVERY_ATTEMPTS: ::core::option::Option<u32> = #attempts;
                type Input = #input;
                #results
            }
        }
    }
}

type Parameters = (Vec<Ident>, Vec<(Ident, Type)>);

/// The names of the context and the arguments, and the arguments with their types.
fn parameters(signature: &Signature, is_method: bool) -> Result<Parameters> {
    let skip = usize::from(is_method);
    let mut typed = Vec::new();
    for parameter in signature.inputs.iter().skip(skip) {
        let (name, parameter) = named(parameter, "a workflow takes `self` first or not at all")?;
        typed.push((name.clone(), parameter));
    }
    let Some((context, arguments)) = typed.split_first() else {
        let message = "a workflow takes the context first: `ctx: Ctx`";
        return Err(Error::new(signature.ident.span(), message));
    };
    if !is_named(&context.1.ty, "Ctx") {
        let message = "a workflow takes the context first: `ctx: Ctx`, by value";
        return Err(Error::new(context.1.ty.span(), message));
    }
    if let Some((_, fifth)) = arguments.get(MAX_ARGUMENTS) {
        let message = "a workflow takes at most four arguments; put them into one struct";
        return Err(Error::new(fifth.span(), message));
    }
    for (_, argument) in arguments {
        check_stored(&argument.ty)?;
    }
    let names: Vec<_> = typed.iter().map(|(name, _)| name.clone()).collect();
    let names = outer_names(&names);
    let types = arguments.iter().map(|(_, argument)| (*argument.ty).clone());
    let arguments = names.iter().skip(1).cloned().zip(types).collect();
    Ok((names, arguments))
}

/// The parameters' names outside the body, which uses all of them even where the body does not: `ctx` for `_ctx`, unless that is
/// another parameter's name.
fn outer_names(names: &[Ident]) -> Vec<Ident> {
    let trimmed: Vec<_> = names
        .iter()
        .map(|name| name.unraw().to_string().trim_start_matches('_').to_owned())
        .collect();
    let outer = |(name, plain): (&Ident, &String)| {
        let is_written_so = name.unraw() == plain.as_str();
        let is_taken = trimmed.iter().filter(|other| *other == plain).count() > 1;
        // `_`, `_1` and `_type` are nothing without the underscore.
        let is_name = syn::parse_str::<Ident>(plain).is_ok();
        if is_written_so || is_taken || !is_name {
            name.clone()
        } else {
            Ident::new(plain, name.span())
        }
    };
    names.iter().zip(&trimmed).map(outer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(item: TokenStream) -> String {
        expand(TokenStream::new(), item)
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn a_workflow_stays_a_function_and_gets_a_definition() {
        let attribute = quote!(name = "pay", version = "v2", max_recovery_attempts = none);
        let item = quote! {
            /// Pays.
            pub(crate) async fn checkout(mut ctx: Ctx, order: Order, fast: bool) -> Result<u8, E> { Ok(1) }
        };
        let file: syn::File = syn::parse2(expand(attribute, item).unwrap()).unwrap();
        let [
            syn::Item::Fn(function),
            syn::Item::Struct(marker),
            syn::Item::Impl(definition),
        ] = file.items.as_slice()
        else {
            panic!("a function, a struct and an impl");
        };
        assert_eq!(function.sig.ident, "checkout");
        assert!(function.sig.asyncness.is_none());
        assert_eq!(marker.ident, "__Workflow_checkout");
        let text = quote!(#definition).to_string();
        for part in [
            r#"NAME : & 'static str = "pay""#,
            r#"["order" , "fast"]"#,
            "type Input = (Order , bool)",
            r#"Some ("v2")"#,
            "MAX_RECOVERY_ATTEMPTS : :: core :: option :: Option < u32 > = :: core :: option :: Option :: None",
            ":: durable :: __private :: WorkflowDef",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn names_are_stored_as_they_are_read() {
        let item = quote! {
            #[cfg(any())]
            async fn r#move(_ctx: Ctx, r#type: u8, _a: u8, a: u8, _type: u8) -> R { x }
        };
        let text = expand(TokenStream::new(), item).unwrap().to_string();
        for part in [
            "fn r#move (ctx : Ctx , r#type : u8 , _a : u8 , a : u8 , _type : u8)",
            "__durable_body (ctx , r#type , _a , a , _type)",
            r#"["type" , "_a" , "a" , "_type"]"#,
            r#"NAME : & 'static str = "move""#,
            "# [cfg (any ())] # [doc (hidden)]",
            "# [cfg (any ())] impl",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = expand(
            TokenStream::new(),
            quote!(
                async fn a(_ctx: Ctx, ctx: u8, __b: u8, _b: u8) -> R {
                    x
                }
            ),
        );
        let text = text.unwrap().to_string();
        assert!(text.contains("(_ctx , ctx , __b , _b)"), "{text}");
    }

    #[test]
    fn one_argument_is_stored_as_itself_and_none_as_nothing() {
        let one = expand(
            quote!(),
            quote!(
                async fn a(ctx: Ctx, order: Order) -> R {
                    x
                }
            ),
        )
        .unwrap();
        assert!(one.to_string().contains("type Input = Order ;"));
        let none = expand(
            quote!(),
            quote!(
                async fn a(ctx: Ctx) -> R {
                    x
                }
            ),
        )
        .unwrap();
        assert!(none.to_string().contains("type Input = () ;"));
    }

    #[test]
    fn what_is_no_workflow_is_told_what_to_write_instead() {
        assert!(
            error(quote!(
                fn a(ctx: Ctx) -> R {
                    x
                }
            ))
            .contains("write `async fn a`")
        );
        assert!(
            error(quote!(
                async fn a() -> R {
                    x
                }
            ))
            .contains("`ctx: Ctx`")
        );
        assert!(
            error(quote!(
                async fn a(order: Order) -> R {
                    x
                }
            ))
            .contains("`ctx: Ctx`")
        );
        assert!(
            error(quote!(
                async fn a(&self, ctx: Ctx) -> R {
                    x
                }
            ))
            .contains("#[durable::workflows]")
        );
        assert!(
            error(quote!(
                async fn a<T>(ctx: Ctx, t: T) -> R {
                    x
                }
            ))
            .contains("cannot be generic")
        );
        assert!(
            error(quote!(
                async fn a(ctx: Ctx) {
                    x
                }
            ))
            .contains("returns a `Result`")
        );
        assert!(
            error(quote!(
                async fn a(ctx: Ctx) -> () {
                    x
                }
            ))
            .contains("returns a `Result`")
        );
        assert!(
            error(quote!(
                async fn a(ctx: Ctx, s: &str) -> R {
                    x
                }
            ))
            .contains("take `String`")
        );
        assert!(
            error(quote!(
                async fn a(ctx: Ctx, s: impl Into<S>) -> R {
                    x
                }
            ))
            .contains("write the type")
        );
        assert!(
            error(quote!(
                async fn a(ctx: Ctx, (a, b): (u8, u8)) -> R {
                    x
                }
            ))
            .contains("take it apart in the body")
        );
        let five = quote!(
            async fn a(ctx: Ctx, a: A, b: A, c: A, d: A, e: A) -> R {
                x
            }
        );
        assert!(error(five).contains("one struct"));
    }
}
