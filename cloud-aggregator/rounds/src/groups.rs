//! Groups of homes whose deltas are masked: who is in which, and what each exchange makes of what they sent. Pure but for what is read from
//! the store.
//!
//! The server's side of the protocol ([`Server`]) lies in the store as it writes itself; what homes send is checked against it when it
//! comes, and taken into it when the exchange is closed.

use std::collections::BTreeMap;

use hearthwatch_detector::network::PARAMETER_COUNT;
use hearthwatch_masking::{
    AdvertiseKeys, Body, BodyError, Ended, Exchange, GroupPlan, GroupStart, GroupSum, MaskedInput, Place, PublicKeys,
    Refused, Server, ShareDelivery, ShareKeys, Unmask, from_bytes, into_groups, to_bytes,
};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::RoundRefusal;
use hearthwatch_protocol::round::{MaskAnswer, MaskExchange, MaskTerms, ROUND_SECONDS_MAX, RoundFile};
use hearthwatch_store::rounds::{GroupRow, RoundHomeRow, RoundHomeState, RoundStage};
use hearthwatch_store::{Store, StoreError, StoreResult};
use rand::Rng;

use super::settings::RoundSettings;

/// A group, and what its homes are sent next, by home.
pub(super) struct Opened {
    /// As it is stored.
    pub row: GroupRow,
    /// Its homes.
    pub homes: Vec<HomeId>,
    /// Bodies of requests; none where the group has ended.
    pub bodies: BTreeMap<HomeId, Vec<u8>>,
    /// Homes that are to blame for something, with what.
    pub blamed: BTreeMap<HomeId, String>,
}

impl Opened {
    /// A group that ended without a sum; nothing of what homes sent in it is kept.
    pub(super) fn over(plan: &GroupPlan, reason: String) -> Self {
        let row = GroupRow { round: plan.round, number: plan.group, state: Vec::new(), sum: None, reason };
        Self { row, homes: plan.homes.clone(), bodies: BTreeMap::new(), blamed: BTreeMap::new() }
    }
}

/// Homes whose deltas are in the sum of a group.
pub(super) fn masked(server: &Server) -> Vec<HomeId> {
    server.masked().filter_map(|place| server.plan().home(place).cloned()).collect()
}

/// Why the sum of a group may not be used: a home whose delta is in it withdrew or was excluded since, and it cannot be taken out.
pub(super) fn spoilt(server: &Server, rows: &[RoundHomeRow], excluded: &BTreeMap<HomeId, String>) -> Option<String> {
    masked(server).into_iter().find_map(|home| {
        if let Some(reason) = excluded.get(&home) {
            return Some(format!("{home} is in it and cannot be taken out: {reason}"));
        }
        let withdrew = rows.iter().any(|row| row.home == home && row.state == RoundHomeState::Declined);
        withdrew.then(|| format!("{home} is in it and withdrew"))
    })
}

/// Whether `bytes` are what the exchange asks for, of the home of `row`. Nothing is changed.
pub(super) fn check(
    store: &dyn Store,
    row: &RoundHomeRow,
    answer: &MaskAnswer,
    bytes: &[u8],
) -> StoreResult<Result<(), RoundRefusal>> {
    if RoundFile::of(bytes) != answer.file {
        return Ok(Err(RoundRefusal::Digest));
    }
    if answer.exchange == MaskExchange::Keys {
        return Ok(from_bytes::<PublicKeys>(bytes).map(drop).map_err(|_| RoundRefusal::Malformed));
    }
    // Without a request, or without a state, its group has ended.
    let Some(group) = store.round_group(row.round, &row.home)?.filter(|group| !group.state.is_empty()) else {
        return Ok(Err(RoundRefusal::Late));
    };
    let mut server = server(&group)?;
    let Some(place) = server.plan().place(&row.home) else { return Ok(Err(RoundRefusal::NotInCohort)) };
    Ok(take(&mut server, answer.exchange, place, bytes))
}

/// The server's side of a stored group.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(super) fn server(group: &GroupRow) -> StoreResult<Server> {
    let corrupt = |error: BodyError| StoreError::Corrupt {
        table: "round_groups",
        cause: format!("group {} of round {}: {error}", group.number, group.round),
    };
    from_bytes_of_any_length(&group.state).map_err(corrupt)
}

/// Takes what the home at `place` sent in an exchange.
fn take(server: &mut Server, exchange: MaskExchange, place: Place, bytes: &[u8]) -> Result<(), RoundRefusal> {
    fn own<T: Body>(bytes: &[u8], place: Place, from: impl Fn(&T) -> Place) -> Result<T, RoundRefusal> {
        let message: T = from_bytes(bytes).map_err(|_| RoundRefusal::Malformed)?;
        if from(&message) == place { Ok(message) } else { Err(RoundRefusal::Malformed) }
    }
    let taken = match exchange {
        // Before there is a group.
        MaskExchange::Keys => return Err(RoundRefusal::Late),
        MaskExchange::Shares => server.share_keys(own(bytes, place, |message: &ShareKeys| message.from)?),
        MaskExchange::Masked => server.mask(&own(bytes, place, |message: &MaskedInput| message.from)?),
        MaskExchange::Opened => server.unmask(&own(bytes, place, |message: &Unmask| message.from)?),
    };
    taken.map_err(|refused| match refused {
        Refused::OtherGroup => RoundRefusal::Base,
        Refused::OutOfTurn { .. } => RoundRefusal::Late,
        Refused::Stranger => RoundRefusal::NotInCohort,
        Refused::Twice => RoundRefusal::Duplicate,
        Refused::Wrong(_) => RoundRefusal::Malformed,
    })
}

/// Draws groups of homes by what they sent as their keys, and opens the exchange of shares in each. No groups where the homes are fewer than
/// the terms promise.
///
/// # Errors
/// What the library refuses of plans: nothing within the terms.
pub(super) fn draw(
    round: u64,
    terms: &MaskTerms,
    keys: &BTreeMap<HomeId, PublicKeys>,
    rng: &mut impl Rng,
) -> Result<Vec<Opened>, String> {
    if keys.len() < usize::from(terms.group) {
        return Ok(Vec::new());
    }
    let groups = into_groups(keys.keys().cloned().collect(), terms.group.into(), rng);
    let open = |(number, mut homes): (u32, Vec<HomeId>)| {
        homes.sort();
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let threshold = terms.threshold_of(homes.len());
        let words = u32::try_from(PARAMETER_COUNT).unwrap_or(u32::MAX);
        let plan = GroupPlan { round, group: number, nonce, homes, threshold, words };
        start(plan, keys)
    };
    (0..).zip(groups).map(open).collect()
}

fn start(plan: GroupPlan, keys: &BTreeMap<HomeId, PublicKeys>) -> Result<Opened, String> {
    let mut server = Server::new(plan.clone()).map_err(|error| error.to_string())?;
    let mut blamed = BTreeMap::new();
    for (home, place) in plan.homes.iter().zip((0..).map(Place)) {
        let Some(keys) = keys.get(home).copied() else { continue };
        if let Err(refused) = server.advertise(&AdvertiseKeys { group: plan.digest(), from: place, keys }) {
            blamed.insert(home.clone(), refused.to_string());
        }
    }
    match server.close_advertise() {
        Ok(roster) => {
            let body = to_bytes(&GroupStart { plan: plan.clone(), roster }).map_err(|error| error.to_string())?;
            let bodies = plan.homes.iter().filter(|home| !blamed.contains_key(*home));
            let bodies = bodies.map(|home| (home.clone(), body.clone())).collect();
            Ok(Opened { row: going_on(&server)?, homes: plan.homes, bodies, blamed })
        }
        Err(ended) => Ok(over(&plan, &ended, blamed)),
    }
}

/// Takes what homes of a group sent in the exchange that is open, closes it, and opens the next. `bodies` are of homes whose answers were
/// taken; what cannot be used now is somebody's who changed the store.
///
/// # Errors
/// What cannot be written.
pub(super) fn close(
    mut server: Server,
    exchange: MaskExchange,
    bodies: &BTreeMap<HomeId, Vec<u8>>,
) -> Result<Opened, String> {
    let plan = server.plan().clone();
    let mut blamed = BTreeMap::new();
    for (home, place) in plan.homes.iter().zip((0..).map(Place)) {
        let Some(body) = bodies.get(home) else { continue };
        if let Err(refusal) = take(&mut server, exchange, place, body) {
            blamed.insert(home.clone(), format!("its body is not what was taken: {}", refusal.as_str()));
        }
    }
    let next = next(&mut server, exchange);
    for wrong in server.wrong_shares() {
        if let (Some(by), Some(of)) = (plan.home(wrong.by), plan.home(wrong.of)) {
            blamed.insert(by.clone(), format!("it opened another share of {of} than it was dealt"));
        }
    }
    match next {
        Ok((bodies, sum)) => {
            let row = GroupRow { sum, ..going_on(&server)? };
            Ok(Opened { row, homes: plan.homes, bodies: bodies?, blamed })
        }
        Err(ended) => Ok(over(&plan, &ended, blamed)),
    }
}

type Bodies = Result<BTreeMap<HomeId, Vec<u8>>, String>;

fn next(server: &mut Server, exchange: MaskExchange) -> Result<(Bodies, Option<Vec<u8>>), Ended> {
    let homes = server.plan().homes.clone();
    let at = |place: Place| homes.get(usize::from(place.0)).cloned();
    let write = |body: Result<Vec<u8>, BodyError>| body.map_err(|error| error.to_string());
    match exchange {
        MaskExchange::Keys | MaskExchange::Shares => {
            let deliveries = server.close_share()?;
            let one = |delivery: ShareDelivery| {
                let body = write(to_bytes(&delivery));
                at(delivery.to).map(|home| body.map(|body| (home, body)))
            };
            Ok((deliveries.into_iter().filter_map(one).collect(), None))
        }
        MaskExchange::Masked => {
            let request = server.close_mask()?;
            let body = write(to_bytes(&request));
            let one = |place: &Place| at(*place).map(|home| body.clone().map(|body| (home, body)));
            Ok((request.masked.iter().filter_map(one).collect(), None))
        }
        MaskExchange::Opened => {
            let GroupSum { words, .. } = server.close_unmask()?;
            let sum = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            Ok((Ok(BTreeMap::new()), Some(sum)))
        }
    }
}

fn going_on(server: &Server) -> Result<GroupRow, String> {
    let state = serde_cbor::to_vec(server).map_err(|error| error.to_string())?;
    let GroupPlan { round, group, .. } = server.plan();
    Ok(GroupRow { round: *round, number: *group, state, sum: None, reason: String::new() })
}

fn from_bytes_of_any_length(bytes: &[u8]) -> Result<Server, BodyError> {
    serde_cbor::from_slice(bytes).map_err(|error| BodyError::Malformed(error.to_string()))
}

/// A group that ended, in words.
fn over(plan: &GroupPlan, ended: &Ended, mut blamed: BTreeMap<HomeId, String>) -> Opened {
    let name = |place: &Place| plan.home(*place).map_or_else(|| place.0.to_string(), ToString::to_string);
    let reason = match ended {
        Ended::Accused { dealer, by } => {
            let by: Vec<String> = by.iter().map(name).collect();
            format!("{} say that they cannot open the shares of {}", by.join(", "), name(dealer))
        }
        Ended::FalseDealer { dealer } => {
            let what = "dealt out shares of something else than its secrets";
            if let Some(home) = plan.home(*dealer) {
                blamed.insert(home.clone(), format!("it {what}"));
            }
            format!("{} {what}", name(dealer))
        }
        Ended::TooFewShares { dealer, found, needed } => {
            format!("{found} right shares of {} were opened, {needed} are needed", name(dealer))
        }
        Ended::TooFew { exchange, found, needed } => {
            let what = match exchange {
                Exchange::Advertise => "usable keys",
                Exchange::Share => "shares",
                Exchange::Mask => "masked deltas",
                _ => "opened shares",
            };
            format!("{found} of {} homes sent {what}; {needed} are needed", plan.homes.len())
        }
        Ended::OutOfTurn { .. } => ended.to_string(),
    };
    Opened { blamed, ..Opened::over(plan, reason) }
}

/// The terms of a round's masks, as its plans say them; none where its deltas are not masked.
pub(super) fn terms(settings: &RoundSettings, deadline: i64) -> Option<MaskTerms> {
    let masks = settings.masks?;
    // Three exchanges; and the server's own steps between them take seconds.
    let until = deadline.saturating_add(i64::from(masks.exchange_minutes) * 60 * 3 + SLACK_SECONDS);
    Some(MaskTerms { group: masks.group, threshold: masks.threshold, until })
}

/// How long homes wait for requests beyond all exchanges, in seconds: the aggregator may have been down for a while.
const SLACK_SECONDS: i64 = 3_600;

/// Longest time that homes can be given for an exchange, in minutes: 3,340.
pub const EXCHANGE_MINUTES_MAX: u64 = (ROUND_SECONDS_MAX - SLACK_SECONDS).unsigned_abs() / 60 / 3;

/// In which stage a masked round goes on.
pub(super) fn stage_after(stage: RoundStage) -> RoundStage {
    match stage {
        RoundStage::Training => RoundStage::Sharing,
        RoundStage::Sharing => RoundStage::Masking,
        RoundStage::Masking => RoundStage::Unmasking,
        RoundStage::Unmasking => RoundStage::Aggregating,
        other => other,
    }
}
