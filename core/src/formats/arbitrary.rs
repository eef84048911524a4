//! Arbitrary definitions, desires and totals, for property tests.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::counters::{Counter, Counters, SavedTotals};
use crate::ids::{InstanceId, Revision, RunId};
use crate::instance::{
    BackoffPolicy, BeatVia, Boot, Cas, Checks, Definition, Desired, Exec, Goal, HISTORY_MAX, Label,
    Launch, Liveness, Meta, Once, Origin, Output, Peer, Policy, Restart, RestartLimit, Setup,
    StopPolicy, StopStep, Verb, Verbs,
};
use crate::process::{Scope, Signal};
use crate::url::InstanceUrl;

/// Any short text.
pub(crate) fn text() -> BoxedStrategy<String> {
    "[a-z\"\\\\é\u{1}/ ]{0,12}".boxed()
}

fn map() -> BoxedStrategy<BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3).boxed()
}

fn url() -> BoxedStrategy<InstanceUrl> {
    let url = |(scheme, rest): (String, String)| {
        InstanceUrl::parse(&format!("{scheme}://h?{rest}")).expect("a URL")
    };
    ("[a-d]{1,4}", "[a-z=&]{0,12}").prop_map(url).boxed()
}

fn argv() -> BoxedStrategy<Vec<String>> {
    vec(text(), 1..4).boxed()
}

fn verb() -> BoxedStrategy<Verb> {
    let codes = vec(any::<u8>(), 0..3);
    (argv(), codes).prop_map(|(argv, ignored_codes)| Verb { argv, ignored_codes }).boxed()
}

fn launch() -> BoxedStrategy<Launch> {
    let files =
        (text(), any::<bool>()).prop_map(|(directory, merge)| Output::Files { directory, merge });
    let output = prop_oneof![Just(Output::Pipe), files];
    let exec = (url(), argv(), output)
        .prop_map(|(shown, argv, output)| Launch::Exec(Exec { shown, argv, output }));
    let verbs = (url(), [verb(), verb(), verb(), verb()]).prop_map(
        |(shown, [start, status, stop, restart])| {
            Launch::Verbs(Box::new(Verbs { shown, start, status, stop, restart }))
        },
    );
    prop_oneof![url().prop_map(Launch::Runtime), exec, verbs].boxed()
}

fn setup() -> BoxedStrategy<Setup> {
    let texts = [option::of(text()), option::of(text()), option::of(text())];
    let limits = [any::<Option<u64>>(), any::<Option<u64>>()];
    (texts, any::<Option<u16>>(), map(), any::<bool>(), limits)
        .prop_map(|([user, group, cwd], umask, env, clear_env, [open_files, memory_bytes])| Setup {
            user,
            group,
            umask,
            cwd,
            env,
            clear_env,
            open_files,
            memory_bytes,
        })
        .boxed()
}

fn signal() -> BoxedStrategy<Signal> {
    (1..=Signal::MAX).prop_map(|number| Signal::new(number).expect("in range")).boxed()
}

fn stop() -> BoxedStrategy<StopPolicy> {
    let step = (signal(), any::<u64>()).prop_map(|(signal, wait_ms)| StopStep { signal, wait_ms });
    let scope = prop_oneof![Just(Scope::Group), Just(Scope::Leader)];
    (vec(step, 1..=StopPolicy::STEPS_MAX), scope, option::of(signal()))
        .prop_map(|(steps, scope, restart_signal)| {
            let mut stop = StopPolicy::new(steps, scope).expect("an allowed number of steps");
            stop.restart_signal = restart_signal;
            stop
        })
        .boxed()
}

fn policy() -> BoxedStrategy<Policy> {
    let restart =
        prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)];
    let limit =
        (any::<u32>(), any::<u64>()).prop_map(|(max, window_ms)| RestartLimit { max, window_ms });
    let boot = prop_oneof![Just(Boot::Restart), Just(Boot::Saved), Just(Boot::Always)];
    let backoff = (any::<[u64; 3]>(), any::<Option<u64>>()).prop_map(|(delays_ms, prompt_ms)| {
        let [first_ms, longest_ms, healthy_ms] = delays_ms;
        BackoffPolicy { first_ms, longest_ms, healthy_ms, prompt_ms }
    });
    let times = any::<[Option<u64>; 2]>();
    (restart, option::of(limit), boot, backoff, stop(), times, 0..=HISTORY_MAX)
        .prop_map(|(restart, limit, boot, backoff, stop, [run_limit_ms, lease_ms], history)| {
            Policy { restart, limit, boot, backoff, stop, run_limit_ms, history, lease_ms }
        })
        .boxed()
}

fn liveness() -> BoxedStrategy<Liveness> {
    let via = prop_oneof![Just(BeatVia::Http), Just(BeatVia::Udp)];
    prop_oneof![
        Just(Liveness::Exit),
        (any::<u64>(), any::<bool>()).prop_map(|(silence_ms, error_mark)| {
            Liveness::Checkpoint { silence_ms, error_mark }
        }),
        (text(), any::<u64>(), any::<bool>())
            .prop_map(|(path, every_ms, verify)| Liveness::PidFile { path, every_ms, verify }),
        (via, any::<[u64; 2]>()).prop_map(|(via, [timeout_ms, grace_ms])| {
            Liveness::Beat { via, timeout_ms, grace_ms }
        }),
        any::<[u64; 2]>()
            .prop_map(|[every_ms, timeout_ms]| Liveness::Probe { every_ms, timeout_ms }),
    ]
    .boxed()
}

/// Any definition.
pub(crate) fn definition() -> BoxedStrategy<Definition> {
    let origin = prop_oneof![
        Just(Origin::Api),
        Just(Origin::Config),
        Just(Origin::Manifest),
        Just(Origin::Fleet)
    ];
    let name = (0..4u32, any::<u64>(), option::of(text()), origin, text());
    let peer = [text(), text(), text()].prop_map(|[sid, kind, alias]| Peer { sid, kind, alias });
    let meta = (peer, map()).prop_map(|(peer, tags)| Meta { peer, tags });
    (name, launch(), setup(), policy(), liveness(), any::<bool>(), meta)
        .prop_map(
            |(
                (id, revision, label, origin, alias),
                launch,
                setup,
                policy,
                liveness,
                clears_values,
                meta,
            )| {
                Definition {
                    id: InstanceId(id),
                    revision: Revision(revision),
                    label: label.map(Label),
                    origin,
                    alias,
                    checks: Checks::of(&launch).into(),
                    launch,
                    setup: setup.into(),
                    policy,
                    liveness,
                    clears_values,
                    meta,
                }
            },
        )
        .boxed()
}

/// Anything that may be desired of an instance.
pub(crate) fn desired() -> BoxedStrategy<Desired> {
    let goal = prop_oneof![Just(Goal::Up), Just(Goal::Down)];
    let once = prop_oneof![Just(Once::No), Just(Once::Armed), Just(Once::Consumed)];
    (goal, once, any::<bool>(), map(), any::<u64>())
        .prop_map(|(goal, once, restart, values, cas)| Desired {
            goal,
            once,
            restart,
            values,
            cas: Cas(cas),
        })
        .boxed()
}

fn counter() -> BoxedStrategy<Counter> {
    (any::<u64>(), any::<[u64; 2]>())
        .prop_map(|(base, [one, other])| Counter {
            base,
            reset_point: one.min(other),
            last_raw: one.max(other),
        })
        .boxed()
}

/// Any numbers of an instance.
pub(crate) fn totals() -> BoxedStrategy<SavedTotals> {
    let run = option::of(any::<u128>().prop_map(RunId));
    (any::<i32>(), [counter(), counter(), counter(), counter()], run)
        .prop_map(|(mode, [tcprx, tcptx, udprx, udptx], run)| SavedTotals {
            mode,
            counters: Counters { tcprx, tcptx, udprx, udptx },
            run,
        })
        .boxed()
}
