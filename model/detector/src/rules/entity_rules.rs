//! Which rules watch an entity, and what they say of a step.

use super::battery::Battery;
use super::beyond::Beyond;
use super::cold_room::ColdRoom;
use super::cold_store::{ColdRange, ColdStore};
use super::damp::Damp;
use super::flow::Flow;
use super::production::{self, Production};
use super::reports::Reports;
use super::running::{self, Load, Running};
use crate::class::DeviceClass;
use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::reading::EntityInfo;
use crate::statistics::shape::{Shape, is_outdoor};
use crate::unit::Conversion;

/// An appliance that draws this much costs money, or does harm, when it is forgotten.
const HARM_WATTS: f32 = 500.0;

/// What the rules see of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleInput<'a> {
    /// In the unit that is shown; none while it is not known.
    pub(crate) value: Option<f32>,
    /// The last that was said, however long ago; none once the entity is unavailable. A plug that reports changes only is silent while
    /// it rests.
    pub(crate) standing: Option<f32>,
    /// Of an on/off entity.
    pub(crate) state: Option<bool>,
    /// Changes of that state within the step.
    pub(crate) switches: u32,
    /// Whether a report with a value came.
    pub(crate) reported: bool,
    /// Whether the rest of the home reported lately.
    pub(crate) home_alive: bool,
    /// What a counter counted between two reports, and the seconds between them.
    pub(crate) counted: Option<(f64, i64)>,
    /// Of the home's day, [0, 24).
    pub(crate) hour: f32,
    /// What the home's light sensors show, by entity.
    pub(crate) lights: &'a [(u32, f32)],
    /// Whether something warms the home's rooms.
    pub(crate) heats: bool,
}

/// The rules of one entity.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntityRules {
    running: Option<Running>,
    flow: Option<Box<Flow>>,
    cold_store: Option<ColdStore>,
    cold_room: Option<Box<ColdRoom>>,
    damp: Option<Box<Damp>>,
    battery: Option<Battery>,
    reports: Option<Reports>,
    production: Option<Production>,
    beyond: Option<Beyond>,
    /// From the shown unit to the one that the rule counts in.
    factor: f32,
    celsius: Option<Conversion>,
    from_celsius: Option<Conversion>,
}

impl EntityRules {
    pub(crate) fn new(info: &EntityInfo) -> Self {
        let class = info.class;
        let mut rules = Self { factor: 1.0, celsius: info.to_celsius(), ..Self::default() };
        rules.from_celsius = Conversion::between(class, "°C", &info.unit);
        if class.is_binary() {
            let stays = matches!(
                class,
                DeviceClass::Door
                    | DeviceClass::Window
                    | DeviceClass::Opening
                    | DeviceClass::Motion
                    | DeviceClass::GenericBinary
            );
            rules.running = stays.then(Running::new);
            return rules;
        }
        if let Some(watts) = info.watts() {
            rules.factor = watts;
            rules.beyond = (class == DeviceClass::Power).then(Beyond::new);
            if production::is_named(&info.entity_id) {
                // One alarm for a fault: the energy meters of a roof follow its power.
                rules.production = (class == DeviceClass::Power).then(Production::new);
            } else if class != DeviceClass::Energy {
                rules.running = Some(Running::new());
            }
        } else if let Some(litres) = info.litres_per_hour() {
            rules.factor = litres;
            rules.flow = Some(Box::new(Flow::new()));
        } else {
            rules.reports = Some(Reports::new());
            if class == DeviceClass::Temperature {
                rules.cold_store = Some(ColdStore::default());
                rules.cold_room = (!is_outdoor(&info.entity_id)).then(|| Box::new(ColdRoom::new()));
            } else if class == DeviceClass::Humidity && !is_outdoor(&info.entity_id) {
                rules.damp = Some(Box::new(Damp::new()));
            } else if class == DeviceClass::Battery {
                rules.battery = Some(Battery::new());
                rules.reports = None;
            }
        }
        rules
    }

    /// Whether it follows what produces power.
    pub(crate) fn is_roof(&self) -> bool {
        self.production.is_some()
    }

    /// Takes a step; the gravest finding.
    pub(crate) fn step(&mut self, info: &EntityInfo, shape: &Shape, input: &RuleInput<'_>) -> Option<Finding> {
        let value = input.value.map(|value| value * self.factor);
        let standing = input.standing.map(|value| value * self.factor);
        let celsius = |value: f32| self.celsius.map_or(value, |way| way.apply(f64::from(value)) as f32);
        let found = self.cold_store.as_mut().and_then(|store| store.step(input.value.map(celsius)));
        let room = self.cold_room.as_mut().and_then(|room| room.step(input.value.map(celsius), input.heats));
        let damp = self.damp.as_mut().and_then(|damp| damp.step(input.value));
        // What is usual is told in the unit that is shown.
        let shown = |celsius: f32| self.from_celsius.map_or(celsius, |way| way.apply(f64::from(celsius)) as f32);
        let cold = found.map(|finding| Finding { usual: shown(finding.usual), ..finding });
        let room =
            room.map(|finding| Finding { amount: shown(finding.amount), usual: shown(finding.usual), ..finding });
        // What is kept cold is no room.
        let room = room.filter(|_| !self.cold_store.as_ref().is_some_and(ColdStore::is_learnt));
        let factor = self.factor;
        let flow = self.flow.as_mut().and_then(|flow| match info.class.counter() {
            true => flow.count(input.counted.map(|(count, seconds)| (count as f32 * factor, seconds))),
            false => flow.measure(value),
        });
        let running = self.running.as_mut().and_then(|running| {
            if info.class.is_binary() {
                running.step(input.state, input.switches);
                return running
                    .finding(Load::Switch {
                        class: info.class,
                        keeps_shut: running::keeps_shut(&info.entity_id, info.class),
                    })
                    .filter(|finding| finding.kind == AnomalyKind::Running);
            }
            let Shape::Switched { gate, peak } = *shape else {
                running.step(None, 0);
                return None;
            };
            running.step(input.standing.map(|value| value >= gate), 0);
            let harms = peak * self.factor >= HARM_WATTS || running::heats(&info.entity_id);
            running.finding(Load::Appliance { harms })
        });
        let production = self.production.as_mut().and_then(|roof| roof.step(value, standing, input.hour, input.lights));
        // What moves with the hours has statistics.
        let rests = self.production.is_some() || shape.may_rest();
        let beyond = self.beyond.as_mut().and_then(|beyond| beyond.step(value)).filter(|_| rests);
        let beyond =
            beyond.map(|found| Finding { amount: found.amount / factor, usual: found.usual / factor, ..found });
        let battery = self.battery.as_mut().and_then(|battery| battery.step(input.value));
        let reports = self.reports.as_mut().and_then(|reports| reports.step(input.reported, input.home_alive));
        cold.or(flow).or(running).or(room).or(damp).or(production).or(beyond).or(battery).or(reports)
    }

    /// What a fortnight says an entity is; `median` and `usual` (its 99 % quantile) in the shown unit.
    pub(crate) fn learn(&mut self, info: &EntityInfo, median: f32, usual: f32) {
        if let Some(store) = &mut self.cold_store {
            let outdoor = is_outdoor(&info.entity_id);
            let celsius = |value: f32| self.celsius.map_or(value, |way| way.apply(f64::from(value)) as f32);
            store.learn(ColdRange::of(&info.entity_id, outdoor, celsius(median), celsius(usual)));
        }
        if let Some(damp) = &mut self.damp {
            damp.learn(median);
        }
    }

    /// What it watches for already.
    pub(crate) fn watching(&self) -> impl Iterator<Item = AnomalyKind> {
        let of = |learnt: bool, kind| learnt.then_some(kind);
        [
            of(self.cold_store.as_ref().is_some_and(ColdStore::is_learnt), AnomalyKind::Warm),
            of(self.flow.as_ref().is_some_and(|flow| flow.is_learnt()), AnomalyKind::Leak),
            of(self.running.as_ref().is_some_and(Running::is_learnt), AnomalyKind::Running),
            of(self.battery.is_some(), AnomalyKind::Battery),
        ]
        .into_iter()
        .flatten()
    }

    /// Steps passed that nobody saw: nothing that lasted then lasts on.
    pub(crate) fn skip(&mut self) {
        if let Some(running) = &mut self.running {
            running.lose();
        }
        if let Some(flow) = &mut self.flow {
            flow.lose();
        }
        if let Some(damp) = &mut self.damp {
            damp.lose();
        }
        if let Some(room) = &mut self.cold_room {
            room.lose();
        }
        if let Some(reports) = &mut self.reports {
            reports.lose();
        }
    }

    pub(crate) fn next_day(&mut self) {
        if let Some(running) = &mut self.running {
            running.next_day();
        }
        if let Some(flow) = &mut self.flow {
            flow.next_day();
        }
        if let Some(damp) = &mut self.damp {
            damp.next_day();
        }
        if let Some(room) = &mut self.cold_room {
            room.next_day();
        }
        if let Some(battery) = &mut self.battery {
            battery.next_day();
        }
        if let Some(reports) = &mut self.reports {
            reports.next_day();
        }
        if let Some(production) = &mut self.production {
            production.next_day();
        }
        if let Some(beyond) = &mut self.beyond {
            beyond.next_day();
        }
    }
}
