//! How `saga` is called.

use std::process::Output;

use crate::process::start;

fn saga(args: &[&str]) -> (Output, String) {
    let output = start("saga", args).wait_with_output();
    let output = output.expect("its output");
    let both = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&both).into_owned();
    (output, text)
}

#[test]
fn what_was_booked_is_given_back_in_reverse() {
    let (output, text) = saga(&["--fail", "car"]);
    assert!(output.status.success(), "{text}");
    let hotel = text.find("hotel-42: given back");
    let flight = text.find("flight-42: given back");
    assert!(hotel.is_some() && hotel < flight, "{text}");
}

#[test]
fn help_is_no_failure() {
    for help in ["--help", "-h"] {
        let (output, text) = saga(&[help]);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("--fail LEG"), "{text}");
    }
}

#[test]
fn a_leg_that_there_is_not_is_refused_with_those_that_there_are() {
    for (args, words) in [
        (&["--fail", "boat"] as &[&str], "there is no leg \"boat\""),
        (&["--fail"], "--fail needs a value"),
        (&["car"], "car is unknown"),
    ] {
        let (output, text) = saga(args);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(text.contains("flight, hotel, car"), "{text}");
    }
}
