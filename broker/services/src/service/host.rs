//! The place where a service registers what it does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sampan_client::{
    Authorizer, Call, Client, Code, Consume, Error, Failure, Job, Pattern, Responder, Worker,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::asker::{Asker, Verdict};
use super::counters::Counters;
use super::problem::Problem;
use super::sweep;
use crate::role::Role;
use crate::store::{self, Database};

/// Requests that one responder works on at the same time; more are told that it is busy.
const CALLS_MAX: usize = 256;
/// Attempts at a request that finds others in its way.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt; each further one is longer by as much.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a stop waits for what is being worked on.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The services of one session: what they answer, allow, consume and sweep.
///
/// Everything ends with the session, and [`Host::ended`] tells when something has.
#[derive(Debug)]
pub struct Host {
    client: Client,
    database: Database,
    counters: Arc<Counters>,
    /// What ends only with the session, with why it did.
    tasks: JoinSet<String>,
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
}

impl Host {
    /// A host without services.
    #[must_use]
    pub fn new(client: &Client, database: &Database, counters: Arc<Counters>) -> Self {
        Host {
            client: client.clone(),
            database: database.clone(),
            counters,
            tasks: JoinSet::new(),
            workers: Vec::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// The session.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Answers requests on a topic with JSON both ways. Others than `roles` are refused, and so is
    /// what is no `T`. A handler gets `state`; one that finds others in its way is called again
    /// some times.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn answer<S, T, A, H, R>(
        &mut self,
        state: &S,
        topic: &str,
        roles: &'static [Role],
        handler: H,
    ) -> Result<(), Error>
    where
        S: Clone + Send + Sync + 'static,
        T: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        H: Fn(S, Asker, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let pattern = Pattern::parse(topic).map_err(sampan_client::invalid)?;
        let responder = self.client.serve(pattern).await?;
        let state = state.clone();
        let handler = Arc::new(move |asker, asked| handler(state.clone(), asker, asked));
        let counters = self.counters.clone();
        let answered = move |call: Call| {
            let (handler, counters) = (handler.clone(), counters.clone());
            async move {
                Counters::add(&counters.requests);
                match answered(&call, roles, handler.as_ref(), &counters).await {
                    Ok(json) => call.reply_json(json),
                    Err(problem) => {
                        Counters::add(&counters.problems);
                        call.fail(problem.code, &problem.reason);
                    }
                }
            }
        };
        let (stop, counters) = (self.stop.subscribe(), self.counters.clone());
        self.tasks.spawn(respond(responder, stop, counters, answered));
        Ok(())
    }

    /// Says who may do what on the topics of a pattern. A handler that fails means no.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn authorize<S, H, R>(
        &mut self,
        state: &S,
        pattern: &str,
        handler: H,
    ) -> Result<(), Error>
    where
        S: Clone + Send + Sync + 'static,
        H: Fn(S, Asker, sampan_client::Action, Pattern) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Verdict, Problem>> + Send + 'static,
    {
        let pattern = Pattern::parse(pattern).map_err(sampan_client::invalid)?;
        let authorizer = self.client.authorize(pattern).await?;
        let (stop, counters) = (self.stop.subscribe(), self.counters.clone());
        let state = state.clone();
        let handler =
            Arc::new(move |asker, action, topic| handler(state.clone(), asker, action, topic));
        self.tasks.spawn(authorize(authorizer, stop, counters, handler));
        Ok(())
    }

    /// Works on the jobs of a group, at most `concurrency` at the same time.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn consume<T, H, R>(
        &mut self,
        group: Consume,
        concurrency: usize,
        handler: H,
    ) -> Result<(), Error>
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Arc<Job>, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.workers.push(group.await?.handle(concurrency, handler));
        Ok(())
    }

    /// Carries `work` out every so often, in one of the processes that share the database.
    pub fn sweep<S, W, R>(&mut self, state: &S, name: &'static str, every: Duration, work: W)
    where
        S: Clone + Send + 'static,
        W: Fn(S) -> R + Send + 'static,
        R: Future<Output = Result<(), store::Error>> + Send + 'static,
    {
        let (database, counters) = (self.database.clone(), self.counters.clone());
        let state = state.clone();
        let work = move || work(state.clone());
        self.beside(name, sweep::run(database, name, every, counters, work));
    }

    /// Runs something beside the services until they stop.
    pub fn beside(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.beside_to_its_end(name, |mut stop| async move {
            tokio::select! {
                () = work => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Runs something beside the services that ends by itself once what it is given is true.
    pub fn beside_to_its_end<R>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(watch::Receiver<bool>) -> R,
    ) where
        R: Future<Output = ()> + Send + 'static,
    {
        let work = work(self.stop.subscribe());
        self.tasks.spawn(async move {
            work.await;
            format!("{name} has ended")
        });
    }

    /// Waits until a part of the services has ended by itself; why.
    pub async fn ended(&mut self) -> String {
        let Host { tasks, workers, .. } = self;
        let first = std::future::poll_fn(|context| {
            for worker in workers.iter_mut() {
                let mut ended = std::pin::pin!(worker.ended());
                if let std::task::Poll::Ready(ended) = ended.as_mut().poll(context) {
                    let why = ended.err().map(|error| error.to_string());
                    return std::task::Poll::Ready(why.unwrap_or_default());
                }
            }
            std::task::Poll::Pending
        });
        tokio::select! {
            why = first => format!("a consumer has ended: {why}"),
            Some(why) = tasks.join_next() => why.unwrap_or_else(|error| error.to_string()),
        }
    }

    /// Begins nothing more, sees to its end what is being worked on for at most 5 s, and closes the
    /// session.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ends = async {
            for worker in self.workers.drain(..) {
                // What it holds goes to others.
                let _ = worker.stop().await;
            }
            while self.tasks.join_next().await.is_some() {}
        };
        let _ = timeout(STOP_TIMEOUT, ends).await;
        let _ = self.client.close().await;
    }
}

/// Hands each call to a task, as long as there is room, until told to stop.
async fn respond<H, R>(
    mut responder: Responder,
    mut stop: watch::Receiver<bool>,
    counters: Arc<Counters>,
    handler: H,
) -> String
where
    H: Fn(Call) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CALLS_MAX));
    let mut running = JoinSet::new();
    loop {
        let call = tokio::select! {
            call = responder.next() => call,
            Some(_) = running.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(call) = call else { break };
        let Ok(place) = room.clone().try_acquire_owned() else {
            Counters::add(&counters.overloads);
            call.fail(Code::BUSY, "the service works on as many requests as it may");
            continue;
        };
        let work = handler(call);
        running.spawn(async move {
            work.await;
            drop(place);
        });
    }
    let why = responder.error().map(|error| error.to_string());
    drop(responder);
    while running.join_next().await.is_some() {}
    why.unwrap_or_else(|| "a responder has ended".to_owned())
}

fn asker(user: &str, role: &str) -> Result<Asker, Problem> {
    let role = Role::of(role).ok_or_else(|| Problem::not_allowed("this role is not known here"))?;
    Ok(Asker { user: user.to_owned(), role })
}

async fn answered<T, A, H, R>(
    call: &Call,
    roles: &[Role],
    handler: &H,
    counters: &Counters,
) -> Result<Vec<u8>, Problem>
where
    T: DeserializeOwned,
    A: Serialize,
    H: Fn(Asker, T) -> R,
    R: Future<Output = Result<A, Problem>>,
{
    let asker = asker(call.user(), call.role())?;
    if !roles.contains(&asker.role) {
        let why = format!("the role {} may not ask this", asker.role.name());
        return Err(Problem::not_allowed(&why));
    }
    let payload = call.payload();
    for attempt in 1.. {
        let question = serde_json::from_slice(&payload)
            .map_err(|error| Problem::new(Code::BAD_FIELD, &error.to_string()))?;
        match handler(asker.clone(), question).await {
            Ok(answer) => {
                return serde_json::to_vec(&answer)
                    .map_err(|error| Problem::fault(&error.to_string()));
            }
            Err(problem) if problem.is_contended && attempt < ATTEMPTS => {
                Counters::add(&counters.retries);
                sleep(ATTEMPT_PAUSE * attempt).await;
            }
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::fault("there are no attempts left"))
}

async fn authorize<H, R>(
    mut authorizer: Authorizer,
    mut stop: watch::Receiver<bool>,
    counters: Arc<Counters>,
    handler: Arc<H>,
) -> String
where
    H: Fn(Asker, sampan_client::Action, Pattern) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Verdict, Problem>> + Send + 'static,
{
    let mut running = JoinSet::new();
    loop {
        let question = tokio::select! {
            question = authorizer.next() => question,
            Some(_) = running.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(question) = question else { break };
        Counters::add(&counters.questions);
        let (handler, counters) = (handler.clone(), counters.clone());
        running.spawn(async move {
            let said = match asker(question.user(), question.role()) {
                Ok(asker) => handler(asker, question.action(), question.topic().clone()).await,
                Err(problem) => Err(problem),
            };
            let Verdict { is_allowed, ttl } = said.unwrap_or(Verdict::no(Duration::ZERO));
            if is_allowed {
                question.allow(ttl);
            } else {
                Counters::add(&counters.denials);
                question.deny(ttl);
            }
        });
    }
    let why = authorizer.error().map(|error| error.to_string());
    why.unwrap_or_else(|| "an authorizer has ended".to_owned())
}
