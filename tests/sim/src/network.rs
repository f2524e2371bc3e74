//! What lies between clients and hosts: it loses, repeats and delays.

use std::rc::Rc;

use crate::{
    coverage::Fault,
    data::SECOND,
    server,
    wire::{Answer, Asked},
    world::World,
};

/// A request and its answer, if the host lives to give one.
pub(crate) async fn deliver(world: &Rc<World>, asked: &Asked) -> Option<Answer> {
    let answer = server::answer(world, &asked.to_bytes()).await?;
    Answer::parse(&answer)
}

/// The same over a bad network. `None`: nothing came back in time.
pub(crate) async fn exchange(world: &Rc<World>, asked: &Asked) -> Option<Answer> {
    let delay = world.pick(5..200);
    world.time.sleep(delay).await;
    if world.strikes(Fault::RequestLost) {
        return lost(world).await;
    }
    if world.strikes(Fault::RequestRepeated) {
        let (later, again) = (Rc::clone(world), asked.clone());
        world.spawn(async move {
            let delay = later.pick(0..20 * SECOND);
            later.time.sleep(delay).await;
            deliver(&later, &again).await;
        });
    }
    let answer = deliver(world, asked).await;
    if answer.is_none() || world.strikes(Fault::ResponseLost) {
        return lost(world).await;
    }
    let delay = world.pick(5..200);
    world.time.sleep(delay).await;
    answer
}

async fn lost(world: &World) -> Option<Answer> {
    let timeout = world.pick(SECOND..30 * SECOND);
    world.time.sleep(timeout).await;
    None
}
