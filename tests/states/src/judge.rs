//! What must hold in every moment, whatever led to it.

use ehi_core::job::State;

use crate::{call::File, fault::Fault, model::Model, world::World};

/// Whether the table leads from one state to another; to stay is always allowed.
pub(crate) fn is_row(from: State, to: State) -> bool {
    from == to || State::transitions().any(|(own, _, next)| (own, next) == (from, to))
}

/// Notes the first thing that must not be, unless something is noted.
pub(crate) fn judge(model: &Model, world: &mut World) {
    if world.fault.is_none() {
        world.fault = fault(model, world);
    }
}

fn fault(model: &Model, world: &World) -> Option<Fault> {
    let scenario = &model.scenario;
    let Some(job) = &world.job else {
        return world.has_files().then_some(Fault::LeftBehind);
    };
    let (ledger, now) = (&world.ledger, world.now);
    let view = match model.engine.view(job, now) {
        Ok(view) => view,
        Err(fault) => return Some(fault),
    };
    let wanted = [0, 1].map(|host| ledger.wants(scenario, host, now));
    let found = [
        (now > scenario.over_by(), Fault::TooLong),
        (world.rows != ledger.published || !rows_are_whole(model, world), Fault::Rows),
        (view.served && !world.rows.iter().all(|row| world.objects.contains(row)), Fault::ListedOnly),
        (view.transaction_time != ledger.transaction_time, Fault::TransactionTime),
        (view.status != ledger.status(scenario, now), Fault::Status),
        (view.served != ledger.serves(scenario, now), Fault::Served),
        (view.told_to_strangers, Fault::Told),
        (view.due != ledger.is_due(scenario, now), Fault::Time),
        (view.wants != wanted, Fault::Wants),
    ];
    found.into_iter().find(|(is_so, _)| *is_so).map(|(_, fault)| fault)
}

/// Of a complete export every file once, each by a host that had the lease.
fn rows_are_whole(model: &Model, world: &World) -> bool {
    if !world.is_complete() {
        return true;
    }
    let scenario = &model.scenario;
    let partitions = (0..scenario.partitions)
        .flat_map(|partition| (0..scenario.files).map(move |number| File { partition, number }));
    let mut files: Vec<File> = world.rows.iter().map(|row| row.file).collect();
    files.sort_unstable();
    files.into_iter().eq(partitions)
}
