//! Virtual time: tasks of one thread that sleep, are woken in the order of their times, and see no other clock.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// All tasks of a run, and what time it is.
#[derive(Default)]
pub(crate) struct Timeline {
    now: Cell<i64>,
    polls: Cell<u64>,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Time, order, task, and for which of its sleeps.
    wakes: BinaryHeap<Reverse<(i64, u64, usize, u64)>>,
    order: u64,
    tasks: Vec<Slot>,
    current: usize,
    /// Tasks, and in which of their sleeps, that news end.
    listeners: Vec<(usize, u64)>,
}

#[derive(Default)]
struct Slot {
    task: Option<Task>,
    sleeps: u64,
}

impl Timeline {
    pub(crate) fn starting_at(now: i64) -> Self {
        Self { now: Cell::new(now), ..Self::default() }
    }

    /// True time, in milliseconds. Hosts have clocks of their own.
    pub(crate) fn now(&self) -> i64 {
        self.now.get()
    }

    /// How often a task went on.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut inner = self.inner.borrow_mut();
        let number = inner.tasks.len();
        inner.tasks.push(Slot { task: Some(Box::pin(task)), sleeps: 0 });
        inner.wake(self.now.get(), number);
    }

    pub(crate) fn sleep(&self, millis: i64) -> Sleep<'_> {
        Sleep { timeline: self, until: self.now() + millis.max(0), listens: false, sleeps: false }
    }

    /// Until then, or until there are news.
    pub(crate) fn listen(&self, millis: i64) -> Sleep<'_> {
        Sleep { listens: true, ..self.sleep(millis) }
    }

    /// Ends every [`listen`](Self::listen).
    pub(crate) fn notify(&self) {
        let now = self.now();
        let inner = &mut *self.inner.borrow_mut();
        for (task, sleep) in std::mem::take(&mut inner.listeners) {
            inner.order += 1;
            inner.wakes.push(Reverse((now, inner.order, task, sleep)));
        }
    }

    /// Lets the next task go on. Whether there was one.
    pub(crate) fn step(&self) -> bool {
        let mut task = {
            let inner = &mut *self.inner.borrow_mut();
            let (number, task) = loop {
                let Some(Reverse((at, _, number, sleep))) = inner.wakes.pop() else { return false };
                let slot = &mut inner.tasks[number];
                if slot.sleeps == sleep
                    && let Some(task) = slot.task.take()
                {
                    slot.sleeps += 1;
                    self.now.set(self.now.get().max(at));
                    break (number, task);
                }
            };
            inner.current = number;
            task
        };
        self.polls.set(self.polls.get() + 1);
        let poll = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if poll.is_pending() {
            let inner = &mut *self.inner.borrow_mut();
            let current = inner.current;
            inner.tasks[current].task = Some(task);
        }
        true
    }

    /// Drops all tasks: they hold on to what holds on to them.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut self.inner.borrow_mut().tasks);
        drop(tasks);
    }
}

impl Inner {
    fn wake(&mut self, at: i64, task: usize) {
        self.order += 1;
        self.wakes.push(Reverse((at, self.order, task, self.tasks[task].sleeps)));
    }
}

/// A task that sleeps.
pub(crate) struct Sleep<'t> {
    timeline: &'t Timeline,
    until: i64,
    listens: bool,
    sleeps: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // A task sleeps in one place at a time, so whoever polls it again has woken it.
        if self.sleeps {
            return Poll::Ready(());
        }
        self.sleeps = true;
        let inner = &mut *self.timeline.inner.borrow_mut();
        let task = inner.current;
        inner.wake(self.until, task);
        if self.listens {
            let sleep = inner.tasks[task].sleeps;
            inner.listeners.push((task, sleep));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn tasks_go_on_in_the_order_of_time_and_news_wake_listeners() {
        let timeline = Rc::new(Timeline::starting_at(100));
        let seen = Rc::new(RefCell::new(Vec::new()));
        for (name, millis) in [("late", 50), ("early", 20)] {
            let (time, seen) = (Rc::clone(&timeline), Rc::clone(&seen));
            timeline.spawn(async move {
                time.sleep(millis).await;
                seen.borrow_mut().push((name, time.now()));
                time.notify();
            });
        }
        let (time, heard) = (Rc::clone(&timeline), Rc::clone(&seen));
        timeline.spawn(async move {
            time.listen(1_000).await;
            heard.borrow_mut().push(("listener", time.now()));
        });
        while timeline.step() {}
        assert_eq!(*seen.borrow(), [("early", 120), ("listener", 120), ("late", 150)]);
        timeline.clear();
    }
}
