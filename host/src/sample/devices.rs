//! Devices that some patients carry, and how they came by them.

use super::calendar::{DAY, YEAR};
use super::chart::Chart;
use super::codes::{Code, snomed};
use super::elements::{identifier, reference, words};
use super::json::Object;
use super::output::Kind;
use super::random::{Table, table};

/// Writes the patient's Device, if there is one, and the Procedure that fitted it.
pub(super) fn write(chart: &mut Chart) -> anyhow::Result<()> {
    if !chart.draw.chance(20) {
        return Ok(());
    }
    let kind = chart.draw.pick(&DEVICES);
    let fitted = chart.moment();
    let (device_address, device) = chart.begin(Kind::Device, fitted);
    let serial = format!("SN-{}-{:05}", chart.person.number, chart.draw.below(100_000));
    let model = format!("9{:013}", chart.draw.between(0, 9_999_999_999_999));
    let barcode = format!("(01){model}(21){serial}");
    let made = fitted.plus(-chart.draw.between(30 * DAY, YEAR));
    let device = device
        .list("identifier", [identifier("device", &serial)])
        .list("udiCarrier", [Object::new().field("deviceIdentifier", &model).field("carrierHRF", barcode)])
        .field("status", if chart.draw.chance(90) { "active" } else { "inactive" })
        .field("distinctIdentifier", &serial)
        .field("manufacturer", "Fjord & Fjäll Medical AB")
        .field("manufactureDate", made.date(chart.zone()))
        .field("expirationDate", made.plus(8 * YEAR).date(chart.zone()))
        .field("serialNumber", &serial)
        .list("deviceName", [Object::new().field("name", kind.display).field("type", "user-friendly-name")])
        .field("type", kind.concept())
        .field("patient", chart.person.reference())
        .field("owner", reference(&chart.person.site.organization()));
    chart.put(Kind::Device, device)?;

    let (_, fitting) = chart.begin(Kind::Procedure, fitted);
    let focal_device = Object::new().field("manipulated", reference(&device_address));
    let fitting = fitting
        .field("status", "completed")
        .field("code", words("Fitting of a device and instruction in its use"))
        .field("subject", chart.person.reference())
        .field("performedDateTime", fitted.date(chart.zone()))
        .list("performer", [Object::new().field("actor", chart.clinician().reference())])
        .list("focalDevice", [focal_device]);
    chart.put(Kind::Procedure, fitting)
}

static DEVICES: Table<Code> = table![
    snomed("337414009", "Blood glucose meter"),
    snomed("702172008", "Home continuous positive airway pressure unit"),
    snomed("170615005", "Home nebulizer"),
    snomed("228869008", "Manual wheelchair"),
    snomed("363753007", "Crutches"),
    snomed("701077002", "Respiratory apnea monitoring system"),
];
