//! `#[workflows]`: the workflows of a registered instance.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Meta, Receiver, Result, Type,
    ext::IdentExt as _, spanned::Spanned as _,
};

use crate::{attributes, options::Options, workflow::Workflow};

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(attribute, &["class", "crate"])?;
    let library = options.library()?;
    let mut block: ItemImpl = syn::parse2(item)?;
    let ident = class_ident(&block)?;
    let class = options
        .text("class")?
        .map_or_else(|| ident.to_string(), |class| class.value());
    let mut definitions = Vec::new();
    let mut registrations = Vec::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(function) if workflow_attribute(&function.attrs).is_some() => {
                let method = expand_method(function, (&ident.to_string(), &class), &library)?;
                definitions.push(method.definition);
                registrations.push(method.registration);
                items.push(ImplItem::Verbatim(method.tokens));
            }
            other => items.push(other),
        }
    }
    if registrations.is_empty() {
        let message = "no method here is a workflow; put `#[workflow]` on those that are";
        return Err(Error::new(block.self_ty.span(), message));
    }
    block.items = items;
    let ty = &block.self_ty;
    Ok(quote! {
        #block
        #(#definitions)*
        impl #library::MethodSet for #ty {
            const CLASS: &'static str = #class;

            fn register(registrar: &mut #library::Registrar<Self>) {
                #(#registrations)*
            }
        }
    })
}

/// The type's own name. Errors: the block is a trait's, or generic.
fn class_ident(block: &ItemImpl) -> Result<Ident> {
    if let Some((path, _)) = &block.trait_ {
        let message = "workflows stand in an impl block of the type itself, not of a trait";
        return Err(Error::new(path.span(), message));
    }
    if !block.generics.params.is_empty() {
        let message = "workflows are registered by name, so their type cannot be generic";
        return Err(Error::new(block.generics.span(), message));
    }
    match &*block.self_ty {
        Type::Path(path)
            if path
                .path
                .segments
                .last()
                .is_some_and(|last| last.arguments.is_empty()) =>
        {
            let last = path.path.segments.last();
            last.map(|last| last.ident.unraw())
                .ok_or_else(|| Error::new(path.span(), "a type without a name"))
        }
        other => Err(Error::new(
            other.span(),
            "workflows are registered by name, so their type must have a plain one",
        )),
    }
}

/// Where `#[workflow]` or `#[durable::workflow]` stands.
fn workflow_attribute(attributes: &[Attribute]) -> Option<usize> {
    attributes.iter().position(|attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|last| last.ident == "workflow")
    })
}

struct Method {
    tokens: TokenStream,
    definition: TokenStream,
    registration: TokenStream,
}

fn expand_method(
    mut function: ImplItemFn,
    class: (&str, &str),
    library: &TokenStream,
) -> Result<Method> {
    let position = workflow_attribute(&function.attrs).unwrap_or_default();
    let attribute = match function.attrs.remove(position).meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    let by_reference = check_receiver(&function)?;
    let (sig, block) = (&function.sig, &function.block);
    let workflow = Workflow::read(attribute, sig, block, Some(class), Some(library))?;
    let (name, inputs, output) = (&sig.ident, &sig.inputs, &sig.output);
    let (attrs, vis) = (&function.attrs, &function.vis);
    let parameters = workflow.plain_parameters(sig)?;
    let (library, marker, names) = (&workflow.library, workflow.type_path(), &workflow.names);
    let body = format_ident!("__{}_body", name.unraw());
    // An argument may have the same name.
    let this = Ident::new("this", Span::mixed_site());
    let passed = if by_reference {
        quote!(&#this)
    } else {
        quote!(#this)
    };
    let (outer, inner) = (attributes::of_function(attrs), attributes::of_body(attrs));
    let conditions = attributes::conditions(attrs);
    let tokens = quote! {
        #(#outer)*
        #[allow(private_interfaces)]
        #vis fn #name(
            self: #library::Arc<Self>,
            #(#parameters),*
        ) -> #library::Invocation<#marker> {
            let #this = self;
            #library::Invocation::new(async move { Self::#body(#passed, #(#names),*).await })
        }

        #(#conditions)*
        #(#inner)*
        #[doc(hidden)]
        async fn #body(#inputs) #output #block
    };
    Ok(Method {
        definition: workflow.definition(vis, attrs),
        registration: quote!(#(#conditions)* registrar.method(Self::#name);),
        tokens,
    })
}

/// Whether the method takes itself by reference. Errors: it takes itself in a way that does not fit, or not at all.
fn check_receiver(function: &ImplItemFn) -> Result<bool> {
    let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() else {
        let message = "a workflow in an impl block takes `&self` or `self: Arc<Self>` first; one without is a plain function";
        return Err(Error::new(function.sig.ident.span(), message));
    };
    match quote!(#receiver).to_string().replace(' ', "").as_str() {
        "&self" => Ok(true),
        written if written.starts_with("self:") && written.ends_with("Arc<Self>") => Ok(false),
        written => Err(Error::new(
            receiver.span(),
            receiver_advice(receiver, written),
        )),
    }
}

fn receiver_advice(_: &Receiver, written: &str) -> String {
    let reason = if written.contains("mut") {
        "an instance is shared by all its workflows, so it cannot be changed through `&mut self`; change what it holds inside steps, behind a lock"
    } else {
        "an instance is shared by all its workflows"
    };
    format!("{reason}; take `&self` or `self: Arc<Self>`")
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
    fn methods_become_workflows_and_other_items_stay() {
        let item = quote! {
            impl Shop {
                const RATE: u8 = 1;
                #[workflow(name = "pay back")]
                async fn refund(&self, ctx: Ctx, cents: u32) -> R { x }
                #[durable::workflow]
                pub async fn audit(self: Arc<Self>, ctx: Ctx) -> R { x }
                fn helper(&self) {}
            }
        };
        let text = expand(quote!(class = "Store"), item).unwrap().to_string();
        for part in [
            "const RATE",
            "fn helper",
            "fn refund (self : :: durable :: __private :: Arc < Self > , ctx : Ctx , cents : u32)",
            "Self :: __refund_body (& this , ctx , cents)",
            "Self :: __audit_body (this , ctx)",
            r#"NAME : & 'static str = "pay back""#,
            r#"Some ("Store")"#,
            "registrar . method (Self :: refund) ; registrar . method (Self :: audit) ;",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_method_that_is_configured_away_takes_everything_with_it() {
        let item = quote! {
            impl r#Shop {
                #[cfg(any())]
                #[workflow]
                async fn r#move(&self, ctx: Ctx) -> R { x }
            }
        };
        let text = expand(quote!(), item).unwrap().to_string();
        for part in [
            "# [cfg (any ())] # [allow (private_interfaces)] fn r#move",
            "# [cfg (any ())] # [doc (hidden)] async fn __move_body",
            "# [cfg (any ())] # [doc (hidden)] # [allow (non_camel_case_types , missing_docs , unreachable_pub)] struct __Workflow_Shop_move",
            "# [cfg (any ())] impl :: durable :: __private :: WorkflowDef",
            "# [cfg (any ())] registrar . method (Self :: r#move) ;",
            r#"CLASS : & 'static str = "Shop""#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_what_to_write_instead() {
        assert!(error(quote!(impl Shop { fn a(&self) {} })).contains("put `#[workflow]`"));
        assert!(error(quote!(impl Trait for Shop {})).contains("not of a trait"));
        assert!(
            error(quote!(
                impl<T> Shop<T> {}
            ))
            .contains("cannot be generic")
        );
        let method = |receiver: TokenStream| {
            error(quote!(impl Shop { #[workflow] async fn a(#receiver ctx: Ctx) -> R { x } }))
        };
        assert!(method(quote!(&mut self,)).contains("behind a lock"));
        assert!(method(quote!(self,)).contains("`self: Arc<Self>`"));
        assert!(method(quote!()).contains("plain function"));
    }
}
