//! Tests that read the files in `testdata`, which the Go encoder wrote.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::counters::{SavedTotals, Totals};
use crate::ids::InstanceId;
use crate::instance::{Meta, Peer};
use crate::store::{StoredInstance, decode, encode};
use crate::url::UrlFault;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name, ".gob")).as_slice()
    };
}

const KEY: &str = "00112233445566778899aabbccddeeff";
const MID: &str = "1a2b3c4d5e6f7890";

#[test]
fn the_key_instance_is_the_master() {
    let image = image(fixture!("key-only"));
    assert_eq!(image.master.key.reveal(), KEY);
    assert_eq!(image.master.mid, MID);
    assert_eq!(image.master.alias, "prod-master-1");
    assert!(image.instances.is_empty());
}

#[test]
fn a_key_is_kept_whatever_it_looks_like() {
    let image = image(fixture!("own-key"));
    assert_eq!(image.master.key.reveal(), "my own key");
    assert_eq!((image.master.mid.as_str(), image.master.alias.as_str()), ("", ""));
}

#[test]
fn every_field_of_an_instance_is_read() {
    let image = image(fixture!("full"));
    assert_eq!(image.instances.len(), 1);
    let StoredInstance { definition, totals, .. } = get(&image, "d34db33f");
    assert_eq!(definition.id, InstanceId(0xd34d_b33f));
    assert_eq!(definition.url().as_str(), "managed://user:secret@edge-a?token=SECRET");
    assert_eq!(definition.alias, "edge-a");
    assert!(definition.restarts());
    let peer = peer("site-1", "edge", "Site 1 Edge");
    let tags = [("region".to_string(), "us-east".to_string())].into();
    assert_eq!(definition.meta, Meta { peer, tags });
    assert_eq!(*totals, saved(2, [123_456, 654_321, 2_048, 127]));
}

#[test]
fn omitted_fields_are_zero() {
    let image = image(fixture!("zeros"));
    let StoredInstance { definition, totals, .. } = get(&image, "00000000");
    assert_eq!(definition.url().as_str(), "demo:");
    assert_eq!((definition.alias.as_str(), definition.restarts()), ("", false));
    assert_eq!(definition.meta, Meta::default());
    assert_eq!(*totals, SavedTotals::default());
}

#[test]
fn texts_of_every_kind_and_length_are_kept() {
    let image = image(fixture!("text"));
    let StoredInstance { definition, .. } = get(&image, "0000007e");
    assert_eq!(definition.alias, "Grüße, мир 🌍 \"'\\\n\0");
    assert_eq!(definition.url().as_str(), format!("demo://{}#é", "ü".repeat(600)));
    assert_eq!(definition.meta.peer, peer("ß", "", &"x".repeat(300)));
    let tags = [("ключ", "значение"), ("", "")].map(|(k, v)| (k.to_string(), v.to_string()));
    assert_eq!(definition.meta.tags, tags.into());
}

#[test]
fn counters_are_kept_to_the_last_bit() {
    let image = image(fixture!("counters"));
    let numbers = [127, 128, 255, 256, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX];
    assert_eq!(image.instances.len(), numbers.len());
    for (stored, n) in image.instances.values().zip(numbers) {
        assert_eq!(stored.totals, saved(0, [n, n - 1, 1, n]));
    }
}

#[test]
fn a_mode_out_of_range_becomes_the_nearest_in_range() {
    let image = image(fixture!("modes"));
    let (min, max) = (i32::MIN, i32::MAX);
    let modes = [-1, -64, -65, -129, 63, 64, max, min, max, min, max, min];
    let read: Vec<_> = image.instances.values().map(|stored| stored.totals.mode).collect();
    assert_eq!(read, modes);
}

#[test]
fn a_thousand_instances_are_a_thousand() {
    let image = image(fixture!("thousand"));
    assert_eq!(image.instances.len(), 1000);
    for (n, (id, stored)) in (0..).zip(&image.instances) {
        assert_eq!(*id, InstanceId(n * 0x10001));
        let definition = &stored.definition;
        assert_eq!(definition.id, *id);
        assert_eq!(definition.alias, format!("a{n}"));
        assert_eq!(definition.url().as_str(), format!("demo://h{n}"));
        assert_eq!(definition.restarts(), n % 2 == 0);
        assert_eq!(definition.meta.tags, [("n".to_string(), n.to_string())].into());
        let mode = i32::try_from(n % 3).expect("below 3");
        assert_eq!(stored.totals, saved(mode, [u64::from(n) * 1000, 0, 0, 0]));
    }
}

#[test]
fn tags_may_be_absent_empty_or_many() {
    let image = image(fixture!("tags"));
    let tags = |id| &get(&image, id).definition.meta.tags;
    assert!(tags("00000001").is_empty());
    assert!(tags("00000002").is_empty());
    let many = (0..100).map(|n| (format!("k{n}"), format!("v{n}"))).collect();
    assert_eq!(*tags("00000003"), many);
}

#[test]
fn fields_are_found_by_name_and_unknown_ones_skipped() {
    let image = image(fixture!("variant"));
    let master = &image.master;
    assert_eq!((master.key.reveal(), master.mid.as_str(), master.alias.as_str()), (KEY, MID, "v"));
    assert_eq!(image.instances.len(), 1);
    let StoredInstance { definition, totals, .. } = get(&image, "0a0b0c0d");
    assert_eq!(definition.url().as_str(), "demo://variant", "the scheme is lower-cased");
    assert_eq!((definition.alias.as_str(), definition.restarts()), ("va", true));
    let tags = [("k".to_string(), "v".to_string())].into();
    assert_eq!(definition.meta, Meta { peer: peer("ps", "", "pa"), tags });
    assert_eq!(*totals, saved(-7, [1, 0, 0, 4]));
}

#[test]
fn numbers_are_read_by_the_signedness_they_were_sent_with() {
    let image = image(fixture!("swapped"));
    assert_eq!(get(&image, "00000001").totals, saved(5, [7, 0, i64::MAX as u64, 9]));
    assert_eq!(get(&image, "00000002").totals, saved(i32::MAX, [0; 4]));
}

#[test]
fn what_is_imported_can_be_stored() {
    for file in ACCEPTED {
        let stored = encode(&image(file), 1);
        assert_eq!(encode(&decode(&stored).expect("a state file").0, 1), stored);
    }
}

#[test]
fn what_no_master_wrote_is_refused_with_the_reason() {
    let foreign = "the value is not a map from ids to instances with a URL";
    let field = |offset, field, expected| GobError::FieldType { offset, field, expected };
    let id = |offset, shown: &str| GobError::BadId { offset, shown: shown.to_string() };
    let one = InstanceId(1);
    for (file, error) in [
        (fixture!("refused-strings"), GobError::format(26, foreign)),
        (fixture!("refused-string-map"), GobError::format(37, foreign)),
        (fixture!("refused-int-keys"), GobError::format(314, foreign)),
        (fixture!("refused-struct"), GobError::format(298, foreign)),
        (fixture!("refused-number"), GobError::format(2, foreign)),
        (fixture!("refused-foreign-struct"), GobError::format(41, foreign)),
        (fixture!("refused-nil-map"), GobError::NoKey),
        (fixture!("refused-no-key"), GobError::NoKey),
        (fixture!("refused-empty-key"), GobError::NoKey),
        (fixture!("refused-upper-id"), id(410, "\"D34DB33F\"")),
        (fixture!("refused-long-id"), id(410, "a text of 26 bytes")),
        (fixture!("refused-other-id"), GobError::OtherId(one)),
        (fixture!("refused-url"), GobError::BadUrl(one, UrlFault::SpaceInHost)),
        (fixture!("refused-no-url"), GobError::BadUrl(one, UrlFault::Empty)),
        (fixture!("refused-master-url"), GobError::MasterUrl(one)),
        (fixture!("refused-not-utf8"), GobError::format(431, "a text is not UTF-8")),
        (fixture!("refused-interface"), GobError::format(96, "a value is of an interface type")),
        (fixture!("refused-url-type"), field(52, "URL", "text")),
        (fixture!("refused-meta-type"), field(130, "Meta", "a struct")),
        (fixture!("refused-tags-type"), field(183, "Tags", "a map from text to text")),
        (fixture!("refused-deep"), GobError::format(186, "values are nested too deep")),
        (fixture!("refused-two-values"), GobError::format(409, "more bytes follow the value")),
    ] {
        assert_eq!(decode_gob(file).expect_err("no master wrote it"), error);
    }
}

#[test]
fn messages_say_where_and_what() {
    let message = |file| decode_gob(file).expect_err("it is refused").to_string();
    assert_eq!(
        message(&fixture!("full")[..100]),
        "at byte 16: a count is larger than the rest of the file allows; \
         it is damaged, or of another program"
    );
    assert_eq!(
        message(fixture!("refused-url")),
        "instance 00000001: its url is not valid: space in the host; remove or escape it"
    );
    assert_eq!(
        message(fixture!("refused-no-key")),
        "it holds no API key (the entry ******** or its URL)"
    );
}

pub(super) const ACCEPTED: [&[u8]; 11] = [
    fixture!("key-only"),
    fixture!("full"),
    fixture!("zeros"),
    fixture!("text"),
    fixture!("counters"),
    fixture!("modes"),
    fixture!("thousand"),
    fixture!("tags"),
    fixture!("own-key"),
    fixture!("variant"),
    fixture!("swapped"),
];

fn image(file: &[u8]) -> Image {
    decode_gob(file).expect("the Go encoder wrote it")
}

fn get<'a>(image: &'a Image, id: &str) -> &'a StoredInstance {
    &image.instances[&InstanceId::parse(id).expect("an id")]
}

fn peer(sid: &str, kind: &str, alias: &str) -> Peer {
    Peer { sid: sid.into(), kind: kind.into(), alias: alias.into() }
}

fn saved(mode: i32, [tcprx, tcptx, udprx, udptx]: [u64; 4]) -> SavedTotals {
    SavedTotals::from_totals(mode, Totals { tcprx, tcptx, udprx, udptx })
}
