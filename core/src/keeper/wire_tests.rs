//! Tests of messages and notes: whatever is sent arrives, and bytes that are no message are refused.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::wire::Message;
use super::*;
use crate::ids::{InstanceId, RunId};
use crate::instance::{End, LastExit};
use crate::process::{Exit, Scope, Signal};
use crate::time::Wall;

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn list() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(text(), 0..6)
}

fn run() -> impl Strategy<Value = RunId> {
    any::<u128>().prop_map(RunId)
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![any::<i32>().prop_map(Exit::Code), any::<i32>().prop_map(Exit::Signal)]
}

fn ended() -> impl Strategy<Value = Ended> {
    (prop::option::of(exit()), any::<[bool; 2]>()).prop_map(
        |(exit, [has_dumped_core, has_lost_lease])| Ended { exit, has_dumped_core, has_lost_lease },
    )
}

fn signal() -> impl Strategy<Value = Signal> {
    (1..=Signal::MAX).prop_map(|number| Signal::new(number).expect("in range"))
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Group), Just(Scope::Leader)]
}

fn lease() -> impl Strategy<Value = Option<Lease>> {
    prop::option::of((any::<[u64; 2]>(), signal(), scope()).prop_map(
        |([limit_ms, grace_ms], signal, scope)| Lease { limit_ms, signal, scope, grace_ms },
    ))
}

fn child() -> impl Strategy<Value = Child> {
    let state = prop_oneof![
        Just(ChildState::Alive),
        Just(ChildState::Taken),
        ended().prop_map(ChildState::Ended),
    ];
    let started = any::<u64>().prop_map(Wall::from_micros);
    let numbers = (any::<u32>(), any::<i32>(), any::<u64>(), any::<u64>());
    (run(), numbers, started, text(), state, any::<bool>(), lease()).prop_map(
        |(run, numbers, started, note, state, is_stopping, lease)| {
            let (instance, pid, start_ticks, age_ms) = numbers;
            let instance = InstanceId(instance);
            Child {
                run,
                instance,
                pid,
                start_ticks,
                started,
                age_ms,
                note,
                state,
                is_stopping,
                lease,
            }
        },
    )
}

fn order() -> impl Strategy<Value = Order> {
    let flags = any::<(bool, bool)>();
    let start = (run(), any::<u32>(), text(), list(), flags, list(), text(), lease());
    prop_oneof![
        (any::<u16>(), any::<u32>()).prop_map(|(version, umask)| Order::Hello { version, umask }),
        (any::<bool>(), list())
            .prop_map(|(is_first, variables)| Order::Environment { is_first, variables }),
        start.prop_map(|(run, instance, path, arguments, flags, env, note, lease)| {
            let (instance, (has_stderr, clear_env)) = (InstanceId(instance), flags);
            Order::Start(Start {
                run,
                instance,
                path,
                arguments,
                has_stderr,
                clear_env,
                env,
                note,
                lease,
            })
        }),
        any::<u64>().prop_map(|at_ms| Order::Renew { at_ms }),
        (run(), scope(), signal(), any::<bool>()).prop_map(|(run, scope, signal, is_stop)| {
            Order::Signal { run, scope, signal, is_stop }
        }),
        (run(), text()).prop_map(|(run, note)| Order::Note { run, note }),
        child().prop_map(Order::Hold),
        run().prop_map(Order::Forget),
        run().prop_map(Order::Taken),
        any::<u32>().prop_map(|instance| Order::ForgetInstance(InstanceId(instance))),
        Just(Order::List),
        Just(Order::Quit),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let why = prop_oneof![Just(Turned::Version), Just(Turned::Busy), Just(Turned::User)];
    prop_oneof![
        (any::<u16>(), any::<i32>()).prop_map(|(version, pid)| Report::Hello { version, pid }),
        (any::<u16>(), why).prop_map(|(version, why)| Report::Turned { version, why }),
        (run(), any::<i32>(), any::<u64>()).prop_map(|(run, pid, start_ticks)| Report::Started {
            run,
            pid,
            start_ticks
        }),
        (run(), any::<i32>()).prop_map(|(run, errno)| Report::Failed { run, errno }),
        (run(), ended()).prop_map(|(run, ended)| Report::Ended(run, ended)),
        (run(), any::<bool>()).prop_map(|(run, has_group)| Report::Reaped { run, has_group }),
        child().prop_map(Report::Item),
        any::<u32>().prop_map(|count| Report::Listed { count }),
    ]
}

fn note() -> impl Strategy<Value = Note> {
    let end = prop_oneof![
        exit().prop_map(End::Own),
        exit().prop_map(End::Requested),
        "[a-z]{0,20}".prop_map(End::NotStarted),
    ];
    let wall = || any::<u64>().prop_map(Wall::from_micros);
    let last_exit = prop::option::of((wall(), end).prop_map(|(time, end)| LastExit { time, end }));
    let ordered = any::<(u64, u64)>().prop_map(|(launch, exits)| Ordered { launch, exits });
    (prop::option::of(ordered), prop::option::of(wall()), any::<[u64; 4]>(), last_exit).prop_map(
        |(ordered, started, [starts, failures, restarts, exits], last_exit)| Note {
            ordered,
            started,
            starts,
            failures,
            restarts,
            exits,
            last_exit,
        },
    )
}

fn bytes_of(message: &impl Message) -> Vec<u8> {
    encode(message).expect("short enough")
}

proptest! {
    #[test]
    fn an_order_arrives_as_it_was_sent(order in order()) {
        prop_assert_eq!(decode_order(&bytes_of(&order)), Ok(order));
    }

    #[test]
    fn a_report_arrives_as_it_was_sent(report in report()) {
        prop_assert_eq!(decode_report(&bytes_of(&report)), Ok(report));
    }

    #[test]
    fn a_part_of_a_message_is_none(order in order(), report in report(), cut in 0usize..400) {
        let (order, report) = (bytes_of(&order), bytes_of(&report));
        prop_assert!(cut >= order.len() || decode_order(&order[..cut]).is_err());
        prop_assert!(cut >= report.len() || decode_report(&report[..cut]).is_err());
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        prop_assert_eq!(decode_order(&longer(&order)), Err(WireError::Long));
        prop_assert_eq!(decode_report(&longer(&report)), Err(WireError::Long));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(order) = decode_order(&bytes) {
            prop_assert_eq!(bytes_of(&order), bytes.clone());
        }
        if let Ok(report) = decode_report(&bytes) {
            prop_assert_eq!(bytes_of(&report), bytes);
        }
    }

    #[test]
    fn a_note_reads_back_and_is_bounded(note in note()) {
        let bytes = note.encode();
        prop_assert!(bytes.len() <= NOTE_MAX_BYTES);
        prop_assert_eq!(Note::decode(&bytes), note);
    }
}

#[test]
fn a_message_that_no_packet_holds_is_not_sent() {
    let variables = vec![vec![b'x'; MESSAGE_MAX_BYTES]];
    let order = Order::Environment { is_first: true, variables };
    assert_eq!(encode(&order), Err(WireError::TooLong));
    let note = vec![0; NOTE_MAX_BYTES + 1];
    let order = Order::Note { run: RunId(1), note };
    assert_eq!(decode_order(&bytes_of(&order)), Err(WireError::TooLong));
}

#[test]
fn a_count_beyond_the_packet_is_refused() {
    let mut bytes = bytes_of(&Order::Environment { is_first: true, variables: Vec::new() });
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode_order(&bytes), Err(WireError::Short));
}

#[test]
fn the_greeting_has_this_form_in_every_version() {
    let hello = bytes_of(&Order::Hello { version: 0x0201, umask: 0o022 });
    assert_eq!(hello, b"\x01OCKP\x01\x02\x12\0\0\0");
    let turned = bytes_of(&Report::Turned { version: 0x0201, why: Turned::Busy });
    assert_eq!(turned, b"\x20OCKP\x01\x02\x01");
    let hello = bytes_of(&Report::Hello { version: 0x0201, pid: 3 });
    assert_eq!(hello, b"\x01OCKP\x01\x02\x03\0\0\0");
    let reports = decode_report(b"\x01HTTP\x01\x02\x03\0\0\0");
    assert_eq!(reports, Err(WireError::Unknown("protocol")));
}

#[test]
fn a_time_beyond_the_year_9999_is_refused() {
    let mut bytes = vec![0; 1 + 16 + 4 + 4 + 8];
    bytes[0] = 37;
    bytes.extend_from_slice(&u64::MAX.to_le_bytes());
    bytes.extend_from_slice(&[0; 64]);
    assert_eq!(decode_report(&bytes), Err(WireError::Unknown("time")));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let reason = String::from("é").repeat(2_000);
    let end = End::NotStarted(reason);
    let last_exit = Some(LastExit { time: Wall::from_micros(1), end });
    let bytes = Note { last_exit, ..Note::default() }.encode();
    assert!(bytes.len() <= NOTE_MAX_BYTES);
    let Some(LastExit { end: End::NotStarted(kept), .. }) = Note::decode(&bytes).last_exit else {
        panic!("the last exit is there");
    };
    assert_eq!(kept.len(), 512);
}

#[test]
fn a_note_of_another_version_says_nothing() {
    let mut bytes = Note { starts: 3, ..Note::default() }.encode();
    bytes[0] = 2;
    assert_eq!(Note::decode(&bytes), Note::default());
    assert_eq!(Note::decode(&[]), Note::default());
}
