//! What stands behind an error whose type is not known any more.
//!
//! A box can be asked for the type that it holds, but the reports of `anyhow` and `eyre` become boxes of a type of their own, and a variant
//! that is `#[error(transparent)]` shows neither itself nor what it holds as a source. All of them show what they hold where `{:#?}` is
//! asked for, and the library's errors show themselves there as JSON, from which they are read.

use std::error::Error as StdError;

use serde::de::DeserializeOwned;

use crate::{Error, WorkflowError, any_error::short_type_name_of};

/// What `error` is read to be by what it shows of itself: a value with the same message.
pub(crate) fn shown<T>(error: &(dyn StdError + 'static)) -> Option<T>
where
    T: DeserializeOwned + ToString,
{
    let text = format!("{error:#?}");
    let begin = text.find(['{', '"'])?;
    let end = text.rfind(['}', '"'])?;
    let shown: T = serde_json::from_str(text.get(begin..=end)?).ok()?;
    (shown.to_string() == error.to_string()).then_some(shown)
}

/// The library's error that `error` is, or that is among its sources.
pub(crate) fn library_error(error: &(dyn StdError + 'static)) -> Option<Error> {
    std::iter::once(error)
        .chain(sources(error))
        .find_map(|link| {
            let direct = link.downcast_ref::<Error>().cloned();
            direct.or_else(|| shown(link).map(Error::not_recorded))
        })
}

/// The sources, outermost first.
pub(crate) fn sources<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |source: &&'e (dyn StdError + 'static)| {
        (*source).source()
    })
}

/// A name for `error`, which was made of a value of this type.
pub(crate) fn name(type_name: &str, error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<Error>() {
        return variant(error);
    }
    match type_name {
        "&str" | "alloc::string::String" | "alloc::borrow::Cow<str>" => no_name(),
        "anyhow::Error" => shown_name(error),
        erased if erased.starts_with("alloc::boxed::Box<dyn ") => shown_name(error),
        report if report.ends_with("::Report") => shown_name(error),
        other => short_type_name_of(other),
    }
}

/// That of the type or variant, which a derived `Debug` begins with.
fn shown_name(error: &(dyn StdError + 'static)) -> String {
    let text = format!("{error:#?}");
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start();
    let is_derived = rest.is_empty() || rest.starts_with(['{', '(']);
    if is_derived && word.starts_with(char::is_uppercase) {
        return word.to_owned();
    }
    shown(error).map_or_else(no_name, |error| variant(&error))
}

fn variant(error: &Error) -> String {
    if let Error::Recorded { name, .. } = error {
        return name.clone();
    }
    Error::error_name(serde_json::to_value(error).ok().as_ref())
}

/// Of what is only a text.
fn no_name() -> String {
    "AnyError".to_owned()
}
