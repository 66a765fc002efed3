//! Who runs next: owners take turns, and none holds all workers while there are several.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Jobs that wait, by owner.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    wake: Condvar,
    /// Most jobs of one owner that run at the same time.
    most: usize,
}

struct State<J> {
    /// Owners with jobs, the next one first.
    waiting: VecDeque<(Arc<str>, VecDeque<J>)>,
    running: BTreeMap<Arc<str>, usize>,
    closed: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new(workers: usize) -> Self {
        let state = State { waiting: VecDeque::new(), running: BTreeMap::new(), closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new(), most: workers.saturating_sub(1).max(1) }
    }

    /// Adds a job. Its number is bounded by whoever adds.
    pub(crate) fn push(&self, owner: &Arc<str>, job: J) {
        let mut state = self.state.lock();
        match state.waiting.iter_mut().find(|(o, _)| o == owner) {
            Some((_, jobs)) => jobs.push_back(job),
            None => state.waiting.push_back((owner.clone(), VecDeque::from([job]))),
        }
        self.wake.notify_one();
    }

    /// Waits for a job to run. `None` once the queue is closed.
    pub(crate) fn take(&self) -> Option<(Arc<str>, J)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(taken) = self.next(&mut state) {
                return Some(taken);
            }
            self.wake.wait(&mut state);
        }
    }

    fn next(&self, state: &mut State<J>) -> Option<(Arc<str>, J)> {
        let may_run = |owner: &Arc<str>| state.running.get(owner).is_none_or(|n| *n < self.most);
        let at = state.waiting.iter().position(|(owner, _)| may_run(owner))?;
        let (owner, mut jobs) = state.waiting.remove(at)?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            state.waiting.push_back((owner.clone(), jobs));
        }
        *state.running.entry(owner.clone()).or_default() += 1;
        Some((owner, job))
    }

    /// A job that was taken has ended.
    pub(crate) fn done(&self, owner: &Arc<str>) {
        let mut state = self.state.lock();
        if let Some(n) = state.running.get_mut(owner) {
            *n -= 1;
            if *n == 0 {
                state.running.remove(owner);
            }
        }
        self.wake.notify_all();
    }

    /// Lets the workers go; what waits is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting.clear();
        self.wake.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_take_turns_and_none_takes_all() {
        let queue = Queue::new(2);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for n in 1..=3 {
            queue.push(&a, n);
        }
        queue.push(&b, 4);
        assert_eq!(queue.take(), Some((a.clone(), 1)));
        assert_eq!(queue.take(), Some((b.clone(), 4)));
        queue.done(&b);
        assert_eq!(queue.next(&mut queue.state.lock()), None);
        queue.done(&a);
        assert_eq!(queue.take(), Some((a.clone(), 2)));
        queue.close();
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn one_worker_serves_everybody() {
        let queue = Queue::new(1);
        let a: Arc<str> = "a".into();
        queue.push(&a, 1);
        assert_eq!(queue.take(), Some((a, 1)));
    }
}
