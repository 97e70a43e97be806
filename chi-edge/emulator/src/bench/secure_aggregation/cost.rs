//! Bytes and time of secure aggregation: the protocol itself, over a thousand homes of which a tenth drops out.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hearthwatch_detector::network::PARAMETER_COUNT;
use hearthwatch_masking::{Ended, GroupPlan, GroupSum, Home, Server, Words, into_groups};
use hearthwatch_protocol::HomeId;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;

/// Homes of the fleet.
const HOMES: usize = 1_000;
/// One home in so many sends nothing after it dealt shares: no other moment costs the server as much.
const DROPS_ONE_IN: usize = 10;

/// Where time and bytes went.
#[derive(Debug, Default)]
struct Cost {
    server: Duration,
    homes: Duration,
    /// Bytes of homes that did not drop out, and how many these are.
    up: usize,
    down: usize,
    stayed: usize,
    groups: usize,
    failed: usize,
}

impl Cost {
    fn by_server<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let value = work();
        self.server += begin.elapsed();
        value
    }

    fn by_homes<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let value = work();
        self.homes += begin.elapsed();
        value
    }
}

fn bytes(message: &impl Serialize) -> anyhow::Result<usize> {
    Ok(serde_cbor::to_vec(message)?.len())
}

/// Prints a row for each size of group.
pub(super) fn print() -> anyhow::Result<()> {
    println!(
        "\nthe protocol over {HOMES} homes of {PARAMETER_COUNT} words, one in {DROPS_ONE_IN} drops out before it sends them"
    );
    println!(
        "{:<14}{:>8}{:>12}{:>14}{:>16}{:>18}{:>14}",
        "", "groups", "no sum", "ms a home", "bytes from it", "bytes to it", "server s"
    );
    for size in [4, 8, 12, 16] {
        let cost = fleet(size)?;
        println!(
            "groups of {size:<4}{:>8}{:>12}{:>14.1}{:>16}{:>18}{:>14.2}",
            cost.groups,
            cost.failed,
            cost.homes.as_secs_f64() * 1e3 / HOMES as f64,
            cost.up / cost.stayed.max(1),
            cost.down / cost.stayed.max(1),
            cost.server.as_secs_f64(),
        );
    }
    Ok(())
}

fn fleet(size: usize) -> anyhow::Result<Cost> {
    let homes = (0..HOMES).map(|home| HomeId::new(format!("home-{home:04}"))).collect::<Result<Vec<_>, _>>()?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut cost = Cost::default();
    for (number, group) in into_groups(homes, size, &mut rng).into_iter().enumerate() {
        let plan = GroupPlan::new(1, number as u32, [7; 16], group, PARAMETER_COUNT as u32)?;
        cost.groups += 1;
        cost.failed += usize::from(run(&plan, &mut rng, &mut cost)?.is_none());
    }
    Ok(cost)
}

/// One group; none where too many dropped out. The sum is compared with the plain one.
fn run(plan: &GroupPlan, rng: &mut ChaCha20Rng, cost: &mut Cost) -> anyhow::Result<Option<GroupSum>> {
    let mut server = Server::new(plan.clone())?;
    let mut homes = Vec::with_capacity(plan.homes.len());
    let (mut up, mut down) = (vec![0; plan.homes.len()], vec![0; plan.homes.len()]);
    for id in &plan.homes {
        let (home, message) = cost.by_homes(|| Home::join(plan.clone(), id, rng))?;
        up[homes.len()] += bytes(&message)?;
        cost.by_server(|| server.advertise(&message))?;
        homes.push(home);
    }
    let roster = cost.by_server(|| server.close_advertise())?;
    for (place, home) in homes.iter_mut().enumerate() {
        let message = cost.by_homes(|| home.share_keys(&roster, rng))?;
        down[place] += bytes(&roster)?;
        up[place] += bytes(&message)?;
        cost.by_server(|| server.share_keys(message))?;
    }
    let mut plain = vec![0_u16; plan.words as usize];
    for delivery in cost.by_server(|| server.close_share())? {
        let place = usize::from(delivery.to.0);
        let id = plan.homes.get(place).context("a place outside the plan")?;
        let number: usize = id.as_str().trim_start_matches("home-").parse()?;
        if number.is_multiple_of(DROPS_ONE_IN) {
            continue;
        }
        let words = Words((0..plan.words).map(|word| (word as u16).wrapping_mul(number as u16)).collect());
        plain.iter_mut().zip(&words.0).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
        let message = cost.by_homes(|| homes[place].mask(&delivery, words))?;
        down[place] += bytes(&delivery)?;
        up[place] += bytes(&message)?;
        cost.by_server(|| server.mask(&message))?;
    }
    let request = match cost.by_server(|| server.close_mask()) {
        Ok(request) => request,
        Err(Ended::TooFew { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for place in request.masked.iter().map(|place| usize::from(place.0)) {
        let message = cost.by_homes(|| homes[place].unmask(&request))?;
        cost.down += down[place] + bytes(&request)?;
        cost.up += up[place] + bytes(&message)?;
        cost.stayed += 1;
        cost.by_server(|| server.unmask(&message))?;
    }
    let sum = cost.by_server(|| server.close_unmask())?;
    anyhow::ensure!(sum.words.0 == plain, "the sum of a group is not that of its words");
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use hearthwatch_federation::SUMMED_HOMES_MAX;
    use hearthwatch_masking::GROUP_HOMES_MAX;
    use hearthwatch_protocol::limits::ROUND_BODY_BYTES_MAX;

    use super::*;

    #[test]
    fn a_message_of_the_largest_group_fits_into_the_body_of_a_rounds_answer_and_its_sum_into_the_words() {
        assert_eq!(GROUP_HOMES_MAX, SUMMED_HOMES_MAX);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ids = (0..GROUP_HOMES_MAX).map(|home| HomeId::new(format!("{home:064}")).unwrap()).collect();
        let plan = GroupPlan::new(1, 0, [7; 16], ids, PARAMETER_COUNT as u32).unwrap();
        let mut server = Server::new(plan.clone()).unwrap();
        let mut homes: Vec<Home> = Vec::new();
        for id in &plan.homes {
            let (home, message) = Home::join(plan.clone(), id, &mut rng).unwrap();
            server.advertise(&message).unwrap();
            homes.push(home);
        }
        let roster = server.close_advertise().unwrap();
        let mut longest = bytes(&roster).unwrap();
        for home in &mut homes {
            let message = home.share_keys(&roster, &mut rng).unwrap();
            longest = longest.max(bytes(&message).unwrap());
            server.share_keys(message).unwrap();
        }
        let delivery = server.close_share().unwrap().remove(0);
        let words = Words(vec![u16::MAX; PARAMETER_COUNT]);
        let masked = homes[0].mask(&delivery, words).unwrap();
        longest = longest.max(bytes(&delivery).unwrap()).max(bytes(&masked).unwrap());
        assert!(longest <= ROUND_BODY_BYTES_MAX, "{longest}");
    }
}
