//! What is intended, and who is to do it: care team, goals and care plan.

use super::calendar::{DAY, YEAR};
use super::chart::Chart;
use super::codes::{Code, hl7, loinc, snomed, us_core};
use super::conditions::Problem;
use super::elements::{loosely_written, named_reference, narrative, period, quantity, reference, words};
use super::json::{Decimal, Object};
use super::output::Kind;
use super::random::{Table, table};

/// Writes the CareTeam, the Goals and the CarePlan that names them.
pub(super) fn write(chart: &mut Chart, problems: &[Problem], relative: Option<&str>) -> anyhow::Result<()> {
    let team = write_team(chart, relative)?;
    let count = 1 + chart.draw.below(2);
    let mut goals = Vec::new();
    for aim in chart.draw.pick_several(&AIMS, count) {
        goals.push(write_goal(chart, aim, problems)?);
    }
    if chart.draw.chance(75) {
        write_plan(chart, problems, &team, &goals)?;
    }
    Ok(())
}

fn write_team(chart: &mut Chart, relative: Option<&str>) -> anyhow::Result<String> {
    let changed = chart.last_change();
    let (address, team) = chart.begin(Kind::CareTeam, changed);
    let site = chart.person.site;
    let clinician = Object::new()
        .list("role", [CLINICIAN.concept()])
        .field("member", chart.clinician().reference())
        .field("onBehalfOf", reference(&site.organization()));
    let patient = Object::new().list("role", [PATIENT.concept()]).field("member", chart.person.reference());
    let relative = relative
        .map(|relative| Object::new().list("role", [words("Family member")]).field("member", reference(relative)));
    let ended = chart.person.death;
    let team = team
        .field("status", if ended.is_some() { "inactive" } else { "active" })
        .list("category", [LONGITUDINAL.concept()])
        .field("name", format!("Care team of {}", chart.person.name.display()))
        .field("subject", chart.person.reference())
        .field("period", period(chart.person.record_start, ended, chart.zone()))
        .list("participant", [clinician, patient].into_iter().chain(relative))
        .list("managingOrganization", [named_reference(&site.organization(), site.name)]);
    chart.put(Kind::CareTeam, team)?;
    Ok(address)
}

fn write_goal(chart: &mut Chart, aim: &Aim, problems: &[Problem]) -> anyhow::Result<String> {
    let start = chart.moment();
    let (address, goal) = chart.begin(Kind::Goal, start);
    let due = start.plus(chart.draw.between(60 * DAY, YEAR));
    let value = loosely_written(aim.value, &mut chart.draw);
    let target = Object::new()
        .field("measure", aim.measure.concept())
        .field("detailQuantity", quantity(value, aim.unit, aim.ucum))
        .field("dueDate", due.date(chart.zone()));
    let goal = goal
        .field("lifecycleStatus", chart.draw.word(&table!["active", "completed", "on-hold"]))
        .field("achievementStatus", chart.draw.pick(&ACHIEVEMENTS).concept())
        .list("category", [aim.category.concept()])
        .field("priority", MEDIUM_PRIORITY.concept())
        .field("description", words(aim.description))
        .field("subject", chart.person.reference())
        .field("startDate", start.date(chart.zone()))
        .list("target", [target])
        .field("expressedBy", chart.person.reference())
        .list("addresses", chart.draw.any(problems).map(Problem::reference));
    chart.put(Kind::Goal, goal)?;
    Ok(address)
}

fn write_plan(chart: &mut Chart, problems: &[Problem], team: &str, goals: &[String]) -> anyhow::Result<()> {
    let start = chart.moment();
    let (_, plan) = chart.begin(Kind::CarePlan, start);
    let end = chart.draw.chance(40).then(|| start.plus(chart.draw.between(30 * DAY, YEAR)));
    let count = 1 + chart.draw.below(3);
    let activities = chart.draw.pick_several(&ACTIVITIES, count).into_iter().map(|activity| {
        let detail = Object::new().field("code", activity.concept()).field("status", "in-progress");
        Object::new().field("detail", detail)
    });
    let text = format!("Plan for {} & family: fewer than <5 visits a year", chart.person.name.display());
    let plan = plan
        .field("text", narrative(&text))
        .field("status", if end.is_some() { "completed" } else { "active" })
        .field("intent", "plan")
        .list("category", [ASSESSMENT_AND_PLAN.bare_concept()])
        .field("title", "Care plan")
        .field("subject", chart.person.reference())
        .field("period", period(start, end, chart.zone()))
        .field("created", start.date(chart.zone()))
        .field("author", chart.clinician().reference())
        .list("careTeam", [reference(team)])
        .list("addresses", problems.iter().map(Problem::reference))
        .list("goal", goals.iter().map(|goal| reference(goal)))
        .list("activity", activities);
    chart.put(Kind::CarePlan, plan)
}

struct Aim {
    description: &'static str,
    category: Code,
    measure: Code,
    value: Decimal,
    unit: &'static str,
    ucum: &'static str,
}

static CLINICIAN: Code = snomed("223366009", "Healthcare professional");
static PATIENT: Code = snomed("116154003", "Patient");
static LONGITUDINAL: Code = loinc("LA28865-6", "Longitudinal care-coordination focused care team");
static ASSESSMENT_AND_PLAN: Code = us_core("careplan-category", "assess-plan", "Assessment and Plan of Treatment");
static MEDIUM_PRIORITY: Code = hl7("goal-priority", "medium-priority", "Medium Priority");

static ACHIEVEMENTS: Table<Code> = table![
    hl7("goal-achievement", "in-progress", "In Progress"),
    hl7("goal-achievement", "improving", "Improving"),
    hl7("goal-achievement", "achieved", "Achieved"),
];

static ACTIVITIES: Table<Code> = table![
    snomed("370995009", "Health risks education"),
    snomed("386516004", "Anticipatory guidance"),
    snomed("229064008", "Movement therapy"),
    snomed("84478008", "Occupational therapy"),
    snomed("711069006", "Coordination of care plan"),
];

static AIMS: Table<Aim> = table![
    Aim {
        description: "Hemoglobin A1c ≤ 7.0 %",
        category: hl7("goal-category", "dietary", "Dietary"),
        measure: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        value: Decimal { units: 70, scale: 1 },
        unit: "%",
        ucum: "%",
    },
    Aim {
        description: "Keep the weight below 80 kg",
        category: hl7("goal-category", "physiotherapy", "Physiotherapy"),
        measure: loinc("29463-7", "Body weight"),
        value: Decimal { units: 8_000, scale: 2 },
        unit: "kg",
        ucum: "kg",
    },
    Aim {
        description: "Systolic pressure under 130 mmHg \"on most days\"",
        category: hl7("goal-category", "behavioral", "Behavioral"),
        measure: loinc("8480-6", "Systolic blood pressure"),
        value: Decimal::whole(130),
        unit: "mmHg",
        ucum: "mm[Hg]",
    },
];
