//! Panics of user code: caught, put into words, and let go of.

use std::{
    any::Any,
    borrow::Cow,
    error::Error as StdError,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{AnyError, Error};

/// Calls user code. Errors: it panicked, with these words.
pub fn caught<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(panic_ended)
}

/// The words of a panic that is over: its payload is dropped here.
pub fn panic_ended(panic: Box<dyn Any + Send>) -> String {
    let words = panic_message(panic.as_ref());
    discard(panic);
    words
}

/// What a panic says, if it says it in words.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    // An error may panic while it is written.
    let words = catch_unwind(AssertUnwindSafe(|| words(panic)));
    let words = words.unwrap_or_else(|second| {
        discard(second);
        None
    });
    words.unwrap_or_else(|| "a panic without a message".to_owned())
}

fn words(panic: &(dyn Any + Send)) -> Option<String> {
    fn of<T: Display + 'static>(panic: &(dyn Any + Send)) -> Option<String> {
        panic.downcast_ref::<T>().map(T::to_string)
    }
    of::<&str>(panic)
        .or_else(|| of::<String>(panic))
        .or_else(|| of::<Cow<'static, str>>(panic))
        .or_else(|| of::<Box<str>>(panic))
        .or_else(|| of::<Box<dyn StdError + Send + Sync>>(panic))
        .or_else(|| of::<Box<dyn StdError + Send>>(panic))
        .or_else(|| of::<AnyError>(panic))
        .or_else(|| of::<Error>(panic))
        .or_else(|| of::<std::io::Error>(panic))
}

/// Drops a value of the user's, whose `Drop` may panic.
pub fn discard<T>(value: T) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // What it panicked with may panic when it is dropped, and so on without end: it is leaked.
        std::mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Bomb);
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_is_let_go_of() {
        let told = caught(|| panic_any(Bomb)).unwrap_err();
        assert_eq!(told, "a panic without a message");
        discard(Bomb);
    }

    #[test]
    fn words_are_kept_whatever_type_holds_them() {
        let both: Box<dyn StdError + Send + Sync> = "both".into();
        let send: Box<dyn StdError + Send> = Box::new(std::fmt::Error);
        for (panic, words) in [
            (Box::new("text") as Box<dyn Any + Send>, "text"),
            (Box::new("text".to_owned()), "text"),
            (Box::new(Cow::Borrowed("text")), "text"),
            (Box::new(both), "both"),
            (
                Box::new(send),
                "an error occurred when formatting an argument",
            ),
            (Box::new(AnyError::msg("any")), "any"),
            (Box::new(7_u8), "a panic without a message"),
        ] {
            assert_eq!(panic_ended(panic), words);
        }
    }

    #[test]
    fn an_error_that_cannot_even_be_written_is_no_second_panic() {
        #[derive(Debug)]
        struct Mute;

        impl std::fmt::Display for Mute {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic_any(Bomb)
            }
        }

        impl StdError for Mute {}

        let error: Box<dyn StdError + Send + Sync> = Box::new(Mute);
        let told = caught(|| panic_any(error)).unwrap_err();
        assert_eq!(told, "a panic without a message");
    }
}
