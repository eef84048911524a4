//! Tests of definitions and desired states, of the masks of a trace, and of the upgrade.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::arbitrary::{definition, desired};
use super::v1::engine::DefinitionV1;
use super::v2::definition::{DefinitionV2, DesiredV2, LaunchV2, OutputV2};
use super::v2::stored::{EntryV2, PutInstanceV2};
use super::{FormatError, Masks, v1};
use crate::codec::{decode, encode};
use crate::ids::InstanceId;
use crate::instance::{Definition, Desired, Exec, Launch, Output};
use crate::url::InstanceUrl;

proptest! {
    #[test]
    fn a_definition_comes_back(definition in definition()) {
        let bytes = encode(DefinitionV2::from(&definition));
        let back = decode::<DefinitionV2>(&bytes).expect("what was encoded").into_definition();
        prop_assert_eq!(back, Ok(definition));
    }

    #[test]
    fn what_is_desired_comes_back(desired in desired()) {
        let bytes = encode(DesiredV2::from(&desired));
        let back = decode::<DesiredV2>(&bytes).expect("what was encoded");
        prop_assert_eq!(Desired::from(back), desired);
    }

    /// Everything that decisions depend on is the same: texts keep their length, and other values
    /// are equal.
    #[test]
    fn a_masked_definition_is_one(definition in definition()) {
        let masked = DefinitionV2::masked(&definition, &mut Masks::default());
        let masked = masked.into_definition().expect("a definition");
        prop_assert_eq!(masked.url().as_str().len(), definition.url().as_str().len());
        let same = Definition {
            alias: definition.alias.clone(),
            launch: definition.launch.clone(),
            setup: definition.setup.clone(),
            meta: definition.meta.clone(),
            ..masked
        };
        prop_assert_eq!(same, definition);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(entry) = EntryV2::decode(&bytes) {
            let mut again = Vec::new();
            entry.encode(&mut again);
            prop_assert!(EntryV2::decode(&again).is_ok());
        }
    }
}

/// Arguments, variables, values of tags and what else may be secret does not get into a trace, nor
/// do variables get into the text of a definition.
#[test]
fn a_masked_definition_holds_no_secret() {
    let url = InstanceUrl::parse("exec:/bin/app?arg=hush").expect("a URL");
    let mut definition = Definition::new(InstanceId(1), url.clone(), "hush".to_string());
    let argv = ["/bin/app", "hush"].map(ToString::to_string).to_vec();
    let output = Output::Pipe;
    definition.launch = Launch::Exec(Exec { shown: url, argv, output });
    definition.setup.edit(|setup| drop(setup.env.insert("NAME".to_string(), "hush".to_string())));
    definition.meta.tags.insert("tag".to_string(), "hush".to_string());
    definition.meta.peer.sid = "hush".to_string();
    let mut wanted = Desired::default();
    wanted.values.insert("key".to_string(), "\"hush\"".to_string());
    let mut masks = Masks::default();
    let bytes = encode((
        DefinitionV2::masked(&definition, &mut masks),
        DesiredV2::masked(&wanted, &mut masks),
    ));
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has("hush"));
    for shown in ["/bin/app", "NAME", "tag", "key"] {
        assert!(has(shown), "{shown}");
    }
    assert!(!format!("{:?}", definition.setup).contains("hush"));
}

/// The assumptions of version 1 are the defaults of a new instance of the v2 API.
#[test]
fn a_definition_of_version_1_is_that_of_a_new_instance() {
    for restart in [true, false] {
        let old = DefinitionV1 {
            id: 7,
            url: "demo://h".to_string(),
            alias: "a".to_string(),
            restart,
            peer: ["s", "k", "n"].map(ToString::to_string),
            tags: [("t".to_string(), "v".to_string())].into(),
        };
        let url = InstanceUrl::parse("demo://h").expect("a URL");
        let mut new = Definition::new(InstanceId(7), url, "a".to_string());
        new.set_restarts(restart);
        new.meta.peer.sid = "s".to_string();
        new.meta.peer.kind = "k".to_string();
        new.meta.peer.alias = "n".to_string();
        new.meta.tags.insert("t".to_string(), "v".to_string());
        assert_eq!(DefinitionV2::from(old).into_definition(), Ok(new));
    }
    let totals = v1::stored::TotalsV1 { mode: -3, bytes: [1, 2, 3, u64::MAX] };
    let old = v1::stored::InstanceV1 {
        id: 7,
        url: "demo://h".to_string(),
        alias: "".to_string(),
        restart: true,
        peer: Default::default(),
        tags: Default::default(),
        totals,
    };
    let PutInstanceV2 { desired, totals, .. } = old.into();
    assert_eq!(Desired::from(desired), Desired::default());
    assert_eq!(totals.counters, [[1, 0, 0], [2, 0, 0], [3, 0, 0], [u64::MAX, 0, 0]]);
}

#[test]
fn what_no_definition_can_have_is_refused_by_name() {
    let url = InstanceUrl::parse("demo://h").expect("a URL");
    let definition = Definition::new(InstanceId(0xab), url, "a".to_string());
    type Edit = fn(&mut DefinitionV2);
    let edits: [(Edit, &str); 6] = [
        (|it| it.policy.stop.steps.clear(), "a stop has no step, or too many"),
        (|it| it.policy.stop.steps[0].0 = 0, "a signal is unknown"),
        (|it| it.policy.stop.restart_signal = Some(32), "a signal is unknown"),
        (
            |it| it.policy.history = 1_001,
            "the number of runs that are remembered is larger than any",
        ),
        (|it| it.launch = LaunchV2::Runtime("master://h".to_string()), "url scheme \"master\""),
        (
            |it| {
                let (shown, output) = ("a:b".to_string(), OutputV2::Pipe);
                let argv = Vec::new();
                it.launch = LaunchV2::Exec { shown, argv, output };
            },
            "a program is missing",
        ),
    ];
    for (edit, reason) in edits {
        let mut edited = DefinitionV2::from(&definition);
        edit(&mut edited);
        let error = edited.into_definition().expect_err(reason).to_string();
        assert!(error.starts_with("instance 000000ab: ") && error.contains(reason), "{error}");
    }
}

#[test]
fn an_entry_that_is_not_known_is_refused_by_name() {
    for (tag, version) in [(0, 2), (12, 2), (88, 2), (2, 1), (2, 3), (255, 255)] {
        let error = EntryV2::decode(&[tag, version, 1]).err();
        assert_eq!(error, Some(FormatError::UnknownEntry { tag, version }));
    }
    let error = FormatError::UnknownEntry { tag: 8, version: 3 }.to_string();
    assert!(error.contains("kind 8, version 3") && error.contains("use a newer one"), "{error}");
}
