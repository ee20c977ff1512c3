//! One run of a pair: two processes that take turns, a statement at a time, in an order that is given.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use durable_pg::{Driver, Param, PgSystemDb};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Reach,
    gate::{Gate, Phase, Rewrite, Span, are_independent, short},
    model::{ENDED_BY_THE_SERVER, Outcome, Serial},
    pairs::{Brake, Pair},
    paused::Paused,
    scene::{REBORN, STAYING, seen},
    words::{join, leave, start},
};
use crate::{
    calls::{Call, Scene, brief, here},
    pg::{Bare, TestDb},
};

/// How long a statement runs before the server is asked whether it waits.
const SOON: Duration = Duration::from_millis(1);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    A,
    B,
    /// The third session, that lets go.
    Brake,
}

/// A turn: who took it with which statement, and who could have.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) taken: Next,
    pub(super) others: Vec<Next>,
}

/// A turn that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) actor: Actor,
    statement: Arc<str>,
}

impl Next {
    /// Whether it makes no difference which of the two goes first.
    pub(super) fn is_independent_of(&self, other: &Self, reach: Reach) -> bool {
        reach == Reach::Distinct && are_independent(&self.statement, &other.statement)
    }
}

/// How a run begins: its first turns, and who need not go after them, as it would come to what was played already.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    pub(super) turns: Vec<Actor>,
    pub(super) asleep: Vec<Next>,
}

/// A run that agreed with the model.
pub(super) struct Played {
    pub(super) turns: Vec<Turn>,
    /// Who was asleep at each turn after the prefix.
    pub(super) asleep: Vec<Vec<Next>>,
    /// Whether one process had to wait for the other.
    pub(super) waited: bool,
    /// Whether it was left because it comes to what was played already.
    pub(super) left: bool,
}

/// Two processes on a database, and those who look on.
pub(super) struct Bench<D: Driver> {
    number: usize,
    reach: Reach,
    a: PgSystemDb<Paused<D>>,
    b: PgSystemDb<Paused<D>>,
    observer: Bare<D>,
    brake: Bare<D>,
    brake_session: i64,
}

/// The number of the next run.
static RUNS: AtomicUsize = AtomicUsize::new(1);

const WAITS_FOR: &str = "
    SELECT count(*)
    FROM unnest(pg_blocking_pids($1::bigint::int)) AS blocking (pid)
    WHERE blocking.pid = ANY ($2::bigint[])";

impl<D: Driver> Bench<D> {
    pub(super) async fn open(
        database: &TestDb<D>,
        number: usize,
        rewrite: Option<Rewrite>,
        reach: Reach,
    ) -> Self {
        let a = process(database, rewrite).await;
        let b = process(database, rewrite).await;
        let mut brake = database.bare().await;
        let bench = Self {
            number,
            reach,
            observer: database.bare().await,
            brake_session: brake.number("SELECT pg_backend_pid()").await,
            brake,
            a,
            b,
        };
        for executor in STAYING {
            for call in [join(executor), leave(executor)] {
                call.answer(&bench.a, &bench.scene()).await;
            }
        }
        // The lanes connect at their first write.
        for side in [&bench.a, &bench.b] {
            let start = start("w", here("creator"));
            start.answer(side, &bench.scene()).await;
        }
        bench
    }

    fn scene(&self) -> Scene {
        Scene::new(RUNS.fetch_add(1, Ordering::Relaxed), self.number, &STAYING)
    }

    /// Plays a pair: the turns of `prefix` first, then whoever can go. Errors: what came of it agrees with no order of the model.
    pub(super) async fn play(
        &mut self,
        pair: &Pair,
        serials: &[Serial],
        prefix: &Prefix,
    ) -> Result<Played, String> {
        let scene = self.scene();
        for call in pair.given {
            call.answer(&self.a, &scene).await;
        }
        let mut run = self.begin(pair, &scene).await;
        let (left, stuck) = match self.turns(&mut run, pair, prefix).await {
            Ok(left) => (left, None),
            Err(stuck) => (false, Some(stuck)),
        };
        let [a, b] = run.end().await;
        if run.braking {
            self.brake.batch("ROLLBACK").await;
        }
        let mut found = Outcome {
            a: answers(pair, a),
            b: answers(pair, b),
            seen: seen(&self.a, &scene).await,
            then: Vec::new(),
        };
        let spans = [run.gates[0].spans(), run.gates[1].spans()];
        let wrong = match stuck {
            Some(stuck) => Some(stuck),
            None if left => None,
            None => self.judge(pair, serials, &scene, &mut found, spans).await,
        };
        for side in [&self.a, &self.b] {
            leave(REBORN).answer(side, &scene).await;
        }
        match wrong {
            None => Ok(Played {
                turns: run.turns,
                asleep: run.asleep,
                waited: run.waited,
                left,
            }),
            Some(wrong) => Err(report(
                pair,
                &wrong,
                &scene.plain(&run.trace),
                &found,
                serials,
            )),
        }
    }

    /// Lets both processes run up to their first statements.
    async fn begin(&mut self, pair: &Pair, scene: &Scene) -> Run {
        if let Some(brake) = pair.brake {
            self.brake.batch("BEGIN").await;
            let (statement, id, number) = match brake {
                Brake::Step(number) => (PUT_STEP, scene.id("w"), number),
                Brake::Row(id) => (PUT_ROW, scene.id(id), 0),
                Brake::Hold(id) => (HOLD, scene.id(id), 0),
            };
            let parameters = [Param::from(id.as_str()), i64::from(number).into()];
            self.brake.query(statement, &parameters).await;
        }
        let gates = [&self.a, &self.b].map(|side| Arc::clone(side.driver().gate()));
        let clock = Arc::new(AtomicUsize::new(0));
        let sides = [(&self.a, pair.a), (&self.b, pair.b)];
        let tasks = sides.map(|(side, calls)| {
            let (side, scene) = (side.clone(), scene.clone());
            side.driver().gate().arm(&clock);
            tokio::spawn(async move { make(&side, calls, &scene).await })
        });
        Run {
            phases: gates.each_ref().map(|gate| gate.watch()),
            gates,
            tasks: Some(tasks),
            braking: pair.brake.is_some(),
            blocked: [false; 2],
            turns: Vec::new(),
            asleep: Vec::new(),
            trace: String::new(),
            waited: false,
            broken_off: false,
        }
    }

    /// Takes turns until both have ended, or what is left was played already; whether that is so.
    async fn turns(&mut self, run: &mut Run, pair: &Pair, prefix: &Prefix) -> Result<bool, String> {
        loop {
            let mut able = self.able(run).await?;
            if run.braking {
                able.push(Next {
                    actor: Actor::Brake,
                    statement: "ROLLBACK".into(),
                });
            }
            if able.is_empty() {
                if !run.blocked.contains(&true) {
                    return Ok(false);
                }
                if !pair.deadlock {
                    return Err("both wait for each other".to_owned());
                }
                run.deadlocked().await?;
                continue;
            }
            let Some(taken) = run.choose(&able, prefix, self.reach)? else {
                return Ok(true);
            };
            able.retain(|next| *next != taken && !run.broken_off);
            match taken.actor {
                Actor::A => run.step(0),
                Actor::B => run.step(1),
                Actor::Brake => {
                    let _ = writeln!(run.trace, "        the third lets go");
                    self.brake.batch("ROLLBACK").await;
                    run.braking = false;
                }
            }
            run.turns.push(Turn {
                taken,
                others: able,
            });
        }
    }

    /// Waits until neither process goes on by itself; those that can take a turn.
    async fn able(&mut self, run: &mut Run) -> Result<Vec<Next>, String> {
        // Who was blocked stays so until the other has done its statement.
        let mut order = [0, 1];
        order.sort_by_key(|n| run.blocked[*n]);
        let mut able = [None, None];
        for n in order {
            able[n] = self.settle(run, n).await?;
        }
        let next = |(actor, statement): (Actor, Option<Arc<str>>)| {
            statement.map(|statement| Next { actor, statement })
        };
        Ok([Actor::A, Actor::B]
            .into_iter()
            .zip(able)
            .filter_map(next)
            .collect())
    }

    /// Waits until the process stands before a statement, is blocked, or has ended; the statement that it stands before.
    async fn settle(&mut self, run: &mut Run, n: usize) -> Result<Option<Arc<str>>, String> {
        let mut phase = run.phases[n].borrow_and_update().clone();
        let mut ask = run.blocked[n];
        let began = tokio::time::Instant::now();
        loop {
            match &phase {
                Phase::Before(_) | Phase::Ended => {
                    if std::mem::take(&mut run.blocked[n]) {
                        let _ = writeln!(run.trace, "      {} goes on", ["A", "B"][n]);
                    }
                    return Ok(match phase {
                        Phase::Before(statement) => Some(statement),
                        _ => None,
                    });
                }
                Phase::Within(session, _) if ask => {
                    let waits = self.waits(run, *session).await;
                    if waits && *run.phases[n].borrow() == phase {
                        if !std::mem::replace(&mut run.blocked[n], true) {
                            let _ = writeln!(run.trace, "      {} waits", ["A", "B"][n]);
                            run.waited = true;
                        }
                        return Ok(None);
                    }
                }
                Phase::Within(..) | Phase::Between => {}
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("it does not go on from {phase:?}"));
            }
            // A statement that does not come back soon may wait for the other process.
            ask = tokio::time::timeout(SOON, run.phases[n].changed())
                .await
                .is_err();
            phase = run.phases[n].borrow_and_update().clone();
        }
    }

    /// Whether a session waits for one of those that stand still.
    async fn waits(&mut self, run: &Run, session: i64) -> bool {
        let mut sessions = run.gates.each_ref().map(|gate| gate.sessions()).concat();
        sessions.push(self.brake_session);
        let sessions: Vec<Option<i64>> = sessions.into_iter().map(Some).collect();
        let parameters = [session.into(), Param::BigInts(&sessions)];
        let mut rows = self.observer.query(WAITS_FOR, &parameters).await;
        let count = rows.pop().and_then(|mut row| row.integer().ok().flatten());
        count.is_some_and(|count| count > 0)
    }

    /// Says what is wrong with what came of a run.
    async fn judge(
        &mut self,
        pair: &Pair,
        serials: &[Serial],
        scene: &Scene,
        found: &mut Outcome,
        mut spans: [Vec<Span>; 2],
    ) -> Option<String> {
        let agreeing = |found: &Outcome, spans: &[Vec<Span>; 2]| {
            let spans = [&*spans[0], &*spans[1]];
            let agreeing = serials
                .iter()
                .filter(move |serial| serial.agrees(pair, found, spans));
            agreeing.collect::<Vec<_>>()
        };
        let mut agreed = agreeing(found, &spans);
        for n in 0..2 {
            if agreed.is_empty() && self.look_again(pair, scene, found, &mut spans, n).await {
                agreed = agreeing(found, &spans);
            }
        }
        if agreed.is_empty() {
            return Some("no order of the model gives these answers and this state".to_owned());
        }
        for call in pair.then {
            let answer = call.answer(&self.a, scene).await;
            found.then.push(answer);
        }
        let then = agreed
            .iter()
            .any(|serial| serial.outcome.then == found.then);
        (!then)
            .then(|| "what happens afterwards is answered otherwise than by the model".to_owned())
    }

    /// A look that found nothing while the other process was under way may have passed over what that one was changing: it has to find
    /// it at the next look.
    async fn look_again(
        &mut self,
        pair: &Pair,
        scene: &Scene,
        found: &mut Outcome,
        spans: &mut [Vec<Span>; 2],
        n: usize,
    ) -> bool {
        let (side, calls, answers) = if n == 0 {
            (&self.a, pair.a, &mut found.a)
        } else {
            (&self.b, pair.b, &mut found.b)
        };
        let others = &spans[1 - n];
        let passed_over = |(at, call): &(usize, &Call)| {
            let span = spans[n][*at];
            let meanwhile = |other: &Span| !span.is_before(other) && !other.is_before(&span);
            call.is_look() && answers[*at] == "[]" && others.iter().any(meanwhile)
        };
        let Some((from, _)) = calls.iter().enumerate().find(passed_over) else {
            return false;
        };
        for at in from..calls.len() {
            answers[at] = calls[at].answer(side, scene).await;
            spans[n][at] = Span {
                began: Some(usize::MAX),
                ended: usize::MAX,
            };
        }
        found.seen = seen(side, scene).await;
        true
    }
}

async fn process<D: Driver>(
    database: &TestDb<D>,
    rewrite: Option<Rewrite>,
) -> PgSystemDb<Paused<D>> {
    let options = PgSystemDb::<Paused<D>>::options(database.url());
    let opened = options
        .lanes(1)
        .listen_notify(false)
        .leases(false)
        .connect()
        .await;
    let opened = opened.unwrap_or_else(|error| panic!("{error}"));
    if let Some(rewrite) = rewrite {
        opened.driver().gate().set_rewrite(rewrite);
    }
    opened
}

/// Makes calls; their answers.
async fn make<D: Driver>(
    side: &PgSystemDb<Paused<D>>,
    calls: &[Call],
    scene: &Scene,
) -> Vec<String> {
    let gate = side.driver().gate();
    let mut answers = Vec::new();
    for call in calls {
        gate.call_begins();
        answers.push(call.answer(side, scene).await);
        gate.call_ends();
    }
    gate.end();
    answers
}

/// The answers, as the model gives them where the server ends a call.
fn answers(pair: &Pair, answers: Vec<String>) -> Vec<String> {
    let ended = |answer: String| {
        if pair.deadlock && answer.starts_with("error") {
            ENDED_BY_THE_SERVER.to_owned()
        } else {
            answer
        }
    };
    answers.into_iter().map(ended).collect()
}

const PUT_STEP: &str = "
    INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name)
    VALUES ($1, $2::bigint::int, 'braking')";

const PUT_ROW: &str = "
    INSERT INTO dbos.workflow_status (workflow_uuid, status, name, priority)
    SELECT $1, 'PENDING', 'braking', $2::bigint::int";

const HOLD: &str = "
    SELECT $2::bigint
    FROM dbos.workflow_status
    WHERE workflow_uuid = $1
    FOR NO KEY UPDATE";

/// A run under way.
struct Run {
    gates: [Arc<Gate>; 2],
    phases: [watch::Receiver<Phase>; 2],
    tasks: Option<[JoinHandle<Vec<String>>; 2]>,
    braking: bool,
    blocked: [bool; 2],
    turns: Vec<Turn>,
    asleep: Vec<Vec<Next>>,
    trace: String,
    waited: bool,
    /// Whether the server ended one of two that waited for each other: which one is its choice, so no other order follows from here.
    broken_off: bool,
}

impl Run {
    /// Whose turn it is: as the prefix says, then the first that is not asleep; `None`: all are, and the rest was played already.
    fn choose(
        &mut self,
        able: &[Next],
        prefix: &Prefix,
        reach: Reach,
    ) -> Result<Option<Next>, String> {
        let turn = self.turns.len();
        if let Some(wanted) = prefix.turns.get(turn) {
            let taken = able.iter().find(|next| next.actor == *wanted).cloned();
            let taken =
                taken.ok_or_else(|| format!("it is not {wanted:?}'s turn now, and it was before"));
            return taken.map(Some);
        }
        let asleep = match self.turns.last().zip(self.asleep.last()) {
            Some((last, asleep)) if turn > prefix.turns.len() => {
                let stays = |next: &&Next| next.is_independent_of(&last.taken, reach);
                asleep.iter().filter(stays).cloned().collect()
            }
            _ => prefix.asleep.clone(),
        };
        let taken = able.iter().find(|next| !asleep.contains(next)).cloned();
        self.asleep.push(asleep);
        Ok(taken)
    }

    /// Lets a process do its next statement.
    fn step(&mut self, n: usize) {
        if let Phase::Before(statement) = &*self.phases[n].borrow() {
            let number = self.turns.len() + 1;
            let _ = writeln!(
                self.trace,
                "  {number:3} {} {}",
                ["A", "B"][n],
                short(statement)
            );
        }
        self.gates[n].let_through();
    }

    /// Waits until the server ends one of two that wait for each other.
    async fn deadlocked(&mut self) -> Result<(), String> {
        let _ = writeln!(self.trace, "      both wait for each other");
        self.broken_off = true;
        let [a, b] = &mut self.phases;
        let ended = async {
            tokio::select! {
                _ = a.changed() => {}
                _ = b.changed() => {}
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.map_err(|_| "the server does not end what waits for each other".to_owned())
    }

    /// Lets both run to their ends; their answers.
    async fn end(&mut self) -> [Vec<String>; 2] {
        for gate in &self.gates {
            gate.open();
        }
        let mut answers = [Vec::new(), Vec::new()];
        for (task, answers) in self.tasks.take().into_iter().flatten().zip(&mut answers) {
            match tokio::time::timeout(PATIENCE, task).await {
                Ok(Ok(given)) => *answers = given,
                Ok(Err(error)) => answers.push(format!("error: {error}")),
                Err(_) => answers.push("no answer".to_owned()),
            }
        }
        answers
    }
}

/// All that a person needs to see what went wrong.
fn report(pair: &Pair, wrong: &str, trace: &str, found: &Outcome, serials: &[Serial]) -> String {
    let mut text = format!(
        "{}: {wrong}\n  given {:?}\n  A {:?}\n  B {:?}\n{trace}",
        pair.name, pair.given, pair.a, pair.b
    );
    describe(&mut text, "found", found);
    for serial in serials {
        let order: String = serial
            .order
            .iter()
            .map(|first| if *first { 'A' } else { 'B' })
            .collect();
        describe(&mut text, &format!("the model, {order}"), &serial.outcome);
    }
    text
}

fn describe(text: &mut String, whose: &str, outcome: &Outcome) {
    let _ = writeln!(text, "  {whose}:");
    let answers = [
        ("A", &outcome.a),
        ("B", &outcome.b),
        ("then", &outcome.then),
    ];
    for (who, answers) in answers {
        for answer in answers {
            let _ = writeln!(text, "    {who} {}", brief(answer));
        }
    }
    for line in &outcome.seen {
        let _ = writeln!(text, "      {}", brief(line));
    }
}
