//! `#[step]`: a function that builds a step.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::{
    Error, FnArg, GenericParam, Generics, Ident, ItemFn, Lifetime, ParenthesizedGenericArguments,
    Result, Signature, Type, TypeFnPtr, TypeReference,
    ext::IdentExt as _,
    spanned::Spanned as _,
    visit_mut::{self, VisitMut},
};

use crate::{
    attributes,
    options::Options,
    signature::{checked_return, is_named, named},
};

const OPTIONS: [&str; 7] = [
    "name",
    "max_attempts",
    "backoff",
    "factor",
    "jitter",
    "timeout",
    "crate",
];

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(attribute, &OPTIONS)?;
    let function: ItemFn = syn::parse2(item)?;
    let library = options.library()?;
    let returns = checked_return(&function.sig, "step")?;
    let step = step_lifetime(&function.sig.generics);
    let arguments = arguments(&function.sig, &step)?;
    let policy = policy(&options, &library)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let own = &sig.ident;
    let name = options
        .text("name")?
        .map_or_else(|| own.unraw().to_string(), |name| name.value());
    let (generics, lifetimes, condition) = generics(sig, &step);
    let turbofish = turbofish(&sig.generics);
    let (body_generics, inputs, output) = (&sig.generics, &sig.inputs, &sig.output);
    let body_condition = &sig.generics.where_clause;
    let parameters = arguments.iter().filter_map(Argument::parameter);
    let owned: Vec<_> = arguments.iter().filter_map(Argument::owned).collect();
    // The arguments may have the same names.
    let [ctx, info, held, given] =
        ["ctx", "info", "owned", "given"].map(|name| Ident::new(name, Span::mixed_site()));
    let passed = arguments.iter().map(|argument| argument.passed(&info));
    let hold = (!owned.is_empty()).then(|| {
        quote! {
            let mut #held = ::core::option::Option::Some((#(#owned,)*));
        }
    });
    let take = (!owned.is_empty()).then(|| {
        quote! {
            // The last attempt takes the arguments; an earlier one leaves them for the next.
            let #given = if #info.is_last_attempt() { #held.take() } else { #held.clone() };
            let (#(#owned,)*) = #given.expect("no attempt follows the last one");
        }
    });
    let (outer, inner) = (attributes::of_function(attrs), attributes::of_body(attrs));
    Ok(quote! {
        #(#outer)*
        #[must_use = "a step does nothing unless it is awaited"]
        #[allow(clippy::needless_lifetimes, clippy::extra_unused_lifetimes)]
        #[track_caller]
        #vis fn #own<#(#lifetimes,)* #(#generics),*>(
            #ctx: &#library::Ctx,
            #(#parameters),*
        ) -> #library::Step<#step, <#returns as #library::StepResultType>::Ok, <#returns as #library::StepResultType>::Err>
        #condition
        {
            #(#inner)*
            async fn __durable_body #body_generics (#inputs) #output #body_condition #block
            #hold
            #ctx.step(#name, move |#info: #library::StepCtx| {
                let _ = &#info;
                #take
                __durable_body #turbofish (#(#passed),*)
            })
            #policy
        }
    })
}

/// An argument of a step's body.
enum Argument {
    /// The step's own context, filled in.
    Context,
    /// A reference: given to each attempt.
    Borrowed(Ident, Type),
    /// A value: cloned for an attempt only if another may follow.
    Owned(Ident, Type),
}

impl Argument {
    fn parameter(&self) -> Option<TokenStream> {
        match self {
            Self::Context => None,
            Self::Borrowed(name, ty) | Self::Owned(name, ty) => Some(quote!(#name: #ty)),
        }
    }

    fn owned(&self) -> Option<&Ident> {
        match self {
            Self::Owned(name, _) => Some(name),
            Self::Context | Self::Borrowed(..) => None,
        }
    }

    fn passed(&self, info: &Ident) -> TokenStream {
        match self {
            Self::Context => quote!(#info.clone()),
            Self::Borrowed(name, _) | Self::Owned(name, _) => quote!(#name),
        }
    }
}

fn arguments(signature: &Signature, step: &Lifetime) -> Result<Vec<Argument>> {
    const RECEIVER: &str = "a step is a plain function: take what it needs of `self` as arguments, or call the method inside `ctx.step(\"…\", || self.method())`";
    let mut arguments = Vec::new();
    for parameter in &signature.inputs {
        let (name, typed) = named(parameter, RECEIVER)?;
        arguments.push(argument(name, &typed.ty, step)?);
    }
    if let Some(FnArg::Typed(ninth)) = signature.inputs.iter().nth(8) {
        let message = "a step takes at most eight arguments; put them into one struct";
        return Err(Error::new(ninth.span(), message));
    }
    Ok(arguments)
}

fn argument(name: &Ident, ty: &Type, step: &Lifetime) -> Result<Argument> {
    let target = match ty {
        Type::Reference(reference) => &*reference.elem,
        other => other,
    };
    if is_named(target, "Ctx") {
        let message = "a step's body cannot call durable operations, so it gets no `Ctx`: take `StepCtx` for the attempt and its cancellation, or make it a workflow";
        return Err(Error::new(ty.span(), message));
    }
    if is_named(ty, "StepCtx") {
        return Ok(Argument::Context);
    }
    if let Type::ImplTrait(_) = ty {
        let message = "name the type, as a type parameter of the function if need be: `fn charge<T: Into<Order>>(order: T)`";
        return Err(Error::new(ty.span(), message));
    }
    if let Type::Reference(TypeReference {
        mutability: Some(_),
        ..
    }) = ty
    {
        let message =
            "a step may run again, so it cannot change what it borrows: return the new value";
        return Err(Error::new(ty.span(), message));
    }
    let mut named = ty.clone();
    StepLifetime(step).visit_type_mut(&mut named);
    Ok(match ty {
        Type::Reference(_) => Argument::Borrowed(name.clone(), named),
        _ => Argument::Owned(name.clone(), named),
    })
}

/// Gives elided lifetimes the step's.
struct StepLifetime<'a>(&'a Lifetime);

impl VisitMut for StepLifetime<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let lifetime = || self.0.clone();
        reference.lifetime.get_or_insert_with(lifetime);
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.0.clone();
        }
    }

    // `fn(&T)` and `Fn(&T)` bind their lifetimes themselves.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
}

/// The lifetime of the step, with a name that the function leaves free.
fn step_lifetime(generics: &Generics) -> Lifetime {
    let is_taken = generics
        .lifetimes()
        .any(|parameter| parameter.lifetime.ident == "step");
    let name = if is_taken { "'durable_step" } else { "'step" };
    Lifetime::new(name, Span::call_site())
}

/// The types and constants that the body is called with: some may stand in it alone, where nothing tells them.
fn turbofish(generics: &Generics) -> Option<TokenStream> {
    let names: Vec<_> = generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(ty) => Some(&ty.ident),
            GenericParam::Const(constant) => Some(&constant.ident),
        })
        .collect();
    (!names.is_empty()).then(|| quote!(::<#(#names),*>))
}

/// The function's generics that live as long as the step, its lifetimes with the step's first, and its where clause.
fn generics(
    signature: &Signature,
    step: &Lifetime,
) -> (Vec<TokenStream>, Vec<TokenStream>, TokenStream) {
    let mut others = Vec::new();
    let mut lifetimes = vec![quote!(#step)];
    let mut bounds = Vec::new();
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => {
                let name = &lifetime.lifetime;
                lifetimes.push(quote!(#lifetime));
                bounds.push(quote!(#name: #step));
            }
            GenericParam::Type(ty) => {
                let name = &ty.ident;
                others.push(quote!(#ty));
                bounds.push(quote!(#name: #step));
            }
            GenericParam::Const(constant) => others.push(constant.to_token_stream()),
        }
    }
    let written = signature.generics.where_clause.iter();
    let written = written.flat_map(|clause| clause.predicates.iter());
    let bounds: Vec<_> = bounds
        .into_iter()
        .chain(written.map(|predicate| quote!(#predicate)))
        .collect();
    let condition = (!bounds.is_empty()).then(|| quote!(where #(#bounds),*));
    (others, lifetimes, quote!(#condition))
}

/// The calls that set the attempts and the timeout.
fn policy(options: &Options, library: &TokenStream) -> Result<TokenStream> {
    let wait = |wait: Duration| {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        quote!(#library::Duration::from_millis(#millis))
    };
    let timeout = options.duration("timeout")?.map(wait);
    let timeout = timeout.map(|timeout| quote!(.timeout(#timeout)));
    let Some(attempts) = options.number("max_attempts")? else {
        for option in ["backoff", "factor", "jitter"] {
            if options.text(option).is_ok_and(|given| given.is_some())
                || options.float(option).is_ok_and(|given| given.is_some())
            {
                let message = format!(
                    "`{option}` spaces attempts; say how many there are at most: `max_attempts = 5`"
                );
                return Err(Error::new(options.span(option), message));
            }
        }
        return Ok(quote!(#timeout));
    };
    if attempts == 0 {
        let message = "a step has one attempt at least: `max_attempts = 1` is one without retries";
        return Err(Error::new(options.span("max_attempts"), message));
    }
    let backoff = options.range("backoff")?.map(|(first, longest)| {
        let (first, longest) = (wait(first), wait(longest));
        quote!(.initial(#first).cap(#longest))
    });
    let factor = options
        .float("factor")?
        .map(|factor| quote!(.factor(#factor)));
    let jitter = options
        .float("jitter")?
        .map(|jitter| quote!(.jitter(#jitter)));
    Ok(quote! {
        .retry(#library::RetryPolicy::attempts(#attempts) #backoff #factor #jitter)
        #timeout
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(attribute: TokenStream, item: TokenStream) -> String {
        expand(attribute, item).unwrap().to_string()
    }

    fn error(attribute: TokenStream, item: TokenStream) -> String {
        expand(attribute, item)
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn references_live_as_long_as_the_step_and_values_are_held() {
        let item = quote! {
            pub async fn charge(step: StepCtx, order: &Order, names: Vec<&'_ str>, cents: u32) -> R { x }
        };
        let text = expanded(quote!(), item);
        assert!(
            text.contains("order : & 'step Order , names : Vec < & 'step str > , cents : u32"),
            "{text}"
        );
        assert!(text.contains("Some ((names , cents ,))"), "{text}");
        assert!(
            text.contains("__durable_body (info . clone () , order , names , cents)"),
            "{text}"
        );
        let none = expanded(
            quote!(),
            quote!(
                async fn a(order: &Order) -> R {
                    x
                }
            ),
        );
        assert!(!none.contains("owned"), "{none}");
    }

    #[test]
    fn generics_are_kept_and_outlive_the_step() {
        let item = quote!(
            async fn a<'x, T: Clone, const N: usize>(t: T, x: &'x [u8; N]) -> R
            where
                T: Send,
            {
                y
            }
        );
        let text = expanded(quote!(), item);
        assert!(
            text.contains("fn a < 'step , 'x , T : Clone , const N : usize >"),
            "{text}"
        );
        assert!(
            text.contains("where 'x : 'step , T : 'step , T : Send"),
            "{text}"
        );
        assert!(
            text.contains("__durable_body :: < T , N > (t , x)"),
            "{text}"
        );
    }

    #[test]
    fn lifetimes_that_a_type_binds_itself_stay() {
        let item = quote! {
            async fn r#move<'step, T>(
                n: fn(&str) -> u32,
                f: &(dyn Fn(&T) -> &u8 + Sync),
                d: Arc<dyn Named<'_>>,
                s: &'step str,
            ) -> R { x }
        };
        let text = expanded(quote!(), item);
        for part in [
            "fn r#move < 'durable_step , 'step , T >",
            "n : fn (& str) -> u32",
            "f : & 'durable_step (dyn Fn (& T) -> & u8 + Sync)",
            "d : Arc < dyn Named < 'durable_step > >",
            "Step < 'durable_step ,",
            "__durable_body :: < T > (n , f , d , s)",
            r#"ctx . step ("move""#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn options_become_calls() {
        let attribute = quote!(
            name = "pay",
            max_attempts = 6,
            backoff = "200ms..30s",
            factor = 3,
            jitter = 0.5,
            timeout = "10s"
        );
        let text = expanded(
            attribute,
            quote!(
                async fn a() -> R {
                    x
                }
            ),
        );
        for part in [
            r#"ctx . step ("pay""#,
            "attempts (6u32) . initial (:: durable :: __private :: Duration :: from_millis (200u64))",
            ". cap (:: durable :: __private :: Duration :: from_millis (30000u64)) . factor (3f64) . jitter (0.5f64)",
            ". timeout (:: durable :: __private :: Duration :: from_millis (10000u64))",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_no_step_is_told_what_to_write_instead() {
        let refused = |item| error(quote!(), item);
        assert!(
            refused(quote!(
                fn a() -> R {
                    x
                }
            ))
            .contains("write `async fn a`")
        );
        assert!(
            refused(quote!(
                async fn a() {
                    x
                }
            ))
            .contains("returns a `Result`")
        );
        assert!(
            refused(quote!(
                async fn a(&self) -> R {
                    x
                }
            ))
            .contains("plain function")
        );
        assert!(
            refused(quote!(
                async fn a(ctx: &Ctx) -> R {
                    x
                }
            ))
            .contains("take `StepCtx`")
        );
        assert!(
            refused(quote!(
                async fn a(x: &mut X) -> R {
                    x
                }
            ))
            .contains("return the new value")
        );
        assert!(
            refused(quote!(
                async fn a(x: impl X) -> R {
                    x
                }
            ))
            .contains("name the type")
        );
        let nine = quote!(
            async fn a(a: A, b: A, c: A, d: A, e: A, f: A, g: A, h: A, i: A) -> R {
                x
            }
        );
        assert!(refused(nine).contains("one struct"));
        let spaced = error(
            quote!(backoff = "1s..2s"),
            quote!(
                async fn a() -> R {
                    x
                }
            ),
        );
        assert!(spaced.contains("`max_attempts = 5`"), "{spaced}");
        let none = error(
            quote!(max_attempts = 0),
            quote!(
                async fn a() -> R {
                    x
                }
            ),
        );
        assert!(none.contains("one attempt at least"), "{none}");
        let spread = error(
            quote!(jitter = 0.5),
            quote!(
                async fn a() -> R {
                    x
                }
            ),
        );
        assert!(spread.contains("`max_attempts = 5`"), "{spread}");
    }
}
