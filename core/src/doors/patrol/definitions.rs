//! Apps and services as definitions of instances, and their initial desired state.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::access::Group;
use super::config::{App, Common, Config, KeepAlive, Service, Verb as ConfigVerb};
use super::label::Label as Id;
use super::launch::{Launch as AppLaunch, log_root};
use crate::ids::{InstanceId, Revision};
use crate::instance::{
    BackoffPolicy, BeatVia, Boot, Definition, Desired, Exec, Goal, Label, Launch, Liveness, Meta,
    Origin, Output, Policy, Rare, Restart, Setup, StopPolicy, StopStep, Verb, Verbs,
};
use crate::process::{Scope, Signal};
use crate::url::InstanceUrl;

/// How long each signal of a stop may work before the next one, in ms.
const STEP_MS: u64 = 5_000;

/// The longest delay before a restart, in ms.
const BACKOFF_LONGEST_MS: u64 = 60_000;

/// After how long a run counts as healthy, in ms.
const HEALTHY_MS: u64 = 600_000;

/// The definition of an app or service, without its id.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its definition; the id means nothing.
    pub definition: Definition,
    /// Its desired state if it is new; its CAS has no meaning.
    pub initial: Desired,
}

/// The name of an app or service among all instances: `app/web`.
pub fn instance_label(group: Group, id: &str) -> Label {
    Label(format!("{}/{id}", group.as_str()))
}

/// The definitions of a configuration, apps first.
pub fn definitions(config: &Config) -> impl Iterator<Item = Planned> + '_ {
    let apps = config.apps.iter().map(|(id, one)| app(config, id, one));
    let services = config.services.iter().map(|(id, one)| service(config, id, one));
    apps.chain(services)
}

fn app(config: &Config, id: &Id, app: &App) -> Planned {
    let launch = AppLaunch::new(id, app, &config.listen_http, &config.listen_udp);
    let env: BTreeMap<String, String> = launch
        .environment([])
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let timeout_ms = config.ping_timeout_s * 1_000;
    let beat = |via| Liveness::Beat { via, timeout_ms, grace_ms: 2 * timeout_ms };
    let liveness = match app.keep_alive {
        KeepAlive::Patrol => Liveness::Exit,
        KeepAlive::PidFile => Liveness::PidFile {
            path: app.pid_file().unwrap_or_default(),
            every_ms: config.tick_every_s * 1_000,
            verify: app.pid_verify,
        },
        KeepAlive::Http => beat(BeatVia::Http),
        KeepAlive::Udp => beat(BeatVia::Udp),
    };
    let run_limit_ms = (app.execute_timeout_s > 0).then(|| app.execute_timeout_s * 1_000);
    // First at once; a backoff of 0 begins with 1 s then.
    let policy = Policy { run_limit_ms, ..policy(config, 0, BACKOFF_LONGEST_MS) };
    let exec = Exec {
        shown: url(Group::App, id),
        argv: launch.argv,
        output: Output::Files { directory: log_root(app), merge: app.std_merge },
    };
    let setup = Setup {
        cwd: Some(launch.directory),
        env,
        clear_env: !launch.env_parent,
        ..Setup::default()
    };
    let definition = Definition {
        setup: setup.into(),
        ..definition(Group::App, id, &app.name, Launch::Exec(exec), policy, liveness, &app.common)
    };
    Planned { definition, initial: initial(&app.common) }
}

fn service(config: &Config, id: &Id, service: &Service) -> Planned {
    let tick_ms = config.tick_every_s * 1_000;
    let verb = |verb: ConfigVerb| Verb {
        argv: service.command(verb),
        ignored_codes: service.ignored[verb as usize].clone(),
    };
    let launch = Launch::Verbs(Box::new(Verbs {
        shown: url(Group::Service, id),
        start: verb(ConfigVerb::Start),
        status: verb(ConfigVerb::Status),
        stop: verb(ConfigVerb::Stop),
        restart: verb(ConfigVerb::Restart),
    }));
    let liveness = Liveness::Probe { every_ms: tick_ms, timeout_ms: ConfigVerb::Status.limit_ms() };
    let policy = policy(config, tick_ms, tick_ms);
    let (name, common) = (&service.name, &service.common);
    let definition = definition(Group::Service, id, name, launch, policy, liveness, common);
    Planned { definition, initial: initial(common) }
}

fn definition(
    group: Group,
    id: &Id,
    name: &str,
    launch: Launch,
    policy: Policy,
    liveness: Liveness,
    common: &Common,
) -> Definition {
    Definition {
        id: InstanceId(0),
        revision: Revision::FIRST,
        label: Some(instance_label(group, id.as_str())),
        origin: Origin::Config,
        alias: name.into(),
        launch,
        setup: Rare::default(),
        policy,
        liveness,
        checks: Rare::default(),
        clears_values: common.values_clear,
        meta: Meta::default(),
    }
}

fn policy(config: &Config, first_ms: u64, longest_ms: u64) -> Policy {
    let step = |signal, wait_ms| StopStep { signal, wait_ms };
    let steps = alloc::vec![
        step(Signal::USR1, STEP_MS),
        step(Signal::TERM, STEP_MS),
        step(Signal::KILL, 0)
    ];
    let mut stop = StopPolicy::new(steps, Scope::Group).expect("three steps are allowed");
    stop.restart_signal = Some(Signal::USR2);
    Policy {
        restart: Restart::Always,
        limit: None,
        boot: Boot::Saved,
        backoff: BackoffPolicy { first_ms, longest_ms, healthy_ms: HEALTHY_MS, prompt_ms: None },
        stop,
        run_limit_ms: None,
        history: u16::try_from(config.history).unwrap_or(u16::MAX),
        lease_ms: None,
    }
}

fn initial(common: &Common) -> Desired {
    let goal = if common.disabled { Goal::Down } else { Goal::Up };
    Desired { goal, values: common.values.to_texts(), ..Desired::default() }
}

fn url(group: Group, id: &Id) -> InstanceUrl {
    InstanceUrl::parse(&format!("{}://{id}", group.as_str())).expect("a label is a host name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::patrol::config::Reader;
    use alloc::vec::Vec;

    #[test]
    fn apps_and_services_become_definitions() {
        let app = |keep_alive: u8| {
            format!(
                r#"{{"keepalive":{keep_alive},"name":"App","working-directory":"/srv","binary":"web",
                "log-directory":"logs","pid-path":"p","env":["a=b","PATROL_ID=x","bare"],
                "execute-timeout":3,"keyvalue":{{"a":1}}}}"#
            )
        };
        let file = format!(
            r#"{{"apps":{{"one":{},"two":{},"three":{},"four":{}}},"tick-every":7,"ping-timeout":9,
            "services":{{"ssh":{{"management":2,"name":"SSH","service":"ssh","disabled":true,
            "ignore-exit-codes-stop":[3],"keyvalue-clear":true}}}}}}"#,
            app(1),
            app(2),
            app(3),
            app(4)
        );
        let reader = Reader { home: None, defaults: true };
        let config = Config::load(file.as_bytes(), reader).expect(&file).config;
        let planned: Vec<Planned> = definitions(&config).collect();
        insta::assert_debug_snapshot!(planned);
    }
}
