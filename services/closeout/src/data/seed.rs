//! A realistic data set made from a seed: 40 customers and 400 opportunities over all stages. The same seed makes the
//! same rows.

use super::{CustomerRow, DataSet, DealRow, Stage};
use fastrand::Rng;
use time::{Date, Duration, macros::date};

/// How many opportunities are made.
const DEALS: usize = 400;
/// The "today" of the made data.
const NEWEST: Date = date!(2025 - 12 - 31);

const CUSTOMERS: [&str; 40] = [
    "华东精密电子",
    "深圳云帆科技",
    "北京远景软件",
    "杭州数澜信息",
    "成都锦江物流",
    "苏州博瑞医疗",
    "广州南方新材料",
    "武汉光谷通信",
    "西安秦岭能源",
    "青岛海诺制造",
    "南京紫金教育",
    "厦门鹭岛跨境电商",
    "重庆山城汽车零部件",
    "天津滨海港务",
    "长沙湘江食品",
    "合肥量子仪器",
    "宁波东方航运",
    "大连金州重工",
    "郑州中原零售",
    "昆明滇池旅游",
    "Harbour Street Logistics",
    "Northwind Instruments",
    "Alder & Finch Consulting",
    "Meridian Health Group",
    "Bluepine Software",
    "Castleford Textiles",
    "Delta Ridge Mining",
    "Evergreen Foods",
    "Fjord Marine Systems",
    "Granite State Bank",
    "Helios Solar",
    "Ironbridge Engineering",
    "Juniper Retail",
    "Kestrel Aviation",
    "Lakeshore Media",
    "Monarch Insurance",
    "Oakfield Pharma",
    "Pacific Rim Trading",
    "Quarry Lane Studios",
    "Redwood Analytics",
];
/// Products with list prices in whole units.
const PRODUCTS: [(&str, i64); 6] = [
    ("CRM 标准版", 6_800),
    ("CRM 企业版", 48_000),
    ("Data Platform", 126_000),
    ("客服工作台", 18_500),
    ("Field Service", 32_000),
    ("实施服务包", 9_600),
];
/// Sales people with their teams.
const PEOPLE: [(&str, &str); 8] = [
    ("wang.lei", "华东"),
    ("li.na", "华东"),
    ("zhang.wei", "华北"),
    ("chen.jing", "华北"),
    ("liu.yang", "华南"),
    ("emma.clark", "Overseas"),
    ("daniel.moore", "Overseas"),
    ("sofia.rossi", "Overseas"),
];

/// Makes the data set of a seed.
pub(crate) fn make(seed: u64) -> DataSet {
    let mut random = Rng::with_seed(seed);
    let customers = CUSTOMERS.iter().enumerate().map(|(index, name)| customer(index, name, &mut random)).collect();
    let deals = (0..DEALS).map(|index| deal(index, &mut random)).collect();
    DataSet {
        source: format!("seed-{seed}"),
        currency: "CNY",
        customers,
        deals,
        files: Vec::new(),
        refused: Vec::new(),
        newest: NEWEST,
    }
}

fn customer(index: usize, name: &str, random: &mut Rng) -> CustomerRow {
    let tier = ["A", "B", "B", "C", "C"][random.usize(..5)];
    let owner = PEOPLE[random.usize(..PEOPLE.len())].0.to_owned();
    CustomerRow { line: index as u64 + 1, name: name.to_owned(), tier, owner }
}

fn deal(index: usize, random: &mut Rng) -> DealRow {
    let stage = match random.u8(..100) {
        0..45 => Stage::Won,
        45..71 => Stage::Lost,
        71..93 => Stage::Engaging,
        _ => Stage::Prospecting,
    };
    let (product, price) = PRODUCTS[random.usize(..PRODUCTS.len())];
    let (owner, team) = PEOPLE[random.usize(..PEOPLE.len())];
    let known = matches!(stage, Stage::Won | Stage::Lost) || random.u8(..100) < 70;
    let customer = CUSTOMERS[random.usize(..CUSTOMERS.len())];
    let (engaged, closed) = dates(stage, random);
    // Won deals end near the list price; what was lost was asked for at the list price.
    let percent = if stage == Stage::Won { random.i64(85..=105) } else { 100 };
    DealRow {
        line: index as u64 + 1,
        number: format!("S-{:05}", index + 1),
        product: product.to_owned(),
        customer: known.then(|| customer.to_owned()),
        owner: owner.to_owned(),
        team: team.to_owned(),
        stage,
        engaged,
        closed,
        amount: price * percent, // hundredths of the price are minor units
        estimated: false,
    }
}

fn dates(stage: Stage, random: &mut Rng) -> (Option<Date>, Option<Date>) {
    let days_ago = |days: i64| NEWEST - Duration::days(days);
    match stage {
        Stage::Prospecting => (None, None),
        // About half of what is still pursued has been for longer than it should.
        Stage::Engaging => (Some(days_ago(random.i64(5..240))), None),
        Stage::Won | Stage::Lost => {
            let closed = random.i64(0..300);
            (Some(days_ago(closed + random.i64(8..140))), Some(days_ago(closed)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        assert_eq!(make(7).deals, make(7).deals);
        assert_ne!(make(7).deals, make(8).deals);
    }

    #[test]
    fn every_seed_has_what_the_demo_needs() {
        for seed in 0..50 {
            let set = make(seed);
            assert_eq!((set.customers.len(), set.deals.len()), (40, 400));
            let limit = set.newest - Duration::days(120);
            let engaging = set.deals.iter().filter(|deal| deal.stage == Stage::Engaging);
            let (stale, fresh): (Vec<_>, Vec<_>) = engaging.partition(|deal| deal.engaged.unwrap() < limit);
            assert!(stale.len() > 10, "seed {seed}");
            assert!(fresh.iter().any(|deal| deal.customer.is_some()), "seed {seed}");
            assert!(set.deals.iter().filter(|deal| deal.stage == Stage::Won).all(|deal| deal.customer.is_some()));
        }
    }

    #[test]
    fn numbers_are_unique_and_dates_are_in_order() {
        let set = make(1);
        assert_eq!(set.deals.iter().map(|deal| &deal.number).collect::<HashSet<_>>().len(), set.deals.len());
        for deal in &set.deals {
            assert!(deal.closed.is_none_or(|closed| deal.engaged.is_some_and(|engaged| engaged <= closed)));
            assert!(deal.closed.or(deal.engaged).is_none_or(|day| day <= set.newest));
        }
    }
}
