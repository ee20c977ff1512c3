//! What stands in a macro's parentheses.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, Ident, Lit, LitStr, Path, Result, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned as _,
};

/// One option: `name`, `name = value` or `name(words)`.
struct Setting {
    name: Ident,
    value: Value,
}

enum Value {
    None,
    Expr(Expr),
    Words(Vec<Ident>),
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `crate` is a keyword.
        let name = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Expr(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let words;
            syn::parenthesized!(words in input);
            let words = Punctuated::<Ident, Token![,]>::parse_terminated(&words)?;
            Value::Words(words.into_iter().collect())
        } else {
            Value::None
        };
        Ok(Self { name, value })
    }
}

/// A limit that may be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Number(u32),
    None,
}

/// The options of a macro, each given at most once and known to it.
pub(crate) struct Options {
    settings: Vec<Setting>,
}

impl Options {
    /// Reads a macro's options; `known` are the names that it takes.
    pub(crate) fn parse(attribute: TokenStream, known: &[&str]) -> Result<Self> {
        let parser = Punctuated::<Setting, Token![,]>::parse_terminated;
        let settings = syn::parse::Parser::parse2(parser, attribute)?;
        let mut options = Self {
            settings: Vec::new(),
        };
        for setting in settings {
            let name = setting.name.to_string();
            if !known.contains(&name.as_str()) {
                let mut message =
                    format!("unknown option `{name}`; there are: {}", known.join(", "));
                if name == "retries" && known.contains(&"max_attempts") {
                    message += "; for `retries = 4` write `max_attempts = 5`, which counts the first attempt";
                }
                return Err(Error::new(setting.name.span(), message));
            }
            if options.find(&name).is_some() {
                return Err(Error::new(
                    setting.name.span(),
                    format!("`{name}` is given twice"),
                ));
            }
            options.settings.push(setting);
        }
        Ok(options)
    }

    fn find(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    fn expr(&self, name: &str) -> Result<Option<&Expr>> {
        match self.find(name) {
            None => Ok(None),
            Some(Setting {
                value: Value::Expr(value),
                ..
            }) => Ok(Some(value)),
            Some(setting) => Err(Error::new(
                setting.name.span(),
                format!("`{name}` takes a value: `{name} = …`"),
            )),
        }
    }

    /// A text that is not blank.
    pub(crate) fn text(&self, name: &str) -> Result<Option<LitStr>> {
        let Some(value) = self.expr(name)? else {
            return Ok(None);
        };
        match literal(value) {
            Some(Lit::Str(text)) if !text.value().trim().is_empty() => Ok(Some(text.clone())),
            Some(Lit::Str(text)) => Err(Error::new(
                text.span(),
                format!("`{name}` must not be blank"),
            )),
            _ => Err(Error::new(
                value.span(),
                format!("`{name}` takes a text: `{name} = \"…\"`"),
            )),
        }
    }

    /// A whole number, or the word `none`.
    pub(crate) fn number_or_none(&self, name: &str) -> Result<Option<Limit>> {
        if let Some(Expr::Path(path)) = self.expr(name)?
            && path.path.is_ident("none")
        {
            return Ok(Some(Limit::None));
        }
        Ok(self.number(name)?.map(Limit::Number))
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>> {
        let Some(value) = self.expr(name)? else {
            return Ok(None);
        };
        match literal(value) {
            Some(Lit::Int(number)) => number.base10_parse().map(Some),
            _ => Err(Error::new(
                value.span(),
                format!("`{name}` takes a whole number"),
            )),
        }
    }

    /// A number with or without a fraction.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.expr(name)? else {
            return Ok(None);
        };
        let number = match literal(value) {
            Some(Lit::Float(number)) => number.base10_parse()?,
            Some(Lit::Int(number)) => number.base10_parse()?,
            _ => return Err(Error::new(value.span(), format!("`{name}` takes a number"))),
        };
        Ok(Some(number))
    }

    /// A duration such as `"200ms"`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>> {
        let text = self.text(name)?;
        text.map(|text| duration(&text.value(), text.span()))
            .transpose()
    }

    /// Two durations such as `"200ms..30s"`.
    pub(crate) fn range(&self, name: &str) -> Result<Option<(Duration, Duration)>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let value = text.value();
        let Some((from, to)) = value.split_once("..") else {
            let message =
                format!("`{name}` takes the first and the longest wait: `\"200ms..30s\"`");
            return Err(Error::new(text.span(), message));
        };
        let (from, to) = (duration(from, text.span())?, duration(to, text.span())?);
        if from > to {
            return Err(Error::new(
                text.span(),
                "the longest wait is shorter than the first",
            ));
        }
        Ok(Some((from, to)))
    }

    /// The words in `name(…)`.
    pub(crate) fn words(&self, name: &str) -> Result<Vec<Ident>> {
        match self.find(name) {
            None => Ok(Vec::new()),
            Some(Setting {
                value: Value::Words(words),
                ..
            }) => Ok(words.clone()),
            Some(setting) => Err(Error::new(
                setting.name.span(),
                format!("`{name}` takes words: `{name}(…)`"),
            )),
        }
    }

    /// Whether a word stands there that takes no value.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.find(name) {
            None => Ok(false),
            Some(Setting {
                value: Value::None, ..
            }) => Ok(true),
            Some(setting) => Err(Error::new(
                setting.name.span(),
                format!("`{name}` takes no value: it is there or not"),
            )),
        }
    }

    /// The path of the library's `__private`.
    pub(crate) fn library(&self) -> Result<TokenStream> {
        let path = match self.text("crate")? {
            Some(text) => text.parse::<Path>()?,
            None => syn::parse_quote!(::durable),
        };
        Ok(quote!(#path::__private))
    }

    /// Where an option stands.
    pub(crate) fn span(&self, name: &str) -> Span {
        self.find(name)
            .map_or_else(Span::call_site, |setting| setting.name.span())
    }
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        _ => None,
    }
}

fn duration(text: &str, span: Span) -> Result<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let per_unit = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let number = number.parse::<u64>().ok();
    let millis = number.and_then(|number| number.checked_mul(per_unit));
    match millis {
        Some(millis) if per_unit > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(Error::new(
            span,
            format!(
                "{text:?} is no duration; write a whole number and ms, s, m or h: \"200ms\", \"30s\""
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(attribute: TokenStream) -> Result<Options> {
        Options::parse(
            attribute,
            &[
                "name",
                "max_attempts",
                "backoff",
                "timeout",
                "allow",
                "max",
                "crate",
            ],
        )
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().expect("an error").to_string()
    }

    #[test]
    fn each_kind_of_option_is_read() {
        let given = options(quote!(
            name = "x",
            max_attempts = 3,
            backoff = "200ms..2m",
            timeout = "1h",
            allow(clock, io),
            max = none,
            crate = "::other"
        ))
        .unwrap();
        assert_eq!(given.text("name").unwrap().unwrap().value(), "x");
        assert_eq!(given.number("max_attempts").unwrap(), Some(3));
        let range = (Duration::from_millis(200), Duration::from_secs(120));
        assert_eq!(given.range("backoff").unwrap(), Some(range));
        assert_eq!(
            given.duration("timeout").unwrap(),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(given.words("allow").unwrap().len(), 2);
        assert_eq!(given.number_or_none("max").unwrap(), Some(Limit::None));
        assert_eq!(
            given.library().unwrap().to_string(),
            ":: other :: __private"
        );
        assert_eq!(
            options(quote!()).unwrap().library().unwrap().to_string(),
            ":: durable :: __private"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        assert!(
            message(options(quote!(retry = 3)))
                .contains("unknown option `retry`; there are: name, max_attempts")
        );
        assert!(message(options(quote!(retries = 4))).contains("write `max_attempts = 5`"));
        assert!(message(options(quote!(name = "a", name = "b"))).contains("given twice"));
        let wrong = |attribute, ask: fn(&Options) -> String| ask(&options(attribute).unwrap());
        assert!(
            wrong(quote!(name = " "), |o| message(o.text("name"))).contains("must not be blank")
        );
        assert!(wrong(quote!(name), |o| message(o.text("name"))).contains("`name = …`"));
        assert!(
            wrong(quote!(max_attempts = "3"), |o| message(
                o.number("max_attempts")
            ))
            .contains("whole number")
        );
        assert!(
            wrong(quote!(timeout = "3 weeks"), |o| message(
                o.duration("timeout")
            ))
            .contains("ms, s, m or h")
        );
        assert!(
            wrong(quote!(timeout = "99999999999999999h"), |o| message(
                o.duration("timeout")
            ))
            .contains("no duration")
        );
        assert!(
            wrong(quote!(backoff = "1s"), |o| message(o.range("backoff"))).contains("200ms..30s")
        );
        assert!(
            wrong(quote!(backoff = "2s..1s"), |o| message(o.range("backoff")))
                .contains("shorter than the first")
        );
    }
}
