//! Requests of clients and reports of apps.

use std::collections::BTreeSet;

use openctrl_core::command::{Caller, Command, Desire, Door, Trust};
use openctrl_core::engine::{Engine, Input};
use openctrl_core::ids::{InstanceId, RequestId};
use openctrl_core::instance::{Beat, Cas, Instance, Liveness, Toggle, Values, ValuesEdit};
use openctrl_core::process::Identity;

use super::law::{Law, broken};
use super::nature::Nature;
use super::visits::{Trouble, Visits};
use super::{App, app_of};
use crate::choice::Choices;
use crate::invariants::Violation;

/// The requests that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: BTreeSet<RequestId>,
}

impl Requests {
    /// A request about any instance; maybe twice.
    pub(super) fn draw(
        &mut self,
        choices: &mut Choices,
        engine: &Engine,
        nature: &Nature,
        visits: &mut Visits,
    ) -> Vec<Input> {
        let rows: Vec<&Instance> = rows(engine).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let row = *choices.pick(&rows);
        let cas = row.desired().cas;
        let expect = match choices.below(4) {
            0 => cas,
            1 => {
                visits.happened(Trouble::StaleCas);
                Cas(cas.0.wrapping_sub(1))
            }
            _ => Cas(0),
        };
        let value = Values::from([("k".to_string(), choices.byte().to_string())]);
        let values = match choices.below(6) {
            0 => ValuesEdit::Merge(value),
            1 => ValuesEdit::Replace(value),
            2 => ValuesEdit::Replace(Values::new()),
            _ => ValuesEdit::Merge(Values::new()),
        };
        let toggle = choices.one_in(2).then(|| *choices.pick(&Toggle::ALL));
        let reports = matches!(row.definition().liveness, Liveness::Beat { .. });
        let beat = if reports && !choices.one_in(4) {
            beat(choices, nature, app_of(row.definition()), visits)
        } else {
            None
        };
        let desire = Desire { expect, values, toggle, beat, shows_instance: false };
        let again = beat.is_some() && choices.one_in(4);
        let mut inputs = vec![self.input(row.definition().id, &desire)];
        if again {
            visits.happened(Trouble::PingDouble);
            inputs.push(self.input(row.definition().id, &desire));
        }
        inputs
    }

    /// Every app that reports and lives does so.
    pub(super) fn beats(&mut self, engine: &Engine, nature: &Nature) -> Vec<Input> {
        let mut inputs = Vec::new();
        for row in rows(engine) {
            let app = app_of(row.definition());
            let own = nature.beings.iter().find(|one| one.of == Some(app) && one.dying.is_none());
            if let (Liveness::Beat { .. }, Some(own)) = (&row.definition().liveness, own) {
                let identity = own.identity;
                let beat = Some(Beat { pid: identity.pid, proven: Some(identity) });
                let values = ValuesEdit::Merge(Values::new());
                let desire =
                    Desire { expect: Cas(0), values, toggle: None, beat, shows_instance: false };
                inputs.push(self.input(row.definition().id, &desire));
            }
        }
        inputs
    }

    fn input(&mut self, id: InstanceId, desire: &Desire) -> Input {
        self.last += 1;
        let request = RequestId(self.last);
        self.open.insert(request);
        let caller = Caller { door: Door::Patrol, trust: Trust::Open };
        let command = Command::Desire { id, desire: Box::new(desire.clone()) };
        Input::RequestArrived { request, caller, command }
    }

    pub(super) fn answered(&mut self, request: RequestId) -> Result<(), Violation> {
        if request == RequestId::NONE || self.open.remove(&request) {
            return Ok(());
        }
        broken("INV-4", format!("request {} is answered twice", request.0))
    }

    pub(super) fn all_answered(&self) -> Result<(), Violation> {
        match self.open.first() {
            Some(request) => broken("INV-4", format!("request {} is not answered", request.0)),
            None => Ok(()),
        }
    }
}

/// A report: of the app, of one of its processes that ended, or of anybody.
fn beat(choices: &mut Choices, nature: &Nature, app: App, visits: &mut Visits) -> Option<Beat> {
    let of = |of: Option<App>| -> Vec<Identity> {
        let all = nature.beings.iter().filter(|one| one.of == of);
        all.map(|one| one.identity).collect()
    };
    let (own, strangers) = (of(Some(app)), of(None));
    let pid = match choices.below(8) {
        0 => {
            visits.happened(Trouble::PingWithoutPid);
            return Some(Beat::default());
        }
        1 if !strangers.is_empty() => {
            visits.happened(Trouble::PingOfStranger);
            choices.pick(&strangers).pid
        }
        2 => {
            visits.happened(Trouble::PingLate);
            100 + u32::from(choices.byte() % 16)
        }
        _ if own.is_empty() => return None,
        _ => choices.pick(&own).pid,
    };
    Some(Beat { pid, proven: nature.prove(app, pid) })
}

/// Tells the law of a request.
pub(super) fn tell(law: &mut Law, engine: &Engine, request: RequestId, command: &Command) {
    if let Command::Desire { id, desire } = command {
        law.asked(request, engine, *id, desire);
    }
}

/// What a report is proven to come from.
pub(super) fn proof(input: &Input) -> Option<(InstanceId, Identity)> {
    let Input::RequestArrived { command: Command::Desire { id, desire }, .. } = input else {
        return None;
    };
    Some((*id, desire.beat?.proven?))
}

fn rows(engine: &Engine) -> impl Iterator<Item = &Instance> {
    engine.table().slots().filter_map(|slot| engine.table().get(slot))
}
