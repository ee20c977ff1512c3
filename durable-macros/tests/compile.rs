//! What must not compile, and what the compiler then says.
//!
//! The messages are those of the toolchain in use; after an update, `TRYBUILD=overwrite cargo test -p durable-macros --test compile`
//! writes them anew, and the difference is looked at. They stand here and not in the facade's tests
//! because the dependencies of this package are built once more for them: here there is no backend.

#[test]
fn mistakes_do_not_compile_and_are_told_in_words() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile/shapes.rs");
    cases.pass("tests/compile/names.rs");
    cases.pass("tests/compile/signatures.rs");
    cases.pass("tests/compile/renamed.rs");
    cases.pass("tests/compile/tests.rs");
    cases.compile_fail("tests/compile/error_without_durable.rs");
    cases.compile_fail("tests/compile/values_without_serde.rs");
    cases.compile_fail("tests/compile/boxed_error.rs");
    cases.compile_fail("tests/compile/called_directly.rs");
    cases.compile_fail("tests/compile/wrong_input.rs");
    cases.compile_fail("tests/compile/not_a_workflow.rs");
    cases.compile_fail("tests/compile/clock_in_workflow.rs");
    cases.compile_fail("tests/compile/lints.rs");
    cases.compile_fail("tests/compile/not_a_step.rs");
    cases.compile_fail("tests/compile/not_methods.rs");
    cases.compile_fail("tests/compile/not_a_test.rs");
    cases.compile_fail("tests/compile/step_gives_away_its_capture.rs");
    cases.compile_fail("tests/compile/step_moves_its_capture.rs");
    cases.compile_fail("tests/compile/not_send.rs");
}
