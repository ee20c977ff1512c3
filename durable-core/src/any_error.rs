//! An error for workflows that want no error type of their own.

use std::{error::Error as StdError, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, behind};

/// Any error, by `?`: keeps its name, its message and the messages of its sources over a replay.
///
/// For workflows and steps that need no error type of their own, and for a `main`. It takes every error that is `Send` and `Sync`, boxed
/// ones, those of `anyhow` and `eyre`, and texts:
///
/// ```
/// use durable_core::AnyError;
///
/// fn size(text: &str) -> Result<u32, AnyError> {
///     let size = text.parse()?;
///     if size > 12 {
///         return Err(format!("size {size} is not in stock").into());
///     }
///     Ok(size)
/// }
/// assert_eq!(size("x").unwrap_err().name(), "ParseIntError");
/// assert_eq!(size("13").unwrap_err().to_string(), "size 13 is not in stock");
/// ```
///
/// Like other errors of this kind it is no [`std::error::Error`] itself. [`into_boxed`](Self::into_boxed) makes one of it, which `anyhow`
/// and `eyre` take, with its sources:
///
/// ```
/// use durable_core::AnyError;
///
/// fn report(done: Result<u32, AnyError>) -> anyhow::Result<u32> {
///     done.map_err(|error| anyhow::Error::from_boxed(error.into_boxed()))
/// }
///
/// fn eyre_report(done: Result<u32, AnyError>) -> eyre::Result<u32> {
///     done.map_err(|error| eyre::eyre!(error.into_boxed()))
/// }
/// assert_eq!(report(Err("declined".into())).unwrap_err().to_string(), "declined");
/// assert_eq!(eyre_report(Err("declined".into())).unwrap_err().to_string(), "declined");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyError {
    name: String,
    message: String,
    sources: Vec<String>,
    /// That of the library's error behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exhausted: Option<Box<Exhausted>>,
    /// The awaited workflow goes on. What is recorded is an outcome.
    #[serde(skip)]
    unfinished: bool,
}

/// A step whose attempts have all failed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Exhausted {
    step: String,
    attempts: u32,
}

impl AnyError {
    /// An error of its own, with nothing behind it.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self {
            name: "AnyError".to_owned(),
            message: message.to_string(),
            sources: Vec::new(),
            code: None,
            exhausted: None,
            unfinished: false,
        }
    }

    /// The type's name of the error that it was made from, without its path; of the library's error its variant. Of an error that was
    /// boxed already, the word that its `Debug` begins with, which is the type's or the variant's where that is derived.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The messages of the sources, outermost first.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The stable code of the library's error that it was made from, or that is among its sources: see [`Error::code`].
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether it is what the awaited workflow came to: see [`Error::is_outcome`].
    pub fn is_outcome(&self) -> bool {
        !self.unfinished
    }

    /// The step that has given up with this error, and how many attempts it had; none where it had one only.
    pub fn exhausted(&self) -> Option<(&str, u32)> {
        let exhausted = self.exhausted.as_ref()?;
        Some((&exhausted.step, exhausted.attempts))
    }

    /// This error as a boxed [`std::error::Error`] with its sources; made an `AnyError` again, it is the same.
    pub fn into_boxed(self) -> Box<dyn StdError + Send + Sync> {
        let link = |next, message: &String| {
            let message = message.clone();
            Some(Box::new(Link { message, next }))
        };
        let next = self.sources.iter().rev().fold(None, link);
        Box::new(Boxed { error: self, next })
    }

    fn of(type_name: &str, error: &(dyn StdError + 'static)) -> Self {
        if let Some(same) = Boxed::within(error) {
            return same;
        }
        let library = behind::library_error(error);
        Self {
            name: behind::name(type_name, error),
            sources: behind::sources(error).map(ToString::to_string).collect(),
            code: library.as_ref().map(|error| error.code().to_owned()),
            unfinished: library.is_some_and(|error| !error.is_outcome()),
            ..Self::msg(error)
        }
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for AnyError {
    fn from(error: E) -> Self {
        Self::of(std::any::type_name::<E>(), &*error.into())
    }
}

impl fmt::Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.exhausted.as_deref() {
            Some(Exhausted { step, attempts }) => {
                write!(f, " (step {step:?} failed in each of {attempts} attempts)")
            }
            None => Ok(()),
        }
    }
}

/// The message, those of its sources and the code, as a program prints it at its end; `{:#?}`: the fields, as JSON.
impl fmt::Debug for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate()
            && let Ok(fields) = serde_json::to_string_pretty(self)
        {
            return f.write_str(&fields);
        }
        write!(f, "{self}")?;
        for source in &self.sources {
            write!(f, ": {source}")?;
        }
        match &self.code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}

/// An [`AnyError`] as the standard library knows errors.
struct Boxed {
    error: AnyError,
    next: Option<Box<Link>>,
}

/// One of its sources.
#[derive(Debug)]
struct Link {
    message: String,
    next: Option<Box<Link>>,
}

impl Boxed {
    /// The [`AnyError`] that `error` was boxed from, also where `anyhow` or `eyre` hold it.
    fn within(error: &(dyn StdError + 'static)) -> Option<AnyError> {
        let direct = error.downcast_ref().map(|boxed: &Self| boxed.error.clone());
        direct.or_else(|| behind::shown(error))
    }
}

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Link {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

/// An error type that workflows and steps can return.
///
/// Implemented for [`AnyError`] and for every error type that can be stored, read back and made from a [`durable::Error`](Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a workflow or step",
    label = "this error type cannot be checkpointed",
    note = "it must be a `std::error::Error`, derive `serde::Serialize` and `serde::Deserialize`, and hold the library's own error in a variant:\n    #[error(transparent)]\n    Durable(#[from] durable::Error),",
    note = "or return `durable::AnyError`, which takes any error by `?`: boxed ones, those of `anyhow` and `eyre`, and texts"
)]
pub trait WorkflowError: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What it says.
    #[doc(hidden)]
    fn message(&self) -> String;

    /// What another program sees as its name.
    #[doc(hidden)]
    fn error_name(data: Option<&serde_json::Value>) -> String {
        variant_of(data).unwrap_or_else(short_type_name::<Self>)
    }

    /// The error as the standard library knows it, with the sources it still has.
    #[doc(hidden)]
    fn as_std(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }

    /// What it says, and what its sources say.
    #[doc(hidden)]
    fn texts(&self) -> Vec<String> {
        let mut texts = vec![self.message()];
        let mut next = self.as_std().and_then(StdError::source);
        while let Some(source) = next {
            texts.push(source.to_string());
            next = source.source();
        }
        texts
    }

    /// The same, of a step that has failed in each of its attempts, of which there were several.
    #[doc(hidden)]
    #[must_use]
    fn after_attempts(self, _step: &str, _attempts: u32) -> Self {
        self
    }

    /// Made of an error of the library, or of one whose stored data is not of this type.
    #[doc(hidden)]
    fn from_durable(error: Error) -> Self;
}

// So that an error type that misses something is told all that it needs, and not the first bound alone.
#[diagnostic::do_not_recommend]
impl<E> WorkflowError for E
where
    E: StdError + Serialize + DeserializeOwned + From<Error> + Send + Sync + 'static,
{
    fn message(&self) -> String {
        self.to_string()
    }

    fn as_std(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self)
    }

    fn from_durable(error: Error) -> Self {
        Self::from(error)
    }
}

impl WorkflowError for AnyError {
    fn message(&self) -> String {
        self.to_string()
    }

    fn texts(&self) -> Vec<String> {
        let own = std::iter::once(&self.message);
        own.chain(&self.sources).cloned().collect()
    }

    fn error_name(data: Option<&serde_json::Value>) -> String {
        data.and_then(|data| data.get("name")?.as_str().map(str::to_owned))
            .unwrap_or_else(short_type_name::<Self>)
    }

    fn after_attempts(self, step: &str, attempts: u32) -> Self {
        let step = step.to_owned();
        Self {
            exhausted: Some(Box::new(Exhausted { step, attempts })),
            // A step around it may have given up before.
            message: self.to_string(),
            ..self
        }
    }

    fn from_durable(error: Error) -> Self {
        match error {
            Error::Recorded { name, message, .. } => Self {
                name,
                ..Self::msg(message)
            },
            other => Self::from(other),
        }
    }
}

/// The variant of an enum, as serde writes it unless told otherwise: a text, or an object with one key.
fn variant_of(data: Option<&serde_json::Value>) -> Option<String> {
    match data? {
        serde_json::Value::String(variant) => Some(variant.clone()),
        serde_json::Value::Object(map) if map.len() == 1 => map.keys().next().cloned(),
        _ => None,
    }
}

/// The last segment of a type's path, without its parameters.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    short_type_name_of(std::any::type_name::<T>())
}

/// The last segment of a path, without its parameters.
pub(crate) fn short_type_name_of(name: &str) -> String {
    let base = name.split('<').next().unwrap_or(name);
    base.rsplit("::").next().unwrap_or(base).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkflowId;

    #[derive(Debug, thiserror::Error)]
    enum ShopError {
        #[error("declined with {code}")]
        Declined { code: u8 },
        #[error("no stock")]
        NoStock(#[source] std::num::ParseIntError),
        #[error(transparent)]
        Durable(#[from] Error),
    }

    fn not_a_number() -> std::num::ParseIntError {
        "x".parse::<i32>().unwrap_err()
    }

    fn unfinished() -> Error {
        Error::ShuttingDown.ends_wait_for(&WorkflowId::from("w"))
    }

    fn over_a_replay(error: &AnyError) -> AnyError {
        let text = serde_json::to_string(error).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn any_error_keeps_name_message_and_sources() {
        fn fails() -> Result<(), AnyError> {
            Err(ShopError::NoStock(not_a_number()))?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.name(), "ShopError");
        assert_eq!(error.to_string(), "no stock");
        assert_eq!(error.sources(), ["invalid digit found in string"]);
        assert_eq!(
            format!("{error:?}"),
            "no stock: invalid digit found in string"
        );
        assert_eq!(over_a_replay(&error), error);
    }

    #[test]
    fn whatever_holds_an_error_its_name_and_sources_are_kept() {
        let boxed: Box<dyn StdError + Send + Sync> = ShopError::Declined { code: 7 }.into();
        let from_anyhow = AnyError::from(anyhow::Error::from(ShopError::Declined { code: 7 }));
        let from_eyre = AnyError::from(eyre::Report::from(ShopError::Declined { code: 7 }));
        for error in [AnyError::from(boxed), from_anyhow, from_eyre] {
            assert_eq!(
                (error.name(), error.to_string().as_str()),
                ("Declined", "declined with 7")
            );
        }
        let with_context = anyhow::Error::from(not_a_number()).context("reading the order");
        let error = AnyError::from(with_context);
        assert_eq!(error.to_string(), "reading the order");
        assert_eq!(error.sources(), ["invalid digit found in string"]);
        let error = AnyError::from(eyre::Report::from(not_a_number()).wrap_err("reading"));
        assert_eq!(error.sources(), ["invalid digit found in string"]);
    }

    #[test]
    fn texts_are_errors() {
        let texts: [AnyError; 4] = [
            "text".into(),
            "text".to_owned().into(),
            anyhow::anyhow!("text").into(),
            eyre::eyre!("text").into(),
        ];
        for error in texts {
            assert_eq!(
                (error.name(), error.to_string().as_str()),
                ("AnyError", "text")
            );
        }
    }

    #[test]
    fn the_code_of_the_librarys_error_is_kept_whatever_holds_it() {
        let plain = || Error::Invalid("a \"b\"\n{c}".to_owned());
        let boxed: Box<dyn StdError + Send + Sync> = plain().into();
        let held: [(AnyError, &str); 8] = [
            (plain().into(), "Invalid"),
            (ShopError::from(plain()).into(), "ShopError"),
            (boxed.into(), "Invalid"),
            (anyhow::Error::from(plain()).into(), "Invalid"),
            (eyre::Report::from(plain()).into(), "Invalid"),
            (
                anyhow::Error::from(ShopError::from(plain())).into(),
                "Durable",
            ),
            (anyhow::Error::from(plain()).context("c").into(), "Error"),
            (
                anyhow::Error::from(ShopError::from(plain()))
                    .context("c")
                    .into(),
                "Error",
            ),
        ];
        for (error, name) in held {
            assert_eq!(error.code(), Some("DURABLE_INVALID"), "{name} {error:?}");
            assert_eq!(error.name(), name);
            assert!(error.is_outcome());
            assert_eq!(over_a_replay(&error), error);
        }
        assert_eq!(AnyError::from(ShopError::Declined { code: 7 }).code(), None);
    }

    #[test]
    fn that_a_workflow_goes_on_is_kept_until_it_is_recorded() {
        let held: [AnyError; 4] = [
            unfinished().into(),
            ShopError::from(unfinished()).into(),
            anyhow::Error::from(unfinished()).into(),
            AnyError::from(AnyError::from(unfinished()).into_boxed()),
        ];
        for error in held {
            assert_eq!(error.code(), Some("DURABLE_SHUTTING_DOWN"));
            assert!(!error.is_outcome(), "{error:?}");
            assert!(over_a_replay(&error).is_outcome());
        }
    }

    #[test]
    fn a_boxed_one_has_its_sources_and_comes_back_as_it_was() {
        let error = AnyError::from(ShopError::NoStock(not_a_number())).after_attempts("pay", 3);
        let boxed = error.clone().into_boxed();
        assert_eq!(
            boxed.source().unwrap().to_string(),
            "invalid digit found in string"
        );
        assert_eq!(AnyError::from(boxed), error);
        let report = anyhow::Error::from_boxed(error.clone().into_boxed());
        assert_eq!(report.chain().count(), 2);
        assert_eq!(AnyError::from(report), error);
        let report = eyre::eyre!(error.clone().into_boxed());
        assert_eq!(AnyError::from(report), error);
    }

    #[test]
    fn a_step_that_gave_up_is_named_with_its_attempts() {
        let error = AnyError::msg("no answer").after_attempts("pay", 3);
        assert_eq!(error.exhausted(), Some(("pay", 3)));
        assert_eq!(
            error.to_string(),
            r#"no answer (step "pay" failed in each of 3 attempts)"#
        );
        assert_eq!(over_a_replay(&error), error);
        let outer = error.after_attempts("order", 2);
        assert_eq!(
            outer.to_string(),
            r#"no answer (step "pay" failed in each of 3 attempts) (step "order" failed in each of 2 attempts)"#
        );
    }

    #[test]
    fn one_that_was_stored_before_it_had_a_code_is_read() {
        let text = r#"{"name":"Io","message":"no","sources":["a"]}"#;
        let error: AnyError = serde_json::from_str(text).unwrap();
        assert_eq!(format!("{error:?}"), "no: a");
        assert_eq!(serde_json::to_string(&error).unwrap(), text);
    }

    #[test]
    fn the_name_of_an_error_is_its_variant() {
        let unit = serde_json::json!("OutOfStock");
        let tuple = serde_json::json!({"Declined": {"code": 7}});
        assert_eq!(Error::error_name(Some(&unit)), "OutOfStock");
        assert_eq!(Error::error_name(Some(&tuple)), "Declined");
        assert_eq!(Error::error_name(None), "Error");
    }
}
