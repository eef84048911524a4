//! Damaged and hostile files: none makes the reader panic or hold more than the file can.

use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::fixture_tests::ACCEPTED;
use super::*;

/// How many places of a file are tried, at most: all of them, save in the file of a thousand
/// instances, where they come around in samples.
const PLACES_MAX: usize = 4_000;

/// Any `file` is either refused without revealing a secret, or its content is no larger than the
/// file allows.
fn check(file: &[u8]) -> Option<Image> {
    match decode_gob(file) {
        Err(error) => {
            let told = format!("{error} {error:?}");
            for secret in ["00112233", "ccddeeff", "my own key", "secret", "SECRET"] {
                assert!(!told.contains(secret), "{told}");
            }
            None
        }
        Ok(image) => {
            assert!(held_bytes(&image) <= file.len(), "{image:?}");
            Some(image)
        }
    }
}

fn places(file: &[u8]) -> impl Iterator<Item = usize> {
    let step = if file.len() <= PLACES_MAX { 1 } else { file.len() / 100 };
    (0..file.len()).step_by(step)
}

/// All text of an image, and one byte for each value without text: all of them are in the file,
/// unless a count in the file was trusted too far.
fn held_bytes(image: &Image) -> usize {
    let master = &image.master;
    let mut bytes = master.mid.len() + master.alias.len() + master.key.reveal().len();
    for stored in image.instances.values() {
        let definition = &stored.definition;
        let peer = &definition.meta.peer;
        bytes += 9 + definition.url().as_str().len() + definition.alias.len();
        bytes += peer.sid.len() + peer.kind.len() + peer.alias.len();
        for (name, value) in &definition.meta.tags {
            bytes += 2 + name.len() + value.len();
        }
    }
    bytes
}

#[test]
fn every_prefix_is_refused() {
    for file in ACCEPTED {
        for length in places(file) {
            assert!(check(&file[..length]).is_none(), "a prefix of {length} bytes was read");
        }
    }
}

#[test]
fn every_damaged_byte_is_refused_or_read_within_bounds() {
    let mut refused = 0;
    for file in ACCEPTED {
        for at in places(file) {
            for mask in [0x01, 0x80, 0xff] {
                let mut damaged = file.to_vec();
                damaged[at] ^= mask;
                refused += usize::from(check(&damaged).is_none());
            }
        }
    }
    assert!(refused > 10_000, "most damage is in names, counts and ids: {refused}");
}

#[test]
fn every_file_is_refused_with_bytes_after_its_value() {
    for file in ACCEPTED {
        for more in [&[0][..], &[1, 0], file] {
            let longer = [file, more].concat();
            let error = GobError::format(file.len(), "more bytes follow the value");
            assert_eq!(decode_gob(&longer).expect_err("it is longer"), error);
        }
    }
}

#[test]
fn huge_counts_in_small_files_are_refused() {
    const HUGE: [u8; 9] = [0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let too_large =
        |offset| GobError::format(offset, "a count is larger than the rest of the file allows");
    let refused = |file: &[u8]| decode_gob(file).expect_err("it is hostile");

    assert_eq!(refused(&HUGE), too_large(0), "a message");
    assert_eq!(refused(&structure(&[&[2], &HUGE[..]].concat())), too_large(6), "fields");
    assert_eq!(refused(&structure(&[&[1, 1], &HUGE[..]].concat())), too_large(7), "a name");
    assert_eq!(refused(&state(&HUGE)), too_large(entries_at()), "entries");
    assert_eq!(refused(&state(&[&[1], &HUGE[..]].concat())), too_large(entries_at() + 1), "an id");
    let huge_tail = |field: u8| state(&[&[1, 1, b'a', field], &HUGE[..]].concat());
    assert_eq!(refused(&huge_tail(1)), too_large(entries_at() + 4), "a URL");
    assert_eq!(refused(&huge_tail(2)), too_large(entries_at() + 4), "a list");
}

#[test]
fn types_that_lead_nowhere_are_refused() {
    let missing = "a value is of a type that was not defined";
    assert_eq!(decode_gob(&[1, 2]).expect_err("a number"), {
        GobError::format(2, "the value is not a map from ids to instances with a URL")
    });
    assert_eq!(decode_gob(&[2, 0, 0]).expect_err("type 0"), GobError::format(2, missing));
    let min = [9, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let error = decode_gob(&min).expect_err("type -2^63");
    assert_eq!(error, GobError::format(1, "no type has such an id"));
    // The second field of an entry is a list of such lists: a thousand of them, one in the other.
    let nested = [&[1, 1, b'a', 2][..], &[1; 1000]].concat();
    let error = GobError::format(entries_at() + 4 + 32, "values are nested too deep");
    assert_eq!(decode_gob(&state(&nested)).expect_err("it is deep"), error);
}

#[test]
fn what_an_encoder_cannot_write_is_refused() {
    const KEY: &[u8] = b"\x08********\x01\x01k\0";
    let good = decode_gob(&state(&[&[1], KEY].concat())).expect("a small state");
    assert_eq!(good.master.key.reveal(), "k");

    let refused = |file: &[u8]| decode_gob(file).expect_err("no encoder wrote it");
    let twice = GobError::format(entries_at() + 1 + KEY.len(), "an id has two entries");
    assert_eq!(refused(&state(&[&[2], KEY, KEY].concat())), twice);
    let more = GobError::format(entries_at() + 1 + KEY.len(), "more bytes follow the last entry");
    assert_eq!(refused(&state(&[&[1], KEY, &[0]].concat())), more);
    let field =
        GobError::format(entries_at() + 3, "a struct has a field that its type does not have");
    assert_eq!(refused(&state(b"\x01\x01a\x03")), field);
    let marker = GobError::format(entries_at() - 1, "no value follows its type");
    let mut file = state(&[&[1], KEY].concat());
    file[entries_at() - 1] = 1;
    assert_eq!(refused(&file), marker);
}

#[test]
fn damage_that_shows_in_a_field_is_found_there() {
    let (full, tags) = (ACCEPTED[1], ACCEPTED[7]);
    let mut file = tags.to_vec();
    // The map is in random order: whichever of the two comes last is the one too many.
    let places = [find(tags, b"\x03k11\x03v11"), find(tags, b"\x03k12\x03v12")];
    file[places[0] + 3] = b'2';
    let last = places[0].max(places[1]);
    let error = decode_gob(&file).expect_err("k12 comes twice");
    assert_eq!(error, GobError::format(last, "a tag has two values"));

    let restart = find(full, b"kept by nobody") + b"kept by nobody".len() + 1;
    let mut file = full.to_vec();
    file[restart] = 2;
    let error = decode_gob(&file).expect_err("2 is no truth value");
    let neither = "a truth value is neither true nor false";
    assert_eq!(error, GobError::format(restart, neither));
}

fn find(file: &[u8], bytes: &[u8]) -> usize {
    file.windows(bytes.len()).position(|window| window == bytes).expect("it is there")
}

/// A message that defines type 64 as a struct; `description` follows the sort.
fn structure(description: &[u8]) -> Vec<u8> {
    message(&[&[0x7f, 3], description].concat())
}

/// A state whose entries have the fields `URL`, a text, and `More`, a list of such lists; of the
/// value, all from the count of entries on is `entries`.
fn state(entries: &[u8]) -> Vec<u8> {
    [state_types(), message(&[b"\xff\x82\0", entries].concat())].concat()
}

/// Where the count of entries is in [`state`]: a length, a type and a zero come before it.
fn entries_at() -> usize {
    state_types().len() + 3 + 2 + 1
}

fn state_types() -> Vec<u8> {
    let map_of_66 = message(b"\xff\x81\x04\x02\x0c\x01\xff\x84\0\0");
    let url = b"\x01\x03URL\x01\x0c\0";
    let more = b"\x01\x04More\x01\xff\x86\0";
    let entry = message(&[b"\xff\x83\x03\x02\x02", &url[..], more, b"\0\0"].concat());
    let list_of_67 = message(b"\xff\x85\x02\x02\xff\x86\0\0");
    [map_of_66, entry, list_of_67].concat()
}

/// A message with a length of three bytes: not the shortest, but a good one.
fn message(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short message").to_be_bytes();
    [&[0xfe], &length[..], body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn random_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(check(&bytes).is_none());
    }

    #[test]
    fn random_entries_never_panic(entries in prop::collection::vec(0u8..8, 0..200)) {
        check(&state(&entries));
    }

    #[test]
    fn a_file_with_a_random_stretch_never_panics(
        which in 0..ACCEPTED.len(),
        at: prop::sample::Index,
        stretch in prop::collection::vec(any::<u8>(), 1..16),
    ) {
        let mut file = ACCEPTED[which].to_vec();
        let at = at.index(file.len());
        let end = file.len().min(at + stretch.len());
        file.splice(at..end, stretch);
        check(&file);
    }
}
