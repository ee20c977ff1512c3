use super::{
    frames::{Frames, Side},
    *,
};

#[test]
fn a_url_leads_through_the_proxy() {
    let cases = [
        (
            "postgres://ann:pw@db:7/shop?sslmode=prefer&application_name=a",
            "db:7",
            "postgres://ann:pw@here:1/shop?application_name=a&sslmode=disable",
        ),
        (
            "postgres://db",
            "db:5432",
            "postgres://here:1/?sslmode=disable",
        ),
    ];
    for (url, address, other) in cases {
        assert_eq!(
            through(url, "here:1"),
            (address.to_owned(), other.to_owned())
        );
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

#[test]
fn the_texts_to_prepare_are_found_whether_or_not_encryption_was_asked_for() {
    let encrypt = [0, 0, 0, 8, 4, 210, 22, 47];
    let start = [0, 0, 0, 8, 0, 3, 0, 0];
    for mut said in [start.to_vec(), [encrypt, start].concat()] {
        said.extend(message(b'P', b"s1\0SELECT 1\0\0\0"));
        said.extend(message(b'Q', b"P nothing\0"));
        said.extend(message(b'P', b"\0SELECT 2\0\0\0"));
        let mut frames = Frames::of(Side::Client);
        let found = said.iter().filter_map(|byte| frames.add(*byte)?.prepares());
        assert_eq!(found.collect::<Vec<_>>(), ["SELECT 1", "SELECT 2"]);
        assert!(frames.is_between());
    }
}

#[test]
fn what_a_server_says_is_taken_apart_whether_or_not_it_was_asked_to_encrypt() {
    for before in [&b""[..], b"N"] {
        let said = [before, &message(b'R', &[0; 4]), &message(b'Z', b"I")].concat();
        let mut frames = Frames::of(Side::Server);
        let ends: Vec<usize> = (1..=said.len())
            .filter(|end| frames.add(said[end - 1]).is_some())
            .collect();
        let first = before.len();
        let wanted = [9, 15].map(|end| first + end);
        let encrypted = (!before.is_empty()).then_some(1);
        assert_eq!(
            ends,
            encrypted.into_iter().chain(wanted).collect::<Vec<_>>()
        );
    }
}
